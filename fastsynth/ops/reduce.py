"""Extent and area of every instance of an id map, in one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401


def reduce(instance_id: Tensor, instances: int) -> Tensor:
    """Bounds and pixel count of each id.

    Args:
        instance_id: int32 [B, H, W]; ids outside 0..instances-1 are not counted.
        instances: N.

    Returns:
        int32 [B, N, 5]: smallest x and y, largest x and y (inclusive), pixels. An id that is
            not there has no pixels and bounds that say so (largest below smallest).

    Example:
        >>> import torch
        >>> reduce(torch.tensor([[[0, 0, -1], [-1, 0, -1]]], dtype=torch.int32), 1).tolist()
        [[[0, 0, 1, 1, 3]]]
    """
    expect("reduce", instance_id=(instance_id, "B H W", torch.int32))
    return torch.ops.fastsynth.reduce(instance_id.contiguous(), int(instances))


@torch.library.register_fake("fastsynth::reduce")
def _(instance_id, instances):
    return instance_id.new_empty(instance_id.shape[0], instances, 5)


def boxes_of(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes and pixel counts from what :func:`reduce` returns.

    Args:
        seen: int32 [B, N, 5].

    Returns:
        Boxes xyxy [pixels], max exclusive, float32 [B, N, 4], all 0 where nothing is seen; pixels, int32 [B, N].

    Example:
        >>> import torch
        >>> boxes_of(torch.tensor([[[0, 0, 1, 1, 3]]], dtype=torch.int32))[0].tolist()
        [[[0.0, 0.0, 2.0, 2.0]]]
    """
    pixels = seen[..., 4]
    corners = torch.cat([seen[..., :2], seen[..., 2:4] + 1], -1)
    return torch.where(pixels[..., None] > 0, corners, 0).float(), pixels
