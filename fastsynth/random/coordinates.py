"""Coordinates: free numbers that stand for the parameters of a distribution while these are learned.

Every coordinate is 0 where learning starts, has no bounds and no unit: 1 is about one width of the distribution as it
was then. One learning rate therefore suits them all. They are offsets from the start, such that coordinates of 0 give
the parameters of the start to the last bit: learning, by itself, changes no image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

Within = tuple[Tensor, Tensor]

# How near to its limits a value may start before its coordinate is taken from further inside: at the limit itself the
# logistic function has no slope.
NEAREST = 0.02


class _Clamp(torch.autograd.Function):
    """Between two limits; the gradient passes as if there were none, so that what lies on a limit can leave it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(x, low), high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad, None, None


def clamp(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`x` in [low, high], with the gradient of `x`."""
    return _Clamp.apply(x, low, high)  # type: ignore[return-value]


def logistic_offset(fraction: Tensor, coordinate: Tensor) -> Tensor:
    """How far a fraction in [0, 1] moves when the coordinate of its logistic curve does; 0 for 0.

    Example:
        >>> round(logistic_offset(torch.tensor(0.5), torch.tensor(9.0)).item(), 3)
        0.5
    """
    start = torch.logit(fraction.clamp(NEAREST, 1 - NEAREST))
    return torch.sigmoid(start + coordinate) - torch.sigmoid(start)


class Coordinates(nn.Module):
    """Every parameter by itself, without a rule: what a `Constant` and a distribution of your own have.

    A subclass names the parameters that it stands for (`replaced`), its coordinates (`names`), and how these give those
    (`values`).

    Args:
        start: The parameters as they are.
        within: Limits of the values, or None.
        rest: Parameters of the distribution that stay as they are.
    """

    floor: Tensor
    ceiling: Tensor
    #: Buffers of the distribution that these stand for; empty for all that are floating-point.
    replaced: tuple[str, ...] = ()
    #: The coordinates; empty for one to each parameter, of its name.
    names: tuple[str, ...] = ()

    def __init__(
        self, start: dict[str, Tensor], within: Within | None = None, rest: dict[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.parameters_of = tuple(start)
        for name, value in start.items():
            self.register_buffer(f"start_{name}", value.detach().clone())
        like = next(iter(start.values()))
        self.limited = within is not None
        if within is not None:
            for name, limit in zip(("floor", "ceiling"), self.limits(within), strict=True):
                self.register_buffer(name, limit.to(like).expand_as(like).clone())
        self.check()
        for name in self.names or self.parameters_of:
            self.register_parameter(name, nn.Parameter(torch.zeros_like(start.get(name, like))))

    def limits(self, within: Within) -> Within:
        """The limits in the units of the parameters."""
        return within

    def start(self, name: str) -> Tensor:
        """A parameter as it was at the start."""
        return getattr(self, f"start_{name}")

    def check(self) -> None:
        """Raises ValueError where nothing can be learned from this start."""
        if self.limited:
            for name in self.parameters_of:
                self.require((self.start(name) >= self.floor) & (self.start(name) <= self.ceiling), name)

    def require(self, holds: Tensor, what: str) -> None:
        """Raises where the start lies outside the limits."""
        if not bool(holds.all()):
            raise ValueError(
                f"learn(): `within` must hold what is there already, but `{what}` is {self.start(what).tolist()} and "
                f"the limits are {self.floor.tolist()} and {self.ceiling.tolist()}. Widen `within`, or move the "
                "distribution first by load_json."
            )

    def values(self) -> dict[str, Tensor]:
        """The parameters, differentiable in the coordinates."""
        found = {}
        for name in self.parameters_of:
            start, moved = self.start(name), getattr(self, name)
            if self.limited:
                found[name] = self._between(start, moved, self.floor, self.ceiling)
            else:
                size = start.abs().max()
                found[name] = start + torch.where(size > 0, size, 1) * moved
        return found

    @staticmethod
    def _between(start: Tensor, moved: Tensor, floor: Tensor, ceiling: Tensor) -> Tensor:
        span = ceiling - floor
        fraction = (start - floor) / torch.where(span > 0, span, 1)
        return clamp(start + span * logistic_offset(fraction, moved), floor, ceiling)

    def box(self) -> dict[str, tuple[Tensor, Tensor]]:
        """For each parameter, between which bounds a search that is not told more may look."""
        bounds = {}
        for name in self.parameters_of:
            start = self.start(name)
            size = torch.where(start.abs().max() > 0, start.abs().max(), 1)
            bounds[name] = (self.floor, self.ceiling) if self.limited else (start - size, start + size)
        return bounds

    def legal(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Parameters out of a box, put so that they keep the rules of the distribution."""
        return values

    @torch.no_grad()
    def restart_(self, values: dict[str, Tensor]) -> None:
        """Start anew from these parameters: coordinates of 0."""
        for name, value in values.items():
            self.start(name).copy_(value)
        for coordinate in self.parameters():
            coordinate.zero_()

    def entropy_change(self) -> Tensor:
        """How much the logarithm of the spread has changed since the start [nats], at its least component."""
        return torch.zeros((), device=next(self.parameters()).device)

    @torch.no_grad()
    def keep_entropy_(self, floor: float) -> None:
        """Widen what has lost more than this of the logarithm of its spread since the start.

        Args:
            floor: Least change allowed, below 0 [nats].
        """
