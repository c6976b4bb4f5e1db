"""What every gradient of the drawn picture owes. That they are right is for tests/test_gradient_reference.py and
tests/test_gradient_truth.py to show.
"""

import math

import pytest
import torch
from gradient_scenes import CUBE, FLOOR, SKEWED, moved, pose, scene
from reference_picture_gradients import LIGHTS, LOOKS, POSES
from test_compose import VARIANTS, make_batch

import fastsynth as fs

LEARNED = (*POSES, *LIGHTS, *LOOKS, "exposure", "white_balance")


def learnable(batch):
    texels = (batch.assets.textures.texels.float() / 255).requires_grad_()
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in LEARNED}
    return batch.replace(**leaves), [*leaves.values(), texels]


def gradients(threads=None):
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        batch, leaves = learnable(make_batch(**VARIANTS["ggx"]))
        frames = fs.render(batch, (70, 90), ("rgb",), texels=leaves[-1])
        return torch.autograd.grad(frames.rgb.square().sum(), leaves)
    finally:
        torch.set_num_threads(before)


def test_the_same_bits_in_every_run_and_for_any_number_of_threads():
    first = gradients()
    for again in (gradients(), gradients(1), gradients(2), gradients(3)):
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_what_is_asked_for_alone_is_what_it_is_among_others():
    """The kernel leaves out what nobody asks for."""
    start = make_batch(**VARIANTS["ggx"])
    batch, leaves = learnable(start)
    together = torch.autograd.grad(fs.render(batch, (40, 50), ("rgb",), texels=leaves[-1]).rgb.square().sum(), leaves)
    for name, leaf, wanted in zip((*LEARNED, "texels"), leaves, together, strict=True):
        given, fields = (leaf, {}) if name == "texels" else (leaves[-1].detach(), {name: leaf})
        rgb = fs.render(start.replace(**fields), (40, 50), ("rgb",), texels=given).rgb
        assert torch.equal(torch.autograd.grad(rgb.square().sum(), leaf)[0], wanted), name


def test_a_picture_is_the_same_with_and_without_gradients():
    batch, _ = learnable(make_batch())
    with torch.no_grad():
        plain = fs.render(batch, (40, 50), fs.types.OUTPUTS)
    traced = fs.render(batch, (40, 50), fs.types.OUTPUTS)
    assert all(torch.equal(getattr(plain, name), getattr(traced, name)) for name in fs.types.OUTPUTS)
    assert traced.rgb.requires_grad and not plain.rgb.requires_grad
    assert not any(getattr(traced, name).requires_grad for name in fs.types.OUTPUTS if name != "rgb")


def test_refusals():
    batch, leaves = learnable(make_batch())
    assert not fs.render(batch, (8, 8), ("rgb",), rgb_dtype=torch.uint8).rgb.requires_grad
    with pytest.raises(ValueError, match="gradients are of one sample a pixel"):
        fs.render(batch, (8, 8), ("rgb",), samples=4)
    with pytest.raises(ValueError, match=r"`texels` must be float32 \["):
        fs.render(batch, (8, 8), ("rgb",), texels=torch.zeros(3, 4))
    rgb = fs.render(batch, (8, 8), ("rgb",), texels=leaves[-1]).rgb
    rgb.sum().backward(retain_graph=True)
    rgb.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        rgb.sum().backward()


def test_no_images_have_gradients_of_nothing():
    batch, leaves = learnable(make_batch())
    fs.render(batch[:0], (8, 8), ("rgb",), texels=leaves[-1]).rgb.sum().backward()
    assert not leaves[-1].grad.any()


@pytest.mark.parametrize("size", [(1, 1), (3, 130)])
def test_odd_sizes_and_empty_scenes(size):
    batch, leaves = learnable(make_batch())
    fs.render(batch, size, ("rgb",)).rgb.sum().backward()
    assert all(leaf.grad is None or leaf.grad.isfinite().all() for leaf in leaves)
    batch, leaves = learnable(make_batch())
    nothing = batch.replace(mesh_id=torch.full_like(batch.mesh_id, -1))
    fs.render(nothing, size, ("rgb",)).rgb.sum().backward()
    assert not batch.world_from_object.grad.any() and batch.exposure.grad.any()


def test_it_compiles_whole():
    batch = make_batch().replace(filter="bilinear")

    def loss(color, world):
        return fs.render(batch.replace(light_color=color, world_from_object=world), (24, 32), ("rgb",)).rgb.mean()

    leaves = [batch.light_color.clone().requires_grad_(), batch.world_from_object.clone().requires_grad_()]
    wanted = torch.autograd.grad(loss(*leaves), leaves)
    given = torch.autograd.grad(torch.compile(loss, fullgraph=True, backend="aot_eager")(*leaves), leaves)
    for a, b in zip(given, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_a_plane_of_two_triangles_has_no_edge_inside():
    """The diagonal is no edge: a plane of one colour that fills the frame and slides along itself changes nothing."""
    batch = scene((FLOOR, pose((0.0, 0.0, 1.0)))).replace(texture_id=torch.full((1, 1), -2, dtype=torch.int32))
    batch = batch.replace(shading="lambert", light_kind=torch.zeros(1, 2, dtype=torch.int32), blur=None)
    by = torch.zeros(6, requires_grad=True)
    rgb = fs.render(moved(batch, by, 0), (64, 64), ("rgb",)).rgb
    (rgb * torch.linspace(-1, 1, 64)).mean().backward()
    assert by.grad is not None and by.grad[:2].abs().max() < 1e-6


def test_a_step_along_the_gradient_moves_the_cube_to_where_it_was_seen():
    """Fits a place and a turn from one picture."""
    start = scene((CUBE, pose((0.02, 0.01, 1.2), SKEWED)))
    with torch.no_grad():
        target = fs.render(moved(start, torch.tensor([0.06, -0.04, 0.1, 0.2, -0.15, 0.1]), 0), (64, 64), ("rgb",)).rgb
    by = torch.zeros(6, requires_grad=True)
    optimizer = torch.optim.Adam([by], lr=0.02)
    losses = []
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 0.02 * (0.5 + 0.5 * math.cos(math.pi * step / 120))
        loss = (fs.render(moved(start, by, 0), (64, 64), ("rgb",)).rgb - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0], losses[::20]
    assert (by.detach()[:3] - torch.tensor([0.06, -0.04, 0.1])).abs().max() < 0.01
