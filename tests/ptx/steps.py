"""What a basic block costs a warp: how many instructions, and how many of them one after another."""

from __future__ import annotations

import re

import numpy as np

from ptx.parse import Block, Instruction, Kernel

#: Instructions of the machine for one of PTX, where they are many: the usual way through what ptxas makes of it.
EXPANDED = {"div": 8, "rcp": 6, "sqrt": 8, "rem": 30}
COLUMNS = ("instructions", "dependent", "global reads", "shared reads", "local reads")


def steps(kernel: Kernel) -> np.ndarray:
    """For each block, by `COLUMNS`: its instructions; and of the longest chain in which each needs the result of the
    one before, how many are arithmetic, and how many read each memory (a barrier counts as a read of shared memory).
    The chains are taken one by one, so that their sum is an upper bound of the longest one's time, whatever a step
    takes."""
    return np.array([_steps(block) for block in kernel.blocks], np.int64).reshape(-1, len(COLUMNS))


def cost(instruction: Instruction) -> int:
    """Instructions of the machine."""
    parts = instruction.opcode.split(".")
    if parts[0] == "div" and parts[-1][0] != "f":
        return EXPANDED["rem"]
    return EXPANDED.get(parts[0], 1)


def _steps(block: Block) -> list[int]:
    depth: dict[str, np.ndarray] = {}  # of every register that the block has written
    deepest = np.zeros(len(COLUMNS) - 1, np.int64)
    total = 0
    for instruction in [*block.code, *([block.end] if block.end else [])]:
        if instruction.opcode == ".pragma":
            continue
        total += cost(instruction)
        named = re.findall(r"%\w+", " ".join(instruction.operands))
        if instruction.predicate:
            named.append(instruction.predicate.lstrip("!"))
        at = np.max([depth[name] for name in named if name in depth] or [np.zeros_like(deepest)], axis=0)
        at = at + _weight(instruction)
        deepest = np.maximum(deepest, at)
        for name in re.findall(r"%\w+", instruction.operands[0]) if instruction.operands else ():
            depth[name] = at
    return [total, *deepest]


def _weight(instruction: Instruction) -> np.ndarray:
    parts = instruction.opcode.split(".")
    weight = np.zeros(len(COLUMNS) - 1, np.int64)
    if parts[0] == "bar" or (parts[0] in ("ld", "atom") and "shared" in parts):
        weight[2] = 1
    elif parts[0] == "ld" and "local" in parts:
        weight[3] = 1
    elif parts[0] in ("ld", "atom") and "param" not in parts:
        weight[1] = 1
    else:
        weight[0] = cost(instruction)
    return weight
