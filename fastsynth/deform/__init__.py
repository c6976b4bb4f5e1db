"""Shapes that change: functions of points, batched and differentiable.

Points are float [..., V, 3] with any leading axes that broadcast; float32 and float64 alike; nothing waits for the
device. To draw deformed meshes, give :class:`fastsynth.Deform` to a scene. Functions are written in elementwise
arithmetic in a fixed order, so that a shape is the same to the last bit whatever the batch around it.
"""

from __future__ import annotations

from fastsynth.deform.basis import pca_shape
from fastsynth.deform.bend import dent, twist
from fastsynth.deform.lattice import lattice, lattice_with_normals
from fastsynth.deform.normals import Topology, topology, transform_normals, vertex_normals
from fastsynth.deform.rig import rotate_loops
from fastsynth.deform.wrap import Ball, onto_ball, shrink_wrap

__all__ = [
    "Ball",
    "Topology",
    "dent",
    "lattice",
    "lattice_with_normals",
    "onto_ball",
    "pca_shape",
    "rotate_loops",
    "shrink_wrap",
    "topology",
    "transform_normals",
    "twist",
    "vertex_normals",
]
