"""Deformed copies of vertices, in one kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401

#: What a step can be, in the order of the kernel's numbers from 1 on.
KINDS = ("bernstein", "trilinear", "twist", "dent")
MAX_STEPS = 4
#: Control points along a side that the kernel takes, by basis. Of the first it adds powers, which is fast and loses
#: a digit for every point more: 2e-5 of the box at five, 1e-2 at seven.
MAX_CONTROL = {"bernstein": 5, "trilinear": 15}
_F = torch.float32


class Bend(NamedTuple):
    """One step of a deformation, with its numbers for each instance: made by the functions below."""

    kind: str
    size: tuple[int, int, int]  #: control points along each side; 0 for what has none
    numbers: Tensor  #: float32 [..., n]


def bend_lattice(offsets: Tensor, low: Tensor, high: Tensor, basis: str = "bernstein") -> Bend:
    """The step of :func:`fastsynth.deform.lattice`, with its arguments: [..., I, J, K, 3], [..., 3] and [..., 3].

    Example:
        >>> bend_lattice(torch.zeros(4, 2, 3, 3, 3), torch.zeros(4, 3), torch.ones(4, 3)).numbers.shape
        torch.Size([4, 60])
    """
    size = (offsets.shape[-4], offsets.shape[-3], offsets.shape[-2])
    if not 2 <= min(size) <= max(size) <= MAX_CONTROL[basis]:
        raise ValueError(
            f"bend_lattice(): 2 to {MAX_CONTROL[basis]} control points along each side with the {basis} basis, but "
            f"there are {size}. Use fastsynth.deform.lattice."
        )
    if basis == "bernstein":
        for axis in (-4, -3, -2):
            offsets = _powers(offsets, axis)
    side = high - low
    inverse = torch.where(side > 0, 1 / torch.where(side > 0, side, 1), 0)
    return Bend(basis, size, torch.cat([low, inverse, offsets.flatten(-4)], -1))


def _powers(control: Tensor, axis: int) -> Tensor:
    """Bernstein coefficients along an axis to those of powers: ``c_m = binomial(n, m) (m-th forward difference)_0``."""
    degree = control.shape[axis] - 1
    out = [control.select(axis, 0)]
    for m in range(1, degree + 1):
        control = control.narrow(axis, 1, degree + 1 - m) - control.narrow(axis, 0, degree + 1 - m)
        out.append(math.comb(degree, m) * control.select(axis, 0))
    return torch.stack(out, axis)


def bend_twist(axis: Tensor, centre: Tensor, rate: Tensor) -> Bend:
    """The step of :func:`fastsynth.deform.twist`: [..., 3], [..., 3] and [...]."""
    return Bend("twist", (0, 0, 0), torch.cat([axis, centre, rate[..., None]], -1))


def bend_dent(centre: Tensor, push: Tensor, radius: Tensor) -> Bend:
    """The step of :func:`fastsynth.deform.dent`: [..., 3], [..., 3] and [...]."""
    return Bend("dent", (0, 0, 0), torch.cat([centre, push, 1 / radius[..., None]], -1))


def deform(vertex_data: Tensor, first: Tensor, count: Tensor, bends: Sequence[Bend], capacity: int) -> Tensor:
    """Copies of runs of vertices, each deformed in its own way.

    No gradient: the functions of :mod:`fastsynth.deform` have one, and compute the same.

    Args:
        vertex_data: Position, unit normal and texture coordinates, float32 [V, 8].
        first: Row where an instance's vertices begin, int32 [I].
        count: How many it has, int32 [I].
        bends: Applied in turn, with numbers [I, n] or [..., n] of I instances.
        capacity: Rows for each instance; those that it does not need are zeros.

    Returns:
        float32 [I, capacity, 8].

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device, or no step.

    Example:
        >>> up = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5]])
        >>> row, one = torch.zeros(1, dtype=torch.int32), torch.ones(1, dtype=torch.int32)
        >>> push = bend_dent(torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -0.1]]), torch.ones(1))
        >>> [round(x, 3) for x in deform(up, row, one, [push], 1).flatten().tolist()]
        [0.0, 0.0, -0.1, 0.0, 0.0, 1.0, 0.5, 0.5]
    """
    instances = first.shape[0]
    rows = {"first": (first, "I", torch.int32), "count": (count, "I", torch.int32)}
    parts = _calls("deform", vertex_data, bends, rows)
    for place, (numbers, program) in enumerate(parts):
        if place:  # further steps work on the copies
            first = torch.arange(instances, dtype=torch.int32, device=first.device) * capacity
        copies = torch.ops.fastsynth.deform(
            vertex_data.detach().contiguous(), first.contiguous(), count.contiguous(), numbers, program, capacity
        )
        vertex_data = copies.view(-1, 8)
    return vertex_data.view(instances, capacity, 8)


class Copies(NamedTuple):
    """Meshes, and deformed copies of some behind them."""

    vertex_data: Tensor  #: float32 [V + I * vertices, 8]
    faces: Tensor  #: int32 [F + I * face_rows, 4]
    hull: Tensor  #: float32 [U + I * vertices, 3], of a copy its vertices
    bounds: Tensor  #: boxes of the copies, float32 [I, 6]


def deform_copies(
    vertex_data: Tensor,
    faces: Tensor,
    hull: Tensor,
    rows: Tensor,
    bends: Sequence[Bend],
    vertices: int,
    face_rows: int,
) -> Copies:
    """Deformed copies of meshes behind the meshes themselves, as they are drawn.

    Args:
        vertex_data: float32 [V, 8].
        faces: Rows of ``vertex_data`` of the corners, and the material, int32 [F, 4].
        hull: float32 [U, 3].
        rows: First vertex, vertex count, first face and face count of each instance's mesh, int32 [I, 4].
        bends: As of `deform`, for I instances.
        vertices: Rows for each instance's vertices; those that it does not need are zeros.
        face_rows: Rows for each instance's faces; those that it does not need are zeros.

    Returns:
        :class:`Copies`.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device, or no step.
    """
    if vertices < 1:
        raise ValueError(f"deform_copies(): `vertices` must be at least 1, but is {vertices}.")
    given = {"faces": (faces, "F 4", torch.int32), "hull": (hull, "U 3", _F), "rows": (rows, "I 4", torch.int32)}
    calls = _calls("deform_copies", vertex_data, bends, given)
    instances, before = rows.shape[0], vertex_data.shape[0]
    if len(bends) > MAX_STEPS:
        # What the kernel does not take at once is done afterwards, on the copies in their own rows.
        made = deform_copies(vertex_data, faces, hull, rows, bends[:MAX_STEPS], vertices, face_rows)
        first = torch.arange(instances, dtype=torch.int32, device=rows.device) * vertices + before
        copies = deform(made.vertex_data, first, rows[:, 1].contiguous(), bends[MAX_STEPS:], vertices)
        places = copies[..., :3]
        used = torch.arange(vertices, device=rows.device)[:, None] < rows[:, 1, None, None]
        low, high = torch.where(used, places, torch.inf).amin(1), torch.where(used, places, -torch.inf).amax(1)
        return Copies(
            torch.cat([vertex_data, copies.view(-1, 8)]),
            made.faces,
            torch.cat([hull, places.reshape(-1, 3)]),
            torch.cat([low, high], 1),
        )
    ((numbers, program),) = calls
    out = torch.ops.fastsynth.deform_copies(
        vertex_data.detach().contiguous(), faces.contiguous(), rows.contiguous(), numbers, program, hull.shape[0],
        vertices, face_rows,
    )  # fmt: skip
    out[2][: hull.shape[0]].copy_(hull)
    return Copies(*out)


def _calls(
    function: str, vertex_data: Tensor, bends: Sequence[Bend], given: dict[str, tuple[Tensor, str, torch.dtype]]
) -> list[tuple[Tensor, int]]:
    """Numbers and program of each call of the kernel, which takes four steps; checked beside what else is given."""
    if not bends:
        raise ValueError(f"{function}(): give at least one step, such as bend_lattice(...).")
    calls = []
    for begin in range(0, len(bends), MAX_STEPS):
        some = bends[begin : begin + MAX_STEPS]
        program = 0
        for place, bend in enumerate(some):
            x, y, z = bend.size
            program |= (KINDS.index(bend.kind) + 1 | x << 4 | y << 8 | z << 12) << 16 * place
        numbers = torch.cat([bend.numbers.flatten(0, -2) for bend in some], 1).detach()
        expect(function, vertex_data=(vertex_data, "V 8", _F), **given, numbers=(numbers, "I S", _F))
        calls.append((numbers, program - 2**64 if program >= 2**63 else program))
    return calls


@torch.library.register_fake("fastsynth::deform")
def _(vertex_data, first, count, numbers, program, capacity):
    return vertex_data.new_empty(numbers.shape[0], capacity, 8)


@torch.library.register_fake("fastsynth::deform_copies")
def _(vertex_data, faces, rows, numbers, program, hull, vertices, face_rows):
    instances = numbers.shape[0]
    return [
        vertex_data.new_empty(vertex_data.shape[0] + instances * vertices, 8),
        faces.new_empty(faces.shape[0] + instances * face_rows, 4),
        vertex_data.new_empty(hull + instances * vertices, 3),
        vertex_data.new_empty(instances, 6),
    ]
