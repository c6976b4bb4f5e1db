"""Which triangle is seen at each pixel: id for id what the exact oracle says."""

from __future__ import annotations

import numpy as np
import pytest
import reference_raster
import torch

import fastsynth as fs


def soup(kind: str, count: int = 60, seed: int = 0, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    """Corners of random triangles in clip space, float32 [3 count, 4]; y down."""
    rng = np.random.default_rng(seed)
    ndc = np.empty((count, 3, 3))
    middle = rng.uniform(-1, 1, (count, 1, 3))
    if kind == "large":
        ndc[:] = rng.uniform(-1.5, 1.5, (count, 3, 3))
    elif kind == "small":
        ndc[:] = middle + rng.normal(0, 0.08, (count, 3, 3))
    elif kind == "subpixel":
        ndc[:] = middle + rng.normal(0, 0.01, (count, 3, 3))
    elif kind == "sliver":
        ends = rng.uniform(-1.2, 1.2, (count, 2, 3))
        ndc[:, :2] = ends
        ndc[:, 2] = (ends[:, 0] + ends[:, 1]) / 2 + rng.normal(0, 0.01, (count, 3))
    elif kind == "off-screen":
        ndc[:] = middle * [3, 3, 1] + rng.normal(0, 0.5, (count, 3, 3))
    elif kind == "huge":
        ndc[:] = rng.normal(0, 1, (count, 3, 3)) * 10 ** rng.uniform(1, 3.5, (count, 3, 1))
    elif kind == "on the grid":
        # Corners at pixel centres: many centres lie on edges, level and upright ones among them.
        ndc[..., :2] = rng.integers(-2, np.array(size)[::-1] + 2, (count, 3, 2))
        ndc[..., :2] = (ndc[..., :2] + 0.5) * 2 / np.array(size)[::-1] - 1
    else:
        ndc[:] = rng.uniform(-1.0, 1.0, (count, 3, 3))
    ndc[..., 2] = rng.uniform(-0.95, 0.95, (count, 3))
    w = 10 ** rng.uniform(-1, 1, (count, 3, 1))
    if kind == "behind the eye":
        w *= rng.choice([-1, 1], w.shape)
        ndc[..., 2:] = rng.uniform(-2, 2, (count, 3, 1))
    clip = np.concatenate([ndc * w, w], -1)
    if kind == "near plane":
        clip[..., 2] = rng.uniform(-2, 1, (count, 3)) * clip[..., 3]
    return clip.reshape(-1, 4).astype(np.float32)


KINDS = ("large", "small", "subpixel", "sliver", "off-screen", "huge", "on the grid", "near plane", "behind the eye")
SIZES = ((64, 64), (37, 151), (9, 5), (1, 1), (300, 200))


def faces_of(clip: np.ndarray) -> torch.Tensor:
    return torch.arange(len(clip), dtype=torch.int32).view(-1, 3)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_the_oracles(kind, size, device):
    clip = soup(kind, seed=sum(size), size=size)
    faces = faces_of(clip)
    expected = reference_raster.rasterize(clip, faces.numpy(), size)
    actual = fs.ops.rasterize(torch.from_numpy(clip)[None].to(device), faces.to(device), size)
    ids = actual.triangle_id[0].cpu().numpy()
    assert expected.decided.mean() > 0.4 or size == (1, 1)
    wrong = (ids != expected.triangle_id) & expected.decided
    assert not wrong.any(), f"{wrong.sum()} pixels, the first at (row, column) {np.argwhere(wrong)[0]}"
    # Depth and weights come from the plane in float32: compare where the plane is not seen edge-on.
    same = (ids == expected.triangle_id) & (ids >= 0)
    depth = actual.depth[0].cpu().numpy()
    weights = actual.barycentric[0].cpu().numpy()
    corners = clip[faces.numpy()[ids], 3]
    in_range = same & (depth <= corners.max(-1)) & (depth >= corners.min(-1))
    assert in_range.sum() == same.sum() or kind in ("near plane", "behind the eye")
    off = np.abs(depth - expected.depth) / np.maximum(np.abs(expected.depth), 1e-6)
    clean = same & (expected.weights > 0.02).all(-1)
    if kind in ("large", "small", "off-screen") and clean.any():
        condition = np.linalg.cond(clip.reshape(-1, 3, 4)[:, :, [0, 1, 3]].astype(np.float64))[ids]
        assert (off <= 1e-5 * condition)[clean].all()
        assert (np.abs(weights - expected.weights[..., :2]).max(-1) <= 1e-5 * condition)[clean].all()
    background = ids < 0
    assert (depth[background] == 0).all() and (weights[background] == 0).all()


@pytest.mark.parametrize("cull", ["back", "front"])
def test_culling_is_the_oracles(cull, device):
    for kind in ("large", "near plane"):
        clip = soup(kind, seed=7)
        faces = faces_of(clip)
        expected = reference_raster.rasterize(clip, faces.numpy(), (48, 48), cull)
        args = torch.from_numpy(clip)[None].to(device), faces.to(device), (48, 48)
        ids = fs.ops.rasterize(*args, cull=cull).triangle_id[0].cpu().numpy()
        assert ((ids == expected.triangle_id) | ~expected.decided).all()
        assert (ids >= 0).any()


def test_front_faces_run_counter_clockwise_as_seen(device):
    # In the displayed image (y down): lower left, lower right, top.
    clip = torch.tensor([[[-0.8, 0.8, 0, 1], [0.8, 0.8, 0, 1], [0, -0.8, 0, 1]]], device=device)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    assert fs.ops.rasterize(clip, faces, (8, 8), cull="back").triangle_id.max() == 0
    assert fs.ops.rasterize(clip, faces, (8, 8), cull="front").triangle_id.max() == -1


def test_ties_go_to_the_lower_face(device):
    clip = torch.from_numpy(soup("large", 1)).to(device)[None]
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device).repeat(100, 1)
    ids = fs.ops.rasterize(clip, faces, (64, 64)).triangle_id
    assert set(ids.unique().tolist()) == {-1, 0}
    # The winner does not depend on where the tie begins, or on its being drawn in runs.
    behind = torch.cat([clip, clip + torch.tensor([0, 0, 0.01, 0], device=device) * clip[..., 3:]], 1)
    faces = torch.cat([faces + 3, faces])
    ids = fs.ops.rasterize(behind, faces, (64, 64)).triangle_id
    assert set(ids.unique().tolist()) == {-1, 100}


@pytest.mark.parametrize("width", [1, 2, 3, 127, 128, 129, 1000, 4097, 8192])
def test_widths(width, device):
    clip = soup("large", 20, seed=width)
    faces = faces_of(clip)
    expected = reference_raster.rasterize(clip, faces.numpy(), (1, width))
    args = torch.from_numpy(clip)[None].to(device), faces.to(device)
    ids = fs.ops.rasterize(*args, (1, width)).triangle_id[0].cpu().numpy()
    assert ((ids == expected.triangle_id) | ~expected.decided).all()


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (8193, 1), (-1, 4)])
def test_impossible_sizes_are_refused(size):
    clip = torch.from_numpy(soup("large", 1))[None]
    with pytest.raises(ValueError, match="size"):
        fs.ops.rasterize(clip, faces_of(clip[0]), size)


def test_threads_change_no_bit():
    clip = torch.from_numpy(np.stack([soup(kind, 40, seed=3) for kind in KINDS]))
    faces = faces_of(clip[0])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fs.ops.rasterize(clip, faces, (200, 300))
        torch.set_num_threads(2)
        two = fs.ops.rasterize(clip, faces, (200, 300))
    finally:
        torch.set_num_threads(threads)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.view(torch.int32), b.view(torch.int32))


def test_an_image_is_the_same_alone_and_in_a_batch(device):
    clip = torch.from_numpy(np.stack([soup(kind, 40, seed=4) for kind in KINDS])).to(device)
    faces = faces_of(clip[0]).to(device)
    together = fs.ops.rasterize(clip, faces, (50, 70))
    for image in range(len(clip)):
        alone = fs.ops.rasterize(clip[image : image + 1], faces, (50, 70))
        for a, b in zip(alone, together, strict=True):
            assert torch.equal(a[0].view(torch.int32), b[image].view(torch.int32))


def test_ranges_pick_each_images_faces(device):
    clip = torch.from_numpy(soup("small", 50)).to(device)[None].repeat(3, 1, 1)
    faces = faces_of(clip[0]).to(device)
    ranges = torch.tensor([[0, 20], [20, 30], [7, 0]], dtype=torch.int32, device=device)
    ids = fs.ops.rasterize(clip, faces, (64, 64), ranges=ranges).triangle_id
    for image, (first, count) in enumerate(ranges.tolist()):
        alone = fs.ops.rasterize(clip[:1], faces[first : first + count], (64, 64)).triangle_id[0]
        assert torch.equal(ids[image], torch.where(alone >= 0, alone + first, -1))


@pytest.mark.parametrize("wrong", [-1, 180, 2**31 - 1])
def test_a_face_that_names_no_vertex_is_an_error(wrong):
    clip = torch.from_numpy(soup("small", 60))[None]
    faces = faces_of(clip[0])
    faces[41, 1] = wrong
    with pytest.raises((IndexError, RuntimeError), match="names a vertex that does not exist"):
        fs.ops.rasterize(clip, faces, (32, 32))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("coordinate", range(4))
def test_corners_that_are_not_finite_cover_nothing(value, coordinate, device):
    good = torch.from_numpy(soup("large", 30, seed=1)).to(device)[None]
    faces = faces_of(good[0]).to(device)
    bad = good.clone()
    bad[:, 0:15:3, coordinate] = value  # a corner of each of the first five triangles
    ids = fs.ops.rasterize(bad, faces, (64, 64)).triangle_id
    expected = fs.ops.rasterize(good, faces[5:], (64, 64)).triangle_id
    assert torch.equal(ids, torch.where(expected >= 0, expected + 5, -1))


@pytest.mark.parametrize("images, vertices, count", [(0, 3, 1), (1, 3, 0), (2, 0, 0), (0, 0, 0)])
def test_nothing_to_draw(images, vertices, count, device):
    clip = torch.ones(images, vertices, 4, device=device)
    faces = torch.zeros(count, 3, dtype=torch.int32, device=device)
    fragments = fs.ops.rasterize(clip, faces, (3, 5))
    assert fragments.triangle_id.shape == (images, 3, 5) and fragments.barycentric.shape == (images, 3, 5, 2)
    assert (fragments.triangle_id == -1).all() and (fragments.depth == 0).all()


def test_zero_area_covers_nothing(device):
    pixel = 2 / 64
    flat = [
        [[0, 0], [0, 0], [0, 0]],
        [[-0.5, -0.5], [0, 0], [0.5, 0.5]],
        [[0.3, 0.2], [0.3 + pixel / 2000, 0.2], [0.3, 0.2 + pixel / 2000]],  # vanishes when snapped
    ]
    corners = torch.tensor(flat, device=device).view(1, 9, 2)
    clip = torch.cat([corners, torch.zeros_like(corners[..., :1]), torch.ones_like(corners[..., :1])], -1)
    assert fs.ops.rasterize(clip, faces_of(clip[0]).to(device), (64, 64)).triangle_id.max() == -1


def test_scaling_a_corner_by_a_power_of_two_changes_nothing(device):
    clip = torch.from_numpy(soup("large", 30)).to(device)[None]
    faces = faces_of(clip[0]).to(device)
    for scale in (2.0**-10, 2.0**10):
        a, b = fs.ops.rasterize(clip, faces, (64, 64)), fs.ops.rasterize(clip * scale, faces, (64, 64))
        assert torch.equal(a.triangle_id, b.triangle_id)
