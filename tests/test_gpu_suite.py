"""The suite for a GPU, rehearsed without one: it refuses to start, steps are recorded, the sweep runs on the CPU."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from peers.scenes import scenes_of

import fastsynth as fs
from fastsynth.ops import Fragments

ROOT = Path(__file__).parents[1]
SENTENCE = "this machine has no GPU that CUDA can use"
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu")


@pytest.fixture
def gpu_sweep(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu_sweep")


@pytest.fixture(scope="module")
def batch():
    light, background = fs.DirectionalLight(color=(1.0, 1.0, 1.0)), fs.ColorBackground((0.2, 0.3, 0.4))
    scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=2), light=light, background=background)
    return scene.sample(3, seed=0).replace(tone="linear", filter="bilinear")


@without_gpu
@pytest.mark.parametrize("options", [[], ["--check"]])
def test_without_a_gpu_it_fails_in_one_sentence(options):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert SENTENCE in done.stderr and len(done.stderr.strip().splitlines()) == 1


@without_gpu
@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_gpu_fails_before_it_builds():
    done = subprocess.run(["make", "-C", str(ROOT), "gpu", f"PYTHON={sys.executable}"], capture_output=True, text=True)
    assert done.returncode != 0 and SENTENCE in done.stderr and "pip" not in done.stdout


def test_a_step_that_fails_loses_no_other(gpu, capsys):
    def command(code):
        return [sys.executable, "-c", code]

    steps = [
        gpu.Step("good", command("print('4'); print('done')"), read=lambda text: int(text[0])),
        gpu.Step("bad", command("print('why'); raise SystemExit(3)")),
        gpu.Step("hangs", command("import time; time.sleep(60)"), timeout=0.5),
        gpu.Step("unreadable", command("print('x')"), read=int),
        gpu.Step("absent", None, missing="buy it"),
        gpu.Step("luxury", None, missing="buy it", required=False),
        gpu.Step("last", command("print('done')")),
    ]
    kept = []
    assert not gpu.run(steps, lambda records: kept.append(json.loads(json.dumps(records))))
    assert [len(records) for records in kept] == list(range(1, 8))
    states = {record["name"]: record["state"] for record in kept[-1]}
    failed, missing = ("bad", "hangs", "unreadable"), ("absent", "luxury")
    assert states == {"good": "passed", "last": "passed"} | dict.fromkeys(failed, "failed") | dict.fromkeys(
        missing, "missing"
    )
    assert kept[-1][0]["figures"] == 4 and "why" in kept[-1][1]["says"]
    assert gpu.run([steps[0], steps[5]], lambda records: None) and not gpu.run([steps[4]], lambda records: None)


def test_every_sanitizer_is_a_step(gpu, tmp_path):
    steps = {step.name: step for step in gpu.steps(tmp_path / "out.json")}
    assert {"tests", "memcheck", "racecheck", "initcheck", "synccheck", "profile", "throughput"} <= set(steps)
    assert steps["tests"].environment == {"FASTSYNTH_REQUIRE_CUDA": "1"}


def test_the_profile_is_read(gpu):
    text = '==PROF== done\n"ID","Kernel Name","Block Size","Grid Size","Metric Name","Metric Unit","Metric Value"\n'
    text += (
        '"0","draw","(256, 1, 1)","(64, 1, 1)","time","us","12.5"\n"0","draw","(256, 1, 1)","(64, 1, 1)","n","","3"\n'
    )
    expected = {"kernel": "draw", "block size": "(256, 1, 1)", "grid size": "(64, 1, 1)", "time": "12.5 us", "n": "3"}
    assert gpu.profile(text) == [expected]


def test_the_sweep_on_the_cpu(gpu_sweep, batch):
    def half(device):
        return 3 * 2 * 16 * 16 * 11 + 1  # two images with labels fit a third of it, five do not

    results = gpu_sweep.sweep(CPU, (16,), (1, 5), batch=batch, seconds=0.01, free=half, peers={"absent": None})
    assert results["failed"] == [] and results["renderers"]["absent"] == "not installed"
    rows = {(row["batch"], row["labels"]): row for row in results["renderers"]["fastsynth"]}
    assert rows[1, True]["images/s"] > 0 and rows[5, False]["images/s"] > 0
    assert "a third of what is free" in rows[5, True]["skipped"]
    assert gpu_sweep.table(results).row_count == 4


def test_wrong_ids_are_never_timed(gpu_sweep, batch):
    make = gpu_sweep.ours(batch, CPU)

    def shifted(rows, size, labels):
        frames = make(rows, size, labels)()
        frames.outputs["instance_id"] = frames.instance_id.roll(1, -1)
        return lambda: frames

    assert gpu_sweep.wrong(batch, make, 16) is None
    assert "ids differ" in gpu_sweep.wrong(batch, shifted, 16)
    empty = batch.replace(mesh_id=torch.full_like(batch.mesh_id, -1))
    assert "draws nothing" in gpu_sweep.wrong(empty, gpu_sweep.ours(empty, CPU), 16)


def module(name, monkeypatch, **contents):
    """A module in the place of one that is not installed."""
    stand_in = ModuleType(name)
    stand_in.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, stand_in)
    return stand_in


def weights(barycentric):
    return torch.cat([barycentric, 1 - barycentric.sum(-1, keepdim=True)], -1)


@pytest.fixture
def nvdiffrast(monkeypatch):
    """Its documented interface, played by `fs.ops`."""

    def rasterize(context, pos, tri, resolution, ranges, grad_db):
        assert pos.is_contiguous() and tri.dtype == ranges.dtype == torch.int32 and ranges.device == CPU
        drawn = [fs.ops.rasterize(pos[None], tri, resolution, ranges=part[None]) for part in ranges]
        ids, barycentric = (torch.cat([getattr(d, n) for d in drawn]) for n in ("triangle_id", "barycentric"))
        return torch.cat([barycentric, torch.zeros_like(barycentric[..., :1]), ids[..., None] + 1.0], -1), None

    def interpolate(attr, rast, tri):
        fragments = Fragments(rast[..., 3].int() - 1, rast[..., :2].contiguous(), rast[..., 2].contiguous())
        return torch.cat([fs.ops.interpolate(attr[None], tri, part) for part in each(fragments)]), None

    def each(fragments):
        parts = (fragments.triangle_id, fragments.barycentric, fragments.depth)
        return [Fragments(*(part[i : i + 1] for part in parts)) for i in range(len(parts[0]))]

    def texture(tex, uv, filter_mode, boundary_mode):
        assert uv.is_contiguous() and (filter_mode, boundary_mode) == ("linear", "clamp")
        return fs.ops.texture(tex, uv.flatten(0, 1)[None].contiguous(), wrap="clamp").view(*uv.shape[:-1], 3)

    parts = {"rasterize": rasterize, "interpolate": interpolate, "texture": texture}
    torch_part = module("nvdiffrast.torch", monkeypatch, RasterizeCudaContext=lambda device: None, **parts)
    module("nvdiffrast", monkeypatch, torch=torch_part)


@pytest.fixture
def pytorch3d(monkeypatch):
    """Its documented interface, played by `fs.ops`."""

    def rasterize_meshes(meshes, image_size, z_clip_value, perspective_correct, cull_backfaces, **options):
        assert options == {"blur_radius": 0.0, "faces_per_pixel": 1} and perspective_correct and cull_backfaces
        found, first = [], 0
        for vertices, faces in zip(*meshes, strict=True):
            z = vertices[:, 2:]  # x points left and y up
            clip = torch.cat([-vertices[:, :2] * z, z - 2 * z_clip_value, z], 1)[None]
            drawn = fs.ops.rasterize(clip, faces.int(), (image_size, image_size))
            hit = drawn.triangle_id >= 0
            ids, depth = torch.where(hit, drawn.triangle_id + first, -1).long(), torch.where(hit, drawn.depth, -1.0)
            found.append((ids[..., None], depth[..., None], weights(drawn.barycentric)[..., None, :]))
            first += len(faces)
        return *(torch.cat(part) for part in zip(*found, strict=True)), None

    def interpolate_face_attributes(face, weight, attributes):
        return (attributes[face.clamp(min=0)] * weight[..., None]).sum(-2) * (face >= 0)[..., None]

    for name in ("pytorch3d", "pytorch3d.renderer", "pytorch3d.renderer.mesh"):
        module(name, monkeypatch)
    module("pytorch3d.ops", monkeypatch, interpolate_face_attributes=interpolate_face_attributes)
    module("pytorch3d.renderer.mesh.rasterize_meshes", monkeypatch, rasterize_meshes=rasterize_meshes)
    module("pytorch3d.structures", monkeypatch, Meshes=lambda vertices, faces: (vertices, faces))


@pytest.mark.parametrize("name", ["nvdiffrast", "pytorch3d"])
def test_a_peer_is_told_to_draw_the_same(name, request, gpu_sweep, batch, monkeypatch):
    request.getfixturevalue(name)
    peer, scenes = gpu_sweep.gpu_peers.PEERS[name], scenes_of(batch)
    monkeypatch.setattr(gpu_sweep.gpu_peers, "IMAGES", 2)  # three images are drawn in two calls
    rgb, ids, depth = peer(scenes, [0, 1, 2], 32, True, CPU)()
    frames = fs.render(batch, (32, 32), ("rgb", "instance_id", "depth"), rgb_dtype=torch.uint8)
    assert torch.equal(ids, frames.instance_id) and (ids >= 0).any()
    # At the steep edge of a triangle, depth hangs on how corners were snapped.
    assert torch.isclose(depth, frames.depth, atol=1e-3, rtol=1e-3).float().mean() > 0.98
    assert F.l1_loss(rgb.float(), frames.rgb.movedim(1, -1).float()) < 1  # of 255
    results = gpu_sweep.sweep(CPU, (16,), (1, 4), batch=batch, scenes=scenes, seconds=0.01, peers={name: peer})
    assert [row["images/s"] > 0 for row in results["renderers"][name]] == [True] * 4
    other = gpu_sweep.sweep(CPU, (16,), (1,), batch=batch[1:3], scenes=scenes, peers={name: peer})
    assert "of its ids are ours" in other["renderers"][name]
