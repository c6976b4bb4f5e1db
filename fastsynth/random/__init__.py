"""Randomness as an argument: named uniform numbers, and distributions that map them to values."""

from __future__ import annotations

from fastsynth.random.choice import Choice
from fastsynth.random.decisions import Decisions
from fastsynth.random.directions import UniformHemisphere, UniformRotation, UniformSphere
from fastsynth.random.distribution import Constant, Distribution, as_distribution
from fastsynth.random.distributions import LogNormal, LogUniform, Normal, Triangular, TruncatedNormal, Uniform
from fastsynth.random.learnable import Learnable
from fastsynth.random.linked import Linked, Table
from fastsynth.random.noise import Noise, stream_number

__all__ = [
    "Choice",
    "Constant",
    "Decisions",
    "Distribution",
    "Learnable",
    "Linked",
    "LogNormal",
    "LogUniform",
    "Noise",
    "Normal",
    "Table",
    "Triangular",
    "TruncatedNormal",
    "Uniform",
    "UniformHemisphere",
    "UniformRotation",
    "UniformSphere",
    "as_distribution",
    "stream_number",
]
