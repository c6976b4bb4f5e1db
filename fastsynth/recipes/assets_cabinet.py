"""A vending cabinet, seen from inside, and packages to put into it."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from fastsynth import labels, procedural
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.pack import pack
from fastsynth.recipes.assets_polygons import block, polyhedron

#: Classes of the packages; those from `SOFT` on give way.
PACKAGES = ("can", "bottle", "jar", "box", "carton", "bag")
SOFT = ("box", "carton", "bag")


def cabinet(width: float, depth: float, height: float) -> Mesh:
    """The inside of a box room of brushed metal, with a light shelf as its floor, the shelf's middle at the origin.

    Args:
        width: Along x [m].
        depth: Along y [m].
        height: Above the shelf [m].

    Example:
        >>> cabinet(0.6, 0.5, 0.4).vertices.max(0).round(2).tolist()
        [0.3, 0.25, 0.4]
    """
    x, y = width / 2, depth / 2
    inside = [side[::-1] for side in block((-x, -y, 0.0), (x, y, height))]
    flat = [bool(np.allclose(np.asarray(side)[:, 2], 0.0)) for side in inside]
    metal = Material(base_texture=brushed(), metallic=0.6, roughness=0.35)
    shelf = Material(base_color=(0.75, 0.76, 0.78, 1.0), roughness=0.5)
    return polyhedron(inside, "cabinet", [metal, shelf], [int(low) for low in flat])


def brushed(size: int = 256, seed: int = 0) -> np.ndarray:
    """Grey with fine level scratches, uint8 [size, size, 3].

    Example:
        >>> brushed(16).shape
        (16, 16, 3)
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(0.0, 9.0, (size, 1)) + rng.normal(0.0, 5.0, (size, max(size // 16, 1))).repeat(16, 1)[:, :size]
    grey = np.clip(168.0 + rows, 0, 255)
    return (grey[..., None] * np.array([0.97, 0.99, 1.0])).astype(np.uint8)


def bag(rng: np.random.Generator, size: int, steps: int = 14) -> Mesh:
    """A filled pouch with flat seams above and below, standing on its lower seam, a label around it.

    Args:
        rng: Of its measures and its label.
        size: Height of the label [pixels].
        steps: Cells along each side of its two halves.

    Example:
        >>> bag(np.random.default_rng(0), 32).name
        'bag'
    """
    width, height, thick = rng.uniform(0.1, 0.15), rng.uniform(0.14, 0.21), rng.uniform(0.035, 0.06)
    u, v = np.meshgrid(np.linspace(-1, 1, steps + 1), np.linspace(-1, 1, steps + 1))
    swell = (1 - np.abs(u) ** 2.5) ** 0.5 * (1 - np.abs(v) ** 4) ** 0.7
    halves = []
    for side in (1, -1):
        points = np.stack([side * u * width / 2, -side * swell * thick / 2, (v + 1) * height / 2], -1)
        uvs = np.stack([(u + 1) / 4 + (0.0 if side > 0 else 0.5), (1 - v) / 2], -1)
        halves.append((points.reshape(-1, 3), uvs.reshape(-1, 2)))
    grid = np.arange((steps + 1) ** 2).reshape(steps + 1, steps + 1)
    a, b, c, d = (part.reshape(-1) for part in (grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    picture = labels.wrapped(rng, size, metal_ends=0.03)
    return Mesh(
        np.concatenate([points for points, _ in halves]),
        np.concatenate([faces, faces + (steps + 1) ** 2]),
        uvs=np.concatenate([uvs for _, uvs in halves]),
        materials=(Material(base_texture=picture, roughness=0.3),),
        name="bag",
    )


@functools.cache
def packages(variants: int = 4, texture_size: int = 256) -> Assets:
    """Cans, bottles and jars, which are hard, and boxes, drink cartons and bags, which bend; `variants` of each.

    Example:
        >>> packages(1, 32).class_names == PACKAGES
        True
    """
    made = procedural.product_meshes(variants, seed=8, texture_size=texture_size)
    made += [bag(np.random.default_rng([8, variant]), texture_size) for variant in range(variants)]
    meshes = [mesh for name in PACKAGES for mesh in made if mesh.name == name]
    soft = [procedural.tessellated(m, 0.035) if m.name in ("box", "carton") else m for m in meshes]
    return pack([dataclasses.replace(mesh) for mesh in soft], lod=False)
