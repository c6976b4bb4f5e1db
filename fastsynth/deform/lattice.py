"""Free-form deformation: space is bent by the control points of a grid around the object.

Sederberg and Parry, "Free-Form Deformation of Solid Geometric Models", SIGGRAPH 1986. With ``s, t, u`` in [0, 1] along
the sides of a box, a point moves by ``sum_ijk B_i(s) B_j(t) B_k(u) offset_ijk``, B the Bernstein polynomials. As they
reproduce straight lines, that equals the paper's sum over the moved control points themselves.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BASES = ("bernstein", "trilinear")


def lattice(points: Tensor, offsets: Tensor, low: Tensor, high: Tensor, *, basis: str = "bernstein") -> Tensor:
    """Points moved along with the control points of a regular grid over a box.

    Args:
        points: float [..., V, 3] [m].
        offsets: How far each control point is moved from its place in the grid, float [..., I, J, K, 3] [m]; two or
            more along each side.
        low: Lower corner of the box, float [..., 3] [m]. A point outside moves as the nearest one of the box does.
        high: Upper corner, float [..., 3] [m].
        basis: "bernstein" is smooth and every control point moves the whole; "trilinear" moves the cells around one
            alone, with creases between them.

    Returns:
        float [..., V, 3] [m], differentiable in all four.

    Raises:
        ValueError: an unknown basis, or fewer than two control points along a side.

    Example:
        >>> middle, offsets = torch.tensor([[0.5, 0.5, 0.5]]), torch.zeros(2, 2, 2, 3)
        >>> offsets[:, :, 1, 2] = 1.0  # the top is raised by 1
        >>> lattice(middle, offsets, torch.zeros(3), torch.ones(3)).tolist()
        [[0.5, 0.5, 1.0]]
    """
    return _bent("lattice", points, offsets, low, high, basis, False)[0]


def lattice_with_normals(
    points: Tensor, normals: Tensor, offsets: Tensor, low: Tensor, high: Tensor, *, basis: str = "bernstein"
) -> tuple[Tensor, Tensor]:
    """The same, and the normals of a surface through the points, turned by the exact derivative of the deformation.

    Args:
        points: As of `lattice`.
        normals: Unit normals at the points, float [..., V, 3].
        offsets: As of `lattice`.
        low: As of `lattice`.
        high: As of `lattice`.
        basis: As of `lattice`.

    Returns:
        Points and unit normals, float [..., V, 3] each.

    Example:
        >>> up, offsets = torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(2, 2, 2, 3)
        >>> offsets[1, :, :, 2] = 1.0  # z + x: a slope of one
        >>> where = torch.tensor([[0.5, 0.5, 0.5]])
        >>> lattice_with_normals(where, up, offsets, torch.zeros(3), torch.ones(3))[1].mul(100).round().tolist()
        [[-71.0, 0.0, 71.0]]
    """
    from fastsynth.deform.normals import transform_normals

    moved, columns = _bent("lattice_with_normals", points, offsets, low, high, basis, True)
    return moved, transform_normals(normals, columns)


def _bent(
    function: str, points: Tensor, offsets: Tensor, low: Tensor, high: Tensor, basis: str, slopes: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Moved points [..., V, 3], and, if asked for, the derivatives of the map along x, y and z, [..., V, 3] each."""
    if basis not in BASES:
        raise ValueError(f"{function}(): `basis` must be one of {BASES}, but is {basis!r}.")
    counts = tuple(offsets.shape[-4:-1])
    if offsets.ndim < 4 or offsets.shape[-1] != 3 or min(counts) < 2:
        raise ValueError(
            f"{function}(): `offsets` must be [..., I, J, K, 3] with two or more control points along each side, but "
            f"is {list(offsets.shape)}."
        )
    weights, slope = [], []
    for axis, count in enumerate(counts):
        side = (high - low)[..., axis, None]
        inverse = torch.where(side > 0, 1 / torch.where(side > 0, side, 1), 0)
        raw = (points[..., axis] - low[..., axis, None]) * inverse
        place = raw.clamp(0, 1)
        values, changes = (_bernstein if basis == "bernstein" else _hats)(place, count, slopes)
        weights.append([value[..., None, :] for value in values])
        inside = inverse * ((raw >= 0) & (raw <= 1)) if slopes else inverse
        slope.append([(change * inside)[..., None, :] for change in changes])

    # Axes of the sums: [..., 3, V], vertices last, where they lie side by side in memory.
    control = offsets[..., None]
    by_x = []
    for i in range(counts[0]):
        by_y = []
        for j in range(counts[1]):
            row = [control[..., i, j, k, :, :] for k in range(counts[2])]
            by_y.append((_sum(weights[2], row), _sum(slope[2], row) if slopes else None))
        values = [value for value, _ in by_y]
        by_x.append(
            (_sum(weights[1], values), _sum(slope[1], values), _sum(weights[1], [change for _, change in by_y]))
            if slopes
            else (_sum(weights[1], values),)
        )
    moved = points + _sum(weights[0], [part[0] for part in by_x]).mT
    if not slopes:
        return moved, (moved, moved, moved)
    along = (
        _sum(slope[0], [part[0] for part in by_x]),
        _sum(weights[0], [part[1] for part in by_x]),
        _sum(weights[0], [part[2] for part in by_x]),
    )
    unit = torch.eye(3, dtype=points.dtype, device=points.device)[..., None]
    return moved, tuple((change + unit[axis]).mT for axis, change in enumerate(along))  # type: ignore[return-value]


def _sum(weights: list[Tensor], values: list) -> Tensor:
    """Weighted sum in the order of the list."""
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def _bernstein(s: Tensor, count: int, slopes: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Bernstein polynomials of degree count - 1 at s, and their derivatives."""

    def of_degree(n: int) -> list[Tensor]:
        rest = 1 - s
        up, down = [torch.ones_like(s)], [torch.ones_like(s)]
        for _ in range(n):
            up.append(up[-1] * s)
            down.append(down[-1] * rest)
        return [math.comb(n, i) * up[i] * down[n - i] for i in range(n + 1)]

    degree = count - 1
    if not slopes:
        return of_degree(degree), []
    lower = of_degree(degree - 1)
    ends = [-lower[0], *(a - b for a, b in zip(lower[:-1], lower[1:], strict=True)), lower[-1]]
    return of_degree(degree), [degree * change for change in ends]


def _hats(s: Tensor, count: int, slopes: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Piecewise linear weights of count evenly spaced nodes at s, and their derivatives within the cell."""
    cells = count - 1
    at = s * cells
    cell = at.detach().floor().clamp(max=cells - 1)
    values, changes = [], []
    for i in range(count):
        rises, falls = cell == i - 1, cell == i
        values.append(torch.where(rises, at - (i - 1), torch.where(falls, i + 1 - at, 0)))
        if slopes:
            changes.append(cells * (rises.to(s) - falls.to(s)))
    return values, changes
