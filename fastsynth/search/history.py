"""What happened in a search, step by step."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class History:
    """A table of a search: a row for each step, with its loss and the parameters that it was taken at.

    Attributes:
        names: Of the parameters, as ``camera.distance.low``.

    Example:
        >>> history = History(["camera.distance.value"])
        >>> history.add(torch.tensor(0.5), torch.tensor([3.0]))
        >>> history.rows()
        [{'step': 0, 'loss': 0.5, 'held_out': nan, 'camera.distance.value': 3.0}]
    """

    def __init__(self, names: list[str]) -> None:
        self.names = list(names)
        self._rows: list[Tensor] = []  # on the device until somebody asks

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, loss: Tensor, numbers: Tensor, held_out: Tensor | None = None) -> None:
        """A step: its loss [], the parameters float [P], and the loss of what was held out, if it was measured."""
        rest = torch.full_like(loss, math.nan) if held_out is None else held_out.to(loss)
        self._rows.append(torch.cat([torch.stack([loss, rest]).float(), numbers.float()]).detach())

    def table(self) -> Tensor:
        """Loss, held-out loss and parameters, float32 [steps, 2 + P] on the CPU."""
        return torch.stack(self._rows).cpu() if self._rows else torch.empty(0, 2 + len(self.names))

    def restore(self, table: Tensor) -> None:
        """Go on from a table."""
        self._rows = list(table.unbind(0))

    def rows(self) -> list[dict[str, float]]:
        """A mapping for each step."""
        columns = ["loss", "held_out", *self.names]
        return [{"step": step, **dict(zip(columns, row))} for step, row in enumerate(self.table().tolist())]

    def to_csv(self, path: str | Path) -> Path:
        """Write a file that any spreadsheet reads."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", "loss", "held_out", *self.names])
            writer.writeheader()
            writer.writerows(self.rows())
        return Path(path)

    def to_json(self, path: str | Path) -> Path:
        """Write a JSON file: a list of steps; what was not measured is null."""
        rows = [{k: None if not math.isfinite(v) else v for k, v in row.items()} for row in self.rows()]
        Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        return Path(path)

    def plot(self, *names: str) -> Any:
        """Draw the loss, and the parameters by their names, all by default; needs matplotlib.

        Returns:
            The matplotlib figure.

        Raises:
            ImportError: without matplotlib.
        """
        try:
            from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError(
                "History.plot() needs matplotlib. Install it by `pip install matplotlib`, or use to_csv or to_json."
            ) from None
        table = self.table()
        figure = Figure(figsize=(8, 6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(table[:, 0], label="loss")
        measured = table[:, 1].isfinite().nonzero()[:, 0]
        if len(measured):
            above.plot(measured, table[measured, 1], ".", label="held out")
        for name in names or self.names:
            below.plot(table[:, 2 + self.names.index(name)], label=name)
        for axes in (above, below):
            axes.legend()
        below.set_xlabel("step")
        return figure
