"""Wood et al., "Learning an Appearance-Based Gaze Estimator from One Million Synthesised Images", ETRA 2016.

UnityEyes: an eye region of a linear shape model whose lids follow the gaze, an eyeball with a refracting cornea, and
random light. The scans, textures and panoramas of the original are not ours to give: shapes, skins and irises here are
procedural (`eye_region`, `eye_textures`, `eye_relief`), and what differs is said in the numbers and in
``docs/howto/deform.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from fastsynth import procedural
from fastsynth.annotate import keypoints_2d
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.effects import Eye, Grey, RefractiveEye
from fastsynth.effects.refractive_eye import HUMAN
from fastsynth.environments import Environments
from fastsynth.geometry import deg, multiply, transform_points
from fastsynth.pack import pack
from fastsynth.random import Choice, Distribution, Noise, Normal, TruncatedNormal, Uniform, as_distribution
from fastsynth.randomizers import Camera, Deform, DirectionalLight, EnvironmentLight
from fastsynth.recipes import eye_region as region
from fastsynth.recipes.eye_relief import heights
from fastsynth.recipes.eye_rig import EyeInstances, EyeRegion, Gaze
from fastsynth.recipes.eye_textures import IRISES, eyeball, irises, on_ball, skins
from fastsynth.recipes.numbers import Numbers, code, ours
from fastsynth.recipes.recipe import Recipe
from fastsynth.types import Frames, SceneBatch

NUMBERS = {
    "size": ours((120, 160), "the generator's window is the user's choice"),
    "control_vertices": code(229, "of the eye region's mesh; subdivided after posing, there to 872"),
    "components": code(
        20, "each from a Gaussian of the model's own mean and deviation; their model, 20 scans, is not ours"
    ),
    "skins": code(20, "uniform; here procedural, colours and displacement, without the variant for looking down"),
    "relief": ours((0.7, 1.3), "uniform; factor of the skin's displacement map, whose heights are ours too"),
    "iris_size": code((0.9, 1.0), "uniform; scales the 32 vertices of the limbus"),
    "pupil": code(0.2, "a standard normal over 5, added to the texture's dilation"),
    "pupil_bounds": ours((0.5, 1.9), "of the factor 1 + pupil"),
    "irises": code(5, "textures; here procedural"),
    "brown": code(0.5, "brown with probability 1/2, else another one, evenly"),
    "gaze": code(30.0, "degrees, uniform to both sides, up and down and across"),
    "camera_distance": code(10.0, "units of the scene, whose unit is about a centimetre [cm]"),
    "camera_pitch": code(20.0, "degrees to both sides: typed into the generator for SimGAN, by SimGAN-TF"),
    "camera_yaw": code(40.0, "likewise"),
    "fov": ours(25.0, "degrees, vertical: the region fills the picture"),
    "lid_follow": ours(
        0.6, "part of the pitch that the upper lid follows; that it is three times the lower's is the code's"
    ),
    "lid_thickness": code(0.25, "least, in units of the scene [cm]"),
    "ior": code(1.3),
    "light_pitch": code((-10.0, 90.0), "degrees, uniform; towards the light, from straight ahead of the face"),
    "light_yaw": code((-90.0, 90.0), "degrees, uniform"),
    "light_intensity": code((0.6, 1.2), "uniform"),
    "light_saturation": ours((0.0, 0.35), "uniform; the hue is random in the code"),
    "shadow": ours(0.05, "softness of the directional light's shadows [rad]; soft in the code"),
    "panoramas": code(18, "of HDR light from all around; here skies without files"),
    "panorama_turn": code((0.0, 360.0), "degrees, uniform"),
    "exposure": code((1.0, 1.2), "of the panorama; uniform there, log-uniform here"),
    "panorama_light": ours(-1.0, "EV of our skies before that"),
    "ambient": code((0.8, 1.2), "uniform, multiplies what diffuse surfaces have of the panorama"),
    "gloss": ours((0.5, 0.16), "roughness of skin and tear film"),
}
#: Control vertices of the landmarks, as of UnityEyes' ``interior_margin_2d`` and ``caruncle_2d``.
MARGIN, FLESH, LIMBUS = 16, 7, 32


class Bearing(Distribution):
    """Unit vectors by pitch and yaw from straight ahead of the face, each uniform."""

    low: Tensor
    high: Tensor

    def __init__(self, pitch: Sequence[float], yaw: Sequence[float]) -> None:
        super().__init__()
        self._parameters_of_one_shape(low=(deg(pitch[0]), deg(yaw[0])), high=(deg(pitch[1]), deg(yaw[1])))

    @property
    def event(self) -> tuple[int, ...]:
        """A vector."""
        return (3,)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Two angles."""
        return (2,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """X to the right, -y towards the viewer, z up."""
        pitch, yaw = (self.low + u * (self.high - self.low)).unbind(-1)
        return torch.stack([yaw.sin() * pitch.cos(), -yaw.cos() * pitch.cos(), pitch.sin()], -1)


class RandomHue(Distribution):
    """Linear colours of any hue, the brightest channel 1, of a uniform saturation."""

    low: Tensor
    high: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self._parameters_of_one_shape(low=low, high=high)

    @property
    def event(self) -> tuple[int, ...]:
        """R g b."""
        return (3,)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Hue and saturation."""
        return (2,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """HSV to RGB."""
        hue, saturation = u[..., :1], self.low + u[..., 1:] * (self.high - self.low)
        third = 5 - 2 * torch.arange(3, device=u.device)  # where a channel's ramp begins
        turn = (hue * 6 + third) % 6
        return 1 - saturation * torch.minimum(turn, 4 - turn).clamp(0, 1)


class Surroundings(EnvironmentLight):
    """A panorama, and what part of it diffuse surfaces have.

    Args:
        environments: As of `EnvironmentLight`.
        rotation: Likewise.
        exposure: Likewise.
        ambient: Multiplies what diffuse surfaces reflect of it.
    """

    def __init__(self, environments: Environments, rotation: Any, exposure: Any, ambient: Any) -> None:
        super().__init__(environments, rotation, exposure)
        self.ambient: Distribution = as_distribution(ambient, "Surroundings: `ambient`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the panorama and the ambient light."""
        batch = super().forward(batch, noise)
        return batch.replace(ambient=batch.ambient * self.ambient.sample(noise)[:, None, None])


def unity_eyes(gray: bool = False, assets: Assets | None = None, without: Sequence[str] = ()) -> Recipe:
    """Pictures of an eye, with where it looks.

    ``labels(frames)``: ``margin`` [B, 16, 3], ``caruncle`` [B, 7, 3] and ``iris`` [B, 32, 3]: x, y [pixels] and depth
    along the axis [m] of landmarks; ``margin_seen``, ``caruncle_seen`` and ``iris_seen``, bool; ``gaze`` [B, 3], unit,
    in the camera's frame; ``head`` [B, 3, 3], camera from head, whose x is to the right of the picture, -y ahead, z up;
    ``pupil``, ``iris_size`` [B]. All else that was drawn is in ``batch.params``. The region is in slot 0, the eyeball
    in slot 1.

    Args:
        gray: Grey pictures.
        assets: A mesh for the region and one for the eyeball in place of those made here, with as many vertices.
        without: "shape" (the mean face), "bumps" (smooth skin), "gaze" (straight ahead), "head" (from ahead), "light"
            (white, from above), "iris" (brown, of mean size), "refraction" (ior 1).

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.unity_eyes(without=["shape"])
        >>> frames = fs.render(recipe.sample(2), (60, 80), ("rgb", *recipe.label_outputs))
        >>> recipe.labels(frames)["iris"].shape
        torch.Size([2, 32, 3])
    """
    n = Numbers(NUMBERS)
    assert region.VERTICES == n["control_vertices"] and region.COMPONENTS == n["components"]
    eye, gaze_range = HUMAN, deg(n["gaze"])
    gaze = Gaze(Uniform(-gaze_range, gaze_range), Uniform(-gaze_range, gaze_range))
    skin = Choice(range(n["skins"]))
    rig = EyeRegion(
        gaze, Normal((0.0,) * region.COMPONENTS, 1.0), n["lid_follow"], eye, n["lid_thickness"] / 100,
        skin, Uniform(*n["relief"]), heights(n["skins"]),
    )  # fmt: skip
    own = eye_meshes(rig, eye, n["gloss"])
    if assets is not None:
        counts = [len(part.vertices) for part in (own, assets)]
        if len(assets) != 2 or counts[0] != counts[1]:
            raise ValueError(
                f"unity_eyes(): `assets` must be a mesh of the eye region and one of the eyeball, {counts[0]} vertices "
                f"in all as those made here, but holds {len(assets)} meshes of {counts[1]} vertices."
            )
        own = assets
    count, brown = n["irises"], n["brown"]
    assert len(IRISES) == count
    weights = [brown] + [(1 - brown) / (count - 1)] * (count - 1)
    low, high = n["pupil_bounds"]
    iris_low, iris_high = n["iris_size"]
    refraction = RefractiveEye(
        irises(eye=eye), 1, n["ior"], TruncatedNormal(1.0, n["pupil"], low, high), Uniform(iris_low, iris_high),
        Choice(range(count), weights), eye=eye,
    )  # fmt: skip
    yaw, pitch = deg(n["camera_yaw"]), deg(n["camera_pitch"])
    ev = [n["panorama_light"] + math.log2(gain) for gain in n["exposure"]]
    turn = Uniform(*(deg(angle) for angle in n["panorama_turn"]))
    skies = procedural.environments(n["panoramas"], seed=0)
    axes = {
        "shape": {"region.deformers.0.coefficient": (0.0,) * region.COMPONENTS},
        "bumps": {"region.deformers.0.relief": 0.0},
        "gaze": {"objects.gaze.pitch": 0.0, "objects.gaze.yaw": 0.0},
        "head": {"camera.azimuth": deg(-90.0), "camera.elevation": 0.0},
        "light": {
            "light.0.direction": (0.0, -0.7, 0.7), "light.0.color": (1.0, 1.0, 1.0), "light.0.intensity": 0.9,
            "light.1.choice": 0, "light.1.rotation": 0.0, "light.1.exposure": n["panorama_light"],
            "light.1.ambient": 1.0,
        },
        "iris": {"cornea.texture": 0, "cornea.pupil": 1.0, "cornea.iris": (iris_low + iris_high) / 2},
        "refraction": {"cornea.ior": 1.0},
    }  # fmt: skip
    more: dict[str, Any] = {"grey": Grey()} if gray else {}
    return Recipe(
        "unity_eyes",
        2,
        "Wood et al. 2016, ETRA",
        n,
        n["size"],
        axes,
        without,
        label=Landmarks(rig, eye),
        draw=_mark,
        label_outputs=("depth", "instance_id"),
        camera=Camera(
            n["camera_distance"] / 100,
            Uniform(deg(-90.0) - yaw, deg(-90.0) + yaw),
            Uniform(-pitch, pitch),
            fov=deg(n["fov"]),
        ),
        objects=EyeInstances(own, gaze, skin, skins(n["skins"])),
        light=[
            DirectionalLight(
                Bearing(n["light_pitch"], n["light_yaw"]),
                Uniform(*n["light_intensity"]),
                RandomHue(*n["light_saturation"]),
                shadow=n["shadow"],
            ),
            Surroundings(skies, turn, Uniform(*ev), Uniform(*n["ambient"])),
        ],
        shading="ggx",
        shadow_size=512,
        region=Deform(rig, [0], normals="area", slots=1),
        cornea=refraction,
        **more,
    )


def eye_meshes(rig: EyeRegion, eye: Eye, gloss: Sequence[float]) -> Assets:
    """The region at rest and the eyeball, packed."""
    faces, lash = region.drawn_faces()
    skin, wet = gloss
    materials = (Material(roughness=skin, base_texture=np.full((2, 2, 3), 200, np.uint8), wrap="clamp"),
                 Material(roughness=0.7, double_sided=True, base_texture=np.full((2, 2, 3), 30, np.uint8)))  # fmt: skip
    patch = Mesh(rig.rest().numpy(), faces, uvs=region.drawn_uvs(), face_material=lash.astype(int), materials=materials,
                 name="eye region")  # fmt: skip
    rings, around = 56, 72
    polar = np.linspace(0, np.pi, rings + 1) ** 1.25 / np.pi**0.25  # closer rings where it looks
    angle, turn = np.meshgrid(polar, np.linspace(0, 2 * np.pi, around + 1), indexing="ij")
    turn[:, -1] = 0
    x, z = np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn)
    vertices = (np.stack([x, -np.cos(angle), z], -1) * on_ball(angle, eye)[..., None]).reshape(-1, 3)
    uvs = 0.5 + 0.5 * angle[..., None] / np.pi * np.stack([np.cos(turn), -np.sin(turn)], -1)
    corner = (np.arange(rings)[:, None] * (around + 1) + np.arange(around)).reshape(-1)
    right, out, across = corner + 1, corner + around + 1, corner + around + 2
    grid = np.concatenate([np.stack([corner, across, right], 1), np.stack([corner, out, across], 1)])
    corners = vertices[grid]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    ball = Mesh(vertices, grid[area > 1e-12], uvs=uvs.reshape(-1, 2), name="eyeball",
                materials=(Material(roughness=wet, base_texture=eyeball(eye=eye), wrap="clamp"),))  # fmt: skip
    return pack([patch, ball], ["skin", "eye"], lod=False)


class Landmarks:
    """What UnityEyes writes beside a picture, of what was drawn."""

    def __init__(self, rig: EyeRegion, eye: Eye) -> None:
        self.rig, self.eye = rig, eye

    def __call__(self, frames: Frames) -> dict[str, Tensor]:
        """The labels."""
        batch = frames.batch
        # A deformed mesh's vertices begin where its first meshlet's do.
        level = batch.assets.meshes[batch.mesh_id[:, 0].clamp(min=0).long(), 0].long()
        first = batch.assets.meshlets[batch.assets.levels[level, 0].long(), 0].long()
        skin = batch.assets.vertices[first[:, None] + self.rig.marks]  # [B, 23, 3]
        size = _drawn(batch, "iris")
        turn = torch.arange(LIMBUS, device=first.device) * (2 * torch.pi / LIMBUS)
        radius = self.eye.limbus * size[:, None]
        flat = torch.full_like(turn, -self.eye.limbus_at).expand(batch.images, -1)
        rim = torch.stack([turn.cos() * radius, flat, turn.sin() * radius], -1)
        chain = multiply(batch.camera_from_world[:, None], batch.world_from_object)
        out: dict[str, Tensor] = {}
        for slot, groups in ((0, {"margin": skin[:, :MARGIN], "caruncle": skin[:, MARGIN:]}), (1, {"iris": rim})):
            for name, points in groups.items():
                each = points[:, None].expand(-1, 2, -1, -1)
                known = keypoints_2d(frames, each, tolerance=0.012 if slot == 0 else 0.03)[:, slot]
                depth = transform_points(chain[:, slot, None], points)[..., 2:]
                out[name] = torch.cat([known[..., :2], depth], -1)
                out[f"{name}_seen"] = known[..., 2] == 2
                if slot == 1:  # a lid may be nearer by less than the tolerance
                    column, row = torch.where(out["iris_seen"][..., None], known[..., :2], 0).long().unbind(-1)
                    ids = frames.instance_id.flatten(1).gather(1, row * frames.size[1] + column)
                    out["iris_seen"] = out["iris_seen"] & (ids == 1)
        turned = multiply(batch.camera_from_world[:, :3, :3], batch.world_from_object[:, 1, :3, :3])
        out["gaze"], out["head"] = -turned[..., 1], batch.camera_from_world[:, :3, :3]
        out["pupil"], out["iris_size"] = _drawn(batch, "pupil"), size
        return out


def _mark(pen: ImageDraw.ImageDraw, frames: Frames, labels: dict[str, Tensor], row: int) -> None:
    """Landmarks that are seen, and where the eye looks, from the middle of the iris."""
    for name, color in (("margin", "#ffd24a"), ("caruncle", "#ff8080"), ("iris", "#58d0ff")):
        for x, y, _ in labels[name][row][labels[f"{name}_seen"][row]].tolist():
            pen.rectangle((x - 1, y - 1, x, y), fill=color)
    x, y, _ = labels["iris"][row].mean(0).tolist()
    right, down, _ = (0.3 * frames.size[0] * labels["gaze"][row]).tolist()
    pen.line((x, y, x + right, y + down), fill="#ffffff", width=2)


def _drawn(batch: SceneBatch, name: str) -> Tensor:
    """A parameter of the cornea's, [B]."""
    return next(step.values[name] for step in batch.effects if "ior" in step.values)
