"""The rasterizer's oracle: one triangle after another, exact integers, float64 depth. Slow and obvious.

Triangles whose corners all lie before the near plane and within 16,384 pixels are decided exactly: corners snapped to
1/256 pixel in float32 as specified, coverage in 64-bit integers, the top-left rule. The others are decided by where
the ray through each pixel centre meets their plane, which needs no clipping at all; there the specified clipper may
move an edge by a fraction of a pixel, and pixels closer than that to an edge are reported as undecided.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FAR = 16384  # [pixels] corners beyond go through the clipper
SLACK = 1 / 16  # [pixels] by which the clipper may move an edge
DEPTH_SLACK = 1e-6  # of z/w
EMPTY = 1e30  # z/w where nothing is


class Reference(NamedTuple):
    """What should be seen, and where that is decided by less than the arithmetic's error."""

    triangle_id: np.ndarray  # int32 [H, W]
    depth: np.ndarray  # float64 [H, W]
    weights: np.ndarray  # float64 [H, W, 3]
    decided: np.ndarray  # bool [H, W]


def snap(clip: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Snapped x and y int64 [V] [1/256 pixel], and which corners may be snapped at all, bool [V]."""
    height, width = np.float32(size[0]), np.float32(size[1])
    half, one = np.float32(0.5), np.float32(1)
    with np.errstate(all="ignore"):
        x, y, z, w = clip.T
        simple = (w > 0) & (z >= -w) & np.isfinite(clip).all(1)
        inverse = one / np.where(simple, w, one)
        u = (x * inverse * half + half) * width * np.float32(256) + half
        v = (y * inverse * half + half) * height * np.float32(256) + half
        simple &= (np.abs(u) < FAR * 256) & (np.abs(v) < FAR * 256)
        snapped = np.floor(np.where(simple, u, 0)), np.floor(np.where(simple, v, 0))
    return snapped[0].astype(np.int64), snapped[1].astype(np.int64), simple


def rasterize(clip: np.ndarray, faces: np.ndarray, size: tuple[int, int], cull: str = "none") -> Reference:
    """What is seen of one image's triangles.

    Args:
        clip: float32 [V, 4].
        faces: int [F, 3].
        size: Height and width [pixels].
        cull: "none", "back" or "front".
    """
    height, width = size
    nearest = np.full(size, EMPTY)
    error = np.zeros(size)  # of `nearest`
    winner = np.full(size, -1, np.int32)
    doubtful = np.full(size, EMPTY)  # least z/w at which something may or may not be
    x, y, simple = snap(clip, size)
    for number, face in enumerate(faces):
        if not np.isfinite(clip[face]).all():
            continue
        if simple[face].all():
            drawn = _exact(x[face], y[face], clip[face], size, cull)
            where, inside, z, slack, unsure = drawn if drawn else (None, None, None, None, None)
        else:
            where, inside, z, slack, unsure = _by_rays(clip[face], size, cull)
        if where is None:
            continue
        inside = inside & (z <= 1)
        unsure = unsure | (inside & (np.abs(z - 1) <= slack))
        old, old_error = nearest[where], error[where]
        close = inside & (winner[where] >= 0) & (z != old) & (np.abs(z - old) <= slack + old_error)
        here = np.where(unsure, z - slack, np.where(close, np.minimum(z, old), EMPTY))
        doubtful[where] = np.minimum(doubtful[where], here)
        wins = inside & (z < old)
        nearest[where] = np.where(wins, z, old)
        error[where] = np.where(wins, slack, old_error)
        winner[where] = np.where(wins, number, winner[where])
    # Doubts behind what is surely seen do not matter.
    decided = (doubtful == EMPTY) | (doubtful > nearest + error)
    depth, weights = _hits(clip, faces, winner)
    return Reference(winner, depth, weights, decided)


def _exact(x, y, corners, size, cull):
    """Coverage in integers. Returns a window, and for its pixels: inside, z/w, its error, undecided."""
    area = int((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
    if area == 0 or (cull == "back" and area > 0) or (cull == "front" and area < 0):
        return None
    left, top = max(int(x.min()) // 256 - 1, 0), max(int(y.min()) // 256 - 1, 0)
    right, bottom = min(int(x.max()) // 256 + 2, size[1]), min(int(y.max()) // 256 + 2, size[0])
    if left >= right or top >= bottom:
        return None
    px = np.arange(left, right, dtype=np.int64)[None] * 256 + 128
    py = np.arange(top, bottom, dtype=np.int64)[:, None] * 256 + 128
    order = (0, 1, 2) if area > 0 else (0, 2, 1)  # clockwise as seen: the inside is positive
    inside = np.ones((bottom - top, right - left), bool)
    for a, b in zip(order, (*order[1:], order[0]), strict=True):
        dx, dy = x[b] - x[a], y[b] - y[a]
        edge = dx * (py - y[a]) - dy * (px - x[a])
        on_edge = dy < 0 or (dy == 0 and dx > 0)  # a left edge goes up, a top edge goes right
        inside &= (edge >= 0) if on_edge else (edge > 0)
    z = (corners[:, 2] / corners[:, 3]).astype(np.float64)
    z1, z2 = z[1] - z[0], z[2] - z[0]
    x1, y1, x2, y2 = (float(d) for d in (x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]))
    dx, dy = (px - x[0]).astype(np.float64), (py - y[0]).astype(np.float64)
    plane = z[0] + ((z1 * y2 - z2 * y1) * dx + (z2 * x1 - z1 * x2) * dy) / area
    terms = (abs(z1 * y2) + abs(z2 * y1)) * np.abs(dx) + (abs(z2 * x1) + abs(z1 * x2)) * np.abs(dy)
    slack = np.minimum(DEPTH_SLACK + 2.0**-20 * terms / abs(area), DEPTH_SLACK + np.ptp(z))
    window = np.s_[top:bottom, left:right]
    return window, inside, np.clip(plane, z.min(), z.max()), slack, np.zeros_like(inside)


def _edges(corners: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows e with e . (ndc_x, ndc_y, 1) = weight / depth of each corner, and the determinant: positive = front."""
    matrix = corners[:, [0, 1, 3]].astype(np.float64)
    e = np.stack([np.cross(matrix[1], matrix[2]), np.cross(matrix[2], matrix[0]), np.cross(matrix[0], matrix[1])])
    determinant = float(matrix[0] @ e[0])
    return e / (determinant if determinant else np.inf), determinant


def _by_rays(corners, size, cull):
    """The same as `_exact` for a triangle that may reach behind the eye, over the whole image."""
    height, width = size
    e, determinant = _edges(corners)
    # Seen with y down, corners that run counter-clockwise have a negative determinant.
    nothing = determinant == 0 or (cull == "back" and determinant > 0) or (cull == "front" and determinant < 0)
    if nothing:
        return None, None, None, None, None
    grid = np.stack(
        np.broadcast_arrays(
            (np.arange(width)[None] + 0.5) * 2 / width - 1, (np.arange(height)[:, None] + 0.5) * 2 / height - 1, 1.0
        ),
        -1,
    )
    per_pixel = np.array([2 / width, 2 / height])
    near = (corners[:, 2] + corners[:, 3]).astype(np.float64) @ e
    planes = np.concatenate([e, near[None]])  # the three edges and the near plane, all linear in the image
    values = grid @ planes.T
    slope = np.linalg.norm(planes[:, :2] * per_pixel, axis=1)
    inverse_depth = values[..., :3].sum(-1)
    inside = (values >= 0).all(-1) & (inverse_depth > 0)
    unsure = (values >= -slope * SLACK).all(-1) & (np.abs(values) <= slope * SLACK).any(-1)
    z = np.where(inside | unsure, values[..., :3] @ corners[:, 2].astype(np.float64), EMPTY)
    # Along a steep plane, z/w changes much between the edge's two places.
    slack = 20 * DEPTH_SLACK + 2 * SLACK * np.linalg.norm((corners[:, 2].astype(np.float64) @ e)[:2] * per_pixel)
    return np.s_[:, :], inside, z, np.full(size, slack), unsure


def _hits(clip, faces, winner):
    """Depth and weights of the seen triangle where the ray through the pixel centre meets its plane."""
    height, width = winner.shape
    depth, weights = np.zeros(winner.shape), np.zeros((*winner.shape, 3))
    for number in np.unique(winner[winner >= 0]):
        e, _ = _edges(clip[faces[number]])
        rows, columns = np.nonzero(winner == number)
        rays = np.stack([(columns + 0.5) * 2 / width - 1, (rows + 0.5) * 2 / height - 1, np.ones(len(rows))], -1)
        b = rays @ e.T
        depth[rows, columns] = 1 / b.sum(-1)
        weights[rows, columns] = b / b.sum(-1, keepdims=True)
    return depth, weights
