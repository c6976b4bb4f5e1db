"""Shadow maps: the depths that lights see, and how much of a lamp a point sees past them.

A light that casts shadows has a pinhole camera: a spot light at its place, over its cone; a point light at its place,
over the cone of ``shadow_ball`` as it sees it; a directional light so far outside the scene that its rays are parallel
to a texel, over that ball. A lamp is a disc around the pinhole: that of a spot or point light has the radius
``light_shadow`` [m], that of a directional light is as large as it must be to be seen under the angle ``light_shadow``
[rad] from its centre to its rim; 0 casts hard shadows. Where a map does not reach there is no shadow.

The lookup is percentage-closer soft shadows: Fernando, "Percentage-Closer Soft Shadows", 2005, on Reeves, Salesin and
Cook, "Rendering Antialiased Shadows with Depth Maps", 1987. This is the readable twin of ``csrc/core/shadow.h``. What
it says is a constant to all gradients.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.geometry import multiply
from fastsynth.ops.draw import ASSETS, SCENE, TEXTURES
from fastsynth.types import FILTERS, SceneBatch

_DIRECTIONAL, _POINT = 1, 2  # kinds of light of the data model
FAR = 256.0  # of a directional light's camera, in halves of the scene's box: parallel to half a texel of 512
SEARCH_TAPS, FILTER_TAPS = 24, 48
NORMAL_OFFSET = 0.5  # [texels]
DEPTH_OFFSET = 0.75  # [texels]
LEAST_FILTER = 1.0  # [texels]
WIDEST = 0.1  # cosine of the largest half-angle of a map
MOST_SEARCH = 0.125  # [sides of the map]
GRAZING = 0.1  # cosine from which on a surface's plane is followed no further
ROUNDING = 2e-6  # of a depth


class ShadowMaps(NamedTuple):
    """What the lights of a batch see that may cast shadows."""

    maps: Tensor  #: depth [m], 0 = nothing, float32 [B, S, size, size]
    cameras: Tensor  #: float32 [B, S, 16]; see :func:`fastsynth.ops.draw_lit`
    lights: tuple[int, ...]  #: the S lights

    @property
    def casters(self) -> int:
        """The lights as bits."""
        return sum(1 << light for light in self.lights)


@torch.no_grad()
def shadow_maps(batch: SceneBatch) -> ShadowMaps:
    """Draws the shadow maps of a batch. It waits for nothing and has no gradient.

    Args:
        batch: What casts shadows; without ``light_shadow``, nothing does.

    Returns:
        :class:`ShadowMaps`, of the lights ``batch.shadow_lights``.

    Example:
        >>> import fastsynth as fs
        >>> light = fs.DirectionalLight(shadow=True)
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3), light=light).sample(2)
        >>> shadow_maps(batch.replace(shadow_size=64)).maps.shape
        torch.Size([2, 1, 64, 64])
    """
    side = batch.shadow_size
    like = batch.world_from_object.detach().float()
    lights = () if batch.light_shadow is None or batch.instances == 0 else batch.shadow_lights
    if batch.light_shadow is None or not lights:
        return ShadowMaps(like.new_empty(batch.images, 0, 1, 1), like.new_empty(batch.images, 0, 16), ())
    cameras, on = _cameras(batch, lights)
    b, s = batch.images, len(lights)

    def each(value: Tensor) -> Tensor:  # [B, ...] -> [B S, ...]
        return value[:, None].expand(b, s, *value.shape[1:]).flatten(0, 1).contiguous()

    focal = cameras[..., 12:14].flatten(0, 1)
    bottom = torch.zeros_like(cameras[..., :4])
    bottom[..., 3] = 1.0
    one, none = torch.ones_like(focal[:, 0]), torch.zeros_like(focal[:, 0])
    view = SceneBatch(
        assets=batch.assets,
        mesh_id=torch.where(on[..., None], batch.mesh_id[:, None], -1).flatten(0, 1),
        world_from_object=each(like),
        intrinsics=torch.stack([focal[:, 0], none, none, none, focal[:, 1], none, none, none, one], -1).view(-1, 3, 3),
        camera_from_world=torch.cat([cameras[..., :12], bottom], -1).view(-1, 4, 4),
        base_color=each(batch.base_color.detach().float()),
        texture_id=each(batch.texture_id),
    )
    drawn = ops.draw(
        [getattr(batch.assets, name) for name in ASSETS] + [getattr(batch.assets.textures, name) for name in TEXTURES],
        [batch.mesh_id.new_empty(0) if getattr(view, name) is None else getattr(view, name) for name in SCENE],
        [getattr(batch.assets.textures, name) for name in TEXTURES],
        (side, side),
        ("depth",),
        grid=1,
        face_bits=batch.assets.face_bits,
        shading=0,
        tone=0,
        mips=batch.filter == FILTERS[0],
        linear=False,
        dtype=torch.float32,
        near=batch.near,
        lod=batch.lod,
    )
    return ShadowMaps(drawn["depth"].view(b, s, side, side), cameras, tuple(lights))


def _cameras(batch: SceneBatch, lights: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Cameras of the lights, float32 [B, S, 16], and whether each casts a shadow at all, bool [B, S]."""

    def chosen(value: Tensor) -> Tensor:
        return torch.stack([value[:, light] for light in lights], 1).detach()

    assert batch.light_shadow is not None
    kind, softness = chosen(batch.light_kind), chosen(batch.light_shadow).float()
    place, outer = chosen(batch.light_position).float(), chosen(batch.light_cone)[..., 1].float()
    direction = chosen(batch.light_direction).float()
    bounds = batch.assets.mesh_bounds[batch.mesh_id.clamp(0, batch.assets.mesh_bounds.shape[0] - 1)]
    centre, half = (bounds[..., :3] + bounds[..., 3:]) / 2, (bounds[..., 3:] - bounds[..., :3]) / 2
    pose = batch.world_from_object.detach().float()
    middle = multiply(pose[..., :3, :3], centre[..., None]) + pose[..., :3, 3:]
    there = (batch.mesh_id >= 0)[:, None, :, None]

    def box(turn: Tensor) -> tuple[Tensor, Tensor]:
        """Corners of the box around all instances' own, in frames [B, S, 3, 3]: [B, S, 3] each."""
        at = multiply(turn[:, :, None], middle[:, None])[..., 0]
        reach = multiply(multiply(turn[:, :, None], pose[:, None, :, :3, :3]).abs(), half[:, None, :, :, None])[..., 0]
        low, high = torch.where(there, at - reach, math.inf).amin(2), torch.where(there, at + reach, -math.inf).amax(2)
        return torch.where(there.any(2), low, 0.0), torch.where(there.any(2), high, 0.0)

    low, high = box(torch.eye(3, device=pose.device).expand(*kind.shape, 3, 3))
    ball = torch.cat([low + high, _length(high - low)[..., None]], -1) / 2
    given = torch.zeros_like(ball) if batch.shadow_ball is None else chosen(batch.shadow_ball).float()
    limited = given[..., 3:] > 0
    ball = torch.where(limited, given, ball)
    # A point light looks at the ball, which it sees under this sine.
    away, is_point = ball[..., :3] - place, kind == _POINT
    distance = _length(away).clamp(min=1e-6)
    sine = (ball[..., 3] / distance).clamp(max=1)
    outer = torch.where(is_point, (1 - sine * sine).sqrt(), outer)
    turn = _frame(torch.where(is_point[..., None], away / distance[..., None], direction))  # [B, S, 3, 3]
    low, high = box(turn)
    seen = multiply(turn, ball[..., :3, None])[..., :2, 0]
    sides = torch.where(limited, torch.maximum(low[..., :2], seen - ball[..., 3:]), low[..., :2])
    ends = torch.where(limited, torch.minimum(high[..., :2], seen + ball[..., 3:]), high[..., :2])

    margin = 1 + 4 / batch.shadow_size
    extent = ((ends - sides) / 2 * margin).clamp(min=1e-6)
    far = (FAR * extent.amax(-1)).clamp(min=16 * batch.near)
    sun = torch.cat([(sides + ends) / 2, low[..., 2:] - far[..., None]], -1)
    at_place = multiply(turn, place[..., None])[..., 0]
    cosine = outer.clamp(WIDEST, 0.99999)
    cone = 0.5 / margin * cosine * (1 - cosine * cosine).rsqrt()
    is_sun = kind == _DIRECTIONAL
    origin = torch.where(is_sun[..., None], sun, at_place)
    focal = torch.where(is_sun[..., None], 0.5 * far[..., None] / extent, cone[..., None])
    on = (softness >= 0) & (kind > 0)
    lamp = torch.where(on, torch.where(is_sun, softness * far, softness), -1.0)
    nearest = (low[..., 2] - origin[..., 2]).clamp(min=batch.near)
    matrix = torch.cat([turn, -origin[..., None]], -1).flatten(-2)
    return torch.cat([matrix, focal, lamp[..., None], nearest[..., None]], -1), on


def _length(vector: Tensor) -> Tensor:
    """[..., 3] -> [...], the same bits in every batch."""
    x, y, z = vector.unbind(-1)
    return (x * x + y * y + z * z).sqrt()


def _frame(forward: Tensor) -> Tensor:
    """Rotations whose third row is a unit vector: Duff et al., "Building an Orthonormal Basis, Revisited", 2017."""
    x, y, z = forward.unbind(-1)
    sign = torch.where(z >= 0, 1.0, -1.0)
    a = -1 / (sign + z)
    b = x * y * a
    right = torch.stack([1 + sign * x * x * a, sign * b, -sign * x], -1)
    down = torch.stack([b, sign + y * y * a, -y], -1)
    return torch.stack([right, down, forward], -2)


@torch.no_grad()
def lit_part(shadows: ShadowMaps, light: int, position: Tensor, normal: Tensor) -> Tensor:
    """The part of a light's lamp that points see.

    Args:
        shadows: From :func:`shadow_maps`.
        light: Which light; 1 everywhere if it has no map.
        position: Points in the world [m], [B, ..., 3].
        normal: Unit normals on the side that is seen, [B, ..., 3].

    Returns:
        In [0, 1], [B, ..., 1].
    """
    if light not in shadows.lights:
        return torch.ones_like(position[..., :1])
    row = shadows.lights.index(light)
    axes = [1] * (position.ndim - 2)
    camera = shadows.cameras[:, row].to(position)
    camera = camera.view(camera.shape[0], *axes, 16)
    at = _InMap(shadows.maps[:, row], camera, position, normal)
    lamp, nearest = camera[..., 14], camera[..., 15].clamp(min=1e-6)
    side = at.side

    def radius(nearer: Tensor, depth: Tensor, most: float) -> Tensor:  # [texels], of both axes
        through = lamp * side * nearer / (at.z * depth.clamp(min=1e-6))
        return (through[..., None] * camera[..., 12:14]).clamp(max=most).clamp(min=LEAST_FILTER)

    search = radius((at.z - nearest).clamp(min=0), nearest, MOST_SEARCH * side)
    found = torch.stack([at.blocker(at.place + offset * search) for offset in _disc(SEARCH_TAPS, position)])
    blockers = (found >= 0).sum(0)
    nearer = found.clamp(min=0).sum(0) / blockers.clamp(min=1)
    width = radius(nearer, at.z - nearer, MOST_SEARCH * side)
    part = torch.zeros_like(at.z)
    for offset in _disc(FILTER_TAPS, position):
        part = part + (at.blocker(at.place + offset * width) < 0) / FILTER_TAPS
    soft = torch.where(blockers == 0, 1.0, torch.where(blockers == SEARCH_TAPS, 0.0, part))
    free = torch.where(lamp > 0, soft, at.bilinear())
    return torch.where((lamp >= 0) & (at.z > 1e-6), free, 1.0)[..., None]


class _InMap:
    """Points and the planes through them as a light's camera sees them."""

    def __init__(self, depths: Tensor, camera: Tensor, position: Tensor, normal: Tensor) -> None:
        self.depths, self.side = depths, depths.shape[-1]
        matrix = camera[..., :12].unflatten(-1, (3, 4))
        self.focal = camera[..., 12:14]

        def seen(point: Tensor) -> Tensor:
            return multiply(matrix[..., :3], point[..., None])[..., 0]

        per_texel = 1 / (self.focal.amin(-1, keepdim=True) * self.side)
        away = (seen(position) + matrix[..., 3])[..., 2:] * (NORMAL_OFFSET * per_texel)
        point = seen(position + normal * away) + matrix[..., 3]
        self.normal = seen(normal)
        self.z = point[..., 2].clamp(min=1e-6)
        self.kept = self.z * (1 - DEPTH_OFFSET * per_texel[..., 0] - ROUNDING)
        flat = point[..., :2] / self.z[..., None]
        self.place = (flat * self.focal + 0.5) * self.side
        self.facing = self.towards(flat)

    def towards(self, flat: Tensor) -> Tensor:
        """Cosine of the plane towards the light along the ray through (x, y, 1), times the ray's length."""
        return -(self.normal * torch.nn.functional.pad(flat, (0, 1), value=1.0)).sum(-1)

    def blocker(self, place: Tensor) -> Tensor:
        """How far nearer to the light than the point what lies before its plane is, or -1."""
        side = self.side
        within = ((place >= 0) & (place < side)).all(-1)
        texel = place.nan_to_num(0.0).clamp(0, side - 1).floor()
        ray = self.towards(((texel + 0.5) / side - 0.5) / self.focal)
        plane = self.kept + self.z * (self.facing - ray) / ray.clamp(min=GRAZING)
        index = (texel[..., 1] * side + texel[..., 0]).long().flatten(1)
        depth = self.depths.flatten(1).gather(1, index).view_as(self.z).to(self.z)
        before = within & (depth > 0) & (depth < plane)
        return torch.where(before, (self.z - depth).clamp(min=0), -1.0)

    def bilinear(self) -> Tensor:
        """The part of the four texels around the point that is free, by how near each is."""
        part = (self.place - 0.5) - (self.place - 0.5).floor()
        x, y = part.unbind(-1)
        free = [
            [(self.blocker(torch.stack([self.place[..., 0] + dx, self.place[..., 1] + dy], -1)) < 0).to(x)
             for dx in (-0.5, 0.5)]
            for dy in (-0.5, 0.5)
        ]  # fmt: skip
        upper, lower = (row[0] * (1 - x) + row[1] * x for row in free)
        return upper * (1 - y) + lower * y


def _disc(taps: int, like: Tensor) -> list[Tensor]:
    """Places evenly spread over the unit disc (Vogel, "A better way to construct the sunflower head", 1979)."""
    golden = math.pi * (3 - math.sqrt(5))
    places = [(math.sqrt((i + 0.5) / taps), golden * i) for i in range(taps)]
    return [like.new_tensor([out * math.cos(turn), out * math.sin(turn)]) for out, turn in places]
