"""The audit of a scene, a dataset or batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from fastsynth.audit import gather
from fastsynth.audit.findings import findings
from fastsynth.audit.gather import Sample
from fastsynth.audit.histograms import histograms
from fastsynth.audit.result import Audit
from fastsynth.dataset import SyntheticDataset, SyntheticStream
from fastsynth.scene import Scene
from fastsynth.types import SceneBatch


def audit(
    source: Scene | SyntheticDataset | SyntheticStream | SceneBatch | Iterable[SceneBatch],
    images: int = 1000,
    *,
    size: tuple[int, int] | None = None,
    seed: int | None = None,
    class_weights: Mapping[str, float] | str | None = None,
    alpha: float = 0.01,
    batch: int = 64,
) -> Audit:
    """Count what a scene draws, and say what is off.

    Labels are drawn without colour. Of a scene or a dataset every draw of every distribution is counted by its path,
    ``camera.distance``; of everything, what the tensors of the batch then hold ("camera distance", "object scale"),
    classes, sizes, truncation, visible fraction and instances an image.

    Findings, each surer than `alpha` over the number of tests and larger than a limit:

    - "classes", "choice": counts against weights, chi-square; one is 10 % off or more.
    - "distribution": draws against the declared distribution, chi-square of 16 cells; root of chi-square over n 0.1.
    - "range", "gap", "pile": draws outside the declared range; no draw in 2 % of the declared probability, or in the
      last 20 % of a range whose density is not known; 2 % of the values or more are one and the same end.
    - "dependence": a parameter and the class of the object, one object an image, by Pearson's test on quantiles of the
      parameter; Cramer's V 0.15 or more.
    - "unseen": a mesh or a slot placed 20 times or more, and never seen.

    Args:
        source: A scene, a dataset or a stream of one, or batches that came from elsewhere.
        images: How many; of batches, at most so many.
        size: Height and width [pixels]; that of the dataset, or 128 x 128.
        seed: Of a scene, 0 by default; a dataset has its own.
        class_weights: How often each class should occur, by name, in any unit, or "even". By default what the scene's
            choices of meshes make of it, and for batches no opinion.
        alpha: Probability that there is any finding where nothing is off, in (0, 1).
        batch: Images drawn at a time.

    Returns:
        :class:`~fastsynth.audit.result.Audit`.

    Raises:
        TypeError: a source of another kind.
        ValueError: an option out of range, an unknown class, batches of different assets or none.

    Example:
        >>> import fastsynth as fs
        >>> class Large(fs.Randomizer):
        ...     def forward(self, batch, noise):
        ...         size = 1 + (batch.mesh_id == 0).float()[..., None, None]
        ...         return batch.replace(world_from_object=batch.world_from_object * size)
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), scale=fs.Uniform(0.5, 1.0)), large=Large())
        >>> [finding.subject for finding in audit(scene, 200, size=(64, 64)).findings if "scale" in finding.subject]
        ['object scale']
    """
    for name, value in (("images", images), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"audit(): `{name}` must be a whole number from 1 on, but is {value!r}.")
    if not 0 < alpha < 1:
        raise ValueError(f"audit(): `alpha` must lie between 0 and 1, but is {alpha}.")
    sample = _sample(source, images, size, seed, batch)
    expected = _expected(sample, class_weights)
    found, tests = findings(sample, expected, alpha)
    classes, placed = sample.classes, sample.mesh >= 0
    names = sample.class_names
    counts = [torch.bincount(classes[mask], minlength=len(names)).tolist() for mask in (placed, placed & sample.seen)]
    return Audit(
        images=len(sample.mesh),
        classes={
            name: {"placed": a, "seen": b, "expected": None if expected is None else expected[name]}
            for name, a, b in zip(names, *counts)
        },
        histograms=histograms(sample),
        findings=found,
        tests=tests,
        alpha=alpha,
    )


def _sample(source: Any, images: int, size: tuple[int, int] | None, seed: int | None, step: int) -> Sample:
    if isinstance(source, SyntheticDataset | SyntheticStream):
        if seed is not None:
            raise ValueError("audit(): a dataset has a seed of its own; leave `seed` out, or give its scene.")
        drawer = source._drawer
        length = source.length if isinstance(source, SyntheticDataset) else None
        first = 0 if length is None else source.epoch * length  # pyright: ignore[reportAttributeAccessIssue]
        index = list(range(first, first + min(images, length or images)))
        return gather.of_scene(drawer.scene, index, drawer.seed, size or drawer.size, step, drawer.filter)
    size = size or (128, 128)
    if isinstance(source, Scene):
        return gather.of_scene(source, list(range(images)), seed or 0, size, step, {})
    if seed is not None:
        raise ValueError("audit(): batches were drawn already; leave `seed` out, or give the scene.")
    if isinstance(source, SceneBatch):
        return gather.of_batches(iter([source]), images, size)
    if isinstance(source, str | bytes | Mapping) or not isinstance(source, Iterable):
        raise TypeError(
            f"audit(): `source` must be a scene, a dataset or batches, but is a {type(source).__name__}. "
            "Give an fs.Scene, an fs.SyntheticDataset or an iterable of fs.SceneBatch."
        )
    return gather.of_batches(iter(source), images, size)


def _expected(sample: Sample, given: Mapping[str, float] | str | None) -> dict[str, float] | None:
    """The share of every class."""
    names = sample.class_names
    if isinstance(given, Mapping):
        for name, weight in given.items():
            if name not in names:
                raise ValueError(f"audit(): there is no class {name!r}. Available: {', '.join(names)}.")
            if not 0 <= weight < float("inf"):
                raise ValueError(f"audit(): the weight of a class must be 0 or more, but that of {name!r} is {weight}.")
        shares = torch.tensor([float(given.get(name, 0.0)) for name in names], dtype=torch.float64)
        if not shares.sum() > 0:
            raise ValueError("audit(): `class_weights` must not all be 0.")
    elif given == "even":
        shares = torch.ones(len(names), dtype=torch.float64)
    elif given is not None:
        raise ValueError(f'audit(): `class_weights` must be a mapping of classes or "even", but is {given!r}.')
    else:
        shares, first = torch.zeros(len(names), dtype=torch.float64), 0
        for choice, slots in sample.origins:
            # As many objects as these slots hold, divided as their choice says.
            placed = (sample.mesh[:, first : first + slots] >= 0).sum()
            weights = choice.weights.detach().double().cpu()
            classes = sample.mesh_class[choice.values.cpu()]
            labelled = classes >= 0
            shares.index_add_(0, classes[labelled], (weights / weights.sum() * placed)[labelled])
            first += slots
        if not shares.sum() > 0:
            return None
    return dict(zip(names, (shares / shares.sum()).tolist()))
