"""Eight geometric solids, a room with a table, and a robot arm: stand-ins for a table-top laboratory."""

from __future__ import annotations

import functools
import math

import numpy as np

from fastsynth import procedural
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.pack import pack
from fastsynth.recipes.assets_polygons import block, joined, moved, polyhedron, prism, ring

#: The solids in the order of their rows; the origin of each is its centre of mass.
SOLIDS = (
    "cone",
    "cube",
    "cylinder",
    "hexagonal_prism",
    "pyramid",
    "rectangular_prism",
    "tetrahedron",
    "triangular_prism",
)
#: What stands around them.
SURROUNDINGS = ("table", "floor", "sky_box", "robot")
_PLAIN = Material(base_color=(1.0, 1.0, 1.0, 1.0), roughness=0.6)


def solids() -> list[Mesh]:
    """The eight solids, 5 to 11 cm in size, standing upright.

    Example:
        >>> [round(float(-mesh.vertices[:, 2].min() * 1000)) for mesh in solids()]  # centre of mass above the table, mm
        [21, 35, 40, 32, 20, 25, 19, 35]
    """
    edge = 0.055 * math.sqrt(3)
    upright = edge * math.sqrt(2 / 3)  # height of the regular tetrahedron

    def standing(name: str, base: list[tuple[float, float]], height: float, pointed: bool = False) -> Mesh:
        low = -height / 4 if pointed else -height / 2
        return polyhedron(prism(base, low, low + height, top=0.0 if pointed else 1.0), name, [_PLAIN])

    side = math.pi / 4
    meshes = [
        _on_its_centre(procedural.cone(0.040, 0.085, 24), 0.085 / 4),
        standing("cube", ring(4, 0.035 * math.sqrt(2), side), 0.070),
        procedural.cylinder(0.036, 0.080, 24),
        standing("hexagonal_prism", ring(6, 0.042), 0.065),
        standing("pyramid", ring(4, 0.042 * math.sqrt(2), side), 0.080, pointed=True),
        standing("rectangular_prism", [(-0.055, -0.03), (0.055, -0.03), (0.055, 0.03), (-0.055, 0.03)], 0.050),
        standing("tetrahedron", ring(3, 0.055), upright, pointed=True),
        standing("triangular_prism", ring(3, 0.048), 0.070),
    ]
    assert tuple(mesh.name for mesh in meshes) == SOLIDS
    return meshes


def _on_its_centre(mesh: Mesh, height: float) -> Mesh:
    """A mesh about the middle of its box, shifted to its centre of mass, which lies `height` above its base."""
    return moved(mesh, (0, 0, -mesh.vertices[:, 2].min() - height))


def surroundings(table: tuple[float, float] = (0.9, 0.62), height: float = 0.75) -> list[Mesh]:
    """Table, floor, sky box and robot, in the frame of the table: its top's middle at the origin, z up.

    Args:
        table: Width along x and depth along y [m].
        height: Of the table [m].

    Example:
        >>> [mesh.name for mesh in surroundings()]
        ['table', 'floor', 'sky_box', 'robot']
    """
    x, y = table[0] / 2, table[1] / 2
    top = block((-x, -y, -0.04), (x, y, 0.0))
    legs = [
        block((sx - 0.03, sy - 0.03, -height), (sx + 0.03, sy + 0.03, -0.04))
        for sx in (-x + 0.06, x - 0.06)
        for sy in (-y + 0.06, y - 0.06)
    ]
    floor: list = [[(-4, -4, -height), (4, -4, -height), (4, 4, -height), (-4, 4, -height)]]
    outside = block((-4, -4, -height - 0.01), (4, 4, 3.0))
    inside = [side[::-1] for side in outside]
    arm = [
        block((-0.24, 0.46, -height), (0.24, 0.86, -0.3)),  # base
        block((-0.13, 0.54, -0.3), (0.13, 0.78, 0.5)),  # torso
        block((-0.1, 0.5, 0.52), (0.1, 0.7, 0.68)),  # head
    ]
    upper = moved(procedural.cylinder(0.05, 0.5, 16, "arm"), (0.24, 0.5, 0.16), _about_x(1.0))
    lower = moved(procedural.cylinder(0.04, 0.3, 16, "arm"), (0.24, 0.29, 0.16), _about_x(-0.4))
    robot = joined([polyhedron([side for part in arm for side in part], "robot", [_PLAIN]), upper, lower], "robot")
    return [
        polyhedron([*top, *(side for leg in legs for side in leg)], "table", [_PLAIN]),
        polyhedron(floor, "floor", [_PLAIN]),
        polyhedron(inside, "sky_box", [_PLAIN]),
        robot,
    ]


def _about_x(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@functools.cache
def tabletop() -> tuple[Assets, Assets]:
    """The solids, and what surrounds them, a class each.

    Example:
        >>> [assets.class_names for assets in tabletop()] == [SOLIDS, SURROUNDINGS]
        True
    """
    return pack(solids(), lod=False), pack(surroundings(), lod=False)
