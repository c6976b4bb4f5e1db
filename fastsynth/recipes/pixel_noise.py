"""Noise of a random type on the finished picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth.canvas import Canvas
from fastsynth.effects import Effect
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.random.noise import stream_number
from fastsynth.randomizers.sensor import noise_key
from fastsynth.types import SceneBatch

TYPES = ("none", "gaussian", "salt_pepper")


class PixelNoise(Effect):
    """One type of noise an image: Gaussian, salt and pepper, or none.

    Args:
        types: Out of "none", "gaussian", "salt_pepper"; each as likely.
        deviation: Standard deviation of the Gaussian, of display values.
        part: Part of the pixels that turn black or white.
    """

    def __init__(self, types: Sequence[str], deviation: Distribution, part: Distribution) -> None:
        super().__init__()
        self.kind = Choice([TYPES.index(name) for name in types])
        self.deviation = as_distribution(deviation, "PixelNoise: `deviation`", [()])
        self.part = as_distribution(part, "PixelNoise: `part`", [()])

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Type, amounts, and a key for the numbers of the pixels."""
        kind = self.kind.sample(noise)
        return {
            "deviation": torch.where(kind == 1, self.deviation.sample(noise), 0.0),
            "part": torch.where(kind == 2, self.part.sample(noise), 0.0),
            "key": noise_key(noise.of(self)),
        }

    @staticmethod
    def change(image: Tensor, canvas: Canvas, deviation: Tensor, part: Tensor, key: Tensor) -> Tensor:
        """Both, one of which is 0. Normal numbers by Box and Muller, 1958."""
        batch, channels, height, width = image.shape
        u = torch.ops.fastsynth.uniform(key, 0, stream_number("pixel_noise"), 4 * height * width)
        u = u.view(batch, 4, height, width)
        radius = (-2 * (1 - u[:, :2]).log()).sqrt()
        angle = 2 * math.pi * u[:, 2:]
        normal = torch.cat([radius * angle.cos(), radius[:, :1] * angle[:, :1].sin()], 1)
        noisy = image + deviation[:, None, None, None] * normal
        # The fourth of the numbers is free of the first normal ones' radius.
        hit = u[:, 3:] < part[:, None, None, None]
        salt = u[:, 2:3] < 0.5
        return torch.where(hit, torch.where(salt, 1.0, 0.0), noisy).clamp(0, 1)
