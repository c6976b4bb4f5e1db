"""Noise: numbers that are a function of an image's key and a pixel's place alone, on every device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.canvas import Canvas
from fastsynth.effects.effect import Effect
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.randomizers.sensor import noise_key
from fastsynth.types import SceneBatch

SCOPES = ("frame", "object")


def gaussian_noise(image: Tensor, sigma: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """Independent normal noise on every value, or on those of a mask alone.

    Args:
        image: float32 [B, 3, H, W].
        sigma: Standard deviation, float32 [B].
        key: Names the noise of each image, int64 [B].
        mask: Where, bool [B, H, W]; None = everywhere.

    Returns:
        float32 [B, 3, H, W], held to [0, 1]; differentiable in the picture and in sigma.

    Example:
        >>> grey, key = torch.full((1, 3, 64, 64), 0.5), torch.tensor([7])
        >>> round(gaussian_noise(grey, torch.tensor([0.1]), key).std().item(), 2)
        0.1
    """
    normal = ops.normal(key, image[0].numel() if image.shape[0] else 0).view_as(image)
    strength = sigma[:, None, None, None]
    if mask is not None:
        strength = strength * mask[:, None]
    # In place where the values are fresh: a large tensor's memory costs more than its arithmetic.
    return (strength * normal).add_(image).clamp_(0, 1)


def salt_and_pepper(image: Tensor, probability: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pixels that are black or white, each with half of the probability.

    Args:
        image: float32 [B, 3, H, W].
        probability: That a pixel is lost, in [0, 1], float32 [B].
        key: Names the noise of each image, int64 [B].
        mask: Where, bool [B, H, W]; None = everywhere.

    Returns:
        float32 [B, 3, H, W].

    Example:
        >>> grey, key = torch.full((1, 3, 128, 128), 0.5), torch.tensor([7])
        >>> lost = (salt_and_pepper(grey, torch.tensor([0.1]), key) != 0.5).float().mean()
        >>> round(lost.item(), 2)
        0.1
    """
    pixels = image.shape[2] * image.shape[3]
    normal = ops.normal(key, pixels).view(image.shape[0], 1, *image.shape[2:])
    # A half of the probability lies beyond the quantile to either side; in double precision, as tails are thin.
    limit = -torch.special.ndtri(probability.double() / 2).float()[:, None, None, None]
    salt, pepper = normal > limit, normal < -limit
    if mask is not None:
        salt, pepper = salt & mask[:, None], pepper & mask[:, None]
    return torch.where(salt, 1.0, torch.where(pepper, 0.0, image))


class _Noise(Effect):
    """A strength, a key, and the object's pixels where only they are meant."""

    def __init__(self, strength: Any, what: str, scope: str) -> None:
        super().__init__()
        if scope not in SCOPES:
            raise ValueError(f"{type(self).__name__}: `scope` must be one of {SCOPES}, but is {scope!r}.")
        setattr(self, what, as_distribution(strength, f"{type(self).__name__}: `{what}`", [()]))
        self.scope = scope
        self.needs = ("instance_id",) if scope == "object" else ()  # type: ignore[misc]


class GaussianNoise(_Noise):
    """Independent normal noise on display values.

    Args:
        sigma: Its standard deviation.
        scope: "frame" for every pixel, "object" for those that show an object.

    Example:
        >>> import fastsynth as fs
        >>> grain = fs.effects.GaussianNoise(fs.Uniform(0.0, 0.1), scope="object")
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), grain=grain)
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    sigma: Distribution

    def __init__(self, sigma: Any, scope: str = "frame") -> None:
        super().__init__(sigma, "sigma", scope)

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Standard deviation and key."""
        return {"sigma": self.sigma.sample(noise), "key": noise_key(noise.of(self))}

    @staticmethod
    def change(image: Tensor, canvas: Canvas, sigma: Tensor, key: Tensor) -> Tensor:  # type: ignore[override]
        """See `gaussian_noise`."""
        return gaussian_noise(image, sigma, key, _objects(canvas))


class SaltAndPepper(_Noise):
    """Lost pixels, black or white.

    Args:
        probability: That a pixel is lost.
        scope: "frame" for every pixel, "object" for those that show an object.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), lost=fs.effects.SaltAndPepper(0.01))
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    probability: Distribution

    def __init__(self, probability: Any, scope: str = "frame") -> None:
        super().__init__(probability, "probability", scope)

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Probability and key."""
        return {"probability": self.probability.sample(noise), "key": noise_key(noise.of(self))}

    @staticmethod
    def change(image: Tensor, canvas: Canvas, probability: Tensor, key: Tensor) -> Tensor:  # type: ignore[override]
        """See `salt_and_pepper`."""
        return salt_and_pepper(image, probability, key, _objects(canvas))


def _objects(canvas: Canvas) -> Tensor | None:
    """The pixels that show an object, where the step asked for them."""
    return canvas.instance_id >= 0 if "instance_id" in canvas.labels else None
