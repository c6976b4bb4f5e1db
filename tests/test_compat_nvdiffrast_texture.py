"""nvdiffrast's interface: texture lookups, with mip maps, borders and cube maps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import fastsynth as fs
import fastsynth.compat.nvdiffrast as dr


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
