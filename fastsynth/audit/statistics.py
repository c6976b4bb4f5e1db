"""Questions to a column of numbers, each answered by a probability: how likely this is by chance.

A large sample makes any trifle significant. Every answer therefore has a size, too, and both must speak for a finding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Answer(NamedTuple):
    """How likely it is by chance, how large it is, and where."""

    p: float
    size: float
    where: tuple[float, float] = (0.0, 0.0)


def chi_square(observed: Numbers, expected: Numbers) -> Answer:
    """Pearson's test of counts against expected ones; size: the root of chi-square over n, as Cohen's w.

    Cells that expect nothing count for nothing unless something fell there, which has probability 0.

    Example:
        >>> chi_square(np.array([50.0, 50.0]), np.array([50.0, 50.0])).p
        1.0
    """
    some = expected > 0
    if observed[~some].sum() > 0:
        return Answer(0.0, 1.0)
    value = float(((observed[some] - expected[some]) ** 2 / expected[some]).sum())
    return Answer(_tail(value, int(some.sum()) - 1), float(np.sqrt(value / max(observed.sum(), 1))))


def evenness(share: Numbers, cells: int = 16) -> Answer:
    """Are numbers even in [0, 1]?"""
    counts, _ = np.histogram(share.clip(0, 1), cells, (0, 1))
    return chi_square(counts.astype(float), np.full(cells, share.size / cells))


def gap(share: Numbers) -> Answer:
    """The largest part of [0, 1] that none of n numbers lies in; size: its width; where: its ends.

    By chance a given gap of width q stays empty with probability (1 - q)^n, and there are n + 1 gaps.

    Example:
        >>> gap(np.linspace(0.0, 0.75, 500)).where
        (0.75, 1.0)
    """
    points = np.concatenate([[0.0], np.sort(share.clip(0, 1)), [1.0]])
    widths = np.diff(points)
    place = int(widths.argmax())
    size = float(widths[place])
    p = min(1.0, (share.size + 1) * (1 - size) ** share.size)
    return Answer(p, size, (float(points[place]), float(points[place + 1])))


def pile(values: Numbers) -> tuple[float, float]:
    """The share of the values that equal the least or the largest one, the larger of the two; and that end.

    0 for numbers of which many are equal elsewhere, too: whole numbers, or a choice of a few.

    Example:
        >>> pile(np.minimum(np.linspace(0.0, 1.0, 101), 0.75))
        (0.25742574257425743, 0.75)
    """
    best = (0.0, 0.0)
    low, high = float(values.min()), float(values.max())
    middle = float(np.subtract(*np.percentile(values, (75, 25))))
    if high - low <= 1e-5 * max(abs(low), abs(high)):
        return best  # a constant
    for end in (low, high):
        # Equal but for the rounding of float32.
        at = np.abs(values - end) <= 2e-6 * max(abs(end), middle)
        rest = values[~at]
        if rest.size and np.unique(rest).size >= 0.5 * rest.size and at.mean() > best[0]:
            best = (float(at.mean()), end)
    return best


def dependence(values: Numbers, classes: NDArray[np.int64]) -> tuple[Answer, dict[int, float]] | None:
    """Does a number depend on the class? A table of classes and quantiles, by Pearson's test; size: Cramer's V.

    It sees any dependence, not of the mean alone, and does not care about the scale of the number. Classes with fewer
    than ten rows are left out, and the number of quantiles, 2 to 8, is such that the rarest class expects five in each.

    Args:
        values: float64 [n], finite.
        classes: int64 [n].

    Returns:
        The answer, and the median of each class; None where there are not two classes or not two values.
    """
    names, counts = np.unique(classes, return_counts=True)
    names, counts = names[counts >= 10], counts[counts >= 10]
    if names.size < 2 or np.ptp(values) <= 1e-5 * max(abs(values).max(), 1e-30):
        return None
    keep = np.isin(classes, names)
    values, classes = values[keep], classes[keep]
    cells = int(np.clip(counts.min() // 5, 2, 8))
    edges = np.unique(np.quantile(values, np.arange(1, cells) / cells))
    column = np.searchsorted(edges, values, side="right")
    row = np.searchsorted(names, classes)
    table = np.zeros((names.size, edges.size + 1))
    np.add.at(table, (row, column), 1)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return None
    n = table.sum()
    expected = table.sum(1, keepdims=True) * table.sum(0) / n
    value = float(((table - expected) ** 2 / expected).sum())
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    size = float(np.sqrt(value / n / min(table.shape[0] - 1, table.shape[1] - 1)))
    medians = {int(name): float(np.median(values[classes == name])) for name in names}
    return Answer(_tail(value, freedom), size), medians


def _tail(value: float, freedom: int) -> float:
    """Probability that chi-square of so many degrees of freedom is larger."""
    if freedom < 1:
        return 1.0
    half = torch.tensor([freedom / 2, value / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
