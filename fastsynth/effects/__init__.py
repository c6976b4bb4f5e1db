"""What happens to pictures after they were drawn."""

from fastsynth.effects.blending import cloned, feathered, moved, outline_blurred, spread
from fastsynth.effects.blends import BLENDS, Blend, BoundaryBlur, MotionBlur
from fastsynth.effects.effect import Effect
from fastsynth.effects.grain import GaussianNoise, SaltAndPepper, gaussian_noise, salt_and_pepper
from fastsynth.effects.kernels import box_kernel, delta_kernel, gaussian_kernel, line_kernel
from fastsynth.effects.photometry import Grey, Photometric, adjusted, grey_of, hue_shifted
from fastsynth.effects.refractive_eye import Eye, RefractiveEye
from fastsynth.effects.weather import Fog, Rain, fogged, rained

__all__ = [
    "BLENDS",
    "Blend",
    "BoundaryBlur",
    "Effect",
    "Eye",
    "Fog",
    "GaussianNoise",
    "Grey",
    "MotionBlur",
    "Photometric",
    "Rain",
    "RefractiveEye",
    "SaltAndPepper",
    "adjusted",
    "box_kernel",
    "cloned",
    "delta_kernel",
    "feathered",
    "fogged",
    "gaussian_kernel",
    "gaussian_noise",
    "grey_of",
    "hue_shifted",
    "line_kernel",
    "moved",
    "outline_blurred",
    "rained",
    "salt_and_pepper",
    "spread",
]
