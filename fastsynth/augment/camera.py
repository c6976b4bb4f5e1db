"""A map of the picture as a change of the camera, before drawing.

With L the upper left 2 x 2 of ``new_from_old @ intrinsics``, there is one upper triangular U with a positive diagonal
and one orthogonal Q with ``L = U Q`` (RQ decomposition; Golub and Van Loan, "Matrix Computations", 5.2). U and the
mapped principal point are the new intrinsics, Q turns the camera about its axis. Where the map mirrors, so does Q: the
camera's frame becomes left-handed, and what it sees is the mirror image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.augment.maps import invert
from fastsynth.geometry import multiply
from fastsynth.types import SceneBatch


def warp_camera(
    batch: SceneBatch, new_from_old: Tensor, aspect: float = 1.0, new_aspect: float | None = None
) -> SceneBatch:
    """Cameras that see the mapped picture: draw the batch, and the picture and all labels are exact.

    Depth and distance stay what they are. A flip mirrors the camera: ``camera_from_world`` gets a determinant of -1 and
    keeps +x right and +y down, so that normals, keypoints and boxes are those of the flipped picture, and the poses of
    :func:`~fastsynth.annotate.poses_6d` those of mirrored objects (their last scale is negative).

    The background goes along with flips, scale and shift, cut where the photograph ends; it cannot turn, and stays
    upright or is turned upside down, whichever is nearer. Blur and noise are the sensor's and stay.

    Args:
        batch: What is to be drawn.
        new_from_old: Map of the picture, float32 [B, 3, 3]; see :func:`affine` and :func:`crop`.
        aspect: Width over height of the old picture; matters to the background alone.
        new_aspect: Of the new one; that of the old one by default.

    Returns:
        The batch with other ``intrinsics``, ``camera_from_world``, ``photo_crop`` and ``background_color``.
        Differentiable.

    Raises:
        TypeError, ValueError: a map of the wrong dtype, shape or device.

    Example:
        >>> import fastsynth as fs
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives())).sample(1, seed=0)
        >>> flip = fs.augment.affine(torch.zeros(1), horizontal_flip=torch.tensor([True]))
        >>> mirrored = warp_camera(batch, flip)
        >>> bool((fs.render(mirrored, (32, 32)).instance_id == fs.render(batch, (32, 32)).instance_id.flip(2)).all())
        True
    """
    expect(
        "warp_camera",
        intrinsics=(batch.intrinsics, "B 3 3", torch.float32),
        new_from_old=(new_from_old, "B 3 3", torch.float32),
    )
    intrinsics, turn = decompose(new_from_old, batch.intrinsics)
    pose = torch.cat([multiply(turn, batch.camera_from_world[:, :2]), batch.camera_from_world[:, 2:]], 1)
    lens = {}
    if batch.distortion is not None and batch.lens == "radial_tangential":
        # The tangential part is a vector in the picture, (p2, p1), and turns along.
        k1, k2, p1, p2, *others = batch.distortion.unbind(1)
        p2, p1 = multiply(turn, torch.stack([p2, p1], 1)[..., None])[..., 0].unbind(1)
        lens["distortion"] = torch.stack([k1, k2, p1, p2, *others], 1)
    return batch.replace(
        intrinsics=intrinsics,
        camera_from_world=pose,
        **lens,
        **_background(batch, new_from_old, aspect, new_aspect or aspect),
    )


def decompose(new_from_old: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Intrinsics and turn of the new camera.

    Args:
        new_from_old: Map of the picture, float32 [B, 3, 3].
        intrinsics: Of the old camera, float32 [B, 3, 3].

    Returns:
        U with the principal point, float32 [B, 3, 3]; and Q, which turns x and y of the camera's frame, [B, 2, 2].

    Example:
        >>> flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))[None]
        >>> intrinsics, turn = decompose(flip, torch.tensor([[[2.0, 0.0, 0.5], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]]))
        >>> intrinsics[0, 0].abs().tolist(), intrinsics[0, 0, 2].item(), turn[0].diagonal().tolist()
        ([2.0, 0.0, 0.5], -0.5, [-1.0, 1.0])
    """
    linear = multiply(new_from_old[:, :2, :2], intrinsics[:, :2, :2])
    point = multiply(new_from_old[:, :2], intrinsics[:, :, 2:])  # the last row of intrinsics is 0 0 1
    top, bottom = linear.unbind(-2)
    fy = torch.linalg.vector_norm(bottom, dim=-1)
    x, y = (bottom / fy[:, None]).unbind(-1)
    across = torch.stack([y, -x], -1)  # at right angles to the last row of Q
    across = torch.where((top * across).sum(-1, keepdim=True) < 0, -across, across)
    turn = torch.stack([across, torch.stack([x, y], -1)], -2)
    fx, skew = multiply(turn, top[..., None])[..., 0].unbind(-1)
    focal = torch.stack([fx, skew, torch.zeros_like(fy), fy], -1).unflatten(-1, (2, 2))
    return torch.cat([torch.cat([focal, point], -1), intrinsics[:, 2:]], 1), turn


def _background(batch: SceneBatch, new_from_old: Tensor, aspect: float, new_aspect: float) -> dict[str, Tensor]:
    """The part of the old background that fills the new picture."""
    back = invert(new_from_old)
    linear = back[:, :2, :2]
    reach = torch.linalg.vector_norm(linear, dim=-2)
    reach = torch.where(torch.diagonal(linear, dim1=-2, dim2=-1) < 0, -reach, reach)
    # Parts of the old picture's width and height at the new picture's left or top, and right or bottom: [B].
    (x0, y0), (x1, y1) = (
        ((back[:, 0, 2] + side * new_aspect * reach[:, 0]) / aspect + 0.5, back[:, 1, 2] + side * reach[:, 1] + 0.5)
        for side in (-0.5, 0.5)
    )
    low, high = batch.photo_crop[:, :2], batch.photo_crop[:, 2:]
    corners = [low + torch.stack(corner, -1) * (high - low) for corner in ((x0, y0), (x1, y1))]
    top, bottom = batch.background_color.unbind(1)
    rows = [top + y[:, None].clamp(0, 1) * (bottom - top) for y in (y0, y1)]
    return {"photo_crop": torch.cat(corners, -1).clamp(0, 1), "background_color": torch.stack(rows, 1)}
