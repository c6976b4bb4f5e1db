"""The shipped kernels under sanitizers and under nvcc: what a machine without a GPU can prove of them.

``tests/csrc`` runs every kernel under the CPU schedule (one thread and several) and under the checking
schedule (a thread for each lane, a real barrier) and wants the same bits of all.
"""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from toolchain import COMPILER, NVCC, ROOT, cuda_flags

SOURCES = sorted((ROOT / "tests" / "csrc").glob("*.cpp"))
# Not optimized: kernels over sixteen lanes take ten times as long to compile otherwise, and what the compiler would
# throw away is looked at, too.
FLAGS = "-std=c++20 -O0 -g1 -DFS_ISA=base -fopenmp-simd -ffp-contract=off -Wall -Wextra -Wno-psabi -pthread".split()
# Vectors of sixteen wrap by intention, as in the build; what lanes that are threads compute must not overflow at all.
# There, what the address sanitizer sees of pointers is not asked of the other once more, for half of the time.
# Without use-after-scope: it makes of the many small structs of a vector kernel a compile of minutes.
ADDRESS = (
    "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer "
    "-fno-sanitize-address-use-after-scope"
).split()
THREAD = ["-fsanitize=thread"]
WIDE = ["-fwrapv", "-fno-sanitize=null,alignment,object-size,pointer-overflow"]
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="needs nvcc")


def compiled(folder, flags):
    """The test program, built with these flags."""

    def call(*words):
        done = subprocess.run([COMPILER, *FLAGS, *flags, *words], capture_output=True, text=True)
        if "cannot find" in done.stderr and "san" in done.stderr:
            pytest.skip(f"the compiler has no sanitizer runtime: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr[-4000:]

    def compile_one(source):
        wide = WIDE if source.stem.startswith("cpu_way") else []
        call(*wide, "-c", str(source), "-o", str(folder / f"{source.stem}.o"))
        return str(folder / f"{source.stem}.o")

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, SOURCES))
    call(*objects, "-o", str(folder / "kernels_test"))
    return folder / "kernels_test"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("plain"), [])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("address"), ADDRESS)


@pytest.fixture(scope="module")
def thread(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("thread"), THREAD)


def run(program, *words):
    return subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=600, env={"TSAN_OPTIONS": "halt_on_error=1"}
    )


@needs_compiler
def test_all_schedules_write_the_same_bits(plain):
    done = run(plain)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d{2,} results, 0 differ$", done.stdout, re.M)


@needs_compiler
def test_address_and_undefined_behaviour(address):
    done = run(address, "quick")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@needs_compiler
def test_threads(thread):
    done = run(thread, "quick")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@needs_compiler
def test_a_planted_read_out_of_bounds_is_caught(address):
    done = run(address, "quick", "out of bounds")
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr


@needs_compiler
def test_a_planted_missing_sync_is_caught(thread):
    done = run(thread, "quick", "missing sync")
    assert done.returncode != 0 and "data race" in done.stderr


# Kernel: most registers, most bytes spilled (stores), on any architecture. A static performance test: more of either
# slows a GPU down.
BUDGETS = {
    "Draw": (128, 960),
    "DrawBackward": (255, 48),  # the slope of the mip level, held beside all else
    "DrawLit": (128, 128),  # on 8.6 and 9.0
    "DrawLitBackward": (255, 350),
    "RasterizeClip": (128, 0),  # given out by eights: 122 are no fewer
    "RasterizeLayer": (120, 40),
    "TextureLookup": (72, 8),
    "Prepare": (64, 0),
    "Gbuffer": (96, 0),
    "GbufferLit": (142, 44),  # spills on 7.5 alone
    "DeformVertices": (80, 60),  # 80 and none on 9.0 and up, 64 and all below
    "Blur": (60, 0),
    "Convolve": (80, 0),  # on 7.5; 48 on 9.0
    "TextureAdjoint": (80, 0),
    **dict.fromkeys(("TransformToVertices", "TransformToMatrices", "InterpolateAdjoint", "RasterizeAdjoint"), (64, 0)),
    **dict.fromkeys(("BlurAdjoint", "BlurToSigma", "DevelopAdjoint"), (64, 0)),
    **dict.fromkeys(("ConvolveToKernel", "PoissonAdjoint"), (64, 0)),
    "ConvolveAdjoint": (64, 4),  # on 10.0, which gives it 32 registers
    "Poisson": (64, 16),  # on 7.5
}
OTHERS = (48, 0)
SHARED_BYTES = 48 * 1024


def said_by_ptxas(architectures, folder):
    """Of the build, where it is of these sources; else of a build for this alone."""
    newest = max(path.stat().st_mtime for path in (ROOT / "csrc").rglob("*.*"))
    for log in (ROOT / "build").glob("*/ptxas.txt"):
        if log.stat().st_mtime > newest:
            return log.read_text()
    command = [NVCC, *cuda_flags(), "-Xptxas", "-v", "-Xcompiler", "-fPIC"]
    command += [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in architectures]
    command += ["-c", str(ROOT / "csrc" / "cuda.cu"), "-o", str(folder / "cuda.o")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout + done.stderr


@needs_nvcc
@pytest.mark.slow
def test_nvcc_compiles_for_every_architecture_within_budget(tmp_path):
    known = subprocess.run([NVCC, "--list-gpu-code"], capture_output=True, text=True, check=True).stdout
    wanted = [arch for arch in ARCHITECTURES if f"sm_{arch}" in known.split()]
    assert wanted, f"this nvcc knows none of {ARCHITECTURES}"
    assert {"-Werror=all-warnings", "--fmad=false"} <= set(cuda_flags())
    pattern = re.compile(
        r"entry function '\S*?run_tiles\w*?\d+(\w+?)EEEvT_l' for 'sm_(\d+)a?f?'"
        r".*?(\d+) bytes spill stores.*?Used (\d+) registers(?:[^\n]*?(\d+) bytes smem)?",
        re.S,
    )
    found = pattern.findall(said_by_ptxas(wanted, tmp_path))
    kernels = {kernel for kernel, *_ in found}
    named = set(re.findall(r"X\((\w+)\)", (ROOT / "csrc" / "kernels" / "all.h").read_text())) - {"X"}
    assert kernels == named and len(found) == len(named) * len(wanted)
    print(
        "\n".join(sorted({f"{k} sm_{a}: {r} registers, {s} B spilled, {m or 0} B shared" for k, a, s, r, m in found}))
    )
    over = []
    for kernel, arch, spilled, registers, shared in found:
        most, most_spilled = BUDGETS.get(kernel, OTHERS)
        if int(registers) > most or int(spilled) > most_spilled or int(shared or 0) > SHARED_BYTES:
            over.append(f"{kernel} on sm_{arch}: {registers} registers, {spilled} bytes spilled, {shared} bytes shared")
    assert not over, over
