"""Views of a curriculum: directions of an icosphere, turns about the line of sight, distances by area."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.geometry import multiply


def icosphere(level: int = 0) -> Tensor:
    """Vertices of an icosahedron, each of whose triangles is cut into four, again and again.

    Args:
        level: How often; 12, 42, 162, 642 vertices for 0, 1, 2, 3.

    Returns:
        Unit vectors, float32 [10 * 4^level + 2, 3]; those of a level come first in all finer ones.

    Raises:
        ValueError: a level below 0, or above 7, of 163,842 vertices.

    Example:
        >>> [len(icosphere(level)) for level in range(3)]
        [12, 42, 162]
    """
    if not 0 <= level <= 7:
        raise ValueError(f"icosphere(): `level` must lie in 0 to 7, but is {level}.")
    golden = (1 + math.sqrt(5)) / 2
    points = [np.array(p) for a in (-1, 1) for b in (-golden, golden) for p in ((0, a, b), (a, b, 0), (b, 0, a))]
    vertices = [p / np.linalg.norm(p) for p in points]
    side = min(float(np.linalg.norm(vertices[0] - v)) for v in vertices[1:]) * 1.01
    near = [[np.linalg.norm(a - b) < side for b in vertices] for a in vertices]
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if near[i][j] and near[j][k] and near[i][k]
    ]
    for _ in range(level):
        middles: dict[tuple[int, int], int] = {}

        def middle(a: int, b: int, middles: dict[tuple[int, int], int] = middles) -> int:
            key = (min(a, b), max(a, b))
            if key not in middles:
                middles[key] = len(vertices)
                sum_ = vertices[a] + vertices[b]
                vertices.append(sum_ / np.linalg.norm(sum_))
            return middles[key]

        finer = []
        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = finer
    return torch.from_numpy(np.stack(vertices)).float()


def views(level: int = 0, in_plane: int = 1, frame: Any = None) -> Tensor:
    """Rotations that show an object from every vertex of an icosphere, turned in the picture by equal steps.

    Seen from a vertex, z of the object points up in the picture, as far as it can; in-plane steps turn it clockwise.

    Args:
        level: Of the icosphere, see :func:`icosphere`.
        in_plane: Steps of a whole turn about the line of sight.
        frame: Rotation that takes the camera's frame (x right, y down, z forward) to the world, [3, 3]; None = they
            are one.

    Returns:
        World from object for an object on the camera's axis, float32 [views, in_plane, 3, 3].

    Example:
        >>> table = views(level=1, in_plane=8)
        >>> table.shape, bool((torch.linalg.det(table) > 0.999).all())
        (torch.Size([42, 8, 3, 3]), True)
    """
    if in_plane < 1:
        raise ValueError(f"views(): `in_plane` must be at least 1, but is {in_plane}.")
    towards = icosphere(level).double()
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(towards).clone()
    up[towards[:, 2].abs() > 0.999] = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    right = torch.nn.functional.normalize(torch.linalg.cross(-towards, up), dim=-1)
    down = torch.linalg.cross(-towards, right)
    camera_from_object = torch.stack([right, down, -towards], -2)
    angle = torch.arange(in_plane, dtype=torch.float64) * (2 * math.pi / in_plane)
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).view(in_plane, 3, 3)
    table = multiply(turn, camera_from_object[:, None])
    if frame is not None:
        table = multiply(torch.as_tensor(frame, dtype=torch.float64), table)
    return table.float()


def area_linear(near: float, smallest: float, steps: int, radius: float = 0.0) -> list[float]:
    """Distances at which an object covers ever fewer pixels, by equal steps, nearest first.

    A ball of radius r at distance d covers an area in proportion to 1 / (d^2 - r^2) (the cone that touches it), so
    these are ``sqrt(r^2 + (near^2 - r^2) / area)`` for areas from 1 to `smallest`.

    Args:
        near: The nearest distance [m].
        smallest: Area at the last distance as a part of that at the first, in (0, 1].
        steps: How many distances.
        radius: Of the object, for what perspective adds when it is near [m].

    Returns:
        Distances [m], increasing.

    Example:
        >>> [round(distance, 3) for distance in area_linear(1.0, 0.25, 4)]
        [1.0, 1.155, 1.414, 2.0]
    """
    if not 0 < smallest <= 1 or steps < 1 or not 0 <= radius < near:
        raise ValueError(
            "area_linear(): needs 0 < smallest <= 1, steps >= 1 and 0 <= radius < near, but they are "
            f"{smallest}, {steps}, {radius} and {near}."
        )
    areas = [1 - (1 - smallest) * step / max(steps - 1, 1) for step in range(steps)]
    return [math.sqrt(radius**2 + (near**2 - radius**2) / area) for area in areas]
