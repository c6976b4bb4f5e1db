"""Search without gradients: the cross-entropy method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastsynth.random import Learnable, Noise

# Phi(-2): what a normal distribution has below two standard deviations.
_BELOW = 0.022750131948179


@dataclass(frozen=True)
class Generation:
    """One generation of candidates.

    Attributes:
        best: Smallest loss of a candidate.
        mean: Mean loss of the candidates.
        spread: Largest standard deviation of a coordinate, after the generation.
    """

    best: float
    mean: float
    spread: float


@torch.no_grad()
def cross_entropy_method(
    scene: Learnable,
    loss: Callable[[Any], Any],
    *,
    generations: int = 30,
    population: int = 30,
    elite: int = 10,
    keep: float = 0.25,
    std: float = 1.0,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> list[Generation]:
    """Draw candidates, keep the best, draw around them, until they agree.

    Rubinstein, "The Cross-Entropy Method for Combinatorial and Continuous Optimization", 1999; used for the ranges of
    randomization by Vuong et al., "How to pick the domain randomization parameters", 2019, whose population, number of
    elites and truncation at two standard deviations are the defaults here. They keep 0.75 of the old mean and
    deviation at each generation.

    Candidates live in the coordinates of what is learned, which have no bounds. The scene is set to the mean at the
    end.

    Args:
        scene: With something to learn.
        loss: The scene, set to a candidate, to its loss. With one seed for all candidates the same images are compared.
        generations: At most.
        population: Candidates of a generation.
        elite: How many of them are kept.
        keep: Share of the old mean and standard deviation that is kept, in [0, 1).
        std: Standard deviation of the first generation, in coordinates: 1 is about one width of a distribution.
        tolerance: Ends when the largest variance falls below it.
        seed: Of the candidates.

    Returns:
        What each generation gave.

    Raises:
        ValueError: settings that do not fit one another.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(distance=3.0))
        >>> scene = scene.learn("camera.distance", within=(1.0, 5.0))
        >>> found = cross_entropy_method(scene, lambda scene: (scene.camera.distance.value - 2).abs())
        >>> bool((scene.camera.distance.value - 2).abs() < 0.1)
        True
    """
    if not 2 <= elite <= population or not 0 <= keep < 1:
        raise ValueError(
            f"cross_entropy_method(): needs 2 <= elite <= population and 0 <= keep < 1, but was given elite = {elite}, "
            f"population = {population}, keep = {keep}."
        )
    parameters = scene.learnable()
    mean = torch.cat([parameter.flatten() for parameter in parameters])
    deviation = torch.full_like(mean, std)
    history = []
    for generation in range(generations):
        index = torch.arange(population, device=mean.device) + generation * population
        u = Noise(seed, index).uniform(len(mean), "search.cross_entropy")
        candidates = mean + deviation * torch.special.ndtri(_BELOW + u * (1 - 2 * _BELOW))
        losses = []
        for candidate in candidates:
            _set(parameters, candidate)
            losses.append(torch.as_tensor(loss(scene), dtype=torch.float32, device=mean.device).detach())
        scores = torch.stack(losses)
        scores = torch.where(scores.isfinite(), scores, torch.inf)
        chosen = candidates[scores.argsort()[:elite]]
        mean = keep * mean + (1 - keep) * chosen.mean(0)
        deviation = keep * deviation + (1 - keep) * chosen.std(0)
        history.append(Generation(scores.min().item(), scores.mean().item(), deviation.max().item()))
        if history[-1].spread ** 2 < tolerance:
            break
    _set(parameters, mean)
    return history


def _set(parameters: list[Any], numbers: Tensor) -> None:
    """Put numbers into parameters, one after another."""
    for parameter, part in zip(parameters, numbers.split([p.numel() for p in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))
