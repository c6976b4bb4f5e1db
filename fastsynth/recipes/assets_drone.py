"""Stand-ins for Rozantsev's data: a coarse quadrotor, empty backgrounds, and capture parameters as a fit might."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from fastsynth.assets import Assets, Mesh
from fastsynth.pack import pack
from fastsynth.procedural import box, cylinder
from fastsynth.textures import Textures


def quadrotor_mesh(reach: float = 0.35, around: int = 16) -> Mesh:
    """A body, four arms with motors and rotors, and two skids; z up, about the origin [m].

    Args:
        reach: From the middle to a rotor's axis.
        around: Corners of a rotor.

    Example:
        >>> mesh = quadrotor_mesh()
        >>> [round(float(side), 2) for side in np.ptp(mesh.vertices, 0)]
        [0.89, 0.89, 0.21]
    """
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []

    def add(part: Mesh, angle: float, offset: tuple[float, float, float]) -> None:
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
        faces.append(part.faces + sum(map(len, vertices)))
        vertices.append((part.vertices + [*offset]) @ turn.T)

    add(box((0.26, 0.16, 0.1)), 0.0, (0.0, 0.0, 0.0))
    for side in (-1, 1):
        add(box((0.24, 0.02, 0.02)), 0.0, (0.0, 0.09 * side, -0.13))
        add(box((0.02, 0.02, 0.1)), 0.0, (0.08, 0.09 * side, -0.08))
        add(box((0.02, 0.02, 0.1)), 0.0, (-0.08, 0.09 * side, -0.08))
    for k in range(4):
        angle = (k + 0.5) * np.pi / 2
        add(box((reach, 0.04, 0.03)), angle, (reach / 2, 0.0, 0.02))
        motor = cylinder(0.035, 0.07, around)
        rotor = cylinder(0.2, 0.012, around)
        for part, z in ((motor, 0.03), (rotor, 0.062)):
            middle = (part.vertices.min(0) + part.vertices.max(0)) / 2
            moved = Mesh(part.vertices - middle, part.faces)
            add(moved, angle, (reach, 0.0, z))
    return Mesh(np.concatenate(vertices), np.concatenate(faces), name="drone")


@functools.cache
def quadrotor() -> Assets:
    """The drone, packed."""
    return pack([quadrotor_mesh()])


@functools.cache
def skies(count: int, side: int) -> Textures:
    """Grey patches of sky, of trees and of both, square, a little noisy."""
    pictures = []
    for k in range(count):
        rng = np.random.default_rng([11, k])
        y, x = np.mgrid[:side, :side] / side
        sky = rng.uniform(0.5, 0.9) + rng.normal(0, 0.1) * (y - 0.5) + rng.normal(0, 0.05) * (x - 0.5)
        clouds = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / rng.uniform(4, 10), mode="wrap")
        sky = sky + rng.uniform(0.0, 0.08) * clouds / clouds.std()
        leaves = sum(ndimage.gaussian_filter(rng.normal(size=(side, side)), s) * s for s in (0.7, 1.5, 3.0))
        trees = rng.uniform(0.2, 0.45) + rng.uniform(0.04, 0.1) * leaves
        horizon = rng.uniform(-0.3, 1.6) + 0.06 * ndimage.gaussian_filter1d(rng.normal(size=side), 1.5, mode="nearest")
        picture = np.where(y > horizon, trees, sky)
        picture = ndimage.gaussian_filter(picture, rng.uniform(0.3, 0.8)) + rng.normal(0, 0.012, picture.shape)
        pictures.append((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    return Textures.from_images(pictures, "clamp")


def fitted(count: int) -> Tensor:
    """Capture parameters as if fitted to as many images: sigma_s, sigma_u, sigma_v, alpha, sigma_n, w_d.

    Not normal and not independent, as the paper says of its own. The rest is ours: few drones move fast, a far one is
    blurred, noisy and pale together.
    """
    rng = np.random.default_rng(5)
    far = rng.beta(1.2, 2.0, count)
    fast = rng.random(count) < 0.35
    rows = [
        0.3 + 1.2 * far + rng.uniform(0, 0.2, count),
        np.where(fast, rng.uniform(1.5, 4.0, count), rng.uniform(0.2, 0.8, count)),
        rng.uniform(0.1, 0.6, count),
        rng.uniform(0, np.pi, count),
        0.01 + 0.04 * far * rng.random(count),
        0.25 + 0.5 * far + rng.uniform(0, 0.2, count),
    ]
    return torch.tensor(np.stack(rows, 1), dtype=torch.float32)
