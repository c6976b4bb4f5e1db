"""The randomizers that a scene is made of."""

from __future__ import annotations

from fastsynth.randomizers.background import ColorBackground, GradientBackground, ImageBackground
from fastsynth.randomizers.camera import Camera, CameraPose
from fastsynth.randomizers.lights import Ambient, DirectionalLight, PointLight, SkyAmbient, SpotLight
from fastsynth.randomizers.materials import Materials
from fastsynth.randomizers.objects import Objects
from fastsynth.randomizers.patterns import ProceduralTextures
from fastsynth.randomizers.placement import FrustumPosition, OnPlane, Placement
from fastsynth.randomizers.sensor import Sensor

__all__ = [
    "Ambient",
    "Camera",
    "CameraPose",
    "ColorBackground",
    "DirectionalLight",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
    "Materials",
    "Objects",
    "OnPlane",
    "Placement",
    "PointLight",
    "ProceduralTextures",
    "Sensor",
    "SkyAmbient",
    "SpotLight",
]
