"""Vertex attributes at the pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth._expect import countable, expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient, wanted
from fastsynth.ops.rasterize import Fragments


def interpolate(attributes: Tensor, faces: Tensor, fragments: Fragments) -> Tensor:
    """Vertex attributes at the pixels.

    Each pixel receives the attributes of the visible triangle's vertices, weighted by
    its barycentric coordinates. Differentiable in ``attributes`` and in ``fragments.barycentric``.

    Args:
        attributes: Values at the vertices, float32 [B, V, C], or [1, V, C] for all images.
        faces: Vertex indices of the triangles, int32 [F, 3].
        fragments: What is visible at each pixel, from :func:`rasterize`.

    Returns:
        Values at the pixels, float32 [B, H, W, C]; zero on the background.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device, or 2^31 values or more for an image.
        RuntimeError: on the CPU, an id or index that leads nowhere. On CUDA such a pixel is zero.

    Example:
        >>> import torch
        >>> from fastsynth.ops import Fragments
        >>> corners = torch.tensor([[[0.0], [3.0], [6.0]]])
        >>> faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
        >>> face, weights = torch.zeros(1, 1, 1, dtype=torch.int32), torch.full((1, 1, 1, 2), 0.25)
        >>> pixel = Fragments(face, weights, torch.ones(1, 1, 1))
        >>> interpolate(corners, faces, pixel).item()
        3.75
    """
    sizes = expect(
        "interpolate",
        attributes=(attributes, "A V C", torch.float32),
        faces=(faces, "F 3", torch.int32),
        triangle_id=(fragments.triangle_id, "B H W", torch.int32),
        barycentric=(fragments.barycentric, "B H W 2", torch.float32),
    )
    if sizes["A"] not in (1, sizes["B"]):
        raise ValueError(
            f"interpolate(): `attributes` must be [B, V, C] or [1, V, C] with B = {sizes['B']} from `triangle_id`, "
            f"but has {list(attributes.shape)}."
        )
    countable("interpolate", attributes=sizes["V"] * sizes["C"], faces=faces.numel())
    return torch.ops.fastsynth.interpolate(
        attributes.contiguous(),
        faces.contiguous(),
        fragments.triangle_id.contiguous(),
        fragments.barycentric.contiguous(),
    )


@torch.library.register_fake("fastsynth::interpolate")
def _(attributes, faces, triangle_id, barycentric):
    return attributes.new_empty(*triangle_id.shape, attributes.shape[-1])


@torch.library.register_fake("fastsynth::interpolate_backward")
def _(grad, attributes, faces, triangle_id, barycentric, to_attributes, to_barycentric):
    return [
        torch.empty_like(attributes) if to_attributes else grad.new_empty(0),
        torch.empty_like(barycentric) if to_barycentric else grad.new_empty(0),
    ]


def _save(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):
    to_attributes, _, _, to_barycentric = ctx.needs_input_grad
    by_attributes, by_barycentric = torch.ops.fastsynth.interpolate_backward(
        grad.contiguous(), *ctx.saved_tensors, to_attributes, to_barycentric
    )
    return wanted(by_attributes, to_attributes), None, None, wanted(by_barycentric, to_barycentric)


register_gradient("interpolate", _save, _backward)
