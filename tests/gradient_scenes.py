"""Small scenes in each of which one thing moves, with everything that can be learned: textures, glossy surfaces, a sun
and a lamp, and a blurred picture of which no value is held at 0 or 1.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

import fastsynth as fs

CORNERS = torch.tensor([[x, y, z] for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (-0.2, 0.2)])
SIDES = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
QUAD = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
SKEWED = (0.6, 0.42, 0.12)


def look(color, seed: int, wrap: str = "clamp") -> fs.Material:
    """With a texture of 4 x 4 texels."""
    picture = torch.randint(90, 230, (4, 4, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return fs.Material((*color, 1.0), 0.2, 0.5, double_sided=True, base_texture=picture.numpy(), wrap=wrap)


def mesh(vertices, faces, uvs, material: fs.Material) -> fs.Mesh:
    """Each side has a normal of its own, if it has vertices of its own."""
    vertices, faces, uvs = (torch.as_tensor(values) for values in (vertices, faces, uvs))
    a, b, c = vertices[faces].unbind(1)
    flat = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    normals = torch.zeros_like(vertices).index_put((faces,), flat[:, None].expand(-1, 3, -1))
    return fs.Mesh(vertices.numpy(), faces.numpy(), normals.numpy(), uvs.numpy(), materials=(material,))


def ball() -> fs.Mesh:
    """A sphere whose texture repeats, so that it has no seam."""
    plain = fs.procedural.sphere(radius=0.25, rings=20)
    return dataclasses.replace(plain, materials=(look((0.8, 0.45, 0.35), 0, "repeat"),))


TRIANGLE = mesh(
    [[-0.3, -0.25, 0.0], [0.35, -0.1, 0.0], [-0.05, 0.3, 0.0]],
    [[0, 1, 2]],
    [[0.0, 0.0], [1.0, 0.1], [0.4, 1.0]],
    look((0.8, 0.45, 0.35), 0),
)
FLOOR = mesh(
    [[-2.0, -2.0, 0.0], [2.0, -2.0, 0.0], [2.0, 2.0, 0.0], [-2.0, 2.0, 0.0]],
    [[0, 1, 2], [0, 2, 3]],
    [[-0.7, -0.7], [1.7, -0.7], [1.7, 1.7], [-0.7, 1.7]],
    look((0.2, 0.6, 0.3), 1),
)
CUBE = mesh(
    torch.cat([CORNERS[side] for side in SIDES]),
    [[4 * i + a, 4 * i + b, 4 * i + c] for i in range(6) for a, b, c in ((0, 1, 2), (0, 2, 3))],
    QUAD * 6,
    look((0.8, 0.45, 0.35), 2),
)


def turn(vector: Tensor) -> Tensor:
    """Rotation vectors to matrices."""
    x, y, z = vector.unbind(-1)
    none = torch.zeros_like(x)
    skew = torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3))
    return torch.matrix_exp(skew)


def pose(place, turned=(0.0, 0.0, 0.0)) -> Tensor:
    """A matrix from a place [m] and a rotation vector [rad]."""
    matrix = torch.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn(torch.tensor(turned)), torch.tensor(place)
    return matrix


def scene(*things: tuple[fs.Mesh, Tensor]) -> fs.SceneBatch:
    """One image of meshes at poses, seen from the origin along z."""
    meshes, poses = zip(*things, strict=True)
    ambient = 0.02 * torch.randn(1, 9, 3, generator=torch.Generator().manual_seed(3))
    ambient[:, 0] = 0.9
    n = len(meshes)
    return fs.SceneBatch(
        assets=fs.pack(list(meshes)),
        mesh_id=torch.arange(n, dtype=torch.int32)[None],
        world_from_object=torch.stack(poses)[None],
        intrinsics=torch.eye(3)[None].clone(),
        camera_from_world=torch.eye(4)[None].clone(),
        background_color=torch.tensor([[[0.05, 0.12, 0.25], [0.25, 0.12, 0.05]]]),
        light_kind=torch.tensor([[1, 3]], dtype=torch.int32),
        light_position=torch.tensor([[[0.0, 0.0, 0.0], [0.5, -0.4, 0.1]]]),
        light_direction=torch.nn.functional.normalize(torch.tensor([[[0.3, 0.5, 1.0], [-0.5, 0.4, 0.9]]]), dim=-1),
        light_color=torch.tensor([[[0.3, 0.28, 0.26], [0.15, 0.2, 0.25]]]),
        light_cone=torch.tensor([[[0.95, 0.8], [0.99, 0.75]]]),
        ambient=ambient,
        metallic=torch.full((1, n), 0.3),
        roughness=torch.full((1, n), 0.5),
        blur=torch.tensor([0.02]),
        blur_limit=0.03,
        shading="ggx",
        filter="bilinear",
    )


@dataclass(frozen=True)
class Moving:
    """A scene and the instance in it that is meant."""

    batch: fs.SceneBatch
    who: int = 0


SCENES = {
    "triangle over background": Moving(scene((TRIANGLE, pose((0.02, 0.01, 1.0))))),
    "occluder over a textured plane": Moving(
        scene((TRIANGLE, pose((0.02, 0.01, 1.0))), (FLOOR, pose((0.0, 0.0, 1.6), (0.2, 0.1, 0.0))))
    ),
    "two surfaces that intersect": Moving(
        scene((TRIANGLE, pose((0.02, 0.01, 1.0), (0.9, 0.27, 0.0))), (FLOOR, pose((0.0, 0.0, 1.02))))
    ),
    "plane that cuts a surface": Moving(
        scene((TRIANGLE, pose((0.02, 0.01, 1.0), (0.9, 0.27, 0.0))), (FLOOR, pose((0.0, 0.0, 1.02)))), 1
    ),
    "camera around a cube": Moving(scene((CUBE, pose((0.02, 0.01, 1.2), SKEWED)))),
    "light over a sphere": Moving(scene((ball(), pose((0.03, -0.02, 1.0), (0.4, 0.2, 0.0))))),
    "object leaving the frame": Moving(scene((TRIANGLE, pose((0.42, 0.01, 1.0))))),
    "object behind another": Moving(
        scene((TRIANGLE, pose((0.1, 0.05, 1.0))), (CUBE, pose((-0.05, 0.0, 1.4), SKEWED))), 1
    ),
}


def moved(batch: fs.SceneBatch, by: Tensor, who: int | None) -> fs.SceneBatch:
    """By a shift [m] and a turn [rad] about its own origin: instance `who`, or the camera (None)."""
    last = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    if who is None:
        change = torch.cat([torch.cat([turn(by[3:]), by[:3, None]], 1), last])
        return batch.replace(camera_from_world=(change @ batch.camera_from_world[0])[None])
    poses = list(batch.world_from_object[0])
    turned, place = turn(by[3:]) @ poses[who][:3, :3], poses[who][:3, 3] + by[:3]
    poses[who] = torch.cat([torch.cat([turned, place[:, None]], 1), last])
    return batch.replace(world_from_object=torch.stack(poses)[None])
