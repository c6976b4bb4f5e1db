"""Object vertices to clip space."""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient, wanted


def transform(vertices: Tensor, clip_from_object: Tensor) -> Tensor:
    """Vertices times one matrix for each image.

    Our own kernel rather than a matrix product of torch's, because its bits decide
    which pixels are covered and must be the same on every device. Differentiable in both.

    Args:
        vertices: Object-space positions, float32 [V, 3].
        clip_from_object: Matrices acting on columns, float32 [B, 4, 4].

    Returns:
        Clip-space positions, float32 [B, V, 4].

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device.

    Example:
        >>> import torch
        >>> matrix = torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0]))
        >>> transform(torch.tensor([[1.0, 2.0, 3.0]]), matrix[None])
        tensor([[[2., 2., 3., 1.]]])
    """
    expect(
        "transform",
        vertices=(vertices, "V 3", torch.float32),
        clip_from_object=(clip_from_object, "B 4 4", torch.float32),
    )
    return torch.ops.fastsynth.transform(vertices.contiguous(), clip_from_object.contiguous())


@torch.library.register_fake("fastsynth::transform")
def _(vertices, matrices):
    return vertices.new_empty(matrices.shape[0], vertices.shape[0], 4)


@torch.library.register_fake("fastsynth::transform_backward")
def _(grad, vertices, matrices, to_vertices, to_matrices):
    return [
        torch.empty_like(vertices) if to_vertices else grad.new_empty(0),
        torch.empty_like(matrices) if to_matrices else grad.new_empty(0),
    ]


def _save(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):
    wants = ctx.needs_input_grad
    grads = torch.ops.fastsynth.transform_backward(grad.contiguous(), *ctx.saved_tensors, *wants)
    return tuple(map(wanted, grads, wants))


register_gradient("transform", _save, _backward)
