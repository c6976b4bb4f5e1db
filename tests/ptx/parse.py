"""PTX text to kernels: declarations, instructions, basic blocks and where their branches meet again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

EXIT = -1  # the block after the last


class PtxError(Exception):
    """What a kernel does that it must not, or that the interpreter does not know; names the line of the PTX."""


@dataclass(frozen=True)
class Instruction:
    line: int
    predicate: str | None  # register, "!" before it where negated
    opcode: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        return f"line {self.line}: {self.opcode} {', '.join(self.operands)}"


@dataclass
class Block:
    """Instructions without a jump but at the end."""

    code: list[Instruction]
    end: Instruction | None = None  # bra, ret or bar.sync; None = goes on in the next
    next: list[int] = field(default_factory=list)  # where it goes: taken first
    meets: int = EXIT  # first block that all ways from here pass


@dataclass
class Kernel:
    name: str
    params: dict[str, tuple[int, int]]  # offset, bytes
    param_bytes: int
    shared: dict[str, int]  # offset
    shared_bytes: int
    local: dict[str, int]
    local_bytes: int
    threads: int
    blocks: list[Block]


_SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}
_VARIABLE = re.compile(r"\.(param|shared|local)(?: \.align (\d+))? \.[busf](\d+)\s+([\w$]+)(?:\[(\d+)\])?")
_ENTRY = re.compile(r"\.entry (\w+)\((.*?)\)\s*(.*?)\{(.*?)^\}", re.S | re.M)


def parse(text: str) -> dict[str, Kernel]:
    """Every kernel of a module, by its mangled name."""
    kernels = {}
    for match in _ENTRY.finditer(text):
        first_line = text.count("\n", 0, match.start(4)) + 1
        kernels[match[1]] = _kernel(match[1], match[2], match[3], match[4], first_line)
    return kernels


def _kernel(name: str, params: str, directives: str, body: str, first_line: int) -> Kernel:
    spaces: dict[str, dict[str, tuple[int, int]]] = {"param": {}, "shared": {}, "local": {}}
    ends = dict.fromkeys(spaces, 0)

    def declare(text: str) -> None:
        for space, align, bits, variable, count in _VARIABLE.findall(text):
            size = _SIZES[bits] * int(count or 1)
            at = -(-ends[space] // int(align or _SIZES[bits])) * int(align or _SIZES[bits])
            spaces[space][variable] = (at, size)
            ends[space] = at + size

    declare(params)
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for number, line in enumerate(body.split("\n"), first_line):
        line = line.split("//")[0].strip()
        if line.endswith(":"):
            labels[line[:-1]] = len(instructions)
        elif line.startswith("."):
            declare(line)
        elif line:
            if line.startswith("{") and line.endswith("}"):  # a scope of one line, with registers of its own
                line = line[1:-1]
            for statement in line.split(";"):
                if statement.strip() and not statement.strip().startswith(".reg"):
                    instructions.append(_instruction(number, statement.strip() + ";"))
    threads = re.search(r"\.maxntid (\d+)", directives)
    offsets = {space: {k: v[0] for k, v in found.items()} for space, found in spaces.items()}
    return Kernel(
        name,
        spaces["param"],
        ends["param"],
        offsets["shared"],
        ends["shared"],
        offsets["local"],
        ends["local"],
        int(threads[1]) if threads else 1024,
        _blocks(instructions, labels),
    )


def _instruction(number: int, line: str) -> Instruction:
    match = re.fullmatch(r"(?:@(!?%\w+)\s+)?([\w.:]+)\s*(.*?);", line)
    if not match:
        raise PtxError(f"line {number}: cannot read {line!r}")
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", match[3])
    return Instruction(number, match[1], match[2], tuple(operands))


def _ends_block(instruction: Instruction) -> bool:
    return instruction.opcode.split(".")[0] in ("bra", "ret", "exit", "bar", "barrier")


def _blocks(code: list[Instruction], labels: dict[str, int]) -> list[Block]:
    starts = {0, *labels.values()} | {i + 1 for i, each in enumerate(code) if _ends_block(each)}
    order = sorted(start for start in starts if start < len(code))
    number = {start: i for i, start in enumerate(order)}
    blocks = []
    for i, (start, stop) in enumerate(zip(order, [*order[1:], len(code)], strict=True)):
        block = Block(code[start:stop])
        after = i + 1 if i + 1 < len(order) else EXIT
        block.next = [after]
        if _ends_block(block.code[-1]):
            block.end = block.code.pop()
            kind = block.end.opcode.split(".")[0]
            if kind in ("ret", "exit"):
                block.next = [EXIT]
            elif kind == "bra":
                block.next = [number[labels[block.end.operands[0]]]]
            if kind != "bar" and block.end.predicate:
                block.next.append(after)
        blocks.append(block)
    _find_meetings(blocks)
    return blocks


def _find_meetings(blocks: list[Block]) -> None:
    """Immediate postdominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm", 2001."""
    before: dict[int, list[int]] = {}
    for i, block in enumerate(blocks):
        for to in block.next:
            before.setdefault(to, []).append(i)
    order: list[int] = []  # postorder from the exit, backwards
    seen, stack = {EXIT}, [(EXIT, iter(before.get(EXIT, ())))]
    while stack:
        at, rest = stack[-1]
        for to in rest:
            if to not in seen:
                seen.add(to)
                stack.append((to, iter(before.get(to, ()))))
                break
        else:
            order.append(at)
            stack.pop()
    rank = {block: i for i, block in enumerate(order)}
    meets = {EXIT: EXIT}

    def common(a: int, b: int) -> int:
        while a != b:
            while rank[a] < rank[b]:
                a = meets[a]
            while rank[b] < rank[a]:
                b = meets[b]
        return a

    changed = True
    while changed:
        changed = False
        for at in reversed(order[:-1]):
            known = [to for to in blocks[at].next if to in meets]
            new = known[0]
            for to in known[1:]:
                new = common(new, to)
            if meets.get(at) != new:
                meets[at] = new
                changed = True
    for i, block in enumerate(blocks):
        block.meets = meets.get(i, EXIT)
