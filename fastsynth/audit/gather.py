"""From a source of batches to columns: everything that an audit looks at, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.audit import quantities
from fastsynth.audit.quantities import Column
from fastsynth.random import Choice, Decisions, Distribution
from fastsynth.randomizers import Objects
from fastsynth.render import render
from fastsynth.scene import Scene
from fastsynth.types import Frames, SceneBatch


@dataclass
class Draws:
    """What one distribution gave: float or int64 [images, ...]; positions of a `Choice`."""

    distribution: Distribution
    values: Tensor


@dataclass
class Sample:
    """The images of an audit.

    Attributes:
        columns: Quantities of batches and labels, by name.
        draws: By path.
        mesh: Row of the mesh in each slot, -1 for an empty one, int64 [images, N].
        seen: Which instances count as seen, bool [images, N].
        mesh_class: Class of each mesh, int64 [K].
        origins: The scene's choices of meshes and the slots they fill, in their order; empty if there are others.
    """

    class_names: tuple[str, ...]
    mesh_names: tuple[str, ...]
    mesh_class: Tensor
    mesh: Tensor
    seen: Tensor
    columns: dict[str, Column]
    draws: dict[str, Draws] = field(default_factory=dict)
    origins: list[tuple[Choice, int]] = field(default_factory=list)

    @property
    def classes(self) -> Tensor:
        """Class of each slot, -1 for an empty one, int64 [images, N]."""
        if not len(self.mesh_class):
            return torch.full_like(self.mesh, -1)
        return torch.where(self.mesh >= 0, self.mesh_class[self.mesh.clamp(min=0)], -1)

    def one_each(self, values: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """One value and one class an image: images are independent of each other, and what is in one need not be.

        Args:
            values: Of images [images], or of their slots [images, N].

        Returns:
            float64 [n] and int64 [n], of a different one of the image's objects from image to image.
        """
        classes = self.classes
        wide = values[:, None].expand(classes.shape) if values.ndim == 1 else values
        valid = (classes >= 0) & wide.isfinite()
        if not valid.any():
            return np.zeros(0), np.zeros(0, dtype=np.int64)
        count = valid.sum(1)
        wanted = torch.arange(len(classes)) % count.clamp(min=1)  # the how-manieth of the valid ones
        pick = ((valid.cumsum(1) - 1 == wanted[:, None]) & valid).long().argmax(1, keepdim=True)
        keep = count > 0
        return wide.gather(1, pick)[keep, 0].numpy(), classes.gather(1, pick)[keep, 0].numpy()


def of_scene(
    scene: Scene, index: list[int], seed: int, size: tuple[int, int], step: int, limits: Mapping[str, Any]
) -> Sample:
    """Draw these images of a scene, `step` at a time, and note down every draw; `limits` as of `targets`."""
    paths = {part: path for path, part in scene.distributions().items()}
    draws: dict[str, list[Tensor]] = {}
    found: dict[str, Distribution] = {}
    parts: list[Sample] = []
    for first in range(0, len(index), step):
        decisions = Decisions()
        with torch.no_grad():
            batch = scene.sample(index[first : first + step], seed, aspect=size[1] / size[0], decisions=decisions)
        parts.append(_of_frames(render(batch, size, quantities.OUTPUTS), limits))
        largest: dict[str, Tensor] = {}
        for part, value in [*decisions.drawn, *decisions.values]:
            path = paths.get(part) or part.name or type(part).__name__
            found[path] = part
            # Drawn twice, a distribution gives the same numbers again: they count once.
            if path not in largest or value.numel() > largest[path].numel():
                largest[path] = value
        for path, value in largest.items():
            draws.setdefault(path, []).append(value.detach().cpu())
    sample = _joined(parts)
    sample.draws = {
        path: Draws(found[path], torch.cat(values))
        for path, values in draws.items()
        if len({value.shape[1:] for value in values}) == 1
    }
    placers = [part for part in scene.modules() if isinstance(part, Objects)]
    if sum(part.slots for part in placers) == sample.mesh.shape[1]:
        sample.origins = [(part.choice, part.slots) for part in placers]
    return sample


def of_batches(batches: Iterator[SceneBatch], images: int, size: tuple[int, int]) -> Sample:
    """Draw the labels of batches that somebody else made, up to a number of images."""
    parts: list[Sample] = []
    left = images
    for number, batch in enumerate(batches):
        if not isinstance(batch, SceneBatch):
            raise TypeError(
                f"audit(): an iterable must give SceneBatch, but number {number} is a {type(batch).__name__}. "
                "Give the scene or the fs.SyntheticDataset itself rather than what a DataLoader makes of it."
            )
        part = _of_frames(render(batch[:left], size, quantities.OUTPUTS), {})
        if parts and (part.class_names, part.mesh_names) != (parts[0].class_names, parts[0].mesh_names):
            raise ValueError(f"audit(): all batches must have the same assets, but those of number {number} differ.")
        parts.append(part)
        left -= len(part.mesh)
        if left <= 0:
            break
    if not parts:
        raise ValueError("audit(): the iterable gave no batch. An iterator that was read to its end gives none.")
    return _joined(parts)


def _of_frames(frames: Frames, limits: Mapping[str, Any]) -> Sample:
    batch = frames.batch
    labels = quantities.of_labels(frames, **limits)
    columns = {**quantities.of_batch(batch), **labels.columns}
    return Sample(
        class_names=batch.assets.class_names,
        mesh_names=batch.assets.mesh_names,
        mesh_class=batch.assets.mesh_class.long().cpu(),
        mesh=batch.mesh_id.long().cpu(),
        seen=labels.seen.cpu(),
        columns={name: column.map(Tensor.cpu) for name, column in columns.items()},
    )


def _joined(parts: list[Sample]) -> Sample:
    """The images of all parts; slots that some do not have are empty there."""
    slots = max(part.mesh.shape[1] for part in parts)

    def join(tensors: list[Tensor], nothing: float) -> Tensor:
        if tensors[0].ndim == 1:
            return torch.cat(tensors)
        more = [slots - tensor.shape[1] for tensor in tensors]
        padded = [torch.nn.functional.pad(t, (0, n), value=nothing) for t, n in zip(tensors, more)]
        return torch.cat(padded)

    def join_columns(columns: list[Column]) -> Column:
        feet = [column.foot for column in columns if column.foot is not None]
        foot = join(feet, torch.nan) if feet else None
        return replace(columns[0], values=join([column.values for column in columns], torch.nan), foot=foot)

    first = parts[0]
    return Sample(
        first.class_names,
        first.mesh_names,
        first.mesh_class,
        join([part.mesh for part in parts], -1),
        join([part.seen for part in parts], False),
        {
            name: join_columns([part.columns[name] for part in parts])
            for name in first.columns
            if all(name in part.columns for part in parts)
        },
    )
