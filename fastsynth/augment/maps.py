"""Affine maps of pictures: where each point of the old picture lies in the new one.

A map is a matrix ``new_from_old``, float32 [B, 3, 3] with last row 0 0 1. Both pictures are measured as intrinsics are:
from the picture's centre, x right, y down, in its own heights, so that a map fits every resolution. One map after
another is ``fs.geometry.multiply(second, first)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth._expect import expect


def affine(
    angle: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    horizontal_flip: Tensor | None = None,
    vertical_flip: Tensor | None = None,
) -> Tensor:
    """Flip, then scale and turn about the picture's centre, then shift.

    Args:
        angle: The picture turns clockwise, float32 [B] [rad].
        scale: Above 1 makes things larger, float32 [B], not 0; 1 by default.
        shift: To the right and down, in heights of the new picture, float32 [B, 2]; 0 by default.
        horizontal_flip: Which images swap left and right, bool [B]; none by default.
        vertical_flip: Which images swap top and bottom, bool [B]; none by default.

    Returns:
        ``new_from_old``, float32 [B, 3, 3]; differentiable in `angle`, `scale` and `shift`.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device.

    Example:
        >>> twice = affine(torch.zeros(1), scale=torch.tensor([2.0]), horizontal_flip=torch.tensor([True]))
        >>> (twice @ torch.tensor([0.25, 0.125, 1.0])).tolist()
        [[-0.5, 0.25, 1.0]]
    """
    scale = torch.ones_like(angle) if scale is None else scale
    shift = angle.new_zeros(*angle.shape, 2) if shift is None else shift
    never = torch.zeros_like(angle, dtype=torch.bool)
    flips = {"horizontal_flip": horizontal_flip, "vertical_flip": vertical_flip}
    across, down = (never if flip is None else flip for flip in flips.values())
    expect(
        "affine",
        angle=(angle, "B", torch.float32),
        scale=(scale, "B", torch.float32),
        shift=(shift, "B 2", torch.float32),
        horizontal_flip=(across, "B", torch.bool),
        vertical_flip=(down, "B", torch.bool),
    )
    c, s = angle.cos() * scale, angle.sin() * scale
    x, y = torch.where(across, -1.0, 1.0), torch.where(down, -1.0, 1.0)
    return _matrix(c * x, -s * y, shift[:, 0], s * x, c * y, shift[:, 1])


def crop(box: Tensor, size: tuple[float, float], new_size: tuple[float, float] | None = None) -> Tensor:
    """A box of the picture fills the new picture; one of another aspect is stretched.

    Args:
        box: x0 y0 x1 y1 in the old picture, x1 > x0 and y1 > y0, float32 [B, 4] [pixels]; it may reach beyond.
        size: Height and width of the old picture [pixels].
        new_size: Height and width of the new picture, of which only the ratio matters; that of `size` by default.

    Returns:
        ``new_from_old``, float32 [B, 3, 3]; differentiable in `box`.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype or shape.

    Example:
        >>> middle = torch.tensor([[20.0, 10.0, 60.0, 40.0]])
        >>> crop(middle, size=(60, 80), new_size=(30, 40))[0].tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.1666666716337204], [0.0, 0.0, 1.0]]
    """
    expect("crop", box=(box, "B 4", torch.float32))
    (height, width), (new_height, new_width) = size, new_size or size
    x0, y0, x1, y1 = box.unbind(-1)
    across, down = new_width / new_height / (x1 - x0), 1 / (y1 - y0)
    zero = torch.zeros_like(x0)
    x, y = (width - x0 - x1) / 2 * across, (height - y0 - y1) / 2 * down
    return _matrix(height * across, zero, x, zero, height * down, y)


def invert(new_from_old: Tensor) -> Tensor:
    """The map back, float [..., 3, 3].

    Written out: a matrix factorisation would wait for the device to say whether it went well.

    Example:
        >>> invert(affine(torch.zeros(1), scale=torch.tensor([2.0]), shift=torch.tensor([[1.0, 0.0]])))[0, 0].tolist()
        [0.5, 0.0, -0.5]
    """
    (a, b, x), (c, d, y) = (row.unbind(-1) for row in new_from_old[..., :2, :].unbind(-2))
    one = 1 / (a * d - b * c)
    a, b, c, d = d * one, -b * one, -c * one, a * one
    return _matrix(a, b, -(a * x + b * y), c, d, -(c * x + d * y))


def _matrix(a: Tensor, b: Tensor, x: Tensor, c: Tensor, d: Tensor, y: Tensor) -> Tensor:
    """Maps of their entries: [...] each -> [..., 3, 3]."""
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    return torch.stack([a, b, x, c, d, y, zero, zero, one], -1).unflatten(-1, (3, 3))
