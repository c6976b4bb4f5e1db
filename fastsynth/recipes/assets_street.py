"""Streets with lanes, and what stands beside them: houses, lamp posts, trees, people.

A street runs along +x from the origin, straight or in a bend; z is up and the road lies on z = 0. Traffic keeps to the
right.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from fastsynth.assets import Assets, Material, Mesh
from fastsynth.pack import pack
from fastsynth.recipes.assets_cars import cars
from fastsynth.recipes.assets_distractors import pedestrian, tree
from fastsynth.recipes.assets_polygons import Points, block, joined, polyhedron, prism, ring

LANE, PARKING, PAVEMENT, KERB = 3.5, 2.3, 3.0, 0.14  # widths and height [m]
BEFORE, LENGTH, STEP = 10.0, 190.0, 5.0  # where streets begin, how long they are, and their pieces [m]
#: Curvature [1 / m] and lanes in each direction of the streets.
STREETS = [(bend, lanes) for lanes in (1, 2) for bend in (0.0, 1 / 160, -1 / 160)]


@dataclass(frozen=True)
class Street:
    """A street as traffic sees it.

    Attributes:
        middle: Points of its middle line at equal steps, x y and heading, float [P, 3] [m, rad].
        lanes: Offset to the left of the middle and direction (1 or -1) of each lane, float [K, 2]; the first ones are
            those along the street, from the middle outward.
        forward: How many lanes run along the street.
        half: Half the width between the kerbs [m].
    """

    middle: np.ndarray
    lanes: np.ndarray
    forward: int
    half: float


def street(bend: float, lanes: int) -> Street:
    """A street of constant curvature.

    Example:
        >>> street(0.0, 2).lanes[:, 0].tolist()
        [-1.75, -5.25, 1.75, 5.25, -8.15, 8.15]
    """
    s = np.arange(-BEFORE, LENGTH - BEFORE + STEP / 2, STEP)
    heading = bend * s
    if bend == 0:
        x, y = s, 0 * s
    else:
        x, y = np.sin(heading) / bend, (1 - np.cos(heading)) / bend
    half = lanes * LANE + PARKING
    offsets = LANE * (np.arange(lanes) + 0.5)
    rows = [*((-o, 1) for o in offsets), *((o, -1) for o in offsets)]
    parked = half - PARKING / 2
    rows += [(-parked, 1), (parked, -1)]
    return Street(np.stack([x, y, heading], 1), np.array(rows, np.float64), lanes, half)


def _grain(seed: int, low: int, high: int, size: int = 64) -> np.ndarray:
    """A picture of grey grain that repeats, of several sizes."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size))
    for step in (1, 4, 16):
        coarse = rng.uniform(-1, 1, (size // step, size // step))
        total += np.kron(coarse, np.ones((step, step))) / 3
    grey = low + (high - low) * (total + 1) / 2
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)


def _slabs(size: int = 64) -> np.ndarray:
    picture = _grain(3, 170, 215, size)
    picture[:2], picture[:, :2] = 120, 120
    return picture


def _facade(seed: int, size: int = 128) -> np.ndarray:
    """Two storeys of two windows each."""
    rng = np.random.default_rng(seed)
    wall = np.array([(150, 90, 70), (190, 180, 160), (130, 135, 140), (205, 190, 150), (170, 120, 95), (95, 100, 110)])
    picture = _grain(seed, 215, 255, size).astype(np.float64) / 255 * wall[seed % len(wall)]
    half = size // 2
    wide, high = int(half * rng.uniform(0.35, 0.75)), int(half * rng.uniform(0.45, 0.7))
    for row in range(2):
        for column in range(2):
            x, y = column * half + (half - wide) // 2, row * half + (half - high) // 2
            picture[y - 2 : y + high + 2, x - 2 : x + wide + 2] = 0.6 * wall[seed % len(wall)] + 80
            picture[y : y + high, x : x + wide] = rng.uniform(25, 70) + np.array([0, 6, 14])
    return picture.clip(0, 255).astype(np.uint8)


ASPHALT = Material(base_color=(0.16, 0.16, 0.17, 1.0), roughness=0.85, base_texture=_grain(1, 120, 200))
PAVING = Material(base_color=(0.55, 0.54, 0.52, 1.0), roughness=0.9, base_texture=_slabs())
GRASS = Material(base_color=(0.25, 0.34, 0.14, 1.0), roughness=1.0, base_texture=_grain(2, 110, 190))
MARK = Material(base_color=(0.75, 0.75, 0.72, 1.0), roughness=0.7)
METAL = Material(base_color=(0.2, 0.21, 0.22, 1.0), roughness=0.5)
ROOF = Material(base_color=(0.13, 0.12, 0.12, 1.0), roughness=0.9)


def road(of: Street, name: str = "street") -> Mesh:
    """Carriageway, marks, pavements and the land around.

    Example:
        >>> len(road(street(0.0, 1)).materials)
        4
    """
    faces: list[Points] = []
    rows: list[int] = []

    def strip(row: int, y0: float, y1: float, z0: float, z1: float, on: float = 1.0, every: int = 1) -> None:
        """A band from the offset y0 to y1, y0 the right one; dashes if it is on for a part of every nth piece."""
        for i in range(0, len(of.middle) - 1, every):
            near, far = of.middle[i], of.middle[i] + on * (of.middle[i + 1] - of.middle[i])
            corners = [(near, y0, z0), (far, y0, z0), (far, y1, z1), (near, y1, z1)]
            faces.append([(p[0] - y * np.sin(p[2]), p[1] + y * np.cos(p[2]), z) for p, y, z in corners])
            rows.append(row)

    half, up = of.half, 0.02
    far = 60.0  # [m]
    strip(0, -half, half, 0, 0)
    for side in (-1, 1):
        inner, outer, land = side * half, side * (half + PAVEMENT), side * far
        if side < 0:
            strip(1, outer, inner, KERB, KERB)
            strip(1, inner - 0.001, inner, KERB, 0)
            strip(2, land, outer, KERB, KERB)
        else:
            strip(1, inner, inner + 0.001, 0, KERB)
            strip(1, inner, outer, KERB, KERB)
            strip(2, outer, land, KERB, KERB)
        strip(3, side * (half - PARKING) - 0.06, side * (half - PARKING) + 0.06, up, up)
        for lane in range(1, of.forward):
            strip(3, side * lane * LANE - 0.07, side * lane * LANE + 0.07, up, up, on=0.6, every=2)
    if of.forward > 1:
        strip(3, -0.22, -0.1, up, up)
        strip(3, 0.1, 0.22, up, up)
    else:
        strip(3, -0.07, 0.07, up, up, on=0.6, every=2)
    return polyhedron(faces, name, [ASPHALT, PAVING, GRASS, MARK], rows, tile=3.0)


def house(seed: int, width: float = 12.0, depth: float = 10.0, height: float = 9.0) -> Mesh:
    """A house whose front stands on y = 0, facing -y.

    Example:
        >>> bool(abs(house(0).vertices[:, 1].min()) < 0.01)
        True
    """
    w = width / 2
    facade = Material(roughness=0.9, base_texture=_facade(seed))
    body = block((-w, 0, 0), (w, depth, height))
    of = [0, 0, 0, 0, 1, 1]
    if seed % 2:
        ridge = height + 3.0
        a, b = (-w, depth / 2, ridge), (w, depth / 2, ridge)
        c = [(-w, 0, height), (w, 0, height), (w, depth, height), (-w, depth, height)]
        body = [*body, (c[0], c[1], b, a), (c[2], c[3], a, b), (c[1], c[2], b), (c[3], c[0], a)]
        of += [1, 1, 0, 0]
    return polyhedron(body, "building", [facade, ROOF], of, tile=6.0)


def post(height: float = 6.5) -> Mesh:
    """A lamp post whose arm reaches over the road, to -y."""
    parts = [
        polyhedron(prism(ring(8, 0.09), 0.0, height, top=0.6), "pole", [METAL]),
        polyhedron(block((-0.05, -1.6, height - 0.12), (0.05, 0.05, height)), "pole", [METAL]),
        polyhedron(block((-0.12, -1.7, height - 0.2), (0.12, -1.1, height - 0.08)), "pole", [MARK]),
    ]
    return joined(parts, "pole")


def sign() -> Mesh:
    """A traffic sign on a pole."""
    parts = [
        polyhedron(prism(ring(6, 0.04), 0.0, 2.7), "pole", [METAL]),
        polyhedron(block((-0.06, -0.35, 2.0), (-0.03, 0.35, 2.7)), "pole", [MARK]),
    ]
    return joined(parts, "pole")


#: Class and number of meshes of everything but the streets, in the order of their rows.
GROUPS = {"vehicle": 40, "building": 6, "pole": 2, "tree": 4, "pedestrian": 1}


@functools.cache
def town(vehicles: int = 40) -> Assets:
    """Vehicles, houses, posts, trees, people and streets.

    Example:
        >>> town().class_names
        ('vehicle', 'building', 'pole', 'tree', 'pedestrian', 'street')
    """
    vans = vehicles // 5
    small = (vehicles - vans) // 2
    meshes = [
        *cars(vehicles - vans - small, small, vans, seed=1),
        *(house(seed) for seed in range(GROUPS["building"])),
        *(post(), sign()),
        *(tree(6.5, conifer=row % 2 > 0, seed=row) for row in range(GROUPS["tree"])),
        pedestrian(),
        *(road(street(*kind)) for kind in STREETS),
    ]
    counts = {**GROUPS, "vehicle": vehicles, "street": len(STREETS)}
    return pack(meshes, [name for name, count in counts.items() for _ in range(count)])
