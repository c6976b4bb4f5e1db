"""What is off: every question that an audit asks, and when its answer is a finding.

A finding must be surer than ``alpha`` divided by the number of questions (Bonferroni), and larger than the limit of its
kind, as a large sample makes any trifle sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from fastsynth.audit import statistics
from fastsynth.audit.declared import bounds, components, cumulative
from fastsynth.audit.gather import Draws, Sample
from fastsynth.audit.quantities import Column
from fastsynth.audit.result import Finding
from fastsynth.random import Choice

#: Least size of a finding by its kind, in the measure that `fastsynth.audit` documents.
LIMITS = {
    "classes": 0.1,
    "choice": 0.1,
    "range": 0.0,
    "gap": 0.02,
    "pile": 0.02,
    "distribution": 0.1,
    "dependence": 0.15,
    "unseen": 1.0,
}
# Of what is never seen or always at a bound, so many must have been drawn before it counts.
_ENOUGH_PLACED, _ENOUGH_EQUAL = 20, 8
# Where the density between declared bounds is unknown: the part of the range at an end that may stay empty.
_EMPTY_END = 0.2


def findings(sample: Sample, expected: Mapping[str, float] | None, alpha: float) -> tuple[list[Finding], int]:
    """What is off, the surest first; and how many questions were asked.

    Args:
        sample: What was drawn.
        expected: Share of each class, by name, or None for no opinion.
        alpha: Probability of any finding where nothing is off.
    """
    asked = [
        *_of_classes(sample, expected),
        *(finding for path, draws in sample.draws.items() for finding in _of_draws(path, draws)),
        *_piles(sample),
        *_dependences(sample),
        *_unseen(sample),
    ]
    found = [f for f in asked if f.p < alpha / len(asked) and f.size >= LIMITS[f.kind]]
    # Draws with a hole or a heap do not follow their distribution either: once is enough.
    explained = {finding.subject for finding in found if finding.kind in ("gap", "pile", "range")}
    found = [f for f in found if not (f.kind == "distribution" and f.subject in explained)]
    return sorted(found, key=lambda finding: (finding.p, -finding.size)), len(asked)


def _balance(kind: str, subject: str, names: list[str], counts: np.ndarray, shares: np.ndarray) -> Iterator[Finding]:
    """Counts against shares, all together and each against the rest; size: the worst count over what it should be."""
    total = counts.sum()
    if total < 1 or (shares > 0).sum() < 2 and counts[shares <= 0].sum() < 1:
        return
    wanted = shares * total
    together = statistics.chi_square(counts, wanted)
    each = [statistics.chi_square(np.array([a, total - a]), np.array([b, total - b])).p for a, b in zip(counts, wanted)]
    off = np.abs(counts - wanted) / np.where(wanted > 0, wanted, 1)
    worst = int(np.argmin(each) if min(each) > 0 else np.argmax(off))
    p = min(1.0, 2 * min(together.p, len(each) * min(each)))
    message = (
        f"{names[worst]} is {counts[worst] / total:.1%} of {int(total)}, where its weight says {shares[worst]:.1%} "
        f"(chi-square, p = {p:.1g})."
    )
    yield Finding(kind, subject, message, p, float(off[worst]))


def _of_classes(sample: Sample, expected: Mapping[str, float] | None) -> Iterator[Finding]:
    if expected is None or not sample.class_names:
        return
    placed = sample.classes[sample.classes >= 0]
    counts = torch.bincount(placed, minlength=len(sample.class_names)).double().numpy()
    shares = np.array([expected.get(name, 0.0) for name in sample.class_names])
    yield from _balance("classes", "classes", list(sample.class_names), counts, shares)


def _of_draws(path: str, draws: Draws) -> Iterator[Finding]:
    distribution = draws.distribution
    if isinstance(distribution, Choice):
        weights = distribution.weights.detach().double().cpu().numpy()
        counts = torch.bincount(draws.values.flatten(), minlength=len(weights)).double().numpy()
        names = [f"the value {value}" for value in distribution.values.tolist()]
        yield from _balance("choice", path, names, counts, weights / weights.sum())
        return
    kind = type(distribution).__name__
    device = next(distribution.buffers(), torch.empty(0)).device
    shares = {
        name: share.flatten().cpu().numpy() for name, share in cumulative(distribution, draws.values.to(device)).items()
    }
    limits = bounds(distribution)
    for name, column in components(distribution, draws.values).items():
        values, subject = column.flatten().numpy(), path + name
        if not values.size:
            continue
        yield _pile(subject, values)
        if name in limits:
            yield _range(subject, values, limits[name], kind)
        if name in shares:
            yield from _follows(subject, values, shares[name], limits.get(name), kind)
        elif name in limits:
            yield _ends(subject, values, limits[name], kind)


def _pile(subject: str, values: np.ndarray) -> Finding:
    share, end = statistics.pile(values)
    p = 0.0 if share * values.size >= _ENOUGH_EQUAL else 1.0
    return Finding(
        "pile", subject, f"{share:.1%} of {values.size} values are {end:.4g}, the end: it is cut off.", p, share
    )


def _range(subject: str, values: np.ndarray, limits: tuple[float, float], kind: str) -> Finding:
    low, high = limits
    slack = 1e-5 * max(abs(low), abs(high))
    outside = float(((values < low - slack) | (values > high + slack)).mean())
    message = f"{outside:.1%} of the draws lie outside {low:.4g} to {high:.4g}, which its {kind} declares."
    return Finding("range", subject, message, 0.0 if outside else 1.0, outside)


def _follows(
    subject: str, values: np.ndarray, share: np.ndarray, limits: tuple[float, float] | None, kind: str
) -> Iterator[Finding]:
    hole = statistics.gap(share)
    order = np.argsort(share)
    at = (
        np.concatenate([[0.0], share[order], [1.0]]),
        np.concatenate([values[order][:1], values[order], values[order][-1:]]),
    )
    if limits:
        at[1][0], at[1][-1] = limits
    low, high = np.interp(hole.where, *at)
    message = f"no draw lies in {low:.4g} to {high:.4g}, where its {kind} has {hole.size:.1%} of its probability."
    yield Finding("gap", subject, message, hole.p, hole.size)
    even = statistics.evenness(share)
    message = f"the draws do not follow the {kind} that it declares (chi-square of 16 cells, p = {even.p:.1g})."
    yield Finding("distribution", subject, message, even.p, even.size)


def _ends(subject: str, values: np.ndarray, limits: tuple[float, float], kind: str) -> Finding:
    low, high = limits
    below, above = (values.min() - low) / (high - low), (high - values.max()) / (high - low)
    part, (start, end) = max((below, (low, values.min())), (above, (values.max(), high)))
    message = f"no draw lies in {start:.4g} to {end:.4g}, {part:.0%} of the range that its {kind} declares."
    return Finding("gap", subject, message, 0.0 if part > _EMPTY_END and values.size >= 100 else 1.0, float(part))


def _piles(sample: Sample) -> Iterator[Finding]:
    """Values cut off after they were drawn."""
    for name, column in sample.columns.items():
        if not column.clips:
            continue
        values = column.values if column.values.ndim == 2 else column.values[:, None]
        spread = values.nan_to_num(torch.inf).amin(0), values.nan_to_num(-torch.inf).amax(0)
        values = values[:, spread[1] - spread[0] > 1e-5 * spread[1].abs()]  # without slots that never change
        values = values[values.isfinite()].numpy()
        if values.size:
            yield _pile(name, values)


def _dependences(sample: Sample) -> Iterator[Finding]:
    """Does a parameter depend on the class of what it was drawn for?"""
    columns = {name: column for name, column in sample.columns.items() if column.group == "batch"}
    images, slots = sample.mesh.shape
    for path, draws in sample.draws.items():
        event = draws.distribution.event
        each = draws.values.shape[1 : draws.values.ndim - (0 if isinstance(draws.distribution, Choice) else len(event))]
        if isinstance(draws.distribution, Choice) or each not in ((), (slots,)):
            continue  # which mesh a slot gets is what its class is; other shapes belong to no slot
        for name, column in components(draws.distribution, draws.values).items():
            columns[path + name] = Column("drawn", column)
    for name, column in columns.items():
        answer = statistics.dependence(*sample.one_each(column.values))
        if answer is None:
            continue
        (p, size, _), medians = answer
        if column.foot is not None:
            foot = statistics.dependence(*sample.one_each(column.foot))
            p, size = (max(p, foot[0].p), min(size, foot[0].size)) if foot else (1.0, 0.0)
        least, most = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
        message = (
            f"depends on the class: its median is {medians[least]:.3g} for {sample.class_names[least]} and "
            f"{medians[most]:.3g} for {sample.class_names[most]} (Cramer's V {size:.2f}, p = {p:.1g})."
        )
        yield Finding("dependence", name, message, p, size)


def _unseen(sample: Sample) -> Iterator[Finding]:
    """Meshes and slots of which no instance is ever seen."""
    full = sample.mesh >= 0
    number = len(sample.mesh_names)
    placed = torch.bincount(sample.mesh[full], minlength=number).tolist()
    seen = torch.bincount(sample.mesh[full & sample.seen], minlength=number).tolist()
    slots = zip(full.sum(0).tolist(), (full & sample.seen).sum(0).tolist())
    every = [(f"mesh {name}", a, b) for name, a, b in zip(sample.mesh_names, placed, seen)]
    every += [(f"slot {slot}", a, b) for slot, (a, b) in enumerate(slots)]
    every.append(("objects", sum(placed), sum(seen)))
    some = Finding("unseen", "", "", 1.0, 1.0)
    for subject, there, visible in every:
        never = there >= _ENOUGH_PLACED and visible == 0
        message = f"placed {there} times, never seen."
        yield replace(some, subject=subject, message=message, p=0.0 if never else 1.0)
