"""Things that fly about: geometric primitives, arrows, trees and pedestrians, about 1 m in size."""

from __future__ import annotations

import numpy as np

from fastsynth import procedural
from fastsynth.assets import Material, Mesh
from fastsynth.recipes.assets_polygons import block, joined, moved, polyhedron, prism, ring

#: The distractors in the order of their rows.
DISTRACTORS = ("cone", "pyramid", "sphere", "cylinder", "partial_torus", "arrow", "tree", "pedestrian")


def distractors() -> list[Mesh]:
    """One mesh of each kind, the origin at the middle of its box.

    Example:
        >>> [mesh.name for mesh in distractors()] == list(DISTRACTORS)
        True
    """
    return [_centred(mesh) for mesh in (
        procedural.cone(0.5, 1.0, 24),
        polyhedron(prism(ring(4, 0.65), -0.5, 0.5, top=0.0), "pyramid"),
        procedural.sphere(0.5, 12),
        procedural.cylinder(0.4, 1.0, 24),
        partial_torus(),
        arrow(),
        tree(1.2),
        pedestrian(1.2),
    )]  # fmt: skip


def partial_torus(radius: float = 0.4, tube: float = 0.13, turn: float = 1.5 * np.pi) -> Mesh:
    """A piece of a torus about z, closed at both ends.

    Example:
        >>> bool(partial_torus().vertices[:, 2].max() < 0.14)
        True
    """
    along, around = 24, 12
    angle = np.linspace(0, turn, along + 1)
    circle = 2 * np.pi * np.arange(around) / around
    out = radius + tube * np.cos(circle)
    points = np.stack(
        [out * np.cos(angle)[:, None], out * np.sin(angle)[:, None], np.tile(tube * np.sin(circle), (along + 1, 1))], 2
    )
    sides = [
        (points[i, j], points[i + 1, j], points[i + 1, (j + 1) % around], points[i, (j + 1) % around])
        for i in range(along)
        for j in range(around)
    ]
    return polyhedron([*sides, points[0], points[-1][::-1]], "partial_torus", tile=0.5)


def arrow(length: float = 1.1) -> Mesh:
    """A flat arrow along +x.

    Example:
        >>> float(arrow().vertices[:, 0].max().round(2))
        0.55
    """
    half = length / 2
    shaft = [(-half, -0.1), (0.1, -0.1), (0.1, 0.1), (-half, 0.1)]
    head = [(0.1, -0.3), (half, 0.0), (0.1, 0.3)]
    return polyhedron([*prism(shaft, -0.08, 0.08), *prism(head, -0.08, 0.08)], "arrow", tile=0.5)


BARK = Material(base_color=(0.16, 0.1, 0.06, 1.0), roughness=0.9)
LEAVES = Material(base_color=(0.1, 0.22, 0.06, 1.0), roughness=0.9)
SKIN = Material(base_color=(0.5, 0.32, 0.24, 1.0), roughness=0.7)
CLOTH = Material(base_color=(0.3, 0.32, 0.4, 1.0), roughness=0.9)
TROUSERS = Material(base_color=(0.06, 0.07, 0.1, 1.0), roughness=0.9)


def tree(height: float = 6.0, conifer: bool = False, seed: int = 0) -> Mesh:
    """A tree on z = 0: a trunk under a crown of blobs, or of cones.

    Example:
        >>> bool(abs(tree(6.0).vertices[:, 2].max() - 6.0) < 0.3)
        True
    """
    rng = np.random.default_rng(seed)
    trunk = polyhedron(prism(ring(7, 0.035 * height), 0.0, 0.55 * height, top=0.6), "tree", [BARK], tile=0.5)
    parts = [trunk]
    if conifer:
        for k in range(3):
            low = (0.22 + 0.24 * k) * height
            cone = prism(ring(9, (0.24 - 0.055 * k) * height, rng.uniform(0, 1)), low, low + 0.36 * height, top=0.0)
            parts.append(polyhedron(cone, "tree", [LEAVES], tile=1.0))
    else:
        places = [(0, 0, 0.76), (0.13, 0.05, 0.64), (-0.1, 0.11, 0.66), (-0.05, -0.14, 0.62), (0.06, -0.04, 0.56)]
        for x, y, z in places:
            radius = height * rng.uniform(0.17, 0.24) if z < 0.7 else height * 0.24
            parts.append(moved(_blob(radius, rng), (x * height, y * height, z * height)))
    return joined(parts, "tree")


def _blob(radius: float, rng: np.random.Generator) -> Mesh:
    """A ball of leaves, its corners shaken."""
    rings, around = 5, 8
    up = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    turn = 2 * np.pi * np.arange(around) / around
    x = np.cos(up)[:, None] * np.cos(turn)
    y = np.cos(up)[:, None] * np.sin(turn)
    points = np.stack([x, y, np.broadcast_to(np.sin(up)[:, None], x.shape)], 2)
    shaken = radius * rng.uniform(0.82, 1.0, x.shape)
    shaken[[0, -1]] = 0.92 * radius
    points = points * shaken[..., None]
    faces = []
    for i in range(rings):
        for j in range(around):
            k = (j + 1) % around
            a, b, c, d = points[i, j], points[i, k], points[i + 1, k], points[i + 1, j]
            # Triangles at the poles, whose other half has no area.
            faces += [(a, b, c)] if i > 0 else []
            faces += [(a, c, d)] if i < rings - 1 else []
    return polyhedron(faces, "blob", [LEAVES], tile=1.0)


def pedestrian(height: float = 1.75) -> Mesh:
    """Someone who walks, on z = 0, facing +x.

    Example:
        >>> bool(abs(pedestrian(1.75).vertices[:, 2].max() - 1.75) < 0.02)
        True
    """
    h = height

    def limb(top: tuple[float, float, float], foot: tuple[float, float, float], wide: float, cloth: Material) -> Mesh:
        a, b = np.array(foot) * h, np.array(top) * h
        around = np.array(ring(6, wide * h))
        lower = [(a[0] + 0.75 * x, a[1] + 0.75 * y, a[2]) for x, y in around]
        upper = [(b[0] + x, b[1] + y, b[2]) for x, y in around]
        sides = [(lower[i], lower[(i + 1) % 6], upper[(i + 1) % 6], upper[i]) for i in range(6)]
        return polyhedron([*sides, lower[::-1], upper], "limb", [cloth], tile=0.5)

    body = polyhedron(
        block((-0.065 * h, -0.12 * h, 0.48 * h), (0.065 * h, 0.12 * h, 0.83 * h)), "body", [CLOTH], tile=0.5
    )
    head = procedural.sphere(0.07 * h, 8)
    head = moved(Mesh(head.vertices, head.faces, head.normals, head.uvs, materials=(SKIN,)), (0, 0, 0.93 * h))
    return joined(
        [
            body,
            head,
            limb((0, 0.06, 0.5), (0.13, 0.06, 0.0), 0.05, TROUSERS),
            limb((0, -0.06, 0.5), (-0.13, -0.06, 0.0), 0.05, TROUSERS),
            limb((0, 0.145, 0.82), (-0.12, 0.155, 0.46), 0.03, CLOTH),
            limb((0, -0.145, 0.82), (0.12, -0.155, 0.46), 0.03, CLOTH),
        ],
        "pedestrian",
    )


def _centred(mesh: Mesh) -> Mesh:
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    return moved(mesh, -middle)
