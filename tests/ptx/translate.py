"""Instructions to lines of Python over numpy: a register is a row of 32 lanes, `m` says which of them are active."""

from __future__ import annotations

import re

import numpy as np

from ptx.parse import Block, Instruction, Kernel, PtxError

DTYPES = {
    "pred": np.bool_,
    **{f"s{bits}": getattr(np, f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"{kind}{bits}": getattr(np, f"uint{bits}") for kind in "ub" for bits in (8, 16, 32, 64)},
    "f32": np.float32,
    "f64": np.float64,
}  # fmt: skip
CLASSES = {"p": "pred", "r": "b32", "f": "b32", "fd": "b64", "rd": "b64", "rs": "b16", "SP": "b64", "SPL": "b64"}
_SIMPLE = {
    "add": "add",
    "sub": "subtract",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "div": "divide",
}
_ROUNDED = ("add", "sub", "mul", "mad", "fma", "div", "rcp", "sqrt")  # of floats
_COMPARE = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
_INVERSE = {"ltu": "ge", "leu": "gt", "gtu": "le", "geu": "lt", "neu": "eq"}  # true for NaN: not the inverse


class Translator:
    """One kernel's blocks as functions of (registers, mask, warp)."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.rows: dict[tuple[str, str], int] = {}  # (register, type): place among a warp's views
        self.constants: list[object] = []
        self.known: dict[tuple[str, str], str] = {}

    def functions(self) -> list:
        """A function for each block."""
        source = []
        for i, block in enumerate(self.kernel.blocks):
            source += [f"def block_{i}(r, m, w):", *(f"  {line}" for line in self._lines(block)), "  return"]
        space = {"np": np, "k": self.constants}
        exec(compile("\n".join(source), f"<{self.kernel.name}>", "exec"), space)
        return [space[f"block_{i}"] for i in range(len(self.kernel.blocks))]

    def predicate(self, name: str) -> str:
        return f"~{self.register(name[1:], 'pred')}" if name[0] == "!" else self.register(name, "pred")

    def _lines(self, block: Block):
        for instruction in block.code:
            if instruction.opcode == ".pragma":
                continue
            lines = self._translate(instruction)
            if instruction.predicate:
                yield f"q, m = m, m & {self.predicate(instruction.predicate)}"
                yield from lines
                yield "m = q"
            else:
                yield from lines

    # Operands

    def register(self, name: str, kind: str, low_part: bool = False) -> str:
        match = re.fullmatch(r"%([A-Za-z]+)\d*", name)
        if not match or match[1] not in CLASSES:
            raise PtxError(f"unknown register {name}")
        width, wanted = np.dtype(DTYPES[CLASSES[match[1]]]).itemsize, np.dtype(DTYPES[kind]).itemsize
        if width != wanted and not (low_part and width > wanted):
            raise PtxError(f"register {name} has {width} bytes, but {kind} is wanted")
        return f"r[{self.rows.setdefault((name, kind), len(self.rows))}]"

    def value(self, text: str, kind: str) -> str:
        if re.match(r"%(tid|ntid|ctaid|nctaid|laneid|warpid)\b", text):
            return f"w.special[{text[1:]!r}]"
        if text.startswith("%"):
            return self.register(text, kind)
        key = (text, kind)
        if key not in self.known:
            self.constants.append(self._constant(text, kind))
            self.known[key] = f"k[{len(self.constants) - 1}]"
        return self.known[key]

    def _constant(self, text: str, kind: str):
        if text[:2] in ("0f", "0d"):  # its bits, the highest first
            return np.frombuffer(bytes.fromhex(text[2:])[::-1], DTYPES[kind])[0]
        if text in ("true", "false"):
            return np.bool_(text == "true")
        dtype = np.dtype(DTYPES[kind])
        for names in (self.kernel.shared, self.kernel.local):
            if text in names:
                return dtype.type(names[text])
        if text in self.kernel.params:
            return dtype.type(self.kernel.params[text][0])
        if not re.fullmatch(r"-?\d+|0x[0-9A-Fa-f]+", text):
            raise PtxError(f"unknown operand {text}")
        return np.array([int(text, 0) & ((1 << 8 * dtype.itemsize) - 1)], f"u{dtype.itemsize}").view(dtype)[0]

    def address(self, text: str, space: str) -> str:
        base, _, offset = text[1:-1].partition("+")
        if not base.startswith("%"):
            names = {"param": {k: v[0] for k, v in self.kernel.params.items()}, "shared": self.kernel.shared}[space]
            return f"{names[base] + int(offset or 0)}"
        wide = base.startswith(("%rd", "%SP"))
        lanes = self.value(base, "u64" if wide else "u32")
        return f"{lanes}.astype(np.int64) + {int(offset or 0)}"

    # Instructions

    def _translate(self, instruction: Instruction) -> list[str]:
        parts = instruction.opcode.split(".")
        method = getattr(self, f"_do_{parts[0]}", None)
        if parts[0] in _SIMPLE and not (parts[0] == "div" and parts[-1][0] != "f"):
            method = self._simple
        if method is None or "ftz" in parts or "approx" in parts:
            raise PtxError(f"{instruction}: unknown instruction")
        if parts[0] in _ROUNDED and parts[-1] in ("f32", "f64") and "rn" not in parts:
            raise PtxError(f"{instruction}: rounds in a way that is not known, or may be contracted")
        try:
            return method(instruction, parts, parts[-1])
        except (KeyError, IndexError, PtxError) as error:
            raise PtxError(f"{instruction}: {error}") from error

    def _call(self, name: str, to: str, *values: str) -> list[str]:
        return [f"np.{name}({', '.join(values)}, out={to}, where=m)"]

    def _copy(self, to: str, value: str) -> list[str]:
        return [f"np.copyto({to}, {value}, where=m, casting='unsafe')"]

    def _all(self, i: Instruction, kind: str) -> list[str]:
        return [self.register(i.operands[0], kind), *(self.value(each, kind) for each in i.operands[1:])]

    def _simple(self, i, parts, kind):
        name = _SIMPLE[parts[0]]
        return self._call(name.replace("bitwise", "logical") if kind == "pred" else name, *self._all(i, kind))

    def _do_mul(self, i, parts, kind):
        if "wide" in parts:
            wide = f"{kind[0]}{2 * int(kind[1:])}"
            a, b = (self.value(each, kind) for each in i.operands[1:])
            to = self.register(i.operands[0], wide)
            return [f"np.multiply({a}, {b}, out={to}, where=m, dtype={to}.dtype)"]
        if "hi" in parts:
            to, a, b = self._all(i, kind)
            return self._copy(to, f"w.high_half({a}, {b})")
        return self._call("multiply", *self._all(i, kind))

    def _do_mad(self, i, parts, kind):
        to, a, b, c = self._all(i, kind)
        return self._call("add", to, f"np.multiply({a}, {b})", c)

    def _do_fma(self, i, parts, kind):
        to, a, b, c = self._all(i, kind)
        return self._copy(to, f"w.fused({a}, {b}, {c})")

    def _do_div(self, i, parts, kind):
        to, a, b = self._all(i, kind)
        return self._copy(to, f"w.quotient({a}, {b}, m, {str(i)!r})")

    def _do_rem(self, i, parts, kind):
        to, a, b = self._all(i, kind)
        return self._copy(to, f"{a} - w.quotient({a}, {b}, m, {str(i)!r}) * {b}")

    def _do_rcp(self, i, parts, kind):
        to, a = self._all(i, kind)
        return self._call("divide", to, f"{a}.dtype.type(1)", a)

    def _do_sqrt(self, i, parts, kind):
        return self._call("sqrt", *self._all(i, kind))

    def _do_neg(self, i, parts, kind):
        return self._call("negative", *self._all(i, kind))

    def _do_not(self, i, parts, kind):
        return self._call("logical_not" if kind == "pred" else "invert", *self._all(i, kind))

    def _do_min(self, i, parts, kind):
        to, *values = self._all(i, kind)
        if kind[0] == "f":
            return self._copy(to, f"w.extreme(np.fmin, {', '.join(values)})")
        return self._call("minimum" if parts[0] == "min" else "maximum", to, *values)

    def _do_max(self, i, parts, kind):
        return [line.replace("np.fmin", "np.fmax") for line in self._do_min(i, parts, kind)]

    def _do_copysign(self, i, parts, kind):
        to, sign, size = self._all(i, kind)
        return self._call("copysign", to, size, sign)

    def _do_shl(self, i, parts, kind, name="shifted_left"):
        to, a = self._all(i, kind)[:2]
        return self._copy(to, f"w.{name}({a}, {self.value(i.operands[2], 'u32')})")

    def _do_shr(self, i, parts, kind):
        return self._do_shl(i, parts, kind, "shifted_right")

    def _do_setp(self, i, parts, kind):
        to = self.register(i.operands[0], "pred")
        a, b = (self.value(each, kind) for each in i.operands[1:])
        if len(parts) != 3:
            raise PtxError("unknown comparison")
        if parts[1] in _INVERSE:
            return self._copy(to, f"~np.{_COMPARE[_INVERSE[parts[1]]]}({a}, {b})")
        if parts[1] == "ne" and kind[0] == "f":  # false for NaN, other than numpy's
            return self._copy(to, f"({a} < {b}) | ({a} > {b})")
        return self._call(_COMPARE[parts[1]], to, a, b)

    def _do_selp(self, i, parts, kind):
        a, b = (self.value(each, kind) for each in i.operands[1:3])
        return self._copy(
            self.register(i.operands[0], kind), f"np.where({self.value(i.operands[3], 'pred')}, {a}, {b})"
        )

    def _do_mov(self, i, parts, kind):
        if i.operands[0][0] == "{":  # halves, of which one may have no use
            low, high = (name.strip() for name in i.operands[0][1:-1].split(","))
            half, whole = f"b{int(kind[1:]) // 2}", self.value(i.operands[1], kind)
            shifted = [whole, f"{whole} >> np.uint{kind[1:]}({half[1:]})"]
            both = zip((low, high), shifted, strict=True)
            return [
                line for name, value in both if name[0] == "%" for line in self._copy(self.register(name, half), value)
            ]
        return self._copy(*self._all(i, kind))

    def _do_cvta(self, i, parts, kind):
        if "global" not in parts and "param" not in parts:
            raise PtxError("generic addresses are known of global memory and of parameters alone")
        to, value = self._all(i, kind)
        return self._copy(to, value if "global" in parts else f"{value} + w.special['params']")

    def _do_cvt(self, i, parts, kind):
        to_kind, kind = parts[-2], parts[-1]
        to, text = self.register(i.operands[0], to_kind), i.operands[1]
        a = self.register(text, kind, low_part=True) if text[0] == "%" else self.value(text, kind)
        rounding = parts[1] if len(parts) == 4 else ""
        floats = (to_kind[0] == "f") + (kind[0] == "f")
        if rounding == "rmi" and floats == 2 and to_kind == kind:
            return self._call("floor", to, a)
        if rounding == "rzi" and kind[0] == "f" and to_kind[0] != "f":
            return self._copy(to, f"w.whole({a}, {to}.dtype)")
        if rounding == ("rn" if floats and to_kind[0] == "f" and (to_kind, kind) != ("f64", "f32") else ""):
            return self._copy(to, a)
        raise PtxError("unknown conversion")

    def _space(self, parts: list[str]) -> str:
        return next((part for part in parts if part in ("param", "shared", "local")), "global")

    def _vector(self, text: str, kind: str) -> list[str]:
        """Registers of a load or store, which may be wider than what lies in memory."""
        values = []
        for name in text.strip("{}").split(","):
            name = name.strip()
            own = CLASSES[re.sub(r"[%\d]", "", name)] if name[0] == "%" else kind
            values.append(self.value(name, kind if own[1:] == kind[1:] else f"{kind[0]}{own[1:]}".replace("f", "b")))
        return values

    def _do_ld(self, i, parts, kind):
        space, outs = self._space(parts), ", ".join(self._vector(i.operands[0], kind))
        where, dtype = self.address(i.operands[1], space), f"np.{np.dtype(DTYPES[kind])}"
        return [f"w.load({space!r}, {where}, ({outs},), {dtype}, m, {'volatile' in parts}, {str(i)!r})"]

    def _do_st(self, i, parts, kind):
        space, values = self._space(parts), ", ".join(self._vector(i.operands[1], kind))
        where, dtype = self.address(i.operands[0], space), f"np.{np.dtype(DTYPES[kind])}"
        return [f"w.store({space!r}, {where}, ({values},), {dtype}, m, {str(i)!r})"]

    def _do_atom(self, i, parts, kind):
        space, operation = self._space(parts), parts[-2]
        values = ", ".join(self.value(each, kind) for each in i.operands[2:])
        to = "None" if i.operands[0] == "_" else self.register(i.operands[0], kind)
        dtype = f"np.{np.dtype(DTYPES[kind])}"
        where = self.address(i.operands[1], space)
        return [f"w.atomic({space!r}, {operation!r}, {to}, {where}, ({values},), {dtype}, m, {str(i)!r})"]
