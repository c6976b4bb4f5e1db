"""What can happen to a picture after it was drawn: blends, blurs, noise, light and weather, on one scene.

The scene is the same in every picture, and so are its labels.
"""

from __future__ import annotations

import torch
from PIL import Image

import fastsynth as fs
from fastsynth import effects

EFFECTS = (
    *(effects.Blend(kind, length=9.0, angle=0.6) for kind in effects.BLENDS),
    effects.BoundaryBlur(2.0, 6),
    effects.MotionBlur(4.0, 0.5, 0.6, radius=12),
    effects.MotionBlur(3.0, 0.5, 0.6, "frame"),
    effects.GaussianNoise(0.1, "object"),
    effects.SaltAndPepper(0.05),
    effects.Photometric(hue=0.3),
    effects.Photometric(gamma=2.0, contrast=1.5),
    effects.Grey(),
    effects.Fog(2.0, 0.6, 1.0),
    effects.Rain(0.01, 9.0, 1.3),
)
products, pictures = fs.procedural.products(2), []
for effect in EFFECTS:
    scene = fs.Scene(
        fs.Objects(
            products,
            count=3,
            position=fs.FrustumPosition(fs.Uniform(0.5, 0.8)),
            rotation=fs.UniformRotation(),
        ),
        light=[fs.Ambient(0.3), fs.DirectionalLight(intensity=0.7)],
        background=fs.GradientBackground(),
        effect=effect,
    )
    pictures.append(fs.render(scene.sample([3]), (160, 160), ("rgb",), rgb_dtype=torch.uint8).rgb[0])
rows = [torch.cat(pictures[first : first + 5], 2) for first in range(0, 15, 5)]
Image.fromarray(torch.cat(rows, 1).movedim(0, -1).numpy()).save("effects.png")
print("effects.png")
