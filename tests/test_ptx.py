"""The CUDA kernels as nvcc compiled them, run by the interpreter in `tests/ptx`, against the CPU schedule."""

import dataclasses
import itertools
import re

import pytest
import torch
from reference_picture_gradients import leaves_of
from test_compose import VARIANTS, make_batch
from test_ops import CASES, run
from test_rasterize import KINDS, faces_of, soup

import fastsynth as fs
from fastsynth.types import OUTPUTS

EXACT = ("instance_id", "triangle_id", "semantic_id", "depth", "boxes_2d_tight", "visible_pixels", "total_pixels",
         "amodal_masks")  # fmt: skip


def assert_same(actual, expected, name=""):
    """Whole numbers bit for bit, others within 1e-6."""
    if expected.is_floating_point():
        torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-6, equal_nan=True, msg=lambda m: f"{name}: {m}")
    else:
        assert torch.equal(actual, expected), name


def tensors(result):
    return [result] if isinstance(result, torch.Tensor) else list(result)


def assert_same_picture(interpreter, seed=0, size=(40, 56), outputs=OUTPUTS, **options):
    """Draws a batch both ways."""
    batch = options.pop("batch")
    expected = fs.render(batch, size, outputs, **options)
    with interpreter.running(seed):
        actual = fs.render(batch, size, outputs, **options)
    assert (expected.instance_id >= 0).any()
    for name in outputs:
        a, b = getattr(actual, name), getattr(expected, name)
        if name in EXACT:
            assert torch.equal(a, b), name
        else:
            assert_same(a, b, name)


def assert_same_sums(actual, expected, name=""):
    """Added up in another order."""
    if expected.numel():
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()), msg=name)


@pytest.mark.parametrize("name", CASES)
def test_ops(name, interpreter):
    expected = tensors(run(name))
    with interpreter.running() as launches:
        actual = tensors(run(name))
    assert launches
    for a, b in zip(actual, expected, strict=True):
        if name in ("draw_backward", "draw_lit_backward"):
            assert_same_sums(a, b)
        else:
            assert_same(a, b)


@pytest.mark.parametrize("variant", VARIANTS)
def test_pictures(variant, interpreter):
    outputs = OUTPUTS if variant == "ggx" else ("rgb", "instance_id", "depth")
    assert_same_picture(interpreter, batch=make_batch(**VARIANTS[variant]), outputs=outputs)


@pytest.mark.parametrize("variant", ["lambert", "ggx"])
def test_gradients(variant, interpreter, monkeypatch):
    """Textures with mip levels, photographs and local lights among them."""
    batch, backward, given = make_batch(**VARIANTS[variant]), torch.ops.fastsynth.draw_backward, []
    leaves = leaves_of(batch)
    learned = batch.replace(**{name: leaf for name, leaf in leaves.items() if name != "texels"})
    rgb = fs.render(learned, (24, 32), ("rgb",), texels=leaves["texels"]).rgb
    with monkeypatch.context() as spied:
        spied.setattr(torch.ops.fastsynth, "draw_backward", lambda *args: given.append(args) or backward(*args))
        torch.autograd.grad(rgb.square().sum(), list(leaves.values()), allow_unused=True)
    with torch.no_grad():
        rows, texels = backward(*given[0])
        with interpreter.running():
            rows_there, texels_there = torch.ops.fastsynth.draw_backward(*given[0])
    assert texels.any()
    assert_same_sums(rows_there, rows)
    assert_same_sums(texels_there, texels)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_warps_and_blocks_changes_nothing(seed, interpreter):
    outputs = ("rgb", "triangle_id", "instance_id", "boxes_2d_tight", "total_pixels")
    assert_same_picture(interpreter, seed, size=(66, 70), batch=make_batch(), outputs=outputs)


def test_supersampling_and_bytes(interpreter):
    assert_same_picture(
        interpreter, batch=make_batch(), size=(20, 36), outputs=("rgb", "instance_id"), samples=4, rgb_dtype=torch.uint8
    )


def test_more_instances_than_shared_memory_counts(interpreter):
    scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=140, position=fs.FrustumPosition(fs.Uniform(2, 3))))
    outputs = ("instance_id", "boxes_2d_tight", "visible_pixels")
    assert_same_picture(interpreter, batch=scene.sample(1, seed=3), size=(20, 24), outputs=outputs)


def test_a_camera_among_the_triangles_and_large_ones(interpreter):
    batch = fs.Scene(fs.Objects(fs.procedural.primitives(), count=4)).sample(1, seed=5)
    near = batch.world_from_object.clone()
    near[:, :, :3, 3] *= 0.15  # round about the eye
    batch = dataclasses.replace(batch, world_from_object=near)
    assert_same_picture(interpreter, batch=batch, size=(70, 66), outputs=("rgb", "depth", "triangle_id", "instance_id"))


def crowd(side: float, height: float) -> fs.SceneBatch:
    """120 triangles of these sides [m] before a camera 1 m away that sees 1 m."""
    first = torch.rand(120, 1, 2, generator=torch.Generator().manual_seed(1)) * 0.9 - 0.45
    corners = 0.8 * first + torch.tensor([[0.0, 0.0], [0.0, height], [side, 0.0]])
    depth = torch.arange(120.0)[:, None, None].expand(-1, 3, 1) * 1e-3
    material = fs.Material(double_sided=True)
    vertices, faces = torch.cat([corners, depth], -1).reshape(-1, 3), torch.arange(360).reshape(-1, 3)
    pose = torch.eye(4)[None, None].clone()
    pose[..., 2, 3] = 1.0
    return fs.SceneBatch(
        assets=fs.pack([fs.Mesh(vertices.numpy(), faces.numpy(), materials=(material,))]),
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=pose,
        intrinsics=torch.eye(3)[None].clone(),
        camera_from_world=torch.eye(4)[None].clone(),
    )


@pytest.mark.parametrize(("side", "height"), [(0.08, 0.08), (0.9, 0.8)], ids=["teams", "all lanes"])
def test_more_triangles_than_there_is_room_for(side, height, interpreter):
    batch = crowd(side, height)
    outputs = ("instance_id", "triangle_id", "depth", "total_pixels")
    assert_same_picture(interpreter, batch=batch, size=(64, 64), outputs=outputs)
    with interpreter.running():
        drawn = fs.render(batch, (64, 64), outputs)
    assert drawn.check() > 0
    with interpreter.running():
        assert fs.render(make_batch(), (64, 64), outputs).check() == 0


def test_a_mesh_that_does_not_exist_is_left_out_and_said_when_asked(interpreter):
    batch = make_batch()
    mesh_id = batch.mesh_id.clone()
    mesh_id[1, 2] = 99
    with interpreter.running():
        drawn = fs.render(dataclasses.replace(batch, mesh_id=mesh_id), (20, 24), ("instance_id",))
    assert not (drawn.instance_id[1] == 2).any()
    with pytest.raises(RuntimeError, match="in image 1, slot 2, which was left out"):
        drawn.check()


@pytest.mark.parametrize("cull", ["none", "back"])
@pytest.mark.parametrize("kind", KINDS)
def test_triangles(kind, cull, interpreter):
    clip = torch.from_numpy(soup(kind, 24, seed=3, size=(30, 71)))[None]
    args = clip, faces_of(clip[0].numpy()), (30, 71)
    expected = fs.ops.rasterize(*args, cull=cull)
    with interpreter.running():
        actual = fs.ops.rasterize(*args, cull=cull)
    assert torch.equal(actual.triangle_id, expected.triangle_id) and torch.equal(actual.depth, expected.depth)
    assert_same(actual.barycentric, expected.barycentric)


@pytest.mark.parametrize("kind", ["large", "small", "near plane"])
def test_layers(kind, interpreter):
    clip = torch.from_numpy(soup(kind, 24, seed=3, size=(30, 71)))[None]
    args = clip, faces_of(clip[0].numpy()), (30, 71)
    expected = list(itertools.islice(fs.ops.peel(*args), 3))
    with interpreter.running():
        actual = list(itertools.islice(fs.ops.peel(*args), 3))
    for a, b in zip(actual, expected, strict=True):
        assert torch.equal(a.fragments.triangle_id, b.fragments.triangle_id) and torch.equal(a.z, b.z)


def test_the_ops_launch_every_kernel(interpreter):
    with interpreter.running(choose=lambda launched: ()) as launches:
        for name in CASES:
            run(name)
    assert len(interpreter.kernels) == len({each.kernel for each in launches})


def test_no_instruction_is_approximate_or_fused(interpreter):
    """Those of PTX that round in a way of their own; see PTX ISA 9.0, sections 9.7.3 and 9.7.4."""
    opcodes = {i.opcode for k in interpreter.kernels.values() for b in k.blocks for i in b.code}
    assert len(opcodes) > 50
    wrong = [o for o in opcodes if re.search(r"\.(approx|full|ftz)\b|^(fma|ex2|lg2|sin|cos|tanh)\b", o)]
    assert not wrong


def test_empty_inputs_launch_nothing(interpreter):
    batch = make_batch()
    with interpreter.running() as launches:
        fs.render(batch[:0], (8, 8), OUTPUTS)
        fs.ops.rasterize(torch.zeros(0, 3, 4), torch.zeros(0, 3, dtype=torch.int32), (8, 8))
        fs.ops.normal(torch.zeros(0, dtype=torch.int64), 4)
        fs.ops.normal(torch.zeros(3, dtype=torch.int64), 0)
    assert not launches
    with interpreter.running():  # no triangle and no instance: a picture of nothing
        ids = fs.ops.rasterize(torch.zeros(1, 3, 4), torch.zeros(0, 3, dtype=torch.int32), (8, 8)).triangle_id
        frames = fs.render(
            dataclasses.replace(batch, mesh_id=torch.full_like(batch.mesh_id, -1)), (8, 8), ("instance_id",)
        )
    assert (ids == -1).all() and (frames.instance_id == -1).all()
