"""Gradient-domain blending."""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient, wanted


def poisson(source: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The source's differences between neighbouring pixels inside a mask, the target outside, and no seam.

    Inside, the result is the least-squares fit of the source's differences to the right and down that meets the target
    at the pixels around the mask (Perez, Gangnet and Blake, "Poisson Image Editing", SIGGRAPH 2003, equation 7 with
    the source's gradient for guidance: not their mixed gradients). The differences across the mask's edge count, so
    the source's pixels next to the mask do. Where the mask touches the border of the picture, nothing is held there;
    a mask of the whole picture leaves the source.

    Solved to about 1e-4 of the difference of source and target around the mask; time grows with the size of the picture
    and little more. Differentiable in source and target. Pixels outside the mask are the target's, bit for bit.

    Args:
        source: float32 [B, C, H, W].
        target: float32 [B, C, H, W].
        mask: bool [B, H, W].

    Returns:
        float32 [B, C, H, W]; not held to any range.

    Example:
        >>> flat, grey, mask = torch.zeros(1, 1, 5, 5), torch.full((1, 1, 5, 5), 0.5), torch.zeros(1, 5, 5).bool()
        >>> mask[0, 1:4, 1:4] = True
        >>> bool(poisson(flat, grey, mask).allclose(grey, atol=1e-3))
        True
    """
    expect(
        "poisson",
        source=(source, "B C H W", torch.float32),
        target=(target, "B C H W", torch.float32),
        mask=(mask, "B H W", torch.bool),
    )
    return torch.ops.fastsynth.poisson(source.contiguous(), target.contiguous(), mask.int().contiguous())


@torch.library.register_fake("fastsynth::poisson")
def _(source, target, mask):
    return torch.empty_like(source)


@torch.library.register_fake("fastsynth::poisson_backward")
def _(grad, mask):
    return [torch.empty_like(grad), torch.empty_like(grad)]


def _save(ctx, inputs, output):
    ctx.save_for_backward(inputs[2])


def _backward(ctx, grad):
    grads = torch.ops.fastsynth.poisson_backward(grad.contiguous(), *ctx.saved_tensors)
    return *map(wanted, grads, ctx.needs_input_grad[:2]), None


register_gradient("poisson", _save, _backward)
