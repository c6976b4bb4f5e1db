"""Lenses of cameras, with coefficients that may be random."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth import lens as optics
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.scene import Parts
from fastsynth.types import MAX_LENS_ANGLE


class Lens(Parts):
    """What a camera looks through: given to ``Camera(lens=...)`` or ``CameraPose(..., lens=...)``.

    Args:
        model: "radial_tangential" (OpenCV's k1 k2 p1 p2 k3 k4 k5 k6), "fisheye" (Kannala and Brandt, OpenCV's fisheye
            k1 k2 k3 k4) or "equidistant"; the formulas stand in :mod:`fastsynth.lens`.
        distortion: The first 4, 5 or 8 coefficients, or a distribution of such; all 0 by default.
        angle: Half the angle of the image circle [rad], beyond which the picture is dark, at most 125 degrees; by
            default 90 degrees, and 55 of the radial and tangential model.
        detail: Pixels of the views that are drawn, along a side of a pixel of the picture, where the image circle fits
            the picture. At 3, labels are those of a place within 0.25 pixels of the pixel's centre. Give more where the
            circle reaches far beyond the picture, 1 or 2 to be faster.

    Raises:
        ValueError: an unknown model, a value out of range, or coefficients of the wrong shape.

    Example:
        >>> import fastsynth as fs
        >>> lens = fs.Lens("fisheye", fs.Normal((0.02, -0.01, 0.0, 0.0), (0.01, 0.0, 0.0, 0.0)), angle=fs.deg(92))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(fov=fs.deg(184), lens=lens))
        >>> batch = scene.sample(4)
        >>> batch.lens, batch.distortion.shape
        ('fisheye', torch.Size([4, 8]))
    """

    def __init__(self, model: str, distortion: Any = None, angle: float | None = None, detail: float = 3.0) -> None:
        super().__init__()
        if model not in optics.MODELS:
            raise ValueError(f"Lens: `model` must be one of {optics.MODELS}, but is {model!r}.")
        angle = optics.ANGLES[model] if angle is None else angle
        widest = math.radians(80) if model == "radial_tangential" else MAX_LENS_ANGLE
        if not 0 < angle <= widest:
            raise ValueError(
                f"Lens: `angle`, half the angle of the image circle, must be above 0 and at most {widest:.3f} [rad] "
                f"for {model!r}, but is {angle}."
            )
        if model == "equidistant" and distortion is not None:
            raise ValueError('Lens: "equidistant" has no coefficients. Use "fisheye", or leave out `distortion`.')
        self.model, self.angle, self.detail = model, float(angle), float(detail)
        self.distortion: Distribution = as_distribution(
            (0.0,) * 8 if distortion is None else distortion, "Lens: `distortion`", [(4,), (5,), (8,)]
        )

    def fields(self, noise: Noise) -> dict[str, Any]:
        """The lens as arguments of ``SceneBatch``."""
        drawn = self.distortion.sample(noise)
        return {
            "lens": self.model,
            "distortion": F.pad(drawn, (0, 8 - drawn.shape[-1])),
            "lens_angle": self.angle,
            "lens_detail": self.detail,
        }

    def radius(self, angle: Tensor, distortion: Tensor) -> Tensor:
        """Where directions at an angle from the axis land, in focal lengths from it: [B] [rad] -> [B].

        Beyond the image circle it is that of its edge.
        """
        lens = optics.Lenses(self.model, distortion, self.angle)
        size = angle.clamp(max=math.radians(80)).tan() if lens.radial else angle
        return lens.radius(torch.minimum(size, lens.limit()))
