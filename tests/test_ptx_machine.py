"""The PTX interpreter itself: what each class of instruction does, and what it refuses."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from ptx.faults import FAULTS, ROOT
from ptx.machine import Program
from ptx.memory import Global
from ptx.parse import PtxError, parse
from ptx.steps import steps

HEAD = """.visible .entry k(.param .u64 k_param_0, .param .u32 k_param_1)
.maxntid 128
{
.reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<33>; .reg .b32 %f<33>; .reg .b64 %rd<33>; .reg .b64 %fd<9>;
"""
# %r0: this thread's number; %rd0: where its eight bytes lie.
ADDRESS = """
mov.u32 %r0, %tid.x;
ld.param.u64 %rd0, [k_param_0];
cvta.to.global.u64 %rd0, %rd0;
mul.wide.u32 %rd1, %r0, 8;
add.s64 %rd0, %rd0, %rd1;
"""


def run(body, *arguments, **options):
    """What a kernel leaves in eight bytes for each thread."""
    return run_program(body, *arguments, **options)[0]


def run_program(body, data=None, threads=32, blocks=1, declare="", dtype: type = np.int64, writable=True, seed=0):
    """The same, and the program with its counts."""
    given = np.zeros(threads, np.uint64) if data is None else np.array(data).view(np.uint64)
    room = np.zeros(len(given) + 8, np.uint64)  # to begin at a multiple of 64 bytes, as tensors do
    data = room[-room.ctypes.data % 64 // 8 :][: len(given)]
    data[:] = given
    memory = Global()
    memory.watch(data.ctypes.data, data.nbytes, writable)
    lines = re.sub(r"(\$\w+): ", r"\1:\n", "\n".join(f"{line.strip()};" for line in body.split(";") if line.strip()))
    text = HEAD + declare + ADDRESS + lines + "\nret;\n}\n"
    params = int(data.ctypes.data).to_bytes(8, "little") + (77).to_bytes(4, "little")
    program = Program(parse(text)["k"])
    program.launch(memory, range(blocks), blocks, threads, params, seed)
    return data.view(dtype), program


def result(body, kind, values=(), dtype: type = np.int64):
    """`body` computes register 9 of a type from registers 1, 2, ... of the same, in every lane."""
    prefix = {"s32": "%r", "u32": "%r", "b32": "%r", "f32": "%f", "s64": "%rd", "u64": "%rd", "f64": "%fd"}[kind]
    loads = "".join(f"mov.b{kind[1:]} {prefix}{i}, {value};" for i, value in enumerate(values, 1))
    out = run(loads.replace("%rd1,", "%rd11,") + body + f"; st.global.b{kind[1:]} [%rd0], {prefix}9", dtype=dtype)
    return out.view(dtype)[0]


def single(x):
    return f"0f{np.float32(x).view(np.uint32):08X}"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("add.s32 %r9, %r1, %r2", -8),
        ("sub.s32 %r9, %r1, %r2", -6),
        ("mul.lo.s32 %r9, %r1, %r2", 7),
        ("mad.lo.s32 %r9, %r1, %r2, 5", 12),
        ("div.s32 %r9, %r1, 2", -3),
        ("rem.s32 %r9, %r1, 2", -1),
        ("div.u32 %r9, %r1, 2", 2**31 - 4),
        ("neg.s32 %r9, %r1", 7),
        ("min.s32 %r9, %r1, %r2", -7),
        ("max.s32 %r9, %r1, %r2", -1),
        ("min.u32 %r9, %r1, 5", 5),
        ("and.b32 %r9, %r1, 12", 8),
        ("or.b32 %r9, %r1, 4", -3),
        ("xor.b32 %r9, %r1, -1", 6),
        ("not.b32 %r9, %r1", 6),
        ("shl.b32 %r9, %r1, 1", -14),
        ("shl.b32 %r9, %r1, 32", 0),
        ("shr.s32 %r9, %r1, 40", -1),
        ("shr.u32 %r9, %r1, 28", 15),
        ("shr.u32 %r9, %r1, 40", 0),
        ("add.s32 %r9, 2147483647, 1", -(2**31)),
        ("setp.lt.s32 %p1, %r1, 0; selp.b32 %r9, 3, 4, %p1", 3),
        ("setp.lt.u32 %p1, %r1, 0; selp.b32 %r9, 3, 4, %p1", 4),
        ("setp.ge.s32 %p1, %r1, 0; not.pred %p2, %p1; selp.b32 %r9, 3, 4, %p2", 3),
        ("setp.ne.s32 %p1, %r1, 0; xor.pred %p2, %p1, true; @%p2 mov.u32 %r9, 1; @!%p2 mov.u32 %r9, 2", 2),
    ],
)
def test_whole_numbers(body, expected):
    assert result(body, "s32", (-7, -1), np.int32) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("mul.wide.s32 %rd9, -3, 2000000000", -6_000_000_000),
        ("mul.wide.u32 %rd9, -1, 2", 2**33 - 2),
        ("mul.hi.s64 %rd9, %rd3, 6", -1),
        ("shl.b64 %rd9, 1, 63", -(2**63)),
        ("div.s64 %rd9, %rd3, 4", -1),
        ("mov.u32 %r4, -5; cvt.s64.s32 %rd9, %r4", -5),
        ("mov.u32 %r4, -5; cvt.u64.u32 %rd9, %r4", 2**32 - 5),
        ("mov.b64 {tmp, %r4}, %rd3; cvt.u64.u32 %rd9, %r4", 2**32 - 1),
    ],
)
def test_long_numbers(body, expected):
    assert result("mov.b64 %rd3, -5;" + body, "s64") == expected


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_floats_are_ieee(name):
    rng = np.random.default_rng(1)
    for a, b in rng.normal(size=(4, 2)).astype(np.float32):
        expected = getattr(np, {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide"}[name])(a, b)
        assert result(f"{name}.rn.f32 %f9, %f1, %f2", "f32", (single(a), single(b)), np.float32) == expected
    assert result("sqrt.rn.f32 %f9, %f1", "f32", (single(2),), np.float32) == np.sqrt(np.float32(2))
    assert result("rcp.rn.f32 %f9, %f1", "f32", (single(3),), np.float32) == np.float32(1) / np.float32(3)


def test_fma_rounds_once():
    rng = np.random.default_rng(2)
    exact = differs = 0
    for _ in range(150):
        a, b = rng.normal(size=2).astype(np.float32)
        c = np.float32(-a * b) * np.float32(1 + rng.integers(-2, 3) * 2.0**-23)  # most of the sum cancels
        got = result("fma.rn.f32 %f9, %f1, %f2, %f3", "f32", tuple(map(single, (a, b, c))), np.float32)
        true = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        near = [np.nextafter(got, np.float32(s) * np.float32(np.inf)) for s in (-1, 1)]
        assert all(abs(Fraction(float(got)) - true) <= abs(Fraction(float(n)) - true) for n in near)
        exact += 1
        differs += bool(got != a * b + c)
    assert differs > 50


@pytest.mark.parametrize(
    ("body", "values", "expected"),
    [
        ("min.f32 %f9, %f1, %f2", (math.nan, 2), 2.0),
        ("max.f32 %f9, %f1, %f2", (1, math.nan), 1.0),
        ("min.f32 %f9, %f1, %f2", (0.0, -0.0), -0.0),
        ("max.f32 %f9, %f1, %f2", (-0.0, 0.0), 0.0),
        ("neg.f32 %f9, %f1", (0.0,), -0.0),
        ("copysign.f32 %f9, %f1, %f2", (-1, 3), -3.0),
        ("cvt.rmi.f32.f32 %f9, %f1", (-1.5,), -2.0),
        ("mov.u32 %r4, -1; cvt.rn.f32.u32 %f9, %r4", (), 2.0**32),
        ("mov.u32 %r4, 16777217; cvt.rn.f32.s32 %f9, %r4", (), 2.0**24),
        ("cvt.f64.f32 %fd1, %f1; cvt.rn.f32.f64 %f9, %fd1", (0.1,), np.float32(0.1)),
        *[
            (f"setp.{c}.f32 %p1, %f1, %f2; selp.f32 %f9, {single(1)}, {single(0)}, %p1", (math.nan, 1), float("u" in c))
            for c in ("eq", "ne", "lt", "le", "gt", "ge", "neu", "ltu", "leu", "gtu", "geu")
        ],
        (f"setp.neu.f32 %p1, %f1, %f2; selp.f32 %f9, {single(1)}, {single(0)}, %p1", (1, 1), 0.0),
        (f"setp.leu.f32 %p1, %f1, %f2; selp.f32 %f9, {single(1)}, {single(0)}, %p1", (1, 1), 1.0),
    ],
)
def test_floats(body, values, expected):
    got = result(body, "f32", tuple(map(single, values)), np.float32)
    assert got == expected and np.signbit(got) == np.signbit(expected)


@pytest.mark.parametrize(("x", "expected"), [(-1.9, -1), (3e9, 2**31 - 1), (-3e9, -(2**31)), (math.nan, 0)])
def test_conversion_to_whole_numbers_is_held_within_them(x, expected):
    assert result(f"mov.f32 %f4, {single(x)}; cvt.rzi.s32.f32 %r9, %f4", "s32", (), np.int32) == expected


def test_special_registers_and_parameters():
    out = run("mov.u32 %r1, %ntid.x; ld.param.u32 %r2, [k_param_1]; mad.lo.s32 %r3, %r1, 1000, %r0;"
              "add.s32 %r3, %r3, %r2; st.global.u32 [%rd0], %r3", threads=64)  # fmt: skip
    assert (out == 64000 + 77 + np.arange(64)).all()


def test_memory_of_every_width():
    data = np.arange(32, dtype=np.uint64) - np.uint64(1) << np.uint64(32) | np.uint64(7)
    out = run("ld.global.v2.u32 {%r1, %r2}, [%rd0]; st.global.v2.u32 [%rd0], {%r2, %r1}", data)
    assert (out == (7 << 32 | (np.arange(32) - 1 & 0xFFFFFFFF))).all()
    out = run("ld.global.s32 %rd3, [%rd0+4]; st.global.u64 [%rd0], %rd3", data)  # into a wider register
    assert (out == np.arange(32) - 1).all()
    out = run("mov.b16 %rs1, 258; st.u8 [%rd0+1], %rs1")
    assert (out == 2 << 8).all()
    out = run("mov.u64 %SPL, depot; add.u64 %rd5, %SPL, 4; st.local.u32 [%rd5], %r0; ld.local.u32 %r2, [%rd5];"
              "st.global.u32 [%rd0], %r2", declare=".local .align 16 .b8 depot[16];\n")  # fmt: skip
    assert (out == np.arange(32)).all()


def test_branches_meet_again():
    """Odd lanes go round as often as their number says, each third leaves from within the loop."""
    body = """
    and.b32 %r1, %r0, 1; mov.u32 %r5, 0; setp.eq.s32 %p1, %r1, 0; @%p1 bra $even;
    mov.u32 %r2, 0;
    $loop: setp.ge.s32 %p2, %r2, %r0; @%p2 bra $odd_done;
    add.s32 %r5, %r5, 2; add.s32 %r2, %r2, 1; setp.eq.s32 %p3, %r2, 9; @%p3 bra $odd_done; bra.uni $loop;
    $odd_done: add.s32 %r5, %r5, 1; bra.uni $end;
    $even: mov.u32 %r5, 100;
    $end: add.s32 %r5, %r5, 1000; st.global.u32 [%rd0], %r5
    """
    lanes = np.arange(32)
    assert (run(body) == 1000 + np.where(lanes % 2, 2 * np.minimum(lanes, 9) + 1, 100)).all()


def test_lanes_may_end_early():
    body = "setp.lt.s32 %p1, %r0, 5; @%p1 ret; mov.u32 %r1, 3; st.global.u32 [%rd0], %r1"
    assert (run(body) == np.where(np.arange(32) < 5, 0, 3)).all()


SHARED = ".shared .align 8 .b8 pool[1024];\n"


@pytest.mark.parametrize("seed", range(4))
def test_warps_meet_at_barriers(seed):
    body = """
    shl.b32 %r1, %r0, 3; st.shared.u32 [%r1], %r0; bar.sync 0;
    xor.b32 %r2, %r0, 96; shl.b32 %r2, %r2, 3; ld.shared.u32 %r3, [%r2]; st.global.u32 [%rd0], %r3
    """
    assert (run(body, threads=128, declare=SHARED, seed=seed) == (np.arange(128) ^ 96)).all()


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("add.u32", 5 * 128), ("max.s32", 127), ("min.s32", 0), ("or.b32", 127)],
)
def test_atomics(operation, expected):
    value = "5" if operation == "add.u32" else "%r0"
    body = f"""
    mov.u32 %r1, 1000; setp.eq.s32 %p1, %r0, 0; @!%p1 bra $ready;
    st.shared.u32 [pool], {1000 if "min" in operation else 0};
    $ready: bar.sync 0; atom.shared.{operation} %r2, [pool], {value}; bar.sync 0;
    ld.shared.u32 %r3, [pool]; st.global.u32 [%rd0], %r3
    """
    assert (run(body, threads=128, declare=SHARED) == expected).all()


def test_an_atomic_gives_what_was_there():
    body = "ld.param.u64 %rd5, [k_param_0]; atom.global.add.u32 %r1, [%rd5+4], 1; st.global.u32 [%rd0], %r1"
    assert sorted(run(body) & 0xFFFFFFFF) == list(range(32))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ex2.approx.f32 %f1, %f2", "unknown instruction"),
        ("add.f32 %f1, %f2, %f3", "may be contracted"),
        ("mul.f32 %f1, %f2, %f3", "may be contracted"),
        ("add.s32 %rd5, %rd6, %rd7", "has 8 bytes"),
        ("ld.global.u64 %rd5, [%rd0+8]", "belong to no tensor"),
        ("ld.global.u64 %rd5, [%rd0+4]", "not aligned"),
        ("st.shared.u32 [pool+1024], %r0", "leaves the block's 1024 bytes"),
        ("ld.shared.u32 %r1, [pool]", "nobody wrote"),
        ("ld.local.u32 %r1, [%rd0]", "leaves the thread's 0 bytes"),
        ("ld.param.u64 %rd5, [k_param_0+16]", "leaves the 12 bytes of parameters"),
        ("mov.u32 %r1, 0; div.s32 %r2, %r0, %r1", "divides by zero"),
        ("setp.lt.s32 %p1, %r0, 5; @%p1 bra $one; bar.sync 0; $one: mov.u32 %r1, 0", "only some of the warp's threads"),
        ("setp.lt.s32 %p1, %r0, 32; @%p1 ret; bar.sync 0", "deadlock"),
        ("setp.lt.s32 %p1, %r0, 32; @%p1 bra $one; bar.sync 0; bra.uni $two; $one: bar.sync 0; $two: mov.u32 %r1, 0",
         "deadlock"),
        ("st.shared.u32 [pool], %r0", "another thread has written byte 0"),
        ("shl.b32 %r1, %r0, 2; st.shared.u32 [%r1], %r0; xor.b32 %r1, %r1, 4; ld.shared.u32 %r2, [%r1]",
         "another thread has written"),
        ("shl.b32 %r1, %r0, 2; st.shared.u32 [%r1], %r0; bar.sync 0; xor.b32 %r2, %r1, 4; ld.shared.u32 %r2, [%r2];"
         "st.shared.u32 [%r1], %r0", "another thread has read"),
        ("atom.shared.or.b32 %r1, [pool], %r0", "nobody wrote"),
    ],
)  # fmt: skip
def test_what_must_not_be_is_an_error_that_names_the_line(body, says):
    with pytest.raises(PtxError, match=says) as caught:
        run(body, threads=64, declare=SHARED)
    assert "line" in str(caught.value)


def test_what_is_only_read_cannot_be_written():
    with pytest.raises(PtxError, match="only read"):
        run("st.global.u32 [%rd0], %r0", writable=False)


def test_atomic_reads_may_meet_atomic_writes():
    body = """
    setp.eq.s32 %p1, %r0, 0; @!%p1 bra $ready; st.shared.u64 [pool], %rd0;
    $ready: bar.sync 0; ld.volatile.shared.u64 %rd5, [pool]; atom.shared.min.s64 %rd6, [pool], 3
    """
    run(body, threads=64, declare=SHARED)
    with pytest.raises(PtxError, match="another thread has written"):
        run(
            body.replace("atom.shared.min.s64 %rd6, [pool], 3", "st.shared.u64 [pool], %rd0"),
            threads=64,
            declare=SHARED,
        )


def test_the_steps_of_a_block_and_of_its_warps():
    body = """
    ld.global.u64 %rd5, [%rd0]; ld.global.u64 %rd6, [%rd5]; ld.global.u64 %rd7, [%rd0+8]; ld.shared.u32 %r1, [pool];
    add.s32 %r2, %r1, 1; add.s32 %r3, %r2, 1; add.s32 %r4, %r0, 1; div.rn.f32 %f1, %f2, %f3; add.rn.f32 %f4, %f1, %f1
    """
    lines = re.sub(r"\s*;\s*", ";\n", body.strip()) + ";"
    (kernel,) = parse(HEAD + SHARED + lines + "\nret;\n}\n").values()
    # 7 of one each, a division of 8, an addition, and the end; the division and the addition after it; two reads of
    # which the second needs the first; one of shared memory.
    assert steps(kernel).tolist() == [[7 + 8 + 1 + 1, 8 + 1, 2, 1, 0]]
    wait = "setp.lt.s32 %p1, %r0, 32; @!%p1 bra $join; add.s32 %r1, %r0, 1; add.s32 %r1, %r1, 1; $join: bar.sync 0"
    _, program = run_program(wait, threads=64)
    (line, before), (last, after) = program.phases
    assert line > 0 == last and before[0, 0] == before[1, 0] + 2 and before[:, 3].tolist() == [1, 1]
    assert after.tolist() == [[1, 1, 0, 0, 0]] * 2  # ret


def test_an_atomic_write_does_not_hide_a_plain_one_of_its_thread():
    body = """
    setp.eq.s32 %p1, %r0, 0; @%p1 st.shared.u32 [pool], 0; bar.sync 0; @%p1 st.shared.u32 [pool], 1;
    @%p1 atom.shared.or.b32 %r1, [pool], 1; @!%p1 atom.shared.or.b32 %r1, [pool], 2
    """
    with pytest.raises(PtxError, match="another thread has written"):
        run(body, declare=SHARED)


def test_what_is_counted():
    body = """
    ld.global.u64 %rd5, [%rd0]; shl.b32 %r1, %r0, 7; st.shared.u32 [%r1], %r0; and.b32 %r2, %r0, 96;
    setp.lt.s32 %p1, %r0, 16; @!%p1 bra $end; st.global.u32 [%rd0], %r0;
    atom.shared.add.u32 %r3, [%r1], 1; $end: mov.u32 %r4, 0
    """
    _, program = run_program(body, declare=".shared .align 8 .b8 pool[4096];\n")
    assert program.traffic == {
        **{"global reads": 1, "global read bytes": 256, "global read sectors": 8, "shared writes": 1},
        **{"shared conflicts": 31, "global writes": 1, "global write bytes": 64, "global write sectors": 4},
        **{"shared atomics": 1, "shared atomics at one place": 0},
        **{"global read sectors new to the block": 8, "global read sectors new to the launch": 8},
        **{"global write sectors new to the block": 0, "global write sectors new to the launch": 0},
    }
    assert [program.runs[i] for i in range(3)] == [1, 1, 1] and [program.lane_runs[i] for i in range(3)] == [32, 16, 32]
    _, program = run_program("setp.eq.s32 %p1, %r0, 0; @%p1 st.shared.u32 [pool], 0; bar.sync 0;"
                             "atom.shared.add.u32 %r3, [pool], 1", declare=SHARED)  # fmt: skip
    assert program.traffic["shared atomics at one place"] == 31


def test_parameters_are_read_through_generic_addresses():
    body = "mov.u64 %rd2, k_param_1; cvta.param.u64 %rd2, %rd2; ld.u32 %r9, [%rd2]; cvt.u64.u32 %rd9, %r9; "
    assert (run(body + "st.global.u64 [%rd0], %rd9") == 77).all()
    with pytest.raises(PtxError, match="only read"):
        run(body + "st.u32 [%rd2], %r9")
    with pytest.raises(PtxError, match="belong to no tensor"):
        run(body + "ld.u32 %r9, [%rd2+4]; st.global.u64 [%rd0], %rd9")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_has_its_place(fault):
    """To plant them all takes long; that the sources still have what is changed does not."""
    assert (ROOT / "csrc" / fault.file).read_text().count(fault.old) == 1
