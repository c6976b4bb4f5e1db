"""Deformations: known answers, gradients, normals against the surface itself, and the kernel against the functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import fastsynth as fs
from fastsynth import deform, ops
from fastsynth.deform.normals import cross, unit

F64 = torch.float64


def numbers(*shape, scale=1.0, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed)
    return ((torch.rand(*shape, generator=generator, dtype=F64) * 2 - 1) * scale).to(dtype)


def box_of(points):
    return points.amin(-2), points.amax(-2)


@pytest.mark.parametrize("basis", ["bernstein", "trilinear"])
@pytest.mark.parametrize("size", [(2, 2, 2), (4, 4, 4), (2, 3, 5)])
def test_offsets_that_are_affine_deform_affinely(basis, size):
    points = numbers(2, 30, 3)
    low, high = torch.full((2, 3), -1.0, dtype=F64), torch.full((2, 3), 1.0, dtype=F64)
    grid = torch.stack(torch.meshgrid(*(torch.linspace(-1, 1, n, dtype=F64) for n in size), indexing="ij"), -1)
    linear, shift = numbers(3, 3, seed=1), numbers(3, seed=2)
    offsets = grid @ linear.T + shift
    moved = deform.lattice(points, offsets, low, high, basis=basis)
    torch.testing.assert_close(moved, points + points @ linear.T + shift)


def test_bernstein_is_the_papers_sum():
    points, offsets = numbers(7, 3), numbers(4, 3, 2, 3, scale=0.3, seed=1)
    low, high = torch.full((3,), -1.0, dtype=F64), torch.full((3,), 1.0, dtype=F64)
    axes = [torch.linspace(-1, 1, n, dtype=F64) for n in (4, 3, 2)]
    control = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) + offsets
    expected = torch.zeros_like(points)
    for p, point in enumerate(points):
        place = (point + 1) / 2
        weights = [
            [torch.distributions.Binomial(n - 1, place[a]).log_prob(torch.tensor(float(i))).exp() for i in range(n)]
            for a, n in enumerate((4, 3, 2))
        ]
        for i in range(4):
            for j in range(3):
                for k in range(2):
                    expected[p] += weights[0][i] * weights[1][j] * weights[2][k] * control[i, j, k]
    torch.testing.assert_close(deform.lattice(points, offsets, low, high), expected)


@pytest.mark.parametrize("basis", ["bernstein", "trilinear"])
def test_a_point_outside_moves_with_the_nearest_of_the_box(basis):
    offsets, low, high = numbers(3, 3, 3, 3), torch.zeros(3, dtype=F64), torch.ones(3, dtype=F64)
    inside, outside = torch.tensor([[1.0, 0.4, 0.0]], dtype=F64), torch.tensor([[3.0, 0.4, -2.0]], dtype=F64)
    a, b = (deform.lattice(p, offsets, low, high, basis=basis) - p for p in (inside, outside))
    torch.testing.assert_close(a, b)


def step(name, points, normals):
    """One deformation of points and normals, of random parameters."""
    low, high = torch.full((3,), -1.0, dtype=F64), torch.full((3,), 1.0, dtype=F64)
    if name in ("bernstein", "trilinear"):
        return deform.lattice_with_normals(points, normals, numbers(4, 3, 4, 3, scale=0.2), low, high, basis=name)
    if name == "twist":
        return deform.twist(points, normals, unit(numbers(3)), numbers(3, seed=3), torch.tensor(0.7, dtype=F64))
    return deform.dent(points, normals, numbers(3, seed=4), numbers(3, scale=0.4), torch.tensor(1.5, dtype=F64))


STEPS = ["bernstein", "trilinear", "twist", "dent"]


@pytest.mark.parametrize("name", STEPS)
def test_normals_are_those_of_the_deformed_surface(name):
    """Two tangents of the deformed surface, by differences, are perpendicular to the normal that is given."""
    points, normals = numbers(50, 3, scale=0.9), unit(numbers(50, 3, seed=1))
    first = unit(cross(normals, unit(numbers(50, 3, seed=2))))
    second, h = cross(normals, first), 1e-6
    _, turned = step(name, points, normals)
    tangents = [
        (step(name, points + h * t, normals)[0] - step(name, points - h * t, normals)[0]) for t in (first, second)
    ]
    expected = unit(cross(*tangents))
    # A cell's border has two normals.
    agree = (expected - turned).abs().amax(-1) < 1e-6
    assert agree.sum() >= (50 if name != "trilinear" else 49)


@pytest.mark.parametrize("name", STEPS)
def test_gradients(name):
    """The specification's test: control points, parameters and points, against differences in float64."""
    points, normals = numbers(2, 5, 3, scale=0.7, seed=7), unit(numbers(2, 5, 3, seed=1))
    low, high = torch.full((2, 3), -1.1, dtype=F64), torch.full((2, 3), 1.2, dtype=F64)
    if name in ("bernstein", "trilinear"):
        given = (points, normals, numbers(2, 3, 2, 4, 3, scale=0.2), low, high)
        function = lambda *given: deform.lattice_with_normals(*given, basis=name)  # noqa: E731
    elif name == "twist":
        given, function = (
            (points, normals, unit(numbers(2, 3)), numbers(2, 3, seed=3), numbers(2, seed=5)),
            deform.twist,
        )
    else:
        given = (points, normals, numbers(2, 3, seed=4), numbers(2, 3, scale=0.4), 2 + numbers(2, seed=5))
        function = deform.dent
    assert gradcheck(function, [value.requires_grad_() for value in given])


def test_gradients_of_the_other_functions():
    mean, basis, sigma = numbers(6, 3), numbers(4, 6, 3, seed=1), 1 + numbers(4, seed=2, scale=0.5)
    given = [value.requires_grad_() for value in (mean, basis, sigma, numbers(2, 4, seed=3))]
    assert gradcheck(deform.pca_shape, given)
    points, strength = (numbers(2, 6, 3) + 3).requires_grad_(), numbers(6, seed=1).requires_grad_()
    axis, pivot, angle = unit(numbers(2, 3, seed=2)), numbers(2, 3, seed=3), numbers(2, seed=4)
    assert gradcheck(deform.rotate_loops, [points, strength, *(v.requires_grad_() for v in (axis, pivot, angle))])
    ball = [numbers(2, 3), 2 + numbers(2, scale=0.1), numbers(2, 3, seed=5) + 1, 1.9 + numbers(2, scale=0.1, seed=6)]
    wrap = lambda points, *ball: deform.shrink_wrap(points, deform.Ball(*ball), gap=0.1)  # noqa: E731
    assert gradcheck(wrap, [points, *(value.requires_grad_() for value in ball)])
    cube = fs.procedural.tessellated(fs.procedural.box(), 0.8)
    mesh = deform.topology(cube.faces, cube.vertices, cube.normals)
    bent = torch.tensor(cube.vertices) + numbers(len(cube.vertices), 3, scale=0.02)
    for weight in ("area", "angle"):
        make = lambda points, weight=weight: deform.vertex_normals(points, mesh, weight=weight)  # noqa: E731
        assert gradcheck(make, bent[None].requires_grad_())


@pytest.mark.parametrize("weight", ["area", "angle"])
def test_normals_from_faces_keep_creases_and_hide_seams(weight):
    for mesh in (fs.procedural.sphere(), fs.procedural.cylinder(), fs.procedural.box()):
        at = deform.topology(mesh.faces, mesh.vertices, mesh.normals)
        made = deform.vertex_normals(torch.tensor(mesh.vertices), at, weight=weight)
        used = torch.tensor(np.unique(mesh.faces))
        cosine = (made * torch.tensor(mesh.normals)).sum(-1)[used]
        assert cosine.min() > 0.996, mesh.name
        _, place = np.unique(np.concatenate([mesh.vertices, mesh.normals.round(4)], 1), axis=0, return_inverse=True)
        for row in range(place.max() + 1):  # both sides of a seam are one
            same = made[torch.tensor(place.reshape(-1) == row)]
            assert torch.equal(same, same[:1].expand_as(same))


def test_a_ball_is_met_where_a_ray_meets_it():
    direction = unit(numbers(2000, 3))
    ball = deform.Ball(torch.zeros(3, dtype=F64), torch.tensor(12.0, dtype=F64),
                       torch.tensor([0.0, -5.7, 0.0], dtype=F64), torch.tensor(7.8, dtype=F64))  # fmt: skip
    surface = direction * deform.onto_ball(direction, ball)[:, None]
    assert ball.bulge_centre is not None
    to_sphere, to_bulge = surface.norm(dim=-1) - 12.0, (surface - ball.bulge_centre).norm(dim=-1) - 7.8
    torch.testing.assert_close(torch.minimum(to_sphere.abs(), to_bulge.abs()), torch.zeros(2000, dtype=F64))
    assert (torch.maximum(to_sphere, -to_sphere) < 2).all() and (to_sphere > -1e-9).all() and (to_bulge > -1e-9).all()
    assert (to_sphere > 0.1).any()


def test_the_kernel_computes_the_functions():
    data = torch.cat([numbers(40, 3), unit(numbers(40, 3, seed=1)), numbers(40, 2, seed=2)], 1).float()
    first, count = torch.tensor([0, 25], dtype=torch.int32), torch.tensor([25, 15], dtype=torch.int32)
    low, high = torch.full((2, 3), -0.8), torch.full((2, 3), 0.9)
    high[1, 2] = low[1, 2]  # flat
    rows = torch.minimum(torch.arange(30), count[:, None] - 1) + first[:, None]
    points, normals = data[rows][..., :3], data[rows][..., 3:6]
    bends, offsets = [], numbers(2, 4, 3, 5, 3, scale=0.2, dtype=torch.float32)
    axis, centre, rate = unit(numbers(2, 3)).float(), numbers(2, 3, seed=3).float(), torch.tensor([0.9, -30.0])
    push, radius = numbers(2, 3, seed=4, scale=0.3).float(), torch.tensor([0.8, 1.5])
    for basis in ("bernstein", "trilinear"):
        bends.append(ops.bend_lattice(offsets, low, high, basis))
        points, normals = deform.lattice_with_normals(points, normals, offsets, low, high, basis=basis)
    bends += [ops.bend_twist(axis, centre, rate), ops.bend_dent(centre, push, radius)]
    points, normals = deform.twist(points, normals, axis, centre, rate)
    points, normals = deform.dent(points, normals, centre, push, radius)
    bends.append(ops.bend_dent(-centre, push, radius))  # a fifth step: a second call
    points, normals = deform.dent(points, normals, -centre, push, radius)
    made = ops.deform(data, first, count, bends, 30)
    used = torch.arange(30) < count[:, None]
    torch.testing.assert_close(made[..., :3][used], points[used], atol=2e-5, rtol=0)
    close = (made[..., 3:6] - normals).abs().amax(-1) < 2e-3
    assert close[used].float().mean() > 0.95  # but where a cell of the trilinear lattice ends
    assert torch.equal(made[..., 6:][used], data[rows][..., 6:][used]) and (made[~used] == 0).all()
    alone = ops.deform(data, first[1:], count[1:], [b._replace(numbers=b.numbers[1:]) for b in bends], 30)
    assert torch.equal(alone, made[1:])


def test_copies_of_nothing_are_zeros():
    row, one, push = torch.zeros(1).int(), torch.ones(1).int(), [ops.bend_dent(*torch.ones(2, 1, 3), torch.ones(1))]
    torch.full((1, 4, 8), 7.0)  # what lies in memory
    assert torch.equal(ops.deform(torch.zeros(0, 8), row, one, push, 4), torch.zeros(1, 4, 8))


def test_errors_say_what_is_wanted():
    points, corner = torch.zeros(3, 3), torch.zeros(3)
    with pytest.raises(ValueError, match="`basis` must be one of"):
        deform.lattice(points, torch.zeros(2, 2, 2, 3), corner, corner, basis="cubic")
    with pytest.raises(ValueError, match="two or more control points"):
        deform.lattice(points, torch.zeros(1, 2, 2, 3), corner, corner)
    with pytest.raises(ValueError, match="one for each component"):
        deform.pca_shape(points, torch.zeros(2, 3, 3), torch.ones(2), torch.zeros(5))
    with pytest.raises(ValueError, match="`weight` must be"):
        deform.vertex_normals(torch.eye(3), deform.topology(np.array([[0, 1, 2]]), np.eye(3)), weight="none")
    with pytest.raises(ValueError, match="at least one step"):
        ops.deform(torch.zeros(1, 8), torch.zeros(1).int(), torch.ones(1).int(), [], 1)
    with pytest.raises(ValueError, match="2 to 5 control points along each side with the bernstein"):
        ops.bend_lattice(torch.zeros(1, 6, 2, 2, 3), torch.zeros(1, 3), torch.ones(1, 3))
    faces, rows = torch.zeros(1, 4).int(), torch.tensor([[0, 1, 0, 1]]).int()
    push = ops.bend_dent(*torch.ones(2, 1, 3), torch.ones(1))
    wide = push._replace(numbers=push.numbers.double())
    with pytest.raises(TypeError, match="`numbers` must be torch.float32"):
        ops.deform_copies(torch.zeros(1, 8), faces, torch.zeros(1, 3), rows, [wide], 1, 1)
    with pytest.raises(ValueError, match="`vertices` must be at least 1"):
        ops.deform_copies(torch.zeros(1, 8), faces, torch.zeros(1, 3), rows, [push], 0, 1)
    with pytest.raises(ValueError, match="must be at least"):
        fs.procedural.tessellated(fs.procedural.box(), 0.0)
