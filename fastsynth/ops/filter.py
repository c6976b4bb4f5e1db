"""The image ops that a sensor is made of: blur, noise, exposure and tone curve."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient, wanted

TONES = ("srgb", "filmic", "linear")


def blur(image: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur, a width of its own for each image.

    Differentiable in both; a sigma of up to 0.001 pixels has no gradient.

    Args:
        image: float32 [B, C, H, W].
        sigma: Standard deviation [pixels], float32 [B]; 0 leaves the image as it is.
        radius: Half width of the kernel [pixels], the same for all images, so that no width
            has to be read back from the device; 3 sigma keep 99.7 % of the weight. The weights are
            normalised; the border pixel is repeated outside.

    Returns:
        float32 [B, C, H, W].

    Example:
        >>> import torch
        >>> blur(torch.ones(1, 1, 2, 2), torch.tensor([1.0]), 3).allclose(torch.ones(1, 1, 2, 2))
        True
    """
    expect("blur", image=(image, "B C H W", torch.float32), sigma=(sigma, "B", torch.float32))
    if not 0 <= radius <= 1024:
        raise ValueError(f"blur(): `radius` must be 0 to 1024 pixels, but is {radius}.")
    if image.shape[1:].numel() >= 2**24:
        raise ValueError(f"blur(): an image of at most 2^24 values can be blurred, but `image` is {list(image.shape)}.")
    return torch.ops.fastsynth.blur(image.contiguous(), sigma.contiguous(), int(radius))


@torch.library.register_fake("fastsynth::blur")
def _(image, sigma, radius):
    return torch.empty_like(image)


def normal(key: Tensor, count: int) -> Tensor:
    """Standard normal numbers, each a function of its image's key and its position alone.

    Args:
        key: int64 [B].
        count: Numbers for each image.

    Returns:
        float32 [B, count].

    Example:
        >>> import torch
        >>> a, b = normal(torch.tensor([5, 6]), 4), normal(torch.tensor([6]), 4)
        >>> bool((a[1] == b[0]).all())
        True
    """
    expect("normal", key=(key, "B", torch.int64))
    return torch.ops.fastsynth.normal(key.contiguous(), int(count))


@torch.library.register_fake("fastsynth::normal")
def _(key, count):
    return key.new_empty(key.shape[0], count, dtype=torch.float32)


def develop(
    linear: Tensor,
    exposure: Tensor,
    white_balance: Tensor,
    noise: Tensor | None = None,
    key: Tensor | None = None,
    tone: str = "srgb",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Linear light to display values: exposure, white balance, shot and read noise, tone curve.

    Differentiable in ``linear``, ``exposure``, ``white_balance`` and ``noise`` where the result is float32. Values that
    the tone curve holds to [0, 1] have no gradient.

    Args:
        linear: Linear radiance, float32 [B, 3, H, W].
        exposure: EV, float32 [B]; light is multiplied by 2^EV.
        white_balance: Gains, float32 [B, 3].
        noise: Shot and read noise, float32 [B, 2]: the standard deviation is
            ``sqrt(shot^2 light + read^2)``; None = none.
        key: Names the noise of each image, int64 [B]; needed with ``noise``.
        tone: "srgb", "filmic" or "linear".
        dtype: torch.float32 for [0, 1] or torch.uint8 for 0..255.

    Returns:
        [B, 3, H, W].

    Example:
        >>> import torch
        >>> grey = torch.full((1, 3, 1, 1), 0.5)
        >>> develop(grey, torch.ones(1), torch.ones(1, 3), dtype=torch.uint8).flatten().tolist()
        [255, 255, 255]
    """
    specs = {
        "linear": (linear, "B 3 H W", torch.float32),
        "exposure": (exposure, "B", torch.float32),
        "white_balance": (white_balance, "B 3", torch.float32),
    }
    if noise is not None:
        if key is None:
            raise ValueError("develop(): `noise` needs `key`, which names the noise of each image.")
        specs |= {"noise": (noise, "B 2", torch.float32), "key": (key, "B", torch.int64)}
    expect("develop", **specs)
    if tone not in TONES:
        raise ValueError(f"develop(): `tone` must be one of {TONES}, but is {tone!r}.")
    if dtype not in (torch.float32, torch.uint8):
        raise ValueError(f"develop(): `dtype` must be torch.float32 or torch.uint8, but is {dtype}.")
    drawn = linear.new_empty(0)
    if noise is not None and key is not None:
        drawn = normal(key, linear[0].numel() if linear.shape[0] else 0).view_as(linear)
    return torch.ops.fastsynth.develop(
        linear.contiguous(),
        exposure.contiguous(),
        white_balance.contiguous(),
        drawn.new_empty(0) if noise is None else noise.contiguous(),
        drawn,
        TONES.index(tone),
        dtype == torch.uint8,
    )


@torch.library.register_fake("fastsynth::develop")
def _(linear, exposure, white_balance, noise, normal, tone, bytes):
    return torch.empty_like(linear, dtype=torch.uint8 if bytes else torch.float32)


@torch.library.register_fake("fastsynth::blur_backward")
def _(grad, image, sigma, radius, to_image, to_sigma):
    return [
        torch.empty_like(image) if to_image else grad.new_empty(0),
        torch.empty_like(sigma) if to_sigma else grad.new_empty(0),
    ]


def _save_blur(ctx, inputs, output):
    image, sigma, ctx.radius = inputs
    ctx.save_for_backward(image, sigma)


def _blur_backward(ctx, grad):
    wants = ctx.needs_input_grad[:2]
    grads = torch.ops.fastsynth.blur_backward(grad.contiguous(), *ctx.saved_tensors, ctx.radius, *wants)
    return *map(wanted, grads, wants), None


register_gradient("blur", _save_blur, _blur_backward)


@torch.library.register_fake("fastsynth::develop_backward")
def _(grad, linear, exposure, white_balance, noise, normal, tone, to_linear, to_settings):
    return [
        torch.empty_like(linear) if to_linear else grad.new_empty(0),
        grad.new_empty(5 * linear.shape[0] if to_settings else 0),
    ]


def _save_develop(ctx, inputs, output):
    *tensors, ctx.tone, _ = inputs
    ctx.save_for_backward(*tensors)


def _develop_backward(ctx, grad):
    linear, exposure, white_balance, noise, _ = ctx.saved_tensors
    to_linear, to_exposure, to_white_balance, to_noise = ctx.needs_input_grad[:4]
    to_settings = to_exposure or to_white_balance or to_noise
    by_linear, settings = torch.ops.fastsynth.develop_backward(
        grad.contiguous(), *ctx.saved_tensors, ctx.tone, to_linear, to_settings
    )
    by_exposure = by_white_balance = by_noise = None
    if to_settings:
        by_gain, by_noise = settings.split([3 * linear.shape[0], 2 * linear.shape[0]])
        by_white_balance = by_gain.view_as(white_balance) * exposure.exp2()[:, None]
        by_exposure = (by_white_balance * white_balance).sum(1) * math.log(2)
        by_noise = by_noise.view(-1, 2) if noise.numel() else torch.zeros_like(noise)
    return (
        wanted(by_linear, to_linear),
        wanted(by_exposure, to_exposure),
        wanted(by_white_balance, to_white_balance),
        wanted(by_noise, to_noise),
        None,
        None,
        None,
    )


register_gradient("develop", _save_develop, _develop_backward)
