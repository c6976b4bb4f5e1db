"""Coordinates of Gaussians and of weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastsynth.random.coordinates import Coordinates, Within, clamp


class Spread(Coordinates):
    """A mean, and a standard deviation above 0; limits are those of the mean, and their distance the largest std."""

    centre: Tensor
    spread: Tensor

    replaced = ("mean", "std")
    names = ("centre", "spread")

    def check(self) -> None:
        """There must be a standard deviation to stretch."""
        if not bool((self.start("std") > 0).any()):
            raise ValueError(
                f"learn(): a standard deviation of 0 cannot be stretched, but std = {self.start('std').tolist()}. "
                "Start from a small one."
            )
        if self.limited:
            self.require((self.start("mean") >= self.floor) & (self.start("mean") <= self.ceiling), "mean")
            self.require(self.start("std") <= self.ceiling - self.floor, "std")

    def _std(self) -> Tensor:
        return self.start("std") * self.spread.exp()

    def values(self) -> dict[str, Tensor]:
        """Mean and standard deviation."""
        mean, std = self.start("mean"), self._std()
        moved = self.centre
        if not self.limited:
            return {"mean": mean + self.start("std") * moved, "std": std}
        span = self.ceiling - self.floor
        return {"mean": self._between(mean, moved, self.floor, self.ceiling), "std": clamp(std, span * 0, span)}

    def box(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Four standard deviations to either side; an eighth to eight times the standard deviation."""
        mean, std = self.start("mean"), self.start("std")
        if self.limited:
            span = self.ceiling - self.floor
            return {"mean": (self.floor, self.ceiling), "std": (torch.minimum(std, span / 64), span)}
        return {"mean": (mean - 4 * std, mean + 4 * std), "std": (std / 8, std * 8)}

    def entropy_change(self) -> Tensor:
        """Logarithm of the standard deviation over that of the start."""
        return self.spread.min()

    @torch.no_grad()
    def keep_entropy_(self, floor: float) -> None:
        """Do not let the standard deviation fall below exp(floor) of the start's."""
        self.spread.clamp_(min=floor)


class LogSpread(Spread):
    """As `Spread`, of the logarithm; limits are those of the median."""

    def limits(self, within: Within) -> Within:
        """Their logarithms."""
        if not bool((within[0] > 0).all()):
            raise ValueError(f"learn(): `within` must be above 0 for a LogNormal, but begins at {within[0].tolist()}.")
        return within[0].log(), within[1].log()


class TruncatedSpread(Spread):
    """Mean and standard deviation of a truncated Gaussian; the bounds stay, and limit the mean."""

    widest: Tensor

    def __init__(
        self, start: dict[str, Tensor], within: Within | None = None, rest: dict[str, Tensor] | None = None
    ) -> None:
        assert rest is not None
        low, high = rest["low"], rest["high"]
        if within is not None:
            within = torch.maximum(low, within[0].to(low)), torch.minimum(high, within[1].to(high))
        super().__init__(start, within or (low, high))
        # The flattest Gaussian between the bounds is as good as even.
        self.register_buffer("widest", torch.maximum(64 * (high - low), start["std"]))

    def check(self) -> None:
        """The mean must lie between the bounds, or a small step could leave nothing of the Gaussian."""
        self.require((self.start("mean") >= self.floor) & (self.start("mean") <= self.ceiling), "mean")

    def values(self) -> dict[str, Tensor]:
        """Mean and standard deviation."""
        mean = self._between(self.start("mean"), self.centre, self.floor, self.ceiling)
        return {"mean": mean, "std": clamp(self._std(), self.widest * 1e-6, self.widest)}


class Logits(Coordinates):
    """Weights by the logarithms of their factors; a weight of 0 stays 0."""

    logits: Tensor

    replaced = ("weights",)
    names = ("logits",)

    def check(self) -> None:
        """Weights have limits of their own."""
        if self.limited:
            raise ValueError("learn(): the weights of a Choice take no `within`. Learn it in a call of its own.")

    def values(self) -> dict[str, Tensor]:
        """The weights."""
        return {"weights": self.start("weights") * (self.logits - self.logits.max().detach()).exp()}

    def box(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Each between almost 0 and the sum of all."""
        total = self.start("weights").sum().expand_as(self.start("weights"))
        return {"weights": (1e-3 * total, total)}

    def legal(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Not below 0, with the sum 1."""
        weights = values["weights"].clamp(min=1e-6)
        return {"weights": weights / weights.sum()}

    @staticmethod
    def _entropy(log_weights: Tensor) -> Tensor:
        share = log_weights.softmax(0)
        return -(share * share.clamp(min=1e-30).log()).sum()

    def entropy_change(self) -> Tensor:
        """Shannon entropy of the weights less that of the start."""
        start = self.start("weights").log()
        return self._entropy(start + self.logits) - self._entropy(start)

    @torch.no_grad()
    def keep_entropy_(self, floor: float) -> None:
        """Flatten the weights, by a power of them, as far as their entropy asks for."""
        start = self.start("weights").log()
        known = start.isfinite()
        now = torch.where(known, start + self.logits, -math.inf)
        least = self._entropy(start) + floor
        # The entropy falls with the power: bisection, the same number of steps whatever the values.
        low, high = torch.zeros_like(least), torch.ones_like(least)
        for _ in range(30):
            power = (low + high) / 2
            enough = self._entropy(torch.where(known, now * power, -math.inf)) >= least
            low, high = torch.where(enough, power, low), torch.where(enough, high, power)
        flat = torch.where(known, now * low - start, 0.0)
        self.logits.copy_(torch.where(self._entropy(now) >= least, self.logits, flat))
