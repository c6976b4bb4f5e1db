"""Layers of triangles from front to back: each triangle once at each pixel, in the order of depth and number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference_raster
import torch
from test_rasterize import KINDS, faces_of, soup

import fastsynth as fs

EMPTY = 1e30


def layers_of(clip, faces, size, count, **options):
    """Ids and z of the first layers, [L, H, W]."""
    layers = list(itertools.islice(fs.ops.peel(clip[None], faces, size, **options), count))
    return tuple(
        torch.stack(part)[:, 0].cpu().numpy()
        for part in ([layer.fragments.triangle_id for layer in layers], [layer.z for layer in layers])
    )


def sorted_layers(covers, z, count):
    """The same from what each face alone covers, bool and float [F, H, W]."""
    z = np.where(covers, z, EMPTY)
    order = np.argsort(z, 0, kind="stable")[:count]
    return np.where(np.take_along_axis(covers, order, 0), order, -1), np.take_along_axis(z, order, 0)


@pytest.mark.parametrize("size", [(40, 40), (37, 151), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_the_faces_sorted(kind, size, device):
    """Each face drawn alone says where it is and how deep, exactly; layers are these in order."""
    clip = torch.from_numpy(soup(kind, 24, seed=5, size=size)).to(device)
    faces = torch.cat([faces_of(clip), faces_of(clip)[:4]]).to(device)  # some are there twice
    alone = [layers_of(clip, faces[k : k + 1], size, 1) for k in range(len(faces))]
    covers = np.concatenate([ids for ids, _ in alone]) >= 0
    expected, z = sorted_layers(covers, np.concatenate([z for _, z in alone]), len(faces))
    ids, actual_z = layers_of(clip, faces, size, len(faces))
    assert np.array_equal(ids, expected)
    assert np.array_equal(actual_z, np.where(expected >= 0, z, 0).astype(np.float32))
    assert (layers_of(clip, faces, size, len(faces) + 1)[0][-1] == -1).all()


@pytest.mark.parametrize("kind", ["large", "small", "off-screen", "on the grid"])
def test_layers_are_the_oracles(kind, device):
    """Coverage in integers and depth in float64, face by face."""
    size = 48, 48
    clip = soup(kind, 30, seed=9, size=size)
    faces = faces_of(clip)
    x, y, _ = reference_raster.snap(clip, size)
    covers, z, slack = np.zeros((3, len(faces), *size))
    for k, face in enumerate(faces.numpy()):
        drawn = reference_raster._exact(x[face], y[face], clip[face], size, "none")
        if drawn:
            window, inside, depth, error, _ = drawn
            covers[(k, *window)], z[(k, *window)], slack[(k, *window)] = inside & (depth <= 1), depth, error
    expected, sorted_z = sorted_layers(covers > 0, z, 8)
    ids, _ = layers_of(torch.from_numpy(clip).to(device), faces.to(device), size, 8)
    # A layer is decided while no two depths up to it and just behind it are closer than the arithmetic's error.
    close = np.diff(sorted_layers(covers > 0, z, 9)[1], axis=0) <= 2 * slack.max(0)
    close &= expected >= 0
    decided = ~np.logical_or.accumulate(close, 0)
    assert decided[expected >= 0].mean() > 0.8
    assert ((ids == expected) | ~decided).all()


def test_the_first_layer_is_what_is_seen(device):
    clip = torch.from_numpy(np.stack([soup(kind, 20, seed=1) for kind in KINDS])).to(device)
    faces = faces_of(clip[0]).to(device)
    for cull in ("none", "back", "front"):
        first = next(fs.ops.peel(clip, faces, (50, 70), cull=cull))
        for a, b in zip(first.fragments, fs.ops.rasterize(clip, faces, (50, 70), cull=cull), strict=True):
            assert torch.equal(a, b)


def test_culled_faces_are_in_no_layer(device):
    clip = torch.from_numpy(soup("large", 20, seed=2)).to(device)
    faces = faces_of(clip).to(device)
    ids, _ = layers_of(clip, faces, (32, 32), 20)
    front, _ = layers_of(clip, faces, (32, 32), 20, cull="back")
    area = fs.ops.rasterize(clip[None], faces, (32, 32), cull="back").triangle_id
    assert (front[0] == area[0].cpu().numpy()).all()
    kept = set(np.unique(front[front >= 0]))
    for row, column in ((5, 5), (16, 20)):
        assert [k for k in ids[:, row, column] if k in kept] == [k for k in front[:, row, column] if k >= 0]


def test_images_share_corners(device):
    """One list of corners for images that draw ranges of the faces: the same as a copy for each."""
    clip = torch.from_numpy(soup("large", 200, seed=4)).to(device)[None]
    faces = faces_of(clip[0]).to(device)
    ranges = torch.tensor([[0, 90], [90, 110], [130, 0], [-5, 9], [195, 900]], dtype=torch.int32, device=device)
    shared = itertools.islice(fs.ops.peel(clip, faces, (33, 70), ranges=ranges), 3)
    copied = itertools.islice(fs.ops.peel(clip.repeat(5, 1, 1), faces, (33, 70), ranges=ranges), 3)
    for a, b in zip(shared, copied, strict=True):
        assert torch.equal(a.z, b.z)
        for x, y in zip(a.fragments, b.fragments, strict=True):
            assert torch.equal(x, y)
    assert (b.fragments.triangle_id[0] >= 0).any() and (b.fragments.triangle_id[2] == -1).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cull": "x"}, "`cull` must be one of"),
        ({"size": (0, 4)}, "`size` must be"),
        ({"clip": torch.zeros(3, 3, 4), "ranges": torch.zeros(2, 2, dtype=torch.int32)}, "B = 2 from `ranges`"),
    ],
)
def test_errors_say_what_to_do(change, says):
    arguments = {"clip": torch.zeros(1, 3, 4), "faces": torch.tensor([[0, 1, 2]], dtype=torch.int32), "size": (4, 4)}
    with pytest.raises(ValueError, match=says):
        fs.ops.peel(**arguments | change)
