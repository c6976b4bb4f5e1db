"""Rare cases, drawn more often than they happen, with the weights that make up for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.random import Choice, Noise
from fastsynth.random.distribution import as_buffer


class Rare(Choice):
    """A choice whose rare values are drawn more often than they happen.

    A training set drawn as things happen holds too few of the cases that matter. This one draws by `weights` and says
    for every draw how much more or less often it happens (importance sampling), in ``batch.params`` under its path and
    "importance": a loss that is multiplied by it is, on average, the loss over the natural mix.

    Args:
        values: As of `Choice`.
        natural: How often each happens, in any unit.
        weights: How often each is drawn, in any unit; evenly by default.

    Example:
        >>> import fastsynth as fs
        >>> fog = Rare([0.0, 0.1], natural=[0.99, 0.01], weights=[0.7, 0.3])
        >>> drawn = fog.sample(fs.Noise(0, torch.arange(1000)))
        >>> round(float((drawn > 0).float().mean()), 1), round(float(fog.importance(drawn).mean()), 1)
        (0.3, 1.0)
    """

    natural: Tensor

    def __init__(self, values: Sequence | range | Tensor, natural: Any, weights: Any = None) -> None:
        super().__init__(values, weights)
        self.register_buffer("natural", as_buffer(natural))
        if self.natural.shape != self.weights.shape or not bool((self.natural >= 0).all()):
            raise ValueError(
                f"Rare: `natural` must be one number, >= 0, for each of the {len(self.values)} values, but is "
                f"{natural!r}."
            )
        if bool(((self.natural > 0) & (self.weights == 0)).any()):
            raise ValueError("Rare: a value that happens must be drawn at times: give it a weight above 0.")

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Values [B, *shape, *event]; their importance weights go into the parameters of the batch."""
        value = super().sample(noise, shape)
        noise.of(self).note(self.importance(value), "importance")
        return value

    def ratio(self) -> Tensor:
        """How much more often than it is drawn each value happens, float32 [K]; 0 for what is never drawn."""
        happens = self.natural / self.natural.sum()
        drawn = self.weights / self.weights.sum()
        return torch.where(drawn > 0, happens / torch.where(drawn > 0, drawn, 1), 0)

    def importance(self, value: Tensor) -> Tensor:
        """Importance weights of drawn values: [..., *event] -> float32 [...]."""
        same = value.unsqueeze(-1 - len(self.event)) == self.values
        if self.event:
            same = same.flatten(-len(self.event)).all(-1)
        return (same * self.ratio()).sum(-1)
