"""What the forward path would take on a GPU: a prediction from counts of the compiled code, where there is no GPU.

The kernels' PTX runs in the interpreter of the tests on a few images of the standard workload, and is counted. Each
count over the device's published rate is a time. A kernel takes the largest of them if all others hide behind it, and
their sum if nothing hides. "waiting" is how long the slowest warp between two barriers waits for its own results, with
as many blocks at a time as registers and shared memory allow. What it does not know: spilled registers, that the
machine's instructions are not PTX's (0.91 for one in Draw on sm_90), launches, and clocks that fall under load.

python benchmarks/model.py            # writes benchmarks/results/model.json
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from timing import save
from workloads import OUTPUTS, standard

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ptx.machine import SECTOR, Program  # noqa: E402
from ptx.record import Interpreter, Launched, compile_ptx, compile_recorder  # noqa: E402
from toolchain import COMPILER, NVCC, ROOT, cuda_flags  # noqa: E402

import fastsynth as fs  # noqa: E402

ISSUE, L1_BYTES, SHARED = 4, 128, 1  # warp instructions, bytes of the first cache and shared accesses, a cycle of a SM
ALU, L1, SHARED_READ = 4, 40, 29  # [cycles] until a result can be used
REGISTERS, REGISTER_UNIT, RESERVED = (
    65536,
    256,
    1024,
)  # of a SM, of a warp; bytes of shared memory that the system keeps
TERMS = ("memory", "L2", "L1", "shared", "instructions", "waiting")
AIMS = {128: 100_000, 256: 40_000}  # [images/s] on an H100


@dataclass(frozen=True)
class Device:
    """Published figures.

    Sources: multiprocessors, clock and memory from NVIDIA's data sheets of the H100 SXM and of the GeForce RTX 4090;
    threads and shared memory of a multiprocessor, its four schedulers and 128 bytes a cycle of its first cache from the
    CUDA programming guide and the Hopper and Ada tuning guides. Latency of the caches: github.com/markdewing/AI_kernels
    (latency/README.md). Of shared memory: Luo et al., "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture
    via Microbenchmarking", arXiv:2402.13499. Bandwidth of the second cache: github.com/RRZE-HPC/gpu-benches,
    gpu-l2-cache/h100_pcie.txt; github.com/smallscientist1/cuda_microbenchmark, analysis_RTX4090.md.
    """

    name: str
    architecture: int
    multiprocessors: int
    clock: float  # [Hz]
    memory: float  # [bytes/s]
    l2: float  # [bytes/s]
    l2_latency: int  # [cycles]
    shared_bytes: int  # of a multiprocessor
    threads: int


DEVICES = (
    Device("H100 SXM", 90, 132, 1.98e9, 3.35e12, 6.9e12, 291, 228 * 1024, 2048),
    Device("RTX 4090", 89, 128, 2.52e9, 1.008e12, 4.9e12, 296, 100 * 1024, 1536),
)


def registers(architecture: int) -> dict[str, int]:
    """Of a thread of each kernel, by ptxas."""
    with tempfile.TemporaryDirectory() as folder:
        command = [NVCC, *cuda_flags(), f"-arch=sm_{architecture}", "-cubin", "-Xptxas", "-v"]
        command += [str(ROOT / "csrc/cuda.cu"), "-o", f"{folder}/cubin"]
        done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=True)
    return {
        k: int(r) for k, r in re.findall(r"run_tiles\w*?\d+(\w+?)EEEvT_l.*?Used (\d+) registers", done.stderr, re.S)
    }


def blocks_at_once(device: Device, launched: Launched, registers: int) -> int:
    """Blocks that a multiprocessor has room for."""
    of_warp = -(-registers * 32 // REGISTER_UNIT) * REGISTER_UNIT
    return min(
        REGISTERS // (of_warp * -(-launched.threads // 32)),
        device.shared_bytes // (launched.shared_bytes + RESERVED),
        device.threads // launched.threads,
        32,
    )


def times(device: Device, program: Program, launched: Launched, registers: int, images: int) -> dict[str, float]:
    """Microseconds of the whole device for an image, by what they go for."""
    n = program.traffic
    cycle = 1e6 / (device.multiprocessors * device.clock) / images  # [us]
    reads, fresh = n["global read sectors"], n["global read sectors new to the block"]
    written = n["global write sectors"] + n["global atomics"]
    a_read = L1 + (device.l2_latency - L1) * fresh / max(reads, 1)
    step = torch.tensor([0.0, ALU, a_read, SHARED_READ, L1])
    waits = sum(float((torch.from_numpy(phase).float() @ step).max()) for _, phase in program.phases)
    issued = sum(float(phase[:, 0].sum()) for _, phase in program.phases)
    local = n["local reads"] + n["local writes"]  # interleaved, so that the lanes' words lie side by side
    taken = (
        (n["global read sectors new to the launch"] + written) * SECTOR / device.memory * 1e6 / images,
        (fresh + written) * SECTOR / device.l2 * 1e6 / images,
        ((reads + written) * SECTOR / L1_BYTES + local) * cycle,
        (
            n["shared reads"]
            + n["shared writes"]
            + n["shared conflicts"]
            + n["shared atomics"]
            + n["shared atomics at one place"]
        )
        / SHARED
        * cycle,
        issued / ISSUE * cycle,
        waits / blocks_at_once(device, launched, registers) * cycle,
    )
    return dict(zip(TERMS, taken, strict=True))


def counts(program: Program, images: int) -> dict[str, float]:
    """What was counted, an image."""
    issued = sum(float(phase[:, 0].sum()) for _, phase in program.phases)
    code = [len(block.code) + (block.end is not None) for block in program.kernel.blocks]
    lanes = sum(program.lane_runs[at] * size for at, size in enumerate(code))
    warps = sum(program.runs[at] * size for at, size in enumerate(code))
    return {
        "warp instructions": round(issued / images),
        "lanes active": round(lanes / warps / 32, 3),
        **{name: round(value / images) for name, value in sorted(program.traffic.items())},
    }


def main() -> None:
    """Counts, predicts and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--images", type=int, default=2, help="of the standard workload that are run")
    args = parser.parse_args()
    batch = standard()
    if batch is None:
        raise SystemExit("model.py: the standard workload is not beside the repository (../shared/data).")
    if NVCC is None or COMPILER is None:
        raise SystemExit("model.py: nvcc and g++ are needed to compile the kernels. Put both on the PATH.")
    used = {device.name: registers(device.architecture) for device in DEVICES}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        recorder = Path(folder) / "recorder.so"
        compile_recorder(COMPILER, recorder)
        interpreter = Interpreter(compile_ptx(NVCC, Path(folder) / "kernels.ptx"), recorder)
        for size in args.sizes:
            interpreter.programs.clear()
            with interpreter.running() as launches:
                fs.render(batch[: args.images], (size, size), OUTPUTS, rgb_dtype=torch.uint8)
            programs = {one.kernel: (one, interpreter.program(one.kernel)) for one in launches}
            results[str(size)] = {
                "counts an image": {name: counts(program, args.images) for name, (_, program) in programs.items()},
                **{device.name: predicted(device, programs, used[device.name], args.images) for device in DEVICES},
            }
    Console(width=None if sys.stdout.isatty() else 150).print(table(results))
    print(save("model", results))


def predicted(device: Device, programs: dict[str, tuple[Launched, Program]], used: dict[str, int], images: int) -> dict:
    """Of a device: every term, and what they come to if all else hides behind the largest and if nothing does."""
    us = {name: times(device, program, one, used[name], images) for name, (one, program) in programs.items()}
    least, most = sum(max(terms.values()) for terms in us.values()), sum(sum(terms.values()) for terms in us.values())
    return {
        "us": {name: {term: round(value, 4) for term, value in terms.items()} for name, terms in us.items()},
        "dominant": {name: max(terms, key=terms.__getitem__) for name, terms in us.items()},
        "blocks at once": {n: blocks_at_once(device, one, used[n]) for n, (one, _) in programs.items()},
        "floor us": round(sum(terms["memory"] for terms in us.values()), 4),
        "us an image": [round(least, 4), round(most, 4)],
        "images/s": [round(1e6 / most), round(1e6 / least)],
    }


def table(results: dict) -> Table:
    """What was predicted, for a reader."""
    shown = Table(title="PREDICTED from counts, not measured: microseconds of the whole device for an image")
    for column in ("image", "device", "kernel", *TERMS, "dominant"):
        shown.add_column(column, justify="right" if column in TERMS else "left")
    for size, result in results.items():
        for device in DEVICES:
            found = result[device.name]
            for name, terms in found["us"].items():
                cells = [f"{value:.2f}" for value in terms.values()]
                shown.add_row(f"{size} x {size}", device.name, name, *cells, found["dominant"][name])
            (best, worst), (low, high) = found["us an image"], found["images/s"]
            aim = f", aim {AIMS[int(size)]:,}" if device is DEVICES[0] and int(size) in AIMS else ""
            line = f"{best:.2f} to {worst:.2f}: {low:,} to {high:,} images/s{aim}; floor {found['floor us']:.2f}"
            shown.add_row("", "", line, end_section=True)
    return shown


if __name__ == "__main__":
    main()
