"""Rozantsev, Lepetit and Fua, "On Rendering Synthetic Images for Training an Object Detector", CVIU 2015.

A coarse model of a drone over given backgrounds. How each real image was taken (blur of the outline, motion, noise,
diffuse reflection) was fitted to that image, and goes with its background; only the pose is drawn anew.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.assets import Assets
from fastsynth.canvas import Canvas
from fastsynth.effects import gaussian_kernel, grey_of, moved, outline_blurred
from fastsynth.geometry import Pinhole, deg, rotation_from_euler
from fastsynth.load import load_textures
from fastsynth.random import Choice, Distribution, Noise, Uniform, as_distribution
from fastsynth.randomizers import Ambient, CameraPose, DirectionalLight, Objects
from fastsynth.randomizers.background import crop_of
from fastsynth.randomizers.sensor import noise_key
from fastsynth.recipes.assets_drone import fitted, quadrotor, skies
from fastsynth.recipes.numbers import Numbers, ours, paper
from fastsynth.recipes.recipe import Recipe
from fastsynth.scene import Randomizer
from fastsynth.textures import Textures
from fastsynth.types import Frames, SceneBatch, Step

NUMBERS = {
    "size": paper((40, 40), "patches"),
    "capture": paper(
        ("sigma_s", "sigma_u", "sigma_v", "alpha", "sigma_n", "w_d"),
        "columns of the table: blur of the outline, motion blur (3) [pixels, rad], noise, diffuse weight",
    ),
    "seeds": ours(24, "rows of the stand-in; 12 fitted images suffice in the paper"),
    "patch": ours(64, "side of a stand-in's background [pixels]"),
    "turn": ours(180.0, "about the vertical, to either side [degrees]; one of the pose's five numbers"),
    "tilt": ours(35.0, "pitch and roll, to either side [degrees]; two of the five"),
    "shift": ours(0.06, "to either side, of the patch; the last two of the five, and no scale"),
    "span": ours(0.62, "of the patch, that the drone spans"),
    "ambient": ours(0.3, "of what a white surface reflects"),
    "light": ours(0.9, "one distant light; Lambert without speculars is the paper's"),
    "outline_radius": ours(6, "half width of the kernel [pixels]"),
    "motion_radius": ours(12, "half width of the kernel [pixels]"),
}


class Captured(Randomizer):
    """One of some backgrounds, and what was fitted to the image that it belongs to: all of it together.

    Args:
        backgrounds: Empty backgrounds, as many as the table has rows.
        table: Fitted parameters, float32 [n, 6]: sigma_s, sigma_u, sigma_v, alpha, sigma_n, w_d.
        joint: Take a row as it is; or else each column evenly from its range in the table.
        outline_radius: Half width of the outline's blur [pixels].
        motion_radius: Half width of the motion blur [pixels].

    Attributes:
        outline, motion, grain, material: What part of each there is: 1, or 0 to be without. Without the material the
            diffuse weight is the table's mean.
    """

    table: Tensor

    def __init__(
        self, backgrounds: Textures, table: Tensor, joint: bool, outline_radius: int, motion_radius: int
    ) -> None:
        super().__init__()
        self.photos, self.joint = backgrounds, joint
        self.seed = Choice(range(len(table)))
        self.outline: Distribution = as_distribution(1.0)
        self.motion: Distribution = as_distribution(1.0)
        self.grain: Distribution = as_distribution(1.0)
        self.material: Distribution = as_distribution(1.0)
        self.register_buffer("table", table.clone())
        self.change = functools.partial(taken, outline_radius=outline_radius, motion_radius=motion_radius)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the background and the diffuse weight, and append what the camera does."""
        own, seed = noise.of(self), self.seed.sample(noise)
        fit = self.table[seed]
        if not self.joint:
            low, high = self.table.amin(0), self.table.amax(0)
            fit = low + (high - low) * own.uniform((self.table.shape[1],), "apart")
        own.note(fit, "fit")
        sigma_s, sigma_u, sigma_v, alpha, sigma_n, w_d = fit.unbind(1)
        part = self.material.sample(noise)
        diffuse = part * w_d + (1 - part) * self.table[:, 5].mean()
        motion = self.motion.sample(noise)
        values = {
            "sigma_s": sigma_s * self.outline.sample(noise),
            "sigma_u": sigma_u * motion,
            "sigma_v": sigma_v * motion,
            "alpha": alpha,
            "sigma_n": sigma_n * self.grain.sample(noise),
            "key": noise_key(own),
        }
        color = torch.cat([diffuse[:, None, None].expand(-1, batch.instances, 3), batch.base_color[..., 3:]], -1)
        middle = torch.full_like(fit[:, :2], 0.5)
        return batch.replace(
            photos=self.photos,
            photo_id=seed.int(),
            photo_crop=crop_of(self.photos.info[seed, :2], noise.aspect, torch.ones_like(w_d), middle),
            base_color=color,
            effects=(*batch.effects, Step(self.change, values, needs=("instance_id",))),
        )


def taken(
    image: Tensor,
    canvas: Canvas,
    sigma_s: Tensor,
    sigma_u: Tensor,
    sigma_v: Tensor,
    alpha: Tensor,
    sigma_n: Tensor,
    key: Tensor,
    *,
    outline_radius: int,
    motion_radius: int,
) -> Tensor:
    """Motion of the object, blur along its outline, and grey noise on its pixels: a grey picture [B, 3, H, W]."""
    mask = canvas.instance_id >= 0
    stroke = gaussian_kernel(sigma_u, sigma_v, alpha, motion_radius)
    image = moved(image, canvas.backdrop(), mask, stroke)
    image = grey_of(outline_blurred(image, mask, sigma_s, outline_radius))
    height, width = image.shape[2:]
    grain = ops.normal(key, height * width).view(-1, 1, height, width)
    return (image + sigma_n[:, None, None, None] * mask[:, None] * grain).clamp(0, 1)


class Attitude(Distribution):
    """Turns about the vertical, and then about the object's own axes x and y, even between limits [rad].

    Example:
        >>> Attitude((0.1, 0.0, 0.0)).from_uniform(torch.tensor([[0.5, 0.0, 0.0]]))[0].round().tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    def __init__(self, limits: tuple[float, float, float]) -> None:
        super().__init__()
        self.limits = limits

    @property
    def event(self) -> tuple[int, ...]:
        """A matrix."""
        return (3, 3)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Three angles."""
        return (3,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Uniform numbers [..., 3] to rotation matrices [..., 3, 3]."""
        angles = [limit * (2 * part - 1) for limit, part in zip(self.limits, u.unbind(-1), strict=True)]
        return rotation_from_euler(torch.stack(angles, -1), "zxy")


def _label(frames: Frames) -> dict[str, Tensor]:
    """The drone's attitude and place: its pose as the paper's five numbers are one."""
    return {"pose": frames.batch.world_from_object[:, 0]}


def rozantsev_uav(
    assets: Assets | None = None,
    photos: str | Path | Sequence[str | Path] | Textures | None = None,
    fit: Tensor | None = None,
    joint: bool = True,
    without: Sequence[str] = (),
) -> Recipe:
    """Drones rendered as a few real images were taken.

    Args:
        assets: A coarse model about the origin, z up; a quadrotor by default.
        photos: The empty backgrounds of the images that were fitted, in the order of `fit`; stand-ins by default.
        fit: Capture parameters of each background, float32 [n, 6]: sigma_s, sigma_u, sigma_v [pixels], alpha [rad],
            sigma_n [display values], w_d; stand-ins by default.
        joint: Rows as they are, which is the method; False = each column evenly from its range, which the paper
            compares with.
        without: Out of "boundary_blur", "motion_blur", "noise", "material".

    Labels: "pose" float32 [B, 4, 4], ``world_from_object`` of the drone.

    Raises:
        ValueError: as many backgrounds as rows are needed.

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.rozantsev_uav()
        >>> fs.render(recipe.sample(4), recipe.size).rgb.shape
        torch.Size([4, 3, 40, 40])
    """
    n = Numbers(NUMBERS)
    if photos is None:
        photos = skies(n["seeds"] if fit is None else len(fit), n["patch"])
    backgrounds = photos if isinstance(photos, Textures) else load_textures(photos)
    table = fitted(len(backgrounds)) if fit is None else fit
    if table.shape != (len(backgrounds), len(n["capture"])) or table.dtype != torch.float32:
        raise ValueError(
            f"rozantsev_uav(): `fit` must be float32 [{len(backgrounds)}, {len(n['capture'])}], a row for each "
            f"background, but is {table.dtype} {list(table.shape)}."
        )
    model = quadrotor() if assets is None else assets
    bounds = model.mesh_bounds.cpu()
    span = float((bounds[:, 3:] - bounds[:, :3]).amax())
    height = span / n["span"]
    distance = 20 * height
    shift = n["shift"] * height
    limits = tuple(float(deg(angle)) for angle in (n["turn"], n["tilt"], n["tilt"]))
    camera = Pinhole.look_at((0.0, -distance, 0.0), (0.0, 0.0, 0.0), fov=2 * math.atan(height / 2 / distance))
    return Recipe(
        "rozantsev_uav",
        1,
        "Rozantsev, Lepetit and Fua, On Rendering Synthetic Images for Training an Object Detector, CVIU 2015",
        n,
        n["size"],
        {
            "boundary_blur": {"capture.outline": 0.0},
            "motion_blur": {"capture.motion": 0.0},
            "noise": {"capture.grain": 0.0},
            "material": {"capture.material": 0.0},
        },
        without,
        label=_label,
        objects=Objects(
            model,
            position=Uniform((-shift, 0.0, -shift), (shift, 0.0, shift)),
            rotation=Attitude(limits),  # type: ignore[arg-type]
        ),
        camera=CameraPose(camera),
        light=[Ambient(n["ambient"]), DirectionalLight(intensity=n["light"])],
        capture=Captured(backgrounds, table, joint, n["outline_radius"], n["motion_radius"]),
    )
