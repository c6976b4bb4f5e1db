"""What every differentiable op owes: the gradients of a slow reference, the same bits every time, clear errors."""

import pytest
import reference_gradients as reference
import torch
from gradient_cases import (
    CASES,
    FACES,
    IDS,
    INT,
    NONE,
    ONE_OF_EACH,
    OPS,
    as_double,
    by,
    gradients,
    leaves,
    numbers,
    rand,
    rasterized,
    same_bits,
    triangles,
)
from test_rasterize import KINDS

import fastsynth as fs


def assert_close(actual, expected):
    """Within 1e-4, or 1e-5 of the largest."""
    for a, b in zip(actual, expected, strict=True):
        largest = float(b.abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a, b.to(a.dtype), rtol=1e-4, atol=1e-5 * largest + 1e-30)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_reference(name):
    op, arguments = CASES[name]
    arguments = leaves(as_double(arguments))
    out = getattr(reference, op)(*(arguments[:-1] if op == "develop" else arguments))
    expected = torch.autograd.grad(
        out, by(name, arguments), (rand(*out.shape, seed=5) - 0.5).double(), materialize_grads=True
    )
    assert_close(gradients(name), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_rasterize_are_those_of_the_reference(kind):
    clip, faces, (ids, barycentric, depth) = triangles(kind)
    b = clip.double().requires_grad_()
    expected_barycentric, expected_depth = reference.rasterize(b, faces, ids)
    # At an edge it is rounding that decides whether a weight is held to [0, 1].
    weights = torch.cat([expected_barycentric, 1 - expected_barycentric.sum(-1, keepdim=True)], -1).detach()
    decided = ((weights > 1e-5) & (weights < 1 - 1e-5)).all(-1)
    given = (rand(*barycentric.shape, seed=1) - 0.5) * decided[..., None], (rand(*depth.shape, seed=2) - 0.5) * decided
    actual = rasterized(clip, faces, ids, given)
    (expected,) = torch.autograd.grad((expected_barycentric, expected_depth), b, [g.double() for g in given])
    assert (actual[..., 2] == 0).all() and (actual != 0).any()
    error = (actual - expected).abs().amax(-1) / (expected.abs().amax(-1) + 1e-30)
    error = error[expected.abs().amax(-1) > 0]
    if kind in ("large", "off-screen"):
        assert (error <= 1e-4).all()
    # Float32 holds less of the slopes of triangles whose sides all but coincide.
    assert error.median() <= 5e-5 and error.quantile(0.9) <= 1e-3 and (error <= 0.05).all()


def outside(pixel_shift, given):
    """Gradient of a pixel that is covered because the triangle's edge, so much to the right, snaps to its centre."""
    w, h = 8, 8
    x = 2 * (2.5 + pixel_shift) / w - 1  # of the left edge: it snaps to the centre of column 2
    ndc, depth = torch.tensor([[x, -1.5, 0, 1], [3, 0.1, 0, 1], [x, 1.5, 0, 1]]), torch.tensor([1.0, 2.0, 3.0])
    clip = (ndc * depth[:, None])[None]
    faces = torch.tensor([[0, 2, 1]], dtype=INT)
    seen = fs.ops.rasterize(clip, faces, (h, w))
    assert seen.triangle_id[0, 4, 2] == 0
    mask = torch.zeros(1, h, w)
    mask[0, 4, 2] = 1
    return rasterized(clip, faces, seen.triangle_id, (mask[..., None] * torch.tensor(given[:2]), mask * given[2])), seen


def test_a_weight_that_is_held_passes_no_gradient_on():
    # The face's third corner is the right one: its weight is just above 0, and then held there.
    free, seen = outside(-1e-3, (1.0, 0.0, 0.0))
    assert 0 < 1 - seen.barycentric[0, 4, 2].sum() < 1e-3
    assert free.abs().amax() > 0.01
    held, seen = outside(1e-3, (1.0, 1.0, 0.0))  # of w0 + w1, which is 1 minus the held weight
    assert 1 - seen.barycentric[0, 4, 2].sum() == 0
    assert (held == 0).all()


def test_a_plane_seen_head_on_has_the_depth_of_all_its_corners():
    """Its depth's bounds are met everywhere, and by rounding alone."""
    clip = torch.tensor([[[-9.0, -9, 0, 3.1], [27, -9, 0, 3.1], [-9, 27, 0, 3.1]]])
    faces = torch.tensor([[0, 1, 2]], dtype=INT)
    seen = fs.ops.rasterize(clip, faces, (16, 16))
    given = torch.zeros_like(seen.barycentric), torch.ones_like(seen.depth)
    actual = rasterized(clip, faces, seen.triangle_id, given)
    b = clip.double()
    step = torch.zeros_like(b)
    for corner in range(3):
        step.zero_()[0, corner, 3] = 1e-4
        up, down = (reference.rasterize(b + sign * step, faces, seen.triangle_id)[1].sum() for sign in (1, -1))
        assert actual[0, corner, 3].item() == pytest.approx((up - down).item() / 2e-4, rel=1e-3)


def everything(name):
    if name != "rasterize":
        return gradients(name)
    clip, faces, (ids, barycentric, depth) = triangles("large")
    return (rasterized(clip, faces, ids, (rand(*barycentric.shape) - 0.5, rand(*depth.shape) - 0.5)),)


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "rasterize"])
def test_the_bits_depend_on_no_thread_and_on_no_run(name):
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3, 3, 3):
            torch.set_num_threads(count)
            found.append(everything(name))
    finally:
        torch.set_num_threads(threads)
    assert all(same_bits(found[0], each) for each in found)


def test_large_scatters_have_the_same_bits_on_any_number_of_threads():
    """Many tiles at once, all of which add to the same few places."""
    ids = torch.randint(0, 2, (2, 300, 400), generator=numbers(), dtype=INT)
    arguments = rand(1, 4, 3), FACES, ids, rand(2, 300, 400, 2) / 2
    look = [rand(1, 3, 3, 3)], rand(2, 300, 400, 2), NONE, 0, False
    grad = rand(2, 300, 400, 3) - 0.5
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(
                [
                    *OPS.interpolate_backward(grad, *arguments, True, True),
                    *OPS.texture_backward(grad, *look, True, True, False),
                ]
            )
    finally:
        torch.set_num_threads(threads)
    assert all(same_bits(found[0], each) for each in found)


def test_sums_are_better_than_a_float_could_hold():
    """A million pixels of one face, whose gradients cancel but for one."""
    grad = torch.ones(1, 1024, 1024, 1)
    grad[:, 512:] = -1
    grad[0, 0, 0] += 2**-20
    weights = torch.zeros(1, 1024, 1024, 2)
    weights[..., 0] = 1
    ids = torch.zeros(1, 1024, 1024, dtype=INT)
    by_attributes, _ = OPS.interpolate_backward(grad, torch.zeros(1, 4, 1), FACES, ids, weights, True, False)
    assert by_attributes.flatten().tolist() == [2**-20, 0, 0, 0]


def test_sizes_from_tiny_to_huge():
    for size in (1e-38, 1e-20, 1.0, 1e20, 1e34):
        grad = torch.full((1, 1, 1, 1), size)
        look = [torch.ones(1, 1, 1, 1)], torch.full((1, 1, 1, 2), 0.5), NONE, 0, False
        (by_texels, *_) = OPS.texture_backward(grad, *look, True, False, False)
        assert by_texels.item() == pytest.approx(size, rel=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_is_seen(bad):
    """It must not vanish in whole numbers: the scaler of mixed precision looks for it."""
    for name in (*ONE_OF_EACH, "rasterize"):
        if name == "rasterize":
            clip, faces, (ids, barycentric, depth) = triangles("large")
            grads = [rasterized(clip, faces, ids, (torch.full_like(barycentric, bad), torch.zeros_like(depth)))]
        else:
            op, arguments = CASES[name]
            arguments = leaves(arguments)
            out = getattr(OPS, op)(*arguments)
            grad = torch.full_like(out, bad)
            grads = torch.autograd.grad(out, by(name, arguments), grad)
        assert all(not bool(g.isfinite().all()) for g in grads), name


def test_a_background_that_is_not_finite_is_not():
    """A loss may be infinite where nothing is seen."""
    op, arguments = CASES["interpolate"]
    grad = torch.ones(*IDS.shape, 3).masked_fill((IDS < 0)[..., None], float("inf"))
    assert all(bool(g.isfinite().all()) for g in OPS.interpolate_backward(grad, *arguments, True, True))
