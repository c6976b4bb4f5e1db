"""Cameras that are aimed at a point, and cameras turned after they were aimed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth.geometry import affine, look_at, multiply
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.randomizers.camera import intrinsics_of
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class AimedCamera(Randomizer):
    """A camera at a place, looking at another, its picture upright.

    Args:
        eye: Where it stands, x y z [m].
        target: What stands in the middle of the image, x y z [m]; not straight above or below the eye.
        fov: Vertical field of view [rad].

    Example:
        >>> import fastsynth as fs
        >>> near = fs.AimedCamera(eye=fs.Uniform((-0.05, -0.75, 0.5), (0.05, -0.7, 0.6)), fov=fs.deg(36))
        >>> fs.Scene(fs.Objects(fs.procedural.primitives()), near).sample(4).camera_from_world.shape
        torch.Size([4, 4, 4])
    """

    def __init__(self, eye: Any, target: Any = (0.0, 0.0, 0.0), fov: Any = math.pi / 4) -> None:
        super().__init__()
        self.eye: Distribution = as_distribution(eye, "AimedCamera: `eye`", [(3,)])
        self.target: Distribution = as_distribution(target, "AimedCamera: `target`", [(3,)])
        self.fov: Distribution = as_distribution(fov, "AimedCamera: `fov`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the pose and the intrinsics."""
        eye, target = self.eye.sample(noise), self.target.sample(noise)
        up = torch.nn.functional.pad(torch.ones_like(eye[:, :1]), (2, 0))
        return batch.replace(
            camera_from_world=look_at(eye, target, up), intrinsics=intrinsics_of(self.fov.sample(noise))
        )


class CameraJitter(Randomizer):
    """Turns the camera that the batch has about its own axes, and zooms: after aiming, so that it no longer aims.

    The turns follow each other: pan, tilt, roll.

    Args:
        pan: To the right, about the camera's vertical [rad].
        tilt: Upwards [rad].
        roll: About the line of sight; the image turns clockwise [rad].
        fov: Factor of the vertical field of view.

    Example:
        >>> import fastsynth as fs
        >>> angle = lambda: fs.Uniform(-0.1, 0.1)
        >>> jitter = fs.CameraJitter(angle(), angle(), angle(), fov=fs.Uniform(0.95, 1.05))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), [fs.Camera(), jitter])
        >>> sorted(path for path in scene.distributions() if path.startswith("camera.1"))
        ['camera.1.fov', 'camera.1.pan', 'camera.1.roll', 'camera.1.tilt']
    """

    def __init__(self, pan: Any = 0.0, tilt: Any = 0.0, roll: Any = 0.0, fov: Any = 1.0) -> None:
        super().__init__()
        self.pan: Distribution = as_distribution(pan, "CameraJitter: `pan`", [()])
        self.tilt: Distribution = as_distribution(tilt, "CameraJitter: `tilt`", [()])
        self.roll: Distribution = as_distribution(roll, "CameraJitter: `roll`", [()])
        self.fov: Distribution = as_distribution(fov, "CameraJitter: `fov`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Change the pose and the intrinsics."""
        turn = _about(1, -self.pan.sample(noise))
        turn = multiply(_about(0, -self.tilt.sample(noise)), turn)
        turn = multiply(_about(2, self.roll.sample(noise)), turn)
        pose = batch.camera_from_world
        shift = multiply(turn, pose[:, :3, 3:])[..., 0]
        factor = self.fov.sample(noise)
        focal = batch.intrinsics[:, 1, 1]
        half = (0.5 / focal).atan() * factor
        zoom = 0.5 / half.tan() / focal
        across = torch.stack([zoom, zoom, torch.ones_like(zoom)], -1)
        scaled = batch.intrinsics * torch.stack([across, across, torch.ones_like(across)], -2)
        # Only the focal lengths and the skew, not where the axis meets the picture.
        intrinsics = torch.cat([scaled[..., :2], batch.intrinsics[..., 2:]], -1)
        return batch.replace(camera_from_world=affine(multiply(turn, pose[:, :3, :3]), shift), intrinsics=intrinsics)


def _about(axis: int, angle: Tensor) -> Tensor:
    """Rotations [B, 3, 3] about an axis of the camera, by angles [B]."""
    c, s = angle.cos(), angle.sin()
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rows: list[list[Tensor]] = [[zero] * 3 for _ in range(3)]
    rows[axis][axis] = one
    rows[first][first], rows[first][second] = c, -s
    rows[second][first], rows[second][second] = s, c
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
