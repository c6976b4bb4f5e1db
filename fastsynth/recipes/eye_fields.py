"""Random fields of a procedural skin, from which both its colours and its heights are made. All ours."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from fastsynth.recipes import eye_region as region


def cloud(rng: np.random.Generator, shape: tuple[int, int], cells: int, wrap: bool = False) -> np.ndarray:
    """Smooth noise of about `cells` blobs along the shorter side, zero mean, about unit deviation: float [h, w].

    Example:
        >>> cloud(np.random.default_rng(0), (16, 24), 4).shape
        (16, 24)
    """
    from scipy.ndimage import zoom

    side = min(shape) / cells
    rows, columns = (max(2, round(length / side)) for length in shape)
    coarse = rng.standard_normal((rows, columns + (0 if wrap else 1)))
    if wrap:
        coarse = np.concatenate([coarse, coarse[:, :1]], 1)
    fine = zoom(coarse, (shape[0] / coarse.shape[0], shape[1] / coarse.shape[1]), order=3, mode="nearest")
    return np.asarray(fine)[: shape[0], : shape[1]] / 0.6


@functools.cache
def _places(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where on the mean face the texels of a skin lie: loop, and x and z [mm]; float [h, w] each, below the bands."""
    from scipy.ndimage import map_coordinates

    control = region.shape_model().mean[: region.LOOPS * region.AROUND].reshape(region.LOOPS, region.AROUND, 3) * 1e3
    closed = np.concatenate([control[:, -3:], control, control[:, :4]], 1)
    first = round(region.SKIN_FROM * size)
    loop, turn = np.meshgrid(
        np.linspace(0, region.LOOPS - 1, size - first), (np.arange(size) + 0.5) / size * region.AROUND, indexing="ij"
    )
    at = np.stack([loop, turn + 3])
    x, z = (map_coordinates(closed[..., axis], at, order=3, mode="nearest") for axis in (0, 2))
    return loop, x, z


class SkinFields(NamedTuple):
    """One skin, unwrapped around the opening; pictures are float [h, size], those of noise about of unit deviation."""

    part: float  #: 0 the lightest to 1 the darkest
    tint: np.ndarray  #: factors of r, g and b
    loop: np.ndarray  #: control loop, 0 at the wet edge
    turn: np.ndarray  #: part of the way around, 0 at the inner corner, 0.25 in the middle of the upper lid
    upper: np.ndarray  #: 1 in the middle of the upper lid, 0 outside it
    lower: np.ndarray  #: likewise
    wide: np.ndarray  #: noise of about 16 mm
    spots: np.ndarray  #: noise of about 1.3 mm
    pores: np.ndarray  #: noise of about 0.2 mm
    wrinkles: np.ndarray  #: along the lids, 1 at the bottom of one and 0 between two
    bag: float  #: 0 none to 1 the largest
    brow: np.ndarray  #: 1 within the brow
    hairs: float  #: how dense the brow is
    strokes: np.ndarray  #: noise of the brow's hairs


def skin_fields(number: int, size: int, of: int) -> SkinFields:
    """Those of skin `number`, of `of`.

    Example:
        >>> skin_fields(0, 64, 20).loop.shape
        (58, 64)
    """
    from scipy.ndimage import map_coordinates

    rng = np.random.default_rng([11, number])
    loop, x, z = _places(size)
    turn = np.broadcast_to((np.arange(size) + 0.5) / size, loop.shape)
    part = (number + rng.random()) / of
    brightness, tint = rng.uniform(0.94, 1.04), rng.uniform(0.98, 1.02, 3)

    # Noise lives on the face rather than in the unwrapped picture.
    def on_face(field: np.ndarray) -> np.ndarray:
        at = np.stack([(z + 40) / 80 * (field.shape[0] - 1), (x + 40) / 80 * (field.shape[1] - 1)])
        return map_coordinates(field, at, order=1, mode="nearest")

    wide, spots = on_face(cloud(rng, (320, 320), 5)), on_face(cloud(rng, (320, 320), 60))
    pores = on_face(rng.standard_normal((480, 480)))
    bag = rng.random()

    # The brow: an arch of slanted strokes.
    reach, middle = (x + 2) / 24, 20.5 - 5.5 * ((x - 3) / 24) ** 2 + rng.uniform(-1, 1)
    thick = rng.uniform(2.4, 3.8) * (1.05 - 0.45 * np.clip(reach, -1, 1))
    strokes = cloud(rng, (60, 640), 34)
    slanted = map_coordinates(
        strokes, np.stack([(z + 40) / 80 * 59, ((x - 0.55 * z) % 80) / 80 * 639]), order=1, mode="wrap"
    )
    return SkinFields(
        part, np.array([brightness, *tint]), loop, turn,
        upper=np.sin(2 * np.pi * turn).clip(0) ** 0.6, lower=(-np.sin(2 * np.pi * turn)).clip(0) ** 0.6,
        wide=wide, spots=spots, pores=pores, wrinkles=0.5 + 0.5 * np.sin(loop * 9 + 2 * wide), bag=bag,
        brow=np.exp(-(((z - middle) / thick) ** 4)) * np.exp(-(reach**8)), hairs=rng.uniform(0.45, 0.9),
        strokes=slanted,
    )  # fmt: skip
