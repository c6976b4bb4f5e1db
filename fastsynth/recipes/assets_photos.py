"""Pictures with the statistics of photographs: stand-ins for a pool of real ones.

Dead leaves: shapes that hide one another, their sizes falling off with the cube, have the scale-free edges and spectra
of natural images (Lee, Mumford and Huang, "Occlusion Models for Natural Images", IJCV 2001). Here each is shaded and
grainy, and lies before a sky, a wall or a floor.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fastsynth.textures import Textures


@functools.lru_cache(maxsize=4)
def photos(count: int = 64, size: tuple[int, int] = (96, 128), seed: int = 0) -> Textures:
    """A pool of pictures.

    Args:
        count: How many; a larger pool begins with those of a smaller one.
        size: Height and width [pixels].
        seed: Of the pool.

    Example:
        >>> photos(3, (24, 32)).info[:, :2].tolist()
        [[32, 24], [32, 24], [32, 24]]
    """
    return Textures.from_images([picture(np.random.default_rng([seed, row]), size) for row in range(count)])


def picture(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """One picture, uint8 [H, W, 3].

    Example:
        >>> picture(np.random.default_rng(0), (24, 32)).shape
        (24, 32, 3)
    """
    height, width = (2 * side for side in size)
    hues = rng.uniform(0, 1, 4)  # a picture keeps to a few hues
    canvas = Image.fromarray(_backdrop(rng, (height, width), hues))
    shapes = int(rng.integers(60, 260))
    # Sizes between 2 % and half of the height with a density of r^-3.
    low, high = 0.02 * height, 0.5 * height
    u = rng.uniform(0, 1, shapes)
    radii = np.sort((low**-2 + u * (high**-2 - low**-2)) ** -0.5)[::-1]
    for radius in radii:
        _leaf(ImageDraw.Draw(canvas), rng, radius, (height, width), hues)
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))
    canvas = canvas.resize((size[1], size[0]), Image.Resampling.BOX)
    grain = rng.normal(0, rng.uniform(1, 6), (*size, 1))
    shade = 1 + rng.uniform(-0.25, 0.25) * np.linspace(-1, 1, size[1])[None, :, None]
    return np.clip(np.asarray(canvas) * shade + grain, 0, 255).astype(np.uint8)


def _color(rng: np.random.Generator, hues: np.ndarray, light: tuple[float, float] = (0.1, 1.0)) -> np.ndarray:
    """SRGB 0 to 255, near one of the hues, mostly not saturated."""
    hue = (rng.choice(hues) + rng.normal(0, 0.03)) % 1
    value, saturation = rng.uniform(*light), rng.beta(1.5, 2.5)
    wheel = np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return 255 * value * (1 - saturation * (1 - np.clip(wheel, 0, 1)))


def _backdrop(rng: np.random.Generator, size: tuple[int, int], hues: np.ndarray) -> np.ndarray:
    """A sky over a ground, or a wall over a floor, each fading."""
    rows = np.linspace(0, 1, size[0])[:, None, None]
    horizon = rng.uniform(0.3, 0.8)
    above = _color(rng, hues, (0.5, 1.0)) * (1 - rows) + _color(rng, hues, (0.5, 1.0)) * rows
    below = _color(rng, hues, (0.1, 0.7)) * (1 - rows) + _color(rng, hues, (0.1, 0.7)) * rows
    field = np.where(rows < horizon, above, below)
    return np.broadcast_to(field, (*size, 3)).astype(np.uint8)


def _leaf(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, radius: float, size: tuple[int, int], hues: np.ndarray
) -> None:
    """One shape with a lit and a dark side."""
    x, y = rng.uniform(0, size[1]), rng.uniform(0, size[0])
    wide, high = radius * rng.uniform(0.5, 1.5), radius * rng.uniform(0.5, 1.5)
    color = _color(rng, hues)
    dark = tuple(int(c) for c in color * rng.uniform(0.5, 0.9))
    lit = tuple(int(c) for c in color)
    shift = 0.15 * radius
    kind = rng.integers(3)
    if kind == 0:
        draw.ellipse((x - wide, y - high, x + wide, y + high), fill=dark)
        draw.ellipse((x - wide + shift, y - high, x + wide - shift, y + high - 2 * shift), fill=lit)
    elif kind == 1:
        draw.rectangle((x - wide, y - high, x + wide, y + high), fill=dark)
        draw.rectangle((x - wide, y - high, x + wide - 2 * shift, y + high), fill=lit)
    else:
        angle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(3 + rng.integers(4)) / 5
        corners = np.stack([x + wide * np.cos(angle), y + high * np.sin(angle)], 1)
        draw.polygon([tuple(c) for c in corners], fill=dark)
        draw.polygon([tuple(c) for c in corners + (0, -shift)], fill=lit)
