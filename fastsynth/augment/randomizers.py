"""Random maps of pictures, as randomizers of a scene and for what is drawn already."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastsynth.augment.camera import warp_camera
from fastsynth.augment.maps import affine, crop
from fastsynth.random import Distribution, Noise, Uniform, as_distribution
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class RandomWarp(Randomizer):
    """A random map of the picture: subclass it and write `sample`.

    In a scene it moves the camera, so give it as one of the last randomizers: ``fs.Scene(..., crop=RandomCrop())``. For
    drawn pictures, give what `sample` returns to :func:`warp_frames`.
    """

    def sample(self, noise: Noise) -> Tensor:
        """One map an image.

        Args:
            noise: Source of randomness; its ``aspect`` is that of the pictures.

        Returns:
            ``new_from_old``, float32 [B, 3, 3].
        """
        raise NotImplementedError(f"{type(self).__name__} must define sample(self, noise) -> Tensor [B, 3, 3].")

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Move the cameras."""
        return warp_camera(batch, self.sample(noise), noise.aspect)


class RandomAffine(RandomWarp):
    """Random flips, then a scale and a turn about the picture's centre, then a shift.

    Args:
        angle: The picture turns clockwise [rad].
        scale: Above 1 makes things larger; above 0.
        shift: To the right and down, in picture heights.
        horizontal_flip: How often left and right are swapped, in [0, 1].
        vertical_flip: How often top and bottom are swapped, in [0, 1].

    Raises:
        ValueError: a probability out of range, or a value of the wrong shape.

    Example:
        >>> import fastsynth as fs
        >>> turn = RandomAffine(angle=fs.Uniform(-0.2, 0.2), horizontal_flip=0.5)
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), turn=turn)
        >>> mirrored = torch.linalg.det(scene.sample(100).camera_from_world) < 0
        >>> 40 < int(mirrored.sum()) < 60
        True
    """

    def __init__(
        self,
        angle: Any = 0.0,
        scale: Any = 1.0,
        shift: Any = (0.0, 0.0),
        horizontal_flip: float = 0.0,
        vertical_flip: float = 0.0,
    ) -> None:
        super().__init__()
        self.angle: Distribution = as_distribution(angle, "RandomAffine: `angle`", [()])
        self.scale: Distribution = as_distribution(scale, "RandomAffine: `scale`", [()])
        self.shift: Distribution = as_distribution(shift, "RandomAffine: `shift`", [(2,)])
        for name, value in (("horizontal_flip", horizontal_flip), ("vertical_flip", vertical_flip)):
            if not 0 <= value <= 1:
                raise ValueError(f"RandomAffine: `{name}` must be a probability in [0, 1], but is {value}.")
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip

    def sample(self, noise: Noise) -> Tensor:
        """One map an image, float32 [B, 3, 3]."""
        own = noise.of(self)
        return affine(
            *(part.sample(noise) for part in (self.angle, self.scale, self.shift)),
            horizontal_flip=own.uniform((), "horizontal_flip") < self.horizontal_flip,
            vertical_flip=own.uniform((), "vertical_flip") < self.vertical_flip,
        )


class RandomCrop(RandomWarp):
    """A part of the picture, of the same aspect, fills it.

    Args:
        scale: Sides of the part, as parts of the picture's, above 0; a half to the whole by default.
        place: Where the part lies in what is left, (0, 0) at the top left, (1, 1) at the bottom right; anywhere by
            default.

    Raises:
        ValueError: a value of the wrong shape.

    Example:
        >>> import fastsynth as fs
        >>> RandomCrop(scale=0.5, place=(1.0, 0.5)).sample(fs.Noise(0, torch.arange(1)))[0].tolist()
        [[2.0, 0.0, -0.5], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
    """

    def __init__(self, scale: Any = None, place: Any = None) -> None:
        super().__init__()
        scale = Uniform(0.5, 1.0) if scale is None else scale
        place = Uniform((0.0, 0.0), (1.0, 1.0)) if place is None else place
        self.scale: Distribution = as_distribution(scale, "RandomCrop: `scale`", [()])
        self.place: Distribution = as_distribution(place, "RandomCrop: `place`", [(2,)])

    def sample(self, noise: Noise) -> Tensor:
        """One map an image, float32 [B, 3, 3]."""
        part, place = self.scale.sample(noise)[:, None], self.place.sample(noise)
        start = (1 - part) * place
        x, y = torch.stack([start, start + part], -1).unbind(1)
        box = torch.stack([x * noise.aspect, y], -1).flatten(1)  # [pixels] of a picture one pixel high
        return crop(box, (1.0, noise.aspect))
