"""Noise of a random type on the finished picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.canvas import Canvas
from fastsynth.effects import Effect
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.randomizers.sensor import noise_key
from fastsynth.types import SceneBatch

TYPES = ("none", "gaussian", "salt_pepper")


class PixelNoise(Effect):
    """One type of noise an image: Gaussian, salt and pepper, or none.

    Args:
        types: Out of "none", "gaussian", "salt_pepper"; each as likely.
        sigma: Standard deviation of the Gaussian, of display values.
        lost: Part of the pixels that turn black or white.
    """

    def __init__(self, types: Sequence[str], sigma: Distribution, lost: Distribution) -> None:
        super().__init__()
        self.kind = Choice([TYPES.index(name) for name in types])
        self.sigma: Distribution = as_distribution(sigma, "PixelNoise: `sigma`", [()])
        self.lost: Distribution = as_distribution(lost, "PixelNoise: `lost`", [()])

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Both amounts, of which one is 0 at least, and a key for the numbers of the pixels."""
        kind = self.kind.sample(noise)
        return {
            "sigma": torch.where(kind == TYPES.index("gaussian"), self.sigma.sample(noise), 0.0),
            "lost": torch.where(kind == TYPES.index("salt_pepper"), self.lost.sample(noise), 0.0),
            "key": noise_key(noise.of(self)),
        }

    @staticmethod
    def change(image: Tensor, canvas: Canvas, sigma: Tensor, lost: Tensor, key: Tensor) -> Tensor:  # type: ignore[override]
        """As `gaussian_noise` and `salt_and_pepper`, of the same numbers: no image has both."""
        normal = ops.normal(key, image[0].numel() if image.shape[0] else 0).view_as(image)
        first = normal[:, :1]
        limit = -torch.special.ndtri(lost.double() / 2).float()[:, None, None, None]
        salt, pepper = first > limit, first < -limit
        # In place where the values are fresh: a large tensor's memory costs more than its arithmetic.
        noisy = (sigma[:, None, None, None] * normal).add_(image).clamp_(0, 1)
        return noisy.masked_fill_(salt, 1.0).masked_fill_(pepper, 0.0)
