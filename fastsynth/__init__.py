"""Labelled synthetic training images, drawn straight into tensors, on CPU and CUDA."""

from fastsynth import annotate, augment, effects, geometry, ops, procedural, recipes, search
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
    AimedCamera,
    Ambient,
    Camera,
    CameraJitter,
    CameraPose,
    ColorBackground,
    DirectionalLight,
    FrustumPosition,
    GradientBackground,
    ImageBackground,
    Materials,
    Objects,
    Only,
    OnPlane,
    PointLight,
    PointLights,
    Sensor,
    Setting,
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
    "AimedCamera",
    "Ambient",
    "AssetError",
    "Assets",
    "Camera",
    "CameraJitter",
    "CameraPose",
    "Canvas",
    "Choice",
    "ColorBackground",
    "Constant",
    "DirectionalLight",
    "Distribution",
    "Frames",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
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
    "Only",
    "Pinhole",
    "PointLight",
    "PointLights",
    "Randomizer",
    "Scene",
    "SceneBatch",
    "Sensor",
    "Setting",
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
    "cutout",
    "deg",
    "effects",
    "geometry",
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
