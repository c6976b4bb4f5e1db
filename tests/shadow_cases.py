"""Scenes that cast shadows, and what a lamp's rays meet in them: a slow ray caster in float64."""

from __future__ import annotations

import torch
from torch import Tensor

import fastsynth as fs
from fastsynth.surface import see

SIZE = 96, 128
DIRECTIONAL, POINT, SPOT = 1, 2, 3
#: Light directions: high, low and from behind.
SUNS = {"high": (0.4, 0.3, -1.0), "low": (1.0, 0.25, -0.5), "from behind": (-0.3, -1.0, -0.8)}


def pose(place, turn=(0.0, 0.0, 0.0), scale=1.0) -> Tensor:
    matrix = torch.eye(4)
    matrix[:3, :3] = fs.geometry.rotation_from_euler(torch.tensor(turn)) * scale
    matrix[:3, 3] = torch.tensor(place)
    return matrix


def ring() -> fs.Mesh:
    """A torus of few faces."""
    turn = torch.linspace(-torch.pi, torch.pi, 11).double()
    profile = torch.stack([0.35 + 0.15 * turn.cos(), 0.15 * turn.sin()], 1)
    profile[-1] = profile[0]
    return fs.procedural.lathe(profile.numpy(), 20)


ASSETS = fs.pack(
    [
        fs.procedural.plane(4.0),
        fs.procedural.box((0.3, 0.3, 0.6)),
        fs.procedural.sphere(0.3, rings=8),
        fs.procedural.cone(0.2, 0.6, around=16),
        ring(),
        fs.procedural.sphere(0.3),
    ],
    lod=False,
)
BOXES = [
    (0, pose((0, 0, 0))),
    (1, pose((-0.5, 0.2, 0.3), (0, 0, 0.5))),
    (1, pose((0.5, -0.1, 0.7), (0.6, 0.4, 0))),
]
ROUND = [
    (0, pose((0, 0, 0))),
    (2, pose((0.4, 0.3, 0.3))),
    (3, pose((0.8, -0.3, 0.3))),
    (4, pose((-0.1, -0.4, 0.5), (1.2, 0.3, 0))),
    (1, pose((-0.9, 0.3, 0.3))),
]
THINGS = {"boxes": BOXES, "round": ROUND}
#: Where a point light's shadows fall.
BALL = (0.0, 0.0, 0.2, 1.6)


def scene(things, kind: int, direction, shadow: float | None, *, color: float = 0.5, size: int = 1024) -> fs.SceneBatch:
    """One image of things on a table under one light, no other light about."""
    way = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
    return fs.SceneBatch(
        assets=ASSETS,
        mesh_id=torch.tensor([[mesh for mesh, _ in things]], dtype=torch.int32),
        world_from_object=torch.stack([matrix for _, matrix in things])[None],
        **fs.Pinhole.look_at(eye=(0.2, -3.0, 2.2), target=(0, 0, 0.2), fov=fs.deg(40)).fields(),
        light_kind=torch.tensor([[kind]], dtype=torch.int32),
        light_direction=way.view(1, 1, 3),
        light_position=(-3.0 * way).view(1, 1, 3),
        light_color=torch.full((1, 1, 3), color * (1.0 if kind == DIRECTIONAL else 9.0)),
        light_cone=torch.tensor([[[0.85, 0.8]]]),
        ambient=torch.zeros(1, 9, 3),
        light_shadow=None if shadow is None else torch.tensor([[shadow]]),
        shadow_ball=torch.tensor([[BALL]]) if kind == POINT else None,
        shadow_size=size,
        tone="linear",
    )


def triangles(batch: fs.SceneBatch) -> Tensor:
    """Corners in the world of everything in the first image, float64 [T, 3, 3]."""
    assets, found = batch.assets, []
    for mesh, matrix in zip(batch.mesh_id[0].tolist(), batch.world_from_object[0].double(), strict=True):
        first, count = assets.levels[assets.meshes[mesh, 0]].tolist()[2:]
        corners = assets.vertex_data[assets.faces[first : first + count, :3].long(), :3].double()
        found.append(corners @ matrix[:3, :3].T + matrix[:3, 3])
    return torch.cat(found)


def blocked(start: Tensor, way: Tensor, corners: Tensor) -> Tensor:
    """Does anything stand between points and `start + way`? Moeller and Trumbore 1997, [P, 3], [P, 3] -> bool [P]."""
    a, e1, e2 = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    result = []
    for origin, ray in zip(start.split(2048), way.split(2048), strict=True):
        p = torch.linalg.cross(ray[:, None], e2[None])
        det = (p * e1).sum(-1)
        det = torch.where(det.abs() < 1e-14, 1e-14, det)
        t = origin[:, None] - a
        u = (t * p).sum(-1) / det
        q = torch.linalg.cross(t, e1.expand_as(t))
        v = (q * ray[:, None]).sum(-1) / det
        far = (q * e2).sum(-1) / det
        result.append(((u >= 0) & (v >= 0) & (u + v <= 1) & (far > 0) & (far < 1)).any(1))
    return torch.cat(result)


class Points:
    """What the pixels of the first image see, and the lamp as they see it."""

    def __init__(self, batch: fs.SceneBatch, every: int = 1) -> None:
        frames = fs.render(batch, SIZE, ("triangle_id", "instance_id"))
        seen = see(batch, frames.triangle_id, frames.instance_id)
        poses = batch.world_from_object[0].double()[seen.instance[0]]
        corners = batch.assets.vertex_data[seen.corners[0], :3].double()
        a, b, c = (corners @ poses[..., :3, :3].mT + poses[..., None, :3, 3]).unbind(-2)
        self.position = (poses[..., :3, :3] @ seen.position[0].double()[..., None])[..., 0] + poses[..., :3, 3]
        self.normal = seen.normal[0].double()
        self.kind = int(batch.light_kind[0, 0])
        self.way, self.place = batch.light_direction[0, 0].double(), batch.light_position[0, 0].double()
        to_lamp = self.to(-100 * self.way if self.kind == DIRECTIONAL else self.place)
        flat = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
        flat = flat * (flat * self.normal).sum(-1, keepdim=True).sign()
        cosine = [(torch.nn.functional.normalize(to_lamp, dim=-1) * normal).sum(-1) for normal in (flat, self.normal)]
        # Where the light arrives at all, and not along the surface.
        self.meant = seen.hit[0] & (torch.minimum(*cosine) > 0.05)
        if self.kind == SPOT:
            in_cone = (torch.nn.functional.normalize(-to_lamp, dim=-1) * self.way).sum(-1)
            self.meant &= in_cone > 0.81
        if self.kind == POINT:
            self.meant &= (self.position - torch.tensor(BALL[:3])).norm(dim=-1) < BALL[3]
        rows, columns = (torch.arange(side) % every == 0 for side in SIZE)
        self.meant &= rows[:, None] & columns
        self.corners = triangles(batch)

    def to(self, lamp: Tensor) -> Tensor:
        """Rays to a point of the lamp; directional: `lamp` is as far from every point."""
        return lamp.expand_as(self.position) if self.kind == DIRECTIONAL else lamp - self.position

    def free(self, lamp: Tensor) -> Tensor:
        """Which of the meant pixels see a point of the lamp, bool [P]."""
        start = (self.position + 1e-6 * self.normal)[self.meant]
        return ~blocked(start, self.to(lamp)[self.meant], self.corners)

    def part(self, radius: float, samples: int = 64) -> Tensor:
        """The part of a lamp of that radius that the meant pixels see: [rad] of a directional light, [m] of others."""
        side = torch.linalg.cross(self.way, torch.tensor([0.3, 0.5, 0.7], dtype=torch.float64))
        side = torch.nn.functional.normalize(side, dim=0)
        other = torch.linalg.cross(self.way, side)
        middle, reach = (-100 * self.way, 100 * radius) if self.kind == DIRECTIONAL else (self.place, radius)
        free = torch.zeros(int(self.meant.sum()), dtype=torch.float64)
        for i in range(samples):
            out, turn = reach * ((i + 0.5) / samples) ** 0.5, torch.tensor(i * 2.399963, dtype=torch.float64)
            free += self.free(middle + out * (turn.cos() * side + turn.sin() * other))
        return free / samples


def drawn_part(batch: fs.SceneBatch, points: Points) -> Tensor:
    """The part of the light that the meant pixels have in the picture."""
    lit = fs.render(batch, SIZE, ("rgb",)).rgb[0, 0]
    full = fs.render(batch.replace(light_shadow=None), SIZE, ("rgb",)).rgb[0, 0]
    return (lit / full.clamp(min=1e-6))[points.meant].double()
