"""Rotations, poses and cameras; matrices named a_from_b."""

from __future__ import annotations

from fastsynth.geometry.harmonics import spherical_harmonics, turn_harmonics
from fastsynth.geometry.matrices import (
    affine,
    as_float,
    compose,
    deg,
    invert_rigid,
    look_at,
    multiply,
    normalize,
    rotation_from_axis_angle,
    rotation_from_euler,
    rotation_from_quaternion,
    scaling,
    transform_points,
    translation,
    upright,
)
from fastsynth.geometry.pinhole import Pinhole
from fastsynth.geometry.refraction import dilated, fresnel, refract, refracted_place

__all__ = [
    "Pinhole",
    "affine",
    "as_float",
    "compose",
    "deg",
    "dilated",
    "fresnel",
    "invert_rigid",
    "look_at",
    "multiply",
    "normalize",
    "refract",
    "refracted_place",
    "rotation_from_axis_angle",
    "rotation_from_euler",
    "rotation_from_quaternion",
    "scaling",
    "spherical_harmonics",
    "transform_points",
    "translation",
    "turn_harmonics",
    "upright",
]
