"""Cameras: where the picture is taken from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth.geometry import Pinhole, affine, multiply
from fastsynth.random import Choice, Distribution, Noise, Uniform, as_distribution
from fastsynth.randomizers.lens import Lens
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Camera(Randomizer):
    """A camera on a sphere around a target, z up.

    Args:
        distance: From the target [m]; by default 7 to 11 times the typical radius of the assets' meshes.
        azimuth: Around the vertical, from the x axis, counter-clockwise from above [rad]; anywhere by default.
        elevation: Above the horizon [rad]; 10 to 60 degrees by default.
        roll: About the line of sight; the image turns clockwise [rad].
        fov: Vertical field of view [rad]; through a lens, the field along the vertical through its axis.
        target: What stands in the middle of the image, x y z [m].
        lens: What it looks through; a pinhole by default.

    Example:
        >>> import fastsynth as fs
        >>> camera = fs.Camera(distance=fs.Uniform(0.6, 1.4), elevation=fs.Uniform(fs.deg(20), fs.deg(80)))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), camera)
        >>> scene.sample(4).camera_from_world.shape
        torch.Size([4, 4, 4])
    """

    def __init__(
        self,
        distance: Any = None,
        azimuth: Any = None,
        elevation: Any = None,
        roll: Any = 0.0,
        fov: Any = math.pi / 4,
        target: Any = (0.0, 0.0, 0.0),
        lens: Lens | None = None,
    ) -> None:
        super().__init__()
        self.lens = lens
        self.frames_meshes = distance is None
        distance = Uniform(7.0, 11.0) if distance is None else distance
        azimuth = Uniform(0.0, 2 * math.pi) if azimuth is None else azimuth
        elevation = Uniform(math.pi / 18, math.pi / 3) if elevation is None else elevation
        self.distance: Distribution = as_distribution(distance, "Camera: `distance`", [()])
        self.azimuth: Distribution = as_distribution(azimuth, "Camera: `azimuth`", [()])
        self.elevation: Distribution = as_distribution(elevation, "Camera: `elevation`", [()])
        self.roll: Distribution = as_distribution(roll, "Camera: `roll`", [()])
        self.fov: Distribution = as_distribution(fov, "Camera: `fov`", [()])
        self.target: Distribution = as_distribution(target, "Camera: `target`", [(3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the pose and the intrinsics."""
        distance = self.distance.sample(noise)
        if self.frames_meshes:
            distance = distance * typical_radius(batch.assets.mesh_bounds)
        azimuth, elevation = self.azimuth.sample(noise), self.elevation.sample(noise)
        ca, sa, ce, se = azimuth.cos(), azimuth.sin(), elevation.cos(), elevation.sin()
        # The axes of the camera by their angles rather than by `look_at`: smooth straight above the target, too.
        right = torch.stack([-sa, ca, torch.zeros_like(sa)], -1)
        down = torch.stack([se * ca, se * sa, -ce], -1)
        forward = torch.stack([-ce * ca, -ce * sa, -se], -1)
        roll = self.roll.sample(noise)[:, None]
        cr, sr = roll.cos(), roll.sin()
        rotation = torch.stack([cr * right - sr * down, sr * right + cr * down, forward], -2)
        shift = -multiply(rotation, self.target.sample(noise)[..., None])[..., 0]
        shift = shift + torch.nn.functional.pad(distance[:, None], (2, 0))
        fov, seen = self.fov.sample(noise), {}
        if self.lens is None:
            intrinsics = intrinsics_of(fov)
        else:
            seen = self.lens.fields(noise)
            intrinsics = intrinsics_with(0.5 / self.lens.radius(fov / 2, seen["distortion"]))
        return batch.replace(camera_from_world=affine(rotation, shift), intrinsics=intrinsics, **seen)


class CameraPose(Randomizer):
    """Cameras that are known: one for all images, or one of several, evenly.

    Args:
        pinhole: One camera or several.
        lens: What all of them look through; the intrinsics are then those of the lens.

    Example:
        >>> import fastsynth as fs
        >>> camera = fs.CameraPose(fs.Pinhole.look_at(eye=(0, -1, 0.5), target=(0, 0, 0), fov=fs.deg(40)))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), camera)
        >>> bool((scene.sample(4).camera_from_world == camera.camera_from_world).all())
        True
    """

    intrinsics: Tensor
    camera_from_world: Tensor

    def __init__(self, pinhole: Pinhole, lens: Lens | None = None) -> None:
        super().__init__()
        self.lens = lens
        self.register_buffer("intrinsics", pinhole.intrinsics.clone())
        self.register_buffer("camera_from_world", pinhole.camera_from_world.clone())
        self.choice = Choice(range(pinhole.images))

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the pose and the intrinsics."""
        which = self.choice.sample(noise)
        seen = {} if self.lens is None else self.lens.fields(noise)
        return batch.replace(intrinsics=self.intrinsics[which], camera_from_world=self.camera_from_world[which], **seen)


def typical_radius(mesh_bounds: Tensor) -> Tensor:
    """Half the diagonal of the median mesh's box: float32 [K, 6] -> [] [m]."""
    return (mesh_bounds[:, 3:] - mesh_bounds[:, :3]).square().sum(-1).sqrt().median() / 2


def intrinsics_of(fov: Tensor) -> Tensor:
    """Square pixels and a centred axis: vertical field of view of a pinhole [B] [rad] -> [B, 3, 3] in image heights."""
    return intrinsics_with(0.5 / (fov / 2).tan())


def intrinsics_with(focal: Tensor) -> Tensor:
    """The same of a focal length [B] in image heights."""
    return torch.diag_embed(torch.stack([focal, focal, torch.ones_like(focal)], -1))
