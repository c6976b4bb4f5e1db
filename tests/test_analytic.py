"""Scenes whose pictures can be written down: sphere, box and plane against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fastsynth as fs
from fastsynth import annotate
from fastsynth.geometry import Pinhole, affine, rotation_from_quaternion

SIZE = (120, 160)
FOCAL = 1.2  # [image heights]
LABELS = (
    "instance_id",
    "depth",
    "distance",
    "normals",
    "object_coordinates",
    "boxes_2d_tight",
    "boxes_2d_loose",
    "visible_pixels",
    "total_pixels",
)


def draw(meshes, centres, device, *, scales=None, rotations=None, size=SIZE, **options):
    """One image: mesh k at centre k, in front of a camera at the origin that looks along +z."""
    count = len(meshes)
    scales = torch.ones(count) if scales is None else torch.tensor(scales)
    rotations = torch.eye(3).expand(count, 3, 3) if rotations is None else rotations
    batch = fs.SceneBatch(
        assets=fs.pack(meshes, lod=False),
        mesh_id=torch.arange(count, dtype=torch.int32)[None],
        world_from_object=affine(rotations * scales[:, None, None], torch.tensor(centres))[None],
        intrinsics=torch.diag(torch.tensor([FOCAL, FOCAL, 1.0]))[None],
        camera_from_world=torch.eye(4)[None],
        **options,
    ).to(device)
    frames = fs.render(batch, size, LABELS)
    return frames, {name: value[0].cpu() for name, value in frames.outputs.items()}


def rays(size=SIZE):
    """Directions (x, y, 1) through the pixel centres, float64 [H, W, 3]."""
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    return torch.from_numpy(
        np.stack([(x - width / 2) / height / FOCAL, (y - height / 2) / height / FOCAL, np.ones_like(x)], -1)
    )


def on_sphere(centre, radius, size=SIZE):
    """Distance along each ray (x, y, 1) to the sphere's near side, and how far inside the silhouette the ray is."""
    d, c = rays(size), torch.tensor(centre, dtype=torch.float64)
    a, b = (d * d).sum(-1), d @ c
    inside = b * b - a * (c @ c - radius**2)
    return (b - inside.clamp(min=0).sqrt()) / a, inside


def box_of_sphere(centre, radius, size=SIZE):
    """Extent of the silhouette: the tangents to the sphere's circles in the planes y = 0 and x = 0."""
    edges = []
    for across, middle in ((centre[0], size[1] / 2), (centre[1], size[0] / 2)):
        turn, half = math.atan2(across, centre[2]), math.asin(radius / math.hypot(across, centre[2]))
        edges.append([middle + size[0] * FOCAL * math.tan(turn + sign * half) for sign in (-1, 1)])
    (x0, x1), (y0, y1) = edges
    return torch.tensor([x0, y0, x1, y1])


@pytest.mark.parametrize("centre", [(0.0, 0.0, 3.0), (0.5, -0.3, 2.5), (-1.2, 0.9, 4.0)])
def test_sphere(centre, device):
    radius = 0.5
    mesh = fs.procedural.sphere(radius, rings=160)  # its chords lie at most 2.4e-5 m below the sphere
    _, seen = draw([mesh], [centre], device)
    depth, inside = on_sphere(centre, radius)
    hit = seen["instance_id"] == 0
    # Nothing is decided within a hundredth of the silhouette's width: there the polyhedron is not the sphere.
    sure = inside.abs() > 1e-3
    assert torch.equal(hit[sure], (inside > 0)[sure])
    core = hit & (inside > 0.05)
    assert core.sum() > 300
    torch.testing.assert_close(seen["depth"][core], depth[core].float(), rtol=1e-4, atol=0)
    points = rays() * depth[..., None]
    torch.testing.assert_close(seen["distance"][core], points.norm(dim=-1)[core].float(), rtol=1e-4, atol=0)
    normal = ((points - torch.tensor(centre)) / radius).float()
    assert (seen["normals"].movedim(0, -1)[core] - normal[core]).abs().max() < 2e-3
    assert (seen["object_coordinates"].movedim(0, -1)[core] - radius * normal[core]).abs().max() < 1e-3
    edges = box_of_sphere(centre, radius)
    assert (seen["boxes_2d_loose"][0] - edges).abs().max() < 0.02
    tight = seen["boxes_2d_tight"][0]  # of pixel centres: the first at or after the edge, one past the last before it
    bounds = torch.tensor([*(edges[:2] - 0.5).ceil(), *(edges[2:] + 0.5).floor()])
    limit = torch.tensor([SIZE[1], SIZE[0]] * 2)
    assert ((tight - bounds.clamp(min=0).minimum(limit)).abs() <= 1).all()


def test_area_of_a_sphere(device):
    """A circle of radius ``f r / sqrt(d^2 - r^2)``: Gauss's circle problem errs by some tens of pixels of 46,000."""
    size = (512, 512)
    _, seen = draw([fs.procedural.sphere(0.5, rings=160)], [(0.0, 0.0, 2.6)], device, size=size)
    radius = size[0] * FOCAL * 0.5 / math.sqrt(2.6**2 - 0.5**2)
    assert abs(int(seen["visible_pixels"]) - math.pi * radius**2) < 2 * radius


def test_box_from_the_front(device):
    """Its front face covers the pixel centres within ``f s / z``; its sides are hidden behind it."""
    side, z = 0.8, 2.0
    mesh = fs.procedural.box((side, side, side))
    for shift in (0.0, 0.1, 0.263):
        _, seen = draw([mesh], [(shift, 0.0, z + side / 2)], device)
        half = SIZE[0] * FOCAL * side / 2 / z
        x, y = SIZE[1] / 2 + SIZE[0] * FOCAL * shift / z, SIZE[0] / 2
        first = torch.tensor([x - half, y - half])
        last = torch.tensor([x + half, y + half])
        # The side that looks at the axis is seen beside the front: take the front by its depth.
        front = (seen["depth"] - z).abs() < 1e-4
        low, high = (first - 0.5).ceil().int(), (last - 0.5).ceil().int()
        expected = torch.zeros(SIZE, dtype=torch.bool)
        expected[low[1] : high[1], low[0] : high[0]] = True
        assert torch.equal(front, expected)
        normals = seen["normals"].movedim(0, -1)[front]
        assert (normals - torch.tensor([0.0, 0.0, -1.0])).abs().max() < 1e-6
        if shift == 0:
            assert torch.equal(seen["instance_id"] == 0, expected)
            assert seen["boxes_2d_tight"][0].tolist() == [*low.tolist(), *high.tolist()]
            assert int(seen["visible_pixels"]) == int(expected.sum()) == int(seen["total_pixels"])
            torch.testing.assert_close(seen["boxes_2d_loose"][0], torch.cat([first, last]), rtol=0, atol=1e-3)


def test_tilted_plane(device):
    """Depth where each ray meets ``n . x = n . c``: over all pixels of a plane that fills the image."""
    rotation = rotation_from_quaternion((0.8, 0.4, -0.3, 0.33))
    centre = (0.1, -0.2, 3.0)
    _, seen = draw([fs.procedural.plane(12.0)], [centre], device, rotations=rotation[None])
    normal = rotation[:, 2].double()
    depth = (normal @ torch.tensor(centre, dtype=torch.float64)) / (rays() @ normal)
    hit = seen["instance_id"] == 0
    assert hit.float().mean() > 0.5
    near = hit & (depth < 20)
    torch.testing.assert_close(seen["depth"][near], depth[near].float(), rtol=2e-5, atol=0)
    facing = -normal.sign()[2] * normal
    assert (seen["normals"].movedim(0, -1)[hit] - facing.float()).abs().max() < 1e-5


def test_visible_fraction_of_overlapping_squares(device):
    """A square a third of which another hides; a third square beside them, half outside the image."""
    quad = fs.procedural.plane(1.0)
    z = 2.4  # one metre is 60 pixels
    centres = [(0.0, 0.0, z), (-2 / 3, 0.0, z - 0.001), (1.3333333, 0.0, z)]
    frames, seen = draw([quad] * 3, centres, device)
    assert seen["total_pixels"].tolist() == [3600, 3600, 1800]
    visible = annotate.visibility(frames)[0].cpu()
    assert visible[1] == 1 and visible[2] == 1
    assert abs(float(visible[0]) - 2 / 3) < 0.01
    assert int(seen["visible_pixels"][0]) == 3600 - int(60 * (seen["instance_id"][60] == 1).sum() - 60 * 40)


def test_what_hides_decides_not_what_comes_first(device):
    """Two spheres, one before the other, in both orders of their slots."""
    mesh = fs.procedural.sphere(0.5, rings=64)
    near, far = (0.2, 0.0, 2.5), (0.0, 0.0, 4.0)
    _, seen = draw([mesh] * 2, [near, far], device)
    _, swapped = draw([mesh] * 2, [far, near], device)
    ids = seen["instance_id"]
    assert torch.equal(swapped["instance_id"], torch.where(ids >= 0, 1 - ids, -1))
    assert torch.equal(seen["depth"], swapped["depth"])
    assert torch.equal(seen["total_pixels"], swapped["total_pixels"].flip(0))


def test_camera_inside_a_box_sees_its_walls(device):
    """A room of 4 m: every pixel hits a wall where the ray leaves the box."""
    material = fs.Material(double_sided=True)
    room = fs.procedural.box((4.0, 4.0, 4.0))
    room = fs.Mesh(room.vertices, room.faces, room.normals, room.uvs, materials=(material,))
    eye = (0.3, -0.2, 0.1)
    _, seen = draw([room], [tuple(-c for c in eye)], device)
    d = rays()
    centre = -torch.tensor(eye, dtype=torch.float64)
    exits = torch.maximum((centre + 2) / d, (centre - 2) / d).amin(-1)  # of slabs, the first to be left
    assert (seen["instance_id"] == 0).all()
    torch.testing.assert_close(seen["depth"], exits.float(), rtol=1e-5, atol=0)


def test_projection_agrees_with_the_camera(device):
    """Where `Pinhole.project` puts a point, the pixels that show it lie."""
    camera = Pinhole.look_at(eye=(1.0, -2.0, 1.5), target=(0.1, 0.2, 0.0), fov=fs.deg(35))
    spot = torch.tensor([0.2, 0.1, 0.05])
    batch = fs.SceneBatch(
        assets=fs.pack([fs.procedural.sphere(0.02, rings=12)], lod=False),
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=fs.geometry.translation(spot)[None, None],
        **camera.fields(),
    ).to(device)
    frames = fs.render(batch, (480, 640), ("instance_id", "boxes_2d_tight"))
    x0, y0, x1, y1 = frames.boxes_2d_tight[0, 0].tolist()
    u, v = camera.project(spot.view(1, 1, 3), (480, 640))[0, 0].tolist()
    assert abs((x0 + x1) / 2 - u) < 0.6 and abs((y0 + y1) / 2 - v) < 0.6
