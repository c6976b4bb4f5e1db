"""Backgrounds of models: clutter that is put wherever nothing is yet, until it covers the picture."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import affine, invert_rigid, multiply, transform_points
from fastsynth.pack import pack
from fastsynth.procedural import plane
from fastsynth.random import Choice, Distribution, Noise, Uniform, UniformRotation, as_distribution
from fastsynth.randomizers.coverage import alone, drawn, in_camera, on_ray, pinhole_only, spheres
from fastsynth.randomizers.objects import append_instances
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

_PIXEL_BITS = 20


class Clutter(Randomizer):
    """Models behind the objects that cover every pixel, of the objects' own size in the picture.

    In every pass a picture is divided into cells about as large as a model. Each cell that has uncovered pixels gets a
    model on one of them, chosen at random; all of them are drawn, small, to see what is covered now. Later passes lie
    farther back, so that they show in the gaps of earlier ones only. What little the passes leave, a wall closes: a
    square behind everything that fills the picture, with a random texture of the models. Nothing waits for the device.

    After Hinterstoisser et al., "An Annotation Saved is an Annotation Earned", 2019: as much clutter as possible, never
    the same background twice, structures as large as the objects.

    Args:
        assets: Meshes; the same as the objects'.
        choice: Which meshes: a `Choice` of rows of `assets.mesh_names`, or the rows; evenly by default.
        size: Size of a model as a multiple of the objects' mean size in the image; sizes are those of the balls around
            the boxes of the meshes. Without objects, of image heights.
        rotation: Of the models; any by default.
        passes: How often gaps are looked for.
        models: Most models in a pass. Where the objects are so small that a picture has more cells, cells are made
            larger, and more is left to the wall.
        spacing: Side of a cell as a multiple of the objects' mean size.
        rows: Height of the small pictures in which coverage is looked at [pixels].
        depth: How far behind the farthest object the first pass lies, as a multiple of its distance.
        gap: How much farther each pass lies than the one before it, likewise.
        layer: As of `Objects`, for all of it.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> front = fs.Objects(parts, choice=[0, 1, 2], position=fs.FrustumPosition(depth=6.0), count=3)
        >>> scene = fs.Scene([front, Clutter(parts, choice=[3, 4])])
        >>> frames = fs.render(scene.sample(2), (32, 32), ("instance_id",))
        >>> bool((frames.instance_id >= 0).all())
        True
    """

    def __init__(
        self,
        assets: Assets,
        choice: Any = None,
        size: Any = None,
        rotation: Any = None,
        passes: int = 4,
        models: int = 64,
        spacing: float = 0.8,
        rows: int = 32,
        depth: float = 1.5,
        gap: float = 0.3,
        layer: int = 0,
    ) -> None:
        super().__init__()
        self.assets = assets
        self.choice: Choice = (
            choice if isinstance(choice, Choice) else Choice(range(len(assets)) if choice is None else choice)
        )
        self.size: Distribution = as_distribution(Uniform(0.9, 1.5) if size is None else size, "Clutter: `size`", [()])
        self.rotation: Distribution = as_distribution(
            UniformRotation() if rotation is None else rotation, "Clutter: `rotation`", [(3, 3)]
        )
        for name, value, least in (("passes", passes, 1), ("models", models, 9), ("rows", rows, 8)):
            if value < least:
                raise ValueError(f"Clutter: `{name}` must be at least {least}, but is {value}.")
        if not (spacing > 0 and depth > 0 and gap >= 0):
            raise ValueError(
                f"Clutter: needs spacing > 0, depth > 0 and gap >= 0, but they are {spacing}, {depth} and {gap}."
            )
        self.passes, self.models, self.spacing = passes, models, spacing
        self.rows, self.depth, self.gap = rows, depth, gap
        self.layer = layer
        self.picture = Choice([-1])  # set by `extend`

    def extend(self, assets: Assets) -> Assets:
        """Put a square behind the meshes, for the wall; the textures of the models are its pictures."""
        first, _, _, _ = assets.meshes[self.choice.values.cpu()].long().cpu().unbind(1)
        used = assets.levels.cpu()[first].long()
        rows = torch.cat([assets.faces[a : a + n, 3].cpu() for a, n in used[:, 2:].tolist()]).unique().long()
        pictures = assets.material_textures.cpu()[rows, 0].unique()
        self.picture = Choice(pictures[pictures >= 0].tolist() or [-1]).to(assets.device)
        square = pack([plane()]).unlabelled().to(assets.device)
        return Assets.concatenate([assets, square]).keeping(self, len(assets))

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the models and the wall."""
        pinhole_only("Clutter", batch)
        here = noise.of(self)
        height, width = self.rows, max(1, round(self.rows * noise.aspect))
        size, far = self._looks(batch)
        shape = (self.passes, self.models)
        mesh = self.choice.sample(noise, shape)
        turn = self.rotation.sample(noise, shape)
        diameter = self.size.sample(noise, shape) * size[:, None, None]
        order = here.uniform((self.passes, height * width), "pixel")
        shift = here.uniform((self.passes, 2), "shift")
        jitter = here.uniform((*shape, 2), "jitter") - 0.5
        world_from_camera = invert_rigid(batch.camera_from_world)[:, None]
        side = (self.spacing * size).clamp(min=self._least_side(noise.aspect))[:, None]
        y, x = torch.meshgrid(*(torch.arange(n, device=batch.device) for n in (height, width)), indexing="ij")
        x, y = (x.flatten() + 0.5) / height, (y.flatten() + 0.5) / height  # in image heights
        pixel = torch.arange(height * width, device=batch.device)
        columns = (noise.aspect / side).ceil().long() + 1
        hit = torch.zeros(batch.images, height, width, device=batch.device)
        ids, poses = [], []
        for step in range(self.passes):
            column, row = (
                ((at + s[:, None] * side) / side).long() for at, s in zip((x, y), shift[:, step].unbind(1), strict=True)
            )
            key = ((order[:, step] * 2.0**24).long() << _PIXEL_BITS) + pixel
            key = torch.where(self._covered(hit).flatten(1) > 0, -1, key)
            # The largest number of a cell wins: a maximum does not depend on the order in which it is taken.
            best = torch.full((batch.images, self.models), -1, dtype=torch.int64, device=batch.device)
            best.scatter_reduce_(1, row * columns + column, key, "amax")
            spot = best & (1 << _PIXEL_BITS) - 1
            u = (spot % width + 0.5 + jitter[:, step, :, 0]) / height - 0.5 * width / height
            v = (spot.div(width, rounding_mode="floor") + 0.5 + jitter[:, step, :, 1]) / height - 0.5
            depth = (far * self.depth * (1 + self.gap * step))[:, None].expand_as(u)
            centre, radius = spheres(batch, mesh[:, step])
            scale = diameter[:, step] * depth / (2 * radius * batch.intrinsics[:, 1, 1, None])
            linear = turn[:, step] * scale[..., None, None]
            place = transform_points(world_from_camera, on_ray(batch, u, v, depth))
            ids.append(torch.where(best >= 0, mesh[:, step], -1).int())
            poses.append(affine(linear, place - multiply(linear, centre[..., None])[..., 0]))
            if step + 1 < self.passes:
                seen = drawn(alone(batch, ids[-1], poses[-1]), (height, width), ("instance_id",))["instance_id"]
                hit = torch.maximum(hit, (seen >= 0).float())
        ids.append(torch.full_like(ids[0][:, :1], batch.assets.kept_for(self)))
        poses.append(self._wall(batch, noise, far * self.depth * (1 + self.gap * self.passes))[:, None])
        mesh_id = torch.cat(ids, 1)
        layer = torch.full_like(mesh_id, self.layer) if self.layer else None
        made = append_instances(batch, mesh_id, torch.cat(poses, 1), layer)
        texture = self.picture.sample(noise, 1).int()
        return made.replace(texture_id=torch.cat([made.texture_id[:, :-1], texture], 1))

    def _wall(self, batch: SceneBatch, noise: Noise, depth: Tensor) -> Tensor:
        """The pose of a square at this depth that is larger than what the camera sees there: [B] -> [B, 4, 4]."""
        angle = noise.of(self).uniform((), "turn") * (2 * math.pi)
        k = batch.intrinsics.abs()
        half = (max(noise.aspect, 1) / 2 + torch.maximum(k[:, 0, 2], k[:, 1, 2])) * (1 + k[:, 0, 1] / k[:, 1, 1])
        # Twice half a side, once more by the root of two for any turn, and something to spare.
        side = 3.0 * half / torch.minimum(k[:, 0, 0], k[:, 1, 1]) * depth
        c, s, zero = angle.cos() * side, angle.sin() * side, torch.zeros_like(side)
        turned = torch.stack([c, -s, zero, s, c, zero, zero, zero, side], -1).view(-1, 3, 3)
        place = torch.stack([zero, zero, depth], -1)
        return multiply(invert_rigid(batch.camera_from_world), affine(turned, place))

    @staticmethod
    def _covered(hit: Tensor) -> Tensor:
        """Pixels that are hit and whose neighbours are: what is between the centres is covered too, but for cracks."""
        return -torch.nn.functional.max_pool2d(-hit, 3, 1, 1)

    def _looks(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """Mean size of the objects in the image, in its heights, and the largest depth of one: float32 [B] each."""
        one = batch.intrinsics.new_ones(batch.images)
        if not batch.instances:
            return one, one
        seen = in_camera(batch)
        count = seen.used.sum(1)
        size = torch.where(seen.used, seen.size, 0).sum(1) / count.clamp(min=1)
        depth = torch.where(seen.used, seen.middle[..., 2] + seen.radius, 0).amax(1)
        return torch.where(count > 0, size, one), torch.where(count > 0, depth, one)

    def _least_side(self, aspect: float) -> float:
        """The smallest cell of which a picture, shifted, holds no more than `models`."""
        sides = [aspect / n for n in range(1, self.models)] + [1 / n for n in range(1, self.models)]
        fits = [s for s in sides if (math.ceil(aspect / s - 1e-6) + 1) * (math.ceil(1 / s - 1e-6) + 1) <= self.models]
        return min(fits) * (1 + 1e-5)
