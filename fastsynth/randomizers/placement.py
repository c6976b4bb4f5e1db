"""Placements: positions that depend on the camera, or on how an object is turned."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import invert_rigid, transform_points
from fastsynth.lens import undistort
from fastsynth.random import Distribution, Noise, Uniform, as_distribution
from fastsynth.scene import Parts
from fastsynth.types import SceneBatch


class Placement(Parts):
    """Where objects go: given to ``Objects(position=...)``.

    Attributes:
        rotation: How the objects are turned unless `Objects` says otherwise, or None.
    """

    rotation: Distribution | None = None

    def positions(
        self, batch: SceneBatch, noise: Noise, shape: tuple[int, ...], linear: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """Places for the origins of N meshes, or several to choose from.

        Args:
            batch: What the randomizers before have made; the camera is in it.
            noise: Source of randomness.
            shape: (N,), or (tries, N).
            linear: Rotation and scale of the objects, float32 [B, N, 3, 3].
            low: Lower corner of the mesh's box, object space, float32 [B, N, 3] [m].
            high: Upper corner, float32 [B, N, 3] [m].

        Returns:
            float32 [B, *shape, 3] [m], world.
        """
        raise NotImplementedError(f"{type(self).__name__} must define positions().")


class OnPlane(Placement):
    """On a horizontal plane, resting on the lowest point of the turned box of the mesh.

    Args:
        spot: Where on the plane, x y [m].
        rotation: As of `Objects`; any turn about the vertical by default.
        height: z of the plane [m].

    Example:
        >>> import fastsynth as fs
        >>> table = fs.OnPlane(spot=fs.Uniform((-0.5, -0.5), (0.5, 0.5)))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=5, position=table))
        >>> scene.sample(2).instances
        5
    """

    def __init__(self, spot: Any, rotation: Any = None, height: Any = 0.0) -> None:
        super().__init__()
        self.spot: Distribution = as_distribution(spot, "OnPlane: `spot`", [(2,)])
        # A plain reference: `Objects` holds it as its own part, so that its name is `objects.rotation`.
        object.__setattr__(self, "rotation", Uniform(0.0, 2 * math.pi) if rotation is None else rotation)
        self.height: Distribution = as_distribution(height, "OnPlane: `height`", [()])

    def positions(
        self, batch: SceneBatch, noise: Noise, shape: tuple[int, ...], linear: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """See `Placement.positions`."""
        spot = self.spot.sample(noise, shape)
        # The lowest corner of a box is lowest along each of its edges.
        x, y, z = torch.minimum(linear[..., 2, :] * low, linear[..., 2, :] * high).unbind(-1)
        lift = self.height.sample(noise)[:, None] - (x + y + z)  # [B, N]
        if len(shape) == 2:
            lift = lift[:, None].expand(-1, *shape)
        return torch.cat([spot, lift[..., None]], -1)


def footprint(assets: Assets) -> Tensor:
    """How far each mesh reaches from the vertical through its origin: float32 [K] [m].

    Example:
        >>> import fastsynth as fs
        >>> [round(reach, 3) for reach in footprint(fs.pack([fs.procedural.box((0.6, 0.8, 3.0))])).tolist()]
        [0.5]
    """
    far = assets.hull[:, :2].square().sum(-1).sqrt()
    return torch.stack([far[first : first + count].max() for _, _, first, count in assets.meshes.tolist()])


class FrustumPosition(Placement):
    """Evenly over the image, at a random depth: the origin of the mesh is always in the picture.

    The camera must come before the objects, as it does in a `Scene`; the width of the image is taken from
    the `aspect` that the scene is sampled with.

    Args:
        depth: Along the axis of the camera [m]; through a lens, from the eye.
        margin: Kept free at each border, in image heights; negative to reach beyond the image.

    Example:
        >>> import fastsynth as fs
        >>> inside = fs.FrustumPosition(depth=fs.Uniform(2.0, 5.0), margin=0.1)
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=5, position=inside))
        >>> scene.sample(2, aspect=640 / 480).instances
        5
    """

    def __init__(self, depth: Any, margin: float = 0.0) -> None:
        super().__init__()
        self.depth: Distribution = as_distribution(depth, "FrustumPosition: `depth`", [()])
        if margin >= 0.5:
            raise ValueError(f"FrustumPosition: `margin` must be below 0.5 image heights, but is {margin}.")
        self.margin = margin

    def positions(
        self, batch: SceneBatch, noise: Noise, shape: tuple[int, ...], linear: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """See `Placement.positions`."""
        u, v = noise.of(self).uniform((*shape, 2), "pixel").unbind(-1)
        # From the image centre, in image heights.
        x = (u - 0.5) * max(noise.aspect - 2 * self.margin, 0.0)
        y = (v - 0.5) * (1 - 2 * self.margin)
        depth = self.depth.sample(noise, shape)
        one = (batch.images, *(1,) * len(shape))
        fx, skew, cx = (batch.intrinsics[:, 0, i].view(one) for i in range(3))
        fy, cy = (batch.intrinsics[:, 1, i].view(one) for i in (1, 2))
        ray_y = (y - cy) / fy
        ray_x = (x - cx - skew * ray_y) / fx
        lens = batch.lenses()
        if lens is None:
            seen = torch.stack([ray_x * depth, ray_y * depth, depth], -1)
        else:
            seen = undistort(torch.stack([ray_x, ray_y], -1), lens)[0] * depth[..., None]
        world_from_camera = invert_rigid(batch.camera_from_world)
        return transform_points(world_from_camera.view(*one, 4, 4), seen)
