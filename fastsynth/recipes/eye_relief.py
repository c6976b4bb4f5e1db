"""Displacement maps of the procedural skins: how far each place lies outside the smooth face. All ours."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from fastsynth.effects.refractive_eye import smoothstep
from fastsynth.recipes import eye_region as region
from fastsynth.recipes.eye_fields import skin_fields


def relief(number: int, size: int = 256, of: int = 20) -> np.ndarray:
    """Heights that belong to the colours of `skin`, outwards from the eyeball, float64 [size, size] [m].

    0 in the bands of caruncle and lashes, and where the lids' edge lies on the eyeball.

    Example:
        >>> bool(abs(relief(0, 64)).max() < 1e-3)
        True
    """
    from scipy.ndimage import map_coordinates

    f = skin_fields(number, size, of)
    rng = np.random.default_rng([12, number])
    age, fold = rng.uniform(0.35, 1.0), rng.uniform(0.12, 0.4)

    def near(loop: float, width: float) -> np.ndarray:
        return np.exp(-(((f.loop - loop - 0.12 * f.wide) / width) ** 2))

    # Millimetres. Grooves are narrow and ridges broad, as skin is when it is pressed together.
    # None is as deep all along, nor as deep as its neighbour.
    coarse = rng.standard_normal((2 * region.LOOPS, 20))
    uneven = map_coordinates(coarse, np.stack([f.loop * 2, f.turn * 20]), order=3, mode="grid-wrap")
    groove = f.wrinkles**2 * (0.75 + 0.45 * uneven).clip(0.1, 1.6)
    folded = f.upper * fold * (0.55 * near(4.75, 0.5) - near(4.0, 0.3))
    pleats = f.upper * near(3.2, 0.75) * (0.5 + 0.5 * np.sin(f.loop * 13 + 2.5 * f.wide)) ** 2
    under = f.lower * near(4.5, 1.5) * groove
    bag = f.lower * (0.1 + 0.4 * f.bag) * (near(5.6, 0.9) - 0.5 * near(7.2, 0.7))
    # Lines fan out from the outer corner.
    corner = np.exp(-(((f.turn - 0.5) / 0.09) ** 2)) * np.exp(-(((f.loop - 5.5) / 1.4) ** 2))
    feet = corner * (0.5 + 0.5 * np.sin(f.turn * 2 * np.pi * 14 + 1.5 * f.wide + 0.7 * uneven)) ** 2
    brow = f.brow * (0.3 + 0.05 * f.strokes)
    height = folded + bag + brow + 0.012 * f.spots + 0.012 * f.pores - age * (0.05 * pleats + 0.14 * under + 0.1 * feet)
    whole = np.zeros((size, size))
    whole[size - len(f.loop) :] = 1e-3 * height * smoothstep(1.25, 2.0, f.loop)
    return whole


@functools.cache
def heights(count: int = 20, size: int = 256) -> Tensor:
    """Those of all skins at the vertices of the drawn loops, float32 [count, loops x around] [m].

    What is finer than the mesh, as pores are, is averaged: it would be seen as facets.

    Example:
        >>> heights(2, size=64).shape[1] == region.FINE_LOOPS * region.FINE_AROUND
        True
    """
    from scipy.ndimage import map_coordinates

    shape = region.FINE_LOOPS, region.FINE_AROUND + 1
    u, v = region.drawn_uvs()[: shape[0] * shape[1]].reshape(*shape, 2).transpose(2, 0, 1)
    part = (np.arange(4) + 0.5) / 4  # across the cell of a vertex, which reaches halfway to the next ones
    between = np.pad((v[1:, 0] + v[:-1, 0]) / 2, 1, constant_values=(v[0, 0], v[-1, 0]))
    rows = between[:-1, None] + np.diff(between)[:, None] * part
    columns = u[0, :-1, None] + (part - 0.5) / region.FINE_AROUND
    at = np.stack(np.broadcast_arrays(rows[:, None, :, None], columns[:, None])) * size - 0.5
    made = [
        map_coordinates(relief(number, size, count), at, order=1, mode="grid-wrap").mean((-1, -2))
        for number in range(count)
    ]
    return torch.tensor(np.stack(made), dtype=torch.float32).flatten(1)
