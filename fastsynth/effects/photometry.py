"""Brightness, contrast, gamma, hue, saturation and grey, on finished pictures.

Exposure and white balance are the `Sensor`'s.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastsynth.canvas import Canvas
from fastsynth.effects.effect import Effect
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.types import SceneBatch


def hue_shifted(image: Tensor, turn: Tensor, saturation: Tensor | None = None) -> Tensor:
    """Hue turned and saturation multiplied in HSV; value stays.

    With V the largest and C the chroma (largest minus least), each channel is ``V - C max(0, min(k, 4 - k, 1))``,
    ``k = (n + 6 hue) mod 6`` with n = 5, 3, 1 for red, green, blue (Smith, "Color gamut transform pairs", SIGGRAPH
    1978, in one expression).

    Args:
        image: In [0, 1], float32 [B, 3, H, W].
        turn: Of the hue, 1 for the whole circle, float32 [B].
        saturation: Factor, float32 [B]; the product is held to 1.

    Returns:
        float32 [B, 3, H, W], differentiable.

    Example:
        >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
        >>> [round(x, 4) for x in hue_shifted(red, torch.tensor([1 / 3])).flatten().tolist()]
        [0.0, 1.0, 0.0]
    """
    red, green, blue = image.unbind(1)
    value, least = image.amax(1), image.amin(1)
    chroma = value - least
    per = 1 / torch.where(chroma > 0, chroma, 1)
    sextant = torch.where(
        value == red,
        (green - blue) * per,
        torch.where(value == green, (blue - red) * per + 2, (red - green) * per + 4),
    )
    sextant = sextant + 6 * turn[:, None, None]
    if saturation is not None:
        chroma = torch.minimum(chroma * saturation[:, None, None], value)
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = torch.remainder(n + sextant, 6.0)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def adjusted(
    image: Tensor,
    brightness: Tensor | None = None,
    contrast: Tensor | None = None,
    gamma: Tensor | None = None,
) -> Tensor:
    """``clamp(contrast (x - 1/2) + 1/2 + brightness)^gamma``; what is None is left out.

    Args:
        image: In [0, 1], float32 [B, 3, H, W].
        brightness: Added, float32 [B].
        contrast: Factor of the distance to middle grey, float32 [B].
        gamma: Exponent, float32 [B].

    Returns:
        In [0, 1], float32 [B, 3, H, W], differentiable.

    Example:
        >>> adjusted(torch.full((1, 3, 1, 1), 0.75), contrast=torch.tensor([2.0])).flatten().tolist()
        [1.0, 1.0, 1.0]
    """
    shift = brightness
    # In place where the values are fresh: a large tensor's memory costs more than its arithmetic.
    if contrast is not None:
        shift = 0.5 - 0.5 * contrast + (0 if shift is None else shift)
        image = image * contrast[:, None, None, None]
    if shift is not None:
        shift = shift[:, None, None, None]
        image = image.add_(shift) if contrast is not None else image + shift
    image = image.clamp(0, 1) if shift is None else image.clamp_(0, 1)
    if gamma is not None:
        exponent = gamma[:, None, None, None]
        power = image.clamp(min=1e-6) ** exponent
        image = torch.where(image > 0, power, (exponent == 0).to(image.dtype))  # the slope at 0 may be infinite
    return image


def grey_of(image: Tensor) -> Tensor:
    """Luma of coded colours (ITU-R BT.601) in all three channels.

    Example:
        >>> [round(x, 3) for x in grey_of(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).flatten().tolist()]
        [0.299, 0.299, 0.299]
    """
    red, green, blue = image.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma[:, None].expand(-1, 3, -1, -1).contiguous()


def _optional(value: Any, effect: str, name: str) -> Distribution | None:
    return None if value is None else as_distribution(value, f"{effect}: `{name}`", [()])


class Photometric(Effect):
    """Hue and saturation, then contrast and brightness, then gamma, of display values.

    Args:
        brightness: Added.
        contrast: Factor of the distance to middle grey.
        gamma: Exponent.
        hue: Turn of the hue, 1 for the whole circle.
        saturation: Its factor.

    Example:
        >>> import fastsynth as fs
        >>> light = fs.effects.Photometric(brightness=fs.Uniform(-0.1, 0.1), hue=fs.Uniform(0.0, 1.0))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), light2=light)
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self, brightness: Any = None, contrast: Any = None, gamma: Any = None, hue: Any = None, saturation: Any = None
    ) -> None:
        super().__init__()
        self.brightness = _optional(brightness, "Photometric", "brightness")
        self.contrast = _optional(contrast, "Photometric", "contrast")
        self.gamma = _optional(gamma, "Photometric", "gamma")
        self.hue = _optional(hue, "Photometric", "hue")
        self.saturation = _optional(saturation, "Photometric", "saturation")

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Those that were given."""
        parts = {name: getattr(self, name) for name in ("brightness", "contrast", "gamma", "hue", "saturation")}
        return {name: part.sample(noise) for name, part in parts.items() if part is not None}

    @staticmethod
    def change(image: Tensor, canvas: Canvas, **values: Tensor) -> Tensor:
        """See `hue_shifted` and `adjusted`."""
        hue, saturation = values.pop("hue", None), values.pop("saturation", None)
        if hue is not None or saturation is not None:
            turn = torch.zeros_like(saturation) if hue is None else hue  # type: ignore[arg-type]
            image = hue_shifted(image.clamp(0, 1), turn, saturation)
        return adjusted(image, **values) if values else image


class Grey(Effect):
    """Luma in all three channels: a grey camera.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), grey=fs.effects.Grey())
        >>> r, g, b = fs.render(scene.sample(1), (32, 32)).rgb[0]
        >>> torch.equal(r, g) and torch.equal(g, b)
        True
    """

    @staticmethod
    def change(image: Tensor, canvas: Canvas) -> Tensor:  # type: ignore[override]
        """See `grey_of`."""
        return grey_of(image)
