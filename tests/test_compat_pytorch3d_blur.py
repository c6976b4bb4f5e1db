"""PyTorch3D's rasterizer with blurred faces, against what one face is at one pixel, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch3d_stand_ins import Meshes, mesh

from fastsynth.compat.pytorch3d import rasterize_meshes


def near_by_hand(corners, pixel, perspective, clip):
    """In float64, one face at one pixel: square of the distance to its edge, negative inside; depth; weights."""
    a, b, c = corners
    area = lambda p, q, r: (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])  # noqa: E731
    weights = torch.stack([area(pixel, b, c), area(pixel, c, a), area(pixel, a, b)]) / area(a, b, c)
    if perspective:
        weights = weights / corners[:, 2]
        weights = weights / weights.sum()
    inside = (weights > 0).all()
    if clip:
        weights = weights.clamp(min=0) / weights.clamp(min=0).sum()
    square = math.inf
    for p, q in ((a, b), (b, c), (c, a)):
        t = ((pixel - p[:2]) @ (q - p)[:2] / ((q - p)[:2] @ (q - p)[:2])).clamp(0, 1)
        square = min(square, (p[:2] + t * (q - p)[:2] - pixel).square().sum().item())
    return (-square if inside else square), (weights @ corners[:, 2]).item(), weights


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("pairs", [1 << 21, 300])
def test_blurred_faces_by_hand(pairs, perspective, clip, device, monkeypatch):
    """All faces within reach of each pixel, nearest first, two meshes; asked all at once, or in several parts."""
    monkeypatch.setattr("fastsynth.compat._blurred._PAIRS", pairs)
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(2, 12, 3, generator=generator, dtype=torch.float64) * 2 - 1
    corners[..., 2] = corners[..., 2] * 0.2 + 2
    faces = torch.arange(12).view(4, 3)
    meshes = mesh([c.float() for c in corners], [faces[:3], faces], device)
    size, blur, layers = (14, 18), 0.02, 3
    found = rasterize_meshes(meshes, size, blur, layers, None, None, perspective, clip)
    ids, zbuf, bary, dists = (part.cpu() for part in found)
    assert (ids[..., 1] >= 0).any() and (dists > 0).any() and (ids[1] >= 3).any()
    counts = 0
    for image, rows in enumerate((faces[:3], faces)):
        for row in range(14):
            for column in range(18):
                pixel = torch.tensor([(17 - 2 * column) / 14, (13 - 2 * row) / 14], dtype=torch.float64)
                near = []
                for number, face in enumerate(rows):
                    square, depth, weights = near_by_hand(corners[image][face], pixel, perspective, clip)
                    if square < blur and depth >= 0:
                        near.append((depth, number + 3 * image, square, weights))
                near.sort(key=lambda each: each[0])
                assert ids[image, row, column].tolist() == [*[n[1] for n in near], -1, -1, -1][:layers]
                for k, (depth, _, square, weights) in enumerate(near[:layers]):
                    at = image, row, column, k
                    assert abs(zbuf[at] - depth) < 1e-4 * max(1, abs(depth)) and abs(dists[at] - square) < 1e-5
                    torch.testing.assert_close(bary[at].double(), weights, atol=1e-3, rtol=1e-3)
                    counts += 1
    assert counts > 150
    for part in (zbuf, dists, bary[..., 0]):
        assert (part[ids < 0] == -1).all()


@pytest.mark.parametrize("perspective", [False, True])
def test_gradients_with_blur(perspective, device):
    """By finite differences; small steps bring no face nearer than the blur reaches."""
    generator = torch.Generator().manual_seed(5)
    points = torch.rand(9, 3, generator=generator) * 1.6 - 0.8
    points[:, 2] = points[:, 2].abs() + 1.5
    points = points.double().to(device)
    faces = torch.arange(9, device=device).view(3, 3)
    cotangent = torch.rand(3, 1, 12, 12, 2, 3, generator=generator).to(device)

    def parts(points):
        got = rasterize_meshes(Meshes([points.float()], [faces]), 12, 0.01, 2, None, None, perspective, True)
        return got[0], (got[1], got[2], got[3])

    ids, (_, _, far) = parts(points)
    there = (ids >= 0) & (far.abs() > 1e-3) & (far < 0.009)
    assert (there & (far > 0)).sum() > 20

    def loss(points):
        got, (zbuf, bary, dists) = parts(points)
        assert torch.equal(got[there], ids[there])
        total = zbuf * cotangent[0, ..., 0] + (bary * cotangent[1]).sum(-1) + 10 * dists * cotangent[2, ..., 0]
        return (total * there).double().sum()

    leaf = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    found = torch.zeros_like(points)
    for vertex in range(9):
        for axis in range(3):
            step = torch.zeros_like(points)
            step[vertex, axis] = 1e-3
            found[vertex, axis] = (loss(points + step) - loss(points - step)) / 2e-3
    cosine = torch.cosine_similarity(gradient.flatten(), found.flatten(), 0)
    assert cosine > 0.98, cosine


def test_blur_leaves_out_what_it_must(device):
    """Back faces that are culled, faces without area, faces that reach behind the camera."""
    front = [[0.5, -0.5, 2.0], [-0.5, -0.5, 2.0], [0.0, 0.5, 2.0]]
    meshes = mesh([front], [[[0, 1, 2], [0, 2, 1], [0, 0, 1]]], device)
    for culled, expected in ((False, {-1, 0, 1}), (True, {-1, 0})):
        ids = rasterize_meshes(meshes, 9, 0.05, 3, None, None, True, True, culled)[0]
        assert set(ids.flatten().tolist()) == expected
        hard = rasterize_meshes(meshes, 9, 0.0, 3, None, None, True, True, culled)[0]
        assert torch.equal(hard[0, 4, 4], ids[0, 4, 4])
    behind = mesh([[[0.5, -0.5, 2.0], [-0.5, -0.5, 2.0], [0.0, 0.5, -1.0]]], [[[0, 1, 2]]], device)
    assert (rasterize_meshes(behind, 9, 0.05, 1, perspective_correct=True)[0] == -1).all()
    near = rasterize_meshes(meshes, 9, 0.05, 1, perspective_correct=True, z_clip_value=3.0)[0]
    assert (near == -1).all()
    edge_on = torch.tensor([[0.0, -0.5, 1.0], [1e-6, 0.0, 9.0], [0.0, 0.5, 1.0]], device=device, requires_grad=True)
    _, z, weights, dists = rasterize_meshes(
        Meshes([edge_on], [torch.tensor([[0, 1, 2]], device=device)]), 16, 0.1, 1, None, None, True, True
    )
    (z.sum() + weights[..., 0].sum() + dists.sum()).backward()
    assert (z > 0).any() and edge_on.grad.isfinite().all()
