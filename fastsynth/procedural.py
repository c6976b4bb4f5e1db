"""Built-in meshes and textures, so that everything runs with no file at hand.

Objects stand upright along +z; `products` rest on z = 0. All meshes are closed and wound counter-clockwise seen
from outside. Sizes in metres.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fastsynth import labels
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.pack import pack
from fastsynth.skies import environments as environments
from fastsynth.textures import Textures


def _grid(rows: int, columns: int) -> np.ndarray:
    """Faces of a grid of (rows + 1) x (columns + 1) vertices, whose rows run upward and columns to the right."""
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1)
    right, above, across = corner + 1, corner + columns + 1, corner + columns + 2
    return np.concatenate([np.stack([corner, right, across], 1), np.stack([corner, across, above], 1)])


def lathe(profile: np.ndarray, around: int = 48, v: np.ndarray | None = None, name: str = "lathe") -> Mesh:
    """A surface of revolution about z.

    Args:
        profile: Radius and height of its points from the bottom to the top, float [p, 2]. It begins and ends on the
            axis if the mesh is to be closed. Equal points in a row make a crease.
        around: Segments around the axis.
        v: Texture coordinate (down from the top) of each point; None = by arc length.
        name: Of the mesh.

    Example:
        >>> lathe(np.array([[0, 0], [1, 0], [1, 0], [1, 2], [1, 2], [0, 2.0]])).vertices.shape
        (294, 3)
    """
    profile = np.asarray(profile, np.float64)
    step = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    if v is None:
        v = 1 - np.concatenate([[0], np.cumsum(step)]) / step.sum()
    angle = np.linspace(0, 2 * np.pi, around + 1)
    turn = np.stack([np.cos(angle), np.sin(angle)], 1)
    turn[-1] = turn[0]  # the seam's two columns lie at the same place, bit for bit
    points = np.concatenate(
        [profile[:, None, :1] * turn[None], np.broadcast_to(profile[:, None, 1:], (len(profile), around + 1, 1))], 2
    )
    # A point's normal is the mean of its two segments', but a crease ends one and begins another.
    edges = np.diff(profile, axis=0)
    outward = np.stack([edges[:, 1], -edges[:, 0]], 1)
    lengths = np.linalg.norm(outward, axis=1, keepdims=True)
    outward = np.divide(outward, lengths, out=np.zeros_like(outward), where=lengths > 0)
    slope = np.zeros_like(profile)
    slope[:-1] += outward
    slope[1:] += outward
    slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
    normals = np.concatenate(
        [slope[:, None, :1] * turn[None], np.broadcast_to(slope[:, None, 1:], (len(profile), around + 1, 1))], 2
    )
    uvs = np.stack(np.broadcast_arrays((angle / (2 * np.pi))[None], np.asarray(v)[:, None]), 2)
    faces = _grid(len(profile) - 1, around)
    corners = points.reshape(-1, 3)[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return Mesh(points.reshape(-1, 3), faces[area > 1e-14], normals.reshape(-1, 3), uvs.reshape(-1, 2), name=name)


def box(size: tuple[float, float, float] = (1.0, 1.0, 1.0), name: str = "box") -> Mesh:
    """A box about the origin.

    Its faces share a texture of 4 x 3 fields: sides in the middle row, top and bottom above and below.

    Example:
        >>> box().faces.shape
        (12, 3)
    """
    x, y, z = (side / 2 for side in size)
    # Corners of each face counter-clockwise from its lower left, and its field (column, row) of the texture.
    sides = [
        ([(-x, -y, -z), (x, -y, -z), (x, -y, z), (-x, -y, z)], (0, 1)),
        ([(x, -y, -z), (x, y, -z), (x, y, z), (x, -y, z)], (1, 1)),
        ([(x, y, -z), (-x, y, -z), (-x, y, z), (x, y, z)], (2, 1)),
        ([(-x, y, -z), (-x, -y, -z), (-x, -y, z), (-x, y, z)], (3, 1)),
        ([(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z)], (0, 0)),
        ([(-x, y, -z), (x, y, -z), (x, -y, -z), (-x, -y, -z)], (0, 2)),
    ]
    vertices, normals, uvs, faces = [], [], [], []
    for corners, (column, row) in sides:
        first = len(vertices)
        a, b, _, d = (np.array(c) for c in corners)
        normal = np.cross(b - a, d - a)
        vertices += corners
        normals += [normal / np.linalg.norm(normal)] * 4
        uvs += [((column + u) / 4, (row + v) / 3) for u, v in ((0, 1), (1, 1), (1, 0), (0, 0))]
        faces += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    return Mesh(np.array(vertices), np.array(faces), np.array(normals), np.array(uvs), name=name)


def tessellated(mesh: Mesh, edge: float) -> Mesh:
    """The same surface in smaller triangles, so that it can bend: each is cut in four until no edge is longer.

    All triangles are cut alike, so that no gap opens between them. Vertices of a crease and of a seam stay apart.

    Args:
        mesh: With normals, or without; colours at new vertices are means.
        edge: Length of the longest edge wanted [m].

    Raises:
        ValueError: an edge of no length, or more than 7 cuts to do.

    Example:
        >>> len(tessellated(box((0.1, 0.1, 0.2)), 0.03).faces)
        768
    """
    longest = float(np.linalg.norm(mesh.vertices[mesh.faces] - mesh.vertices[np.roll(mesh.faces, 1, 1)], axis=2).max())
    cuts = int(np.ceil(np.log2(longest / edge))) if edge > 0 else 99
    if cuts > 7:
        raise ValueError(f"procedural.tessellated(): `edge` must be at least {longest / 128:g} m here, but is {edge}.")
    given = {name: getattr(mesh, name) for name in ("vertices", "normals", "uvs", "colors")}
    columns: dict[str, np.ndarray] = {
        name: np.asarray(value, np.float64) for name, value in given.items() if value is not None
    }
    faces, rows = np.asarray(mesh.faces, np.int64), mesh.face_material
    for _ in range(max(cuts, 0)):
        sides = np.sort(np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2), 1)
        ends, middle = np.unique(sides, axis=0, return_inverse=True)
        ab, bc, ca = (middle.reshape(-1, 3) + len(columns["vertices"])).T
        a, b, c = faces.T
        columns = {name: np.concatenate([value, value[ends].mean(1)]) for name, value in columns.items()}
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = np.concatenate([np.stack(part, 1) for part in parts])
        rows = None if rows is None else np.tile(rows, 4)
    if "normals" in columns:
        length = np.linalg.norm(columns["normals"], axis=1, keepdims=True)
        columns["normals"] = columns["normals"] / np.where(length > 0, length, 1)
    if "colors" in columns:
        columns["colors"] = np.clip(columns["colors"] + 0.5, 0, 255).astype(np.uint8)
    return dataclasses.replace(mesh, faces=faces, face_material=rows, **columns)


def sphere(radius: float = 0.5, rings: int = 24, name: str = "sphere") -> Mesh:
    """A sphere about the origin.

    Example:
        >>> bool(np.allclose(np.linalg.norm(sphere().vertices, axis=1), 0.5))
        True
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    profile = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    profile[[0, -1], 0] = 0
    mesh = lathe(profile, 2 * rings, name=name)
    return Mesh(mesh.vertices, mesh.faces, mesh.vertices / radius, mesh.uvs, name=name)


def cylinder(radius: float = 0.5, height: float = 1.0, around: int = 48, name: str = "cylinder") -> Mesh:
    """A cylinder about the origin, creased at its rims."""
    h = height / 2
    return lathe(np.array([[0, -h], [radius, -h], [radius, -h], [radius, h], [radius, h], [0, h]]), around, name=name)


def cone(radius: float = 0.5, height: float = 1.0, around: int = 48, name: str = "cone") -> Mesh:
    """A cone about the origin, its tip up."""
    h = height / 2
    return lathe(np.array([[0, -h], [radius, -h], [radius, -h], [0, h]]), around, name=name)


def torus(radius: float = 0.35, tube: float = 0.15, name: str = "torus") -> Mesh:
    """A torus about the z axis."""
    angle = np.linspace(-np.pi, np.pi, 25)
    profile = np.stack([radius + tube * np.cos(angle), tube * np.sin(angle)], 1)
    profile[-1] = profile[0]
    mesh = lathe(profile, 48, name=name)
    assert mesh.normals is not None and mesh.uvs is not None
    ring = mesh.vertices[:, :2] / np.linalg.norm(mesh.vertices[:, :2], axis=1, keepdims=True) * radius
    normals = (mesh.vertices - np.concatenate([ring, np.zeros((len(ring), 1))], 1)) / tube
    return Mesh(mesh.vertices, mesh.faces, normals, mesh.uvs, name=name)


def plane(size: float = 1.0, name: str = "plane") -> Mesh:
    """A square in the plane z = 0, seen from both sides."""
    s = size / 2
    vertices = np.array([(-s, -s, 0), (s, -s, 0), (s, s, 0), (-s, s, 0)])
    uvs = np.array([(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
    normals = np.tile([0.0, 0.0, 1.0], (4, 1))
    return Mesh(
        vertices, np.array([[0, 1, 2], [0, 2, 3]]), normals, uvs, materials=(Material(double_sided=True),), name=name
    )


def primitives(lod: bool = True) -> Assets:
    """Box, sphere, cylinder, cone, torus and plane, each about 1 m and a class of its own, centred on the origin.

    Example:
        >>> primitives().class_names
        ('box', 'sphere', 'cylinder', 'cone', 'torus', 'plane')
    """
    return pack([box(), sphere(), cylinder(), cone(), torus(), plane()], lod=lod)


def _standing(mesh: Mesh, picture: np.ndarray, roughness: float, metallic: float = 0.0) -> Mesh:
    """The mesh with its label, moved to rest on z = 0."""
    vertices = mesh.vertices - np.array([0, 0, mesh.vertices[:, 2].min()])
    material = Material(metallic=metallic, roughness=roughness, base_texture=picture)
    return Mesh(vertices, mesh.faces, mesh.normals, mesh.uvs, materials=(material,), name=mesh.name)


def _rounded(points: list[tuple[float, float, float]], steps: int = 6) -> np.ndarray:
    """A profile with its corners rounded: (radius, height, rounding [m]) from bottom to top."""
    out = [np.array(points[0][:2])]
    for (x0, y0, _), (x1, y1, r), (x2, y2, _) in zip(points, points[1:], points[2:], strict=False):
        corner, before, after = np.array([x1, y1]), np.array([x0, y0]), np.array([x2, y2])
        a, b = before - corner, after - corner
        reach = min(r, np.linalg.norm(a) * 0.45, np.linalg.norm(b) * 0.45)
        a, b = corner + a / np.linalg.norm(a) * reach, corner + b / np.linalg.norm(b) * reach
        t = np.linspace(0, 1, steps)[:, None]
        out += list((1 - t) ** 2 * a + 2 * t * (1 - t) * corner + t**2 * b)
    out.append(np.array(points[-1][:2]))
    return np.array(out)


def _by_height(profile: np.ndarray) -> np.ndarray:
    """Texture rows that follow height, so that a drawn label is not squeezed on shoulders."""
    low, high = profile[:, 1].min(), profile[:, 1].max()
    return 1 - (profile[:, 1] - low) / (high - low)


def _box(rng: np.random.Generator, size: int) -> Mesh:
    w, d, h = rng.uniform(0.09, 0.2), rng.uniform(0.03, 0.08), rng.uniform(0.12, 0.26)
    return _standing(box((w, d, h), "box"), labels.carton(rng, size, (w, d, h)), 0.7)


def _can(rng: np.random.Generator, size: int) -> Mesh:
    r, h = rng.uniform(0.03, 0.045), rng.uniform(0.07, 0.16)
    profile = _rounded(
        [
            (0, 0.004, 0),
            (r * 0.9, 0.004, 0.002),
            (r, 0, 0.003),
            (r, h, 0.003),
            (r * 0.9, h - 0.004, 0.002),
            (0, h - 0.004, 0),
        ]
    )
    return _standing(
        lathe(profile, 40, _by_height(profile), "can"), labels.wrapped(rng, size, metal_ends=0.06), 0.35, 0.3
    )


def _bottle(rng: np.random.Generator, size: int) -> Mesh:
    r, h = rng.uniform(0.028, 0.042), rng.uniform(0.18, 0.28)
    neck, shoulder = r * rng.uniform(0.32, 0.45), h * rng.uniform(0.58, 0.7)
    cap = neck * 1.25
    profile = _rounded(
        [(0, 0, 0), (r, 0, 0.008), (r, shoulder, 0.04), (neck, h * 0.86, 0.03), (neck, h * 0.9, 0.001),
         (cap, h * 0.9, 0.001), (cap, h, 0.003), (0, h, 0)]
    )  # fmt: skip
    return _standing(lathe(profile, 40, _by_height(profile), "bottle"), labels.bottle(rng, size, shoulder / h), 0.3)


def _jar(rng: np.random.Generator, size: int) -> Mesh:
    r, h = rng.uniform(0.035, 0.05), rng.uniform(0.09, 0.14)
    profile = _rounded(
        [(0, 0, 0), (r, 0, 0.008), (r, h * 0.78, 0.012), (r * 0.86, h * 0.84, 0.002), (r * 0.92, h * 0.84, 0.001),
         (r * 0.92, h, 0.003), (0, h, 0)]
    )  # fmt: skip
    return _standing(lathe(profile, 40, _by_height(profile), "jar"), labels.bottle(rng, size, 0.76), 0.25)


def _gable(rng: np.random.Generator, size: int) -> Mesh:
    """A drink carton: a box with a ridge on top."""
    w, h = rng.uniform(0.07, 0.095), rng.uniform(0.17, 0.24)
    body, s = h * 0.8, w / 2
    ridge = h
    b = [(-s, -s, 0), (s, -s, 0), (s, s, 0), (-s, s, 0)]
    t = [(-s, -s, body), (s, -s, body), (s, s, body), (-s, s, body)]
    left, right = (-s, 0, ridge), (s, 0, ridge)
    top = 1 - body / h
    # Corners counter-clockwise from outside, with their texture coordinates.
    fields = [((i / 4, 1.0), ((i + 1) / 4, 1.0), ((i + 1) / 4, top), (i / 4, top)) for i in range(4)]
    polygons = [((b[i], b[(i + 1) % 4], t[(i + 1) % 4], t[i]), fields[i]) for i in range(4)]
    polygons += [
        ((t[0], t[1], right, left), ((0.0, top), (0.25, top), (0.25, 0.0), (0.0, 0.0))),
        ((t[2], t[3], left, right), ((0.5, top), (0.75, top), (0.75, 0.0), (0.5, 0.0))),
        ((t[1], t[2], right), ((0.25, top), (0.5, top), (0.375, 0.0))),
        ((t[3], t[0], left), ((0.75, top), (1.0, top), (0.875, 0.0))),
        ((b[3], b[2], b[1], b[0]), ((0.3, 0.1), (0.4, 0.1), (0.4, 0.05), (0.3, 0.05))),
    ]
    vertices, normals, uvs, faces = [], [], [], []
    for corners, coordinates in polygons:
        first = len(vertices)
        p = np.array(corners)
        normal = np.cross(p[1] - p[0], p[2] - p[0])
        vertices += list(p)
        normals += [normal / np.linalg.norm(normal)] * len(p)
        uvs += list(coordinates)
        faces += [(first, first + i - 1, first + i) for i in range(2, len(p))]
    mesh = Mesh(np.array(vertices), np.array(faces), np.array(normals), np.array(uvs), name="carton")
    return _standing(mesh, labels.wrapped(rng, size, metal_ends=0.0), 0.55)


_KINDS = {"box": _box, "can": _can, "bottle": _bottle, "carton": _gable, "jar": _jar}


def product_meshes(variants: int = 8, seed: int = 0, texture_size: int = 256) -> list[Mesh]:
    """The meshes of :func:`products`, before they are packed.

    Example:
        >>> [mesh.name for mesh in product_meshes(variants=1, texture_size=64)]
        ['box', 'can', 'bottle', 'carton', 'jar']
    """
    if variants < 1 or texture_size < 16:
        raise ValueError(
            f"procedural.products(): `variants` must be at least 1 and `texture_size` at least 16 pixels, but they are "
            f"{variants} and {texture_size}."
        )
    return [
        make(np.random.default_rng([seed, kind, variant]), texture_size)
        for kind, make in enumerate(_KINDS.values())
        for variant in range(variants)
    ]


def products(variants: int = 8, seed: int = 0, texture_size: int = 256, lod: bool = True) -> Assets:
    """Packaged products with drawn labels: boxes, cans, bottles, drink cartons and jars, a class each.

    Args:
        variants: Of each kind, differing in size, proportions and label.
        seed: Of everything that is drawn.
        texture_size: Height of a label [pixels].
        lod: Make levels of detail.

    Example:
        >>> products(variants=1, texture_size=64).class_names
        ('box', 'can', 'bottle', 'carton', 'jar')
    """
    return pack(product_meshes(variants, seed, texture_size), lod=lod)


def textures(count: int = 20, size: int = 128, seed: int = 0) -> Textures:
    """Flat, gradient, checker, stripes and noise textures in turn, for randomized materials and backgrounds.

    Example:
        >>> len(textures(5, size=16))
        5
    """
    return Textures.from_images([labels.pattern(np.random.default_rng([seed, i]), size, i) for i in range(count)])
