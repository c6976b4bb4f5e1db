"""The suite for a GPU, rehearsed without one: it refuses to start, steps are recorded, the sweep runs on the CPU."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fastsynth as fs

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
    return fs.Scene(fs.Objects(fs.procedural.primitives(), count=2)).sample(3, seed=0)


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
