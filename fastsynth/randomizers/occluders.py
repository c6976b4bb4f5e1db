"""Occluders: small models in front of the objects."""

from __future__ import annotations

import math
from typing import Any

import torch

from fastsynth.assets import Assets
from fastsynth.geometry import affine, invert_rigid, multiply, transform_points
from fastsynth.random import Choice, Distribution, Noise, Uniform, UniformRotation, as_distribution
from fastsynth.randomizers.coverage import in_camera, spheres
from fastsynth.randomizers.objects import append_instances
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Occluders(Randomizer):
    """Models that partly hide the objects of a scene: for each object that has a class, now and then one in front.

    Args:
        assets: Meshes; the same as the objects'.
        choice: Which meshes: a `Choice` of rows of `assets.mesh_names`, or the rows; evenly by default.
        size: Size of an occluder as a multiple of the object's, by the balls around the boxes of the meshes.
        probability: How often an object has one.
        reach: Largest distance from the middle of the object, in its radii.
        rotation: Any by default.
        depth: Of the occluder, as a part of the object's.
        layer: As of `Objects`, for all of them.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> scene = fs.Scene([fs.Objects(parts, count=3), Occluders(parts, probability=1.0)])
        >>> scene.sample(2).instances
        6
    """

    def __init__(
        self,
        assets: Assets,
        choice: Any = None,
        size: Any = None,
        probability: Any = 0.8,
        reach: float = 0.7,
        rotation: Any = None,
        depth: float = 0.8,
        layer: int = 0,
    ) -> None:
        super().__init__()
        self.assets = assets
        self.choice: Distribution = (
            choice if isinstance(choice, Choice) else Choice(range(len(assets)) if choice is None else choice)
        )
        self.size: Distribution = as_distribution(
            Uniform(0.2, 0.3) if size is None else size, "Occluders: `size`", [()]
        )
        self.rotation: Distribution = as_distribution(
            UniformRotation() if rotation is None else rotation, "Occluders: `rotation`", [(3, 3)]
        )
        if isinstance(probability, int | float) and not 0 <= probability <= 1:
            raise ValueError(f"Occluders: `probability` must lie in [0, 1], but is {probability}.")
        self.probability: Distribution = as_distribution(probability, "Occluders: `probability`", [()])
        if not 0 < depth:
            raise ValueError(f"Occluders: `depth` must be above 0, but is {depth}.")
        self.reach, self.depth, self.layer = reach, depth, layer

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append a slot for every slot that the batch has."""
        slots = batch.instances
        if not slots:
            return batch
        here = noise.of(self)
        objects = in_camera(batch)
        mesh = self.choice.sample(noise, slots)
        chance, angle, radius = here.uniform((slots, 3), "place").unbind(-1)
        angle, radius = angle * (2 * math.pi), radius.sqrt() * self.reach
        # Evenly over a disc, in the plane of the object's middle, drawn nearer along the rays.
        away = torch.stack([radius * angle.cos(), radius * angle.sin(), torch.zeros_like(radius)], -1)
        place = (objects.middle + away * objects.radius[..., None]) * self.depth
        centre, own = spheres(batch, mesh)
        scale = self.size.sample(noise, slots) * objects.radius * self.depth / own
        linear = self.rotation.sample(noise, slots) * scale[..., None, None]
        world = transform_points(invert_rigid(batch.camera_from_world)[:, None], place)
        pose = affine(linear, world - multiply(linear, centre[..., None])[..., 0])
        used = objects.used & (chance < self.probability.sample(noise)[:, None])
        mesh_id = torch.where(used, mesh, -1).int()
        layer = torch.full_like(mesh_id, self.layer) if self.layer else None
        return append_instances(batch, mesh_id, pose, layer)
