"""Small drawings of a scene that is still being made: which pixels instances cover, before anything is lit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.geometry import transform_points
from fastsynth.ops.draw import ASSETS, SCENE, TEXTURES
from fastsynth.types import SceneBatch


def drawn(batch: SceneBatch, size: tuple[int, int], outputs: Sequence[str], lod: float = 0.5) -> dict[str, Tensor]:
    """Labels of a batch, small and without colour, for randomizers that must know what covers what.

    Args:
        batch: What is drawn.
        size: Height and width [pixels].
        outputs: Names out of ``fastsynth.ops.draw.OUTPUTS``, but "rgb".
        lod: Largest projected error of a level of detail, in these pixels.

    Example:
        >>> import fastsynth as fs
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3)).sample(2)
        >>> drawn(batch, (12, 16), ("instance_id",))["instance_id"].shape
        torch.Size([2, 12, 16])
    """
    textures = [getattr(batch.assets.textures, name) for name in TEXTURES]
    scene = {name: getattr(batch, name) for name in SCENE}
    return ops.draw(
        [getattr(batch.assets, name) for name in ASSETS] + textures,
        [batch.mesh_id.new_empty(0) if value is None else value for value in scene.values()],
        textures,
        size,
        outputs,
        grid=1,
        face_bits=batch.assets.face_bits,
        shading=0,
        tone=0,
        mips=False,
        linear=False,
        dtype=torch.uint8,
        near=batch.near,
        lod=lod,
    )


def pinhole_only(name: str, batch: SceneBatch) -> None:
    """Raise ValueError for a batch that is seen through a lens: what is drawn small here knows of none."""
    if batch.lens is not None:
        raise ValueError(f"{name}: lays out pictures of a pinhole camera, but this one has a lens. Give none.")


def alone(batch: SceneBatch, mesh_id: Tensor, world_from_object: Tensor) -> SceneBatch:
    """The cameras of a batch with other instances and no lights, to be drawn small.

    Args:
        batch: Whose cameras and meshes.
        mesh_id: int32 [B, N].
        world_from_object: float32 [B, N, 4, 4].
    """
    return SceneBatch(
        assets=batch.assets,
        mesh_id=mesh_id,
        world_from_object=world_from_object,
        intrinsics=batch.intrinsics,
        camera_from_world=batch.camera_from_world,
        near=batch.near,
    )


def spheres(batch: SceneBatch, mesh_id: Tensor) -> tuple[Tensor, Tensor]:
    """The ball around the box of each mesh, in its own space.

    Args:
        batch: Whose meshes.
        mesh_id: int [B, N]; -1 is taken as 0.

    Returns:
        Centre float32 [B, N, 3] and radius [B, N] [m].
    """
    low, high = batch.assets.mesh_bounds[mesh_id.clamp(min=0).long()].split(3, -1)
    return (low + high) / 2, length(high - low) / 2


class InCamera(NamedTuple):
    """The balls around the instances of a batch, as their camera has them."""

    middle: Tensor  #: in the camera's frame [m], float32 [B, N, 3]
    radius: Tensor  #: [m], float32 [B, N]
    size: Tensor  #: diameter in the picture, in image heights, float32 [B, N]
    used: Tensor  #: whether it is an object: it has a class and lies in front of the camera, bool [B, N]


def in_camera(batch: SceneBatch) -> InCamera:
    """Where the instances of a batch lie, and how large they are in the picture."""
    centre, radius = spheres(batch, batch.mesh_id)
    linear = batch.world_from_object[..., :3, :3]
    radius = radius * torch.stack([length(column) for column in linear.unbind(-1)], -1).amax(-1)
    middle = transform_points(batch.camera_from_world[:, None], transform_points(batch.world_from_object, centre))
    depth = middle[..., 2]
    labelled = batch.assets.mesh_class[batch.mesh_id.clamp(min=0).long()] >= 0
    used = (batch.mesh_id >= 0) & labelled & (depth > radius)
    return InCamera(middle, radius, 2 * radius * batch.intrinsics[:, 1, 1, None] / depth.clamp(min=1e-6), used)


def length(vector: Tensor) -> Tensor:
    """Euclidean length [..., 3] -> [...], the same to the last bit whatever the batch."""
    x, y, z = (vector * vector).unbind(-1)
    return (x + y + z).sqrt()


def on_ray(batch: SceneBatch, x: Tensor, y: Tensor, depth: Tensor) -> Tensor:
    """Points of the camera's frame that lie at places of the image.

    Args:
        batch: Whose cameras.
        x: To the right of the image's centre, in image heights, float32 [B, ...].
        y: Below it, likewise.
        depth: Along the axis, likewise [m].

    Returns:
        float32 [B, ..., 3] [m].
    """
    one = (batch.images, *(1,) * (x.ndim - 1))
    fx, skew, cx = (batch.intrinsics[:, 0, i].view(one) for i in range(3))
    fy, cy = (batch.intrinsics[:, 1, i].view(one) for i in (1, 2))
    ray_y = (y - cy) / fy
    ray_x = (x - cx - skew * ray_y) / fx
    return torch.stack([ray_x * depth, ray_y * depth, depth], -1)
