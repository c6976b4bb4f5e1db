"""Textures of two random colours: a few patterns in black and white, and a map of colours for every instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.random import Choice, Distribution, Noise, Uniform, as_distribution
from fastsynth.scene import Parts
from fastsynth.textures import Textures, linear_to_srgb

_CELLS = (2, 4, 8, 16)
_SIDE = 128  # [texels]


def _ramp() -> np.ndarray:
    """From 0 to 1 across the picture."""
    return np.broadcast_to((np.arange(_SIDE) + 0.5) / _SIDE, (_SIDE, _SIDE))


def _cells(count: int) -> np.ndarray:
    """The number of the cell in which each texel of a row lies."""
    return np.arange(_SIDE) * count // _SIDE


def _checker(count: int) -> np.ndarray:
    """`count` cells a side, black at the top left."""
    return (_cells(count)[:, None] + _cells(count)) % 2.0


def _both_ways(picture: np.ndarray) -> list[np.ndarray]:
    """As it is, and on its side."""
    return [picture, picture.T]


def _smooth(count: int) -> np.ndarray:
    """Value noise of `count` and twice as many cells a side, that goes on over the border; all of [0, 1]."""
    total = np.zeros((_SIDE, _SIDE))
    for cells, share in ((count, 1.0), (2 * count, 0.5)):
        values = np.random.default_rng(cells).random((cells, cells))
        at = np.arange(_SIDE) * cells / _SIDE
        low, part = at.astype(int), 0.5 - 0.5 * np.cos(np.pi * (at % 1.0))
        high = (low + 1) % cells
        rows = values[low] * (1 - part)[:, None] + values[high] * part[:, None]
        total += share * (rows[:, low] * (1 - part) + rows[:, high] * part)
    return (total - total.min()) / (total.max() - total.min())


#: Name: the pictures of the pattern, float [h, w] each: 0 for the first colour, 1 for the second.
PATTERNS: dict[str, Callable[[], list[np.ndarray]]] = {
    "flat": lambda: [np.zeros((1, 1))],
    "gradient": lambda: _both_ways(_ramp()),
    "checker": lambda: [_checker(count) for count in _CELLS],
    "stripes": lambda: [turned for count in _CELLS for turned in _both_ways(_checker(count)[:1])],
    "noise": lambda: [_smooth(count) for count in _CELLS],
}


class ProceduralTextures(Parts):
    """Textures of two random colours for `Materials`: one colour, a gradient, a checker, stripes or noise.

    A pattern is a picture ``m`` of 0 to 1, and its colour ``a + m (b - a)``, in linear light, with the colours ``a``
    and ``b`` of the instance. So no two instances need be alike, and no picture is made for any of them: their colours
    are ``SceneBatch.color_matrix``. The three kinds of Tobin et al., "Domain Randomization for Transferring Deep Neural
    Networks from Simulation to the Real World", 2017, are the default. With the tone "linear", which decodes no
    texture, ``m`` is coded as in sRGB.

    Args:
        kinds: Which patterns, out of "flat", "gradient", "checker", "stripes" and "noise", each as often.
        pool: How many textures there are in all; None = one for each instance. What an image gets of a pool does not
            change which textures are in it.
        color: Of both colours, linear r g b; any by default.
        seed: Of the pool.

    Example:
        >>> import fastsynth as fs
        >>> materials = fs.Materials(textures=fs.ProceduralTextures(("flat", "checker")))
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3), materials=materials).sample(2)
        >>> batch.color_matrix.shape
        torch.Size([2, 3, 3, 4])
    """

    rows: Tensor
    pool_kind: Tensor
    pool_part: Tensor
    pool_color: Tensor

    def __init__(
        self,
        kinds: Sequence[str] = ("flat", "gradient", "checker"),
        pool: int | None = None,
        color: Any = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        unknown = [kind for kind in kinds if kind not in PATTERNS]
        if unknown or not kinds or isinstance(kinds, str):
            raise ValueError(f"ProceduralTextures: `kinds` must be some of {tuple(PATTERNS)}, but is {kinds!r}.")
        if pool is not None and pool < 1:
            raise ValueError(f"ProceduralTextures: `pool` must be at least 1, or None for no limit, but is {pool}.")
        pictures = [PATTERNS[kind]() for kind in kinds]
        coded = [np.clip(linear_to_srgb(it) * 255 + 0.5, 0, 255).astype(np.uint8) for made in pictures for it in made]
        wraps = ["mirror" if kind == "gradient" else "repeat" for kind, made in zip(kinds, pictures) for _ in made]
        #: The patterns.
        self.textures: Textures = Textures.from_images(coded, wraps)
        counts = torch.tensor([len(made) for made in pictures])
        self.register_buffer("rows", torch.stack([counts.cumsum(0) - counts, counts], -1), persistent=False)
        self.kind = Choice(range(len(kinds)))
        color = Uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)) if color is None else color
        self.color: Distribution = as_distribution(color, "ProceduralTextures: `color`", [(3,)])
        self.choice: Choice | None = None if pool is None else Choice(range(pool))
        if pool is not None:
            noise = Noise(seed, torch.arange(pool))
            made = self._textures(noise, 1)
            for name, value in zip(("kind", "part", "color"), made, strict=True):
                self.register_buffer(f"pool_{name}", value[:, 0].detach(), persistent=False)

    def _textures(self, noise: Noise, slots: int) -> tuple[Tensor, Tensor, Tensor]:
        """Kinds, where in [0, 1) among the pictures of the kind, and colours: [B, N], [B, N], [B, N, 2, 3]."""
        part = noise.of(self).uniform((slots,), "part")
        return self.kind.sample(noise, slots), part, self.color.sample(noise, (slots, 2))

    def draw(self, noise: Noise, slots: int) -> tuple[Tensor, Tensor]:
        """Textures for the instances of every image.

        Args:
            noise: Source of randomness.
            slots: N.

        Returns:
            Rows of ``textures``, int64 [B, N], and ``color_matrix``, float32 [B, N, 3, 4].
        """
        if self.choice is None:
            kind, part, color = self._textures(noise, slots)
        else:
            which = self.choice.sample(noise, slots)
            kind, part, color = self.pool_kind[which], self.pool_part[which], self.pool_color[which]
        first, count = self.rows[kind].unbind(-1)
        row = first + (part * count).long()
        low, high = color.unbind(-2)
        return row, torch.cat([torch.diag_embed(high - low), low[..., None]], -1)
