"""Domain randomization: shapes in random textures before random patterns, under random light, seen by a noisy sensor.

Every shape has a pattern of two colours of its own; backgrounds come from a pool. The recipe of Tobin et al., "Domain
Randomization for Transferring Deep Neural Networks from Simulation to the Real World", IROS 2017: what is random in
every image is what a network learns to disregard.
"""

from __future__ import annotations

import torch
from PIL import Image

import fastsynth as fs

KINDS = ("flat", "gradient", "checker", "stripes", "noise")
patterns = fs.procedural.textures(40, size=64)
scene = fs.Scene(
    objects=fs.Objects(
        fs.procedural.primitives(),
        count=fs.Choice(range(3, 10)),
        position=fs.FrustumPosition(depth=fs.Uniform(3.0, 7.0), margin=0.05),
        rotation=fs.UniformRotation(),
        scale=fs.Uniform((0.5, 0.5, 0.5), (1.2, 1.2, 1.2)),
    ),
    light=[
        fs.Ambient(fs.Uniform(0.1, 0.5)),
        fs.DirectionalLight(direction=fs.UniformSphere(), intensity=fs.LogUniform(0.3, 2.0)),
        fs.PointLight(
            position=fs.Uniform((-3, -3, 0), (3, 3, 4)),
            intensity=fs.Uniform(1.0, 6.0),
            color=fs.Uniform((0.2, 0.2, 0.2), (1.0, 1.0, 1.0)),
            probability=0.5,
        ),
    ],
    background=fs.ImageBackground(patterns),
    materials=fs.Materials(
        textures=fs.ProceduralTextures(KINDS), roughness=fs.Uniform(0.2, 0.9), metallic=fs.Uniform(0.0, 0.6)
    ),
    sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.4), blur=fs.Uniform(0.0, 0.004), noise=fs.Uniform(0.0, 0.03)),
    shading="ggx",
)
batch = scene.sample(8, seed=1, aspect=4 / 3)
frames = fs.render(batch, size=(150, 200), outputs=("rgb",), rgb_dtype=torch.uint8)
rows = [torch.cat(list(frames.rgb[first : first + 4]), dim=2) for first in (0, 4)]
Image.fromarray(torch.cat(rows, dim=1).permute(1, 2, 0).numpy()).save("random_textures.jpg", quality=82)
