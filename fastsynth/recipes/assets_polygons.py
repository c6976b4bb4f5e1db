"""Meshes of flat polygons, with textures laid on face by face: what the stand-ins of the recipes are built of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from fastsynth.assets import Material, Mesh

#: Corners of a polygon, [n, 3].
Points: TypeAlias = Sequence[Sequence[float]] | Sequence[np.ndarray] | np.ndarray


def polyhedron(
    polygons: Sequence[Points],
    name: str,
    materials: Sequence[Material] = (Material(),),
    of: Sequence[int] | None = None,
    tile: float | None = None,
) -> Mesh:
    """A mesh of convex polygons, each flat and with texture coordinates of its own.

    Args:
        polygons: Corners of each, counter-clockwise seen from outside, float [n, 3] [m].
        name: Of the mesh.
        materials: Of the mesh.
        of: Row of `materials` of each polygon; None = all 0.
        tile: Side of the square that a texture covers [m]; None = each polygon shows a whole one.

    Returns:
        The mesh; u runs level, v down the slope of each polygon.

    Example:
        >>> polyhedron([[(0, 0, 0), (1, 0, 0), (1, 0, 2), (0, 0, 2)]], "wall").uvs.tolist()
        [[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    """
    vertices, normals, uvs, faces, rows = [], [], [], [], []
    first = 0
    for number, polygon in enumerate(polygons):
        corners = np.asarray(polygon, np.float64)
        normal = _normal(corners)
        level = np.cross([0.0, 0.0, 1.0], normal)
        level = np.array([1.0, 0.0, 0.0]) if np.linalg.norm(level) < 1e-6 else level / np.linalg.norm(level)
        down = np.cross(level, normal)
        flat = np.stack([corners @ level, corners @ down], 1)
        low, high = flat.min(0), flat.max(0)
        uvs.append((flat - low) / np.maximum(high - low, 1e-9) if tile is None else flat / tile)
        vertices.append(corners)
        normals.append(np.broadcast_to(normal, corners.shape))
        fan = [(first, first + i - 1, first + i) for i in range(2, len(corners))]
        faces += fan
        rows += [0 if of is None else of[number]] * len(fan)
        first += len(corners)
    return Mesh(
        np.concatenate(vertices),
        np.array(faces),
        np.concatenate(normals),
        np.concatenate(uvs),
        face_material=np.array(rows),
        materials=tuple(materials),
        name=name,
    )


def block(low: Sequence[float], high: Sequence[float]) -> list[Points]:
    """The six sides of an upright box between two corners, seen from outside.

    Example:
        >>> len(block((0, 0, 0), (1, 2, 3)))
        6
    """
    (x0, y0, z0), (x1, y1, z1) = low, high
    return prism([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z0, z1)


def prism(base: Sequence[Sequence[float]], z0: float, z1: float, top: float = 1.0) -> list[Points]:
    """An upright prism, or a frustum.

    Args:
        base: Corners of the base from above, counter-clockwise, float [n, 2] [m].
        z0: Height of the base [m].
        z1: Height of the top [m].
        top: Size of the top, where the base is 1, about the base's mean; 0 = a point, a pyramid.

    Example:
        >>> len(prism([(1, 0), (0, 1), (-1, 0)], 0, 1)), len(prism([(1, 0), (0, 1), (-1, 0)], 0, 1, top=0))
        (5, 4)
    """
    lower = np.asarray(base, np.float64)
    upper = lower.mean(0) + (lower - lower.mean(0)) * top
    bottom = [(x, y, z0) for x, y in lower]
    roof = [(x, y, z1) for x, y in upper]
    count = len(lower)
    around = [(i, (i + 1) % count) for i in range(count)]
    if top == 0:
        sides: list[Points] = [(bottom[i], bottom[j], roof[0]) for i, j in around]
        return [*sides, bottom[::-1]]
    return [*((bottom[i], bottom[j], roof[j], roof[i]) for i, j in around), bottom[::-1], roof]


def ring(count: int, radius: float, start: float = 0.0) -> list[tuple[float, float]]:
    """Corners of a regular polygon about the origin, counter-clockwise, the first at the angle `start` [rad].

    Example:
        >>> [tuple(round(c, 3) for c in corner) for corner in ring(4, 1.0)][:2]
        [(1.0, 0.0), (0.0, 1.0)]
    """
    angle = start + 2 * np.pi * np.arange(count) / count
    return list(zip((radius * np.cos(angle)).tolist(), (radius * np.sin(angle)).tolist(), strict=True))


def joined(parts: Sequence[Mesh], name: str) -> Mesh:
    """Several meshes as one, with the materials of all; equal materials become one.

    Example:
        >>> one = polyhedron(block((0, 0, 0), (1, 1, 1)), "block")
        >>> joined([one, one], "two").faces.shape
        (24, 3)
    """
    materials: list[Material] = []
    rows: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    first = 0
    for part in parts:
        own = []
        for material in part.materials:
            same = [row for row, known in enumerate(materials) if known is material]
            own.append(same[0] if same else len(materials))
            if not same:
                materials.append(material)
        of = np.zeros(len(part.faces), int) if part.face_material is None else part.face_material
        rows.append(np.array(own)[of])
        faces.append(part.faces + first)
        first += len(part.vertices)
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate(faces),
        np.concatenate([_given(part.normals) for part in parts]),
        np.concatenate([_given(part.uvs) for part in parts]),
        face_material=np.concatenate(rows),
        materials=tuple(materials),
        name=name,
    )


def moved(mesh: Mesh, offset: Sequence[float], linear: np.ndarray | None = None) -> Mesh:
    """The mesh turned by a rotation, float [3, 3], and shifted [m].

    Example:
        >>> moved(polyhedron(block((0, 0, 0), (1, 1, 1)), "block"), (0, 0, 2)).vertices[:, 2].min().item()
        2.0
    """
    turn = np.eye(3) if linear is None else linear
    return Mesh(
        mesh.vertices @ turn.T + np.asarray(offset),
        mesh.faces,
        _given(mesh.normals) @ turn.T,
        mesh.uvs,
        mesh.colors,
        mesh.face_material,
        mesh.materials,
        mesh.name,
    )


def _given(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


def _normal(corners: np.ndarray) -> np.ndarray:
    """Unit normal of a polygon (Newell's method: right also where three corners in a row lie on a line)."""
    ahead = np.roll(corners, -1, 0)
    normal = np.cross(corners, ahead).sum(0)
    return normal / np.linalg.norm(normal)
