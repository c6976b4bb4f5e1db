"""Backgrounds: colours, gradients, photographs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Textures
from fastsynth.load import load_textures
from fastsynth.random import Choice, Distribution, Noise, Uniform, as_distribution
from fastsynth.randomizers.lights import color_of
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

_BLACK, _WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


class ColorBackground(Randomizer):
    """One colour.

    Args:
        color: Linear r g b, or a grey; any colour by default.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), background=fs.ColorBackground(0.5))
        >>> scene.sample(1).background_color[0, 0].tolist()
        [0.5, 0.5, 0.5]
    """

    def __init__(self, color: Any = None) -> None:
        super().__init__()
        color = Uniform(_BLACK, _WHITE) if color is None else color
        self.color: Distribution = as_distribution(color, "ColorBackground: `color`", [(), (3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set both rows to the colour."""
        return batch.replace(background_color=color_of(self.color, noise)[:, None].expand(-1, 2, 3))


class GradientBackground(Randomizer):
    """From one colour in the top row to another in the bottom row.

    Args:
        top: Linear r g b, or a grey; any colour by default.
        bottom: The same.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), background=fs.GradientBackground())
        >>> scene.sample(4).background_color.shape
        torch.Size([4, 2, 3])
    """

    def __init__(self, top: Any = None, bottom: Any = None) -> None:
        super().__init__()
        top = Uniform(_BLACK, _WHITE) if top is None else top
        bottom = Uniform(_BLACK, _WHITE) if bottom is None else bottom
        self.top: Distribution = as_distribution(top, "GradientBackground: `top`", [(), (3,)])
        self.bottom: Distribution = as_distribution(bottom, "GradientBackground: `bottom`", [(), (3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the two rows."""
        return batch.replace(background_color=torch.stack([color_of(self.top, noise), color_of(self.bottom, noise)], 1))


class ImageBackground(Randomizer):
    """A random part of a random photograph, not distorted: its aspect is that of the image to be drawn.

    Args:
        photos: Image files as a path, a pattern such as "backgrounds/*.jpg", a list of either, or `Textures`.
        scale: Size of the part, where 1 is the largest part of this aspect that the photograph holds, in (0, 1].
        weights: How often each photograph; evenly by default.
        probability: How often there is a photograph at all; else the background is `color`.
        color: Linear r g b, or a grey.

    Example:
        >>> import fastsynth as fs
        >>> photos = fs.Textures.from_images([torch.zeros(48, 64, 3, dtype=torch.uint8)])
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), background=fs.ImageBackground(photos, scale=1.0))
        >>> x0, y0, x1, y1 = scene.sample(1, aspect=1.0).photo_crop[0].tolist()
        >>> round(x1 - x0, 3), round(y1 - y0, 3)
        (0.75, 1.0)
    """

    def __init__(
        self,
        photos: str | Path | Sequence[str | Path] | Textures,
        scale: Any = None,
        weights: Any = None,
        probability: float = 1.0,
        color: Any = None,
    ) -> None:
        super().__init__()
        self.photos: Textures = photos if isinstance(photos, Textures) else load_textures(photos)
        images = self.photos.info.shape[0]
        if not images:
            raise ValueError("ImageBackground: `photos` holds no photograph.")
        if not 0 <= probability <= 1:
            raise ValueError(f"ImageBackground: `probability` must lie in [0, 1], but is {probability}.")
        self.photo = Choice(range(images), weights)
        scale = Uniform(0.5, 1.0) if scale is None else scale
        self.scale: Distribution = as_distribution(scale, "ImageBackground: `scale`", [()])
        color = Uniform(_BLACK, _WHITE) if color is None else color
        self.color: Distribution = as_distribution(color, "ImageBackground: `color`", [(), (3,)])
        self.probability = probability

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Choose photograph and part."""
        which = self.photo.sample(noise)
        own = noise.of(self)
        crop = crop_of(self.photos.info[which, :2], noise.aspect, self.scale.sample(noise), own.uniform((2,), "place"))
        if self.probability < 1:
            which = torch.where(own.uniform((), "on") < self.probability, which, -1)
        return batch.replace(
            photos=self.photos,
            photo_id=which.int(),
            photo_crop=crop,
            background_color=color_of(self.color, noise)[:, None].expand(-1, 2, 3),
        )


def crop_of(size: Tensor, aspect: float, scale: Tensor, place: Tensor) -> Tensor:
    """The part of each photograph that fills the image.

    Args:
        size: Width and height of the photograph, int32 [B, 2] [pixels].
        aspect: Width over height of the image.
        scale: 1 for the largest part of this aspect, float32 [B].
        place: Where the part lies in what is left, in [0, 1], float32 [B, 2].

    Returns:
        x0 y0 x1 y1 in units of the photograph's width and height, float32 [B, 4].

    Example:
        >>> crop_of(torch.tensor([[200, 100]]), 1.0, torch.ones(1), torch.zeros(1, 2)).tolist()
        [[0.0, 0.0, 0.5, 1.0]]
    """
    width, height = size.float().unbind(-1)
    wider = width / height / aspect
    part = torch.stack([(1 / wider).clamp(max=1), wider.clamp(max=1)], -1) * scale[:, None]
    start = (1 - part) * place
    return torch.cat([start, start + part], -1)
