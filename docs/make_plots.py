"""Draws the plots of ``docs/howto/search_results.md`` from ``benchmarks/results``: ``python docs/make_plots.py``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
RESULTS, IMAGES = HERE.parent / "benchmarks" / "results", HERE / "images"
INK, GREY, PALE = "#202028", "#9a9aa4", "#e4e4ea"
COLORS = ("#2c5fb3", "#2e8b57", "#c0392b", "#b8860b", "#7a4fa3")
SIZE, SCALE = (620, 330), 2  # drawn larger and made smaller: even lines
LEFT, TOP, RIGHT, BOTTOM = 64, 34, 164, 46
Point = tuple[float, float]


@dataclass
class Plot:
    """A plane with ticks, lines and dots on it; the legend stands to the right.

    Args:
        title: Above it.
        x: Name of the horizontal axis, and its ends.
        y: Name of the vertical axis, and its ends.
        log: Which of the axes are logarithmic.
    """

    title: str
    x: tuple[str, float, float]
    y: tuple[str, float, float]
    log: str = ""
    x_ticks: dict[float, str] = field(default_factory=dict)
    y_ticks: dict[float, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (SIZE[0] * SCALE, SIZE[1] * SCALE), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.names: list[tuple[str, str]] = []
        small, large = self._font(12), self._font(15)
        self.draw.text((LEFT * SCALE, 8 * SCALE), self.title, fill=INK, font=large)
        for value, text in self.x_ticks.items():
            x, bottom = self._at((value, self.y[1]))
            self._segment((x, bottom), (x, self._at((value, self.y[2]))[1]), PALE)
            self.draw.text((x, bottom + 5 * SCALE), text, fill=INK, font=small, anchor="ma")
        for value, text in self.y_ticks.items():
            left, y = self._at((self.x[1], value))
            self._segment((left, y), (self._at((self.x[2], value))[0], y), PALE)
            self.draw.text((left - 6 * SCALE, y), text, fill=INK, font=small, anchor="rm")
        middle = (LEFT + SIZE[0] - RIGHT) / 2 * SCALE
        self.draw.text((middle, (SIZE[1] - 8) * SCALE), self.x[0], fill=INK, font=small, anchor="ms")
        self.draw.text((6 * SCALE, (TOP - 4) * SCALE), self.y[0], fill=INK, font=small, anchor="ls")

    @staticmethod
    def _font(size: int) -> Any:
        return ImageFont.load_default(size * SCALE)

    def _at(self, point: Point) -> Point:
        """Where a point lies in the image [pixels]."""

        def share(value: float, axis: tuple[str, float, float], name: str) -> float:
            _, low, high = axis
            value = min(max(value, low), high)
            scaled: Callable[[float], float] = math.log if name in self.log else float
            return (scaled(value) - scaled(low)) / (scaled(high) - scaled(low))

        width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM
        x = LEFT + width * share(point[0], self.x, "x")
        y = SIZE[1] - BOTTOM - height * share(point[1], self.y, "y")
        return x * SCALE, y * SCALE

    def _segment(self, start: Point, end: Point, color: str, width: int = 1) -> None:
        self.draw.line((*start, *end), fill=color, width=width * SCALE)

    def line(self, points: list[Point], color: str, width: int = 2) -> None:
        """Joins points."""
        self.draw.line([self._at(point) for point in points], fill=color, width=width * SCALE, joint="curve")

    def dots(self, points: list[Point], color: str, radius: float = 4) -> None:
        """Marks points."""
        for x, y in map(self._at, points):
            r = radius * SCALE
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=color, outline="white", width=SCALE)

    def note(self, name: str, color: str) -> None:
        """One more line of the legend."""
        x, y = SIZE[0] - RIGHT + 14, TOP + 12 + 20 * len(self.names)
        self.names.append((name, color))
        self.draw.rectangle([v * SCALE for v in (x, y - 4, x + 14, y + 4)], fill=color)
        self.draw.text(((x + 20) * SCALE, y * SCALE), name, fill=INK, font=self._font(12), anchor="lm")

    def save(self, name: str) -> None:
        """Writes the picture."""
        self.image.resize(SIZE, Image.Resampling.LANCZOS).quantize(128, dither=Image.Dither.NONE).save(
            IMAGES / f"{name}.png", optimize=True
        )


def results(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["results"]


def thousands(*values: int) -> dict[float, str]:
    return {value: f"{value:,}" for value in values}


def hidden() -> None:
    """How many of the eight are found, by pictures drawn."""
    found = results("search_hidden")
    x = "pictures drawn", 128, found["budget of a rival"]
    ticks = thousands(128, 512, 2048, 8192, 30720)
    axis = {n: str(n) for n in range(0, 9, 2)} | {6: "6 wanted"}
    plot = Plot("Of eight hidden parameters, found to 5 %", x, ("", 0, 8), "x", ticks, axis)
    for (name, way), color in zip([(k, v) for k, v in found["inside"].items()], COLORS):
        courses = [run["course"] for run in way["runs"]]
        rows = list(zip(*courses))  # the runs of a way have the same places
        plot.line([(row[0][0], mean(number for _, number in row)) for row in rows], color)
        plot.note(name, color)
    plot.save("search_hidden")


def shape() -> None:
    """The largest error of a supershape's distributions."""
    found = results("search_shape")
    ticks = thousands(64, 256, 1120, 4480)
    axis = {0.01: "0.01", found["tolerance"]: "0.05", 0.2: "0.2", 1: "1", 4: "4"}
    plot = Plot(
        "Two frequencies: the largest error of the four",
        ("pictures drawn", 64, 4480),
        ("", 0.008, 4),
        "xy",
        ticks,
        axis,
    )
    for name, color in (("score function", COLORS[2]), ("reweighting", COLORS[1])):
        for run in found[name]["runs"]:
            plot.line([(64 * (step + 1), error) for step, error in enumerate(run["errors"])], color, 1)
        plot.note(name, color)
    plot.line([(64, found["tolerance"]), (4480, found["tolerance"])], GREY, 1)
    plot.line([(1120, 0.008), (1120, 4)], GREY, 1)
    plot.note("0.05; a quarter of", "#ffffff")
    plot.note("blendtorch's pictures", "#ffffff")
    plot.save("search_shape")


def mixture() -> None:
    """The larger L1 error of textures and meshes, by pictures drawn."""
    found = results("search_mixture")
    axis = {0.0: "0", 0.05: "0.05", 0.1: "0.1", 0.15: "0.15"}
    plot = Plot(
        "Weights of textures and meshes: the larger L1",
        ("pictures drawn", 1024, 102_400),
        ("", 0, 0.15),
        "x",
        thousands(1024, 4096, 16384, 65536),
        axis,
    )
    for name, color in zip(("reweighting", "score function", "enumeration"), (COLORS[1], COLORS[2], COLORS[3])):
        plot.dots([(run["pictures"], max(run["L1 to the weights"])) for run in found[name]["runs"]], color)
        plot.note(name, color)
    plot.line([(1024, 0.1), (102_400, 0.1)], GREY, 1)
    plot.note("0.1 wanted", GREY)
    plot.save("search_mixture")


def detector() -> None:
    """AP50 of every detector."""
    found = results("search_detector")
    kinds = ("uniform", "matched", "truth")
    most = math.ceil(10 * max(run[kind] for run in found["runs"] for kind in kinds)) / 10
    axis = {round(n / 10, 1): f"{n / 10:.1f}" for n in range(int(10 * most) + 1)}
    ticks = {float(n): kind for n, kind in enumerate(kinds)}
    plot = Plot("AP50 of detectors on the hidden domain", ("trained on", -0.5, 2.5), ("", 0, most), "", ticks, axis)
    for run, color in zip(found["runs"], COLORS):
        points = [(float(n), run[kind]) for n, kind in enumerate(kinds)]
        plot.line(points, color, 1)
        plot.dots(points, color)
        plot.note(f"seed {run['seed']}", color)
    plot.save("search_detector")


if __name__ == "__main__":
    for draw in (hidden, shape, mixture, detector):
        draw()
