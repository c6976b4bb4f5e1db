"""What finds parameters without the renderer's gradient: CMA-ES, TPE and the score function, on one objective.

Each is a generator of the number of pictures drawn so far, and the scene is set to what it believes then. `cmaes` and
`optuna` are needed: pip install cmaes optuna
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch

import fastsynth as fs
from fastsynth import search

Bounds = dict[str, tuple[float, float]]
Rival = Callable[[fs.Scene, search.Match, Bounds, int, int], Iterator[int]]


def study_of(scene: fs.Scene, bounds: Bounds, seed: int) -> search.Study:
    """The scene as named numbers within bounds."""
    study = search.Study(scene, seed=seed)
    assert list(study.bounds) == list(bounds)
    study.bounds.update(bounds)
    return study


@torch.no_grad()
def loss_at(study: search.Study, match: search.Match, unit: np.ndarray, index: torch.Tensor, seed: int) -> float:
    """The distance of pictures of a setting, given in [0, 1] by the bounds."""
    study.apply(values_at(study, unit))
    return float(match(study.scene.sample(index, seed)))


def values_at(study: search.Study, unit: np.ndarray) -> dict[str, float]:
    """Numbers in [0, 1] to those within the bounds."""
    return {name: low + u * (high - low) for u, (name, (low, high)) in zip(unit.tolist(), study.bounds.items())}


def cma_es(scene: fs.Scene, match: search.Match, bounds: Bounds, seed: int, images: int) -> Iterator[int]:
    """Hansen and Ostermeier, "Completely Derandomized Self-Adaptation in Evolution Strategies", 2001; its mean counts.

    All candidates of a generation are compared by the same random numbers, and every generation by others.
    """
    from cmaes import CMA

    study, drawn = study_of(scene, bounds, seed), 0
    dimensions = len(bounds)
    box = np.array([[0.0, 1.0]] * dimensions)
    optimizer = CMA(mean=np.full(dimensions, 0.5), sigma=0.25, bounds=box, seed=seed)
    for generation in itertools.count():
        index, told = torch.arange(images) + generation * images, []
        for _ in range(optimizer.population_size):
            unit = optimizer.ask()
            told.append((unit, loss_at(study, match, unit, index, seed)))
            drawn += images
        optimizer.tell(told)
        study.apply(values_at(study, optimizer.mean.clip(0, 1)))
        yield drawn


def tpe(scene: fs.Scene, match: search.Match, bounds: Bounds, seed: int, images: int) -> Iterator[int]:
    """Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011, by Optuna; its best trial counts.

    All trials are compared by the same random numbers.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
    outer, study, drawn = optuna.create_study(sampler=sampler), study_of(scene, bounds, seed), 0
    while True:
        trial = outer.ask()
        unit = np.array([trial.suggest_float(name, 0.0, 1.0) for name in bounds])
        loss = loss_at(study, match, unit, torch.arange(images), seed)
        outer.tell(trial, loss)
        drawn += images
        study.apply(values_at(study, np.array([outer.best_params[name] for name in bounds])))
        yield drawn


def score_function(scene: fs.Scene, match: search.Match, bounds: Bounds, seed: int, images: int) -> Iterator[int]:
    """Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992."""
    optimizer = torch.optim.Adam(scene.learnable(), lr=0.05, betas=(0.9, 0.99))
    learned = set(scene.learned().values())
    for step in itertools.count():
        decisions = fs.random.Decisions()
        with torch.no_grad():
            losses = match.each(scene.sample(torch.arange(images) + step * images, seed, decisions=decisions))
        log_prob = sum(part.log_prob(value) for part, value in decisions.values if part in learned)
        optimizer.zero_grad()
        search.score_function(losses, log_prob).backward()
        optimizer.step()
        yield (step + 1) * images
