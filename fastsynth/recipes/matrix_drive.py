"""Johnson-Roberson et al., "Driving in the Matrix", 2017 (arXiv:1610.01983).

A car's view of streets with traffic, at all times of day and in all weathers: large numbers of plausible pictures,
nothing randomized beyond reason. The boxes are tight around what is seen.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from fastsynth.assets import Assets
from fastsynth.effects import Fog
from fastsynth.environments import Environments
from fastsynth.geometry import deg
from fastsynth.random import Choice, LogUniform, Noise, Table, Uniform, as_distribution
from fastsynth.randomizers import ImageBackground, Only
from fastsynth.recipes.assets_street import GROUPS, STREETS, street, town
from fastsynth.recipes.lanes import AlongRoad, RoadCamera, Roads, TheStreet
from fastsynth.recipes.numbers import Numbers, memory, ours
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.recipes.skies import SkyOf, skies
from fastsynth.recipes.sky import HeadLamp, Sky, StreetLamps, Sun, Wetness
from fastsynth.recipes.streaks import Streaks
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

NUMBERS = {
    "size": memory((1052, 1914), "height and width"),
    "times": memory(("dawn", "noon", "dusk", "night"), "four times of day; which: ours"),
    "weathers": memory(("clear", "overcast", "fog", "rain"), "clear, overcast, hazy or foggy, rainy"),
    "models": ours(40, "cars and vans; the game has some hundreds"),
    "vehicles": ours((1, 12), "on the lanes, and parked"),
    "paint": ours(
        (
            (0.75,) * 3,
            (0.42, 0.43, 0.44),
            (0.12, 0.125, 0.13),
            (0.012,) * 3,
            (0.4, 0.02, 0.02),
            (0.03, 0.08, 0.3),
            (0.03, 0.16, 0.07),
            (0.55, 0.45, 0.3),
            (0.7, 0.45, 0.03),
            (0.16, 0.3, 0.42),
        ),
        "linear r g b",
    ),
    "paint_share": ours((5, 4, 4, 4, 2, 2, 1, 1, 0.5, 1), "how often each"),
    "paint_shade": ours((0.8, 1.2), "multiplies it"),
    "ahead": ours((5.0, 95.0), "of the camera, log-uniform: more of them near [m]"),
    "own_lane": ours(9.0, "least distance to the car ahead [m]"),
    "gap": ours(1.8, "between cars of a lane [m]"),
    "off_lane": ours(0.25, "to the side of the lane's middle, to either side [m]"),
    "off_heading": ours(2.5, "from the direction of the lane, to either side [degrees]"),
    "buildings": ours((6, 14)),
    "building_scale": ours(((0.7, 0.8, 0.5), (1.5, 1.2, 2.2))),
    "setback": ours((3.5, 9.0), "of buildings from the kerb [m]"),
    "poles": ours((2, 8), "occluders beside the kerb"),
    "trees": ours((0, 8), "occluders beside the kerb"),
    "tree_scale": ours((0.7, 1.4)),
    "pedestrians": ours((0, 4), "on the pavements"),
    "camera_along": ours((0.0, 30.0), "where on its street the camera's car is [m]"),
    "camera_height": ours((1.2, 1.8), "[m]"),
    "camera_pan": ours(4.0, "to either side [degrees]"),
    "camera_tilt": ours((-5.0, 1.0), "[degrees]"),
    "fov": ours((42.0, 52.0), "vertical [degrees]"),
    "dawn": ours(
        {
            "sun": [4.0, 14.0],
            "light": (1.5, 0.95, 0.6),
            "top": (0.32, 0.42, 0.62),
            "horizon": (0.9, 0.62, 0.42),
            "ev": 0.1,
            "streak": 0.5,
            "lamps": 0.0,
            "fog": (0.62, 0.55, 0.5),
        }
    ),
    "noon": ours(
        {
            "sun": [40.0, 75.0],
            "light": (1.9, 1.85, 1.7),
            "top": (0.18, 0.36, 0.72),
            "horizon": (0.6, 0.72, 0.85),
            "ev": -0.35,
            "streak": 0.6,
            "lamps": 0.0,
            "fog": (0.72, 0.74, 0.76),
        }
    ),
    "dusk": ours(
        {
            "sun": [1.0, 8.0],
            "light": (1.1, 0.55, 0.28),
            "top": (0.12, 0.14, 0.3),
            "horizon": (0.75, 0.36, 0.2),
            "ev": 0.6,
            "streak": 0.3,
            "lamps": 3.0,
            "fog": (0.3, 0.26, 0.26),
        }
    ),
    "night": ours(
        {
            "sun": [25.0, 60.0],
            "light": (0.03, 0.035, 0.05),
            "top": (0.004, 0.006, 0.014),
            "horizon": (0.025, 0.025, 0.035),
            "ev": 1.5,
            "streak": 0.12,
            "lamps": 7.0,
            "fog": (0.03, 0.03, 0.034),
        }
    ),
    "clear": ours(
        {
            "sun": 1.0,
            "cloud": 0.0,
            "scattered": 0.3,
            "relief": 0.0,
            "sky": 0.55,
            "fog": 0.0006,
            "wet": 0.0,
            "drops": 0.0,
        }
    ),
    "overcast": ours(
        {
            "sun": 0.06,
            "cloud": 0.85,
            "scattered": 0.0,
            "relief": 0.5,
            "sky": 1.0,
            "fog": 0.002,
            "wet": 0.0,
            "drops": 0.0,
        }
    ),
    "fog": ours(
        {
            "sun": 0.03,
            "cloud": 0.9,
            "scattered": 0.0,
            "relief": 0.1,
            "sky": 0.9,
            "fog": [0.012, 0.05],
            "wet": 0.1,
            "drops": 0.0,
        }
    ),
    "rain": ours(
        {
            "sun": 0.04,
            "cloud": 0.95,
            "scattered": 0.0,
            "relief": 0.6,
            "sky": 0.75,
            "fog": [0.003, 0.01],
            "wet": [0.6, 1.0],
            "drops": [0.0015, 0.006],
        }
    ),
    "sun_heights": ours(2, "panoramas for each time and weather; drawn, as the skies of the paper's game are not ours"),
    "sky_texels": ours(128, "along a side of the map of all directions"),
    "sun_softness": ours(0.0047, "angle from the sun's centre to its rim, of its shadows [rad]"),
    "shadow_texels": ours(768, "along a side of the map of what the sun sees; the paper's game casts shadows, too"),
    "wet_roughness": ours(0.16, "of what is soaked"),
    "streak_cover": ours(0.35, "part of a pixel that a streak hides"),
    "slant": ours((-0.25, 0.25), "of the rain, by the wind"),
}


def matrix_drive(assets: Assets | None = None, photos: Any = None, without: Sequence[str] = ()) -> Recipe:
    """Detect vehicles on streets.

    ``labels(frames)`` gives ``depth`` float32 [B, H, W] [m] and ``stencil`` int32 [B, H, W], the class of what is seen,
    -1 for the sky. Boxes are tight around what is visible. To leave out what is hardly seen, or lies mostly beyond the
    border, give a dataset ``min_visible=0.1`` and ``max_truncation=0.5``.

    Args:
        assets: Vehicles that head along +x and stand on z = 0; 40 stand-ins by default.
        photos: Skies: image files as for `ImageBackground`, or `Textures`; by default panoramas, which give light.
        without: "time" (always noon), "weather" (always clear), "shadows", "vehicles" (one alone), "paint",
            "occluders" (no poles, trees, people), "buildings", "place" (a straight street), "camera".

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.matrix_drive(without=["weather"])
        >>> frames = fs.render(recipe.sample(2, aspect=1.8), (60, 108), ("rgb", *recipe.label_outputs))
        >>> sorted(recipe.labels(frames)), recipe.target_classes
        (['depth', 'stencil'], ('vehicle',))
    """
    n = Numbers(NUMBERS)
    own = town(n["models"])
    vehicles, groups, names = n["models"], dict(GROUPS), ("vehicle",)
    if assets is not None:
        own, vehicles, names = Assets.concatenate([assets, own]), len(assets), assets.class_names
    # Rows of each group: given vehicles stand before the stand-ins.
    rows, first = {"vehicle": range(vehicles)}, len(own) - len(STREETS) - sum(list(groups.values())[1:])
    for name, count in list(groups.items())[1:]:
        rows[name], first = range(first, first + count), first + count
    roads = Roads([street(*kind) for kind in STREETS])
    time, weather = (Table({name: _cells(n[name]) for name in n[which]}) for which in ("times", "weathers"))
    azimuth = Uniform(0.0, deg(360.0))
    panorama = SkyOf(
        time.row,
        weather.row,
        time["sun"],
        [_cells(n[name])["sun"] for name in n["times"]],
        len(n["weathers"]),
        n["sun_heights"],
    )
    pan, turn = deg(n["camera_pan"]), deg(n["off_heading"])
    camera = RoadCamera(
        roads,
        Uniform(*n["camera_along"]),
        Uniform(*n["camera_height"]),
        Uniform(-pan, pan),
        Uniform(*(deg(a) for a in n["camera_tilt"])),
        Uniform(*(deg(a) for a in n["fov"])),
    )

    def beside(name: str, count: str, across: tuple[float, float], **others: Any) -> AlongRoad:
        ahead = Uniform(4.0, 120.0)
        low, high = n[count]
        return AlongRoad(
            own, roads, Choice(range(low, high + 1)), rows[name], ahead, camera, Uniform(*across), kerb=True, **others
        )

    low, high = n["vehicles"]
    noon, clear = time.at("noon"), weather.at("clear")
    sky = f"background.{0 if photos is None else 1}"
    axes = {
        "time": {
            "light.0.elevation": noon["sun"],
            "light.0.color": noon["light"],
            f"{sky}.choice.time": n["times"].index("noon"),
            f"{sky}.ev": noon["ev"],
            "light.1.intensity": noon["lamps"],
            "fog.color": noon["fog"],
            "rain.brightness": noon["streak"],
        },
        "weather": {
            "light.0.intensity": clear["sun"],
            f"{sky}.choice.weather": n["weathers"].index("clear"),
            f"{sky}.light": clear["sky"],
            "fog.extinction": clear["fog"],
            "wetness.wet": clear["wet"],
            "rain.drops": clear["drops"],
        },
        "shadows": {"light.0.shadow": None},
        "vehicles": {"objects.0.count": 1},
        "paint": {"materials": OFF},
        "occluders": {f"objects.{row}.count": 0 for row in (2, 3, 4)},
        "buildings": {"objects.1.count": 0},
        "place": {"camera.roads.street": 0, "camera.roads.ego_lane": 0},
        "camera": {"camera.height": 1.4, "camera.pan": 0.0, "camera.tilt": deg(-2.0), "camera.fov": deg(47.0)},
    }
    return Recipe(
        "matrix_drive",
        2,
        "Johnson-Roberson et al. 2017, arXiv:1610.01983",
        n,
        n["size"],
        axes,
        without,
        label=lambda frames: {"depth": frames.depth, "stencil": frames.semantic_id},
        label_outputs=("depth", "semantic_id"),
        target_classes=names,
        camera=camera,
        objects=[
            AlongRoad(
                own,
                roads,
                Choice(range(low, high + 1)),
                rows["vehicle"],
                LogUniform(*n["ahead"]),
                camera,
                Uniform(-n["off_lane"], n["off_lane"]),
                Uniform(-turn, turn),
                gap=n["gap"],
                clear=n["own_lane"],
            ),
            beside("building", "buildings", n["setback"], scale=Uniform(*n["building_scale"]), gap=1.0),
            beside("pole", "poles", (0.4, 0.8), gap=None),
            beside("tree", "trees", (0.9, 2.4), scale=Uniform(*n["tree_scale"]), gap=None),
            beside("pedestrian", "pedestrians", (0.9, 2.4), turn=Choice([0.0, 3.1416, 1.5708]), gap=None),
            TheStreet(own, roads, len(own) - len(STREETS)),
        ],
        light=[
            Sun(time["sun"], azimuth, weather["sun"], time["light"], shadow=n["sun_softness"]),
            HeadLamp(time["lamps"]),
            StreetLamps(roads, camera, time["lamps"]),
        ],
        background=[
            *([] if photos is None else [ImageBackground(photos)]),
            Sky(
                _skies(n["times"], n["weathers"], n["sun_heights"], n["sky_texels"]),
                azimuth,
                panorama,
                weather["sky"],
                time["ev"],
                background=photos is None,
            ),
        ],
        materials=Only(Paint(Choice(n["paint"], n["paint_share"]), Uniform(*n["paint_shade"])), rows["vehicle"]),
        wetness=Wetness(weather["wet"], n["wet_roughness"]),
        fog=Fog(weather["fog"], time["fog"], far=600.0),
        rain=Streaks(weather["drops"], Uniform(*n["slant"]), time["streak"], n["streak_cover"]),
        shading="blinn_phong",
        tone="filmic",
        shadow_size=n["shadow_texels"],
        lod=0.5,
    )


class Paint(Randomizer):
    """Colours of cars: one of several, lighter or darker."""

    def __init__(self, color: Choice, shade: Uniform) -> None:
        super().__init__()
        self.color = as_distribution(color, "Paint: `color`", [(3,)])
        self.shade = as_distribution(shade, "Paint: `shade`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Multiply the colours of all instances."""
        color = self.color.sample(noise, batch.instances) * self.shade.sample(noise, batch.instances)[..., None]
        return batch.replace(base_color=batch.base_color * torch.nn.functional.pad(color, (0, 1), value=1.0))


@functools.lru_cache(maxsize=4)
def _skies(times: Sequence[str], weathers: Sequence[str], heights: int, texels: int) -> Environments:
    """The panoramas, made once."""
    return skies([NUMBERS[name].value for name in times], [NUMBERS[name].value for name in weathers], heights, texels)


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table with its angles in radians."""
    sun = row["sun"]
    return {**row, "sun": [deg(a) for a in sun]} if isinstance(sun, list) else row
