"""The randomizers that a scene is made of."""

from __future__ import annotations

from fastsynth.randomizers.background import ColorBackground, GradientBackground, ImageBackground
from fastsynth.randomizers.camera import Camera, CameraPose
from fastsynth.randomizers.deform import Deform
from fastsynth.randomizers.deformers import Deformer, Dent, Lattice, ShapeBasis, Twist
from fastsynth.randomizers.lens import Lens
from fastsynth.randomizers.lights import Ambient, DirectionalLight, PointLight, SkyAmbient, SpotLight
from fastsynth.randomizers.materials import Materials
from fastsynth.randomizers.objects import Objects
from fastsynth.randomizers.placement import FrustumPosition, OnPlane, Placement
from fastsynth.randomizers.sensor import Sensor

__all__ = [
    "Ambient",
    "Camera",
    "CameraPose",
    "ColorBackground",
    "Deform",
    "Deformer",
    "Dent",
    "DirectionalLight",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
    "Lens",
    "Lattice",
    "Materials",
    "Objects",
    "OnPlane",
    "Placement",
    "PointLight",
    "Sensor",
    "ShapeBasis",
    "SkyAmbient",
    "SpotLight",
    "Twist",
]
