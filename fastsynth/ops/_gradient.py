"""How an operator gets its gradient: once, and no further."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fastsynth.ops import _library  # noqa: F401


def register_gradient(op: str, save: Callable, backward: Callable) -> None:
    """Registers the gradient of ``fastsynth::op``, whose kernels are the operator ``fastsynth::op_backward``.

    Args:
        op: The operator's name.
        save: ``save(ctx, inputs, output)`` keeps what the gradient needs.
        backward: ``backward(ctx, grad)`` returns a gradient for each input.
    """

    def no_second(ctx, *grads):
        raise NotImplementedError(
            f"fastsynth.{op}: its gradient is not differentiable a second time. Take it without create_graph=True, or "
            "detach what it is part of."
        )

    def no_vmap(info, in_dims, *args):
        raise NotImplementedError(
            f"fastsynth.{op}: torch.vmap is not supported. Give all images to one call: its tensors have a batch axis."
        )

    torch.library.register_autograd(f"fastsynth::{op}", backward, setup_context=save)
    torch.library.register_autograd(f"fastsynth::{op}_backward", no_second)
    torch.library.register_vmap(f"fastsynth::{op}", no_vmap)
    torch.library.register_vmap(f"fastsynth::{op}_backward", no_vmap)


def wanted(value, flag: bool):
    """What a backward operator returned for an input, or None where it was not asked for."""
    return value if flag else None
