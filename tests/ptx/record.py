"""The library's operators, launching into the interpreter: `torch.ops.fastsynth_ptx`."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from toolchain import ROOT, cuda_flags, ptx_architecture, torch_flags

from ptx.machine import Program
from ptx.memory import Global
from ptx.parse import parse

_WATCH = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)
_LISTEN = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, *[ctypes.c_int64] * 5)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-4000:]}")


def compile_ptx(nvcc: str, to: Path) -> str:
    """What nvcc emits for the library's kernels, with the flags of the build."""
    flags = [flag for flag in cuda_flags() if not flag.startswith("--threads")]
    target = f"-arch=compute_{ptx_architecture()}"
    _run(nvcc, "-ptx", target, *flags, str(ROOT / "csrc/cuda.cu"), "-o", str(to))
    return to.read_text()


def compile_recorder(compiler: str, to: Path) -> None:
    """The operators that hand over their launches."""
    flags = ["-std=c++20", "-shared", "-fPIC", "-O1", "-ffp-contract=off", "-fwrapv", "-Wno-psabi", *torch_flags()]
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    _run(compiler, *flags, str(ROOT / "tests/ptx/record.cpp"), "-o", str(to), str(library))


@dataclass(frozen=True)
class Launched:
    """A launch as the device would get it."""

    kernel: str
    tiles: int
    blocks: int
    threads: int
    shared_bytes: int


class Interpreter:
    """Runs launches of the recorded operators on PTX.

    Args:
        ptx: Text of the module.
        recorder: The compiled recorder; one for the process.

    Attributes:
        launches: Those since the last `running`.
        memory: What their kernels may touch.
    """

    def __init__(self, ptx: str, recorder: Path) -> None:
        self.kernels, self.programs = parse(ptx), {}
        self.launches: list[Launched] = []
        self.memory = Global()
        self._failure: BaseException | None = None
        self._seed, self._choose = 0, None
        torch.ops.load_library(str(recorder))
        self._library = ctypes.CDLL(str(recorder))
        self._callbacks = (_WATCH(self._watch), _LISTEN(self._launch))  # kept as long as the library may call them

    def program(self, name: str) -> Program:
        """A kernel by the name of its struct."""
        if name not in self.programs:
            (mangled,) = [each for each in self.kernels if re.search(rf"run_tilesINS_\d+{name}EE", each)]
            self.programs[name] = Program(self.kernels[mangled])
        return self.programs[name]

    def _watch(self, at: int, size: int, writable: int) -> None:
        self.memory.watch(at, size, bool(writable))

    def _launch(self, name: bytes, argument: int, size: int, *numbers: int) -> None:
        if self._failure is not None:
            return
        try:
            launched = Launched(name.decode(), *numbers)
            self.launches.append(launched)
            blocks = range(launched.blocks) if self._choose is None else self._choose(launched)
            if len(blocks) == 0:
                return
            program = self.program(launched.kernel)
            (first, bytes_), (second, _) = program.kernel.params.values()
            if bytes_ != size or launched.threads > program.kernel.threads:
                raise RuntimeError(f"{launched}, {size} bytes of argument: the PTX was compiled for {bytes_} bytes")
            params = bytearray(program.kernel.param_bytes)
            params[first : first + size] = ctypes.string_at(argument, size)
            params[second : second + 8] = launched.tiles.to_bytes(8, "little")
            program.launch(self.memory, blocks, launched.blocks, launched.threads, bytes(params), self._seed)
        except BaseException as error:  # ctypes would print it and go on
            self._failure = error

    @contextmanager
    def running(
        self, seed: int = 0, choose: Callable[[Launched], Sequence[int]] | None = None
    ) -> Iterator[list[Launched]]:
        """`torch.ops.fastsynth` launches into the interpreter within.

        Args:
            seed: Of the order of blocks and warps.
            choose: The numbers of the blocks that are run, of each launch; None = all.
        """
        real, self.memory, self._failure, self.launches = torch.ops.fastsynth, Global(), None, []
        self._seed, self._choose = seed, choose
        self._library.fastsynth_ptx_listen(*self._callbacks)
        setattr(torch.ops, "fastsynth", torch.ops.fastsynth_ptx)  # noqa: B010 - what the type checker cannot know
        try:
            yield self.launches
        finally:
            setattr(torch.ops, "fastsynth", real)  # noqa: B010
        if self._failure is not None:
            raise self._failure
