"""Blocks of threads: warps of 32 lanes in step, in an order drawn by a seed, that meet at barriers."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ptx.memory import WORD, Global, Local, Shared
from ptx.parse import EXIT, Kernel, PtxError
from ptx.steps import COLUMNS, steps
from ptx.translate import CLASSES, DTYPES, Translator

LANES = 32
SECTOR, BANKS = 32, 32  # [bytes] that global memory moves at least; words of shared memory that come at once
_ALL = np.arange(LANES)


class Program:
    """A kernel made ready to run, and what running it has counted.

    Attributes:
        runs, lane_runs: How often each basic block was run by a warp, and by a lane.
        traffic: Accesses of warps by kind: their number; of global ones also bytes and sectors of 32 bytes, and how
            many sectors their block, or the whole launch, had not touched before; of shared ones the turns that a warp
            takes because words share a bank, of atomics the lanes that find another of their warp at their place.
        phases: For each stretch of a block between two barriers, the line of the second one (0 at the kernel's end) and
            the `steps` of each warp.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        translator = Translator(kernel)
        self.functions = translator.functions()
        self.predicates = [
            translator.predicate(block.end.predicate) if block.end and block.end.predicate else None
            for block in kernel.blocks
        ]
        self.predicates = [p and compile(p, "<predicate>", "eval") for p in self.predicates]
        self.rows = translator.rows
        self.runs, self.lane_runs, self.traffic = Counter(), Counter(), Counter()
        self.steps, self.phases = steps(kernel), []

    def launch(self, memory: Global, which, blocks: int, threads: int, params: bytes, seed: int) -> None:
        """Runs the blocks of a grid that `which` names, one after another in any order."""
        random = np.random.default_rng(seed)
        self.touched: set[int] = set()
        with np.errstate(all="ignore"):
            for index in random.permutation(list(which)):
                _Block(self, memory, int(index), blocks, threads, params, random).run()


class _Block:
    def __init__(self, program: Program, memory: Global, index, blocks, threads, params: bytes, random) -> None:
        self.program, self.memory, self.params, self.random = program, memory, params, random
        self.threads = threads
        self.shared = Shared(program.kernel.shared_bytes)
        sizes = {"ntid.x": threads, "ctaid.x": index, "nctaid.x": blocks}
        self.special = {name: np.uint32(value) for name, value in sizes.items()}
        if params:
            self.special["params"] = np.uint64(memory.hold(params))
        self.touched: set[int] = set()
        self.warps = [Warp(self, first) for first in range(0, threads, LANES)]

    def run(self) -> None:
        running = {warp: warp.run() for warp in self.warps}
        ready, ended = list(self.warps), 0
        while running:
            while ready:
                warp = ready[self.random.integers(len(ready))]
                try:
                    if next(running[warp]):  # waits at a barrier
                        ready.remove(warp)
                except StopIteration:
                    ready.remove(warp)
                    del running[warp]
                    ended += 1
            lines = {warp.waits for warp in running}
            self.program.phases.append((max(lines, default=0), np.array([warp.steps for warp in self.warps])))
            for warp in self.warps:
                warp.steps = np.zeros(len(COLUMNS), np.int64)
            if running:
                if ended or len(lines) > 1:
                    raise PtxError(
                        f"deadlock: {len(running)} warps wait at barriers (lines {sorted(lines)}), {ended} have ended"
                    )
                self.shared.epoch += 1
                ready = list(running)


class Warp:
    """32 threads in step. The methods without an underscore are what translated instructions call."""

    def __init__(self, block: _Block, first: int) -> None:
        self.block, self.first, self.waits = block, first, 0
        self.steps = np.zeros(len(COLUMNS), np.int64)
        self.program = block.program
        self.threads = first + _ALL
        self.local = Local(self.program.kernel.local_bytes, LANES)
        self.special = {**block.special, "tid.x": self.threads.astype(np.uint32), "laneid": _ALL.astype(np.uint32)}
        storage: dict[str, np.ndarray] = {}
        self.registers = []
        for name, kind in self.program.rows:
            dtype = np.dtype(DTYPES[kind])
            own = np.dtype(DTYPES[CLASSES[name.strip("%0123456789")]])
            row = storage.setdefault(name, np.zeros(LANES, own))
            self.registers.append(row.view(dtype)[:: own.itemsize // dtype.itemsize])  # the low part, if less

    def run(self):
        """Yields True at a barrier, and False where another warp may take over."""
        program, registers = self.program, self.registers
        blocks, functions, predicates = program.kernel.blocks, program.functions, program.predicates
        stack = [[0, self.threads < self.block.threads, EXIT]]  # block, lanes, block where they meet others
        live = stack[0][1].copy()
        while stack:
            at, mask, until = stack[-1]
            if at == until:
                stack.pop()
                continue
            program.runs[at] += 1
            program.lane_runs[at] += int(np.count_nonzero(mask))
            self.steps += program.steps[at]
            functions[at](registers, mask, self)
            block = blocks[at]
            to = block.next[0]
            if block.end is not None and block.end.opcode.startswith("bar"):
                if block.end.predicate or not np.array_equal(mask, live):
                    raise PtxError(f"{block.end}: only some of the warp's threads reach the barrier")
                self.waits = block.end.line
                yield True
            elif predicates[at] is not None:
                taken = mask & eval(predicates[at], {"r": registers})
                if not taken.any():
                    to = block.next[1]
                elif (taken != mask).any():
                    self._part(stack, taken, mask & ~taken, block)
                    to = None
            if to is None:
                continue
            stack[-1][0] = to
            if to == EXIT:
                gone = stack.pop()[1]
                live &= ~gone
                for frame in stack:
                    frame[1] = frame[1] & ~gone
                while stack and not stack[-1][1].any():
                    stack.pop()
            elif to <= at and self.block.random.integers(8) == 0:
                yield False

    @staticmethod
    def _part(stack, taken, rest, block) -> None:
        stack[-1][0] = block.meets
        if stack[-1][0] == stack[-1][2] and len(stack) > 1:
            stack.pop()  # those below wait there already
        stack.append([block.next[1], rest, block.meets])
        stack.append([block.next[0], taken, block.meets])

    # Memory

    def _pieces(self, space, addresses, lanes, size, writes, atomic, what):
        if space == "global":
            return self.block.memory.pieces(addresses, size, writes, what)
        if space == "local":
            return self.local.pieces(addresses, lanes, size, what)
        access = self.block.shared.write if writes else self.block.shared.read
        return access(addresses, self.threads[lanes], size, atomic, what)

    def _count(self, kind: str, space: str, addresses, size: int) -> None:
        traffic = self.program.traffic
        traffic[f"{space} {kind}s"] += 1
        if kind == "atomic":
            traffic[f"{space} atomics at one place"] += len(addresses) - len(np.unique(addresses))
        elif space == "global":  # aligned, so none reaches into the next sector
            sectors = set((addresses // SECTOR).tolist())
            traffic[f"global {kind} sectors"] += len(sectors)
            traffic[f"global {kind} bytes"] += size * len(addresses)
            for name, touched in (("block", self.block.touched), ("launch", self.program.touched)):
                traffic[f"global {kind} sectors new to the {name}"] += len(sectors - touched)
                touched |= sectors
        elif space == "shared":
            words = np.unique(addresses // WORD)
            traffic["shared conflicts"] += int(np.bincount(words % BANKS).max()) - 1

    def load(self, space, where, outs, dtype, m, volatile, what) -> None:
        lanes = np.flatnonzero(m)
        if len(lanes) == 0:
            return
        item = np.dtype(dtype).itemsize
        if space == "param":
            for k, out in enumerate(outs):
                at = _each(where, lanes) + k * item
                if (at % item).any() or (at < 0).any() or (at > len(self.block.params) - item).any():
                    raise PtxError(f"{what}: leaves the {len(self.block.params)} bytes of parameters")
                content = np.frombuffer(self.block.params, np.uint8)
                out[lanes] = _as(content, dtype)[at // item]
            return
        addresses = _each(where, lanes)
        self._count("read", space, addresses, item * len(outs))
        for here, content, at in self._pieces(space, addresses, lanes, item * len(outs), False, volatile, what):
            values = _as(content, dtype)
            for k, out in enumerate(outs):
                out[lanes[here]] = values[at // item + k]

    def store(self, space, where, values, dtype, m, what) -> None:
        lanes = np.flatnonzero(m)
        if len(lanes) == 0:
            return
        item = np.dtype(dtype).itemsize
        addresses = _each(where, lanes)
        self._count("write", space, addresses, item * len(values))
        for here, content, at in self._pieces(space, addresses, lanes, item * len(values), True, False, what):
            to = _as(content, dtype)
            for k, value in enumerate(values):
                to[at // item + k] = _each(value, lanes[here]).astype(dtype)

    def atomic(self, space, operation, out, where, values, dtype, m, what) -> None:
        lanes = np.flatnonzero(m)
        if len(lanes) == 0:
            return
        item = np.dtype(dtype).itemsize
        addresses = _each(where, lanes)
        self._count("atomic", space, addresses, item)
        if space == "shared":  # it also reads
            list(self._pieces(space, addresses, lanes, item, False, True, what))
        for here, content, at in self._pieces(space, addresses, lanes, item, True, True, what):
            memory = _as(content, dtype)
            for lane, place in zip(lanes[here], at // item, strict=True):
                old, given = memory[place], [_each(value, lane) for value in values]
                if out is not None:
                    out[lane] = old
                memory[place] = _ATOMICS[operation](old, *given)

    # Arithmetic

    @staticmethod
    def high_half(a, b):
        bits = 8 * a.dtype.itemsize
        wide = np.broadcast_to(a, LANES).astype(object) * np.broadcast_to(b, LANES).astype(object)
        return (wide >> bits).astype(a.dtype)

    @staticmethod
    def fused(a, b, c):
        """One rounding: the sum in double, rounded to odd (Boldo and Melquiond 2008), then to single."""
        if a.dtype != np.float32:
            raise PtxError("fma of doubles is not known")
        product, third = a.astype(np.float64) * b, np.asarray(c, np.float64)
        total = product + third
        back = total - product
        rest = (product - (total - back)) + (third - back)
        even = (total.view(np.int64) & 1) == 0
        odd = np.nextafter(total, np.where(rest > 0, np.inf, -np.inf))
        return np.where(np.isfinite(total) & (rest != 0) & even, odd, total).astype(np.float32)

    @staticmethod
    def quotient(a, b, m, what):
        if (np.broadcast_to(b, LANES)[m] == 0).any():
            raise PtxError(f"{what}: divides by zero")
        b = np.where(np.asarray(b) == 0, b.dtype.type(1), b)
        whole = a // b
        return whole + ((whole < 0) & (whole * b != a)).astype(a.dtype)  # towards zero

    @staticmethod
    def extreme(function, a, b):
        """fmin or fmax, with -0 below 0."""
        zero = (a == 0) & (b == 0)
        signed = np.signbit(a) | np.signbit(b) if function is np.fmin else np.signbit(a) & np.signbit(b)
        return np.where(zero, np.where(signed, np.float32(-0.0), np.float32(0.0)), function(a, b))

    @staticmethod
    def shifted_left(a, by):
        bits = 8 * a.dtype.itemsize
        return np.where(by < bits, a << np.minimum(by, bits - 1).astype(a.dtype), a.dtype.type(0))

    @staticmethod
    def shifted_right(a, by):
        bits = 8 * a.dtype.itemsize
        shifted = a >> np.minimum(by, bits - 1).astype(a.dtype)
        return shifted if a.dtype.kind == "i" else np.where(by < bits, shifted, a.dtype.type(0))

    @staticmethod
    def whole(a, dtype):
        """Towards zero, held within the type; 0 for NaN."""
        limits = np.iinfo(dtype)
        inside = np.clip(np.trunc(np.nan_to_num(a.astype(np.float64), nan=0.0)), limits.min, limits.max)
        return inside.astype(dtype)


_ATOMICS = {
    "add": lambda old, value: old + value,
    "min": min,
    "max": max,
    "or": lambda old, value: old | value,
}


def _each(value, lanes):
    """Of these lanes, where it may be the same in all."""
    return np.broadcast_to(value, LANES)[lanes]


def _as(content: np.ndarray, dtype) -> np.ndarray:
    item = np.dtype(dtype).itemsize
    return content[: len(content) // item * item].view(dtype)
