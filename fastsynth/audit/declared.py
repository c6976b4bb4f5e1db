"""What a distribution says of itself: components of its values, their range, and how likely each value is.

The cumulative probability of a draw under what was declared is even in [0, 1], whatever the distribution: one test
serves them all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastsynth.random import (
    Distribution,
    LogNormal,
    LogUniform,
    Normal,
    Triangular,
    TruncatedNormal,
    Uniform,
    UniformHemisphere,
    UniformRotation,
    UniformSphere,
)

#: Values of more numbers than this are left out: nobody reads sixty histograms.
MAX_COMPONENTS = 4


def components(distribution: Distribution, values: Tensor) -> dict[str, Tensor]:
    """A draw as columns of numbers, by what comes behind the path of the distribution.

    Args:
        distribution: What drew.
        values: [..., *event].

    Returns:
        float64 [...] for each: the number itself, the components of a vector, the angle [rad] of a rotation and the
        height of its z axis; none for larger values.

    Example:
        >>> import fastsynth as fs
        >>> list(components(fs.Uniform((0, 0), (1, 2)), torch.zeros(3, 2)))
        ['[0]', '[1]']
    """
    event = distribution.event
    values = values.double()
    if event == ():
        return {"": values}
    if event == (3, 3):
        trace = values.diagonal(dim1=-2, dim2=-1).sum(-1)
        return {" turn": ((trace - 1) / 2).clamp(-1, 1).acos(), " up": values[..., 2, 2]}
    if len(event) == 1 and event[0] <= MAX_COMPONENTS:
        return {f"[{number}]": part for number, part in enumerate(values.unbind(-1))}
    return {}


@torch.no_grad()
def bounds(distribution: Distribution) -> dict[str, tuple[float, float]]:
    """The declared range of each component that has one with a width, by the names of `components`.

    Example:
        >>> import fastsynth as fs
        >>> bounds(fs.Uniform(2.0, 4.0))
        {'': (2.0, 4.0)}
    """
    low, high = (getattr(distribution, name, None) for name in ("low", "high"))
    if not isinstance(low, Tensor) or not isinstance(high, Tensor):
        return {}
    if low.shape != distribution.event or high.shape != distribution.event:
        return {}  # a distribution of the user's own, which means something else by these names
    ends = zip(components(distribution, low).items(), components(distribution, high).values())
    pairs = {name: (float(a), float(b)) for (name, a), b in ends}
    return {name: pair for name, pair in pairs.items() if pair[0] < pair[1]}


@torch.no_grad()
def cumulative(distribution: Distribution, values: Tensor) -> dict[str, Tensor]:
    """How much of the probability lies below each value, by the names of `components`; {} where nobody knows.

    Args:
        distribution: What drew.
        values: [..., *event].

    Returns:
        float64 [...] in [0, 1], even if the draws follow the distribution. Components without a width are left out.

    Example:
        >>> import fastsynth as fs
        >>> cumulative(fs.Uniform(2.0, 4.0), torch.tensor([2.5]))[""].tolist()
        [0.25]
    """
    parts = components(distribution, values)
    if isinstance(distribution, UniformRotation):
        turn = parts[" turn"]
        return {" turn": (turn - turn.sin()) / math.pi, " up": (parts[" up"] + 1) / 2}
    if isinstance(distribution, UniformHemisphere):
        return {name: value if name == "[2]" else (value + 1) / 2 for name, value in parts.items()}
    if isinstance(distribution, UniformSphere):
        return {name: (value + 1) / 2 for name, value in parts.items()}  # Archimedes: any axis is even
    if not isinstance(distribution, Uniform | Normal | TruncatedNormal | Triangular):
        return {}
    shares = components(distribution, _share(distribution, values.double()))
    wide = components(distribution, _has_width(distribution).double())
    return {name: share for name, share in shares.items() if bool(wide[name])}


def _has_width(distribution: Distribution) -> Tensor:
    if isinstance(distribution, Normal):
        return distribution.std > 0
    return distribution.low < distribution.high  # type: ignore[operator]


def _share(distribution: Uniform | Normal | TruncatedNormal | Triangular, x: Tensor) -> Tensor:
    """The distribution's cumulative distribution function, float64."""
    if isinstance(distribution, LogUniform):
        low, high = distribution.low.double().log(), distribution.high.double().log()
        return (x.clamp(min=1e-300).log() - low) / (high - low)
    if isinstance(distribution, Uniform):
        low, high = distribution.low.double(), distribution.high.double()
        return (x - low) / (high - low)
    if isinstance(distribution, Normal):
        y = x.clamp(min=1e-300).log() if isinstance(distribution, LogNormal) else x
        return torch.special.ndtr((y - distribution.mean.double()) / distribution.std.double())
    if isinstance(distribution, TruncatedNormal):
        mean, std = distribution.mean.double(), distribution.std.double()
        below, at, above = (
            torch.special.ndtr((y - mean) / std) for y in (distribution.low.double(), x, distribution.high.double())
        )
        return (at - below) / (above - below)
    low, mode, high = (getattr(distribution, name).double() for name in ("low", "mode", "high"))
    rising = (x - low) ** 2 / ((high - low) * torch.where(mode > low, mode - low, 1))
    falling = 1 - (high - x) ** 2 / ((high - low) * torch.where(high > mode, high - mode, 1))
    return torch.where(x < mode, rising, falling)
