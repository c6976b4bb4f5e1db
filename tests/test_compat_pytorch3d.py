"""PyTorch3D's rasterizer: its conventions, and the published answers of its own tests.

Numbers marked with a file come from PyTorch3D's tests at commit 9381c401; the grids are those of
``test_known_answers.py``, where they are written in our conventions.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from pytorch3d_stand_ins import FoVPerspectiveCameras, Meshes, mesh
from test_known_answers import DEPTH_OF_FACE, TWO_TOPOLOGIES, grid
from test_no_sync import Watch
from torch._subclasses import FakeTensorMode

import fastsynth as fs
from fastsynth.compat.pytorch3d import MeshRasterizer, RasterizationSettings, rasterize_meshes

HIDDEN = grid("""
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . 2 2 2 . . .
    . . . 2 2 2 2 . . .
    . . . 2 2 2 2 . . .
    . . . . 2 . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    """)


def test_two_topologies_and_two_layers(device):
    """``tests/test_rasterize_meshes.py``, ``_simple_triangle_raster``: ids and depths of two meshes, k = 0, 1."""
    one = [[-0.3, -0.4, 0.1], [0.0, 0.6, 0.1], [0.9, -0.4, 0.1]]
    two = [[-0.9, -0.2, 0.1], [0.0, 0.6, 0.1], [0.7, -0.4, 0.1], [-0.7, 0.4, 0.5], [0.0, -0.6, 0.5], [0.7, 0.4, 0.5]]
    meshes = mesh([one, two], [[[1, 0, 2]], [[1, 0, 2], [3, 4, 5]]], device)
    ids, zbuf, bary, dists = rasterize_meshes(meshes, image_size=10, blur_radius=0.0, faces_per_pixel=2)
    assert ids.dtype == torch.int64 and ids.shape == (2, 10, 10, 2) and bary.shape == (2, 10, 10, 2, 3)
    expected = (
        torch.stack([*TWO_TOPOLOGIES, torch.full_like(HIDDEN, -1), HIDDEN]).view(2, 2, 10, 10).permute(1, 2, 3, 0)
    )
    assert torch.equal(ids.cpu(), expected.long())
    depth = torch.where(expected >= 0, DEPTH_OF_FACE[expected.clamp(min=0)], -1)
    torch.testing.assert_close(zbuf.cpu(), depth, rtol=1e-6, atol=1e-6)
    nothing = ids < 0
    assert (bary[nothing] == -1).all() and (dists[nothing] == -1).all() and (dists[~nothing] <= 0).all()
    single = rasterize_meshes(meshes, image_size=10, faces_per_pixel=1)
    for a, b in zip(single, (ids, zbuf, bary, dists), strict=True):
        assert torch.equal(a[..., 0] if a.ndim == 4 else a[..., 0, :], b[..., 0] if b.ndim == 4 else b[..., 0, :])


def test_depth_is_correct_in_perspective(device):
    """``tests/test_rasterize_meshes.py``, ``_test_perspective_correct``, at the pixels inside without their blur."""
    meshes = mesh([[[-0.4, -0.4, 10], [0.4, -0.4, 10], [0, 0.4, 20]]], [[[0, 1, 2]]], device)
    inside = {3: (5, 5, 19.1304), 4: (5, 5, 15.7143), 5: (4, 6, 13.3333), 6: (4, 6, 11.5789), 7: (3, 7, 10.2326)}
    ids, zbuf, bary, _ = rasterize_meshes(meshes, 11, faces_per_pixel=1, perspective_correct=True)
    for row, (first, last, depth) in inside.items():
        assert (ids[0, row, first : last + 1] == 0).all()
        assert (zbuf[0, row, first : last + 1] - depth).abs().max() < 1e-4
    assert (ids >= 0).sum() == sum(last - first + 1 for first, last, _ in inside.values())
    # The weights without perspective are linear in the image: so is depth.
    _, flat, _, _ = rasterize_meshes(meshes, 11, faces_per_pixel=1, perspective_correct=False)
    y = 1 - (2 * torch.arange(11, device=device) + 1) / 11
    linear = (10 + 10 * (y + 0.4) / 0.8)[None, :, None, None].expand_as(flat)
    torch.testing.assert_close(flat[ids >= 0], linear[ids >= 0], rtol=1e-5, atol=0)
    assert ((bary.sum(-1) - 1).abs()[ids >= 0] < 1e-6).all()


@pytest.mark.parametrize("perspective", [False, True])
def test_nothing_is_seen_behind_the_camera(perspective, device):
    """``tests/test_rasterize_meshes.py``, ``_test_behind_camera``: four triangles at negative depths."""
    vertices = [
        *[[-0.5, 0, -0.1], [0, 0.6, -0.1], [0.5, 0, -0.1]],
        *[[-0.25, 0, -0.9], [0.25, 0.5, -0.9], [0.75, 0, -0.9]],
        *[[-0.4, 0, -0.5], [0.6, 0.6, -0.5], [0.8, 0, -0.5]],
        *[[-0.2, 0, -0.5], [0.3, 0.6, -0.5], [0.4, 0, -0.5]],
    ]
    meshes = mesh([vertices], [[[1, 0, 2], [4, 3, 5], [7, 6, 8], [10, 9, 11]]], device)
    for part in rasterize_meshes(meshes, 16, faces_per_pixel=1, perspective_correct=perspective):
        assert (part == -1).all()


def test_back_faces_are_culled(device):
    """``tests/test_rasterize_meshes.py``, ``_test_back_face_culling``: a pyramid with and without its back."""
    vertices = [[-0.5, 0.0, 0.5], [0.5, 0.0, 0.5], [0.5, 0.0, 1.5], [-0.5, 0.0, 1.5], [0.0, 1.0, 1.0]]
    meshes = mesh([vertices], [[[2, 1, 0], [3, 2, 0], [1, 0, 4], [2, 4, 3], [3, 4, 0], [1, 4, 2]]], device)
    front = grid("""
        . . . . . . . . . .
        . . . . 2 2 . . . .
        . . . . 2 2 . . . .
        . . . 2 2 2 2 . . .
        . . . 2 2 2 2 . . .
        . . . . . . . . . .
        . . . . . . . . . .
        . . . . . . . . . .
        . . . . . . . . . .
        . . . . . . . . . .
        """)
    both, z, _, _ = rasterize_meshes(meshes, 10, faces_per_pixel=2)
    assert torch.equal(both[0].cpu(), torch.stack([front, torch.where(front == 2, 3, front)], -1).long())
    assert (z[0, ..., 1] >= z[0, ..., 0]).all()
    culled, _, _, _ = rasterize_meshes(meshes, 10, faces_per_pixel=2, cull_backfaces=True)
    assert torch.equal(culled[0, ..., 0].cpu(), front.long()) and (culled[..., 1] == -1).all()


def test_coincident_faces_come_in_their_order(device):
    """``tests/test_rasterize_meshes.py``, ``test_order_of_ties``: a hundred faces in one place, all hundred layers."""
    vertices = [[0.9, -0.9, 2.0], [-0.9, -0.9, 2.0], [0.0, 0.9, 2.0]]
    meshes = mesh([vertices], [[[0, 1, 2]] * 100], device)
    ids = rasterize_meshes(meshes, 6, faces_per_pixel=100, perspective_correct=True)[0]
    seen = ids[ids[..., 0] >= 0]
    assert len(seen) > 5 and torch.equal(seen, torch.arange(100, device=device).expand_as(seen))


@pytest.mark.parametrize("size", [(20, 20), (12, 30), (31, 17)], ids=str)
@pytest.mark.parametrize("perspective", [False, True])
def test_distances_and_weights_by_hand(size, perspective, device):
    """In float64, edge by edge: the square of the distance to the nearest edge, and weights that hit the pixel."""
    generator = torch.Generator().manual_seed(8)
    corners = torch.rand(27, 3, generator=generator, dtype=torch.float64) * 2.6 - 1.3
    corners[:, 2] = corners[:, 2].abs() + 0.5
    faces = torch.arange(27).view(9, 3)
    meshes = mesh([corners.float()], [faces], device)
    ids, zbuf, bary, dists = (
        part[0, :, :, 0].cpu().double()
        for part in rasterize_meshes(meshes, size, faces_per_pixel=1, perspective_correct=perspective)
    )
    height, width = size
    short = min(size)
    x = (width - 1 - 2 * torch.arange(width, dtype=torch.float64)) / short  # +x left
    y = (height - 1 - 2 * torch.arange(height, dtype=torch.float64)) / short
    hits = (ids >= 0).nonzero().tolist()
    assert len(hits) > 40
    for row, column in hits:
        pixel, triangle = torch.stack([x[column], y[row]]), corners[faces[int(ids[row, column])]]
        nearest = math.inf
        for i in range(3):
            a, b = triangle[i, :2], triangle[(i + 1) % 3, :2]
            t = ((pixel - a) @ (b - a) / ((b - a) @ (b - a))).clamp(0, 1)
            nearest = min(nearest, (a + t * (b - a) - pixel).square().sum().item())
        assert abs(-dists[row, column] - nearest) < 1e-5
        weights = bary[row, column]
        linear = weights * triangle[:, 2] if perspective else weights
        if nearest > 1e-4:
            assert ((linear / linear.sum()) @ triangle[:, :2] - pixel).abs().max() < 1e-4
        assert abs(weights @ triangle[:, 2] - zbuf[row, column]) < 1e-5


def scene(device, images=2):
    sphere = fs.procedural.sphere()
    points, faces = torch.from_numpy(sphere.vertices).float(), torch.from_numpy(sphere.faces).long()
    box = fs.procedural.box()
    others = torch.from_numpy(box.vertices).float(), torch.from_numpy(box.faces).long()
    meshes = Meshes([points, others[0] + 0.1][:images], [faces, others[1]][:images]).to(device)
    R = torch.tensor([[-1.0, 0, 0], [0, 0.8, 0.6], [0, 0.6, -0.8]], device=device).mT.contiguous().expand(images, 3, 3)
    return meshes, FoVPerspectiveCameras(R, torch.tensor([[0.1, 0.0, 2.0]], device=device).expand(images, 3), znear=0.1)


@pytest.mark.parametrize("size", [64, (48, 80)], ids=str)
def test_what_is_hit_projects_back_to_the_pixel(size, device):
    meshes, cameras = scene(device)
    rasterizer = MeshRasterizer(cameras, RasterizationSettings(size, faces_per_pixel=3))
    fragments = rasterizer(meshes)
    height, width = (size, size) if isinstance(size, int) else size
    assert fragments.pix_to_face.shape == (2, height, width, 3)
    first = len(meshes.faces[0])
    assert fragments.pix_to_face[0].max() < first <= fragments.pix_to_face[1][fragments.pix_to_face[1] >= 0].min()
    short = min(height, width)
    x = (width - 1 - 2 * torch.arange(width, device=device)) / short
    y = (height - 1 - 2 * torch.arange(height, device=device)) / short
    pixel = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[..., None, :].expand(height, width, 3, 2)
    for i in range(2):
        hit = fragments.pix_to_face[i] >= 0
        assert hit[..., 1].any()
        corners = meshes.verts[i][meshes.faces[i][fragments.pix_to_face[i][hit] - i * first]]
        world = (fragments.bary_coords[i][hit][..., None] * corners).sum(-2)
        ndc = cameras.transform_points_ndc(world[None].expand(2, -1, -1))[i, :, :2]
        assert ((ndc - pixel[hit]).abs().max(-1).values < 2e-3).float().mean() > 0.98  # but for the snapped outline
        view = cameras.get_world_to_view_transform().transform_points(world[None].expand(2, -1, -1))[i, :, 2]
        torch.testing.assert_close(fragments.zbuf[i][hit], view, atol=1e-5, rtol=1e-5)
        assert (fragments.zbuf[i].diff(dim=-1)[hit[..., 1:]] > -1e-5).all()
    detached = fragments.detach()
    assert torch.equal(detached.zbuf, fragments.zbuf)


def test_it_sees_what_the_operator_sees(device):
    """The same camera by hand, in our clip space: the same faces."""
    meshes, cameras = scene(device, images=1)
    ids = MeshRasterizer(cameras, RasterizationSettings(50))(meshes).pix_to_face[0, ..., 0]
    view = cameras.get_world_to_view_transform().transform_points(meshes.verts[0][None])
    x, y, z = view.unbind(-1)
    clip = torch.stack([-x * 3**0.5, -y * 3**0.5, torch.full_like(z, -0.05), z], -1)
    expected = fs.ops.rasterize(clip, meshes.faces[0].int(), (50, 50)).triangle_id[0]
    assert (ids == expected).float().mean() > 0.995 and (ids >= 0).any()


def test_faces_are_cut_where_the_camera_begins(device):
    """A floor that reaches behind the camera is seen up to the bottom row, from `znear` / 2 on or `z_clip_value`."""
    floor = [[-9.0, -1, -5], [9, -1, -5], [9, -1, 50], [-9, -1, 50]]
    meshes = mesh([floor], [[[0, 1, 2], [0, 2, 3]]], device)
    eye = torch.eye(3, device=device)[None]
    cameras = FoVPerspectiveCameras(eye, torch.zeros(1, 3, device=device), fov=90.0, znear=0.2)
    fragments = MeshRasterizer(cameras, RasterizationSettings(33))(meshes)
    depth = fragments.zbuf[0, :, 16, 0]
    rows = torch.arange(33, device=device)
    expected = 1 / ((2 * rows + 1) / 33 - 1)  # y = -1 at this depth
    assert (fragments.pix_to_face[0, 17:, 16, 0] >= 0).all() and (fragments.pix_to_face[0, :17] == -1).all()
    torch.testing.assert_close(depth[17:], expected[17:], rtol=1e-4, atol=0)
    far = MeshRasterizer(cameras, RasterizationSettings(33, z_clip_value=2.0))(meshes)
    assert (far.zbuf[far.pix_to_face >= 0] >= 2.0 - 1e-4).all()
    assert torch.equal(far.pix_to_face[0, :, 16, 0] >= 0, (fragments.zbuf[0, :, 16, 0] > 2.0))
    cameras.znear = torch.tensor([0.2, 0.3], device=device)
    again = MeshRasterizer(cameras, RasterizationSettings(33))(meshes)
    assert torch.equal(again.pix_to_face, fragments.pix_to_face)


def test_orthographic_cameras_and_arguments_of_the_call(device):
    meshes, cameras = scene(device)
    cameras.perspective = False
    settings = SimpleNamespace(**RasterizationSettings(40).__dict__)  # PyTorch3D's own has the same names
    rasterizer = MeshRasterizer(raster_settings=settings)
    with pytest.raises(ValueError, match="`cameras` must be given"):
        rasterizer(meshes)
    fragments = rasterizer(meshes, cameras=cameras)
    hit = fragments.pix_to_face >= 0
    assert hit[0].any() and hit[1].any()
    moved = rasterizer(meshes, cameras=cameras, T=cameras.T + torch.tensor([0.0, 0.0, 1.5], device=device))
    torch.testing.assert_close(moved.zbuf[hit], fragments.zbuf[hit] + 1.5, atol=1e-4, rtol=0)
    smaller = rasterizer(meshes, cameras=cameras, raster_settings=RasterizationSettings(8))
    assert smaller.zbuf.shape == (2, 8, 8, 1)
    assert MeshRasterizer(cameras).to(device).cameras is not cameras


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("part", ["zbuf", "bary_coords", "dists"])
def test_gradients(part, perspective, device):
    """Of depth, weights and distances, against differences at pixels well inside."""
    start = torch.tensor([[-0.8, -0.7, 1.0], [0.9, -0.6, 2.0], [0.1, 0.8, 1.5]], device=device)
    number = ("zbuf", "bary_coords", "dists").index(part) + 1

    def draw(points):
        meshes = Meshes([points], [torch.tensor([[0, 1, 2]], device=device)])
        return rasterize_meshes(meshes, 14, faces_per_pixel=1, perspective_correct=perspective)

    inside = draw(start)[3] < -0.004
    inside &= draw(start)[0] >= 0
    weight = torch.rand(1, 14, 14, 1, 3, device=device)
    if number != 2:
        weight = weight[..., 0]

    def loss(points):
        value = draw(points)[number]
        keep = inside[..., None] if number == 2 else inside
        return torch.where(keep, value * weight, 0).sum()

    points = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(points), points)
    found = torch.zeros_like(start)
    for vertex in range(3):
        for axis in range(3):
            move = torch.zeros_like(start)
            move[vertex, axis] = 2e-3
            found[vertex, axis] = (loss(start + move) - loss(start - move)) / 4e-3
    assert found.abs().max() > 0.1
    torch.testing.assert_close(gradient, found, atol=0.02 * found.abs().max().item(), rtol=0)


def test_a_mesh_is_fitted_through_the_camera(device):
    """Depth seen from one place is matched by moving the mesh: gradients pass through the cameras' transforms."""
    meshes, cameras = scene(device, images=1)
    rasterizer = MeshRasterizer(cameras, RasterizationSettings(24))
    target = rasterizer(meshes)
    offset = torch.tensor([0.1, -0.1, 0.3], device=device, requires_grad=True)
    optimizer = torch.optim.Adam([offset], 0.03)
    losses = []
    for _ in range(30):
        drawn = rasterizer(Meshes([meshes.verts[0] + offset], meshes.faces))
        both = (drawn.pix_to_face >= 0) & (target.pix_to_face >= 0)
        loss = torch.where(both, drawn.zbuf - target.zbuf, 0).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_nothing_waits_for_the_gpu():
    """On fake CUDA tensors: no shape hangs on a value, and nothing is copied back."""
    with FakeTensorMode(allow_non_fake_inputs=True), Watch():
        points = [torch.rand(5, 3, device="cuda", requires_grad=True), torch.rand(4, 3, device="cuda")]
        meshes = Meshes(points, [torch.zeros(k, 3, dtype=torch.int64, device="cuda") for k in (2, 3)])
        for layers in (1, 3):
            ids, _, bary, _ = rasterize_meshes(meshes, 16, faces_per_pixel=layers, perspective_correct=True)
            assert ids.is_cuda and bary.shape == (2, 16, 16, layers, 3)


def test_no_faces(device):
    meshes = mesh([[[0, 0, 1]]], [torch.zeros(0, 3, dtype=torch.int64)], device)
    ids, zbuf, bary, dists = rasterize_meshes(meshes, (3, 4), faces_per_pixel=2)
    assert ids.dtype == torch.int64 and bary.shape == (1, 3, 4, 2, 3)
    for part in (ids, zbuf, bary, dists):
        assert (part == -1).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [({"blur_radius": -0.1}, "`blur_radius` must be 0 or more"), ({"faces_per_pixel": 0}, "must be 1 or more")],
)
def test_errors_say_what_to_do(options, says):
    meshes = mesh([[[0, 0, 1], [1, 0, 1], [0, 1, 1]]], [[[0, 1, 2]]], "cpu")
    with pytest.raises(ValueError, match=says):
        rasterize_meshes(meshes, 4, **options)
    cameras = FoVPerspectiveCameras(torch.eye(3)[None], torch.zeros(1, 3))
    with pytest.raises(ValueError, match="MeshRasterizer.*" + says):
        MeshRasterizer(cameras, RasterizationSettings(4, **options))(meshes)
    broken = Meshes(meshes.verts, [])
    with pytest.raises(ValueError, match="faces of 0"):
        rasterize_meshes(broken, 4)
