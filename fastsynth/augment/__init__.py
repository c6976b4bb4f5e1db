"""Flips, crops, scalings and turns of pictures that carry every label along.

Every one is an affine map of the picture, ``new_from_old``. Before drawing it is a change of the camera, exact and
free: :func:`warp_camera`, and the randomizers :class:`RandomAffine` and :class:`RandomCrop` of a scene. What is drawn
already is resampled: :func:`warp_frames`.
"""

from fastsynth.augment.boxes import jitter_boxes
from fastsynth.augment.camera import warp_camera
from fastsynth.augment.frames import warp_frames
from fastsynth.augment.maps import affine, crop, invert
from fastsynth.augment.randomizers import RandomAffine, RandomCrop, RandomWarp

__all__ = [
    "RandomAffine",
    "RandomCrop",
    "RandomWarp",
    "affine",
    "crop",
    "invert",
    "jitter_boxes",
    "warp_camera",
    "warp_frames",
]
