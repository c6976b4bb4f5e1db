"""Coordinates of ranges: bounds that stay in order."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastsynth.random.coordinates import NEAREST, Coordinates, clamp, logistic_offset

# Of the width at the start.
_NARROWEST = 1e-4


def _log_ratio(part: Tensor) -> Tensor:
    """Logarithm of what is above 0; 0 elsewhere, for components that have no width to learn."""
    return torch.where(part > 0, part, 1).log()


class Range(Coordinates):
    """Two bounds in order, by their middle and their width."""

    centre: Tensor
    width: Tensor

    replaced = ("low", "high")
    names = ("centre", "width")

    def check(self) -> None:
        """Limits hold the bounds; without limits there must be a width to stretch."""
        if self.limited:
            super().check()
        elif not bool((self.start("high") > self.start("low")).any()):
            raise ValueError(
                f"learn(): a range without a width cannot be stretched, but low = high = {self.start('low').tolist()}. "
                "Give it some width, or say within=(lowest, highest)."
            )

    def scale(self, bound: Tensor) -> Tensor:
        """Bounds on the scale on which they are even."""
        return bound

    def shifted(self, bound: Tensor, by: Tensor) -> Tensor:
        """A bound moved along that scale."""
        return bound + by

    @staticmethod
    def _grown(width: Tensor, by: Tensor) -> Tensor:
        """Growth of a width that leaves a ten-thousandth of it: bounds that rounding joins would have no density."""
        return clamp(by, (_NARROWEST - 1) * width, torch.full_like(width, math.inf))

    def offsets(self) -> tuple[Tensor, Tensor]:
        """How far either bound has moved along its scale."""
        low, high = self.scale(self.start("low")), self.scale(self.start("high"))
        width = high - low
        if not self.limited:
            shift, grown = width * self.centre, self._grown(width, width * torch.expm1(self.width))
            return shift - 0.5 * grown, shift + 0.5 * grown
        floor, ceiling = self.scale(self.floor), self.scale(self.ceiling)
        span = ceiling - floor
        grown = self._grown(width, span * logistic_offset(width / torch.where(span > 0, span, 1), self.width))
        # The place of the range in what it leaves free, as a fraction.
        free = span - width
        place = torch.where(free > 0, (low - floor) / torch.where(free > 0, free, 1), 0.5)
        moved = place + logistic_offset(place, self.centre)
        shift = (free - grown) * moved - free * place
        return shift, shift + grown

    def values(self) -> dict[str, Tensor]:
        """Both bounds."""
        left, right = self.offsets()
        low, high = self.shifted(self.start("low"), left), self.shifted(self.start("high"), right)
        if self.limited:
            low, high = clamp(low, self.floor, self.ceiling), clamp(high, self.floor, self.ceiling)
        return {"low": low, "high": torch.maximum(low, high)}

    def box(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The limits, or two widths to either side."""
        if self.limited:
            return {name: (self.floor, self.ceiling) for name in ("low", "high")}
        width = 2 * (self.scale(self.start("high")) - self.scale(self.start("low")))
        both = self.shifted(self.start("low"), -width), self.shifted(self.start("high"), width)
        return {"low": both, "high": both}

    def legal(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The lower one is low."""
        low, high = values["low"], values["high"]
        return {"low": torch.minimum(low, high), "high": torch.maximum(low, high)}

    def entropy_change(self) -> Tensor:
        """Logarithm of the width over that of the start."""
        left, right = self.offsets()
        width = self.scale(self.start("high")) - self.scale(self.start("low"))
        change = _log_ratio((width + right - left).clamp(min=0)) - _log_ratio(width)
        return torch.where(width > 0, change, 0).min()

    @torch.no_grad()
    def keep_entropy_(self, floor: float) -> None:
        """Do not let the width fall below exp(floor) of the start's."""
        if not self.limited:
            self.width.clamp_(min=floor)
            return
        width = self.scale(self.start("high")) - self.scale(self.start("low"))
        span = (self.scale(self.ceiling) - self.scale(self.floor)).clamp(min=1e-30)
        at = (width / span).clamp(NEAREST, 1 - NEAREST)
        least = at - (1 - math.exp(floor)) * width / span
        # A width nearer to 0 than the nudge inside keeps what it has: its curve does not reach down to the floor.
        lowest = torch.where(least > 0, torch.logit(least.clamp(1e-6, 1 - 1e-6)) - torch.logit(at), -math.inf)
        self.width.copy_(torch.maximum(self.width, lowest))


class LogRange(Range):
    """Two bounds above 0, by the middle and the width of their logarithms."""

    def scale(self, bound: Tensor) -> Tensor:
        """Logarithm."""
        return bound.log()

    def shifted(self, bound: Tensor, by: Tensor) -> Tensor:
        """A factor."""
        return bound * by.exp()


class Triangle(Range):
    """A range, and the fraction of it at which the mode lies."""

    skew: Tensor

    replaced = ("low", "mode", "high")
    names = ("centre", "width", "skew")

    def values(self) -> dict[str, Tensor]:
        """Bounds and mode."""
        both = super().values()
        low, high = both["low"], both["high"]
        start, width = self.start("low"), self.start("high") - self.start("low")
        fraction = (self.start("mode") - start) / width
        moved = fraction + logistic_offset(fraction, self.skew)
        mode = self.start("mode") + (low - start) + ((high - low) * moved - width * fraction)
        return {"low": low, "mode": clamp(mode, low, high), "high": high}

    def box(self) -> dict[str, tuple[Tensor, Tensor]]:
        """All three alike."""
        bounds = super().box()
        return {"low": bounds["low"], "mode": bounds["low"], "high": bounds["low"]}

    def legal(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sorted."""
        low, mode, high = torch.stack([values[name] for name in self.replaced]).sort(0).values
        return {"low": low, "mode": mode, "high": high}
