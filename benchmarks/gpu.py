"""Everything that only a GPU can prove, in one run: tests, sanitizers, profile, throughput. `make gpu` calls it.

    python benchmarks/gpu.py            # writes benchmarks/results/gpu.json and prints the table
    python benchmarks/gpu.py --check    # only: is there a GPU?

Without a GPU it ends at once, and not well: a machine that was promised to have one must not pass for tested. Each
step has a result of its own, so that one that fails loses nothing of the others. Until the check is done, nothing
beyond the standard library is imported: it comes before anything is installed.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SWEEP = str(ROOT / "benchmarks" / "gpu_sweep.py")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
# Every kernel is launched by one of these, on pictures small enough for a tool that slows a kernel a hundredfold.
KERNEL_TESTS = ("-m", "cuda", "-p", "no:cacheprovider", "tests/test_ops.py", "tests/test_render.py")
METRICS = (
    "gpu__time_duration.sum",
    "launch__registers_per_thread",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed",
)


def without_gpu() -> str | None:
    """Why CUDA has no device here, in words; None where it has one. Asks the driver itself."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "the NVIDIA driver, libcuda.so.1, is not installed"
    if error := driver.cuInit(0):
        return f"the NVIDIA driver does not start, cuInit gives error {error}"
    count = ctypes.c_int()
    error = driver.cuDeviceGetCount(ctypes.byref(count))
    return None if error == 0 and count.value > 0 else "the NVIDIA driver names no device"


def unusable() -> str | None:
    """Why the installed torch and fastsynth cannot use the GPU, in words; None where they can."""
    import torch

    from fastsynth.ops._library import build_info

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU"
    if not json.loads(build_info())["cuda"]:
        return "fastsynth was built without its CUDA kernels; is there an nvcc?"
    return None


@dataclass(frozen=True)
class Step:
    """A command whose result is recorded.

    Args:
        name: What the record calls it.
        command: None = the tool that it needs is not there.
        environment: Added to that of this process.
        missing: What is not there, and how it is had.
        required: Does a missing tool make the run fail?
        read: Makes figures of the output.
    """

    name: str
    command: Sequence[str] | None
    environment: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    required: bool = True
    read: Callable[[str], Any] | None = None
    timeout: float = 7200.0  # [s]

    def run(self) -> dict[str, Any]:
        """The record: passed, failed or missing, and what the command said last."""
        if self.command is None:
            return {"name": self.name, "state": "missing", "says": self.missing, "required": self.required}
        begin = time.perf_counter()
        record: dict[str, Any] = {"name": self.name, "state": "failed", "command": " ".join(self.command)}
        try:
            done = subprocess.run(
                self.command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=self.timeout,
            )
            record |= {"state": "failed" if done.returncode else "passed", "exit code": done.returncode}
            # All of what a failure says; of a success its last line.
            record["says"] = done.stdout[-20000:] if done.returncode else "".join(done.stdout.splitlines()[-1:])
            if self.read and done.returncode == 0:
                record["figures"] = self.read(done.stdout)
        except Exception as error:  # noqa: BLE001 (no step may lose the others' results)
            record |= {"state": "failed", "says": f"{type(error).__name__}: {error}"}
        record["seconds"] = round(time.perf_counter() - begin, 1)
        return record


def profile(text: str) -> list[dict[str, str]]:
    """What ncu printed, as a record of each launch: kernel, block, grid, and metrics with their units."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith('"ID"'))
    launches: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(lines[start:]):
        launch = launches.setdefault(row["ID"], {"kernel": row["Kernel Name"]})
        launch |= {name.lower(): row[name] for name in ("Block Size", "Grid Size") if name in row}
        launch[row["Metric Name"]] = f"{row['Metric Value']} {row['Metric Unit']}".strip()
    return list(launches.values())


def tool(name: str) -> str | None:
    """A tool of the CUDA toolkit: on the PATH, in the toolkit's own folder, or out of PyPI beside torch."""
    beside = Path(sys.prefix).glob(f"lib/python*/site-packages/nvidia/*/bin/{name}")
    folders = [str(path.parent) for path in beside]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(["/usr/local/cuda/bin", *folders]))


def steps(throughput: Path) -> list[Step]:
    """What is run, in this order; the sweep writes to `throughput`."""
    python, promised = sys.executable, {"FASTSYNTH_REQUIRE_CUDA": "1"}
    sanitizer, ncu = tool("compute-sanitizer"), tool("ncu")
    # Every tensor in memory of its own, so that the next one is out of bounds.
    separate = {**promised, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    listed = [
        Step("doctor", [python, "-c", "from fastsynth.cli import app; app(['doctor', '--device', 'cuda'])"]),
        Step("tests", [python, "-m", "pytest"], promised),
    ]
    for check in SANITIZERS:
        options = ["--tool", check, "--error-exitcode", "86", "--report-api-errors", "no"]
        if check != "initcheck":  # which must see who wrote the memory that our kernels read
            options += ["--kernel-name", "kns=fastsynth"]
        command = [sanitizer, *options, python, "-m", "pytest", *KERNEL_TESTS] if sanitizer else None
        missing = (
            "compute-sanitizer is not here: it comes with the CUDA toolkit, or pip install nvidia-cuda-sanitizer-api"
        )
        listed.append(Step(check, command, separate, missing))
    options = ["--csv", "--metrics", ",".join(METRICS), "--kernel-name-base", "mangled", "--kernel-name"]
    command = [ncu, *options, "regex:fastsynth", python, SWEEP, "--once"] if ncu else None
    missing = "ncu is not here: it comes with the CUDA toolkit or with Nsight Compute"
    listed.append(Step("profile", command, missing=missing, required=False, read=profile))
    return [*listed, Step("throughput", [python, SWEEP, "--json", str(throughput)])]


def run(listed: Sequence[Step], keep: Callable[[list[dict[str, Any]]], None]) -> bool:
    """Runs all steps; `keep` gets the records after each. True where every step passed that must."""
    records = []
    for step in listed:
        print(f"{step.name} ...", flush=True)
        records.append(record := step.run())
        print(f"{step.name}: {record['state']}" + (f" in {record['seconds']} s" if "seconds" in record else ""))
        if record["state"] != "passed":
            print(record["says"])
        keep(records)
    return all(r["state"] == "passed" or (r["state"] == "missing" and not r["required"]) for r in records)


def machine() -> dict[str, str]:
    """As the other benchmarks write it, and the card, its driver and CUDA."""
    import timing
    import torch

    driver = ctypes.CDLL("libcuda.so.1")
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    kernel = Path("/proc/driver/nvidia/version")
    card = torch.cuda.get_device_properties(0)
    return {
        **timing.machine(),
        "memory": f"{card.total_memory / 2**30:.1f} GiB",
        "compute capability": f"{card.major}.{card.minor}",
        "driver": kernel.read_text().splitlines()[0] if kernel.is_file() else "?",
        "cuda": f"torch {torch.version.cuda}, driver {version.value // 1000}.{version.value % 1000 // 10}",
    }


def main() -> None:
    """Checks, runs, prints and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if reason := without_gpu():
        raise SystemExit(
            f"gpu.py: this machine has no GPU that CUDA can use ({reason}). "
            "Run `make gpu` where there is one; nothing was built and nothing was tested."
        )
    if args.check:
        return
    if reason := unusable():
        raise SystemExit(f"gpu.py: there is a GPU, but {reason}. Nothing was tested.")

    import timing
    from gpu_sweep import table
    from rich.console import Console

    with tempfile.TemporaryDirectory() as folder:
        throughput = Path(folder) / "throughput.json"
        about, path = machine(), timing.RESULTS / "gpu.json"

        def keep(records: list[dict[str, Any]]) -> None:
            results: dict[str, Any] = {"steps": records}
            if throughput.is_file():
                results["throughput"] = json.loads(throughput.read_text())
            if (model := timing.RESULTS / "model.json").is_file():  # to stand beside ncu's figures
                results["predicted"] = json.loads(model.read_text())
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"machine": about, "results": results}, indent=1) + "\n")

        passed = run(steps(throughput), keep)
    results = json.loads(path.read_text())["results"]
    if "throughput" in results:
        Console(width=None if sys.stdout.isatty() else 160).print(table(results["throughput"]))
    print(path)
    if not passed:
        raise SystemExit("gpu.py: " + ", ".join(f"{r['name']} {r['state']}" for r in results["steps"]) + ".")


if __name__ == "__main__":
    main()
