"""Distributions of numbers, each a differentiable map from uniform numbers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth.random.coordinates_of_ranges import LogRange, Range, Triangle
from fastsynth.random.coordinates_of_spreads import LogSpread, Spread, TruncatedSpread
from fastsynth.random.distribution import Distribution

# Smallest argument of an inverse normal CDF: half the step of the uniform numbers, so that 0 does not give -infinity.
_HALF_STEP = 2.0**-25
_TINY = 1e-30


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

    coordinates = Range

    def __init__(self, low: Any, high: Any) -> None:
        super().__init__()
        self._parameters_of_one_shape(low=low, high=high)
        self.check()

    def check(self) -> None:
        """The bounds are in order."""
        self._require(self.low <= self.high, "low <= high")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the bounds."""
        return tuple(self.low.shape)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Linear in u."""
        return self.low + u * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """One over the width, within the bounds."""
        inside = (value >= self.low) & (value <= self.high)
        return self._over_event(torch.where(inside, -(self.high - self.low).log(), -math.inf))


class LogUniform(Uniform):
    """Evenly on a logarithmic scale: as often between 1 and 2 as between 2 and 4.

    Args:
        low: A number or a vector, above 0.
        high: Not below `low`.

    Example:
        >>> round(LogUniform(1.0, 4.0).from_uniform(torch.tensor(0.5)).item(), 4)
        2.0
    """

    coordinates = LogRange

    def check(self) -> None:
        """The bounds are above 0 and in order."""
        super().check()
        self._require(self.low > 0, "low > 0")

    def from_uniform(self, u: Tensor) -> Tensor:
        """Exponential in u."""
        low = self.low.log()
        return (low + u * (self.high.log() - low)).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """One over the value and the width of the logarithm, within the bounds."""
        inside = (value >= self.low) & (value <= self.high)
        density = -torch.where(inside, value, 1).log() - (self.high.log() - self.low.log()).log()
        return self._over_event(torch.where(inside, density, -math.inf))


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

    coordinates = Spread

    def __init__(self, mean: Any = 0.0, std: Any = 1.0) -> None:
        super().__init__()
        self._parameters_of_one_shape(mean=mean, std=std)
        self.check()

    def check(self) -> None:
        """The standard deviation is not negative."""
        self._require(self.std >= 0, "std >= 0")

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of the mean."""
        return tuple(self.mean.shape)

    def from_uniform(self, u: Tensor) -> Tensor:
        """The inverse of the normal CDF."""
        return self.mean + self.std * torch.special.ndtri(u.clamp(min=_HALF_STEP))

    def log_prob(self, value: Tensor) -> Tensor:
        """The Gaussian; `std` must be above 0."""
        return self._over_event(_gaussian((value - self.mean) / self.std) - self.std.log())


class LogNormal(Normal):
    """``exp(Normal(mean, std))``: the median is ``exp(mean)``.

    Args:
        mean: Mean of the logarithm.
        std: Standard deviation of the logarithm, not negative.

    Example:
        >>> LogNormal(0.0, 0.5).from_uniform(torch.tensor(0.5)).item()
        1.0
    """

    coordinates = LogSpread

    def from_uniform(self, u: Tensor) -> Tensor:
        """The exponential of the normal value."""
        return super().from_uniform(u).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """The Gaussian of the logarithm over the value; `std` must be above 0."""
        above = value > 0
        log = torch.where(above, value, 1).log()
        density = _gaussian((log - self.mean) / self.std) - self.std.log() - log
        return self._over_event(torch.where(above, density, -math.inf))


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

    coordinates = TruncatedSpread

    def __init__(self, mean: Any, std: Any, low: Any, high: Any) -> None:
        super().__init__()
        self._parameters_of_one_shape(mean=mean, std=std, low=low, high=high)
        self.check()

    def check(self) -> None:
        """The bounds are in order and leave something of the Gaussian."""
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

    def log_prob(self, value: Tensor) -> Tensor:
        """The Gaussian over what of it lies within the bounds."""
        inside = (value >= self.low) & (value <= self.high)
        density = _gaussian((value - self.mean) / self.std) - self.std.log() - self._cut()[2].log()
        return self._over_event(torch.where(inside, density, -math.inf))


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

    coordinates = Triangle

    def __init__(self, low: Any, mode: Any, high: Any) -> None:
        super().__init__()
        self._parameters_of_one_shape(low=low, mode=mode, high=high)
        self.check()

    def check(self) -> None:
        """The three are in order."""
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

    def log_prob(self, value: Tensor) -> Tensor:
        """Two over the width at the mode, linear down to either bound."""
        inside = (value >= self.low) & (value <= self.high)
        rising = (value - self.low) / (self.mode - self.low)
        falling = (self.high - value) / (self.high - self.mode)
        # An edge of no width is a jump: at the mode the height is full whichever side it belongs to.
        height = torch.where(value < self.mode, rising, torch.where(value > self.mode, falling, 1))
        density = (2 * height / (self.high - self.low)).clamp(min=_TINY).log()
        return self._over_event(torch.where(inside, density, -math.inf))


def _gaussian(z: Tensor) -> Tensor:
    """Logarithm of the standard normal density."""
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi)
