"""The randomizers that a scene is made of."""

from __future__ import annotations

from fastsynth.randomizers.aim import AimedCamera, CameraJitter
from fastsynth.randomizers.background import ColorBackground, GradientBackground, ImageBackground
from fastsynth.randomizers.camera import Camera, CameraPose
from fastsynth.randomizers.lights import Ambient, DirectionalLight, PointLight, SkyAmbient, SpotLight
from fastsynth.randomizers.materials import Materials
from fastsynth.randomizers.objects import Objects
from fastsynth.randomizers.only import Only
from fastsynth.randomizers.placement import FrustumPosition, OnPlane, Placement
from fastsynth.randomizers.point_lights import PointLights
from fastsynth.randomizers.sensor import Sensor
from fastsynth.randomizers.setting import Setting

__all__ = [
    "AimedCamera",
    "Ambient",
    "Camera",
    "CameraJitter",
    "CameraPose",
    "ColorBackground",
    "DirectionalLight",
    "FrustumPosition",
    "GradientBackground",
    "ImageBackground",
    "Materials",
    "Objects",
    "OnPlane",
    "Only",
    "Placement",
    "PointLight",
    "PointLights",
    "Sensor",
    "Setting",
    "SkyAmbient",
    "SpotLight",
]
