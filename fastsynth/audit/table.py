"""An audit as a table in a terminal."""

from __future__ import annotations

from rich import box
from rich.markup import escape
from rich.table import Table

from fastsynth.audit.result import Audit, Histogram

#: Said of each group of quantities.
TITLES = {"drawn": "Drawn", "batch": "In the batch", "label": "In the labels"}
_BARS = " ▁▂▃▄▅▆▇█"


def table(audit: Audit) -> Table:
    """Classes, then every quantity by its group; what a finding is about stands in red.

    Example:
        >>> table(Audit(1, {}, [], [], 0, 0.01)).row_count
        1
    """
    out = Table(box=box.SIMPLE, show_header=False, pad_edge=False, collapse_padding=True)
    out.add_column(no_wrap=True)
    for _ in range(3):
        out.add_column(justify="right")
    out.add_column(no_wrap=True)
    red = {finding.subject for finding in audit.findings}
    _heading(out, f"Classes, {audit.images} images", "placed", "expected", "seen")
    total = max(sum(entry["placed"] for entry in audit.classes.values()), 1)
    for name, entry in audit.classes.items():
        wanted = "" if entry["expected"] is None else f"{entry['expected']:.1%}"
        seen = f"{entry['seen'] / max(entry['placed'], 1):.0%}"
        row = escape(name), f"{entry['placed'] / total:.1%}", wanted, seen, ""
        out.add_row(*row, style="red" if "classes" in red else None)
    for group, title in TITLES.items():
        rows = [histogram for histogram in audit.histograms if histogram.group == group]
        if rows:
            out.add_section()
            _heading(out, title, "5 %", "median", "95 %")
        for row in rows:
            name = escape(row.name) + (f" [dim]{row.unit}[/dim]" if row.unit else "")
            choice = row.labels and group == "drawn"  # of positions among its values nobody wants the median
            numbers = [""] * 3 if choice else [f"{number:.3g}" for number in row.quantiles[1:4]]
            out.add_row(name, *numbers, sparkline(row), style="red" if row.name in red else None)
    return out


def _heading(out: Table, title: str, *columns: str) -> None:
    out.add_row(f"[bold]{title}[/bold]", *(f"[dim]{column}[/dim]" for column in columns))


def sparkline(histogram: Histogram) -> str:
    """A histogram in a line of text; of more than 24 bars the first 24.

    Example:
        >>> sparkline(Histogram("x", "label", "", [0, 1, 2], [1, 2], None, None, 3, 1.0, 0.5, [0, 0, 1, 2, 2]))
        '▄█'
    """
    most = max(max(histogram.counts, default=0), 1)
    return "".join(_BARS[-(-8 * count // most)] for count in histogram.counts[:24])
