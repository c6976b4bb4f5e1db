"""Panoramas of skies by the time of day and the weather, with the glow of the sun towards +x."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.environments import Environments
from fastsynth.geometry import spherical_harmonics
from fastsynth.random import Distribution, Noise
from fastsynth.skies import directions, waves

GROUND = 0.35  # what comes from below, as a part of what comes from above
HAZE = 0.06  # sine of the angle below the horizon down to which there is haze: where streets end there is no edge


class SkyOf(Distribution):
    """Which panorama of `skies` an image has: by its time, its weather and the sun's height. No draw of its own.

    Args:
        time: Row of the time of day.
        weather: Row of the weather.
        elevation: Of the sun [rad].
        bounds: Between which it is, for each time [rad].
        weathers: How many there are.
        heights: Panoramas for each time and weather.
    """

    bounds: Tensor

    def __init__(
        self,
        time: Distribution,
        weather: Distribution,
        elevation: Distribution,
        bounds: Sequence[Sequence[float]],
        weathers: int,
        heights: int,
    ) -> None:
        super().__init__()
        self.time, self.weather, self.elevation = time, weather, elevation
        self.weathers, self.heights = weathers, heights
        self.register_buffer("bounds", torch.tensor(bounds), persistent=False)

    @property
    def event(self) -> tuple[int, ...]:
        """A number."""
        return ()

    def from_uniform(self, u: Tensor) -> Tensor:
        """Not by itself: it follows other draws."""
        raise NotImplementedError("SkyOf.from_uniform(): it follows from a time, a weather and the sun. Use `sample`.")

    def sample(self, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
        """Numbers of panoramas, one for each image, int64 [B]."""
        time, weather = self.time.sample(noise).long(), self.weather.sample(noise).long()
        low, high = self.bounds[time].unbind(-1)
        part = (self.elevation.sample(noise).detach() - low) / (high - low)
        height = (part * self.heights).long().clamp(0, self.heights - 1)
        return (time * self.weathers + weather) * self.heights + height


def skies(
    times: Sequence[Mapping[str, Any]], weathers: Sequence[Mapping[str, Any]], heights: int, texels: int
) -> Environments:
    """A panorama for each time, weather and height of the sun, in this order.

    A white surface that faces up reflects of each as much light as the mean of ``top`` and ``horizon`` has.

    Args:
        times: ``sun``, the heights that the sun has [degrees]; ``light``, ``top`` and ``horizon``, linear r g b.
        weathers: ``sun``, what is left of it; ``cloud``, part of the colour that a closed layer takes away;
            ``scattered``, part of the sky that single clouds cover; ``relief``, by which part clouds are darker here
            than there.
        heights: How many of the sun, evenly in its range.
        texels: Rows of the pictures, and along a side of the map of all directions.
    """
    direction = directions(texels)[: texels // 2 + texels // 16]  # lower there is nothing but the ground
    pictures, wanted = np.zeros((len(times) * len(weathers) * heights, texels, 2 * texels, 3), np.float32), []
    # The plane of the clouds, which is seen the narrower the lower one looks.
    plane = direction * np.array([1, 1, 0]) / (np.clip(direction[..., 2:], 0, 1) + 0.12)
    for number, (time, weather, height) in enumerate(itertools.product(times, weathers, range(heights))):
        low, high = time["sun"]
        elevation = math.radians(low + (height + 0.5) / heights * (high - low))
        clouds = waves(np.random.default_rng(number), plane, 1.6)
        picture, mean = _sky(direction, time, weather, elevation, clouds)
        pictures[number], pictures[number, : len(picture)] = picture[-1, 0], picture
        wanted.append(mean)
    made = Environments.from_panoramas(torch.from_numpy(pictures), texels)
    upwards = spherical_harmonics(torch.tensor([0.0, 0.0, 1.0]))
    gain = torch.tensor(wanted) / (made.harmonics * upwards[:, None]).sum(1).mean(-1)
    return dataclasses.replace(made, harmonics=made.harmonics * gain[:, None, None])


def _sky(
    direction: np.ndarray, time: Mapping[str, Any], weather: Mapping[str, Any], elevation: float, clouds: np.ndarray
) -> tuple[np.ndarray, float]:
    """A picture of what lies in directions, and the mean of its colours overhead and at the horizon."""
    top, horizon, light = (np.array(time[name]) for name in ("top", "horizon", "light"))
    z = direction[..., 2:]
    mean = (top + horizon) / 2
    top, horizon = (color + weather["cloud"] * (mean.mean() - color) for color in (top, horizon))
    sky = top + (horizon - top) * np.exp(-np.clip(z, 0, 1) / 0.17)
    sun = np.array([math.cos(elevation), 0.0, math.sin(elevation)])
    apart = np.arccos(np.clip(direction @ sun, -1, 1))[..., None]
    # Behind a closed layer there is a wide, pale spot where the sun is.
    through = weather["sun"] + 0.12 * weather["cloud"]
    glow = light * through * (0.3 * np.exp(-apart / 0.3) + 0.25 * np.exp(-((apart / 0.12) ** 2)))
    disc = light * weather["sun"] ** 2 * 10 * np.exp(-((apart / 0.028) ** 2))
    seen = _step(z / 0.16)  # towards the horizon all is haze
    sky = sky * (1 + weather["relief"] * np.clip(clouds, -1, 1) * seen) + glow
    # Single clouds: lit by the sun and the sky, and darker in their middle.
    threshold = 0.75 * (1 - 2 * weather["scattered"])
    cover = _step((clouds - threshold) / 0.45) * seen * (weather["scattered"] > 0)
    cloud = (0.5 * horizon + 0.35 * light) * (1 - 0.3 * _step((clouds - threshold - 0.3) / 0.6)) + 0.6 * glow
    sky = sky + (cloud - sky) * 0.95 * cover + disc * (1 - 0.9 * cover)
    ground = GROUND * np.full(3, mean.mean())
    part = 1 / (1 + np.exp(-np.clip((z + HAZE) / 0.015, -60, 60)))
    return np.maximum(ground + (sky - ground) * part, 0).astype(np.float32), float(mean.mean())


def _step(part: np.ndarray) -> np.ndarray:
    """Smoothly from 0 at 0 to 1 at 1."""
    part = np.clip(part, 0, 1)
    return part * part * (3 - 2 * part)
