"""Choices that are even over every run of draws, not only in the long run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fastsynth.random import Choice, Noise


class Stratified(Choice):
    """One of several values, each of them once in every block of draws.

    Draw t, counted over images and their slots, belongs to block t // strata. A block visits each of its strata once,
    in an order that the noise permutes anew for every block; the value is the one in whose share of [0, 1) the stratum
    lies. With even weights and as many strata as values that is each value exactly once a block; in general each is
    drawn ``floor`` or ``ceil`` of `strata` times its weight (stratified sampling, Cochran, "Sampling Techniques", 1977,
    chapter 5). Stateless: exact for any batches, workers, ranks and resumption, as long as every image is drawn once.

    Args:
        values: As of `Choice`.
        weights: How often each, in any unit; evenly by default.
        strata: Draws in a block; by default one for each value.

    Example:
        >>> import fastsynth as fs
        >>> kind = Stratified([3, 5, 7])
        >>> drawn = kind.sample(fs.Noise(0, torch.arange(4)), 3)  # four images of three slots: four blocks
        >>> drawn.sort(1).values.tolist()
        [[3, 5, 7], [3, 5, 7], [3, 5, 7], [3, 5, 7]]
    """

    def __init__(self, values: Sequence | range | Tensor, weights: Any = None, strata: int | None = None) -> None:
        super().__init__(values, weights)
        self.strata = len(self.values) if strata is None else strata
        if not 1 <= self.strata <= 4096:
            raise ValueError(f"Stratified: `strata` must lie in 1 to 4096, but is {self.strata}.")

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Values [B, *shape, *event]; the elements of an image are counted in row-major order."""
        shape = (shape,) if isinstance(shape, int) else shape
        count = 1
        for side in shape:
            count *= side
        draw = (noise.index[:, None] * count + torch.arange(count, device=noise.index.device)).flatten()
        here = noise.of(self)
        # The noise of the block, not of the image: all images that share a block see the same order.
        order = replace(here, index=draw // self.strata).uniform((self.strata + 1,), "order")
        stratum = order[:, 1:].argsort(dim=1, stable=True).gather(1, (draw % self.strata)[:, None])[:, 0]
        # Where in the stratum: one number a block, so that shares that end within a stratum come out right on average.
        u = (stratum + order[:, 0].double()) / self.strata
        position = self.position(u).view(noise.images, *shape)
        if noise.decisions is not None:
            position = noise.decisions.decide(self, position)
        value = self.values[position]
        here.note(value)
        return value

    def position(self, u: Tensor) -> Tensor:
        """Which of the values, int64 [...]; in double precision, as shares end exactly where strata do."""
        cumulative = self.weights.double().cumsum(0)
        # A share that ends where a stratum begins must not take it for want of a bit.
        ends = cumulative[:-1] / cumulative[-1] - 2.0**-40
        return torch.searchsorted(ends, u.double().contiguous(), right=True)
