"""Labelled synthetic training images, drawn straight into tensors, on CPU and CUDA."""

from fastsynth import annotate, augment, deform, effects, geometry, lens, ops, procedural, recipes, search
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.audit import audit
from fastsynth.canvas import Canvas
from fastsynth.compose import compose
from fastsynth.cutouts import cutout, load_cutouts
from fastsynth.dataset import SyntheticDataset, SyntheticStream, collate
from fastsynth.geometry import Pinhole, deg
from fastsynth.load import load_assets, load_textures
from fastsynth.pack import pack
from fastsynth.random import (
    Choice,
    Constant,
    Distribution,
    LogNormal,
    LogUniform,
    Noise,
    Normal,
    Triangular,
    TruncatedNormal,
    Uniform,
    UniformHemisphere,
    UniformRotation,
    UniformSphere,
)
from fastsynth.randomizers import (
    Ambient,
    Camera,
    CameraPose,
    ColorBackground,
    Deform,
    Deformer,
    Dent,
    DirectionalLight,
    FrustumPosition,
    GradientBackground,
    ImageBackground,
    Lattice,
    Lens,
    Materials,
    Objects,
    OnPlane,
    PointLight,
    Sensor,
    ShapeBasis,
    SkyAmbient,
    SpotLight,
    Twist,
)
from fastsynth.render import render
from fastsynth.report import AssetError, LoadReport
from fastsynth.scene import Randomizer, Scene
from fastsynth.textures import Textures
from fastsynth.types import Frames, SceneBatch, Step

__version__ = "0.1.0"

__all__ = [
    "Ambient",
    "AssetError",
    "Assets",
    "Camera",
    "CameraPose",
    "Canvas",
    "Choice",
    "ColorBackground",
    "Constant",
    "Deform",
    "Deformer",
    "Dent",
    "DirectionalLight",
    "Distribution",
    "Frames",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
    "Lens",
    "Lattice",
    "LoadReport",
    "LogNormal",
    "LogUniform",
    "Material",
    "Materials",
    "Mesh",
    "Noise",
    "Normal",
    "Objects",
    "OnPlane",
    "Pinhole",
    "PointLight",
    "Randomizer",
    "Scene",
    "SceneBatch",
    "Sensor",
    "ShapeBasis",
    "SkyAmbient",
    "SpotLight",
    "Step",
    "SyntheticDataset",
    "SyntheticStream",
    "Textures",
    "Triangular",
    "TruncatedNormal",
    "Twist",
    "Uniform",
    "UniformHemisphere",
    "UniformRotation",
    "UniformSphere",
    "annotate",
    "audit",
    "augment",
    "collate",
    "compose",
    "cutout",
    "deform",
    "deg",
    "effects",
    "geometry",
    "lens",
    "load_assets",
    "load_cutouts",
    "load_textures",
    "ops",
    "pack",
    "procedural",
    "recipes",
    "render",
    "search",
]
