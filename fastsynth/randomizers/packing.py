"""Objects side by side: placed at random so that none hides or is cut off more than is allowed."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import affine, invert_rigid, multiply, transform_points
from fastsynth.random import Noise
from fastsynth.randomizers.coverage import drawn, length, pinhole_only, spheres
from fastsynth.randomizers.objects import Objects, append_instances
from fastsynth.randomizers.placement import Placement
from fastsynth.types import SceneBatch

_FILL = 0.92  # of the small picture of a silhouette, by the ball around the object
_DIAGONAL = 0.5**0.5
# Kept from the limits, for what small silhouettes and perspective leave out.
_MARGIN = 0.06


class Packed(Objects):
    """Objects at random places where no two overlap, and none is cut by the border, more than is allowed.

    Each object in turn has a fixed number of random places to choose from and takes the first that fits; one that finds
    none is left out. What fits is decided from its silhouette, drawn small: the part cut off from the counts of its
    columns and rows, and the overlap of two by the eight-sided boxes around them, which is never too little. Overlap is
    the common area over that of the smaller of the two, with nothing else in the way. For limits that hold to the
    pixel, see `Limits`.

    Positions are those of the middles of the meshes' boxes, and an object is turned along with the ray that it lies on,
    so that it shows the same side wherever it is in the picture.

    Args:
        assets: As of `Objects`, like all others that are not listed here.
        overlap: Largest part of an object that another may have in common with it.
        truncation: Largest part of an object beyond the border of the picture.
        tries: Places to choose from.
        rows: Height of the small pictures of silhouettes [pixels].
        facing: Turn objects along with the ray.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> objects = Packed(parts, count=6, position=fs.FrustumPosition(depth=6.0, margin=-0.1))
        >>> batch = fs.Scene(objects).sample(4)
        >>> bool((batch.mesh_id >= 0).any())
        True
    """

    def __init__(
        self,
        assets: Assets,
        *args: Any,
        overlap: float = 0.3,
        truncation: float = 0.5,
        tries: int = 100,
        rows: int = 32,
        facing: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(assets, *args, **options)
        for name, value in (("overlap", overlap), ("truncation", truncation)):
            if not 0 <= value <= 1:
                raise ValueError(f"Packed: `{name}` must be a part, 0 to 1, but is {value}.")
        if tries < 1:
            raise ValueError(f"Packed: `tries` must be at least 1, but is {tries}.")
        self.overlap, self.truncation, self.tries = overlap, truncation, tries
        self.rows, self.facing = rows, facing

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the slots of these objects to those that the batch has."""
        pinhole_only("Packed", batch)
        slots = self.slots
        mesh = self.choice.sample(noise, slots)
        wanted = torch.arange(slots, device=batch.device) < self.count.sample(noise)[:, None]
        linear = self._linear(noise, (batch.images, slots))
        low, high = batch.assets.mesh_bounds[mesh].split(3, -1)
        shape = (self.tries, slots)
        if isinstance(self.position, Placement):
            world = self.position.positions(batch, noise, shape, linear, low, high)
        else:
            world = self.position.sample(noise, shape)
        camera = transform_points(batch.camera_from_world[:, None, None], world)
        shapes = silhouettes(batch, torch.where(wanted, mesh, -1), linear, camera[:, 0, :, 2], self.rows)
        u, v = on_image(batch, camera)
        # A ball off the axis is seen as an ellipse, longer by one over the cosine.
        away = length(camera) / camera[..., 2] if self.facing else 1.0
        diameter = 2 * shapes.radius[:, None] * batch.intrinsics[:, 1, 1, None, None] / camera[..., 2] * away
        cut = cut_off(shapes, u, v, diameter, noise.aspect)
        allowed = (cut <= self.truncation - _MARGIN) & wanted[:, None]
        places = Places(u, v, diameter, shapes.area[:, None] * diameter * diameter * (1 - cut).clamp(min=0), allowed)
        # The largest first: what is small still finds room when the picture is nearly full.
        order = (shapes.area * shapes.radius * shapes.radius).argsort(dim=1, descending=True, stable=True)
        first, placed = first_fitting(shapes.taken(order), places.taken(order), self.overlap - _MARGIN)
        back = order.argsort(dim=1)
        first, placed = first.gather(1, back), placed.gather(1, back)
        spot = camera.gather(1, first[:, None, :, None].expand(-1, 1, -1, 3))[:, 0]
        world_from_camera = invert_rigid(batch.camera_from_world)[:, None]
        if self.facing:
            turn = world_from_camera[..., :3, :3]
            linear = multiply(turn, multiply(towards(spot), multiply(turn.transpose(-1, -2), linear)))
        middle = multiply(linear, ((low + high) / 2)[..., None])[..., 0]
        pose = affine(linear, transform_points(world_from_camera, spot) - middle)
        layer = None if self.layer is None else self.layer.sample(noise, slots).int()
        return append_instances(batch, torch.where(placed, mesh, -1).int(), pose, layer)


class Silhouettes(NamedTuple):
    """Outlines of objects, each in a picture of its own that the ball around it fills."""

    radius: Tensor  #: of the ball [m], float32 [B, N]
    area: Tensor  #: part of the ball's square that the object covers, float32 [B, N]
    low: (
        Tensor  #: least of x, y, (x + y) / root 2 and (y - x) / root 2, in diameters from the middle, float32 [B, N, 4]
    )
    high: Tensor  #: greatest
    columns: Tensor  #: part of the area left of each line between columns, float32 [B, N, S + 1]
    above: Tensor  #: part of the area above each line between rows, float32 [B, N, S + 1]

    def taken(self, order: Tensor) -> Silhouettes:
        """The objects in another order, int64 [B, N]."""
        return Silhouettes(*(_along(value, order, 1) for value in self))


class Places(NamedTuple):
    """Where objects might go, K places each, in heights of the image from its centre, float32 [B, K, N]."""

    u: Tensor  #: to the right
    v: Tensor  #: down
    diameter: Tensor  #: of the ball around the object
    area: Tensor  #: of what is seen of the object within the borders
    allowed: Tensor  #: whether the place may be taken at all, bool

    def taken(self, order: Tensor) -> Places:
        """The objects in another order, int64 [B, N]."""
        return Places(*(_along(value, order, 2) for value in self))


def silhouettes(batch: SceneBatch, mesh: Tensor, linear: Tensor, depth: Tensor, rows: int) -> Silhouettes:
    """What objects look like on the axis of their camera.

    Args:
        batch: Whose cameras and meshes.
        mesh: Rows of meshes, int64 [B, N]; -1 for one that has no outline.
        linear: World from object without the translation, float32 [B, N, 3, 3].
        depth: Of the middle of each [m], float32 [B, N].
        rows: Side of the small pictures [pixels].
    """
    images, slots = mesh.shape
    centre, radius = spheres(batch, mesh)
    radius = radius * torch.stack([length(column) for column in linear.unbind(-1)], -1).amax(-1)
    turned = multiply(batch.camera_from_world[:, None, :3, :3], linear)
    place = torch.nn.functional.pad(depth[..., None], (2, 0)) - multiply(turned, centre[..., None])[..., 0]
    # Every object is a picture of its own, with the focal length at which the ball around it fills the picture.
    focal = _FILL * depth / (2 * radius)
    intrinsics = torch.diag_embed(torch.stack([focal, focal, torch.ones_like(focal)], -1))
    single = SceneBatch(
        assets=batch.assets,
        mesh_id=mesh.reshape(-1, 1).int(),
        world_from_object=affine(turned, place).reshape(-1, 1, 4, 4),
        intrinsics=intrinsics.reshape(-1, 3, 3),
        camera_from_world=torch.eye(4, device=batch.device).expand(images * slots, 4, 4),
        near=batch.near,
    )
    hit = drawn(single, (rows, rows), ("instance_id",), lod=1.0)["instance_id"].view(images, slots, rows, rows) >= 0
    middle = (torch.arange(rows, device=batch.device) + 0.5 - rows / 2) / (rows * _FILL)
    half = 0.5 / (rows * _FILL)
    # Of each row its ends; all else of the outline follows from them.
    left, right = torch.where(hit, middle, 9.0).amin(-1), torch.where(hit, middle, -9.0).amax(-1)
    low = [left, torch.where(right < left, 9.0, middle), left + middle, middle - right]
    high = [right, torch.where(right < left, -9.0, middle), right + middle, middle - left]
    # To the pixel's border: half a side away along x and y, a whole one in x + y and y - x.
    scale = ((half, 1.0), (half, 1.0), (2 * half, _DIAGONAL), (2 * half, _DIAGONAL))
    low = torch.stack([(side.amin(-1) - more) * k for side, (more, k) in zip(low, scale, strict=True)], -1)
    high = torch.stack([(side.amax(-1) + more) * k for side, (more, k) in zip(high, scale, strict=True)], -1)
    mask = hit.float()
    columns, lines = mask.sum(2).cumsum(-1), mask.sum(3).cumsum(-1)
    count = columns[..., -1:]
    part = 1 / count.clamp(min=1)
    return Silhouettes(
        radius,
        count[..., 0] / (rows * _FILL) ** 2,
        low,
        high,
        torch.nn.functional.pad(columns * part, (1, 0)),
        torch.nn.functional.pad(lines * part, (1, 0)),
    )


def areas(assets: Assets, rotations: Tensor, rows: int = 32) -> Tensor:
    """What a camera far away sees of meshes.

    Args:
        assets: M meshes.
        rotations: Camera from object, float32 [V, 3, 3].
        rows: As of `Packed`.

    Returns:
        Area of each mesh in each pose [m^2], float32 [V, M].

    Example:
        >>> import fastsynth as fs
        >>> area = areas(fs.pack([fs.procedural.box((1.0, 1.0, 2.0))]), torch.eye(3)[None])
        >>> bool((area - 1).abs() < 0.1)
        True
    """
    poses, meshes = len(rotations), len(assets)
    mesh = torch.arange(meshes, device=assets.device).expand(poses, meshes)
    still = torch.eye(4, device=assets.device).expand(poses, 4, 4)
    batch = SceneBatch(assets, mesh.int(), still[:, None].expand(-1, meshes, 4, 4), still[:, :3, :3], still)
    radius = (assets.mesh_bounds[:, 3:] - assets.mesh_bounds[:, :3]).norm(dim=-1)
    far = (1e3 * radius).expand(poses, meshes)
    linear = rotations.to(assets.device)[:, None].expand(poses, meshes, 3, 3)
    shapes = silhouettes(batch, mesh, linear, far, rows)
    return shapes.area * (2 * shapes.radius) ** 2


def cut_off(shapes: Silhouettes, u: Tensor, v: Tensor, diameter: Tensor, aspect: float) -> Tensor:
    """The part of each object beyond the borders, never too little but for a corner's being counted twice.

    Args:
        shapes: Of N objects.
        u: Where the middle might be, to the right of the image's centre in its heights, float32 [B, K, N].
        v: Below it, likewise.
        diameter: Of the ball around the object, in image heights, likewise.
        aspect: Width over height of the image.

    Returns:
        float32 [B, K, N].
    """
    sides = shapes.columns.shape[-1] - 1

    def before(sums: Tensor, line: Tensor) -> Tensor:
        """The part before a line, given from the middle in diameters."""
        at = ((line * _FILL + 0.5) * sides).ceil().clamp(0, sides).long()
        return sums[:, None].expand(*at.shape, sides + 1).gather(-1, at[..., None])[..., 0]

    def beyond(sums: Tensor, line: Tensor) -> Tensor:
        at = ((line * _FILL + 0.5) * sides).floor().clamp(0, sides).long()
        return 1 - sums[:, None].expand(*at.shape, sides + 1).gather(-1, at[..., None])[..., 0]

    return (
        before(shapes.columns, (-aspect / 2 - u) / diameter)
        + beyond(shapes.columns, (aspect / 2 - u) / diameter)
        + before(shapes.above, (-0.5 - v) / diameter)
        + beyond(shapes.above, (0.5 - v) / diameter)
    )


def first_fitting(shapes: Silhouettes, places: Places, overlap: float) -> tuple[Tensor, Tensor]:
    """Places such that no two objects overlap too much: greedily, in the order of the slots.

    Args:
        shapes: Of N objects.
        places: K for each of them.
        overlap: Largest common area of two, as a part of the smaller one's.

    Returns:
        The number of the first place that fits, int64 [B, N], and whether there is one, bool [B, N].
    """
    # Slots first, so that those still to be placed lie in one piece: [N, B, K].
    u, v, diameter, area, allowed = (value.permute(2, 0, 1).contiguous() for value in places)
    across = (u, v, (u + v) * _DIAGONAL, (v - u) * _DIAGONAL)
    lows, highs = (side.permute(2, 1, 0)[..., None] for side in (shapes.low, shapes.high))  # [4, N, B, 1]
    low = [torch.addcmul(at, diameter, side) for at, side in zip(across, lows, strict=True)]
    high = [torch.addcmul(at, diameter, side) for at, side in zip(across, highs, strict=True)]
    sides = (shapes.high - shapes.low).unbind(-1)
    # The part of the smaller of its two boxes that an object covers.
    fill = (shapes.area / torch.minimum(sides[0] * sides[1], sides[2] * sides[3])).T[..., None]  # [N, B, 1]
    earliest = torch.arange(u.shape[2], 0, -1, device=u.device)
    firsts, found = [], []
    for slot in range(u.shape[0]):
        first = (allowed[slot] * earliest).argmax(1, keepdim=True)
        here = allowed[slot].gather(1, first)  # [B, 1]
        firsts.append(first[:, 0])
        found.append(here[:, 0])
        if slot + 1 < u.shape[0]:
            rest = slice(slot + 1, None)

            def common(axis: int, rest: slice = rest, slot: int = slot, first: Tensor = first) -> Tensor:
                ends = high[axis][slot].gather(1, first), low[axis][slot].gather(1, first)
                return torch.minimum(high[axis][rest], ends[0]).sub_(torch.maximum(low[axis][rest], ends[1]))

            # One side of either box held at 0 is enough for no box to come out of two negative sides.
            box = common(0).clamp_(min=0).mul_(common(1))
            box = torch.minimum(box, common(2).clamp_(min=0).mul_(common(3)))
            box *= torch.maximum(fill[rest], fill[slot])
            clear = box <= torch.minimum(area[rest], area[slot].gather(1, first)).mul_(overlap)
            allowed[rest] &= clear | ~here
    return torch.stack(firsts, 1), torch.stack(found, 1)


def _along(value: Tensor, order: Tensor, axis: int) -> Tensor:
    """`value` with the axis of its objects in another order, int64 [B, N]."""
    shape = [1] * value.ndim
    shape[0], shape[axis] = order.shape
    return value.gather(axis, order.view(shape).expand(value.shape))


def on_image(batch: SceneBatch, point: Tensor) -> tuple[Tensor, Tensor]:
    """Where points of the camera's frame [B, K, N, 3] are seen, from the image's centre in its heights: [B, K, N]."""
    x, y, z = point.unbind(-1)
    fx, skew, cx = (batch.intrinsics[:, 0, i, None, None] for i in range(3))
    fy, cy = (batch.intrinsics[:, 1, i, None, None] for i in (1, 2))
    return (fx * x + skew * y) / z + cx, fy * y / z + cy


def towards(point: Tensor) -> Tensor:
    """The smallest turn that takes the camera's axis to the direction of a point in front: [..., 3] -> [..., 3, 3]."""
    x, y, z = (point / length(point)[..., None]).unbind(-1)
    k = 1 / (1 + z)
    return torch.stack([1 - x * x * k, -x * y * k, x, -x * y * k, 1 - y * y * k, y, -x, -y, z], -1).unflatten(
        -1, (3, 3)
    )
