"""Packaged products that stand on a table and do not touch, under a window and a sky: four images in a row."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL import Image

import fastsynth as fs

products = fs.procedural.products(variants=4)
wood = fs.Material(base_color=(0.32, 0.2, 0.12, 1.0), roughness=0.7)
table = replace(fs.procedural.plane(size=3.0, name="table"), materials=(wood,))
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
        distance=fs.Uniform(0.5, 0.7), elevation=fs.Uniform(fs.deg(15), fs.deg(40)), target=(0.0, 0.0, 0.07)
    ),
    light=[
        fs.SkyAmbient(),
        fs.DirectionalLight(direction=fs.UniformHemisphere(), intensity=fs.Uniform(0.4, 0.9), color=(1.0, 0.95, 0.85)),
    ],
    background=fs.GradientBackground(top=fs.Uniform((0.3, 0.3, 0.3), (0.7, 0.7, 0.8)), bottom=0.3),
    shading="ggx",
    tone="filmic",
)
frames = fs.render(scene.sample(4, seed=3), size=(180, 240), outputs=("rgb",), samples=4, rgb_dtype=torch.uint8)
row = torch.cat(list(frames.rgb), dim=2)  # [3, 180, 4 * 240]
Image.fromarray(row.permute(1, 2, 0).numpy()).save("products_on_a_table.jpg", quality=88)
