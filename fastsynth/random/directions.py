"""Distributions over directions and orientations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastsynth.geometry import rotation_from_quaternion
from fastsynth.random.distribution import Distribution


class UniformRotation(Distribution):
    """Every orientation equally likely, as a matrix.

    Shoemake, "Uniform Random Rotations", Graphics Gems III, 1992.

    Example:
        >>> UniformRotation().from_uniform(torch.rand(5, 3)).shape
        torch.Size([5, 3, 3])
    """

    @property
    def event(self) -> tuple[int, ...]:
        """A matrix."""
        return (3, 3)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Three for a rotation."""
        return (3,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Two angles, and how a quaternion's length divides between their planes."""
        split, first, second = u.unbind(-1)
        first, second = 2 * math.pi * first, 2 * math.pi * second
        a, b = (1 - split).sqrt(), split.sqrt()
        return rotation_from_quaternion(
            torch.stack([b * second.cos(), a * first.sin(), a * first.cos(), b * second.sin()], -1)
        )


class UniformSphere(Distribution):
    """Every direction equally likely, as a unit vector.

    Example:
        >>> UniformSphere().from_uniform(torch.rand(5, 2)).norm(dim=-1).round().tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    @property
    def event(self) -> tuple[int, ...]:
        """A vector."""
        return (3,)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Two for a direction."""
        return (2,)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Even in height and in longitude: Archimedes' map of the cylinder onto the sphere."""
        return self._at_height(2 * u[..., 0] - 1, u[..., 1])

    @staticmethod
    def _at_height(z: Tensor, turn: Tensor) -> Tensor:
        angle = 2 * math.pi * turn
        radius = (1 - z * z).clamp(min=0).sqrt()
        return torch.stack([radius * angle.cos(), radius * angle.sin(), z], -1)


class UniformHemisphere(UniformSphere):
    """Every direction with z >= 0 equally likely, as a unit vector.

    Example:
        >>> bool((UniformHemisphere().from_uniform(torch.rand(5, 2))[:, 2] >= 0).all())
        True
    """

    def from_uniform(self, u: Tensor) -> Tensor:
        """Even in height and in longitude."""
        return self._at_height(u[..., 0], u[..., 1])
