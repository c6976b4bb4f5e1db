"""Curricula: which cell of a nested schedule each object of each image is, by arithmetic alone.

A schedule is an odometer. Its axes turn from the last, which changes with every object, to the first, which changes
least often. Which cell the object in slot j of image i is, is a function of i and j (a number in a mixed radix) and of
nothing else: workers, ranks, batches and a resumed run need no state to agree on it, and every cell of a pass is some
object's, exactly once.

The order is that of Hinterstoisser et al., "An Annotation Saved is an Annotation Earned: Using Fully Synthetic Training
for Object Detection", ICCV workshops 2019: scale, then view, then in-plane rotation, then object.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.random import Choice, Noise


class Nested:
    """A nested schedule: every combination of its axes once in a pass, the last axis fastest.

    Pass p of the schedule is images p * `images` to (p + 1) * `images` - 1. To see the same images in another order,
    ask for their indices in another order (``DataLoader(shuffle=True)``).

    Args:
        per_image: Objects in an image: one number, or one for each value of the first axis, which then never mixes two
            of its values in one image. The last image of a value may hold fewer.
        share: The part of an image that the object of each cell needs, [cells], not negative. An image then holds as
            many objects in turn as come to 1 together, one at least and `per_image` at most, all of one value of the
            first axis.
        **axes: Number of values of each axis, the slowest first.

    Attributes:
        axes: The numbers of values by name.
        cells: Combinations in a pass.
        images: Images in a pass.
        slots: The largest number of objects in an image.

    Example:
        >>> order = Nested(scale=2, view=3, object=4, per_image=(4, 6))
        >>> order.cells, order.images, order.slots
        (24, 5, 6)
        >>> order.cell(torch.tensor([0, 3]), 6).tolist()
        [[0, 1, 2, 3, -1, -1], [12, 13, 14, 15, 16, 17]]
        >>> Nested(3, share=[0.6, 0.4, 0.3, 0.3, 0.3, 0.3], scale=1, object=6).cell(torch.arange(3), 3).tolist()
        [[0, 1, -1], [2, 3, 4], [5, -1, -1]]
    """

    def __init__(
        self, per_image: int | Sequence[int] = 1, share: Tensor | Sequence[float] | None = None, **axes: int
    ) -> None:
        if not axes or any(not isinstance(size, int) or size < 1 for size in axes.values()):
            raise ValueError(
                f"Nested: give at least one axis, each a whole number of values from 1 on, but they are {axes}."
            )
        first = next(iter(axes.values()))
        counts = [per_image] if isinstance(per_image, int) else [int(count) for count in per_image]
        if len(counts) not in (1, first) or min(counts) < 1:
            raise ValueError(
                f"Nested: `per_image` must be a number from 1 on, or one for each of the {first} values of the first "
                f"axis, but is {per_image}."
            )
        self.axes = dict(axes)
        self.cells = math.prod(axes.values())
        self._below: dict[str, int] = {}  # of each axis, the combinations of those that are faster
        below = self.cells
        for name, size in axes.items():
            below //= size
            self._below[name] = below
        if isinstance(per_image, int) and share is None:
            first = 1  # nothing parts the values of the first axis: one run of cells
        cells, counts = [self.cells // first] * first, counts * (first // len(counts))
        if share is not None:
            cells = counts = _filled(share, cells, counts)
        images = [-(-run // count) for run, count in zip(cells, counts, strict=True)]
        self.images, self.slots = sum(images), max(counts)
        # Of each run of images: its first image, its first cell, the objects in an image, its cells.
        starts, firsts = ([0, *itertools.accumulate(rows)][:-1] for rows in (images, cells))
        self.runs = torch.tensor([starts, firsts, counts, cells])

    def cell(self, index: Tensor, slots: int, runs: Tensor | None = None) -> Tensor:
        """The cell of each slot of each image.

        Args:
            index: Indices of images, int64 [B].
            slots: N.
            runs: `runs` on the device of the index.

        Returns:
            int64 [B, N], -1 in slots that hold nothing.
        """
        runs = self.runs if runs is None else runs
        place = index % self.images
        start, first, count, cells = runs[:, torch.searchsorted(runs[0], place, right=True) - 1]
        slot = torch.arange(slots, device=index.device)
        within = ((place - start) * count)[:, None] + slot
        held = (slot < count[:, None]) & (within < cells[:, None])
        return torch.where(held, first[:, None] + within, -1)

    def digit(self, cell: Tensor, axes: str | Sequence[str]) -> Tensor:
        """The value of one axis, or of several as one number, the last fastest: int64 as `cell`; 0 for no cell."""
        names = [axes] if isinstance(axes, str) else list(axes)
        number = torch.zeros_like(cell)
        for name in names:
            number = number * self.axes[name] + cell.clamp(min=0) // self._below[name] % self.axes[name]
        return number

    def choice(self, axes: str | Sequence[str], values: Any) -> Scheduled:
        """A distribution that gives each slot the value of its cell.

        Args:
            axes: An axis, or several.
            values: One for each value of the axis; of several axes one for each combination, the last fastest.

        Example:
            >>> import fastsynth as fs
            >>> order = Nested(turn=2, object=3, per_image=3)
            >>> parts = fs.procedural.primitives()
            >>> objects = fs.Objects(parts, count=3, choice=order.choice("object", [0, 2, 4]))
            >>> fs.Scene(objects).sample(2).mesh_id.tolist()
            [[0, 2, 4], [0, 2, 4]]
        """
        return Scheduled(self, axes, values)

    def count(self) -> Scheduled:
        """A distribution of how many objects each image holds, for ``Objects(count=...)``."""
        return ScheduledCount(self)


def _filled(share: Tensor | Sequence[float], runs: list[int], most: list[int]) -> list[int]:
    """How many cells each image holds, where runs of cells, none of which shares an image with another, fill them."""
    shares = torch.as_tensor(share, dtype=torch.float64)
    wrong = f"has shape {list(shares.shape)}" if shares.shape != (sum(runs),) else None
    if wrong is None and not bool((shares >= 0).all()):
        wrong = "has some that are below 0 or no numbers"
    if wrong:
        raise ValueError(
            f"Nested: `share` must hold a number from 0 on for each of the {sum(runs)} cells, but {wrong}."
        )
    counts = []
    for run, limit in zip(shares.split(runs), most, strict=True):
        held, taken = 0, 0.0
        for part in run.tolist():
            if held and (held == limit or taken + part > 1):
                counts.append(held)
                held, taken = 0, 0.0
            held, taken = held + 1, taken + part
        counts.append(held)
    return counts


class Scheduled(Choice):
    """The value of a cell of a `Nested` schedule, by image and slot: made by `Nested.choice`.

    Args:
        schedule: Whose cells.
        axes: An axis, or several.
        values: One for each value of the axes.
    """

    runs: Tensor

    def __init__(self, schedule: Nested, axes: str | Sequence[str], values: Any) -> None:
        super().__init__(values)
        names = [axes] if isinstance(axes, str) else list(axes)
        unknown = [name for name in names if name not in schedule.axes]
        if unknown:
            raise ValueError(f"Nested.choice(): there is no axis {unknown[0]!r}. Axes: {', '.join(schedule.axes)}.")
        wanted = math.prod(schedule.axes[name] for name in names)
        if len(self.values) != wanted:
            raise ValueError(
                f"Nested.choice(): `values` must hold one value for each of the {wanted} of {', '.join(names)}, but "
                f"holds {len(self.values)}."
            )
        self.schedule, self.axes = schedule, names
        self.register_buffer("runs", schedule.runs.clone(), persistent=False)

    def positions(self, noise: Noise, slots: int) -> Tensor:
        """Which of the values each slot has, int64 [B, N]."""
        return self.schedule.digit(self.schedule.cell(noise.index, slots, self.runs), self.axes)

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Values [B, *shape, *event]: the last axis of the shape counts slots, all others repeat them."""
        shape = (shape,) if isinstance(shape, int) else shape
        position = self.positions(noise, shape[-1] if shape else 1)
        if not shape:
            position = position[:, 0]
        if noise.decisions is not None:
            position = noise.decisions.decide(self, position)
        value = self.values[position]
        noise.of(self).note(value)
        repeated = (noise.images, *(1,) * (len(shape) - 1), *shape[-1:], *self.event)
        return value.view(repeated).expand(noise.images, *shape, *self.event)


class ScheduledCount(Scheduled):
    """How many slots of an image a `Nested` schedule fills: made by `Nested.count`."""

    def __init__(self, schedule: Nested) -> None:
        Choice.__init__(self, range(schedule.slots + 1))
        self.schedule, self.axes = schedule, []
        self.register_buffer("runs", schedule.runs.clone(), persistent=False)

    def positions(self, noise: Noise, slots: int) -> Tensor:
        """The count, int64 [B, 1] repeated to [B, N]."""
        held = self.schedule.cell(noise.index, self.schedule.slots, self.runs) >= 0
        return held.sum(1, keepdim=True).expand(-1, slots)
