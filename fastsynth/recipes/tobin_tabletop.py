"""Tobin et al., "Domain Randomization for Transferring Deep Neural Networks from Simulation to the Real World", 2017.

One solid among distractors on a table, everything in random colours, gradients and checkers, seen by a camera that is
nearly where it should be. What is learned is where the solid is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import deg
from fastsynth.random import Choice, Distribution, LogUniform, Noise, Uniform, as_distribution
from fastsynth.randomizers import (
    AimedCamera,
    Ambient,
    CameraJitter,
    Materials,
    Objects,
    OnPlane,
    PointLights,
    ProceduralTextures,
    Setting,
)
from fastsynth.randomizers.placement import footprint
from fastsynth.recipes.assets_solids import tabletop
from fastsynth.recipes.numbers import Numbers, ours, paper
from fastsynth.recipes.pixel_noise import PixelNoise
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

NUMBERS = {
    "size": paper((224, 224), "input of the network"),
    "solids": paper(8, "cone, cube, cylinder, hexagonal and rectangular and triangular prism, pyramid, tetrahedron"),
    "distractors": paper((0, 10), "on the table only; shapes other than the target's: ours"),
    "spot": ours(((-0.25, -0.2), (0.25, 0.2)), "uniform on the table in the paper, which gives no size [m]"),
    "table_height": ours(0.0, "fixed in the paper, so that one camera suffices; that it is the origin of z: ours [m]"),
    "texture_types": paper(("flat", "gradient", "checker"), "each as likely, of one or two random RGB values"),
    "pool": paper(None, "new textures in each image; fewer than 1,000 in all are found to harm"),
    "eye": ours((0.0, -0.72, 0.56), "placed by hand in the paper, 70 to 105 cm from the objects [m]"),
    "aim": ours((0.0, 0.0, 0.0), "a fixed point on the table [m]"),
    "eye_box": paper((0.10, 0.05, 0.10), "sides of the box that the camera is in; which is across: ours [m]"),
    "turn": paper(0.1, "in each direction [rad]"),
    "fov": ours(36.0, "vertical [degrees]"),
    "fov_scale": paper((0.95, 1.05), "up to 5 %"),
    "lights": ours((1, 4), "random in number, position, orientation and specular character; no ranges are given"),
    "light_position": ours(((-1.5, -1.5, 0.8), (1.5, 1.5, 2.2)), "[m]"),
    "light_intensity": ours((0.25, 1.2), "each, at 1.5 m"),
    "light_reach": ours(1.5, "[m]"),
    "directional": ours(0.5, "part of the lights without a place"),
    "specular": ours((0.0, 2.0), "factor of what is mirrored of each light"),
    "shadow": ours(
        0.0, "hard: radius of the lamps [m]; the authors' renderer has shadows, and the paper says nothing of them"
    ),
    "shadow_texels": ours(256, "along a side of the map of what a lamp sees"),
    "shadow_ball": ours((0.0, 0.1, -0.1, 0.75), "where shadows fall: around the table [m]"),
    "ambient": ours((0.1, 0.4)),
    "specular_exponent": ours((4.0, 64.0), "log-uniform, of all surfaces of an image"),
    "noise_types": ours(("gaussian", "salt_pepper", "none"), "type and amount are random; no list is given"),
    "gaussian": ours((0.0, 0.05), "standard deviation of display values"),
    "salt_pepper": ours((0.0, 0.02), "part of the pixels"),
}


def tobin_tabletop(
    assets: Assets | None = None,
    target: str | int | None = "cube",
    pool: int | None = None,
    without: Sequence[str] = (),
) -> Recipe:
    """Localize one solid on a table.

    ``labels(frames)["centre"]`` is the world position of the target's centre of mass, float32 [B, 3] [m]: the table's
    top is z = 0, x to the right and y away from the camera. The target is in slot 0.

    Args:
        assets: Meshes to localize and to distract, the origin of each its centre of mass; the eight solids by default.
        target: Name or row of the mesh to localize; None = any of them, another one in each image.
        pool: How many textures there are in all; None = no end of them. See the paper's ablation.
        without: "noise", "camera", "distractors", "textures" (all white), "light" (one fixed lamp), "shadows", "robot".

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.tobin_tabletop(target="cone", without=["distractors"])
        >>> frames = fs.render(recipe.sample(2), (64, 64))
        >>> recipe.labels(frames)["centre"].shape, frames.batch.params["camera.1.pan"].shape
        (torch.Size([2, 3]), torch.Size([2]))
    """
    n = Numbers(NUMBERS)
    own, room = tabletop()
    assert len(own) == n["solids"]
    assets = own if assets is None else assets
    shapes = len(assets)
    row = assets.mesh_names.index(target) if isinstance(target, str) else target
    every = Assets.concatenate([assets, room])
    table, floor, sky_box, robot = range(shapes, shapes + len(room))
    low, high = n["distractors"]
    eye, box = torch.tensor(n["eye"]), torch.tensor(n["eye_box"]) / 2
    turn = n["turn"]
    first, last = n["lights"]
    size = n["pool"] if pool is None else pool
    axes = {
        "noise": {"noise": OFF},
        "camera": {
            "camera.0.eye": n["eye"],
            **{f"camera.1.{name}": 0.0 for name in ("pan", "tilt", "roll")},
            "camera.1.fov": 1.0,
        },
        "distractors": {"objects.0.count": 1},
        "textures": {"materials": OFF},
        "light": {
            "light.0.count": 1,
            "light.0.position": (0.6, -0.8, 1.5),
            "light.0.intensity": 0.7,
            "light.0.kind": 2,
            "light.0.gloss": 1.0,
            "light.1.intensity": 0.25,
            "gloss.exponent": 16.0,
        },
        "shadows": {"light.0.shadow": None},
        "robot": {"objects.2.present": 0},
    }
    return Recipe(
        "tobin_tabletop",
        3,
        "Tobin et al. 2017, arXiv:1703.06907",
        n,
        n["size"],
        axes,
        without,
        target_classes=assets.class_names if row is None else (assets.class_names[int(assets.mesh_class[row])],),
        label=lambda frames: {"centre": frames.batch.world_from_object[:, 0, :3, 3]},
        camera=[
            AimedCamera(Uniform(eye - box, eye + box), n["aim"], deg(n["fov"])),
            CameraJitter(*(Uniform(-turn, turn) for _ in range(3)), fov=Uniform(*n["fov_scale"])),
        ],
        objects=[
            Target(
                every,
                shapes,
                row,
                Choice(range(1 + low, 2 + high)),
                OnPlane(Uniform(*n["spot"]), height=n["table_height"]),
            ),
            Setting(every, [table, floor, sky_box]),
            Setting(every, [robot]),
        ],
        light=[
            PointLights(
                Choice(range(first, last + 1)),
                Uniform(*n["light_position"]),
                Uniform(*n["light_intensity"]),
                reach=n["light_reach"],
                directional=n["directional"],
                shadow=n["shadow"],
                within=n["shadow_ball"],
                gloss=Uniform(*n["specular"]),
            ),
            Ambient(Uniform(*n["ambient"])),
        ],
        materials=Materials(textures=ProceduralTextures(n["texture_types"], size, DisplayColor())),
        gloss=Gloss(LogUniform(*n["specular_exponent"])),
        noise=PixelNoise(n["noise_types"], Uniform(*n["gaussian"]), Uniform(*n["salt_pepper"])),
        shading="blinn_phong",
        shadow_size=n["shadow_texels"],
        lod=0.0,
    )


class DisplayColor(Distribution):
    """Colours that are even in display values, as linear light: about their square."""

    @property
    def event(self) -> tuple[int, ...]:
        """Red, green, blue."""
        return (3,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Uniform numbers in [0, 1), [..., 3], to linear r g b."""
        return u * u  # a power would have other last bits in a batch of another size


class Target(Objects):
    """A target in the first slot, and distractors of other shapes, none touching another.

    Of a distractor's 16 random spots the first free one is taken; one that finds none is left out.

    Args:
        assets: Meshes; the first `shapes` of them are placed.
        shapes: How many.
        target: Row of the target; None = any.
        count: Of target and distractors together.
        position: As of `Objects`.
    """

    foot: Tensor

    def __init__(self, assets: Assets, shapes: int, target: int | None, count: Choice, position: OnPlane) -> None:
        # What is chosen is how many rows a distractor stands behind the target: never the target's own shape.
        super().__init__(assets, count, Choice(range(1, shapes)), position, separate=True)
        self.target = Choice(range(shapes) if target is None else [target])
        self.shapes = shapes
        self.register_buffer("foot", footprint(assets), persistent=False)

    def meshes(self, noise: Noise) -> Tensor:
        """The target's row, then the others'."""
        target = self.target.sample(noise)[:, None]
        others = (target + self.choice.sample(noise, self.slots)) % self.shapes
        return torch.cat([target, others[:, 1:]], 1)

    def spheres(self, mesh: Tensor, linear: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Discs on the table, around what turns about the vertical through its origin."""
        return torch.nn.functional.pad(low[..., 2:], (2, 0)), self.foot[mesh]


class Gloss(Randomizer):
    """One specular exponent for all surfaces of an image, as the roughness with which "blinn_phong" has it."""

    def __init__(self, exponent: Distribution) -> None:
        super().__init__()
        self.exponent = as_distribution(exponent, "Gloss: `exponent`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Replace the roughness: s = 2 / roughness^4 - 2."""
        roughness = (2 / (self.exponent.sample(noise) + 2)).sqrt().sqrt()
        return batch.replace(roughness=roughness[:, None].expand_as(batch.roughness))
