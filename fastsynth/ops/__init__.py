"""Functions of tensors, on the CPU and on CUDA, nearly all of them one kernel; they know nothing of scenes."""

from fastsynth.ops._library import build_info
from fastsynth.ops.antialias import antialias, opposite_vertices
from fastsynth.ops.convolve import convolve
from fastsynth.ops.deform import Bend, bend_dent, bend_lattice, bend_twist, deform
from fastsynth.ops.draw import draw
from fastsynth.ops.filter import blur, develop, normal
from fastsynth.ops.gbuffer import gbuffer
from fastsynth.ops.interpolate import interpolate
from fastsynth.ops.peel import Layer, peel
from fastsynth.ops.poisson import poisson
from fastsynth.ops.rasterize import Fragments, rasterize
from fastsynth.ops.reduce import boxes_of, reduce
from fastsynth.ops.texture import mip_chain, texture
from fastsynth.ops.transform import transform

__all__ = [
    "Bend",
    "Fragments",
    "Layer",
    "antialias",
    "bend_dent",
    "bend_lattice",
    "bend_twist",
    "blur",
    "boxes_of",
    "build_info",
    "convolve",
    "deform",
    "develop",
    "draw",
    "gbuffer",
    "interpolate",
    "mip_chain",
    "normal",
    "opposite_vertices",
    "peel",
    "poisson",
    "rasterize",
    "reduce",
    "texture",
    "transform",
]
