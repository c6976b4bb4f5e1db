"""Columns to histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.audit.declared import bounds, components, cumulative
from fastsynth.audit.gather import Draws, Sample
from fastsynth.audit.result import Histogram
from fastsynth.random import Choice, Distribution

BARS = 24
# More values than this are shown without their names.
_NAMED = 12


def histograms(sample: Sample) -> list[Histogram]:
    """Of every draw, then of every quantity that is not always the same."""
    out: list[Histogram] = []
    for path, draws in sample.draws.items():
        out += [_of_choice(path, draws)] if isinstance(draws.distribution, Choice) else _of_draws(path, draws)
    for name, column in sample.columns.items():
        values = _finite(column.values)
        if values.size and np.ptp(values) > 1e-5 * np.abs(values).max():
            out.append(_histogram(name, column.group, column.unit, values))
    return out


def _of_choice(path: str, draws: Draws) -> Histogram:
    choice = draws.distribution
    assert isinstance(choice, Choice)
    weights = choice.weights.detach().double().cpu()
    number = len(weights)
    position = draws.values.flatten()
    counts = torch.bincount(position, minlength=number)
    named = number <= _NAMED
    return Histogram(
        name=path,
        group="drawn",
        unit="",
        edges=[row - 0.5 for row in range(number + 1)],
        counts=counts.tolist(),
        expected=(weights / weights.sum() * position.numel()).tolist(),
        labels=[_short(value) for value in choice.values.tolist()] if named else None,
        **_summary(position.double().numpy()),
    )


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _of_draws(path: str, draws: Draws) -> list[Histogram]:
    distribution = draws.distribution
    limits = bounds(distribution)
    out = []
    for name, column in components(distribution, draws.values).items():
        values = _finite(column)
        if values.size and (name in limits or np.ptp(values) > 1e-6 * np.abs(values).max()):
            found = _histogram(path + name, "drawn", "", values, limits.get(name))
            out.append(found if found.expected else _with_expected(found, distribution, name))
    return out


def _with_expected(found: Histogram, distribution: Distribution, component: str) -> Histogram:
    """The same with what the distribution makes one expect, where values have a probability of their own."""
    if len(distribution.event) > 1:
        return found
    edges = torch.tensor(found.edges, dtype=torch.float64)
    event = distribution.event
    device = next(distribution.buffers(), torch.empty(0)).device
    grid = edges.view(-1, *[1] * len(event)).expand(-1, *event).to(device)
    share = cumulative(distribution, grid).get(component)
    if share is None:
        return found
    # What lies beyond the outer edges belongs to the outer bars.
    share = share.cpu().clamp(0, 1)
    share[0], share[-1] = 0, 1
    return Histogram(**{**vars(found), "expected": (share.diff() * found.count).tolist()})


def _histogram(
    name: str, group: str, unit: str, values: np.ndarray, limits: tuple[float, float] | None = None
) -> Histogram:
    low, high = float(values.min()), float(values.max())
    if limits:
        low, high = min(low, limits[0]), max(high, limits[1])
    bars = BARS
    whole = bool((values == np.round(values)).all()) and high - low < BARS
    if whole:  # one bar for each number
        low, high = low - 0.5, high + 0.5
        bars = max(round(high - low), 1)
    counts, edges = np.histogram(values, bars, (low, high))
    labels = [f"{low + 0.5 + bar:.0f}" for bar in range(bars)] if whole and bars <= _NAMED else None
    return Histogram(name, group, unit, edges.tolist(), counts.tolist(), None, labels, **_summary(values))


def _summary(values: np.ndarray) -> dict[str, Any]:
    return {
        "count": int(values.size),
        "mean": float(values.mean()) if values.size else 0.0,
        "std": float(values.std()) if values.size else 0.0,
        "quantiles": np.percentile(values, (0, 5, 50, 95, 100)).tolist() if values.size else [0.0] * 5,
    }


def _finite(values: Tensor) -> np.ndarray:
    values = values.double().flatten()
    return values[values.isfinite()].cpu().numpy()
