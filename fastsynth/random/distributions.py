"""Distributions: differentiable maps from uniform numbers to values.

A parameter of a distribution is a buffer, so that its place in a scene's ``state_dict`` is the path by which it is
known everywhere else: ``camera.distance.low``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastsynth.random.noise import Noise

# Smallest argument of an inverse normal CDF: half the step of the uniform numbers, so that 0 does not give -infinity.
_HALF_STEP = 2.0**-25
_TINY = 1e-30


def _buffer(value: Any) -> Tensor:
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
            >>> noise = Noise(seed=0, index=torch.arange(2))
            >>> Uniform((0, 0), (1, 2)).sample(noise, 5).shape
            torch.Size([2, 5, 2])
        """
        shape = (shape,) if isinstance(shape, int) else shape
        return self.from_uniform(noise.of(self).uniform((*shape, *self.numbers)))

    def forward(self, u: Tensor) -> Tensor:
        """`from_uniform`."""
        return self.from_uniform(u)

    def _parameters_of_one_shape(self, **values: Any) -> None:
        """Register buffers, broadcast against one another."""
        buffers = [_buffer(value) for value in values.values()]
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
        self.register_buffer("value", _buffer(value))

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


class Uniform(Distribution):
    """Evenly between two bounds; each component by itself.

    Args:
        low: A number or a vector.
        high: Not below `low`.

    Example:
        >>> Uniform(2.0, 4.0).from_uniform(torch.tensor([0.0, 0.5])).tolist()
        [2.0, 3.0]
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Any, high: Any) -> None:
        super().__init__()
        self._parameters_of_one_shape(low=low, high=high)
        self._require(self.low <= self.high, "low <= high")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the bounds."""
        return tuple(self.low.shape)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Linear in u."""
        return self.low + u * (self.high - self.low)


class LogUniform(Uniform):
    """Evenly on a logarithmic scale: as often between 1 and 2 as between 2 and 4.

    Args:
        low: A number or a vector, above 0.
        high: Not below `low`.

    Example:
        >>> round(LogUniform(1.0, 4.0).from_uniform(torch.tensor(0.5)).item(), 4)
        2.0
    """

    def __init__(self, low: Any, high: Any) -> None:
        super().__init__(low, high)
        self._require(self.low > 0, "low > 0")

    def from_uniform(self, u: Tensor) -> Tensor:
        """Exponential in u."""
        low = self.low.log()
        return (low + u * (self.high.log() - low)).exp()


class Normal(Distribution):
    """Gaussian, each component by itself.

    Args:
        mean: A number or a vector.
        std: Standard deviation, not negative.

    Example:
        >>> Normal(5.0, 2.0).from_uniform(torch.tensor(0.5)).item()
        5.0
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Any = 0.0, std: Any = 1.0) -> None:
        super().__init__()
        self._parameters_of_one_shape(mean=mean, std=std)
        self._require(self.std >= 0, "std >= 0")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the mean."""
        return tuple(self.mean.shape)

    def from_uniform(self, u: Tensor) -> Tensor:
        """The inverse of the normal CDF."""
        return self.mean + self.std * torch.special.ndtri(u.clamp(min=_HALF_STEP))


class LogNormal(Normal):
    """``exp(Normal(mean, std))``: the median is ``exp(mean)``.

    Args:
        mean: Mean of the logarithm.
        std: Standard deviation of the logarithm, not negative.

    Example:
        >>> LogNormal(0.0, 0.5).from_uniform(torch.tensor(0.5)).item()
        1.0
    """

    def from_uniform(self, u: Tensor) -> Tensor:
        """The exponential of the normal value."""
        return super().from_uniform(u).exp()


class TruncatedNormal(Distribution):
    """Gaussian, given that the value lies between two bounds.

    Args:
        mean: Mean before truncation, a number or a vector.
        std: Standard deviation before truncation, above 0.
        low: Lower bound, below `high`; the bounds must leave more than 1e-6 of the Gaussian.
        high: Upper bound.

    Example:
        >>> TruncatedNormal(0.0, 1.0, -9.0, 0.5).from_uniform(torch.tensor([0.0, 1.0])).round(decimals=3).tolist()
        [-9.0, 0.5]
    """

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, mean: Any, std: Any, low: Any, high: Any) -> None:
        super().__init__()
        self._parameters_of_one_shape(mean=mean, std=std, low=low, high=high)
        self._require(self.std > 0, "std > 0")
        self._require(self.low < self.high, "low < high")
        self._require(self._cut()[2] > 1e-6, "more than 1e-6 of the Gaussian between low and high")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the mean."""
        return tuple(self.mean.shape)

    def _cut(self) -> tuple[Tensor, Tensor, Tensor]:
        """The side of the mean that most of the interval lies on; the Gaussian below the interval, and inside it.

        An interval on the right is mirrored to the left, where a float32 CDF does not run into 1.
        """
        left, right = (self.low - self.mean) / self.std, (self.high - self.mean) / self.std
        mirrored = left + right > 0
        left, right = torch.where(mirrored, -right, left), torch.where(mirrored, -left, right)
        below = torch.special.ndtr(left)
        return mirrored, below, torch.special.ndtr(right) - below

    def from_uniform(self, u: Tensor) -> Tensor:
        """The inverse of the normal CDF, over the part between the bounds."""
        mirrored, below, inside = self._cut()
        # 1 - u is exact: u is a multiple of 2^-24.
        z = torch.special.ndtri(
            (below + torch.where(mirrored, 1 - u, u) * inside).clamp(min=_TINY, max=1 - 2 * _HALF_STEP)
        )
        value = self.mean + self.std * torch.where(mirrored, -z, z)
        return torch.minimum(torch.maximum(value, self.low), self.high)


class Triangular(Distribution):
    """Rising linearly from `low` to `mode` and falling to `high`.

    Args:
        low: A number or a vector.
        mode: The likeliest value.
        high: Above `low`.

    Example:
        >>> Triangular(0.0, 1.0, 2.0).from_uniform(torch.tensor(0.5)).item()
        1.0
    """

    low: Tensor
    mode: Tensor
    high: Tensor

    def __init__(self, low: Any, mode: Any, high: Any) -> None:
        super().__init__()
        self._parameters_of_one_shape(low=low, mode=mode, high=high)
        self._require((self.low <= self.mode) & (self.mode <= self.high), "low <= mode <= high")
        self._require(self.low < self.high, "low < high")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the mode."""
        return tuple(self.mode.shape)

    def from_uniform(self, u: Tensor) -> Tensor:
        """The inverse of the CDF, which is a parabola on either side of the mode."""
        width, rise = self.high - self.low, self.mode - self.low
        # A square root has no slope at 0: the clamps keep the gradient of either side finite.
        rising = self.low + (u * width * rise).clamp(min=_TINY).sqrt()
        falling = self.high - ((1 - u) * width * (self.high - self.mode)).clamp(min=_TINY).sqrt()
        return torch.where(u * width < rise, rising, falling)


class Choice(Distribution):
    """One of several values. Discrete: no gradient passes through it.

    Args:
        values: Numbers or vectors; whole numbers give an int64 tensor.
        weights: How often each, in any unit; evenly by default.

    Example:
        >>> Choice(range(1, 9)).from_uniform(torch.tensor([0.0, 0.99])).tolist()
        [1, 8]
    """

    values: Tensor
    weights: Tensor

    def __init__(self, values: Sequence | range | Tensor, weights: Any = None) -> None:
        super().__init__()
        table = values.detach().clone() if isinstance(values, Tensor) else torch.from_numpy(np.array(list(values)))
        if table.ndim == 0 or len(table) == 0:
            raise ValueError(f"Choice: `values` must hold at least one value, but is {values!r}.")
        self.register_buffer("values", table.float() if table.is_floating_point() else table.long())
        self.register_buffer("weights", torch.ones(len(table)) if weights is None else _buffer(weights))
        if self.weights.shape != (len(table),):
            raise ValueError(
                f"Choice: `weights` must have one number for each of the {len(table)} values, but has shape "
                f"{list(self.weights.shape)}."
            )
        if not bool((self.weights >= 0).all() & (self.weights.sum() > 0)) or not math.isfinite(self.weights.sum()):
            raise ValueError(f"Choice: `weights` must be >= 0 and not all 0, but are {self.weights.tolist()}.")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of one of the values."""
        return tuple(self.values.shape[1:])

    @property
    def numbers(self) -> tuple[int, ...]:
        """One number a value."""
        return ()

    def position(self, u: Tensor) -> Tensor:
        """Which of the values, int64 [...], for uniform numbers [...]."""
        # Divided by its own last element the cumulative weight ends at exactly 1, which no u reaches.
        cumulative = self.weights.cumsum(0)
        return torch.searchsorted(cumulative / cumulative[-1], u.contiguous(), right=True)

    def from_uniform(self, u: Tensor) -> Tensor:
        """The value in whose share of [0, 1) the number falls."""
        return self.values[self.position(u)]


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
