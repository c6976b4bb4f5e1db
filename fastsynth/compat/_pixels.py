"""The triangles that the pixels of an image see, as differentiable torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth.ops.antialias import corner_values, without_z
from fastsynth.surface import Hit, intersect


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
    # Stands in for the triangle of a background pixel, so that nothing there is infinite.
    spare = F.pad(4 * torch.eye(3, 2, dtype=clip.dtype, device=clip.device) - 1, (0, 1))
    spare = F.pad(spare, (0, 1), value=1.0)  # (3, -1, 0, 1), (-1, 3, 0, 1), (-1, -1, 0, 1)
    corners = torch.where((triangle_id >= 0)[..., None, None], corner_values(clip, faces, triangle_id), spare)
    return corners, intersect(without_z(corners), pixel_centres((height, width), clip), (2 / width, 2 / height))
