"""Random flat, gradient and checker textures: pools of any size."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from fastsynth.textures import Textures


def patterns(
    count: int, types: Sequence[str] = ("flat", "gradient", "checker"), size: int = 32, seed: int = 0
) -> Textures:
    """Textures of one or two random RGB values, each type as likely.

    Args:
        count: How many there are; a larger pool begins with those of a smaller one.
        types: Out of "flat", "gradient" and "checker".
        size: Side [pixels].
        seed: Of the pool.

    Example:
        >>> len(patterns(6, size=8))
        6
    """
    return _patterns(count, tuple(types), size, seed)


@functools.lru_cache(maxsize=8)
def _patterns(count: int, types: tuple[str, ...], size: int, seed: int) -> Textures:
    return Textures.from_images([_pattern(np.random.default_rng([seed, row]), types, size) for row in range(count)])


def _pattern(rng: np.random.Generator, types: Sequence[str], size: int) -> np.ndarray:
    kind = types[rng.integers(len(types))]
    one, other = rng.integers(0, 256, (2, 3))
    across, down = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    if kind == "flat":
        part = np.zeros((size, size))
    elif kind == "gradient":
        part = (across, down)[rng.integers(2)]
        part = 1 - np.abs(2 * part - 1)  # there and back, so that it has no edge where it repeats
    else:
        fields = 2 * rng.integers(1, 5)
        part = (np.floor(across * fields) + np.floor(down * fields)) % 2
    return np.rint(one + part[..., None] * (other - one)).astype(np.uint8)
