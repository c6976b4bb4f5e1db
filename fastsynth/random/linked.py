"""Values that are chosen together: one choice picks a row of a table, and each column is a distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fastsynth.random.choice import Choice
from fastsynth.random.distribution import Distribution, as_buffer
from fastsynth.random.distributions import Uniform
from fastsynth.random.noise import Noise


class Linked(Distribution):
    """A column of a `Table`: even in the range that the table's row gives.

    Attributes:
        row: The choice that all columns of the table share.
    """

    low: Tensor
    high: Tensor

    def __init__(self, row: Choice, low: Any, high: Any) -> None:
        super().__init__()
        self.row = row
        self.register_buffer("low", as_buffer(low))
        self.register_buffer("high", as_buffer(high))

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a cell."""
        return tuple(self.low.shape[1:])

    def from_uniform(self, u: Tensor) -> Tensor:
        """Not by itself: which row counts is another draw."""
        raise NotImplementedError("Linked.from_uniform(): a column alone does not know its row. Draw with `sample`.")

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Values for each image, [B, *shape, *event], of one row an image."""
        shape = (shape,) if isinstance(shape, int) else shape
        row = self.row.sample(noise).long()
        own = noise.of(self)
        low, high = (bound[row].view(noise.images, *(1,) * len(shape), *self.event) for bound in (self.low, self.high))
        value = low + own.uniform((*shape, *self.event)) * (high - low)
        if noise.decisions is not None:
            noise.decisions.note(self, value)
        own.note(value)
        return value


class Table:
    """Rows of values that belong together, such as the sun, the sky and the exposure of a time of day.

    A row is chosen for each image; ``table[column]`` is a distribution for use wherever one is taken, as often as one
    likes: all of them follow the same row, and a column gives the same value in every place.

    Args:
        rows: For each row its columns: a number or vector, or two of them, in a list, for a range.
        weights: How often each row; evenly by default.

    Attributes:
        row: The choice of the row, a number from 0.

    Raises:
        ValueError: rows with other columns than the first, or cells of different shapes in a column.

    Example:
        >>> import fastsynth as fs
        >>> time = fs.random.Table({"noon": {"sun": [2.0, 3.0], "ev": 0.0}, "night": {"sun": 0.0, "ev": 3.0}})
        >>> scene = fs.Scene(
        ...     fs.Objects(fs.procedural.primitives()),
        ...     light=fs.DirectionalLight(intensity=time["sun"]),
        ...     sensor=fs.Sensor(exposure=time["ev"]),
        ... )
        >>> batch = scene.sample(64)
        >>> bool(((batch.light_color[:, 0, 0] == 0) == (batch.exposure == 3)).all())
        True
    """

    def __init__(self, rows: Mapping[str, Mapping[str, Any]], weights: Any = None) -> None:
        self.names = tuple(rows)
        self.row = Choice(range(len(rows)), weights)
        first = next(iter(rows.values()))
        for name, cells in rows.items():
            if set(cells) != set(first):
                raise ValueError(
                    f"Table: all rows must have the columns {sorted(first)}, but {name!r} has {sorted(cells)}."
                )
        self._columns: dict[str, Linked] = {}
        for column in first:
            bounds = [self._range(cells[column]) for cells in rows.values()]
            shapes = {tuple(bound.shape) for pair in bounds for bound in pair}
            if len(shapes) > 1:
                raise ValueError(f"Table: cells of column {column!r} must have one shape, but have {sorted(shapes)}.")
            low, high = (torch.stack([pair[side] for pair in bounds]) for side in (0, 1))
            self._columns[column] = Linked(self.row, low, high)

    def __getitem__(self, column: str) -> Linked:
        """The distribution of a column."""
        if column not in self._columns:
            raise KeyError(f"Table: there is no column {column!r}. There are: {', '.join(self._columns)}.")
        return self._columns[column]

    def at(self, row: str) -> dict[str, Uniform]:
        """The columns of one row alone, as distributions that draw the numbers that the columns would."""
        number = self.names.index(row)
        return {name: Uniform(column.low[number], column.high[number]) for name, column in self._columns.items()}

    @staticmethod
    def _range(cell: Any) -> tuple[Tensor, Tensor]:
        """Lower and upper bound of a cell."""
        if isinstance(cell, list):
            if len(cell) != 2:
                raise ValueError(f"Table: a range must be a list of two, but is {cell!r}.")
            return as_buffer(cell[0]), as_buffer(cell[1])
        return as_buffer(cell), as_buffer(cell)
