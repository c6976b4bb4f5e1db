"""The sensor: what happens to the light on its way to the pixel values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Sensor(Randomizer):
    """Exposure, white balance, blur and noise.

    Args:
        exposure: EV; multiplies linear light by 2^EV.
        white_balance: Factors of r g b; or a number w, warm above 0 and cool below, which multiplies red by exp(w)
            and blue by exp(-w).
        blur: Standard deviation of a Gaussian blur, in image heights.
        noise: Standard deviation of the read noise, in linear light after exposure; or shot and read noise, for
            ``sqrt(shot^2 * radiance + read^2)``.
        blur_limit: Largest blur, in image heights, in [0, 0.1]; blurs beyond it are cut to it.

    Example:
        >>> import fastsynth as fs
        >>> sensor = fs.Sensor(exposure=fs.Normal(0.0, 0.5), noise=fs.Uniform(0.0, 0.02))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), sensor=sensor)
        >>> scene.sample(4).exposure.shape
        torch.Size([4])
    """

    def __init__(
        self,
        exposure: Any = 0.0,
        white_balance: Any = None,
        blur: Any = None,
        noise: Any = None,
        blur_limit: float = 0.01,
    ) -> None:
        super().__init__()
        self.exposure: Distribution = as_distribution(exposure, "Sensor: `exposure`", [()])
        self.white_balance = _optional(white_balance, "white_balance", [(), (3,)])
        self.blur = _optional(blur, "blur", [()])
        self.noise = _optional(noise, "noise", [(), (2,)])
        self.blur_limit = blur_limit

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the fields of the sensor."""
        fields: dict[str, Any] = {"exposure": self.exposure.sample(noise)}
        if self.white_balance is not None:
            gains = self.white_balance.sample(noise)
            if self.white_balance.event == ():
                gains = torch.stack([gains.exp(), torch.ones_like(gains), (-gains).exp()], -1)
            fields["white_balance"] = gains
        if self.blur is not None:
            fields["blur"] = self.blur.sample(noise)
            fields["blur_limit"] = self.blur_limit
        if self.noise is not None:
            shot_read = self.noise.sample(noise)
            if self.noise.event == ():
                shot_read = torch.stack([torch.zeros_like(shot_read), shot_read], -1)
            fields["noise"] = shot_read
            fields["noise_key"] = noise_key(noise.of(self))
        return batch.replace(**fields)


def noise_key(noise: Noise) -> Tensor:
    """A number for the noise of each image, 48 random bits, int64 [B].

    Example:
        >>> noise_key(Noise(0, torch.arange(3))).unique().numel()
        3
    """
    high, low = (noise.uniform((2,), "key") * 2.0**24).long().unbind(-1)
    return high * 2**24 + low


def _optional(value: Any, name: str, events: list[tuple[int, ...]]) -> Distribution | None:
    return None if value is None else as_distribution(value, f"Sensor: `{name}`", events)
