"""Plants faults in the CUDA half, one at a time, and says which the tests catch that need no GPU.

python tests/ptx/faults.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ("tests/test_launch.py", "tests/test_ptx.py")


@dataclass(frozen=True)
class Fault:
    name: str
    file: str
    old: str
    new: str


FAULTS = (
    Fault("grid one block short", "schedule/launch.h",
          "start(launch_of<Kernel>(tiles), tiles)", "start(launch_of<Kernel>(tiles - 1), tiles - 1)"),
    Fault("wrong stream", "cuda.cu", "0, stream>>>", "0, nullptr>>>"),
    Fault("shared memory over the limit", "schedule/launch.h", "kSide = 64;", "kSide = 128;"),
    Fault("32-bit index", "kernels/random.h",
          "store_items(out + image * count + first, i", "store_items(out + int32_t(image * count + first), i"),
    Fault("no guard on an empty launch", "schedule/launch.h", "if (tiles > 0) start", "start"),
    Fault("missing barrier", "kernels/draw.h",
          "    tile.sync();\n\n    const auto corners", "\n    const auto corners"),
    Fault("off by one at the tile's edge", "kernels/cover.h",
          "x1 = min(t.max_x - frame.left, Tile::kSide)", "x1 = min(t.max_x - frame.left, Tile::kSide - 1)"),
    Fault("contraction that changes a depth", "CMakeLists.txt", "--fmad=false", "--fmad=true"),
    Fault("one lane too many", "schedule/thread.h",
          "for (int32_t i = this->lane(); i < count; i += this->lanes()) body(i, true);",
          "for (int32_t i = this->lane(); i <= count; i += this->lanes()) body(i, true);"),
    Fault("atomic made plain", "schedule/thread.h",
          "void add(int32_t* p, int32_t value) { atomic_add(p, value); }",
          "void add(int32_t* p, int32_t value) { *p += value; }"),
)  # fmt: skip


def caught_by(fault: Fault) -> str:
    """The first test that fails with the fault planted, and why; "" where none does."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        shutil.copytree(ROOT / "csrc", copy / "csrc")
        (copy / "tests/ptx").mkdir(parents=True)
        shutil.copy(ROOT / "tests/ptx/record.cpp", copy / "tests/ptx")
        path = copy / "csrc" / fault.file
        text = path.read_text()
        if text.count(fault.old) != 1:
            raise RuntimeError(f"{fault.name}: {fault.file} has {text.count(fault.old)} places to plant it, not 1")
        path.write_text(text.replace(fault.old, fault.new))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line", *TESTS]
        environment = {**os.environ, "FASTSYNTH_SOURCES": str(copy)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?", done.stdout, re.M)
    return f"{failed[1].split('/')[-1]}: {failed[2] or ''}" if failed else done.stdout[-300:]


def main() -> None:
    found = {fault.name: caught_by(fault) for fault in FAULTS}
    for name, how in found.items():
        print(f"{name:36} {how or 'only on a GPU'}")
    print(f"{sum(map(bool, found.values()))} of {len(found)} caught without a GPU")


if __name__ == "__main__":
    main()
