"""The faces near each pixel's centre, front to back: what blurred silhouettes are made of.

Every face is asked at all pixels of its widened bounds, in torch: a list of pairs of pixel and face, of which those are
kept that are near enough. How many there are depends on values, so on CUDA the host waits. All coordinates are
PyTorch3D's: normalised device coordinates with +x left and +y up, and depth.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PAIRS = 1 << 21  # asked at once
_THINNEST = 1e-8  # twice the area of faces that are left out


def near_faces(
    points: Tensor,
    faces: Tensor,
    mesh: Tensor,
    size: tuple[int, int],
    blur_radius: float,
    layers: int,
    perspective: bool,
    clip: bool,
    cull_backfaces: bool,
    near: float | Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The nearest faces whose edge is not farther from a pixel's centre than the square root of `blur_radius`.

    Args:
        points: x and y [NDC] and depth, float32 [N, V, 3].
        faces: Rows of the mesh's own points, int32 [F, 3].
        mesh: The mesh of each face, int64 [F], ascending.
        size: Height and width.
        blur_radius: Square of a distance [NDC].
        layers: K.
        perspective: Are faces flat in space, or is depth linear in the image?
        clip: Bring the weights of what lies beyond an edge back into [0, 1].
        cull_backfaces: Leave out faces that look away.
        near: Faces with a corner that is nearer are left out; None = those behind the camera.

    Returns:
        Faces int64 [N, H, W, K], depths [N, H, W, K], weights [N, H, W, K, 3] and squares of distances [N, H, W, K],
        negative inside; -1 where nothing is near. Differentiable in ``points``.
    """
    height, width = size
    corners = points[mesh[:, None], faces.long()]  # [F, 3, 3]
    pixel, face = _pairs(corners.detach(), mesh, size, blur_radius, perspective, clip, cull_backfaces, near)
    with torch.no_grad():
        depth = _at(corners[face], _centres(pixel, size, points), perspective, clip)[0]
        # By pixel, then by depth, then by face, in which order they are made.
        order = depth.sort(stable=True).indices
        order = order[pixel[order].sort(stable=True).indices]
        pixel, face = pixel[order], face[order]
        start = torch.searchsorted(pixel, pixel)  # the first pair of the same pixel
        layer = torch.arange(len(pixel), device=pixel.device) - start
        kept = layer < layers
        pixel, face, layer = pixel[kept], face[kept], layer[kept]
    depth, weights, square = _at(corners[face], _centres(pixel, size, points), perspective, clip)
    at = (pixel * layers + layer,)
    shape = len(points), height, width, layers

    def spread(values: Tensor) -> Tensor:
        empty = values.new_full((shape[0] * height * width * layers, *values.shape[1:]), -1)
        return empty.index_put(at, values).view(*shape, *values.shape[1:])

    return spread(face), spread(depth), spread(weights), spread(square)


def _centres(pixel: Tensor, size: tuple[int, int], like: Tensor) -> Tensor:
    """Centres [NDC] of pixels counted through all images: [P] -> [P, 2]."""
    height, width = size
    x, y = pixel % width, pixel // width % height
    return torch.stack([width - 1 - 2 * x, height - 1 - 2 * y], -1).to(like) / min(size)


def _pairs(
    corners: Tensor,
    mesh: Tensor,
    size: tuple[int, int],
    blur_radius: float,
    perspective: bool,
    clip: bool,
    cull_backfaces: bool,
    near: float | Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Pixels and faces that are near each other, by face: int64 [P], [P]."""
    height, width = size
    short, reach = min(size), blur_radius**0.5
    # Positive where the corners run counter-clockwise as seen, +x being left.
    area = _cross(corners[:, 2, :2] - corners[:, 0, :2], corners[:, 1, :2] - corners[:, 0, :2])
    drawn = (area > _THINNEST) if cull_backfaces else (area.abs() > _THINNEST)
    drawn = drawn & corners.isfinite().all(-1).all(-1)
    if near is not None or perspective:
        drawn &= corners[..., 2].amin(-1) >= (_THINNEST if near is None else near)
    # +x is left, so the largest x has the first pixel.
    low, high = corners[..., :2].amin(1) - reach, corners[..., :2].amax(1) + reach
    limit = torch.tensor([width, height], device=corners.device)
    first = ((limit - 1 - high.nan_to_num() * short) / 2).ceil().clamp(min=0)
    last = torch.minimum(((limit - 1 - low.nan_to_num() * short) / 2).floor(), (limit - 1).float())
    wide, tall = torch.where(drawn[:, None], last - first + 1, 0).clamp(min=0).long().unbind(-1)
    first = first.long()
    count = wide * tall
    before = count.cumsum(0)
    pixels, found = [], []
    for part in torch.arange(len(count), device=count.device).split(_parts(before)):
        face = part.repeat_interleave(count[part])
        number = torch.arange(len(face), device=face.device) - (before - count)[face] + (before - count)[part[0]]
        x, y = first[face, 0] + number % wide[face], first[face, 1] + number // wide[face]
        pixel = (mesh[face] * height + y) * width + x
        depth, _, square = _at(corners[face], _centres(pixel, size, corners), perspective, clip)
        kept = ((square < 0) | (square < blur_radius)) & (depth >= 0)
        pixels.append(pixel[kept])
        found.append(face[kept])
    return torch.cat(pixels), torch.cat(found)


def _parts(before: Tensor) -> list[int]:
    """Numbers of faces that come to some two million pairs each."""
    part = before // _PAIRS
    return torch.unique_consecutive(part, return_counts=True)[1].tolist()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _at(corners: Tensor, centre: Tensor, perspective: bool, clip: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Depth [P], weights [P, 3] and square of the distance to the edge, negative inside [P].

    Args:
        corners: [P, 3, 3].
        centre: [P, 2].
        perspective: As of :func:`near_faces`.
        clip: As of :func:`near_faces`.
    """
    z = corners[..., 2]
    to = corners[..., :2] - centre[:, None]  # from the pixel
    weights = _cross(to.roll(-1, 1), to.roll(-2, 1))  # of the triangle without each corner
    weights = weights / weights.sum(-1, keepdim=True)
    if perspective:
        weights = weights * z.roll(-1, 1) * z.roll(-2, 1)  # over depth, times all three
        # Beyond where the face's plane leaves the view the sum is negative, but what is outside must stay outside.
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-8)
    inside = (weights > 0).all(-1)
    if clip:
        weights = weights.clamp(min=0)
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-5)
    along = to.roll(-1, 1) - to
    length = along.square().sum(-1)
    part = (-(to * along).sum(-1) / torch.where(length > 0, length, 1)).clamp(0, 1)
    square = (to + part[..., None] * along).square().sum(-1).amin(-1)
    return (weights * z).sum(-1), weights, torch.where(inside, -square, square)
