"""Products on a table with soft shadows, under skies and in rooms that are seen and mirrored: four images in a row."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL import Image

import fastsynth as fs

products = fs.procedural.products(variants=4)
wood = fs.Material(base_color=(0.4, 0.27, 0.17, 1.0), roughness=0.35)
table = replace(fs.procedural.plane(size=1.2, name="table"), materials=(wood,))
assets = fs.Assets.concatenate([products, fs.pack([table])])
table_row = len(products)

scene = fs.Scene(
    objects=[
        fs.Objects(assets, choice=[table_row], position=(0.0, 0.0, 0.0)),
        fs.Objects(
            assets,
            count=fs.Choice(range(6, 13)),
            choice=range(table_row),
            position=fs.OnPlane(spot=fs.Uniform((-0.25, -0.25), (0.25, 0.25))),
            separate=True,
        ),
    ],
    camera=fs.Camera(
        distance=fs.Uniform(0.6, 0.8), elevation=fs.Uniform(fs.deg(12), fs.deg(30)), target=(0.0, 0.0, 0.07)
    ),
    light=[
        fs.EnvironmentLight(fs.procedural.environments(6, seed=1, height=128), exposure=fs.Uniform(-0.5, 0.3)),
        fs.DirectionalLight(
            direction=fs.Uniform((-1, -1, 0.6), (1, 1, 1.4)), intensity=1.2, shadow=fs.Uniform(0.01, 0.12)
        ),
    ],
    shading="ggx",
    tone="filmic",
)
frames = fs.render(scene.sample(4, seed=3), size=(180, 240), outputs=("rgb",), samples=16, rgb_dtype=torch.uint8)
row = torch.cat(list(frames.rgb), dim=2)  # [3, 180, 4 * 240]
Image.fromarray(row.permute(1, 2, 0).numpy()).save("under_a_sky.jpg", quality=88)
