"""Linear radiance to what a camera writes down, in differentiable torch.

The readable twin of ``ops.blur`` and ``ops.develop``. In this order, each left out where the batch has none of it::

    blur     Gaussian, sigma = clamp(blur, 0, blur_limit) * H pixels, at least 0.001; separable, taps -r..r with
             r = ceil(3 * blur_limit * H), normalised; the border pixel is repeated outside
    gain     light * 2^exposure * white_balance
    noise    light + sqrt(shot^2 max(light, 0) + read^2) * normal
    tone     "linear": clamp to [0, 1].  "srgb": clamp, then the sRGB curve (IEC 61966-2-1).
             "filmic": x (2.51 x + 0.03) / (x (2.43 x + 0.59) + 0.14), clamp, then the sRGB curve
             (Narkowicz, "ACES Filmic Tone Mapping Curve", 2016)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth import ops
from fastsynth.types import TONES, SceneBatch


def srgb_encode(linear: Tensor) -> Tensor:
    """Linear light, clamped to [0, 1], to coded values (IEC 61966-2-1).

    Example:
        >>> round(srgb_encode(torch.tensor(0.214041)).item(), 5)
        0.5
    """
    light = linear.clamp(0, 1)
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light > 0.0031308, curve, light * 12.92).clamp(max=1)  # the curve's last bit is above


def filmic(linear: Tensor) -> Tensor:
    """A tone curve with a shoulder: linear light of any brightness to [0, 1].

    Example:
        >>> [round(filmic(torch.tensor(x)).item(), 3) for x in (0.0, 0.18, 1.0, 100.0)]
        [0.0, 0.267, 0.804, 1.0]
    """
    light = linear.clamp(min=0)
    return ((light * (2.51 * light + 0.03)) / (light * (2.43 * light + 0.59) + 0.14)).clamp(0, 1)


def tone(linear: Tensor, curve: str) -> Tensor:
    """Linear light to display values in [0, 1].

    Args:
        linear: Any shape.
        curve: "srgb", "filmic" or "linear".

    Example:
        >>> tone(torch.tensor([-1.0, 0.5, 2.0]), "linear").tolist()
        [0.0, 0.5, 1.0]
    """
    if curve not in TONES:
        raise ValueError(f"tone(): `curve` must be one of {TONES}, but is {curve!r}.")
    if curve == "linear":
        return linear.clamp(0, 1)
    return srgb_encode(filmic(linear) if curve == "filmic" else linear)


def blur(image: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur, a width of its own for each image; differentiable in both.

    Args:
        image: float [B, C, H, W].
        sigma: Standard deviation [pixels], float [B].
        radius: Half width of the kernel [pixels].

    Returns:
        float [B, C, H, W].

    Example:
        >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 1, 1, 4)
        >>> [round(x, 2) for x in blur(step, torch.tensor([1.0]), 3).flatten().tolist()]
        [0.06, 0.3, 0.7, 0.94]
    """
    taps = torch.arange(-radius, radius + 1, device=image.device).to(image)
    weights = (-0.5 * (taps / sigma.clamp(min=1e-3)[:, None]) ** 2).exp()
    weights = (weights / weights.sum(1, keepdim=True)).T[:, :, None, None, None]  # [taps, B, 1, 1, 1]
    for axis in (3, 2):
        sides = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
        padded, size = F.pad(image, sides, mode="replicate"), image.shape[axis]
        image = weights[0] * padded.narrow(axis, 0, size)
        for k in range(1, 2 * radius + 1):
            image = image + weights[k] * padded.narrow(axis, k, size)
    return image


def develop(batch: SceneBatch, linear: Tensor, normal: Tensor | None = None) -> Tensor:
    """Linear radiance of a batch to display values.

    Args:
        batch: Holds the sensor's fields.
        linear: float [B, 3, H, W].
        normal: Standard normal numbers of its shape for the noise; None = those of ``batch.noise_key``, which are
            the ones that :func:`fastsynth.render` takes.

    Returns:
        float [B, 3, H, W] in [0, 1]. Differentiable in the light and in all of the sensor's fields.
    """
    if batch.blur is not None:
        height = linear.shape[2]
        sigma = batch.blur.clamp(0.0, batch.blur_limit) * height
        linear = blur(linear, sigma, math.ceil(3.0 * batch.blur_limit * height))
    light = linear * (batch.exposure.exp2()[:, None] * batch.white_balance)[:, :, None, None]
    if batch.noise is not None and linear.numel():
        if normal is None:
            normal = ops.normal(batch.noise_key, linear[0].numel()).view_as(linear)
        shot, read = batch.noise[:, :, None, None, None].unbind(1)
        variance = shot**2 * light.clamp(min=0) + read**2
        noisy = variance > 0  # the root has no gradient at 0
        light = light + torch.where(noisy, torch.where(noisy, variance, 1).sqrt(), 0) * normal
    return tone(light, batch.tone)
