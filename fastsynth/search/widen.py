"""Ranges that grow with what a model can do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from fastsynth.random import Learnable, LogUniform, Uniform
from fastsynth.random.learned import assign, is_learned, parameters_of


@dataclass(frozen=True)
class Boundary:
    """One end of one range, and what became of it.

    Attributes:
        name: Such as ``camera.distance.high``.
        performance: Of the model on images at this end.
        before: Where it was.
        after: Where it is.
    """

    name: str
    performance: float
    before: float
    after: float


def widen(
    scene: Learnable,
    evaluate: Callable[[Any], Any],
    *patterns: str,
    thresholds: tuple[float, float],
    step: float | Mapping[str, float],
    within: Mapping[str, tuple[float, float]] | None = None,
) -> list[Boundary]:
    """One round of automatic domain randomization: outward where the model does well, inward where it does not.

    Each end of each range is tried by itself: the scene is pinned to this end and the model asked how it does there.
    OpenAI et al., "Solving Rubik's Cube with a Robot Hand", 2019, which tries one end at a time, chosen at
    random, and starts from ranges without width. Call it now and then while a model is trained.

    Args:
        scene: Holds the ranges.
        evaluate: The scene, pinned, to the performance of the model on images of it; higher is better.
        *patterns: Paths of `Uniform` and `LogUniform`, or patterns, of which other distributions are left out.
        thresholds: From the second on outward, up to the first inward.
        step: How far an end moves, in the unit of the values; for `LogUniform`, of their logarithm. One for all, or by
            path.
        within: Lowest and highest value, by path.

    Returns:
        What each end gave, in the order of the scene.

    Raises:
        ValueError: nothing fits, or what fits is being learned.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(distance=fs.Uniform(3.0, 3.0)))
        >>> skill = lambda scene: float(scene.camera.distance.low < 4)  # knows what is near
        >>> ends = [widen(scene, skill, "camera.distance", thresholds=(0.2, 0.8), step=0.5) for _ in range(4)]
        >>> scene.to_json()["camera.distance"]
        {'type': 'Uniform', 'low': 1.0, 'high': 4.0}
    """
    lowest, highest = thresholds
    if not lowest < highest:
        raise ValueError(f"widen(): `thresholds` must be a lower and a higher one, but are {thresholds}.")
    found = {path: part for path, part in scene.matching(patterns).items() if isinstance(part, Uniform)}
    if not found:
        raise ValueError(f"widen(): {', '.join(map(repr, patterns))} fits no Uniform or LogUniform.")
    moved = []
    for path, part in found.items():
        if is_learned(part):
            raise ValueError(f"widen(): {path!r} is being learned. Call scene.freeze({path!r}) first.")
        length = step[path] if isinstance(step, Mapping) else step
        limits = (within or {}).get(path, (-torch.inf, torch.inf))
        for place, side in itertools.product(itertools.product(*map(range, part.event)), ("low", "high")):
            moved.append(_end(scene, evaluate, path, part, side, place, (lowest, highest), length, limits))
    return moved


def _end(
    scene: Learnable,
    evaluate: Callable[[Any], Any],
    path: str,
    part: Uniform,
    side: str,
    place: tuple[int, ...],
    thresholds: tuple[float, float],
    step: float,
    within: tuple[float, float],
) -> Boundary:
    """Try one end of a range, and move it."""
    values = {name: value.clone() for name, value in parameters_of(part).items()}
    pinned = {name: value.clone() for name, value in values.items()}
    before = values[side][place].clone()
    for value in pinned.values():
        value[place] = before
    try:
        assign(part, pinned)
        performance = float(evaluate(scene))
    finally:
        assign(part, values)
    outward = 1 if performance >= thresholds[1] else -1 if performance <= thresholds[0] else 0
    by = outward * step * (1 if side == "high" else -1)
    after = before * torch.tensor(by).exp().to(before) if isinstance(part, LogUniform) else before + by
    other = values["low" if side == "high" else "high"][place]
    after = torch.maximum(after, other) if side == "high" else torch.minimum(after, other)
    values[side][place] = after if by == 0 else after.clamp(*within)
    assign(part, values)
    name = f"{path}.{side}" + (f"[{','.join(map(str, place))}]" if place else "")
    return Boundary(name, performance, before.item(), values[side][place].item())
