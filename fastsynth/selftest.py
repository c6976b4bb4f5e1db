"""A known picture: what ``fastsynth doctor`` draws, and what must come out.

The scene is written down in numbers that float32 holds exactly or rounds in one way, with no sine
and no file, so that it is the same scene on every machine. Ids must be equal to the last pixel;
depths and colours may differ in the last digits, since libraries round their functions differently.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from fastsynth.assets import Assets, Textures
from fastsynth.render import render
from fastsynth.types import Frames, SceneBatch

SIZE = (48, 64)  # H, W [pixels]

#: CRC-32 of the ids of each image, int32 little-endian, row by row.
IDS = {"instance_id": (0x7D582D51, 0x4F705B40), "triangle_id": (0xF7DACF36, 0x986CFD5A)}
#: Depth at (image, row, column) [m], where rays in double precision meet the meshes.
DEPTHS = {
    (0, 30, 10): 2.9931972,
    (0, 30, 40): 2.3409980,
    (0, 10, 50): 4.2391304,
    (1, 12, 12): 1.9116279,
    (1, 42, 3): 0.7009346,
    (1, 30, 40): 3.8938518,
}
#: Mean of each image in red, green, blue.
COLORS = ((0.6033, 0.5293, 0.5902), (0.6300, 0.5416, 0.6148))


def scene(device: torch.device | str = "cpu") -> SceneBatch:
    """Two images of a textured cube and two octahedra: one overlaps the cube, one crosses the near plane.

    Example:
        >>> batch = scene()
        >>> batch.images, batch.instances, len(batch.assets.faces)
        (2, 3, 20)
    """
    # Rotations out of 3-4-5 triangles, about z and then about x.
    turned = torch.tensor([[0.6, -0.8, 0.0], [0.64, 0.48, -0.6], [0.48, 0.36, 0.8]])
    pose = torch.eye(4).repeat(2, 3, 1, 1)
    pose[:, 0, :3, :3] = turned
    pose[:, 1, :3, :3] = turned.T
    pose[0, :, :3, 3] = torch.tensor([[-0.75, 0.0, 4.0], [0.5, 0.25, 3.0], [1.5, -1.0, 5.0]])
    pose[1, :, :3, 3] = torch.tensor([[1.25, 0.5, 5.0], [-0.5, -0.5, 2.5], [-0.75, 0.75, 0.75]])
    batch = SceneBatch(
        assets=_assets(),
        mesh_id=torch.tensor([[0, 1, 1], [0, 1, 1]], dtype=torch.int32),
        world_from_object=pose,
        intrinsics=torch.tensor([[1.25, 0.0, 0.0], [0.0, 1.25, 0.0], [0.0, 0.0, 1.0]]).expand(2, 3, 3),
        camera_from_world=torch.eye(4).expand(2, 4, 4),
        near=0.5,
        light_kind=torch.ones(2, 1, dtype=torch.int32),
        light_direction=torch.tensor([0.48, 0.6, 0.64]).expand(2, 1, 3),
        light_color=torch.tensor([1.0, 0.75, 0.5]).expand(2, 1, 3),
        base_color=torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.75, 0.25, 0.5, 1.0], [0.25, 0.75, 1.0, 1.0]]).expand(2, 3, 4),
        background_color=torch.tensor([[0.25, 0.5, 0.75], [0.125, 0.125, 0.25]]).expand(2, 2, 3),
    )
    return batch.to(device)


def draw(device: torch.device) -> Frames:
    """The scene on a device, drawn."""
    return render(scene(device), size=SIZE, outputs=(*IDS, "depth", "rgb"))


def run(device: torch.device) -> list[str]:
    """Draw the scene and compare it with what is stored: what differs, in words, or an empty list.

    Example:
        >>> run(torch.device("cpu"))
        []
    """
    frames = draw(device)
    problems = []
    for name, stored in IDS.items():
        for image, (drawn, wanted) in enumerate(zip(checksums(getattr(frames, name)), stored, strict=True)):
            if drawn != wanted:
                problems.append(f"{name} of image {image} has checksum {drawn:#010x}, stored is {wanted:#010x}.")
    for (image, row, column), wanted in DEPTHS.items():
        drawn = float(frames.depth[image, row, column])
        if abs(drawn - wanted) > 1e-5 * wanted:
            problems.append(f"depth of image {image} at row {row}, column {column} is {drawn} m, stored is {wanted} m.")
    for image, wanted in enumerate(COLORS):
        drawn = frames.rgb[image].double().mean((1, 2)).tolist()
        if max(abs(a - b) for a, b in zip(drawn, wanted, strict=True)) > 1e-3:
            problems.append(f"rgb of image {image} is on average {drawn}, stored is {wanted}.")
    return problems


def checksums(ids: Tensor) -> list[int]:
    """CRC-32 of each image of an id map, int32 [B, H, W]."""
    return [zlib.crc32(image.astype("<i4").tobytes()) for image in ids.cpu().numpy()]


def _assets() -> Assets:
    """A cube with a checkered texture and an octahedron, both of one meshlet; side and diameter 2 m and 2 m."""
    cube, octahedron = _cube(), _octahedron()
    vertices = torch.cat([cube, octahedron])
    corners = torch.cat([_quads(6), len(cube) + torch.arange(24).view(8, 3)])
    material = torch.cat([torch.zeros(12, 1), torch.ones(8, 1)])
    faces = torch.cat([corners, material], 1).int()
    return Assets(
        vertex_data=vertices,
        vertex_colors=torch.zeros(0, 4, dtype=torch.uint8),
        faces=faces,
        meshlets=torch.tensor([[0, 24, 0, 12], [24, 24, 12, 8]], dtype=torch.int32),
        meshlet_bounds=torch.tensor([[0, 0, 0, 1.75, 0, 0, 1, 2], [0, 0, 0, 1, 0, 0, 1, 2]]).float(),
        levels=torch.tensor([[0, 1, 0, 12], [1, 1, 12, 8]], dtype=torch.int32),
        level_error=torch.zeros(2),
        meshes=torch.tensor([[0, 1, 0, 24], [1, 1, 24, 24]], dtype=torch.int32),
        mesh_bounds=torch.tensor([[-1, -1, -1, 1, 1, 1]]).float().expand(2, 6).contiguous(),
        mesh_class=torch.tensor([0, 1], dtype=torch.int32),
        hull=vertices[:, :3].contiguous(),
        materials=torch.tensor([[1, 1, 1, 1, 0, 0.5, 0, 0]]).float().expand(2, 8).contiguous(),
        material_textures=torch.tensor([[0, -1], [-1, -1]], dtype=torch.int32),
        textures=_checkers(),
        class_names=("cube", "octahedron"),
        mesh_names=("cube", "octahedron"),
        face_bits=4,
    )


def _cube() -> Tensor:
    """Four vertices of each of six sides, float32 [24, 8]: position, normal, uv."""
    rows = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            for u, v in ((0, 0), (1, 0), (1, 1), (0, 1)):
                position, normal = [0.0] * 3, [0.0] * 3
                position[axis] = normal[axis] = sign
                position[(axis + 1) % 3] = (2.0 * u - 1.0) * sign  # the sign keeps the side's winding outward
                position[(axis + 2) % 3] = 2.0 * v - 1.0
                rows.append([*position, *normal, float(u), float(v)])
    return torch.tensor(rows)


def _quads(count: int) -> Tensor:
    """Two triangles of each quadrilateral, int64 [2 count, 3]."""
    first = 4 * torch.arange(count)[:, None, None]
    return (first + torch.tensor([[0, 1, 2], [0, 2, 3]])).view(-1, 3)


def _octahedron() -> Tensor:
    """Three vertices of each of eight faces, float32 [24, 8]."""
    rows = []
    for x in (-1.0, 1.0):
        for y in (-1.0, 1.0):
            for z in (-1.0, 1.0):
                corners = [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]]
                outward = corners if x * y * z > 0 else corners[::-1]
                rows += [[*corner, x * 3**-0.5, y * 3**-0.5, z * 3**-0.5, 0.0, 0.0] for corner in outward]
    return torch.tensor(rows)


def _checkers() -> Textures:
    """A texture of 2 x 2 texels, white and dark red, of one level."""
    white, red = [255, 255, 255, 255], [160, 32, 32, 255]
    return Textures(
        texels=torch.tensor([white, red, red, white], dtype=torch.uint8),
        info=torch.tensor([[2, 2, 1, 0]], dtype=torch.int32),
        offsets=torch.zeros(1, 16, dtype=torch.int32),
    )
