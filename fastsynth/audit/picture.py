"""An audit as a picture: small multiples of histograms, read from left to right."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageDraw, ImageFont

from fastsynth.audit.result import Audit, Finding, Histogram
from fastsynth.audit.table import TITLES

INK, GREY, PALE, BLUE, RED = "#202028", "#84848e", "#ececf0", "#6f98d8", "#d8503f"
COLUMNS, SCALE = 5, 2  # drawn larger and made smaller: even lines
PANEL, GAP, MARGIN = (214, 132), 12, 18  # [pixels] of the finished picture
_TOP, _BOTTOM = 22, 20  # of a panel: kept for its name and for its scale
_LINE, _TITLE = 17, 34
_LETTERS = 178  # of a line of findings


class _Sheet:
    """A canvas whose measures are those of the finished picture."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
        self.draw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, color: str = INK, size: int = 11, anchor: str = "la") -> None:
        font = _font(size)
        self.draw.text((x * SCALE, y * SCALE), text, fill=color, font=font, anchor=anchor)

    def box(self, left: float, top: float, right: float, bottom: float, color: str) -> None:
        x0, y0, x1, y1 = (round(side * SCALE) for side in (left, top, right, bottom))
        if x1 > x0 and y1 > y0:  # the corners of Pillow's rectangles are inside them
            self.draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=color)

    def line(self, points: list[tuple[float, float]], color: str) -> None:
        self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=color, width=SCALE)

    def finished(self) -> Image.Image:
        return self.image.resize(self.size, Image.Resampling.LANCZOS)


def picture(audit: Audit) -> Image.Image:
    """Findings, classes, and a histogram of every quantity by its group.

    Bars are what was counted; a dark line is what the distribution makes one expect; a red name has a finding.

    Example:
        >>> picture(Audit(1, {"box": {"placed": 2, "seen": 1, "expected": 1.0}}, [], [], 3, 0.01)).size
        (1154, 253)
    """
    lines = _lines(audit)
    groups = [("Classes", _classes(audit))]
    groups += [(title, [h for h in audit.histograms if h.group == group]) for group, title in TITLES.items()]
    groups = [(title, panels) for title, panels in groups if panels]
    step = PANEL[0] + GAP, PANEL[1] + GAP
    rows = [-(-len(panels) // COLUMNS) for _, panels in groups]
    width = COLUMNS * step[0] - GAP + 2 * MARGIN
    height = 2 * MARGIN + 22 + _LINE * len(lines) + sum(_TITLE + count * step[1] for count in rows)
    sheet = _Sheet(width, height)
    sheet.text(MARGIN, MARGIN, f"Audit of {audit.images} images", size=17)
    for right, text, color in ((92, "counted", BLUE), (30, "expected", INK), (0, "off", RED)):
        sheet.text(width - MARGIN - right, MARGIN + 4, text, color, 12, "ra")
    top = MARGIN + 26
    for text, color in lines:
        sheet.text(MARGIN, top, text, color, 12)
        top += _LINE
    red = {finding.subject for finding in audit.findings}
    for (title, panels), count in zip(groups, rows):
        sheet.text(MARGIN, top + 10, title, size=14)
        top += _TITLE
        for number, panel in enumerate(panels):
            row, column = divmod(number, COLUMNS)
            _panel(sheet, MARGIN + column * step[0], top + row * step[1], panel, panel.name in red)
        top += count * step[1]
    return sheet.finished()


def _lines(audit: Audit) -> list[tuple[str, str]]:
    """What is said above the histograms, each line with its colour."""
    if not audit.findings:
        return [(f"{audit.tests} tests, nothing is off.", GREY)]
    return [(_shortened(finding), RED) for finding in audit.findings]


def _shortened(finding: Finding) -> str:
    text = f"{finding.subject}: {finding.message}"
    return text if len(text) <= _LETTERS else text[: _LETTERS - 3] + "..."


def _classes(audit: Audit) -> list[Histogram]:
    """How many of each class were placed, and how many seen, as panels like the others."""
    names = list(audit.classes)
    if not names:
        return []
    out = []
    for key in ("placed", "seen"):
        counts = [entry[key] for entry in audit.classes.values()]
        shares = [entry["expected"] for entry in audit.classes.values()]
        expected = [share * sum(counts) for share in shares] if key == "placed" and None not in shares else None
        edges = [number - 0.5 for number in range(len(names) + 1)]
        name = "classes" if key == "placed" else "classes, seen"
        labels = names if len(names) <= 12 else None
        out.append(Histogram(name, "class", "", edges, counts, expected, labels, sum(counts), 0, 0, [0] * 5))
    return out


def _panel(sheet: _Sheet, left: float, top: float, histogram: Histogram, off: bool) -> None:
    width, height = PANEL
    base, high = top + height - _BOTTOM, height - _TOP - _BOTTOM
    name = histogram.name + (f" [{histogram.unit}]" if histogram.unit else "")
    sheet.box(left, top + _TOP - 2, left + width, base, PALE)
    sheet.text(left, top + 2, _fitted(name, width, 12), RED if off else INK, 12)
    bars = len(histogram.counts)
    # Some way above an even level, so that it can be seen whether bars are even.
    most = max(*histogram.counts, *(histogram.expected or [0]), 1) * 1.12
    each = width / bars

    def up(count: float) -> float:
        return base - high * count / most

    for number, count in enumerate(histogram.counts):
        x = left + number * each
        sheet.box(x + 0.5, up(count), x + each - 0.5, base, RED if off else BLUE)
    if histogram.expected:
        points = []
        for number, count in enumerate(histogram.expected):
            points += [(left + number * each, up(count)), (left + (number + 1) * each, up(count))]
        sheet.line(points, INK)
    if histogram.labels:
        for number, label in enumerate(histogram.labels):
            text = _fitted(label, each - 2, 10)
            sheet.text(left + (number + 0.5) * each, base + 3, text, GREY, 10, "ma")
        return
    low, end = histogram.edges[0], histogram.edges[-1]
    sheet.text(left, base + 3, _number(low), GREY, 10)
    sheet.text(left + width, base + 3, _number(end), GREY, 10, "ra")
    if histogram.group != "class":
        sheet.text(left + width / 2, base + 3, f"median {_number(histogram.quantiles[2])}", GREY, 10, "ma")


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def _fitted(text: str, width: float, size: int) -> str:
    """A text, cut so that it fits a width."""
    font = _font(size)
    while text and font.getlength(text) > width * SCALE:
        text = text[:-1]
    return text


def _font(size: int) -> Any:
    return ImageFont.load_default(size * SCALE)
