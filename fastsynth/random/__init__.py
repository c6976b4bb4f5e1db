"""Randomness as an argument: named uniform numbers, and distributions that map them to values."""

from __future__ import annotations

from fastsynth.random.directions import UniformHemisphere, UniformRotation, UniformSphere
from fastsynth.random.distributions import (
    Choice,
    Constant,
    Distribution,
    LogNormal,
    LogUniform,
    Normal,
    Triangular,
    TruncatedNormal,
    Uniform,
    as_distribution,
)
from fastsynth.random.noise import Noise, stream_number

__all__ = [
    "Choice",
    "Constant",
    "Distribution",
    "LogNormal",
    "LogUniform",
    "Noise",
    "Normal",
    "Triangular",
    "TruncatedNormal",
    "Uniform",
    "UniformHemisphere",
    "UniformRotation",
    "UniformSphere",
    "as_distribution",
    "stream_number",
]
