"""Packages that are never twice the same: above as they are packed, below deformed, with their tight boxes.

A lattice of 4 x 4 x 4 control points bends each one, it is twisted, and dented twice.
"""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw

import fastsynth as fs

SIZE = HEIGHT, WIDTH = 200, 224
OUTPUTS = ("rgb", "instance_id", "boxes_2d_tight", "visible_pixels")

# Flat sides bend only where they have vertices.
meshes = [fs.procedural.tessellated(mesh, 0.03) for mesh in fs.procedural.product_meshes(variants=4)]
parts = fs.pack(meshes)


def shelf(**more: fs.Randomizer) -> fs.Scene:
    """Six packages on a shelf, and what else there is."""
    return fs.Scene(
        fs.Objects(
            parts, count=6, position=fs.OnPlane(fs.Uniform((-0.22, -0.18), (0.22, 0.18)), rotation=0.0), separate=True
        ),
        fs.Camera(0.95, fs.deg(-90.0), fs.deg(32.0), fov=fs.deg(36.0), target=(0.0, 0.0, 0.07)),
        [fs.SkyAmbient(), fs.DirectionalLight((-0.5, -0.6, 1.0), 0.7)],
        fs.GradientBackground((0.35, 0.40, 0.5), (0.12, 0.12, 0.11)),
        shading="ggx",
        **more,
    )


soft = fs.Deform([fs.Lattice(fs.Normal(0.0, 0.07), stands=True), fs.Twist(fs.Normal(0.0, 0.3)), fs.Dent(), fs.Dent()])
sheet = Image.new("RGB", (4 * (WIDTH + 4) - 4, 2 * (HEIGHT + 4) - 4), "white")
for row, scene in enumerate((shelf(), shelf(soft=soft))):
    frames = fs.render(scene.sample(4, seed=2, aspect=WIDTH / HEIGHT), SIZE, OUTPUTS, samples=4)
    for column, target in enumerate(frames.targets()):
        picture = Image.fromarray((frames.rgb[column] * 255).round().byte().permute(1, 2, 0).numpy())
        draw = ImageDraw.Draw(picture)
        for x0, y0, x1, y1 in target["boxes"].tolist():
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(255, 220, 60))
        sheet.paste(picture, (column * (WIDTH + 4), row * (HEIGHT + 4)))
sheet.save("soft_packages.png", optimize=True)
assert torch.isfinite(frames.rgb).all()
