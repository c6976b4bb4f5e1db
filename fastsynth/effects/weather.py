"""Fog in the light on its way, and rain before the picture."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.canvas import Canvas
from fastsynth.effects.effect import Effect
from fastsynth.effects.kernels import line_kernel
from fastsynth.ops.convolve import convolve
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.randomizers.sensor import noise_key
from fastsynth.types import SceneBatch


def fogged(image: Tensor, distance: Tensor, extinction: Tensor, color: Tensor, far: Tensor) -> Tensor:
    """Fog that light fades into with the distance: ``light t + color (1 - t)``, ``t = exp(-extinction distance)``.

    (Koschmieder 1924.) The meteorological visual range is ``3.912 / extinction``.

    Args:
        image: Linear light, float32 [B, 3, H, W].
        distance: Of what is seen [m], 0 where nothing is, float32 [B, H, W].
        extinction: [1 / m], float32 [B].
        color: Linear light of the fog, float32 [B, 3].
        far: Distance of the background [m], float32 [B].

    Returns:
        float32 [B, 3, H, W], differentiable in all.

    Example:
        >>> white = torch.ones(1, 3, 1, 1)
        >>> at = torch.full((1, 1, 1), math.log(2))
        >>> fogged(white, at, torch.ones(1), torch.zeros(1, 3), torch.ones(1)).flatten().tolist()
        [0.5, 0.5, 0.5]
    """
    path = torch.where(distance > 0, distance, far[:, None, None])
    clear = (-extinction[:, None, None] * path).exp()[:, None]
    return (color[:, :, None, None] * (1 - clear)).add_(image * clear)


def rained(
    image: Tensor,
    depth: Tensor,
    key: Tensor,
    drops: Tensor,
    length: Tensor,
    angle: Tensor,
    brightness: Tensor,
    opacity: Tensor,
    distance: Tensor,
    radius: int,
) -> Tensor:
    """Streaks of rain in one sheet, hidden where something is nearer.

    Drops fall on pixels that the image's key names, and are drawn out to streaks; where streaks meet they cover more.

    Args:
        image: float32 [B, 3, H, W].
        depth: Of what is seen [m], 0 where nothing is, float32 [B, H, W].
        key: Names the drops, int64 [B].
        drops: A pixel's probability to have one, float32 [B].
        length: Of the streaks [pixels], float32 [B].
        angle: Their direction [rad], from x (right) towards y (down), float32 [B].
        brightness: Their grey, float32 [B].
        opacity: How much of a pixel the middle of one streak covers, float32 [B].
        distance: Of the sheet [m], float32 [B].
        radius: Half width of the streaks' kernel [pixels].

    Returns:
        float32 [B, 3, H, W], differentiable in the picture, length, angle, brightness and opacity.
    """
    pixels = image.shape[2] * image.shape[3]
    normal = ops.normal(key, pixels).view(image.shape[0], 1, *image.shape[2:])
    limit = -torch.special.ndtri(drops.double()).float()[:, None, None, None]
    streaks = convolve((normal > limit).to(image.dtype), line_kernel(length, angle, radius))
    open_air = ((depth <= 0) | (depth > distance[:, None, None]))[:, None]
    # A streak's weight is spread over its length; its own middle is 1.
    cover = (streaks * (opacity * length.clamp(min=1))[:, None, None, None]).clamp(0, 1) * open_air
    return image + cover * (brightness[:, None, None, None] - image)


class Fog(Effect):
    """Fog by distance, of linear light.

    Args:
        extinction: [1 / m]; one sees 3.9 / extinction far.
        color: Linear r g b of the fog, or a grey.
        far: Distance of the background [m].

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fog=fs.effects.Fog(fs.Uniform(0.0, 0.5)))
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    stage = "light"
    needs = ("distance",)

    def __init__(self, extinction: Any, color: Any = 0.5, far: Any = 1000.0) -> None:
        super().__init__()
        self.extinction: Distribution = as_distribution(extinction, "Fog: `extinction`", [()])
        self.color: Distribution = as_distribution(color, "Fog: `color`", [(), (3,)])
        self.far: Distribution = as_distribution(far, "Fog: `far`", [()])

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Extinction, colour and the background's distance."""
        color = self.color.sample(noise)
        if self.color.event == ():
            color = color[:, None].expand(-1, 3)
        return {"extinction": self.extinction.sample(noise), "color": color, "far": self.far.sample(noise)}

    @staticmethod
    def change(image: Tensor, canvas: Canvas, extinction: Tensor, color: Tensor, far: Tensor) -> Tensor:  # type: ignore[override]
        """See `fogged`."""
        return fogged(image, canvas.distance, extinction, color, far)


class Rain(Effect):
    """A sheet of streaks, hidden by what is nearer; several effects make several sheets.

    Args:
        drops: A pixel's probability to begin a streak.
        length: Of the streaks [pixels]; up to 18.
        angle: Their direction [rad], from x (right) towards y (down); straight down by default.
        brightness: Their grey.
        opacity: How much of a pixel a streak covers.
        distance: Of the sheet [m].

    Example:
        >>> import fastsynth as fs
        >>> rain = fs.effects.Rain(drops=fs.Uniform(0.0, 0.01), length=9.0, distance=1.0)
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), rain=rain)
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    needs = ("depth",)

    def __init__(
        self,
        drops: Any,
        length: Any = 9.0,
        angle: Any = math.pi / 2,
        brightness: Any = 0.8,
        opacity: Any = 0.4,
        distance: Any = 1.0,
    ) -> None:
        super().__init__()
        for name, value in (
            ("drops", drops),
            ("length", length),
            ("angle", angle),
            ("brightness", brightness),
            ("opacity", opacity),
            ("distance", distance),
        ):
            setattr(self, name, as_distribution(value, f"Rain: `{name}`", [()]))

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """All of them, and the key of the drops."""
        names = ("drops", "length", "angle", "brightness", "opacity", "distance")
        return {"key": noise_key(noise.of(self)), **{name: getattr(self, name).sample(noise) for name in names}}

    @staticmethod
    def change(image: Tensor, canvas: Canvas, **values: Tensor) -> Tensor:
        """See `rained`."""
        return rained(image, canvas.depth, **values, radius=9)  # type: ignore[arg-type]
