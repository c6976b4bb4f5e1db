"""Tremblay et al., "Training Deep Networks with Synthetic Data", 2018 (arXiv:1804.06516).

Cars and flying things, all covered with photographs, before a photograph: the detector shall find cars, whatever else
is in the picture.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets, Textures
from fastsynth.augment import RandomAffine, RandomCrop
from fastsynth.effects import GaussianNoise, Photometric
from fastsynth.geometry import deg, invert_rigid
from fastsynth.load import load_textures
from fastsynth.pack import pack
from fastsynth.random import Choice, LogUniform, Noise, Uniform, UniformRotation
from fastsynth.randomizers import (
    Camera,
    CameraJitter,
    DirectionalLight,
    FrustumPosition,
    ImageBackground,
    Materials,
    Objects,
    OnPlane,
    PointLights,
    Setting,
    SkyAmbient,
)
from fastsynth.recipes.assets_cars import cars
from fastsynth.recipes.assets_distractors import distractors
from fastsynth.recipes.assets_photos import photos as stand_in_photos
from fastsynth.recipes.assets_polygons import polyhedron
from fastsynth.recipes.numbers import Numbers, ours, paper
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.types import SceneBatch

NUMBERS = {
    "size": paper((400, 1200), "height and width"),
    "models": paper(36, "sedans and hatchbacks from the web; here parametric stand-ins, half of each"),
    "cars": paper((1, 14), "at most 14; the least number is ours"),
    "place": ours((5.0, 30.0), "random in the paper, which gives no range; here on the ground, from the camera [m]"),
    "spread": ours(42.0, "to either side of where the camera looks [degrees]"),
    "heading": paper((0.0, 360.0), "random orientation; about the vertical alone: ours [degrees]"),
    "distractors": ours((0, 20), "a random number in the paper, of cones, pyramids, spheres, cylinders and so on"),
    "distractor_scale": ours((0.3, 2.0), "random in the paper; log-uniform, of meshes of 1 m"),
    "distractor_depth": ours((4.0, 30.0), "they fly; from the camera [m]"),
    "stand_ins": ours(40, "drawn pictures, 160 x 214 pixels, unless photographs are given; the paper has Flickr 8K"),
    "paint": ours((0.5, 1.0), "random colours, which multiply the photographs"),
    "azimuth": paper((0.0, 360.0), "[degrees]"),
    "elevation": paper((5.0, 30.0), "[degrees]"),
    "turn": paper(30.0, "pan, tilt and roll, each to either side [degrees]"),
    "distance": ours((7.0, 24.0), "of the camera from the middle of the scene [m]"),
    "fov": ours(90.0, "horizontal at 3 : 1, the default of the authors' engine [degrees]"),
    "point_lights": paper((1, 12), "at random places"),
    "light_place": ours(((-25.0, -25.0, 2.0), (25.0, 25.0, 16.0)), "[m]"),
    "light_intensity": ours((0.05, 0.6), "each, at 10 m"),
    "light_reach": ours(10.0, "[m]"),
    "planar_light": ours((0.2, 1.0), "light from above for the ambience; the paper gives no strength"),
    "planar_below": ours(0.1, "what comes from below"),
    "planar_part": ours(
        0.75, "of the planar light, comes straight from above and casts shadows; the rest from all over"
    ),
    "shadow": ours(0.2, "softness: angle from the middle of what shines to its rim [rad]"),
    "shadow_ball": ours((0.0, 0.0, 0.7, 25.0), "where shadows fall: around the middle of the scene [m]"),
    "shadow_texels": ours(256, "along a side of the map of what the planar light sees"),
    "ground": paper((0, 1), "visible or not; as often: ours"),
    "brightness": ours((-0.12, 0.12), "augmentation; no magnitudes are given"),
    "contrast": ours((0.75, 1.3), "augmentation"),
    "noise": ours((0.0, 0.04), "augmentation: standard deviation of display values"),
    "flip": ours(0.5, "augmentation"),
    "resize": ours((0.9, 1.15), "augmentation: log-uniform"),
    "crop": ours((0.75, 1.0), "augmentation: side of the part"),
}


def tremblay_cars(assets: Assets | None = None, photos: Any = None, without: Sequence[str] = ()) -> Recipe:
    """Detect cars in pictures that look like no place on earth.

    Targets are the cars; give a dataset ``max_truncation=0.15`` for those that the paper tests on. Box jitter, which
    the system trains with, changes labels and not pictures: see `fastsynth.augment.jitter_boxes`.

    Args:
        assets: Cars of about 4 m that stand on z = 0; 36 stand-ins by default.
        photos: For backgrounds and for all surfaces: image files as for `ImageBackground`, or `Textures` that repeat.
        without: "light" (one fixed lamp), "shadows", "textures" (plain colours), "half_textures", "distractors",
            "ground", "augmentation" (all of it), "brightness_contrast", "noise".

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.tremblay_cars(without=["augmentation"])
        >>> frames = fs.render(recipe.sample(2, aspect=3.0), (64, 192))
        >>> recipe.target_classes[0], frames.batch.instances
        ('car', 35)
    """
    n = Numbers(NUMBERS)
    if assets is None:
        assets = models(n["models"])
    pool = stand_in_photos(n["stand_ins"], (160, 214)) if photos is None else _textures(photos)
    cars_end = len(assets)
    every = Assets.concatenate([assets, _others()])
    ground = len(every) - 1
    low, high = n["cars"]
    turn, spread = deg(n["turn"]), deg(n["spread"])
    # The vertical angle that a horizontal one has at the size of the system's pictures.
    fov = 2 * math.atan(math.tan(deg(n["fov"]) / 2) * n["size"][0] / n["size"][1])
    # One strength for both parts of the planar light.
    part = n["planar_part"]
    planar = Uniform(*(strength * (1 - part) for strength in n["planar_light"]))
    axes = {
        "light": {
            "light.0.count": 1,
            "light.0.position": (6.0, -8.0, 10.0),
            "light.0.intensity": 0.6,
            "light.1.sky": 0.4 * (1 - part),
        },
        "shadows": {"light.2.shadow": None},
        "textures": {"materials.1": OFF},
        "half_textures": {"materials.1.texture": Choice(range((len(pool) + 1) // 2))},
        "distractors": {"objects.1.count": 0},
        "ground": {"objects.2.present": 0},
        "augmentation": {"photometric": OFF, "noise": OFF, "affine": OFF, "crop": OFF},
        "brightness_contrast": {"photometric": OFF},
        "noise": {"noise": OFF},
    }
    return Recipe(
        "tremblay_cars",
        2,
        "Tremblay et al. 2018, arXiv:1804.06516",
        n,
        n["size"],
        axes,
        without,
        target_classes=assets.class_names,
        camera=[
            Camera(
                Uniform(*n["distance"]),
                _degrees(n["azimuth"]),
                _degrees(n["elevation"]),
                fov=fov,
                target=(0.0, 0.0, 0.7),
            ),
            CameraJitter(*(Uniform(-turn, turn) for _ in range(3))),
        ],
        objects=[
            Objects(
                every,
                Choice(range(low, high + 1)),
                range(cars_end),
                Ahead(Uniform(*n["place"]), Uniform(-spread, spread), _degrees(n["heading"])),
                separate=True,
            ),
            Objects(
                every,
                Choice(range(n["distractors"][0], n["distractors"][1] + 1)),
                range(cars_end, ground),
                FrustumPosition(Uniform(*n["distractor_depth"]), margin=-0.1),
                UniformRotation(),
                LogUniform(*n["distractor_scale"]),
            ),
            Setting(every, [ground], present=Choice(range(n["ground"][0], n["ground"][1] + 1))),
        ],
        light=[
            PointLights(
                Choice(range(n["point_lights"][0], n["point_lights"][1] + 1)),
                Uniform(*n["light_place"]),
                Uniform(*n["light_intensity"]),
                reach=n["light_reach"],
            ),
            SkyAmbient(planar, n["planar_below"]),
            DirectionalLight((0.0, 0.0, 1.0), planar, part / (1 - part), shadow=n["shadow"], within=n["shadow_ball"]),
        ],
        background=ImageBackground(pool),
        materials=[
            Materials(base_color=Uniform((n["paint"][0],) * 3, (n["paint"][1],) * 3)),
            Materials(textures=pool),
        ],
        affine=RandomAffine(scale=LogUniform(*n["resize"]), horizontal_flip=n["flip"]),
        crop=RandomCrop(Uniform(*n["crop"])),
        photometric=Photometric(Uniform(*n["brightness"]), Uniform(*n["contrast"])),
        noise=GaussianNoise(Uniform(*n["noise"])),
        shadow_size=n["shadow_texels"],
        lod=0.5,
    )


@functools.lru_cache(maxsize=4)
def models(count: int) -> Assets:
    """Stand-ins for the cars, half sedans and half hatchbacks."""
    return pack(cars(count - count // 2, count // 2), ["car"] * count)


@functools.cache
def _others() -> Assets:
    """The distractors, then the ground."""
    far = 150.0
    ground = polyhedron([[(-far, -far, 0), (far, -far, 0), (far, far, 0), (-far, far, 0)]], "ground", tile=16.0)
    return pack([*distractors(), ground])


def _textures(photos: Any) -> Textures:
    return photos if isinstance(photos, Textures) else load_textures(photos, wrap="repeat", max_size=1024)


def _degrees(bounds: tuple[float, float]) -> Uniform:
    return Uniform(deg(bounds[0]), deg(bounds[1]))


class Ahead(OnPlane):
    """On the ground in front of the camera, by the direction and the distance in which they are seen.

    Args:
        distance: From the camera, along the ground [m].
        bearing: From the direction that the camera looks in, counter-clockwise from above [rad].
        rotation: As of `OnPlane`.
    """

    def __init__(self, distance: Uniform, bearing: Uniform, rotation: Uniform) -> None:
        super().__init__((0.0, 0.0), rotation)
        self.distance, self.bearing = distance, bearing

    def positions(
        self, batch: SceneBatch, noise: Noise, shape: tuple[int, ...], linear: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """See `Placement.positions`."""
        world_from_camera = invert_rigid(batch.camera_from_world)
        one = (batch.images, *(1,) * len(shape))
        eye_x, eye_y = (world_from_camera[:, row, 3].view(one) for row in (0, 1))
        ahead_x, ahead_y = (world_from_camera[:, row, 2].view(one) for row in (0, 1))
        bearing = torch.atan2(ahead_y, ahead_x) + self.bearing.sample(noise, shape)
        distance = self.distance.sample(noise, shape)
        resting = super().positions(batch, noise, shape, linear, low, high)[..., 2:]
        x, y = eye_x + distance * bearing.cos(), eye_y + distance * bearing.sin()
        return torch.cat([x[..., None], y[..., None], resting], -1)
