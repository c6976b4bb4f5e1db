"""Small kernels for :func:`fastsynth.ops.convolve`: Gaussians, boxes, lines.

All are normalised, centred, [B, K, K] with K = 2 radius + 1, and of elementwise arithmetic alone, so that a kernel has
the same bits in every batch. Angles run from the x axis (right) towards the y axis (down), in radians.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Least standard deviation across a stroke [pixels]: a thinner one would fall between the pixels.
THINNEST = 0.4
#: Standard deviations from the centre at which a Gaussian ends.
REACH = 3.5


def _grid(radius: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """X and y of a kernel's pixels [pixels], [K] and [K, 1]."""
    line = torch.arange(-radius, radius + 1, device=like.device).to(like)
    return line, line[:, None]


def _normalised(weights: Tensor) -> Tensor:
    """The weights of each kernel over their sum, added in one order whatever the batch: [B, K, K]."""
    total = sum(column for column in weights.unbind(-1))
    return weights / sum(row for row in total.unbind(-1))[:, None, None]  # type: ignore[union-attr]


def gaussian_kernel(sigma_u: Tensor, sigma_v: Tensor, alpha: Tensor, radius: int) -> Tensor:
    """A Gaussian with two widths: ``exp(-(u^2 / sigma_u^2 + v^2 / sigma_v^2) / 2)``.

    u runs along the direction alpha, v across it. The smaller width is held to 0.4 pixels, or to the larger one where
    that is less: a stroke thinner than the pixels would miss them. The kernel ends at three and a half standard
    deviations, and its value there is taken off everywhere, so that no pixel enters with a step and the gradient is
    whole; that makes it 2 % narrower.

    Args:
        sigma_u: Standard deviation along the direction [pixels], float32 [B].
        sigma_v: Across it [pixels], float32 [B].
        alpha: The direction [rad], from x towards y (down), float32 [B].
        radius: Half width of the array [pixels]; what reaches beyond is cut off.

    Returns:
        float32 [B, K, K], differentiable in all three.

    Example:
        >>> kernel = gaussian_kernel(torch.tensor([2.0]), torch.tensor([0.0]), torch.tensor([0.0]), 3)
        >>> [round(x, 2) for x in kernel[0, 3].tolist()], round(kernel.sum().item(), 4)
        ([0.06, 0.12, 0.18, 0.2, 0.18, 0.12, 0.06], 1.0)
    """
    u_width = torch.maximum(sigma_u, sigma_v.clamp(max=THINNEST)).clamp(min=1e-3)
    v_width = torch.maximum(sigma_v, sigma_u.clamp(max=THINNEST)).clamp(min=1e-3)
    x, y = _grid(radius, sigma_u)
    cosine, sine = alpha.cos()[:, None, None], alpha.sin()[:, None, None]
    u, v = (x * cosine + y * sine) / u_width[:, None, None], (y * cosine - x * sine) / v_width[:, None, None]
    square = u * u + v * v
    edge = math.exp(-0.5 * REACH * REACH)
    return _normalised(torch.where(square < REACH * REACH, (-0.5 * square.clamp(max=REACH * REACH)).exp() - edge, 0.0))


def line_kernel(length: Tensor, alpha: Tensor, radius: int, begin: Tensor | float = -0.5) -> Tensor:
    """A straight stroke of even weight, as a camera's motion leaves it during the exposure.

    Args:
        length: Of the stroke [pixels], float32 [B]; 0 leaves the picture as it is.
        alpha: Its direction [rad], from x towards y (down), float32 [B].
        radius: Half width of the array [pixels]; what reaches beyond is cut off.
        begin: Where the stroke begins, in lengths from the centre: -0.5 for a stroke about the pixel, 0 for one that
            begins there, -1 for one that ends there. A number or float32 [B].

    Returns:
        float32 [B, K, K], differentiable in the length and the direction: the stroke's pixels have the share of it
        that a bilinear lookup would give them.

    Example:
        >>> [round(x, 2) for x in line_kernel(torch.tensor([3.0]), torch.tensor([0.0]), 2)[0, 2].tolist()]
        [0.04, 0.29, 0.33, 0.29, 0.04]
    """
    x, y = _grid(radius, length)
    count = 4 * (2 * radius + 1)
    along = (torch.arange(count, device=length.device).to(length) + 0.5) / count
    start = begin[:, None] if isinstance(begin, Tensor) else begin
    at = ((along + start) * length[:, None])[:, :, None, None]
    from_x = (1 - (x - at * alpha.cos()[:, None, None, None]).abs()).clamp(min=0)
    from_y = (1 - (y - at * alpha.sin()[:, None, None, None]).abs()).clamp(min=0)
    share = from_x * from_y
    return _normalised(sum(share.unbind(1)))  # type: ignore[arg-type]


def box_kernel(images: int, side: int, device: torch.device | str = "cpu") -> Tensor:
    """The mean of a square: float32 [B, side, side].

    Example:
        >>> box_kernel(1, 3).sum().item()
        1.0
    """
    return torch.full((images, side, side), 1.0 / (side * side), device=device)


def delta_kernel(images: int, side: int, device: torch.device | str = "cpu") -> Tensor:
    """The kernel that leaves a picture as it is: float32 [B, side, side].

    Example:
        >>> delta_kernel(1, 3)[0].tolist()
        [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    kernel = torch.zeros(images, side, side, device=device)
    kernel[:, side // 2, side // 2] = 1.0
    return kernel
