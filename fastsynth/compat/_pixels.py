"""The triangles that the pixels of an image see, as differentiable torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth.ops.antialias import corner_values, vertex_values, without_z
from fastsynth.surface import EDGE_ON, Hit, intersect


def pixel_centres(size: tuple[int, int], like: Tensor) -> Tensor:
    """Pixel centres, x and y, in normalised device coordinates, row 0 at y = -1: [H, W, 2].

    Example:
        >>> pixel_centres((1, 2), torch.zeros(1)).tolist()
        [[[-0.5, 0.0], [0.5, 0.0]]]
    """
    height, width = size
    x = (2 * torch.arange(width, device=like.device).to(like) + 1) / width - 1
    y = (2 * torch.arange(height, device=like.device).to(like) + 1) / height - 1
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def seen(clip: Tensor, faces: Tensor, triangle_id: Tensor) -> tuple[Tensor, Hit]:
    """The clip-space corners of the triangles that are seen, and where the pixels' rays meet them.

    Args:
        clip: float32 [B, V, 4], or [1, V, 4] for all images.
        faces: int32 [F, 3], F > 0.
        triangle_id: int32 [B, H, W], -1 = background, where the answer is arbitrary but finite.

    Returns:
        [B, H, W, 3, 4] and :class:`fastsynth.surface.Hit`.
    """
    height, width = triangle_id.shape[1:]
    corners = corner_values(clip, faces, triangle_id)
    corners = torch.where((triangle_id >= 0)[..., None, None], corners, _spare(clip))
    return corners, intersect(without_z(corners), pixel_centres((height, width), clip), (2 / width, 2 / height))


def _spare(like: Tensor) -> Tensor:
    """Stands in for the triangle of a background pixel, so that nothing there is infinite: clip space, [3, 4]."""
    spare = F.pad(4 * torch.eye(3, 2, dtype=like.dtype, device=like.device) - 1, (0, 1))
    return F.pad(spare, (0, 1), value=1.0)  # (3, -1, 0, 1), (-1, 3, 0, 1), (-1, -1, 0, 1)


class Weights(NamedTuple):
    """Where pixels' rays meet triangles: each [B, H, W]."""

    first: Tensor  #: of corner 0
    second: Tensor  #: of corner 1
    first_x: Tensor  #: change per pixel to the right
    first_y: Tensor  #: change per pixel to the next row
    second_x: Tensor
    second_y: Tensor
    depth: Tensor  #: z/w, without gradient


def weights(clip: Tensor, faces: Tensor, triangle_id: Tensor) -> Weights:
    """What :func:`seen` finds, by numbers made once for each triangle, so that many pixels take less time.

    Args:
        clip: float32 [B, V, 4], or [1, V, 4] for all images.
        faces: int32 [F, 3], F > 0.
        triangle_id: int32 [B, H, W], -1 = background, where the answer is arbitrary but finite.
    """
    forms = _forms(clip, faces)
    count = len(faces) + 1
    index = torch.where(triangle_id >= 0, triangle_id, len(faces))
    if clip.shape[0] > 1:
        index = index + count * torch.arange(len(clip), dtype=torch.int32, device=clip.device)[:, None, None]
    flat = index.flatten()
    p_x, p_y, p_w, q_x, q_y, q_w, d_x, d_y, d_w, from_x, from_y, *zw = (
        form.index_select(0, flat).view(index.shape) for form in forms
    )
    height, width = triangle_id.shape[1:]
    x, y = pixel_centres((height, width), clip).unbind(-1)
    facing = d_x * x + d_y * y + d_w
    scale = 1 / torch.where(facing.abs() > EDGE_ON, facing, EDGE_ON)
    x, y = x - from_x, y - from_y
    second = (p_x * x + p_y * y + p_w) * scale
    third = (q_x * x + q_y * y + q_w) * scale
    second_x, second_y = ((p - second * d) * scale for p, d in ((p_x, d_x), (p_y, d_y)))
    third_x, third_y = ((q - third * d) * scale for q, d in ((q_x, d_x), (q_y, d_y)))
    # The centre may lie outside by the snapping error of the rasterizer.
    second, third = second.clamp(0, 1), third.clamp(0, 1)
    total = (second + third).clamp(min=1)
    second, third = second / total, third / total
    first = (1 - second - third).clamp(min=0)
    with torch.no_grad():
        z, w = (first * a + second * b + third * c for a, b, c in (zw[:3], zw[3:]))
        depth = z / torch.where(w == 0, 1, w)
    wide, tall = 2 / width, 2 / height
    changes = -(second_x + third_x) * wide, -(second_y + third_y) * tall, second_x * wide, second_y * tall
    return Weights(first, second, *changes, depth)


def _forms(clip: Tensor, faces: Tensor) -> list[Tensor]:
    """What :func:`fastsynth.surface.intersect` says of each triangle, [A (F + 1)] each; an image's last is no triangle.

    The numerators of the weights of corners 1 and 2, and their denominator, by a ray's x, y and 1; from where x and y
    count for the numerators; z and w of the corners.
    """
    corners = vertex_values(clip, faces.expand(len(clip), -1, -1))  # [A, F, 3, 4]
    corners = torch.cat([corners, _spare(clip).expand(len(clip), 1, 3, 4)], 1).flatten(0, 1)
    z_and_w = corners[..., 2:].detach().flatten(1).unbind(1)  # z, w of corner 0, of 1, of 2
    v0, v1, v2 = without_z(corners).unbind(1)
    e1, e2 = v1 - v0, v2 - v0
    to_1, to_2, facing = (torch.linalg.cross(*pair) for pair in ((v0, e2), (e1, v0), (e2, e1)))
    # The first two are perpendicular to v0: the ray relative to corner 0's projection, where it has one, keeps small
    # far triangles accurate.
    ahead = v0[:, 2] > 1e-6
    origin = torch.where(ahead[:, None], v0[:, :2] / torch.where(ahead, v0[:, 2], 1)[:, None], 0)
    relative = [torch.cat([to[:, :2], torch.where(ahead, 0, to[:, 2])[:, None]], 1) for to in (to_1, to_2)]
    return [*torch.cat([*relative, facing, origin], 1).unbind(1), *z_and_w[::2], *z_and_w[1::2]]
