"""Parametric low-polygon cars: bodies lofted along a side profile, with glass, wheels and lamps of their own materials.

Cars head along +x and stand on z = 0; sizes are those of ordinary road cars, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastsynth.assets import Material, Mesh
from fastsynth.recipes.assets_polygons import Points, joined, moved, polyhedron

PAINT = Material(base_color=(1.0, 1.0, 1.0, 1.0), roughness=0.35)
GLASS = Material(base_color=(0.03, 0.04, 0.05, 1.0), roughness=0.12)
TYRE = Material(base_color=(0.02, 0.02, 0.02, 1.0), roughness=0.9)
RIM = Material(base_color=(0.45, 0.45, 0.47, 1.0), roughness=0.35, metallic=0.5)
TRIM = Material(base_color=(0.03, 0.03, 0.03, 1.0), roughness=0.7)
LAMP = Material(base_color=(0.9, 0.9, 0.82, 1.0), roughness=0.2)
TAIL = Material(base_color=(0.45, 0.02, 0.02, 1.0), roughness=0.25)
PLATE = Material(base_color=(0.75, 0.75, 0.7, 1.0), roughness=0.5)
_MATERIALS = (PAINT, GLASS, TYRE, RIM, TRIM, LAMP, TAIL, PLATE)
_ROW = {id(material): row for row, material in enumerate(_MATERIALS)}
#: How far panes and lamps stand out of the body [m].
_PROUD = 0.006


@dataclass(frozen=True)
class Shape:
    """What tells one car from another; x as a part of the length from the middle, forward, the rest in metres."""

    length: float
    width: float
    height: float
    belt: float  #: height at which the windows begin
    nose: float  #: height of the bonnet's front edge
    tail: float  #: height of the boot's rear edge
    front_glass: tuple[float, float]  #: x of the windscreen's foot and of its head
    rear_glass: tuple[float, float]  #: x of the rear window's head and of its foot
    wheel: float  #: radius
    axles: tuple[float, float]  #: x of the rear and the front axle
    windows: int  #: on a side

    @property
    def half(self) -> float:
        """Half the length [m]."""
        return self.length / 2


def sedan(rng: np.random.Generator) -> Shape:
    """A three-box car: bonnet, cabin, boot."""
    belt, foot = rng.uniform(0.88, 0.98), rng.uniform(0.17, 0.22)
    return Shape(
        rng.uniform(4.3, 4.95), rng.uniform(1.72, 1.88), rng.uniform(1.38, 1.5), belt, rng.uniform(0.62, 0.76),
        belt + rng.uniform(-0.02, 0.1), (foot, foot - rng.uniform(0.13, 0.18)),
        (-rng.uniform(0.17, 0.21), -rng.uniform(0.3, 0.35)), rng.uniform(0.3, 0.34),
        (-rng.uniform(0.27, 0.3), rng.uniform(0.29, 0.32)), int(rng.integers(2, 4)),
    )  # fmt: skip


def hatchback(rng: np.random.Generator) -> Shape:
    """A two-box car: the cabin ends in a steep rear window."""
    belt, foot = rng.uniform(0.88, 1.0), rng.uniform(0.18, 0.25)
    return Shape(
        rng.uniform(3.6, 4.35), rng.uniform(1.64, 1.8), rng.uniform(1.42, 1.58), belt, rng.uniform(0.68, 0.8),
        belt + rng.uniform(-0.06, 0.02), (foot, foot - rng.uniform(0.13, 0.17)),
        (-rng.uniform(0.33, 0.4), -rng.uniform(0.455, 0.48)), rng.uniform(0.28, 0.32),
        (-rng.uniform(0.29, 0.33), rng.uniform(0.3, 0.33)), int(rng.integers(1, 4)),
    )  # fmt: skip


def van(rng: np.random.Generator) -> Shape:
    """A one-box car, tall and long, such as a delivery van."""
    belt, foot = rng.uniform(1.1, 1.25), rng.uniform(0.36, 0.4)
    return Shape(
        rng.uniform(4.6, 5.6), rng.uniform(1.85, 2.0), rng.uniform(1.9, 2.4), belt, rng.uniform(0.9, 1.0),
        belt, (foot, foot - rng.uniform(0.12, 0.16)), (-0.47, -rng.uniform(0.485, 0.495)), rng.uniform(0.32, 0.36),
        (-rng.uniform(0.28, 0.32), rng.uniform(0.29, 0.32)), int(rng.integers(1, 4)),
    )  # fmt: skip


def cars(sedans: int = 18, hatchbacks: int = 18, vans: int = 0, seed: int = 0) -> list[Mesh]:
    """Different cars.

    Example:
        >>> meshes = cars()
        >>> len(meshes), max(len(mesh.faces) for mesh in meshes) < 1000
        (36, True)
    """
    kinds = {"sedan": (sedan, sedans), "hatchback": (hatchback, hatchbacks), "van": (van, vans)}
    return [
        car(shape(np.random.default_rng([seed, kind, row])), f"{name}_{row}")
        for kind, (name, (shape, count)) in enumerate(kinds.items())
        for row in range(count)
    ]


def car(shape: Shape, name: str = "car") -> Mesh:
    """The mesh of a car.

    Example:
        >>> mesh = car(sedan(np.random.default_rng(0)))
        >>> bool(abs(mesh.vertices[:, 2].min()) < 1e-9), len(mesh.materials)
        (True, 8)
    """
    faces: list[tuple[Points, Material]] = [(side, PAINT) for side in _body(shape)]
    faces += _cabin(shape)
    faces += _ends(shape)
    faces += _arches(shape)
    body = polyhedron(
        [face for face, _ in faces], name, _MATERIALS, [_ROW[id(material)] for _, material in faces], tile=4.0
    )
    wheels = [
        moved(_wheel(shape.wheel, side), (x * shape.length, side * (shape.width / 2 - 0.09), shape.wheel))
        for x in shape.axles
        for side in (-1, 1)
    ]
    return joined([body, *wheels], name)


def _deck(shape: Shape, x: np.ndarray) -> np.ndarray:
    """Height of the body below the cabin [m]."""
    half, belt = shape.half, shape.belt
    foot, rear = shape.front_glass[0] * shape.length, shape.rear_glass[1] * shape.length
    places = [-half, -half + 0.07, rear, foot, half - 0.35, half - 0.08, half]
    heights = [shape.tail - 0.1, shape.tail, belt, belt, shape.nose + 0.06, shape.nose, shape.nose - 0.14]
    return np.interp(x, places, heights)


def _half_width(shape: Shape, x: np.ndarray) -> np.ndarray:
    """Half the width of the body in plan: rounded off towards its ends [m]."""
    return shape.width / 2 * (1 - 0.16 * np.abs(x / shape.half) ** 5)


def _body(shape: Shape) -> list[Points]:
    """Everything below the windows."""
    half, sill = shape.half, 0.6 * shape.wheel
    breaks = [shape.front_glass[0] * shape.length, shape.rear_glass[1] * shape.length, half - 0.35, half - 0.08]
    x = np.unique(np.round([*np.linspace(-half, half, 9), *breaks, -half + 0.07, half - 0.2, -half + 0.2], 3))
    x = x[np.concatenate([[True], np.diff(x) > 0.03])]
    deck, wide = _deck(shape, x), _half_width(shape, x)
    rise = np.maximum(deck - sill, 0.1)
    # The right side from the sill to the middle of the deck; the left side mirrors it.
    across = np.stack([0.86 * wide, wide, 0.985 * wide, 0.9 * wide, 0 * wide], 1)
    up = np.stack([sill + 0 * rise, sill + 0.38 * rise, sill + 0.8 * rise, deck - 0.01, deck + 0.015], 1)
    loop_y = np.concatenate([-across, across[:, -2::-1]], 1)
    loop_z = np.concatenate([up, up[:, -2::-1]], 1)
    points = np.stack([np.broadcast_to(x[:, None], loop_y.shape), loop_y, loop_z], 2)
    around = points.shape[1]
    sides: list[Points] = []
    for i in range(len(x) - 1):
        for j in range(around):
            k = (j + 1) % around
            # The two triangles of a warped field: each is flat.
            a, b, c, d = points[i, j], points[i + 1, j], points[i + 1, k], points[i, k]
            sides += [(a, b, c), (a, c, d)]
    return [*sides, points[0], points[-1][::-1]]


def _cabin(shape: Shape) -> list[tuple[Points, Material]]:
    """Roof, pillars and panes."""
    length, belt, top = shape.length, shape.belt - 0.01, shape.height
    low, high = 0.47 * shape.width, 0.37 * shape.width  # half the width at the belt and at the roof

    def point(x: float, z: float, side: int) -> tuple[float, float, float]:
        return (x, side * (low + (high - low) * (z - belt) / (top - belt)), z)

    (foot, head), (rear_head, rear_foot) = shape.front_glass, shape.rear_glass
    outline = [
        (rear_foot, belt),
        (foot, belt),
        (head, top - 0.05),
        ((head + rear_head) / 2, top),
        (rear_head, top - 0.04),
    ]
    outline = [(x * length, z) for x, z in outline]
    right = [point(x, z, -1) for x, z in outline]
    left = [point(x, z, 1) for x, z in outline]
    faces: list[tuple[Points, Material]] = [(right, PAINT), (left[::-1], PAINT)]
    for i in (1, 2, 3, 4):
        j = (i + 1) % 5
        field = (right[i], left[i], left[j], right[j])
        faces.append((field, PAINT))
        if i in (1, 4):
            faces.append((_inset(field, 0.86), GLASS))
    back, front = rear_foot * length, foot * length
    # Vans have panes at the front alone.
    first = back if shape.height < 1.7 else front - 0.42 * (front - back)
    edges = np.linspace(first, front, shape.windows + 1)
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        for side in (right, left[::-1]):
            pane = _between(np.array(side), a, b)
            if len(pane) > 2:
                faces.append((_inset(pane, 0.84), GLASS))
    return faces


def _between(polygon: np.ndarray, low: float, high: float) -> np.ndarray:
    """The part of a convex polygon between two planes of constant x (Sutherland and Hodgman, 1974)."""
    for sign, bound in ((1.0, low), (-1.0, -high)):
        kept: list[np.ndarray] = []
        for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            da, db = sign * a[0] - bound, sign * b[0] - bound
            if da >= 0:
                kept.append(a)
            if (da > 0 > db) or (da < 0 < db):
                kept.append(a + (b - a) * da / (da - db))
        polygon = np.array(kept).reshape(-1, 3)
    return polygon


def _inset(polygon: Points, scale: float) -> np.ndarray:
    """A pane within a face: smaller, and a little in front of it."""
    corners = np.asarray(polygon, np.float64)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    return corners.mean(0) + (corners - corners.mean(0)) * scale + _PROUD * normal / np.linalg.norm(normal)


def _ends(shape: Shape) -> list[tuple[Points, Material]]:
    """Lamps, grille, plates and bumpers."""
    faces: list[tuple[Points, Material]] = []
    for end, height in ((1, shape.nose), (-1, shape.tail)):
        x = end * (shape.half + _PROUD)
        wide = float(_half_width(shape, np.array(shape.half)))

        def field(y0: float, y1: float, z0: float, z1: float, x: float = x, end: int = end) -> Points:
            corners = [(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)]
            return corners if end > 0 else corners[::-1]

        top = height - 0.17
        lamp = LAMP if end > 0 else TAIL
        for side in (-1, 1):
            inner, outer = sorted((side * 0.55 * wide, side * 0.97 * wide))
            faces.append((field(inner, outer, top - 0.13, top), lamp))
        bumper = 0.6 * shape.wheel + 0.08
        if end > 0:
            faces.append((field(-0.5 * wide, 0.5 * wide, top - 0.13, top - 0.01), TRIM))
        faces.append((field(-0.26, 0.26, bumper + 0.09, bumper + 0.2), PLATE))
        faces.append((field(-0.85 * wide, 0.85 * wide, bumper - 0.06, bumper + 0.05), TRIM))
    return faces


def _arches(shape: Shape) -> list[tuple[Points, Material]]:
    """The dark openings that the wheels stand in, as half discs on the sides."""
    faces: list[tuple[Points, Material]] = []
    angle = np.linspace(0, np.pi, 9)
    for axle in shape.axles:
        for side in (-1, 1):
            radius = 1.18 * shape.wheel
            x, z = axle * shape.length + radius * np.cos(angle), shape.wheel + radius * np.sin(angle)
            out = _half_width(shape, np.array(axle * shape.length)) + _PROUD
            y = np.full_like(x, side * out)
            corners = np.stack([x, y, z], 1)
            foot = np.array([[x[-1], y[0], 0.6 * shape.wheel], [x[0], y[0], 0.6 * shape.wheel]])
            loop = np.concatenate([corners, foot])
            faces.append((loop[::-1] if side > 0 else loop, TRIM))
    return faces


def _wheel(radius: float, side: int, around: int = 14) -> Mesh:
    """Tyre and rim about the axle along y; the outer face is on the given side."""
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False) - np.pi / 2  # it stands on a corner
    x, z = np.cos(angle), np.sin(angle)
    inner, outer = -0.11, 0.11

    def loop(r: float, y: float) -> np.ndarray:
        return np.stack([r * x, np.full_like(x, y), r * z], 1)

    faces: list[tuple[Points, Material]] = []
    a, b, rim = loop(radius, inner), loop(radius, outer), loop(0.64 * radius, outer + _PROUD)
    for i in range(around):
        j = (i + 1) % around
        faces.append(((a[i], b[i], b[j], a[j]), TYRE))
    # Seen from +y the angle runs clockwise.
    faces += [(b[::-1], TYRE), (rim[::-1], RIM)]
    materials = (TYRE, RIM)
    wheel = polyhedron(
        [face for face, _ in faces], "wheel", materials, [materials.index(material) for _, material in faces], tile=0.6
    )
    turn = np.diag([1.0, 1.0, 1.0]) if side > 0 else np.diag([-1.0, -1.0, 1.0])
    return moved(wheel, (0, 0, 0), turn)
