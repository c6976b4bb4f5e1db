"""Labelled synthetic training images, drawn straight into tensors, on CPU and CUDA."""

from fastsynth import annotate, augment, effects, geometry, ops, procedural, recipes, schedule, search
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.audit import audit
from fastsynth.canvas import Canvas
from fastsynth.compose import compose
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
    Clutter,
    ColorBackground,
    DirectionalLight,
    FrustumPosition,
    GradientBackground,
    ImageBackground,
    Limits,
    Materials,
    Objects,
    Occluders,
    OnPlane,
    Packed,
    PointLight,
    Sensor,
    SkyAmbient,
    SpotLight,
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
    "Clutter",
    "ColorBackground",
    "Constant",
    "DirectionalLight",
    "Distribution",
    "Frames",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
    "Limits",
    "LoadReport",
    "LogNormal",
    "LogUniform",
    "Material",
    "Materials",
    "Mesh",
    "Noise",
    "Normal",
    "Objects",
    "Occluders",
    "OnPlane",
    "Packed",
    "Pinhole",
    "PointLight",
    "Randomizer",
    "Scene",
    "SceneBatch",
    "Sensor",
    "SkyAmbient",
    "SpotLight",
    "Step",
    "SyntheticDataset",
    "SyntheticStream",
    "Textures",
    "Triangular",
    "TruncatedNormal",
    "Uniform",
    "UniformHemisphere",
    "UniformRotation",
    "UniformSphere",
    "annotate",
    "audit",
    "augment",
    "collate",
    "compose",
    "deg",
    "effects",
    "geometry",
    "load_assets",
    "load_textures",
    "ops",
    "pack",
    "procedural",
    "recipes",
    "render",
    "schedule",
    "search",
]
