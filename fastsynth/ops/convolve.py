"""Convolution of each image with a small kernel of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient, wanted

MAX_RADIUS = 64


def convolve(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolution with a kernel for each image: each pixel's value is spread as the kernel says.

    Differentiable in both. Columns of a row of the kernel before its first and behind its last number that is not 0
    cost nothing, so that thin and short kernels are fast in a wide array.

    Args:
        image: float32 [B, C, H, W]; the border pixel is repeated outside.
        kernel: float32 [B, K, K] with K = 2 r + 1, the centre in the middle, r up to 64: ``kernel[r + dy, r + dx]`` of
            a pixel's value goes dy down and dx to the right.

    Returns:
        float32 [B, C, H, W].

    Example:
        >>> to_the_right = torch.zeros(1, 3, 3)
        >>> to_the_right[0, 1, 2] = 1.0
        >>> convolve(torch.tensor([[[[1.0, 2.0, 3.0]]]]), to_the_right).flatten().tolist()
        [1.0, 1.0, 2.0]
    """
    sizes = expect("convolve", image=(image, "B C H W", torch.float32), kernel=(kernel, "B K K", torch.float32))
    radius, odd = divmod(sizes["K"], 2)
    if not odd or radius > MAX_RADIUS:
        raise ValueError(
            f"convolve(): `kernel` must have an odd side of at most {2 * MAX_RADIUS + 1} pixels, but has {sizes['K']}."
        )
    if image.numel() and radius:
        image = F.pad(image, (radius,) * 4, mode="replicate")
    elif radius:
        return image
    return torch.ops.fastsynth.convolve(image.contiguous(), kernel.contiguous())


@torch.library.register_fake("fastsynth::convolve")
def _(image, kernel):
    around = kernel.shape[1] - 1
    return image.new_empty(*image.shape[:2], image.shape[2] - around, image.shape[3] - around)


@torch.library.register_fake("fastsynth::convolve_backward")
def _(grad, image, kernel, to_image, to_kernel):
    return [
        torch.empty_like(image) if to_image else grad.new_empty(0),
        torch.empty_like(kernel) if to_kernel else grad.new_empty(0),
    ]


def _save(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):
    wants = ctx.needs_input_grad
    grads = torch.ops.fastsynth.convolve_backward(grad.contiguous(), *ctx.saved_tensors, *wants)
    return tuple(map(wanted, grads, wants))


register_gradient("convolve", _save, _backward)
