"""The randomizers that a scene is made of."""

from __future__ import annotations

from fastsynth.randomizers.aim import AimedCamera, CameraJitter
from fastsynth.randomizers.background import ColorBackground, GradientBackground, ImageBackground
from fastsynth.randomizers.camera import Camera, CameraPose
from fastsynth.randomizers.clutter import Clutter
from fastsynth.randomizers.deform import Deform
from fastsynth.randomizers.deformers import Deformer, Dent, Lattice, ShapeBasis, Twist
from fastsynth.randomizers.lens import Lens
from fastsynth.randomizers.lights import Ambient, DirectionalLight, PointLight, SkyAmbient, SpotLight
from fastsynth.randomizers.limits import Limits
from fastsynth.randomizers.materials import Materials
from fastsynth.randomizers.objects import Objects
from fastsynth.randomizers.occluders import Occluders
from fastsynth.randomizers.only import Only
from fastsynth.randomizers.packing import Packed
from fastsynth.randomizers.patterns import ProceduralTextures
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
    "Clutter",
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
    "Limits",
    "Materials",
    "Objects",
    "Occluders",
    "OnPlane",
    "Packed",
    "Only",
    "Placement",
    "PointLight",
    "PointLights",
    "ProceduralTextures",
    "Sensor",
    "ShapeBasis",
    "Setting",
    "SkyAmbient",
    "SpotLight",
    "Twist",
]
