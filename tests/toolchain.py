"""What compiles the kernels for tests, and with which flags: those of the build, read from its CMake file."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import torch

COMPILER = shutil.which("g++")
NVCC = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
# The sources that are compiled: this repository's, or a copy with a fault (`ptx/faults.py`).
ROOT = Path(os.environ.get("FASTSYNTH_SOURCES", Path(__file__).parents[1]))


def _found(pattern: str) -> str:
    match = re.search(pattern, (ROOT / "csrc" / "CMakeLists.txt").read_text())
    assert match, pattern
    return match[match.lastindex or 0]


def torch_flags() -> list[str]:
    """Of both compilers."""
    return [
        f"-D{_found(r'TORCH_TARGET_VERSION=0x[0-9a-f]+')}",
        "-isystem",
        str(Path(torch.__file__).parent / "include"),
    ]


def cuda_flags() -> list[str]:
    """Of nvcc."""
    return ["-std=c++20", "-O3", *_found(r"COMPILE_LANGUAGE:CUDA>:([^>]*)>").split(";"), *torch_flags()]


def ptx_architecture() -> str:
    """The architecture whose PTX the library carries."""
    return _found(r'FASTSYNTH_CUDA_ARCHS "[^"]*;(\d+)"')
