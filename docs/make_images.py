"""Makes every picture of the documentation anew: ``python docs/make_images.py``.

The gallery's pictures come from the scripts in ``docs/examples``, `hero.png` from a scene below, `audit.png` from the
page on audits, and `conventions.png` is drawn line by line.
"""

from __future__ import annotations

import os
import re
import runpy
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

import fastsynth as fs
from fastsynth.sheet import OUTPUTS, contact_sheet

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
INK, GREY, RED, GREEN, BLUE = "#202028", "#9a9aa4", "#c0392b", "#2e8b57", "#2c5fb3"
Point = tuple[float, float]


def hero() -> Image.Image:
    """Generated products with boxes, masks and depth, as ``fastsynth preview`` shows a user's own meshes."""
    scene = fs.Scene(
        objects=fs.Objects(
            fs.procedural.products(),
            count=fs.Choice(range(5, 10)),
            position=fs.FrustumPosition(depth=fs.Uniform(0.55, 1.1), margin=0.12),
            rotation=fs.UniformRotation(),
            separate=True,
        ),
        light=[fs.SkyAmbient(), fs.DirectionalLight(intensity=fs.LogUniform(0.5, 1.5))],
        background=fs.GradientBackground(),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.2)),
        shading="ggx",
    )
    frames = fs.render(scene.sample(6, seed=11), size=(168, 168), outputs=OUTPUTS, samples=4)
    return contact_sheet(frames, count=6)


def arrow(draw: ImageDraw.ImageDraw, start: Point, end: Point, color: str) -> None:
    """A line with a head."""
    (x0, y0), (x1, y1) = start, end
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    draw.line((x0, y0, x1 - 6 * ux, y1 - 6 * uy), fill=color, width=3)
    left, right = (x1 - 12 * ux + 5 * uy, y1 - 12 * uy - 5 * ux), (x1 - 12 * ux - 5 * uy, y1 - 12 * uy + 5 * ux)
    draw.polygon([end, left, right], fill=color)


def conventions() -> Image.Image:
    """World, camera and image frames side by side."""
    sheet = Image.new("RGB", (960, 300), "white")
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(18), ImageFont.load_default(13)

    def title(x: float, text: str, note: str) -> None:
        draw.text((x, 12), text, fill=INK, font=large)
        draw.text((x, 36), note, fill=GREY, font=small)

    def axes(origin: Point, ends: dict[str, tuple[Point, str, Point]]) -> None:
        for name, ((dx, dy), color, (tx, ty)) in ends.items():
            arrow(draw, origin, (origin[0] + dx, origin[1] + dy), color)
            draw.text((origin[0] + dx + tx, origin[1] + dy + ty), name, fill=color, font=small)

    title(20, "World and object", "right-handed, z up, metres")
    draw.polygon([(40, 245), (150, 205), (260, 240), (150, 285)], fill="#eeeef2")
    axes(
        (150, 240),
        {"x": ((85, 25), RED, (4, -6)), "y": ((75, -40), GREEN, (4, -12)), "z": ((0, -140), BLUE, (8, -4))},
    )

    title(320, "Camera", "+x right, +y down, +z forward (OpenCV)")
    eye = (360.0, 150.0)
    far = [(540, 85), (600, 120), (600, 235), (540, 200)]
    for corner in far:
        draw.line((*eye, *corner), fill=GREY)
    draw.polygon(far, outline=GREY)
    axes(eye, {"x": ((45, 27), RED, (4, -2)), "y": ((0, 85), GREEN, (6, -10)), "z": ((150, 8), BLUE, (4, -16))})
    draw.ellipse((354, 144, 366, 156), fill=INK)
    draw.text((340, 122), "eye", fill=INK, font=small)
    draw.text((452, 250), "depth: along z", fill=BLUE, font=small)
    draw.text((452, 268), "distance: from the eye", fill=INK, font=small)

    title(640, "Image", "row 0 on top, pixel centres at half-integers")
    left, top, side, columns, rows = 680, 90, 44, 5, 4
    draw.rectangle((left, top, left + side, top + side), fill="#dde6f5")
    for column in range(columns + 1):
        draw.line((left + column * side, top, left + column * side, top + rows * side), fill=GREY)
    for row in range(rows + 1):
        draw.line((left, top + row * side, left + columns * side, top + row * side), fill=GREY)
    for row in range(rows):
        for column in range(columns):
            x, y = left + (column + 0.5) * side, top + (row + 0.5) * side
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=INK)
    axes((left, top), {"u": ((columns * side + 30, 0), RED, (-4, 6)), "v": ((0, rows * side + 22), GREEN, (8, -12))})
    draw.text((left - 32, top - 20), "(0, 0)", fill=INK, font=small)
    draw.text((left + 2, top + 26), "(.5, .5)", fill=INK, font=ImageFont.load_default(11))
    x, y = left + 2.5 * side, top + 2 * side
    draw.line((x - 8, y, x + 8, y), fill=BLUE, width=2)
    draw.line((x, y - 8, x, y + 8), fill=BLUE, width=2)
    draw.text((x + 8, y + 2), "(W/2, H/2)", fill=BLUE, font=small)
    draw.text((left + 40, top + rows * side + 8), "W = 5, H = 4", fill=GREY, font=small)
    return sheet


def audit() -> Image.Image:
    """What the page on audits draws, by running its first two blocks."""
    page = (HERE / "howto" / "audit.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[:2]:
        with tempfile.TemporaryDirectory() as folder:  # the page saves what it finds
            os.chdir(folder)
            exec(block, names)
            os.chdir(HERE)
    return names["report"].picture()


def main() -> None:
    """Write all of them, and say how large they are."""
    IMAGES.mkdir(exist_ok=True)
    torch.manual_seed(0)
    hero().save(IMAGES / "hero.png", optimize=True)
    conventions().quantize(64).save(IMAGES / "conventions.png", optimize=True)
    audit().quantize(128, dither=Image.Dither.NONE).save(IMAGES / "audit.png", optimize=True)
    os.chdir(IMAGES)  # an example writes its picture into the folder it runs in
    for script in sorted((HERE / "examples").glob("*.py")):
        runpy.run_path(str(script), run_name="__main__")
    for picture in sorted(IMAGES.iterdir()):
        print(f"{picture.name:<28}{picture.stat().st_size / 1000:6.0f} kB")


if __name__ == "__main__":
    main()
