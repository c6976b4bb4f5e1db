"""The randomizers that a scene is made of."""

from __future__ import annotations

from fastsynth.randomizers.background import ColorBackground, GradientBackground, ImageBackground
from fastsynth.randomizers.camera import Camera, CameraPose
from fastsynth.randomizers.clutter import Clutter
from fastsynth.randomizers.lights import Ambient, DirectionalLight, PointLight, SkyAmbient, SpotLight
from fastsynth.randomizers.limits import Limits
from fastsynth.randomizers.materials import Materials
from fastsynth.randomizers.objects import Objects
from fastsynth.randomizers.occluders import Occluders
from fastsynth.randomizers.packing import Packed
from fastsynth.randomizers.placement import FrustumPosition, OnPlane, Placement
from fastsynth.randomizers.sensor import Sensor

__all__ = [
    "Ambient",
    "Camera",
    "CameraPose",
    "Clutter",
    "ColorBackground",
    "DirectionalLight",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
    "Limits",
    "Materials",
    "Objects",
    "Occluders",
    "OnPlane",
    "Packed",
    "Placement",
    "PointLight",
    "Sensor",
    "SkyAmbient",
    "SpotLight",
]
