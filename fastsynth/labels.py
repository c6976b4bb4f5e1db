"""Drawn pictures: labels of products, and the patterns of procedural textures."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SYLLABLES = "ka mo ri ne so la vi ta bo li zu pe ra no mi da fe go lu sa".split()
_GOODS = ("crunch", "fresh", "classic", "organic", "soup", "juice", "tea", "cocoa", "pasta", "honey", "sauce", "oats")

Color = tuple[int, int, int]


def _color(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Color:
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return round(r * 255), round(g * 255), round(b * 255)


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(_SYLLABLES, rng.integers(2, 4))).capitalize()


def _text(draw: ImageDraw.ImageDraw, text: str, box: tuple[float, float, float, float], color: Color) -> None:
    """Text as large as fits the box, centred."""
    left, top, right, bottom = box
    font = ImageFont.load_default(max(6.0, bottom - top))
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    scale = min(1.0, (right - left) / max(x1 - x0, 1))
    font = ImageFont.load_default(max(6.0, (bottom - top) * scale))
    draw.text(((left + right) / 2, (top + bottom) / 2), text, fill=color, font=font, anchor="mm")


def _front(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    ink: Color,
    accent: Color,
) -> None:
    """A brand, a picture made of blobs, and a line of text."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    style = rng.integers(3)
    if style == 0:
        draw.ellipse((left + 0.15 * w, top + 0.35 * h, right - 0.15 * w, bottom - 0.15 * h), fill=accent)
    elif style == 1:
        draw.polygon([(left, top + 0.55 * h), (right, top + 0.35 * h), (right, bottom), (left, bottom)], fill=accent)
    else:
        draw.rectangle((left, top + 0.3 * h, right, top + 0.38 * h), fill=accent)
    for _ in range(rng.integers(3, 7)):
        r = rng.uniform(0.06, 0.16) * w
        x, y = rng.uniform(left + r, right - r), rng.uniform(top + 0.45 * h, bottom - 0.2 * h)
        draw.ellipse((x - r, y - r * rng.uniform(0.6, 1), x + r, y + r), fill=_color(rng, (0.4, 0.9), (0.6, 1.0)))
    _text(draw, _word(rng), (left + 0.06 * w, top + 0.08 * h, right - 0.06 * w, top + 0.28 * h), ink)
    _text(draw, str(rng.choice(_GOODS)), (left + 0.1 * w, bottom - 0.14 * h, right - 0.1 * w, bottom - 0.04 * h), ink)


def _back(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], ink: Color
) -> None:
    """A table of figures and a barcode."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    paper: Color = (250, 250, 246)
    draw.rectangle((left + 0.1 * w, top + 0.08 * h, right - 0.1 * w, top + 0.6 * h), fill=paper, outline=(30, 30, 30))
    for i in range(8):
        y = top + (0.13 + 0.055 * i) * h
        draw.line((left + 0.15 * w, y, left + rng.uniform(0.45, 0.65) * w, y), fill=(60, 60, 60))
        draw.line((right - 0.28 * w, y, right - 0.15 * w, y), fill=(60, 60, 60))
    draw.rectangle((left + 0.2 * w, top + 0.68 * h, right - 0.2 * w, top + 0.92 * h), fill=paper)
    x = left + 0.24 * w
    while x < right - 0.24 * w:
        bar = rng.integers(1, 4) * 0.012 * w
        draw.rectangle((x, top + 0.7 * h, x + bar, top + 0.88 * h), fill=(20, 20, 20))
        x += bar + rng.integers(1, 4) * 0.012 * w
    draw.line((left, top + 0.64 * h, right, top + 0.64 * h), fill=ink)


def carton(rng: np.random.Generator, size: int, sides: tuple[float, float, float]) -> np.ndarray:
    """Label of a box of these sides, in the 4 x 3 fields of ``procedural.box``; uint8 [size, size, 3]."""
    ground, accent = _color(rng, (0.35, 0.95), (0.45, 1.0)), _color(rng, (0.3, 1.0), (0.4, 1.0))
    ink: Color = (255, 255, 255) if sum(ground) < 420 else (25, 25, 35)
    fw, fh = size / 4, size / 3
    # Drawn at twice the size, then reduced: smooth edges.
    picture = Image.new("RGB", (2 * size, 2 * size), ground)
    draw = ImageDraw.Draw(picture)

    def field(column: int, row: int) -> tuple[float, float, float, float]:
        return 2 * column * fw + 4, 2 * row * fh + 4, 2 * (column + 1) * fw - 4, 2 * (row + 1) * fh - 4

    for column in (0, 2):
        _front(rng, draw, field(column, 1), ink, accent)
    _back(rng, draw, field(1, 1), ink)
    left, top, right, bottom = field(3, 1)
    _text(draw, _word(rng), (left, top + 0.4 * fh, right, bottom - 0.4 * fh), ink)
    left, top, right, bottom = field(0, 0)
    draw.rectangle((left, top, right, bottom), fill=accent)
    _text(draw, _word(rng), (left + 8, top + 0.5 * fh, right - 8, bottom - 0.5 * fh), ink)
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


def wrapped(rng: np.random.Generator, size: int, metal_ends: float) -> np.ndarray:
    """Label around a can or carton, with bare metal on a part of the height at both ends; uint8 [size, 2 size, 3]."""
    ground, accent = _color(rng, (0.3, 0.95), (0.4, 1.0)), _color(rng, (0.4, 1.0), (0.4, 1.0))
    ink: Color = (255, 255, 255) if sum(ground) < 420 else (25, 25, 35)
    width, height = 4 * size, 2 * size
    picture = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(picture)
    if rng.random() < 0.5:
        for i in range(rng.integers(1, 4)):
            y = height * (0.12 + 0.06 * i)
            draw.rectangle((0, y, width, y + 0.03 * height), fill=accent)
    inside = metal_ends * height
    for i, start in enumerate((0.0, 0.5)):
        _front(
            rng, draw, ((start + 0.02) * width, inside + 8, (start + 0.24) * width, height - inside - 8), ink, accent
        )
        if i == 0:
            _back(rng, draw, (0.27 * width, inside + 8, 0.48 * width, height - inside - 8), ink)
    if metal_ends > 0:
        steel: Color = (196, 198, 202)
        draw.rectangle((0, 0, width, inside), fill=steel)
        draw.rectangle((0, height - inside, width, height), fill=steel)
    return np.asarray(picture.resize((2 * size, size), Image.Resampling.BOX))


def bottle(rng: np.random.Generator, size: int, shoulder: float) -> np.ndarray:
    """Body colour with a label band below the shoulder and a cap on top; uint8 [size, 2 size, 3]."""
    body, cap = _color(rng, (0.3, 0.9), (0.25, 0.9)), _color(rng, (0.5, 1.0), (0.4, 1.0))
    paper, accent = _color(rng, (0.0, 0.3), (0.85, 1.0)), _color(rng, (0.5, 1.0), (0.4, 0.9))
    width, height = 4 * size, 2 * size
    picture = Image.new("RGB", (width, height), body)
    draw = ImageDraw.Draw(picture)
    top, bottom = height * (1 - shoulder * 0.92), height * rng.uniform(0.86, 0.95)
    draw.rectangle((0, top, width, bottom), fill=paper)
    draw.rectangle((0, top, width, top + 0.03 * height), fill=accent)
    for start in (0.0, 0.5):
        _front(
            rng,
            draw,
            ((start + 0.03) * width, top + 0.02 * height, (start + 0.23) * width, bottom),
            (25, 25, 35),
            accent,
        )
    _back(rng, draw, (0.28 * width, top + 0.05 * height, 0.46 * width, bottom), (25, 25, 35))
    draw.rectangle((0, 0, width, height * 0.1), fill=cap)
    return np.asarray(picture.resize((2 * size, size), Image.Resampling.BOX))


def pattern(rng: np.random.Generator, size: int, kind: int) -> np.ndarray:
    """Flat, gradient, checker, stripes or value noise by turns; uint8 [size, size, 3]."""
    a, b = (np.array(_color(rng, (0.0, 1.0), (0.15, 1.0)), np.float64) for _ in range(2))
    y, x = np.mgrid[:size, :size] / size
    turn = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    kind %= 5
    if kind == 0:
        part = np.zeros((size, size))
    elif kind == 1:
        part = (along - along.min()) / np.ptp(along)
    elif kind == 2:
        fields = int(rng.integers(2, 12))
        part = (np.floor(x * fields) + np.floor(y * fields)) % 2
    elif kind == 3:
        part = (np.floor(along * rng.integers(3, 20)) % 2).astype(np.float64)
    else:
        part = np.zeros((size, size))
        for octave in range(4):
            cells = min(int(rng.integers(2, 5)) * 2**octave, size)
            coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
            part += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) / 2**octave
        part = np.clip((part - part.min()) / np.ptp(part), 0, 1)
    return np.clip(a + part[..., None] * (b - a) + 0.5, 0, 255).astype(np.uint8)
