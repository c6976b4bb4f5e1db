"""Objects: which meshes are in the picture, and where."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import affine, multiply, rotation_from_quaternion
from fastsynth.random import Choice, Constant, Distribution, Noise, Uniform, as_distribution
from fastsynth.randomizers.placement import Placement
from fastsynth.scene import Randomizer
from fastsynth.types import LAYERS, SceneBatch

# An image gets this many places to choose from for each object that must not touch the others.
TRIES = 16


class Objects(Randomizer):
    """Meshes at random places.

    The number of slots of an image is the largest count; the slots that an image does not use are empty
    (``mesh_id`` -1), and so are those of objects for which no free place was found.

    Args:
        assets: Meshes.
        count: How many an image: a whole number, or a `Choice` of such.
        choice: Which mesh each is: a `Choice` of rows of `assets.mesh_names`, or the rows; evenly by default.
        position: Where the origin of the mesh goes: x y z [m], or a placement such as `OnPlane` or
            `FrustumPosition`. By default evenly in a cube around the origin that suits meshes of any size.
        rotation: Rotation matrices [3, 3], quaternions (w x y z), or turns about the vertical [rad]; none by default,
            and the placement's own where it has one.
        scale: A number, or one for each axis of the mesh.
        up: Axis of the meshes that points up: "z", or "y" as in most glTF files. World z is up.
        separate: No two objects of an image touch: their bounding spheres are kept apart. Of 16 random places the
            first free one is taken, in the order of the slots; an object that finds none is left out.
        layer: In which layer they are drawn, 0 to 3: in front of everything of the layers below, whatever the depths.
            A whole number, or a `Choice` of such, for each object.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> objects = fs.Objects(parts, count=fs.Choice(range(1, 9)), rotation=fs.UniformRotation())
        >>> batch = fs.Scene(objects).sample(16)
        >>> batch.instances, bool(((batch.mesh_id >= 0).sum(1) >= 1).all())
        (8, True)
    """

    def __init__(
        self,
        assets: Assets,
        count: Any = 1,
        choice: Any = None,
        position: Any = None,
        rotation: Any = None,
        scale: Any = 1.0,
        up: str = "z",
        separate: bool = False,
        layer: Any = 0,
    ) -> None:
        super().__init__()
        self.assets = assets
        meshes = assets.meshes.shape[0]
        self.count: Distribution = as_distribution(count, "Objects: `count`", [()])
        self.slots = largest(self.count)
        if not isinstance(choice, Distribution):
            choice = Choice(range(meshes) if choice is None else choice)
        if not isinstance(choice, Choice) or choice.values.is_floating_point() or choice.event != ():
            raise TypeError("Objects: `choice` must be a Choice of rows of `assets.mesh_names`, or a list of rows.")
        if not 0 <= int(choice.values.min()) <= int(choice.values.max()) < meshes:
            raise ValueError(
                f"Objects: `choice` must hold rows of the {meshes} meshes, but holds {choice.values.tolist()}."
            )
        self.choice = choice
        if position is None:
            position = _cube(assets)
        if not isinstance(position, Placement):
            position = as_distribution(position, "Objects: `position`", [(3,)])
        self.position: Distribution | Placement = position
        if rotation is None:
            rotation = getattr(position, "rotation", None)
        self.rotation: Distribution | None = (
            None if rotation is None else as_distribution(rotation, "Objects: `rotation`", [(3, 3), (4,), ()])
        )
        self.scale: Distribution = as_distribution(scale, "Objects: `scale`", [(), (3,)])
        if up not in ("y", "z"):
            raise ValueError(f'Objects: `up` must be "y" or "z", but is {up!r}.')
        self.up = up
        self.separate = separate
        self.layer: Distribution | None = None if isinstance(layer, int) and layer == 0 else _layers(layer)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the slots of these objects to those that the batch has."""
        slots = self.slots
        mesh = self.meshes(noise)
        used = torch.arange(slots, device=batch.device) < self.count.sample(noise)[:, None]
        linear = self._linear(noise, (batch.images, slots))
        low, high = batch.assets.mesh_bounds[mesh].split(3, -1)
        shape = (TRIES, slots) if self.separate else (slots,)
        if isinstance(self.position, Placement):
            position = self.position.positions(batch, noise, shape, linear, low, high)
        else:
            position = self.position.sample(noise, shape)
        if self.separate:
            middle, radius = self.spheres(mesh, linear, low, high)
            first, free = first_free(position + middle[:, None], radius, used)
            position = position.gather(1, first[:, None, :, None].expand(-1, 1, -1, 3))[:, 0]
            used = free
        mesh_id = torch.where(used, mesh, -1).int()
        layer = None if self.layer is None else self.layer.sample(noise, slots).int()
        return append_instances(batch, mesh_id, affine(linear, position), layer)

    def meshes(self, noise: Noise) -> Tensor:
        """Which mesh each slot shows if it is used: rows of the assets, int64 [B, N]."""
        return self.choice.sample(noise, self.slots)

    def spheres(self, mesh: Tensor, linear: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """What `separate` keeps apart: where the sphere around each mesh lies from its origin, and its radius.

        Args:
            mesh: Rows of the assets, int64 [B, N].
            linear: Rotation and scale, float32 [B, N, 3, 3].
            low: Lower corner of the mesh's box, object space, float32 [B, N, 3] [m].
            high: Upper corner, float32 [B, N, 3] [m].

        Returns:
            float32 [B, N, 3] and [B, N] [m].
        """
        middle = multiply(linear, ((low + high) / 2)[..., None])[..., 0]
        half = linear * ((high - low) / 2)[..., None, :]  # half the box's edges, as columns
        x, y, z = (_squared_length(edge) for edge in half.unbind(-1))
        return middle, (x + y + z).sqrt()

    def _linear(self, noise: Noise, axes: tuple[int, int]) -> Tensor:
        """Rotation and scale of every slot, float32 [B, N, 3, 3]."""
        scale = self.scale.sample(noise, axes[1])
        if self.scale.event == ():
            scale = scale[..., None].expand(*axes, 3)
        linear = torch.diag_embed(scale)
        if self.up == "y":  # y becomes z, z becomes -y
            x, y, z = linear.unbind(-2)
            linear = torch.stack([x, -z, y], -2)
        if self.rotation is None:
            return linear
        turn = self.rotation.sample(noise, axes[1])
        if self.rotation.event == ():
            zero = torch.zeros_like(turn)
            turn = torch.stack([(turn / 2).cos(), zero, zero, (turn / 2).sin()], -1)
        if turn.shape[-1] == 4:
            turn = rotation_from_quaternion(turn)
        return multiply(turn, linear)


def append_instances(
    batch: SceneBatch, mesh_id: Tensor, world_from_object: Tensor, layer: Tensor | None = None
) -> SceneBatch:
    """More instances beside those that the batch has, with the materials of their meshes.

    Args:
        batch: B images.
        mesh_id: int32 [B, N].
        world_from_object: float32 [B, N, 4, 4].
        layer: int32 [B, N]; None = 0, and no `layer` for a batch that has none.
    """
    slots = mesh_id.shape[1]
    materials = {"base_color": 1.0, "metallic": -1.0, "roughness": -1.0, "texture_id": -1}
    fields: dict[str, Tensor] = {"mesh_id": mesh_id, "world_from_object": world_from_object}
    for name, default in materials.items():
        have = getattr(batch, name)
        fields[name] = have.new_full((batch.images, slots, *have.shape[2:]), default)
    if batch.color_matrix is not None:
        kept = torch.eye(3, 4, device=batch.device)
        fields["color_matrix"] = kept.expand(batch.images, slots, 3, 4)
    if layer is not None or batch.layer is not None:
        fields["layer"] = mesh_id.new_zeros(mesh_id.shape) if layer is None else layer
        if batch.layer is None:
            batch = batch.replace(layer=batch.mesh_id.new_zeros(batch.mesh_id.shape))
    if batch.instances:
        fields = {name: torch.cat([getattr(batch, name), more], 1) for name, more in fields.items()}
    return batch.replace(**fields)


def first_free(centre: Tensor, radius: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Places for spheres such that no two touch: greedily, a fixed number of tries each.

    Args:
        centre: Where each sphere might go, float32 [B, K, N, 3].
        radius: float32 [B, N].
        wanted: Which spheres are to be placed at all, bool [B, N].

    Returns:
        The number of the first free place of each sphere, int64 [B, N], and which spheres were placed, bool [B, N].

    Example:
        >>> centre = torch.tensor([[[[0.0, 0, 0], [0, 0, 0]], [[5.0, 0, 0], [3, 0, 0]]]])
        >>> first_free(centre, torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool))[0].tolist()
        [[0, 1]]
    """
    tries, slots = centre.shape[1:3]
    earliest = torch.arange(tries, 0, -1, device=centre.device)
    firsts: list[Tensor] = []
    placed: list[Tensor] = []
    spots: list[Tensor] = []
    for slot in range(slots):
        here = centre[:, :, slot]
        fits = wanted[:, slot, None].expand(-1, tries)
        if slot:
            others = torch.stack(spots, 1)  # [B, slot, 3]
            gap = radius[:, :slot] + radius[:, slot, None]
            clear = _squared_length(here[:, :, None] - others[:, None]) >= (gap * gap)[:, None]
            fits = fits & (clear | ~torch.stack(placed, 1)[:, None]).all(-1)
        first = (fits * earliest).argmax(1)
        firsts.append(first)
        placed.append(fits.any(1))
        spots.append(here.gather(1, first[:, None, None].expand(-1, 1, 3))[:, 0])
    return torch.stack(firsts, 1), torch.stack(placed, 1)


def _squared_length(vector: Tensor) -> Tensor:
    """The squared length: float [..., 3] -> [...], the same to the last bit whatever the batch."""
    x, y, z = (vector * vector).unbind(-1)
    return x + y + z


def largest(count: Distribution, where: str = "Objects") -> int:
    """The number of slots that a count needs: of `Objects`, or of what `where` names."""
    if isinstance(count, Choice):
        values = count.values
    elif isinstance(count, Constant):
        values = count.value[None]
    else:
        raise TypeError(
            f"{where}: `count` must be a whole number or a Choice of whole numbers, but is {type(count).__name__}. "
            "For 1 to 8 give fs.Choice(range(1, 9))."
        )
    largest = int(values.max())
    if not bool((values == values.round()).all()) or int(values.min()) < 0 or largest < 1:
        raise ValueError(f"{where}: `count` must be whole numbers from 0 on, not all 0, but is {values.tolist()}.")
    return largest


def _layers(layer: Any) -> Distribution:
    """The layers of objects, checked."""
    drawn = as_distribution(layer, "Objects: `layer`", [()])
    values = drawn.values if isinstance(drawn, Choice) else drawn.value[None] if isinstance(drawn, Constant) else None
    if values is None:
        raise TypeError(
            f"Objects: `layer` must be a whole number or a Choice of whole numbers, but is {type(drawn).__name__}."
        )
    if not bool((values == values.round()).all()) or not 0 <= int(values.min()) <= int(values.max()) < LAYERS:
        raise ValueError(
            f"Objects: `layer` must be 0 to {LAYERS - 1}, the frontmost, but is {values.tolist()}. Number the layers "
            "of the scene from 0."
        )
    return drawn


def _cube(assets: Assets) -> Uniform:
    """Even in a cube of 2.2 typical radii to either side, for meshes of any size."""
    low, high = assets.mesh_bounds[:, :3], assets.mesh_bounds[:, 3:]
    side = 2.2 * float((high - low).norm(dim=-1).median()) / 2
    if not (side > 0 and math.isfinite(side)):
        raise ValueError("Objects: these meshes have no size to derive places from. Give position=.")
    return Uniform((-side,) * 3, (side,) * 3)
