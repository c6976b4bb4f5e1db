"""Panoramas without files: skies with a sun and clouds over a ground, and rooms with lamps."""

from __future__ import annotations

import math

import numpy as np
import torch

from fastsynth.environments import Environments


def environments(n: int = 8, seed: int = 0, height: int = 64, side: int | None = None) -> Environments:
    """Panoramas out of random numbers, half of them skies and half of them rooms.

    Args:
        n: How many.
        seed: The same seed gives the same panoramas.
        height: Rows of the pictures they are made from.
        side: As of `Environments.from_panoramas`.

    Example:
        >>> skies = environments(2, seed=1, height=16)
        >>> len(skies), skies.side
        (2, 32)
    """
    made = [panorama(np.random.default_rng([seed, i]), height, room=i % 2 == 1) for i in range(n)]
    return Environments.from_panoramas(torch.from_numpy(np.stack(made)), side)


def panorama(random: np.random.Generator, height: int, room: bool) -> np.ndarray:
    """One equirectangular picture, linear float32 [height, 2 height, 3]."""
    direction = directions(height)
    light = _room(random, direction) if room else _sky(random, direction)
    return light.astype(np.float32)


def directions(height: int) -> np.ndarray:
    """Unit vectors at the pixels of an equirectangular picture, float64 [height, 2 height, 3]."""
    up = (0.5 - (np.arange(height) + 0.5) / height) * math.pi
    around = (0.5 - (np.arange(2 * height) + 0.5) / (2 * height)) * 2 * math.pi
    up, around = np.meshgrid(up, around, indexing="ij")
    return np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)


def _sky(random: np.random.Generator, direction: np.ndarray) -> np.ndarray:
    """A sky that is paler towards the horizon, clouds, a sun of a few degrees with a halo, and a ground."""
    z = direction[..., 2:]
    zenith, horizon = np.array([0.12, 0.25, 0.65]) * random.uniform(0.6, 1.4), np.array([0.75, 0.8, 0.85])
    sky = horizon + (zenith - horizon) * np.sqrt(np.clip(z, 0, 1))
    cloud = np.clip(waves(random, direction * np.array([1, 1, 3.0]), 6) - random.uniform(-0.2, 0.6), 0, 0.8)
    sky = sky + (random.uniform(0.6, 1.0) - sky) * cloud
    height, turn = random.uniform(0.15, 1.3), random.uniform(0, 2 * math.pi)
    sun = np.array([math.cos(height) * math.cos(turn), math.cos(height) * math.sin(turn), math.sin(height)])
    apart = np.arccos(np.clip(direction @ sun, -1, 1))[..., None]
    warm = np.array([1.0, 0.9, 0.75]) ** (1 + 2 * math.exp(-3 * height))
    sky = sky + warm * (random.uniform(20, 80) * np.exp(-((apart / 0.06) ** 2)) + 0.6 * np.exp(-apart / 0.3))
    ground = np.array([0.22, 0.2, 0.16]) * random.uniform(0.5, 1.2, 3) * (1 + 0.3 * waves(random, direction, 9))
    part = 1 / (1 + np.exp(-np.clip(z / 0.01, -60, 60)))
    return ground + (sky - ground) * part


def _room(random: np.random.Generator, direction: np.ndarray) -> np.ndarray:
    """Walls, a ceiling and a floor of dull colours, and a few bright panels with soft rims."""
    wall, ceiling, floor = random.uniform(0.15, 0.5, (3, 3)) * np.array([[1], [1.4], [0.5]])
    z = direction[..., 2:]
    light = wall * (1 + 0.15 * waves(random, direction, 4))
    light = (
        light + (ceiling - light) / (1 + np.exp(-(z - 0.55) / 0.03)) + (floor - light) / (1 + np.exp((z + 0.45) / 0.03))
    )
    for _ in range(random.integers(2, 6)):
        axis = random.normal(size=3) * np.array([1, 1, 0.6]) + np.array([0, 0, 0.8])
        axis /= np.linalg.norm(axis)
        side = np.cross(axis, [0.0, 0.0, 1.0])
        side /= max(float(np.linalg.norm(side)), 1e-6)
        ahead = direction @ axis
        a, b = direction @ side / np.maximum(ahead, 1e-3), direction @ np.cross(axis, side) / np.maximum(ahead, 1e-3)
        wide, tall = random.uniform(0.08, 0.4, 2)
        inside = np.minimum(wide - np.abs(a), tall - np.abs(b)) / 0.02
        panel = (ahead > 0.05) / (1 + np.exp(-np.clip(inside, -60, 60)))
        light = light + panel[..., None] * random.uniform(4, 15) * random.uniform(0.8, 1.0, 3)
    return light


def waves(random: np.random.Generator, direction: np.ndarray, frequency: float) -> np.ndarray:
    """Smooth noise of mean 0 by direction or place, about in [-1, 1]: [..., 3] -> [..., 1]."""
    total = np.zeros(direction.shape[:-1])
    for octave in range(4):
        for _ in range(3):
            along = random.normal(size=3) * frequency * 1.8**octave
            total += np.sin(direction @ along + random.uniform(0, 2 * math.pi)) / (3 * 1.6**octave)
    return total[..., None]
