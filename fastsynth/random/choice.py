"""Choosing among values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.random.coordinates_of_spreads import Logits
from fastsynth.random.distribution import Distribution, as_buffer
from fastsynth.random.noise import Noise

# Smallest probability of which a logarithm is taken: a weight of 0 gets no gradient in place of a NaN.
_TINY = 1e-30


class Choice(Distribution):
    """One of several values. Discrete: no gradient passes through it.

    Args:
        values: Numbers or vectors; whole numbers give an int64 tensor.
        weights: How often each, in any unit; evenly by default.

    Example:
        >>> Choice(range(1, 9)).from_uniform(torch.tensor([0.0, 0.99])).tolist()
        [1, 8]
    """

    coordinates = Logits
    values: Tensor
    weights: Tensor

    def __init__(self, values: Sequence | range | Tensor, weights: Any = None) -> None:
        super().__init__()
        table = values.detach().clone() if isinstance(values, Tensor) else torch.from_numpy(np.array(list(values)))
        if table.ndim == 0 or len(table) == 0:
            raise ValueError(f"Choice: `values` must hold at least one value, but is {values!r}.")
        self.register_buffer("values", table.float() if table.is_floating_point() else table.long())
        self.register_buffer("weights", torch.ones(len(table)) if weights is None else as_buffer(weights))
        if self.weights.shape != (len(table),):
            raise ValueError(
                f"Choice: `weights` must have one number for each of the {len(table)} values, but has shape "
                f"{list(self.weights.shape)}."
            )
        self.check()

    def check(self) -> None:
        """The weights are probabilities but for their sum."""
        weights = self.weights.detach()
        if not bool((weights >= 0).all() & (weights.sum() > 0)) or not math.isfinite(weights.sum()):
            raise ValueError(f"Choice: `weights` must be >= 0 and not all 0, but are {weights.tolist()}.")

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

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Values for each image, [B, *shape, *event], as `Distribution.sample`; what is chosen can be noted down."""
        if noise.decisions is None:
            return super().sample(noise, shape)
        shape = (shape,) if isinstance(shape, int) else shape
        own = noise.of(self)
        value = self.values[noise.decisions.decide(self, self.position(own.uniform(shape)))]
        own.note(value)
        return value

    def log_weights(self) -> Tensor:
        """Logarithms of the probabilities of the values, float32 [K]; about -69 for what never happens."""
        share = self.weights / self.weights.sum()
        return share.clamp(min=_TINY).log()

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of how often this value, [...]; minus infinity for one that is not among the values."""
        same = value.unsqueeze(-1 - len(self.event)) == self.values
        if self.event:
            same = same.flatten(-len(self.event)).all(-1)
        return (same * (self.weights / self.weights.sum())).sum(-1).log()
