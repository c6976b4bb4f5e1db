"""Streams and devices: kernels run where their tensors are, after what was queued there; tensors have one device."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import fastsynth as fs
from fastsynth.types import OUTPUTS

SIZE = (24, 32)
LATE = 100_000_000  # cycles, tens of milliseconds: longer than it takes to queue what follows


def scene():
    return fs.Scene(
        objects=fs.Objects(fs.procedural.primitives(), count=3),
        light=fs.DirectionalLight(),
        background=fs.ImageBackground(fs.Textures.from_images([torch.full((8, 8, 3), 90, dtype=torch.uint8)])),
        sensor=fs.Sensor(blur=fs.Uniform(0.0, 0.01), noise=fs.Uniform(0.0, 0.02)),
    )


def on_two_devices():
    """Every op with one tensor on another device than the others: what fails, and the names of the two."""
    float_, int_ = torch.float32, torch.int32

    def there(*shape, dtype=float_):
        return torch.zeros(shape, dtype=dtype, device="meta")

    fragments = fs.ops.Fragments(there(1, 2, 2, dtype=int_), there(1, 2, 2, 2), there(1, 2, 2))
    one = torch.zeros
    return {
        "transform": (lambda: fs.ops.transform(one(3, 3), there(1, 4, 4)), "vertices", "clip_from_object"),
        "rasterize": (lambda: fs.ops.rasterize(one(1, 3, 4), there(1, 3, dtype=int_), SIZE), "clip", "faces"),
        "rasterize ranges": (
            lambda: fs.ops.rasterize(one(1, 3, 4), one(1, 3, dtype=int_), SIZE, ranges=there(1, 2, dtype=int_)),
            *("clip", "ranges"),
        ),
        "peel": (lambda: fs.ops.peel(one(1, 3, 4), there(1, 3, dtype=int_), SIZE), "clip", "faces"),
        "antialias": (
            lambda: fs.ops.antialias(one(1, 2, 2, 3), fragments, one(1, 3, 4), one(1, 3, dtype=int_)),
            *("color", "triangle_id"),
        ),
        "interpolate": (
            lambda: fs.ops.interpolate(one(1, 3, 2), one(1, 3, dtype=int_), fragments),
            *("attributes", "triangle_id"),
        ),
        "texture": (lambda: fs.ops.texture(there(1, 4, 4, 3), one(1, 2, 2, 2)), "uv", r"texture\[0\]"),
        "texture level": (
            lambda: fs.ops.texture([one(1, 4, 4, 3), one(1, 2, 2, 3)], one(1, 2, 2, 2), there(1, 2, 2, 4)),
            *("uv", "uv_da"),
        ),
        "blur": (lambda: fs.ops.blur(one(1, 3, 4, 4), there(1), 2), "image", "sigma"),
        "develop": (lambda: fs.ops.develop(one(1, 3, 4, 4), there(1), one(1, 3)), "linear", "exposure"),
        "develop noise": (
            lambda: fs.ops.develop(one(1, 3, 4, 4), one(1), one(1, 3), there(1, 2), one(1, dtype=torch.int64)),
            *("linear", "noise"),
        ),
    }


@pytest.mark.parametrize("op", on_two_devices())
def test_an_op_refuses_two_devices(op):
    call, first, second = on_two_devices()[op]
    wanted = rf"{op.split()[0]}\(\): .* `{first}` is on cpu and `{second}` is on meta. Call .to\(\"cpu\"\)"
    with pytest.raises(ValueError, match=wanted):
        call()


def moved(batch, part):
    """The batch with one of its parts on another device."""
    if part == "assets.textures":
        assets = dataclasses.replace(batch.assets)
        object.__setattr__(assets, "textures", assets.textures.to("meta"))  # past the check of `Assets`
        return batch.replace(assets=assets)
    return batch.replace(**{part: getattr(batch, part).to("meta")})


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("assets", "batch.assets.vertex_data"),
        ("assets.textures", "batch.assets.textures.texels"),
        ("photos", "batch.photos.texels"),
    ],
)
def test_render_refuses_two_devices(part, named):
    wanted = rf"render\(\): .* `batch.mesh_id` is on cpu and `{named}` is on meta. Call .to\(\"cpu\"\)"
    with pytest.raises(ValueError, match=wanted):
        fs.render(moved(scene().sample(2), part), SIZE)


def test_records_refuse_two_devices():
    batch = scene().sample(2)
    with pytest.raises(ValueError, match=r"SceneBatch\(\): .* `mesh_id` is on cpu and `exposure` is on meta"):
        batch.replace(exposure=batch.exposure.to("meta"))
    with pytest.raises(ValueError, match=r"Assets\(\): .* `meshes` is on cpu and `textures` is on meta"):
        dataclasses.replace(batch.assets, textures=batch.assets.textures.to("meta"))
    with pytest.raises(ValueError, match=r"Assets\(\): .* `vertex_data` is on cpu and `hull` is on meta"):
        dataclasses.replace(batch.assets, hull=batch.assets.hull.to("meta"))


@pytest.mark.cuda
def test_an_op_runs_after_what_is_queued_on_its_stream():
    vertices, matrices = torch.rand(1000, 3), torch.rand(2, 4, 4)
    late, there = torch.zeros(1000, 3, device="cuda"), matrices.cuda()
    source, stream = vertices.cuda(), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(LATE)
        late.copy_(source)
        out = fs.ops.transform(late, there)
        queued = not stream.query()  # the host is ahead: nothing waited
    stream.synchronize()
    assert queued and torch.equal(out.cpu(), fs.ops.transform(vertices, matrices))


@pytest.mark.cuda
def test_a_whole_step_runs_on_the_current_stream_and_waits_for_nothing():
    there = scene().to("cuda")
    index, stream = torch.zeros(4, dtype=torch.int64, device="cuda"), torch.cuda.Stream()
    numbers = torch.tensor([5, 2, 9, 0], device="cuda")

    def step(index):
        frames = fs.render(there.sample(index), SIZE, OUTPUTS, samples=4)
        return {**frames.outputs, **frames.targets(padded=True)}

    expected = step(numbers)  # and what a first call loads and allocates
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10 * LATE)
        index.copy_(numbers)
        torch.cuda.set_sync_debug_mode("error")
        try:
            out = step(index)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        queued = not stream.query()
    stream.synchronize()
    assert queued
    for name, value in expected.items():
        assert torch.equal(out[name], value), name


@pytest.mark.cuda
def test_outputs_are_allocated_on_the_current_stream():
    there, stream = scene().to("cuda"), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        out = fs.render(there.sample(2), (256, 256), OUTPUTS).outputs
    segments = torch.cuda.memory_snapshot()
    for name, value in out.items():
        at = value.data_ptr()
        held = [s for s in segments if s["address"] <= at < s["address"] + s["total_size"]]
        assert [s["stream"] for s in held] == [stream.cuda_stream], name


@pytest.mark.cuda
def test_scratch_is_given_back_to_the_allocator():
    there = scene().to("cuda")
    batch = there.sample(2)
    fs.render(batch, SIZE, OUTPUTS)
    before = torch.cuda.memory_allocated()
    fs.render(batch, SIZE, OUTPUTS)
    assert torch.cuda.memory_allocated() == before


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_the_current_device_stays():
    there = scene().to("cuda:1")
    with torch.cuda.device(0):
        frames = fs.render(there.sample(2), SIZE, OUTPUTS)
        assert torch.cuda.current_device() == 0
    assert frames.rgb.device == torch.device("cuda:1")
    assert torch.equal(frames.instance_id.cpu(), fs.render(scene().sample(2), SIZE, OUTPUTS).instance_id)
