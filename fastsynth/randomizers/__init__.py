"""The randomizers that a scene is made of."""

from __future__ import annotations

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
from fastsynth.randomizers.packing import Packed
from fastsynth.randomizers.placement import FrustumPosition, OnPlane, Placement
from fastsynth.randomizers.sensor import Sensor

__all__ = [
    "Ambient",
    "Camera",
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
    "OnPlane",
    "Packed",
    "Placement",
    "PointLight",
    "Sensor",
    "ShapeBasis",
    "SkyAmbient",
    "SpotLight",
    "Twist",
]
