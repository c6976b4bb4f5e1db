"""One way to say what a tensor must be, and one voice for saying it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def expect(op: str, **specs: tuple[Tensor, str, torch.dtype]) -> dict[str, int]:
    """Check tensors against shapes written as names, and return the sizes.

    ``expect("rasterize", faces=(faces, "F 3", torch.int32))`` checks that ``faces`` is
    an int32 tensor of shape [F, 3] and returns ``{"F": len(faces)}``. A name used by
    several tensors must have one size; all tensors must share one device.

    Raises:
        TypeError: not a tensor, or the wrong dtype.
        ValueError: the wrong shape or device.
    """
    sizes: dict[str, int] = {}
    owner: dict[str, str] = {}
    for name, (value, _, dtype) in specs.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{op}(): `{name}` must be a tensor, but is {type(value).__name__}.")
        if value.dtype != dtype:
            raise TypeError(f"{op}(): `{name}` must be {dtype}, but is {value.dtype}. Call .to({dtype}) on it.")
    one_device(op, {name: value for name, (value, _, _) in specs.items()})
    for name, (value, shape, _) in specs.items():
        axes = shape.split()
        if value.ndim != len(axes):
            raise ValueError(f"{op}(): `{name}` must have shape [{', '.join(axes)}], but has {list(value.shape)}.")
        for axis, size in zip(axes, value.shape, strict=True):
            want = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
            if size != want:
                why = "" if axis.isdigit() else f" ({axis} = {want} comes from `{owner[axis]}`)"
                raise ValueError(
                    f"{op}(): `{name}` must have shape [{', '.join(axes)}], but has {list(value.shape)}{why}."
                )
            owner.setdefault(axis, name)
    return sizes


def one_device(op: str, tensors: Mapping[str, Tensor]) -> None:
    """Check that tensors share one device: a kernel that is given another's pointers reads memory that is not there.

    Raises:
        ValueError: they do not.
    """
    first_name, first = next(iter(tensors.items()))
    for name, value in tensors.items():
        if value.device != first.device:
            raise ValueError(
                f"{op}(): all tensors must be on one device, but `{first_name}` is on {first.device} "
                f'and `{name}` is on {value.device}. Call .to("{first.device}") on the latter, or move the former.'
            )


def countable(op: str, **counts: int) -> None:
    """Check numbers of values, by the tensor that holds them, that kernels count in 31 bits.

    Raises:
        ValueError: there are more.
    """
    for name, count in counts.items():
        if count >= 1 << 31:
            raise ValueError(
                f"{op}(): `{name}` may have up to {(1 << 31) - 1} values for an image, but has {count}. "
                "Give it in parts: some of the channels or faces at a time."
            )


def dense(owner: object, names: Iterable[str]) -> None:
    """Replaces tensors of a frozen dataclass whose rows do not lie in order, as kernels read them, by copies."""
    for name in names:
        value = getattr(owner, name)
        if not value.is_contiguous():
            object.__setattr__(owner, name, value.contiguous())
