"""A crowd of a few hundred objects, and maps of its pictures, for the tests of augmentation."""

from __future__ import annotations

import functools
import math

import torch

import fastsynth as fs
from fastsynth import augment
from fastsynth.types import OUTPUTS, Frames

IMAGES = 40
SIZE = HEIGHT, WIDTH = 48, 64
PART = 7, 5, 47, 40  # x0 y0 x1 y1 [pixels]


@functools.cache
def crowd() -> Frames:
    """Everything that can be drawn of objects that cover one another and reach over the border."""
    noise = torch.randint(0, 255, (40, 60, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    scene = fs.Scene(
        fs.Objects(
            fs.procedural.products(variants=1),
            count=fs.Choice(range(3, 12)),
            position=fs.FrustumPosition(depth=fs.Uniform(0.5, 1.2), margin=-0.1),
            rotation=fs.UniformRotation(),
        ),
        light=[fs.DirectionalLight(), fs.SkyAmbient()],
        background=fs.ImageBackground(fs.Textures.from_images([noise])),
        shading="ggx",
    )
    return fs.render(scene.sample(IMAGES, seed=3, aspect=WIDTH / HEIGHT), SIZE, OUTPUTS)


def all_of(value) -> torch.Tensor:
    """The value for every image."""
    value = torch.as_tensor(value)
    return value.expand(IMAGES, *value.shape)


def flip(horizontal=False, vertical=False) -> torch.Tensor:
    return augment.affine(all_of(0.0), horizontal_flip=all_of(horizontal), vertical_flip=all_of(vertical))


def turn(angle, scale=1.0, shift=(0.0, 0.0)) -> torch.Tensor:
    return augment.affine(all_of(angle), all_of(scale), all_of(torch.tensor(shift)))


def part(box=PART, new_size=None) -> torch.Tensor:
    x0, y0, x1, y1 = box
    return augment.crop(all_of([float(side) for side in box]), SIZE, new_size or (y1 - y0, x1 - x0))


def cut(value: torch.Tensor) -> torch.Tensor:
    """`PART` of maps [B, ..., H, W]."""
    x0, y0, x1, y1 = PART
    return value[..., y0:y1, x0:x1]


def half_turn(value: torch.Tensor) -> torch.Tensor:
    """Upside down, [B, ..., H, W]."""
    return value.flip((-1, -2))


#: Maps that only move pixels: the map, the new size, what it does to an array.
PERMUTATIONS = {
    "horizontal flip": (flip(horizontal=True), SIZE, lambda value: value.flip(-1)),
    "vertical flip": (flip(vertical=True), SIZE, lambda value: value.flip(-2)),
    "half turn": (turn(math.pi), SIZE, half_turn),
    "crop": (part(), (35, 40), cut),
    "flipped crop": (
        fs.geometry.multiply(part(), flip(horizontal=True)),
        (35, 40),
        lambda value: cut(value.flip(-1)),
    ),
}
#: Maps that fall between pixels: the map, the new size, old pixels along a new one.
RESAMPLINGS = {
    "turn": (turn(0.3), SIZE, 1.0),
    "enlarge": (turn(0.0, 1.5), SIZE, 1 / 1.5),
    "shrink": (turn(-2.0, 0.5, (0.2, -0.1)), SIZE, 2.0),
    "enlarged crop": (part((10, 8, 42, 32), (96, 128)), (96, 128), 0.25),
    "turned and flipped": (fs.geometry.multiply(turn(0.4, 0.8), flip(vertical=True)), (60, 60), 1.0),
}
EVERY = {**PERMUTATIONS, **RESAMPLINGS}
