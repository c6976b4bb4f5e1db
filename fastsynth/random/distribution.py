"""What a distribution is, and the simplest one.

A distribution is a differentiable map from uniform numbers to values. A parameter of it is a buffer, so that its place
in a scene's ``state_dict`` is the path by which it is known everywhere else: ``camera.distance.low``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastsynth.random.coordinates import Coordinates
from fastsynth.random.noise import Noise


def as_buffer(value: Any) -> Tensor:
    """float32 of anything; a copy, so that a buffer is nobody else's tensor."""
    if isinstance(value, Tensor):
        return value.detach().clone().float()
    return torch.tensor(np.asarray(value, dtype=np.float32))


class Distribution(nn.Module, ABC):
    """What a random value looks like.

    A subclass says which uniform numbers one value takes (`numbers`), what shape the value has (`event`), and how
    the ones become the other (`from_uniform`), built of differentiable torch functions without a loop.

    The same object in two places of a scene draws the same numbers in both: two values that must differ need two
    distributions.

    Attributes:
        name: Name of the stream when no scene gives one: the attribute of the randomizer that holds it.
    """

    name: str = ""
    #: How the parameters are learned; a subclass with rules of its own may name other `Coordinates`.
    coordinates: type[Coordinates] = Coordinates
    # There only while the distribution is learned, see learned.py.
    learned: Coordinates
    _event: tuple[int, ...]
    _order: tuple[str, ...]

    @property
    @abstractmethod
    def event(self) -> tuple[int, ...]:
        """Shape of one value: () for a number, (3,) for a position."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Shape of the uniform numbers that one value takes."""
        return self.event

    @abstractmethod
    def from_uniform(self, u: Tensor) -> Tensor:
        """Uniform numbers in [0, 1), float32 [..., *numbers], to values [..., *event]."""

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Values for each image.

        Args:
            noise: Where the uniform numbers come from.
            shape: Axes between the images and the value: N for one value an instance.

        Returns:
            [B, *shape, *event].

        Example:
            >>> import fastsynth as fs
            >>> noise = Noise(seed=0, index=torch.arange(2))
            >>> fs.Uniform((0, 0), (1, 2)).sample(noise, 5).shape
            torch.Size([2, 5, 2])
        """
        shape = (shape,) if isinstance(shape, int) else shape
        own = noise.of(self)
        value = self.from_uniform(own.uniform((*shape, *self.numbers)))
        if noise.decisions is not None:
            noise.decisions.note(self, value)
        own.note(value)
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density of values; of a discrete distribution, of their probability.

        Args:
            value: float32 [..., *event].

        Returns:
            Natural logarithms, float32 [...], summed over the event; minus infinity where there is no such value.

        Raises:
            NotImplementedError: the distribution has no density that it knows.

        Example:
            >>> import fastsynth as fs
            >>> fs.Uniform(0.0, 4.0).log_prob(torch.tensor([1.0, 5.0])).tolist()
            [-1.3862943649291992, -inf]
        """
        raise NotImplementedError(
            f"{type(self).__name__}.log_prob(): this distribution defines no density. Draw from it with `sample`, or "
            "define log_prob(self, value) in your subclass."
        )

    def check(self) -> None:
        """Raises ValueError where the parameters break a rule of the distribution; by default there is none."""

    def forward(self, u: Tensor) -> Tensor:
        """`from_uniform`."""
        return self.from_uniform(u)

    def _over_event(self, log_density: Tensor) -> Tensor:
        """Components are independent: the sum over the event's axes."""
        axes = len(self.event)
        return log_density.flatten(-axes).sum(-1) if axes else log_density

    def _parameters_of_one_shape(self, **values: Any) -> None:
        """Register buffers, broadcast against one another."""
        buffers = [as_buffer(value) for value in values.values()]
        try:
            buffers = torch.broadcast_tensors(*buffers)
        except RuntimeError:
            shapes = ", ".join(f"`{name}` {list(b.shape)}" for name, b in zip(values, buffers, strict=True))
            raise ValueError(f"{type(self).__name__}: parameters must broadcast, but have shapes {shapes}.") from None
        for name, buffer in zip(values, buffers, strict=True):
            self.register_buffer(name, buffer.clone())

    def _require(self, holds: Tensor, rule: str) -> None:
        """Check what must hold of the parameters, once, at construction."""
        if not bool(holds.all()):
            given = ", ".join(f"{name} = {buffer.tolist()}" for name, buffer in self.named_buffers())
            raise ValueError(f"{type(self).__name__}: needs {rule}, but was given {given}.")


class Constant(Distribution):
    """Always the same value: a number, a vector or a matrix.

    Example:
        >>> Constant((1, 2, 3)).sample(Noise(0, torch.arange(4)), 2).shape
        torch.Size([4, 2, 3])
    """

    value: Tensor

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.register_buffer("value", as_buffer(value))

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the value."""
        return tuple(self.value.shape)

    @property
    def numbers(self) -> tuple[int, ...]:
        """None are needed."""
        return (0,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """The value, whatever the numbers."""
        return self.value.expand(*u.shape[:-1], *self.event)

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """The value for each image, [B, *shape, *event]; draws nothing."""
        shape = (shape,) if isinstance(shape, int) else shape
        return self.value.expand(noise.images, *shape, *self.event)


def as_distribution(value: Any, where: str = "", events: Sequence[tuple[int, ...]] | None = None) -> Distribution:
    """A distribution as it is; a number, a vector or a tensor as a `Constant`.

    Args:
        value: What the user gave.
        where: What it was given for, named in the error: ``"Camera: `target`"``.
        events: Shapes that one value may have; any by default.

    Raises:
        ValueError: a value of another shape.

    Example:
        >>> as_distribution(0.5).event
        ()
    """
    distribution = value if isinstance(value, Distribution) else Constant(value)
    if events is not None and distribution.event not in events:
        wanted = " or ".join("a number" if event == () else f"of shape {list(event)}" for event in events)
        given = "a number" if distribution.event == () else f"of shape {list(distribution.event)}"
        raise ValueError(f"{where} must be {wanted} or a distribution of such values, but is {given}.")
    return distribution
