"""The record of an audit: numbers only, so that it can be written down, read again and compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from rich.table import Table


@dataclass(frozen=True)
class Finding:
    """Something that is off.

    Attributes:
        kind: "classes", "choice", "range", "gap", "pile", "distribution", "dependence" or "unseen".
        subject: What it is about: a path such as ``camera.distance``, a quantity, or "classes".
        message: What was seen, in a sentence.
        p: How likely this is by chance; 0 where chance has no part in it.
        size: How large it is, in the measure of its kind; see :func:`fastsynth.audit`.
    """

    kind: str
    subject: str
    message: str
    p: float
    size: float


@dataclass(frozen=True)
class Histogram:
    """How often which values occurred.

    Attributes:
        name: Path of a distribution, or name of a quantity.
        group: "drawn" for what a distribution gave, "batch" for what the tensors hold, "label" for what is seen.
        unit: Of the values; empty for a number.
        edges: Of the bars, one more than there are.
        counts: How many values in each bar.
        expected: How many the distribution makes one expect; None where it does not say.
        labels: Names of the bars, for a choice of a few; None otherwise.
        count: Values in all.
        mean: Their mean.
        std: Their standard deviation.
        quantiles: The least, 5 %, half, 95 % and the largest.
    """

    name: str
    group: str
    unit: str
    edges: list[float]
    counts: list[int]
    expected: list[float] | None
    labels: list[str] | None
    count: int
    mean: float
    std: float
    quantiles: list[float]


@dataclass(frozen=True)
class Audit:
    """What a scene draws, counted.

    Attributes:
        images: How many were drawn.
        classes: For each class: instances "placed" and "seen", and the share "expected" of them or None.
        histograms: Of draws, batches and labels; what never changes is left out.
        findings: What is off, the surest first.
        tests: How many questions were asked; `alpha` is divided by this.
        alpha: Probability of any finding where nothing is off.

    Example:
        >>> import fastsynth as fs
        >>> report = fs.audit(fs.Scene(fs.Objects(fs.procedural.primitives(), count=2)), images=64, size=(32, 32))
        >>> report.images, report["camera.distance"].count, report.findings
        (64, 64, [])
        >>> Audit.from_json(report.to_json()) == report
        True
    """

    images: int
    classes: dict[str, dict[str, Any]]
    histograms: list[Histogram]
    findings: list[Finding]
    tests: int
    alpha: float

    def __getitem__(self, name: str) -> Histogram:
        """The histogram of this name.

        Raises:
            KeyError: there is none; what never changes has none.
        """
        for histogram in self.histograms:
            if histogram.name == name:
                return histogram
        raise KeyError(f"Audit: there is no {name!r}. Available: {', '.join(h.name for h in self.histograms)}.")

    def __str__(self) -> str:
        """The findings, one a line."""
        if not self.findings:
            return f"{self.images} images, {self.tests} tests: nothing is off."
        lines = [f"{finding.subject}: {finding.message}" for finding in self.findings]
        return f"{self.images} images, {self.tests} tests, {len(lines)} findings:\n" + "\n".join(lines)

    def table(self) -> Table:
        """A row for each quantity, to be printed by rich."""
        from fastsynth.audit.table import table

        return table(self)

    def picture(self) -> Image.Image:
        """All histograms on one sheet, findings in red."""
        from fastsynth.audit.picture import picture

        return picture(self)

    def to_json(self, path: str | Path | None = None) -> dict[str, Any]:
        """The numbers as a dict of plain lists, and into a file if there is a path."""
        found = dataclasses.asdict(self)
        if path is not None:
            Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return found

    @staticmethod
    def from_json(given: Mapping[str, Any] | str | Path) -> Audit:
        """What `to_json` returned, or a file of it.

        Raises:
            ValueError: it is something else.
        """
        found = json.loads(Path(given).read_text(encoding="utf-8")) if isinstance(given, str | Path) else given
        try:
            return Audit(
                **{
                    **found,
                    "histograms": [Histogram(**histogram) for histogram in found["histograms"]],
                    "findings": [Finding(**finding) for finding in found["findings"]],
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"Audit.from_json(): this is not what Audit.to_json wrote: {error}.") from None
