"""Procedural pictures of an eye region: skins with lids and a brow, the white of an eyeball, irises. All ours."""

from __future__ import annotations

import colorsys
import functools

import numpy as np
import torch
from torch import Tensor

from fastsynth.effects import Eye
from fastsynth.effects.refractive_eye import BLACK, HUMAN, smoothstep
from fastsynth.recipes.eye_fields import cloud, skin_fields
from fastsynth.textures import Textures, linear_to_srgb

# Skin from light to dark, sRGB, and the hair that goes with it.
_TONES = ((233, 200, 178), (220, 180, 152), (200, 156, 125), (172, 126, 96), (138, 96, 70), (98, 66, 49))
_HAIR = ((110, 84, 58), (84, 62, 44), (58, 42, 32), (42, 32, 27), (30, 24, 22), (24, 20, 19))
#: Irises: hue, saturation and value of the outer and the inner part; the first is the brown one.
IRISES = {
    "brown": ((0.065, 0.72, 0.34), (0.075, 0.78, 0.52)),
    "blue": ((0.58, 0.42, 0.50), (0.56, 0.25, 0.72)),
    "green": ((0.27, 0.30, 0.45), (0.14, 0.48, 0.55)),
    "gray": ((0.57, 0.12, 0.50), (0.10, 0.14, 0.62)),
    "hazel": ((0.16, 0.42, 0.42), (0.07, 0.70, 0.50)),
}


def skin(number: int, size: int = 256, of: int = 20) -> np.ndarray:
    """One of `of` skins, unwrapped around the opening, uint8 [size, size, 3]."""
    f = skin_fields(number, size, of)
    part = f.part * (len(_TONES) - 1)
    dark = int(min(part, len(_TONES) - 2))
    mixed = [np.array(t[dark]) + (part - dark) * (np.array(t[dark + 1]) - np.array(t[dark])) for t in (_TONES, _HAIR)]
    tone, hair = (value / 255 for value in mixed)
    tone = tone * f.tint[0] * f.tint[1:]
    color = tone * (1 + 0.02 * f.wide + 0.012 * f.spots + 0.022 * f.pores)[..., None]
    # Redder and yellower places, as blood and fat lie.
    color = color * (1 + 0.02 * np.array([0.3, -1.0, -0.6]) * f.wide[..., None])

    def blend(to: np.ndarray, weight: np.ndarray) -> None:
        nonlocal color
        color = color + (to - color) * weight.clip(0, 1)[..., None]

    def near(loop: float, width: float) -> np.ndarray:
        return np.exp(-(((f.loop - loop) / width) ** 2))

    red = tone * np.array([1.0, 0.72, 0.68])
    blend(red, 0.55 * near(2.2, 1.3) * (0.6 + 0.3 * np.cos(2 * np.pi * f.turn)))
    blend(tone * 0.72, 0.45 * f.upper * near(4.0, 0.45))  # the fold
    blend(tone * np.array([0.80, 0.74, 0.76]), 0.35 * f.bag * f.lower * near(4.6, 1.5))
    blend(tone * 0.85, 0.22 * f.lower * f.wrinkles * near(4.5, 1.5))
    wet = 1 - smoothstep(0.75, 1.15, f.loop)
    blend(np.array([0.78, 0.52, 0.47]) * (0.55 + 0.45 * tone), 0.9 * wet)
    blend(hair * 0.7, (0.55 * f.upper + 0.22 * f.lower) * near(1.35, 0.3))  # roots of the lashes
    blend(hair, f.brow * (f.hairs + 0.38 * f.strokes))

    whole = np.empty((size, size, 3))
    first = size - len(f.loop)
    whole[:first] = np.array([0.76, 0.45, 0.42]) * (0.6 + 0.4 * tone)  # the caruncle's band
    whole[round(0.045 * size) : round(0.075 * size)] = hair * 0.45  # the lashes'
    whole[first:] = color
    return np.clip(whole * 255 + 0.5, 0, 255).astype(np.uint8)


@functools.cache
def skins(count: int = 20, size: int = 256) -> Textures:
    """All skins.

    Example:
        >>> len(skins(2, size=64))
        2
    """
    return Textures.from_images([skin(number, size, count) for number in range(count)], wrap="clamp")


@functools.cache
def eyeball(size: int = 512, eye: Eye = HUMAN, sclera: tuple[float, float, float] = (0.72, 0.66, 0.62)) -> np.ndarray:
    """The white with its veins, black where iris and pupil are drawn later, uint8 [size, size, 3].

    The pole that looks at the viewer lies in the middle, angles from it grow evenly, and the other pole is the border.
    """
    rng = np.random.default_rng(5)
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    angle, turn = np.hypot(x, y).clip(max=1) * np.pi, np.arctan2(y, x)
    veins = np.zeros((size, size))
    for octave, weight in ((5, 1.0), (11, 0.6), (23, 0.35)):
        field = cloud(rng, (size, size), octave) + 0.35 * cloud(rng, (size, size), 3 * octave)
        veins = np.maximum(veins, weight * np.exp(-((field / 0.055) ** 2)))
    outward = smoothstep(0.62, 1.25, angle)
    # Between branches rather than everywhere.
    veins = veins * outward * (0.55 + 0.45 * np.cos(turn * 2) ** 2)
    base = np.array(sclera)
    color = base * (1 + 0.02 * cloud(rng, (size, size), 9))[..., None]
    pink = base * np.array([1.0, 0.74, 0.70])
    color = color + (pink - color) * (0.55 * outward)[..., None]
    color = color + (np.array([0.55, 0.16, 0.13]) - color) * (0.38 * veins.clip(0, 1))[..., None]
    distance = np.where(angle < np.pi / 2, on_ball(angle, eye) * np.sin(angle), 1.0)
    color = color * smoothstep(*BLACK, distance / eye.limbus)[..., None]
    return np.clip(linear_to_srgb(color) * 255 + 0.5, 0, 255).astype(np.uint8)


def on_ball(angle: np.ndarray, eye: Eye) -> np.ndarray:
    """Distance of the eyeball's surface from its centre, by the angle from where it looks [rad]: float [...] [m].

    Example:
        >>> round(float(on_ball(np.array(0.0), Eye())), 5)
        0.01315
    """
    along = np.cos(angle) * eye.cornea_at
    under = along**2 - eye.cornea_at**2 + eye.cornea**2
    return np.maximum(eye.radius, along + np.sqrt(np.maximum(under, 0)))


@functools.cache
def irises(size: int = 160, eye: Eye = HUMAN) -> Tensor:
    """The five irises of `IRISES`, linear, float32 [5, 3, size, size]; the rim at the border, the pupil black.

    Example:
        >>> irises(32).shape
        torch.Size([5, 3, 32, 32])
    """
    from scipy.ndimage import map_coordinates

    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    radius, turn = np.hypot(x, y), (np.arctan2(y, x) / (2 * np.pi)) % 1
    made = []
    for number, (outer, within) in enumerate(IRISES.values()):
        rng = np.random.default_rng([3, number])

        def polar(rows: int, columns: int, rng: np.random.Generator = rng) -> np.ndarray:
            field = rng.standard_normal((rows, columns))
            return map_coordinates(field, np.stack([radius * (rows - 1), turn * columns]), order=1, mode="grid-wrap")

        fibres = 0.6 * polar(4, 150) + 0.45 * polar(7, 70) + 0.35 * polar(5, 28)
        collar = eye.pupil + 0.2 + 0.025 * polar(2, 22)
        a, b = (np.array(colorsys.hsv_to_rgb(*color)) ** 2.2 for color in (outer, within))
        near = (1 - smoothstep(-0.07, 0.1, radius - collar))[..., None]
        color = (a + (b - a) * near) * np.exp(0.34 * fibres)[..., None]
        color = color * (1 - 0.35 * np.exp(-(((radius - collar) / 0.03) ** 2)))[..., None]
        color = color * (1 - 0.8 * smoothstep(0.78, 0.99, radius))[..., None]  # the dark ring of the limbus
        color = color * smoothstep(eye.pupil - 0.025, eye.pupil + 0.025, radius)[..., None]
        made.append(color.clip(0, 1))
    return torch.tensor(np.stack(made), dtype=torch.float32).permute(0, 3, 1, 2).contiguous()
