"""Rain as streaks that are looked up, not convolved as in `fastsynth.effects.Rain`: for pictures full of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastsynth.canvas import Canvas
from fastsynth.effects import Effect
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.random.noise import stream_number
from fastsynth.randomizers.sensor import noise_key
from fastsynth.types import SceneBatch

_LENGTH, _ROOM = 0.07, 4  # of a streak in picture heights, and of its cell in streaks


class Streaks(Effect):
    """Slanted columns of cells, each with or without a streak a pixel wide, in front of everything.

    Args:
        drops: A pixel's probability to begin a streak.
        slant: How far a streak moves to the left on its way down, as a part of its height, in [-1, 1].
        brightness: Their grey.
        opacity: How much of a pixel a streak covers.
    """

    def __init__(self, drops: Any, slant: Any = 0.0, brightness: Any = 0.6, opacity: Any = 0.35) -> None:
        super().__init__()
        self.drops: Distribution = as_distribution(drops, "Streaks: `drops`", [()])
        self.slant: Distribution = as_distribution(slant, "Streaks: `slant`", [()])
        self.brightness: Distribution = as_distribution(brightness, "Streaks: `brightness`", [()])
        self.opacity: Distribution = as_distribution(opacity, "Streaks: `opacity`", [()])

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """All of them, and the key of the cells."""
        names = ("drops", "slant", "brightness", "opacity")
        return {"key": noise_key(noise.of(self)), **{name: getattr(self, name).sample(noise) for name in names}}

    @staticmethod
    def change(  # type: ignore[override]
        image: Tensor,
        canvas: Canvas,
        key: Tensor,
        drops: Tensor,
        slant: Tensor,
        brightness: Tensor,
        opacity: Tensor,
    ) -> Tensor:
        """Mix the streaks in."""
        images, _, height, width = image.shape
        length = max(2, round(_LENGTH * height))
        period = _ROOM * length
        columns, cells = width + 2 * height, height // period + 3
        u = torch.ops.fastsynth.uniform(key, 0, stream_number("streaks"), columns * (1 + cells))
        row = torch.arange(height, dtype=torch.float32, device=image.device)[:, None]
        column = torch.arange(width, dtype=torch.float32, device=image.device)
        place = (column + slant.clamp(-1, 1)[:, None, None] * row).floor_().long().flatten(1) + height
        along = (row / period).expand(height, width).reshape(-1) + u.gather(1, place)
        cell = along.floor()
        # Cells follow the phases of all columns in the row of random numbers.
        chance = u.gather(1, place * cells + cell.long() + columns)
        there = (along - cell < 1 / _ROOM) & (chance < (drops * period)[:, None])
        cover = torch.where(there, opacity[:, None], 0.0).view(images, 1, height, width)
        return torch.lerp(image, brightness[:, None, None, None].expand_as(image), cover)
