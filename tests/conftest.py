"""What every test may ask for: a device, and the real files that some tests are about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from ptx.record import Interpreter, compile_ptx, compile_recorder
from toolchain import COMPILER, NVCC

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)

# Processes of tests side by side share the cores, else threads that wait for one another would take most of the time.
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
if PROCESSES > 1:
    THREADS = max(1, (os.cpu_count() or 1) // PROCESSES)
    torch.set_num_threads(THREADS)
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))  # of the processes that tests start


# What takes minutes to make, and is made once in the process that has all tests of it.
COSTLY = ("interpreter", "plain", "address", "thread")


def pytest_collection_modifyitems(items):
    """Divide tests between processes by file, what is costly first; skip CUDA tests where there is no GPU."""
    for item in items:
        costly = [name for name in COSTLY if name in item.fixturenames] + [item.name] * ("nvcc" in item.name)
        item.add_marker(pytest.mark.xdist_group(costly[0] if costly else item.path.name))
        item.costly = bool(costly)
    items.sort(key=lambda item: not item.costly)
    # Unless the machine promised a GPU.
    if torch.cuda.is_available() or os.environ.get("FASTSYNTH_REQUIRE_CUDA"):
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no GPU"))


@pytest.fixture(scope="module")
def one_thread():
    """For small tensors: threads that wait for one another would take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["cpu", CUDA])
def device(request):
    """Each device in turn, torch.device."""
    return torch.device(request.param)


@pytest.fixture(scope="session")
def tools():
    """nvcc and a C++ compiler."""
    if NVCC is None or COMPILER is None:
        pytest.skip("needs nvcc and g++")
    return NVCC, COMPILER


@pytest.fixture(scope="session")
def interpreter(tools, tmp_path_factory):
    """The compiled CUDA kernels, run without a GPU."""
    folder = tmp_path_factory.mktemp("ptx")
    ptx = compile_ptx(tools[0], folder / "cuda.ptx")
    compile_recorder(tools[1], folder / "record.so")
    return Interpreter(ptx, folder / "record.so")


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real scans and photographs, beside the repository: too large, and not ours, to lie in it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the repository")
    return folder
