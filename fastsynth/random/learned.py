"""Distributions whose parameters are being learned.

While a distribution is learned it holds `Coordinates` as its part ``learned``, and its class is a subclass of what it
was, in which each parameter is a property computed from them: what reads ``distribution.low`` reads the value of this
moment, with its gradient. A distribution that is not learned is left exactly as it was, buffers and class.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from fastsynth.random.coordinates import Coordinates
from fastsynth.random.distribution import Distribution


class Learning:
    """What makes a distribution one that is learned; comes before its own class."""

    learned: Coordinates
    _event: tuple[int, ...]

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of one value, which learning does not change."""
        return self._event

    def __reduce__(self) -> Any:
        # A class made at run time cannot be found by its name: pickle what it is made of.
        base = type(self).__mro__[2]
        return _blank, (base, self.learned.parameters_of), self.__dict__


@functools.lru_cache(maxsize=256)
def _class_of(base: type[Distribution], names: tuple[str, ...]) -> type[Distribution]:
    """The subclass of a distribution in which these parameters are computed."""

    def computed(name: str) -> property:
        return property(lambda self: self.learned.values()[name])

    return type(f"Learned{base.__name__}", (Learning, base), {name: computed(name) for name in names})


def _blank(base: type[Distribution], names: tuple[str, ...]) -> Distribution:
    cls = _class_of(base, names)
    return cls.__new__(cls)


def is_learned(distribution: Distribution) -> bool:
    """Whether its parameters are being learned."""
    return isinstance(distribution, Learning)


def buffers_of(distribution: Distribution) -> tuple[str, ...]:
    """Names of the parameters that can be learned; none for a distribution that has none."""
    own = [name for name, value in distribution.named_buffers(recurse=False) if value.is_floating_point()]
    return tuple(name for name in distribution.coordinates.replaced or own if name in own)


def parameters_of(distribution: Distribution) -> dict[str, Tensor]:
    """The parameters of a distribution, learned or not, without gradient: those of its constructor."""
    found = {name: value.detach() for name, value in distribution.named_buffers(recurse=False)}
    if is_learned(distribution):
        now = {name: value.detach() for name, value in distribution.learned.values().items()}
        order = distribution._order
        found = {name: {**found, **now}[name] for name in order}
    return found


def learn(distribution: Distribution, within: tuple[Tensor, Tensor] | None = None) -> None:
    """Make the parameters of a distribution learnable, with values that stay within limits if there are any."""
    names = buffers_of(distribution)
    buffers = dict(distribution.named_buffers(recurse=False))
    start = {name: buffers[name] for name in names}
    rest = {name: value for name, value in buffers.items() if name not in names}
    coordinates = distribution.coordinates(start, within, rest)
    distribution._event, distribution._order = distribution.event, tuple(buffers)
    for name in names:
        delattr(distribution, name)
    distribution.learned = coordinates
    distribution.__class__ = _class_of(type(distribution), names)  # type: ignore[assignment]


@torch.no_grad()
def freeze(distribution: Distribution) -> None:
    """Make what was learned the fixed parameters of the distribution."""
    if not is_learned(distribution):
        return
    now = {name: value.detach().clone() for name, value in parameters_of(distribution).items()}
    distribution.__class__ = type(distribution).__mro__[2]  # type: ignore[assignment]
    del distribution.learned
    for name in list(distribution._buffers):
        delattr(distribution, name)
    for name, value in now.items():
        distribution.register_buffer(name, value)
    del distribution._event, distribution._order


@torch.no_grad()
def assign(distribution: Distribution, values: dict[str, Tensor]) -> None:
    """Set parameters; learning, if any, starts anew from there.

    Raises:
        ValueError: the parameters break a rule of the distribution, which then keeps those that it had.
    """
    before = {name: value.clone() for name, value in parameters_of(distribution).items() if name in values}
    _copy(distribution, values)
    try:
        distribution.check()
    except ValueError:
        _copy(distribution, before)
        raise


def _copy(distribution: Distribution, values: dict[str, Tensor]) -> None:
    learned = distribution.learned.parameters_of if is_learned(distribution) else ()
    for name, value in values.items():
        if name not in learned:
            getattr(distribution, name).copy_(value)
    if learned:
        now = parameters_of(distribution)
        distribution.learned.restart_({name: values.get(name, now[name]) for name in learned})
