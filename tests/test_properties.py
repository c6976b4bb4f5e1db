"""What must hold of any mesh, looked for by hypothesis."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, Delaunay

import fastsynth as fs

SEED = st.integers(0, 2**32 - 1)
SIZE = st.tuples(st.integers(1, 90), st.integers(1, 150))
search = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def each_face(clip, faces, size) -> torch.Tensor:
    """Which pixels each face covers by itself, bool [F, H, W]."""
    ranges = torch.stack([torch.arange(len(faces)), torch.ones(len(faces))], 1).int()
    clip = torch.as_tensor(clip, dtype=torch.float32).expand(len(faces), -1, 4)
    return fs.ops.rasterize(clip, faces, size, ranges=ranges).triangle_id >= 0


def facing_front(clip, faces, size) -> torch.Tensor:
    """Which faces run counter-clockwise as seen, bool [F]: those of which `cull="back"` leaves anything."""
    ranges = torch.stack([torch.arange(len(faces)), torch.ones(len(faces))], 1).int()
    clip = torch.as_tensor(clip, dtype=torch.float32).expand(len(faces), -1, 4)
    return (fs.ops.rasterize(clip, faces, size, cull="back", ranges=ranges).triangle_id >= 0).flatten(1).any(1)


def seen_by(points, rng) -> np.ndarray:
    """Points in clip space from a random side, all before the camera."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    view = points @ turn.T
    depth = view[:, 2] + 3.0
    zoom = rng.uniform(0.5, 6.0)
    return np.stack([zoom * view[:, 0] + 0.2, zoom * view[:, 1], np.full_like(depth, -0.1), depth], 1)


def closed_mesh(rng) -> tuple[np.ndarray, torch.Tensor]:
    """A hull of random points, wound outward; or a torus with a dent, which hides parts of itself."""
    if rng.random() < 0.5:
        points = rng.normal(size=(rng.integers(4, 40), 3))
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 0.8)
        hull = ConvexHull(points)
        outward = np.einsum("ij,ij->i", np.cross(*(points[hull.simplices[:, k]] - points[hull.simplices[:, 0]]
                                                   for k in (1, 2))), hull.equations[:, :3])  # fmt: skip
        faces = np.where(outward[:, None] > 0, hull.simplices, hull.simplices[:, ::-1])
        return points, torch.from_numpy(faces.astype(np.int32))
    around, across = int(rng.integers(3, 12)), int(rng.integers(3, 9))
    u, v = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    a, b = 2 * np.pi * u / around, 2 * np.pi * v / across
    ring = 0.7 + 0.25 * np.cos(b)
    points = np.stack([ring * np.cos(a), ring * np.sin(a), 0.25 * np.sin(b)], -1).reshape(-1, 3)
    points += rng.normal(scale=0.05, size=points.shape)
    corner = (u * across + v).reshape(-1)
    right, up = ((u + 1) % around * across + v).reshape(-1), (u * across + (v + 1) % across).reshape(-1)
    both = ((u + 1) % around * across + (v + 1) % across).reshape(-1)
    faces = np.concatenate([np.stack([corner, right, both], 1), np.stack([corner, both, up], 1)])
    return points, torch.from_numpy(faces.astype(np.int32))


@search
@given(SEED, SIZE)
def test_a_closed_mesh_is_left_as_often_as_it_is_entered(seed, size):
    """Every pixel of the silhouette is covered by as many front faces as back faces; of a convex body, by one each."""
    rng = np.random.default_rng(seed)
    points, faces = closed_mesh(rng)
    clip = seen_by(points, rng)
    alone, front = each_face(clip, faces, size), facing_front(clip, faces, size)
    entered, left = alone[front].sum(0), alone[~front].sum(0)
    assert torch.equal(entered, left)
    silhouette = fs.ops.rasterize(torch.from_numpy(clip).float()[None], faces, size).triangle_id[0] >= 0
    assert torch.equal(entered > 0, silhouette)
    if len(points) == len(np.unique(faces)) and ConvexHull(points).simplices.shape[0] == len(faces):
        assert entered.max() <= 1


@search
@given(SEED, SIZE, st.sampled_from(["anywhere", "at pixel centres", "at subpixels"]))
def test_a_triangulation_has_no_gap_and_no_overlap(seed, size, where):
    """A rectangle cut into triangles at random points: every pixel centre inside belongs to exactly one."""
    rng = np.random.default_rng(seed)
    height, width = size
    points = rng.uniform(0, 1, (rng.integers(1, 60), 2)) * [width, height]
    if where == "at pixel centres":
        points = np.floor(points) + 0.5
    elif where == "at subpixels":
        points = np.round(points * 256) / 256
    frame = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    points = np.unique(np.concatenate([frame, np.clip(points, 0, [width, height])]), axis=0)
    faces = torch.from_numpy(Delaunay(points).simplices.astype(np.int32))
    turned = torch.from_numpy(rng.random(len(faces)) < 0.5)[:, None]
    faces = torch.where(turned, faces.flip(1), faces)
    depth = rng.uniform(1, 10, (len(points), 1))
    ndc = points * 2 / [width, height] - 1
    clip = np.concatenate([ndc * depth, np.full_like(depth, -0.1), depth], 1)
    assert (each_face(clip, faces, size).sum(0) == 1).all()


@search
@given(SEED, SIZE)
def test_the_order_of_triangles_changes_nothing_but_their_numbers(seed, size):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 300))
    clip = rng.normal(size=(3 * count, 4)).astype(np.float32)
    clip[:, 3] = rng.uniform(0.05, 2, 3 * count)
    # Each triangle in a slab of its own: of two at one depth, the order decides by definition.
    slab = (np.repeat(rng.permutation(count), 3) + rng.uniform(0, 0.9, 3 * count)) / count
    clip[:, 2] = clip[:, 3] * (1.8 * slab - 0.9)
    order = torch.from_numpy(rng.permutation(count))
    faces = torch.arange(3 * count, dtype=torch.int32).view(-1, 3)
    one = fs.ops.rasterize(torch.from_numpy(clip)[None], faces, size)
    other = fs.ops.rasterize(torch.from_numpy(clip)[None], faces[order], size)
    back = torch.where(other.triangle_id >= 0, order[other.triangle_id.long().clamp(min=0)].int(), -1)
    assert torch.equal(back, one.triangle_id)
    assert torch.equal(other.depth, one.depth) and torch.equal(other.barycentric, one.barycentric)


ASSETS = fs.procedural.products(2, texture_size=32)


@search
@given(SEED, SIZE)
def test_the_order_of_instances_changes_nothing_but_their_slots(seed, size):
    scene = fs.Scene(
        fs.Objects(ASSETS, count=fs.Choice(range(1, 12)), rotation=fs.UniformRotation()),
        light=fs.DirectionalLight(),
        background=fs.GradientBackground(),
    )
    batch = scene.sample([seed])
    order = torch.from_numpy(np.random.default_rng(seed).permutation(batch.instances))
    fields = ("mesh_id", "world_from_object", "base_color", "metallic", "roughness", "texture_id")
    moved = batch.replace(**{name: getattr(batch, name)[:, order] for name in fields})
    outputs = ("rgb", "depth", "instance_id", "semantic_id", "triangle_id", "boxes_2d_tight", "total_pixels")
    one, other = fs.render(batch, size, outputs), fs.render(moved, size, outputs)
    back = torch.where(other.instance_id >= 0, order[other.instance_id.long().clamp(min=0)].int(), -1)
    assert torch.equal(back, one.instance_id)
    for name in ("rgb", "depth", "semantic_id", "triangle_id"):
        assert torch.equal(one.outputs[name], other.outputs[name]), name
    for name in ("boxes_2d_tight", "total_pixels"):
        assert torch.equal(one.outputs[name][:, order], other.outputs[name]), name
