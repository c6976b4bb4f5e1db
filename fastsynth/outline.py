"""Masks to polygons, and polygons to triangles.

Coordinates are pixels, x right and y down, the centre of the first pixel at (0.5, 0.5). A polygon is several closed
loops of which a point is inside by the even-odd rule, so that holes need no care.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Of the four pixels around a corner, clockwise from the upper left, as bits 1, 2, 4, 8: from which side to which the
# outline goes, with the inside to its left; sides are top, right, bottom, left. Pixels that touch at a corner alone are
# apart.
_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
_SEGMENTS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((_LEFT, _TOP),),
    2: ((_TOP, _RIGHT),),
    4: ((_RIGHT, _BOTTOM),),
    8: ((_BOTTOM, _LEFT),),
    3: ((_LEFT, _RIGHT),),
    6: ((_TOP, _BOTTOM),),
    12: ((_RIGHT, _LEFT),),
    9: ((_BOTTOM, _TOP),),
    7: ((_LEFT, _BOTTOM),),
    14: ((_TOP, _LEFT),),
    13: ((_RIGHT, _TOP),),
    11: ((_BOTTOM, _RIGHT),),
    5: ((_LEFT, _TOP), (_RIGHT, _BOTTOM)),
    10: ((_TOP, _RIGHT), (_BOTTOM, _LEFT)),
}
_SIDES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # in half pixels from the corner


def outlines(mask: np.ndarray, tolerance: float = 0.5) -> list[np.ndarray]:
    """The loops around the pixels of a mask, by marching squares: halfway between pixels inside and outside.

    Args:
        mask: bool [h, w].
        tolerance: How far a loop may leave that path to have fewer corners [pixels]; at 0 exactly the centres of the
            mask's pixels are inside.

    Returns:
        float64 [n, 2] each, x y; holes included.

    Example:
        >>> [loop.tolist() for loop in outlines(np.ones((1, 1), bool))]
        [[[0.5, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 0.5]]]
    """
    padded = np.pad(np.asarray(mask, bool), 1).astype(np.int64)
    cases = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, 1:] + 8 * padded[1:, :-1]
    follows: dict[tuple[int, int], tuple[int, int]] = {}
    for row, column in np.argwhere((cases > 0) & (cases < 15)).tolist():
        for begin, end in _SEGMENTS[int(cases[row, column])]:
            (bx, by), (ex, ey) = _SIDES[begin], _SIDES[end]
            follows[2 * column + bx, 2 * row + by] = 2 * column + ex, 2 * row + ey
    loops: list[np.ndarray] = []
    while follows:
        first = next(iter(follows))
        at = follows.pop(first)
        loop = [first]
        while at != first:
            loop.append(at)
            at = follows.pop(at)
        whole = np.array(loop) / 2.0
        fewer = simplified(whole, tolerance)
        loops.append(fewer if len(fewer) > 2 else whole)  # what is smaller than the tolerance stays
    return loops


def simplified(loop: np.ndarray, tolerance: float) -> np.ndarray:
    """A closed loop with fewer corners, none of the old ones farther than `tolerance` from it.

    (Douglas and Peucker, "Algorithms for the reduction of the number of points", 1973, from the first corner and the
    one farthest from it.)

    Example:
        >>> simplified(np.array([[0, 0], [1, 0.1], [2, 0], [2, 2], [0, 2.0]]), 0.2).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
    """
    count = len(loop)
    far = int(np.argmax(((loop - loop[0]) ** 2).sum(1)))
    closed = np.concatenate([loop, loop[:1]])
    keep = np.zeros(count + 1, bool)
    keep[[0, far, count]] = True
    waiting = [(0, far), (far, count)]
    while waiting:
        begin, end = waiting.pop()
        if end - begin < 2:
            continue
        chord = closed[end] - closed[begin]
        part = closed[begin + 1 : end] - closed[begin]
        length = float(np.hypot(*chord))
        if length > 0:
            off = np.abs(part[:, 0] * chord[1] - part[:, 1] * chord[0]) / length
        else:
            off = np.hypot(part[:, 0], part[:, 1])
        most = int(np.argmax(off))
        # What lies on the line is dropped at any tolerance.
        if off[most] > max(tolerance, 1e-9):
            middle = begin + 1 + most
            keep[middle] = True
            waiting += [(begin, middle), (middle, end)]
    return loop[keep[:count]]


def triangulated(loops: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles that cover a polygon once.

    The polygon is cut into strips at the heights of its corners. In a strip its edges do not end, and between every
    other two of them lies a trapezoid; its upper and lower sides take in the corners of the strips beside it, so that
    nothing shows between them.

    Args:
        loops: Closed loops, float [n, 2] each.

    Returns:
        Vertices, float64 [v, 2], and triangles, int64 [f, 3], counter-clockwise where y points down.

    Example:
        >>> vertices, faces = triangulated([np.array([[0, 0], [2, 0], [2, 2], [0, 2.0]])])
        >>> len(vertices), len(faces)
        (4, 2)
    """
    begin = np.concatenate([np.asarray(loop, np.float64) for loop in loops])
    end = np.concatenate([np.roll(np.asarray(loop, np.float64), -1, 0) for loop in loops])
    down = begin[:, 1] < end[:, 1]
    upper, lower = np.where(down[:, None], begin, end), np.where(down[:, None], end, begin)
    slanted = upper[:, 1] < lower[:, 1]
    upper, lower = upper[slanted], lower[slanted]
    heights = np.unique(np.concatenate([begin[:, 1], end[:, 1]]))

    def crossing(edges: np.ndarray, y: float) -> np.ndarray:
        a, b = upper[edges], lower[edges]
        x = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
        return np.where(y == a[:, 1], a[:, 0], np.where(y == b[:, 1], b[:, 0], x))

    trapezoids: list[tuple[int, float, float, float, float]] = []
    levels: list[set[float]] = [set() for _ in heights]
    for strip, (top, bottom) in enumerate(zip(heights[:-1], heights[1:], strict=True)):
        edges = np.flatnonzero((upper[:, 1] <= top) & (lower[:, 1] >= bottom))
        above, below = crossing(edges, top), crossing(edges, bottom)
        order = np.argsort(above + below, kind="stable")
        above, below = above[order], below[order]
        levels[strip].update(above.tolist())
        levels[strip + 1].update(below.tolist())
        for k in range(0, len(order) - 1, 2):
            trapezoids.append((strip, above[k], above[k + 1], below[k], below[k + 1]))
    ordered = [np.array(sorted(level)) for level in levels]
    rows: dict[tuple[float, float], int] = {}

    def chain(level: int, left: float, right: float) -> list[int]:
        xs = ordered[level]
        inside = xs[(xs >= min(left, right)) & (xs <= max(left, right))]
        return [rows.setdefault((float(x), float(heights[level])), len(rows)) for x in inside]

    faces: list[tuple[int, int, int]] = []
    for strip, top_left, top_right, bottom_left, bottom_right in trapezoids:
        over, under = chain(strip, top_left, top_right), chain(strip + 1, bottom_left, bottom_right)
        i = j = 0
        while i + 1 < len(over) or j + 1 < len(under):
            # Whichever side is behind moves on.
            if j + 1 == len(under) or (i + 1 < len(over) and (i + 1) * len(under) <= (j + 1) * len(over)):
                faces.append((over[i], under[j], over[i + 1]))
                i += 1
            else:
                faces.append((over[i], under[j], under[j + 1]))
                j += 1
    return np.array(list(rows)).reshape(-1, 2), np.array(faces, np.int64).reshape(-1, 3)
