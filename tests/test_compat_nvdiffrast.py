"""nvdiffrast's interface: its documented conventions, and the kinds of fitting that it is used for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_no_sync import Watch
from test_rasterize import faces_of, soup
from torch._subclasses import FakeTensorMode

import fastsynth as fs
import fastsynth.compat.nvdiffrast as dr
from fastsynth.compat._pixels import seen, weights
from fastsynth.geometry import rotation_from_axis_angle

CONTEXT = dr.RasterizeCudaContext()


def meshes(device, images=2):
    """Triangles in perspective, [B, V, 4] and [F, 3]."""
    clip = torch.stack([torch.from_numpy(soup("large", 12, seed=k)) for k in range(images)])
    return clip.to(device), faces_of(clip[0]).to(device)


def ids_of(rast):
    return rast[..., 3].int() - 1


def test_one_triangle(device):
    """Lower left half of the image, y up: weights, z/w, id + 1 and changes per pixel as they are documented."""
    pos = torch.tensor([[[-1.0, -1, 0.5, 1], [3, -1, 0.5, 1], [-1, 3, 0.5, 1]]], device=device)
    pos = pos * torch.tensor([1.0, 2.0, 3.0], device=device)[:, None]  # w differs: seen in perspective
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, resolution=[4, 8])
    assert rast.shape == rast_db.shape == (1, 4, 8, 4)
    x, y = (torch.arange(8) + 0.5) / 16, (torch.arange(4)[:, None] + 0.5) / 8
    inverse = [(1 - x - y), x / 2, y / 3]  # screen weights over w
    total = sum(inverse)
    expected = torch.stack([inverse[0] / total, inverse[1] / total], -1)
    torch.testing.assert_close(rast[0, ..., :2].cpu(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(rast[0, ..., 2].cpu(), torch.full((4, 8), 0.5))
    assert (rast[..., 3] == 1).all()
    # u = a / total, so du/dX = (a' - u total') / total.
    for corner, change in ((0, (-1 / 16, -1 / 8)), (1, (1 / 32, 0.0))):
        for axis, total_change in enumerate((-1 / 16 + 1 / 32, -1 / 8 + 1 / 24)):
            wanted = (change[axis] - expected[..., corner] * total_change) / total
            torch.testing.assert_close(rast_db[0, ..., 2 * corner + axis].cpu(), wanted, atol=1e-6, rtol=1e-4)


def test_row_0_is_the_bottom_and_the_background_is_0(device):
    pos = torch.tensor([[[-1.0, -1, 0, 1], [1, -1, 0, 1], [0, -0.5, 0, 1]]], device=device)
    tri = torch.tensor([[2, 0, 1]], dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (16, 16))
    seen = rast[0, ..., 3] > 0
    assert seen[:4].any() and not seen[4:].any()
    assert (rast[0][~seen] == 0).all() and (rast_db[0][~seen] == 0).all()


def test_contexts_take_their_arguments(device):
    pos, tri = meshes(device)
    dr.RasterizeCudaContext(device="cuda:0")
    context = dr.RasterizeGLContext(output_db=False, mode="manual", device=device)
    context.set_context()
    rast, rast_db = dr.rasterize(context, pos, tri, (8, 8), grad_db=False)
    context.release_context()
    assert rast_db.shape == (2, 8, 8, 0) and torch.equal(rast, dr.rasterize(CONTEXT, pos, tri, (8, 8))[0])
    with pytest.raises(ValueError, match="`mode` must be"):
        dr.RasterizeGLContext(mode="other")


def test_ranges_are_images_of_their_own(device):
    pos, tri = meshes(device)
    flat, offset = pos.flatten(0, 1), torch.cat([tri, tri + pos.shape[1]])
    ranges = torch.tensor([[0, 12], [12, 12], [5, 4]], dtype=torch.int32)
    rast, rast_db = dr.rasterize(CONTEXT, flat, offset, (40, 30), ranges=ranges)
    one, one_db = dr.rasterize(CONTEXT, pos, tri, (40, 30))
    one[1, ..., 3] += torch.where(one[1, ..., 3] > 0, 12, 0)
    assert torch.equal(rast[:2], one) and torch.equal(rast_db[:2], one_db)
    assert torch.equal(dr.rasterize(CONTEXT, pos, tri, (40, 30), ranges)[1], one_db)  # ignored, as documented
    part, _ = dr.rasterize(CONTEXT, pos[:1], tri[5:9], (40, 30))
    assert torch.equal(ids_of(rast)[2], torch.where(part[0, ..., 3] > 0, ids_of(part)[0] + 5, -1))
    attr = torch.rand(len(flat), 3, device=device)
    values, _ = dr.interpolate(attr, rast, offset)
    again, _ = dr.interpolate(attr.view(2, -1, 3)[:1], one[:1], tri)
    torch.testing.assert_close(values[:1], again)
    image = dr.antialias(values, rast, flat, offset, dr.antialias_construct_topology_hash(offset))
    torch.testing.assert_close(image[:1], dr.antialias(values[:1], one[:1], pos[:1], tri))


def test_ids_beyond_what_a_float_holds():
    """Beyond 2^24 an id is the bits of the float less 0x4a800000, so that neighbours stay apart."""
    ids = torch.tensor([-1, 0, 2**24 - 2, 2**24 - 1, 2**24, 2**24 + 1, 2**28 + 12345], dtype=torch.int32)
    coded = dr._encode(ids)
    assert coded[:4].tolist() == [0, 1, 2**24 - 1, 2**24]
    assert coded[4:].view(torch.int32).tolist() == [int(i) + 1 + 0x4A800000 for i in ids[4:]]
    rast = torch.zeros(1, 1, len(ids), 4)
    rast[0, 0, :, 3] = coded
    assert torch.equal(dr._decode(rast)[0, 0], ids)


@pytest.mark.parametrize("part", ["weights", "changes", "both"])
def test_gradients_of_the_positions(part, device):
    """Of a fixed weighting of all pixels' weights and changes; small steps flip no id."""
    pos = torch.tensor([[[-0.9, -0.8, 0, 1], [1.9, -1.2, 0, 2], [-0.3, 1.2, 0, 1.5]]], device=device)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    size = 12, 12
    cotangent = torch.rand(2, 1, *size, 4, device=device)
    cotangent[0, ..., 2:] = 0
    if part != "both":
        cotangent[0 if part == "changes" else 1] = 0
    cotangent[1] *= 10
    first = dr.rasterize(CONTEXT, pos, tri, size)[0][..., 3]

    def loss(pos):
        rast, rast_db = dr.rasterize(CONTEXT, pos, tri, size)
        inside = (first > 0) & (rast[..., :2].min(-1).values > 0.02) & (rast[..., :2].sum(-1) < 0.98)
        return ((rast * cotangent[0] + rast_db * cotangent[1]) * inside[..., None]).sum()

    pos.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(pos), pos)
    found = torch.zeros_like(pos)
    for vertex in range(3):
        for axis in range(4):
            move = torch.zeros_like(pos)
            move[0, vertex, axis] = 2e-3
            with torch.no_grad():
                found[0, vertex, axis] = (loss(pos + move) - loss(pos - move)) / 4e-3
    assert gradient[..., 2].abs().max() == 0
    torch.testing.assert_close(gradient, found, atol=0.01 * found.abs().max().item(), rtol=0)


def test_grad_db_can_be_left_out(device):
    pos, tri = meshes(device)
    rast, rast_db = dr.rasterize(CONTEXT, pos.requires_grad_(), tri, (8, 8), grad_db=False)
    assert rast.requires_grad and not rast_db.requires_grad
    assert dr.rasterize(CONTEXT, pos, tri, (8, 8))[1].requires_grad


def test_layers_are_peeled(device):
    pos, tri = meshes(device)
    with dr.DepthPeeler(CONTEXT, pos.requires_grad_(), tri, (24, 20)) as peeler:
        layers = [peeler.rasterize_next_layer() for _ in range(13)]
    first, first_db = dr.rasterize(CONTEXT, pos, tri, (24, 20))
    assert torch.equal(layers[0][0], first) and torch.equal(layers[0][1], first_db)
    stack = torch.stack([rast for rast, _ in layers])
    for near, far in zip(stack, stack[1:]):
        both = (near[..., 3] > 0) & (far[..., 3] > 0)
        assert (far[..., 2] >= near[..., 2] - 1e-5)[both].all()
        assert not ((near[..., 3] == 0) & (far[..., 3] > 0)).any()
    assert (stack[-1] == 0).all()
    for k in range(12):  # each triangle is somewhere exactly where it alone is seen
        alone = dr.rasterize(CONTEXT, pos, tri[k : k + 1], (24, 20))[0][..., 3] > 0
        assert torch.equal((stack[..., 3] == k + 1).sum(0), alone.long())
    layers[1][0][..., :2].sum().backward()
    assert pos.grad.abs().sum() > 0
    with pytest.raises(RuntimeError, match="inside its `with`"):
        peeler.rasterize_next_layer()


def test_attributes(device):
    pos, tri = meshes(device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (30, 40))
    attr = torch.rand(2, pos.shape[1], 5, device=device)
    out, empty = dr.interpolate(attr, rast, tri)
    fragments = fs.ops.Fragments(ids_of(rast), rast[..., :2].contiguous(), rast[..., 2].contiguous())
    torch.testing.assert_close(out, fs.ops.interpolate(attr, tri, fragments))
    assert empty.shape == (2, 30, 40, 0)
    _, every = dr.interpolate(attr, rast, tri, rast_db, "all")
    some, chosen = dr.interpolate(attr, rast, tri, rast_db=rast_db, diff_attrs=[3, 0])
    assert every.shape == (2, 30, 40, 10) and torch.equal(some, out)
    assert torch.equal(chosen, every[..., [6, 7, 0, 1]])
    shared, _ = dr.interpolate(attr[:1], rast, tri)
    torch.testing.assert_close(shared, dr.interpolate(attr[:1].expand(2, -1, -1), rast, tri)[0])


def test_changes_of_attributes_are_the_differences_of_neighbours(device):
    pos = torch.tensor([[[-1.0, -1, 0, 1], [6, -2, 0, 2], [-2, 6, 0, 2]]], device=device)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (64, 64))
    attr = torch.tensor([[[0.0, 1], [1, 3], [2, -1]]], device=device)
    out, change = dr.interpolate(attr, rast, tri, rast_db, "all")
    along_x, along_y = (out[:, 1:-1, 2:] - out[:, 1:-1, :-2]) / 2, (out[:, 2:, 1:-1] - out[:, :-2, 1:-1]) / 2
    expected = torch.stack([along_x, along_y], -1).flatten(-2)
    torch.testing.assert_close(change[:, 1:-1, 1:-1], expected, atol=2e-4, rtol=0.01)


@pytest.mark.parametrize("boundary, wrap", [("wrap", "repeat"), ("clamp", "clamp")])
@pytest.mark.parametrize("filter_mode", ["nearest", "linear", "linear-mipmap-linear"])
def test_lookups_are_those_of_the_kernel(filter_mode, boundary, wrap, device):
    tex = torch.rand(2, 8, 16, 3, device=device)
    uv = torch.rand(2, 20, 30, 2, device=device) * 3 - 1
    change = torch.zeros(2, 20, 30, 4, device=device)
    change[..., 0], change[..., 3] = torch.rand(2, 20, 30, device=device), 0.02  # along the axes
    mipped = "mipmap" in filter_mode
    out = dr.texture(tex, uv, change if mipped else None, filter_mode=filter_mode, boundary_mode=boundary)
    levels = fs.ops.mip_chain(tex) if mipped else tex
    plain = "nearest" if filter_mode == "nearest" else "linear"
    expected = fs.ops.texture(levels, uv, change if mipped else None, wrap=wrap, filter=plain)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)


def test_nothing_lies_outside_with_zero(device):
    tex = torch.rand(2, 5, 7, 3, device=device)
    uv = torch.rand(2, 9, 11, 2, device=device) * 2 - 0.5
    out = dr.texture(tex, uv, boundary_mode="zero")
    expected = F.grid_sample(tex.movedim(-1, 1), 2 * uv - 1, align_corners=False).movedim(1, -1)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    near = dr.texture(tex, uv, boundary_mode="zero", filter_mode="nearest")
    inside = ((uv >= 0) & (uv < 1)).all(-1)
    assert (near[~inside] == 0).all() and (near[inside] != 0).any()


def test_auto_means_trilinear_where_a_level_is_known(device):
    tex = torch.rand(1, 8, 8, 2, device=device)
    uv, change = torch.rand(1, 6, 6, 2, device=device), torch.rand(1, 6, 6, 4, device=device)
    bias = torch.full((1, 6, 6), 1.5, device=device)
    assert torch.equal(dr.texture(tex, uv), dr.texture(tex, uv, filter_mode="linear"))
    trilinear = dr.texture(tex, uv, change, filter_mode="linear-mipmap-linear")
    assert torch.equal(dr.texture(tex, uv, change), trilinear)
    levels = fs.ops.mip_chain(tex)
    expected = (dr.texture(levels[1], uv) + dr.texture(levels[2], uv)) / 2
    torch.testing.assert_close(dr.texture(tex, uv, mip_level_bias=bias), expected)
    nearest = dr.texture(tex, uv, mip_level_bias=bias - 0.1, filter_mode="linear-mipmap-nearest")
    torch.testing.assert_close(nearest, dr.texture(levels[1], uv))
    torch.testing.assert_close(dr.texture(tex, uv, mip_level_bias=bias, max_mip_level=1), dr.texture(levels[1], uv))
    assert torch.equal(dr.texture(tex, uv, change, max_mip_level=0), dr.texture(tex, uv))
    with pytest.raises(ValueError, match="needs `uv_da` or `mip_level_bias`"):
        dr.texture(tex, uv, filter_mode="linear-mipmap-linear")


def test_a_footprint_may_be_turned(device):
    """The level hangs on the longer axis of the footprint, whichever way it and the pixels' axes are turned."""
    tex, uv = torch.rand(1, 32, 32, 1, device=device), torch.rand(1, 4, 4, 2, device=device)
    level = []
    for angle in (0.0, 0.4, 1.1):
        turn = torch.tensor([[torch.tensor(angle).cos(), -torch.tensor(angle).sin()]], device=device)
        turn = torch.cat([turn, turn.flip(1) * torch.tensor([-1.0, 1.0], device=device)])
        for other in (torch.eye(2, device=device), turn):
            change = turn @ torch.diag(torch.tensor([4 / 32, 1 / 32], device=device)) @ other
            level.append(dr.texture(tex, uv, change.flatten().expand(1, 4, 4, 4).contiguous()))
    for one in level[1:]:
        torch.testing.assert_close(one, level[0], atol=1e-5, rtol=0)


def test_mip_levels_of_ones_own_and_made_once(device):
    tex = torch.rand(1, 8, 8, 2, device=device).requires_grad_()
    uv, bias = torch.rand(2, 5, 5, 2, device=device), torch.rand(2, 5, 5, device=device) * 3
    whole = dr.texture(tex, uv, mip_level_bias=bias)
    made = dr.texture(tex, uv, mip_level_bias=bias, mip=dr.texture_construct_mip(tex))
    assert torch.equal(made, whole)
    grads = [torch.autograd.grad(out.square().sum(), tex)[0] for out in (whole, made)]
    torch.testing.assert_close(*grads)
    own = [level.detach().clone().requires_grad_() for level in fs.ops.mip_chain(tex)[1:]]
    mine = dr.texture(tex, uv, mip_level_bias=bias, mip=own)
    torch.testing.assert_close(mine, whole)
    mine.sum().backward()
    assert all(level.grad.abs().sum() > 0 for level in own)
    limited = dr.texture_construct_mip(tex, max_mip_level=1)
    assert torch.equal(dr.texture(tex, uv, None, bias, limited), dr.texture(tex, uv, None, bias, max_mip_level=1))
    for size, channels in ((4, 3), (3, 2)):
        with pytest.raises(ValueError, match="level 1 must have"):
            dr.texture(tex, uv, mip_level_bias=bias, mip=[torch.zeros(1, size, size, channels, device=device)])


@pytest.mark.parametrize("boundary", ["zero", "cube"])
@pytest.mark.parametrize("size", [1, 9, 16])
def test_a_level_is_a_texture_of_its_own(size, boundary, device):
    """A whole level is that level's texture, and a level between two is halfway between them."""
    cube = boundary == "cube"
    tex = torch.rand(2, *((6,) if cube else ()), size, size, 3, device=device)
    at = torch.rand(2, 30, 20, 3 if cube else 2, device=device) * 4 - 2
    levels = [tex]
    while levels[-1].shape[-2] > 1:
        flat = levels[-1].flatten(0, -4).movedim(-1, 1)
        half = F.adaptive_avg_pool2d(flat, flat.shape[-1] // 2).movedim(1, -1)
        levels.append(half.unflatten(0, tex.shape[:-3]))
    alone = [dr.texture(level, at, boundary_mode=boundary) for level in levels]
    for number, (fine, coarse) in enumerate(zip(alone, [*alone[1:], alone[-1]], strict=True)):
        for part in (0.0, 0.25):
            bias = torch.full((2, 30, 20), number + part, device=device)
            out = dr.texture(tex, at, mip_level_bias=bias, boundary_mode=boundary)
            torch.testing.assert_close(out, fine + part * (coarse - fine), atol=2e-5, rtol=0)
            nearest = dr.texture(tex, at, None, bias, filter_mode="linear-mipmap-nearest", boundary_mode=boundary)
            torch.testing.assert_close(nearest, fine, atol=2e-5, rtol=0)


@pytest.mark.parametrize("shared", [False, True])
def test_weights_by_triangle_are_those_by_pixel(shared, device):
    """What is made once for each triangle says what each pixel's own intersection says."""
    pos, tri = meshes(device)
    clip = pos[:1] if shared else pos
    ids = fs.ops.rasterize(pos, tri, (30, 40)).triangle_id
    if shared:
        ids[1] = ids[0]
    clip.requires_grad_()
    found, (corners, hit) = weights(clip, tri, ids), seen(clip, tri, ids)
    there = ids >= 0
    torch.testing.assert_close(found.first[there], hit.weights[..., 0][there], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.second[there], hit.weights[..., 1][there], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.second_x[there], hit.change_x[..., 0][there], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.first_y[there], -hit.change_y.sum(-1)[there], atol=1e-5, rtol=1e-4)
    z, w = (hit.weights[..., None] * corners[..., 2:]).sum(-2).unbind(-1)
    torch.testing.assert_close(found.depth[there], (z / w)[there], atol=1e-5, rtol=1e-5)
    for part in found[:-1]:
        assert part.isfinite().all()
    ours, theirs = (torch.autograd.grad(part[there].sum(), clip)[0] for part in (found.first, hit.weights[..., 0]))
    torch.testing.assert_close(ours, theirs, atol=1e-3 * theirs.abs().max().item(), rtol=0)


def directions(size, device):
    """The direction of every texel of a cube map, [1, 6, s, s, 3], by OpenGL 4.6, table 8.19."""
    s = (2 * torch.arange(size, device=device) + 1) / size - 1
    t, s = torch.meshgrid(s, s, indexing="ij")
    one = torch.ones_like(s)
    faces = [(one, -t, -s), (-one, -t, s), (s, one, t), (s, -one, -t), (s, -t, one), (-s, -t, -one)]
    return torch.stack([torch.stack(face, -1) for face in faces])[None]


def test_cube_maps_are_opengls(device):
    at = directions(8, device)
    tex = torch.rand(1, 6, 8, 8, 3, device=device)
    for mode in ("nearest", "linear"):
        out = dr.texture(tex, at.flatten(1, 2) * 2.5, filter_mode=mode, boundary_mode="cube")
        torch.testing.assert_close(out.view_as(tex), tex, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 9, 32])
def test_cube_maps_have_no_seams(size, device):
    """Small steps of the direction are small steps of the value, across edges and corners too."""
    tex = torch.rand(1, 6, size, size, 1, device=device)
    turn = torch.linspace(0, 6.2832, 4001, device=device)
    for axis in range(3):
        for height in (0.0, 0.6, 0.99, 1.0):
            circle = torch.stack([turn.cos(), turn.sin(), torch.full_like(turn, height)], -1).roll(axis, -1)
            value = dr.texture(tex, circle[None, None], boundary_mode="cube")[0, 0, :, 0]
            assert value.diff().abs().max() < 0.0016 * 1.5 * (size + 1) + 1e-4


def test_a_smooth_function_in_a_cube_map(device):
    """A lookup of a map of directions gives the direction, nearly, on every face and with mip maps."""
    tex = F.normalize(directions(32, device), dim=-1)
    at = F.normalize(torch.randn(1, 40, 40, 3, device=device), dim=-1)
    assert (dr.texture(tex, at, boundary_mode="cube") - at).abs().max() < 0.01
    change = torch.zeros(1, 40, 40, 6, device=device)
    change[..., :2], change[..., 2:4] = 0.04, -0.03
    assert (dr.texture(tex, at, change, boundary_mode="cube") - at).abs().max() < 0.06
    # The level: a change of the direction by one texel at the middle of a face is level 0, by two is level 1.
    noise, ahead = torch.rand(1, 6, 16, 16, 1, device=device), torch.tensor([0.03, 0.05, 1.0], device=device)
    for texels, level in ((1.0, 0), (2.0, 1), (4.0, 2)):
        step = torch.zeros(1, 1, 1, 6, device=device)
        step[..., 0] = step[..., 3] = texels * 2 / 16
        out = dr.texture(noise, ahead.view(1, 1, 1, 3), step, boundary_mode="cube")
        bias = torch.full((1, 1, 1), float(level), device=device)
        expected = dr.texture(noise, ahead.view(1, 1, 1, 3), mip_level_bias=bias, boundary_mode="cube")
        torch.testing.assert_close(out, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("mode", ["linear", "linear-mipmap-linear"])
def test_no_direction_gives_zero_and_no_gradient(mode, device):
    """Documented: what a cube map is asked in no direction is 0."""
    tex = (torch.rand(1, 6, 8, 8, 3, device=device) + 1).requires_grad_()
    at = torch.ones(1, 2, 2, 3, device=device)
    at[0, 0, 0], at[0, 1, 1, 2] = 0, float("inf")
    change = torch.full((1, 2, 2, 6), 0.1, device=device).requires_grad_()
    at.requires_grad_()
    out = dr.texture(tex, at, change, filter_mode=mode, boundary_mode="cube")
    assert (out[0, 0, 0] == 0).all() and (out[0, 1, 1] == 0).all() and (out[0, 0, 1] >= 1).all()
    out.sum().backward()
    assert (at.grad[0, 0, 0] == 0).all() and at.grad.isfinite().all() and tex.grad.isfinite().all()
    assert change.grad is None or change.grad.isfinite().all()


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero", "cube"])
def test_gradients_of_lookups(boundary, device):
    cube = boundary == "cube"
    tex = torch.rand(1, *((6,) if cube else ()), 8, 8, 2, device=device).requires_grad_()
    uv = torch.rand(1, 12, 12, 3 if cube else 2, device=device) * 0.8 + 0.1
    change = torch.rand(1, 12, 12, 6 if cube else 4, device=device) * 0.4 + 0.02
    bias = torch.rand(1, 12, 12, device=device) * 0.1
    inputs = [each.requires_grad_() for each in (uv, change, bias)]
    cotangent = torch.rand(1, 12, 12, 2, device=device)

    def loss(uv, change, bias):
        return (dr.texture(tex, uv, change, bias, boundary_mode=boundary) * cotangent).sum()

    value = loss(*inputs)
    of_tex, *gradients = torch.autograd.grad(value, [tex, *inputs])
    torch.testing.assert_close((of_tex * tex).sum(), value)  # linear in the texels
    step = 1e-3
    for number, gradient in enumerate(gradients):
        way = torch.rand_like(inputs[number]) - 0.5
        moved = [[x + sign * step * way if i == number else x for i, x in enumerate(inputs)] for sign in (1, -1)]
        with torch.no_grad():
            found = (loss(*moved[0]) - loss(*moved[1])) / (2 * step)
        expected = (gradient * way).sum()
        assert abs(found - expected) < 0.03 * (gradient * way).abs().sum() + 1e-3


def test_the_gradient_of_positions_is_boosted(device):
    pos, tri = meshes(device)
    pos = pos.requires_grad_()
    rast, _ = dr.rasterize(CONTEXT, pos, tri, (30, 30))
    color = torch.rand(2, 30, 30, 3, device=device)
    one = dr.antialias(color, rast, pos, tri)
    three = dr.antialias(color, rast, pos, tri, pos_gradient_boost=3.0)
    assert torch.equal(one, three) and (one != color).any()
    grads = [torch.autograd.grad(image.square().sum(), pos)[0] for image in (one, three)]
    torch.testing.assert_close(3 * grads[0], grads[1], atol=1e-4, rtol=1e-4)


def test_nothing_waits_for_the_gpu():
    """On fake CUDA tensors: no shape hangs on a value, and nothing is copied back."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        pos = torch.rand(2, 9, 4, device="cuda", requires_grad=True)
        tri = torch.zeros(3, 3, dtype=torch.int32, device="cuda")
        tex = torch.rand(1, 8, 8, 3, device="cuda", requires_grad=True)
        sky = torch.rand(1, 6, 8, 8, 3, device="cuda", requires_grad=True)
        with Watch():
            rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (16, 16))
            at, change = dr.interpolate(pos, rast, tri, rast_db, "all")
            image = dr.texture(tex, at[..., :2], change[..., :4])
            image = image + dr.texture(sky, at[..., :3], change[..., :6], boundary_mode="cube")
            image = dr.antialias(image, rast, pos, tri)
            with dr.DepthPeeler(CONTEXT, pos, tri, (16, 16)) as peeler:
                image = image + peeler.rasterize_next_layer()[0][..., :3] + peeler.rasterize_next_layer()[0][..., :3]
        assert image.shape == (2, 16, 16, 3) and image.is_cuda


def test_nothing_to_draw(device):
    pos, tri = torch.ones(2, 3, 4, device=device), torch.zeros(0, 3, dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (4, 5))
    assert rast.shape == rast_db.shape == (2, 4, 5, 4) and (rast == 0).all()
    out, change = dr.interpolate(torch.ones(2, 3, 2, device=device), rast, tri, rast_db, [1])
    assert out.shape == (2, 4, 5, 2) and change.shape == (2, 4, 5, 2)
    assert torch.equal(dr.antialias(out, rast, pos, tri), out)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dr.rasterize(CONTEXT, torch.zeros(3, 4), TRI, (4, 4)), "needs `ranges`"),
        (lambda: dr.rasterize(CONTEXT, torch.zeros(1, 3, 4), TRI.long(), (4, 4)), "`tri` must be torch.int32"),
        (lambda: dr.interpolate(torch.zeros(3, 3, 1), torch.zeros(1, 2, 2, 4), TRI), "must have 1 image or B = 1"),
        (
            lambda: dr.interpolate(torch.zeros(1, 3, 1), torch.zeros(1, 2, 2, 4), TRI, diff_attrs="all"),
            "needs `rast_db`",
        ),
        (lambda: dr.texture(torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 2), filter_mode="x"), "`filter_mode` must"),
        (lambda: dr.texture(torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 3)), r"`uv` must have shape \[B, H, W, 2\]"),
        (
            lambda: dr.texture(torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 3), boundary_mode="cube"),
            r"`tex` must have shape \[A, 6, s, s, C\]",
        ),
    ],
)
def test_errors_say_what_to_do(call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call()


TRI = torch.tensor([[0, 1, 2]], dtype=torch.int32)


# In the spirit of what nvdiffrast is shown with: shapes, poses and reflections found from images ----------------------


@pytest.fixture
def one_thread():
    """So small an image is shared among threads at a loss."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cube(device):
    """Corners [8, 3], faces [12, 3] that share them, and for each face the number of its side [12]."""
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)], device=device)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [[s[i] for i in part] for s in sides for part in ((0, 1, 2), (0, 2, 3))]
    return corners, torch.tensor(faces, dtype=torch.int32, device=device), torch.arange(12, device=device) // 2


def to_clip(points, rotation, distance=4.0):
    """Points [V, 3] turned by each rotation [B, 3, 3], seen by OpenGL's camera: [B, V, 4]."""
    x, y, z = (points @ rotation.mT).unbind(-1)
    depth = distance - z
    return torch.stack([2 * x, 2 * y, (depth - 2.0) * 2 - depth, depth], -1)


def rotation(vector):
    """By the length of each vector [rad] about it, [B, 3, 3]."""
    angle = vector.norm(dim=-1)
    return rotation_from_axis_angle(vector / angle[..., None], angle)


def turns(count, generator):
    return rotation(torch.randn(count, 3, generator=generator) * 1.5)


def test_a_cube_is_found_in_small_images(device, one_thread):
    """Positions and colours of its corners, from images of 16 x 16 pixels."""
    generator = torch.Generator().manual_seed(3)
    corners, faces, _ = cube(device)
    colors = (corners + 1) / 2
    hash_ = dr.antialias_construct_topology_hash(faces)

    def draw(points, colors, turn):
        clip = to_clip(points, turn)
        rast, _ = dr.rasterize(CONTEXT, clip, faces, (16, 16))
        image, _ = dr.interpolate(colors[None], rast, faces)
        return dr.antialias(image, rast, clip, faces, hash_)

    points = (corners + 0.35 * torch.randn(8, 3, generator=generator).to(device)).requires_grad_()
    guess = torch.full((8, 3), 0.5, device=device, requires_grad=True)
    first = (points - corners).norm(dim=1).mean().item()
    optimizer = torch.optim.Adam([points, guess], 0.02)
    for step in range(150):
        turn = turns(8, generator).to(device)
        loss = (draw(points, guess, turn) - draw(corners, colors, turn)).square().mean()
        optimizer.param_groups[0]["lr"] = 0.02 * 0.1 ** (step / 150)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = (points - corners).norm(dim=1).mean().item()
    print(f"corners: {first:.3f} to {last:.4f}; colours off by {(guess - colors).abs().mean():.4f}")
    assert last < 0.1 * first and (guess - colors).abs().mean() < 0.08


def test_a_pose_is_found(device, one_thread):
    """The rotation of a cube with sides in six colours, from one image, 35 degrees away."""
    corners, faces, side = cube(device)
    palette = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]], device=device)
    color_faces = side.int()[:, None].expand(12, 3).contiguous()  # other indices than the positions'

    def draw(turn):
        clip = to_clip(corners, turn)
        rast, _ = dr.rasterize(CONTEXT, clip, faces, (48, 48))
        image, _ = dr.interpolate(palette[None], rast, color_faces)
        return dr.antialias(image, rast, clip, faces)

    truth = rotation(torch.tensor([[0.5, -0.4, 0.3]], device=device))
    target = draw(truth)
    turn = torch.tensor([[0.1, -0.05, 0.6]], device=device, requires_grad=True)

    def error(turn):
        return ((((rotation(turn) * truth).sum() - 1) / 2).clamp(-1, 1).acos() * 57.2958).item()

    first = error(turn)
    optimizer = torch.optim.Adam([turn], 0.03)
    for _ in range(100):
        optimizer.zero_grad()
        (draw(rotation(turn)) - target).square().mean().backward()
        optimizer.step()
    print(f"pose: {first:.1f} to {error(turn):.2f} degrees")
    assert first > 25 and error(turn) < 1.0


def test_an_environment_and_a_gloss_are_found(device, one_thread):
    """A sphere that mirrors a cube map and has a Phong highlight: both from images."""
    generator = torch.Generator().manual_seed(5)
    sphere = fs.procedural.sphere()
    points = torch.from_numpy(sphere.vertices).float().to(device)
    points = points / points.norm(dim=1, keepdim=True).amax()
    faces = torch.from_numpy(sphere.faces).int().to(device)
    normals = F.normalize(torch.from_numpy(sphere.normals).float().to(device), dim=1)
    light = F.normalize(torch.tensor([0.4, 0.6, 0.7], device=device), dim=0)

    def draw(sky, gloss, turn):
        clip = to_clip(points, turn, distance=4.0)
        rast, rast_db = dr.rasterize(CONTEXT, clip, faces, (32, 32))
        position = points @ turn.mT
        view = F.normalize(position - torch.tensor([0.0, 0, 4.0], device=device), dim=-1)
        normal = normals @ turn.mT
        mirrored = view - 2 * (view * normal).sum(-1, keepdim=True) * normal
        into_world = mirrored @ turn  # the sky turns with the sphere
        both, change = dr.interpolate(torch.cat([into_world, mirrored], -1), rast, faces, rast_db, [0, 1, 2])
        image = dr.texture(sky, both[..., :3], change, filter_mode="linear-mipmap-linear", boundary_mode="cube")
        shine = (F.normalize(both[..., 3:], dim=-1, eps=1e-6) * light).sum(-1, keepdim=True).clamp(min=1e-4)
        image = image + gloss[0] * shine ** (20 * gloss[1])
        return torch.where(rast[..., 3:] > 0, image, 0)

    at = F.normalize(directions(16, device), dim=-1)
    truth = 0.5 + 0.4 * torch.sin(5 * at)
    gloss = torch.tensor([0.8, 0.6], device=device)
    sky = torch.full_like(truth, 0.5).requires_grad_()
    guess = torch.tensor([0.3, 0.2], device=device, requires_grad=True)
    optimizer = torch.optim.Adam([sky, guess], 0.05)
    losses = []
    for _ in range(45):
        turn = turns(3, generator).to(device)
        with torch.no_grad():
            target = draw(truth, gloss, turn)
        loss = (draw(sky, guess, turn) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    first, last = losses[0], sum(losses[-5:]) / 5
    print(f"environment: loss {first:.4f} to {last:.6f}, gloss {guess.tolist()}")
    assert last < 0.02 * first and (guess - gloss).abs().max() < 0.1
