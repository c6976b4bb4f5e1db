"""Wang et al., "Synthetic data generation and adaption for object detection in smart vending machines", 2019.

Packages that give way on the shelf of a vending cabinet, under a strip of light, seen by the cabinet's own fisheye from
above. What is learned is which packages there are, and where in the fisheye's picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import Pinhole, deg, multiply
from fastsynth.pack import pack
from fastsynth.random import Choice, Distribution, Noise, Normal, Uniform, as_distribution
from fastsynth.randomizers import (
    Ambient,
    CameraPose,
    Deform,
    Dent,
    Lattice,
    Lens,
    Objects,
    OnPlane,
    Sensor,
    Setting,
    Twist,
)
from fastsynth.randomizers.lights import POINT, append_lights, shadow_of
from fastsynth.randomizers.placement import footprint
from fastsynth.recipes.assets_cabinet import SOFT, cabinet, packages
from fastsynth.recipes.numbers import Numbers, memory, ours
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.render import render
from fastsynth.scene import Randomizer
from fastsynth.types import Frames, SceneBatch

NUMBERS = {
    "size": ours((512, 512), "[pixels]"),
    "k": ours((-0.02, 0.002, 0.0, 0.0), "mean of k1 k2 k3 k4; the paper's fisheye was not recovered"),
    "k_spread": ours((0.005, 0.0, 0.0, 0.0), "standard deviation of the same: how well a calibration holds"),
    "circle": ours(88.0, "half the angle of the image circle [degrees]"),
    "radius": ours(0.475, "of the image circle, in picture heights; the whole of it is in the paper's picture, too"),
    "pinhole": ours(100.0, "field of view without the fisheye [degrees]"),
    "axis_shift": ours(0.004, "standard deviation of where the camera sits [m]"),
    "cabinet": ours((0.7, 0.58, 0.34), "width, depth and height of a shelf [m]; the paper scans its cabinet"),
    "count": ours((4, 10), "packages on the shelf"),
    "scale": ours((0.72, 0.9), "of the stand-in packages; the paper scans its own"),
    "lying": ours(0.4, "part of the packages that lie on one of four sides, where they are low enough"),
    "lying_height": ours(0.2, "most that one may be tall that lies, lest it reach through a wall [m]"),
    "variants": ours(4, "of each kind of stand-in"),
    "collision_free": memory(True, "random placement on the shelf"),
    "room": ours(1.12, "how much wider than its footprint at rest a package is kept free, as it may swell"),
    "lattice": ours((4, 0.05), "control points along a side, and their standard deviation in parts of the side"),
    "twist": ours(0.15, "standard deviation [rad]; scans are deformed at random in the paper, no model recovered"),
    "dent": ours((0.0, 0.3), "depth, in parts of the dent's radius"),
    "strip": ours((0.4, 4), "length of the ceiling light [m], and the points that stand for it"),
    "strip_place": ours((0.1, 0.2), "y of the strip [m]; x is that of the middle"),
    "strip_intensity": ours((0.035, 0.075), "of the whole strip, at 1 m"),
    "strip_warmth": ours(0.08, "standard deviation of the white balance"),
    "shadow": ours(0.0, "radius of each point of the strip [m]: hard shadows, of which four make a soft one"),
    "shadow_texels": ours(256, "along a side of the map of what a point sees"),
    "shadow_ball": ours((0.0, 0.0, 0.05, 0.4), "where shadows fall [m]"),
    "ambient": ours((0.22, 0.4), "what metal walls throw back"),
    "exposure": ours(0.15, "standard deviation [EV]"),
    "noise": ours((0.0, 0.012), "standard deviation, in linear light"),
}


def vending_fisheye(
    assets: Assets | None = None,
    soft: Sequence[str] | None = None,
    fisheye: bool = True,
    without: Sequence[str] = (),
) -> Recipe:
    """Find packages in a vending cabinet.

    Boxes, masks and all other labels are those of the fisheye's picture. ``labels(frames)["template"]`` is the empty
    cabinet under the same light and lens, float32 [B, 3, H, W]: what the system subtracts from real pictures to have
    their masks. The cabinet is the last slot.

    Args:
        assets: Meshes of packages, standing on z = 0, at most 0.3 m high; stand-ins with drawn labels by default.
        soft: Names of the classes that give way; boxes, drink cartons and bags by default, or all of `assets`.
        fisheye: Off, the same cabinet is seen by a pinhole of 100 degrees.
        without: "deformation", "calibration" (one lens), "placement" (a fixed count), "lying" (all stand), "light",
            "shadows", "sensor".

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.vending_fisheye(without=["deformation"])
        >>> frames = fs.render(recipe.sample(2), (48, 48))
        >>> frames.batch.lens, recipe.labels(frames)["template"].shape
        ('fisheye', torch.Size([2, 3, 48, 48]))
    """
    n = Numbers(NUMBERS)
    wide, deep, high = n["cabinet"]
    own = assets is None
    goods = packages(n["variants"]) if assets is None else assets
    soft = (SOFT if own else goods.class_names) if soft is None else soft
    bending = [row for row in range(len(goods)) if goods.class_names[int(goods.mesh_class[row])] in soft]
    every = Assets.concatenate([goods, pack([cabinet(wide, deep, high)], lod=False)])
    circle, (few, many), (points, sigma) = deg(n["circle"]), n["count"], n["lattice"]
    k = torch.tensor(n["k"])
    radius = circle * (1 + sum(float(k[i]) * circle ** (2 * i + 2) for i in range(4)))
    pinhole = 0.5 / math.tan(deg(n["pinhole"]) / 2)
    focal = n["radius"] / radius if fisheye else pinhole
    spread = 0.5 * (wide - 0.2), 0.5 * (deep - 0.2)
    length, number = n["strip"]
    axes: dict[str, dict[str, Any]] = {
        "deformation": {"deformation": OFF},
        "placement": {"objects.0.count": (few + many) // 2},
        "lying": {"objects.0.side": 0},
        "light": {
            "light.0.place": sum(n["strip_place"]) / 2,
            "light.0.intensity": sum(n["strip_intensity"]) / 2,
            "light.0.warmth": 0.0,
            "light.1.intensity": sum(n["ambient"]) / 2,
        },
        "shadows": {"light.0.shadow": None},
        "sensor": {"sensor": OFF},
    }
    lens = None
    if fisheye:
        axes["calibration"] = {"camera.0.lens.distortion": n["k"], "camera.1.shift": (0.0, 0.0, 0.0)}
        lens = Lens("fisheye", Normal(n["k"], n["k_spread"]), circle)
    else:
        axes["calibration"] = {"camera.1.shift": (0.0, 0.0, 0.0)}
    eye = Pinhole.look_at((0.0, 0.0, high - 0.015), (0.0, 0.0, 0.0), up=(0.0, 1.0, 0.0))
    intrinsics = torch.diag(torch.tensor([focal, focal, 1.0]))[None]
    deformers = [
        Lattice(Normal(0.0, sigma), size=points, stands=True),
        Twist(Normal(0.0, n["twist"])),
        Dent(Uniform(*n["dent"])),
    ]
    return Recipe(
        "vending_fisheye",
        2,
        "Wang et al. 2019, smart vending machines",
        n,
        n["size"],
        axes,
        without,
        target_classes=goods.class_names,
        label=template,
        label_outputs=(),
        camera=[
            CameraPose(Pinhole(intrinsics, eye.camera_from_world), lens),
            Shift(Normal((0.0,) * 3, n["axis_shift"])),
        ],
        objects=[
            Shelved(
                every,
                len(goods),
                Choice(range(few, many + 1)),
                OnShelf(Uniform((-spread[0], -spread[1]), spread)),
                Uniform(*n["scale"]) if own else 1.0,
                n["room"],
                n["collision_free"],
                n["lying"],
                n["lying_height"],
            ),
            Setting(every, [len(goods)]),
        ],
        light=[
            Strip(
                length, number, high - 0.01, Uniform(*n["strip_place"]), Uniform(*n["strip_intensity"]),
                Normal(0.0, n["strip_warmth"]), n["shadow"], n["shadow_ball"],
            ),
            Ambient(Uniform(*n["ambient"])),
        ],
        deformation=Deform(deformers, bending, slots=many),
        sensor=Sensor(exposure=Normal(0.0, n["exposure"]), noise=Uniform(*n["noise"])),
        shading="ggx",
        shadow_size=n["shadow_texels"],
        lod=0.0,
    )  # fmt: skip


def template(frames: Frames) -> dict[str, Tensor]:
    """The empty cabinet of each image, under its light and through its lens, before noise."""
    mesh = frames.batch.mesh_id
    empty = torch.cat([torch.full_like(mesh[:, :-1], -1), mesh[:, -1:]], 1)
    # The cabinet alone, hollow and convex, casts no shadow.
    bare = frames.batch.replace(mesh_id=empty, noise=None, effects=(), light_shadow=None, shadow_columns=None)
    return {"template": render(bare, frames.size, ("rgb",)).rgb}


class OnShelf(OnPlane):
    """As `OnPlane`; what lies has its middle there."""

    def positions(
        self, batch: SceneBatch, noise: Noise, shape: tuple[int, ...], linear: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """See `Placement.positions`."""
        aside = _aside(linear, low, high)
        return super().positions(batch, noise, shape, linear, low, high) - (
            aside[:, None] if len(shape) == 2 else aside
        )


def _aside(linear: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Where the middle of what lies is from its origin, along the shelf; 0 of what stands: float32 [B, N, 3]."""
    middle = multiply(linear, ((low + high) / 2)[..., None])[..., 0]
    flat = torch.nn.functional.pad(middle[..., :2], (0, 1))
    return torch.where(linear[..., 2, 2:] > 0, 0, flat)


class Shelved(Objects):
    """Packages on a shelf, standing or lying on one of four sides, none within another's footprint.

    Args:
        assets: Meshes; the first `goods` of them are placed.
        goods: How many.
        count: Of an image.
        position: Where.
        scale: As of `Objects`.
        room: What is kept free around a footprint, in its radii.
        separate: Keep them apart.
        lying: Part of the packages that lie.
        height: Most that one may be tall that lies [m].
    """

    foot: Tensor
    sides: Tensor

    def __init__(
        self,
        assets: Assets,
        goods: int,
        count: Choice,
        position: OnShelf,
        scale: Any,
        room: float,
        separate: bool,
        lying: float,
        height: float,
    ) -> None:
        super().__init__(assets, count, range(goods), position, scale=scale, separate=separate)
        self.side: Distribution = Choice(range(5), [1 - lying, *[lying / 4] * 4])
        self.room, self.height = room, height
        self.register_buffer("foot", footprint(assets), persistent=False)
        # Standing; a quarter turn about x and about y, either way.
        turns = [[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]]
        turns += [[[1.0, 0, 0], [0, 0, -way], [0, way, 0]] for way in (1.0, -1.0)]
        turns += [[[0.0, 0, way], [0, 1, 0], [-way, 0, 0]] for way in (1.0, -1.0)]
        self.register_buffer("sides", torch.tensor(turns), persistent=False)

    def _linear(self, noise: Noise, axes: tuple[int, int]) -> Tensor:
        """Rotation and scale of every slot, float32 [B, N, 3, 3]."""
        linear = super()._linear(noise, axes)
        assert self.assets is not None
        bounds = self.assets.mesh_bounds[self.meshes(noise)]
        low_enough = (bounds[..., 5] - bounds[..., 2]) * linear[..., 2, 2] <= self.height
        side = torch.where(low_enough, self.side.sample(noise, axes[1]), 0).long()
        return multiply(linear, self.sides[side])

    def spheres(self, mesh: Tensor, linear: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Discs on the shelf: around what turns about the vertical through its origin, and around a box that lies."""
        x, y, z = torch.minimum(linear[..., 2, :] * low, linear[..., 2, :] * high).unbind(-1)
        middle = _aside(linear, low, high) + torch.nn.functional.pad((x + y + z)[..., None], (2, 0))
        half = linear[..., :2, :] * ((high - low) / 2)[..., None, :]
        (a, b, c), (d, e, f) = (row.unbind(-1) for row in half.unbind(-2))
        lies = (a * a + b * b + c * c + d * d + e * e + f * f).sqrt()
        stands = self.foot[mesh] * linear[..., 2, 2]
        return middle, self.room * torch.where(linear[..., 2, 2] > 0, stands, lies)


class Shift(Randomizer):
    """The camera sits a little off its place.

    Args:
        shift: x y z [m].
    """

    def __init__(self, shift: Distribution) -> None:
        super().__init__()
        self.shift = as_distribution(shift, "Shift: `shift`", [(3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Move the eye, in the camera's own axes."""
        moved = torch.nn.functional.pad(self.shift.sample(noise)[..., None], (3, 0, 0, 1))
        return batch.replace(camera_from_world=batch.camera_from_world - moved)


class Strip(Randomizer):
    """A strip of light on the ceiling, along x, as a row of points.

    Args:
        length: [m].
        number: Of points.
        height: z [m].
        place: y [m].
        intensity: Of all points together, at 1 m.
        warmth: White balance, warm above 0.
        shadow: Softness of the shadows of each point, as of `PointLight` [m].
        within: Where they fall, likewise.
    """

    def __init__(
        self,
        length: float,
        number: int,
        height: float,
        place: Any,
        intensity: Any,
        warmth: Any,
        shadow: Any,
        within: Sequence[float],
    ) -> None:
        super().__init__()
        self.shadow, self.within = shadow_of("Strip", shadow, within)
        self.length, self.number, self.height = length, number, height
        self.place: Distribution = as_distribution(place, "Strip: `place`", [()])
        self.intensity: Distribution = as_distribution(intensity, "Strip: `intensity`", [()])
        self.warmth: Distribution = as_distribution(warmth, "Strip: `warmth`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the points."""
        y, light, warmth = (part.sample(noise) for part in (self.place, self.intensity, self.warmth))
        along = ((torch.arange(self.number, device=batch.device) + 0.5) / self.number - 0.5) * self.length
        x = along.expand(batch.images, -1)
        place = torch.stack([x, y[:, None].expand_as(x), torch.full_like(x, self.height)], -1)
        color = torch.stack([warmth.exp(), torch.ones_like(warmth), (-warmth).exp()], -1) * light[:, None]
        each = (color / self.number)[:, None].expand(-1, self.number, 3)
        down = torch.zeros_like(place) - torch.nn.functional.pad(torch.ones_like(x)[..., None], (2, 0))
        fields = {
            "light_kind": torch.full_like(x, POINT, dtype=torch.int32),
            "light_position": place,
            "light_direction": down,
            "light_color": each,
            "light_cone": torch.full_like(place[..., :2], -1.0),
        }
        soft = None if self.shadow is None else self.shadow.sample(noise, self.number)
        return append_lights(batch, fields, soft, self.within)
