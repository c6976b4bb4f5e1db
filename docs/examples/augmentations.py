"""One picture flipped, cropped, turned and shrunk after drawing; tight boxes and keypoints are remapped, not guessed.

Top: the picture as it was drawn, and three maps of what was drawn. Bottom: the same maps of the camera, drawn again.
"""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw

import fastsynth as fs
from fastsynth import augment

SIZE = HEIGHT, WIDTH = 168, 224
OUTPUTS = ("rgb", "instance_id", "boxes_2d_tight", "visible_pixels", "depth")

scene = fs.Scene(
    objects=fs.Objects(
        fs.procedural.products(),
        count=5,
        position=fs.FrustumPosition(depth=fs.Uniform(0.55, 0.9), margin=0.12),
        rotation=fs.UniformRotation(),
        separate=True,
    ),
    light=[fs.SkyAmbient(), fs.DirectionalLight()],
    background=fs.GradientBackground((0.35, 0.45, 0.6), (0.1, 0.12, 0.1)),
    shading="ggx",
)
frames = fs.render(scene.sample([4], aspect=WIDTH / HEIGHT), SIZE, OUTPUTS, samples=4)

yes, still = torch.tensor([True]), torch.zeros(1)
maps = [
    augment.affine(still),
    augment.affine(still, horizontal_flip=yes),
    augment.crop(torch.tensor([[56.0, 30.0, 168.0, 114.0]]), SIZE),
    augment.affine(torch.tensor([fs.deg(25.0)]), scale=torch.tensor([0.7])),
]


def labelled(frames: fs.Frames) -> Image.Image:
    """The picture with its boxes, and the corners of the objects' own boxes as points."""
    picture = Image.fromarray((frames.rgb[0] * 255).round().byte().permute(1, 2, 0).numpy())
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in frames.targets()[0]["boxes"].tolist():
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(255, 220, 60))
    points = frames.batch.assets.mesh_bounds.view(-1, 2, 3)
    for x, y, seen in fs.annotate.keypoints_2d(frames, points)[0].flatten(0, 1).tolist():
        if seen:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(255, 60, 60) if seen == 2 else (120, 160, 255))
    return picture


sheet = Image.new("RGB", (4 * (WIDTH + 4) - 4, 2 * (HEIGHT + 4) - 4), "white")
for column, new_from_old in enumerate(maps):
    after = augment.warp_frames(frames, new_from_old)
    before = fs.render(augment.warp_camera(frames.batch, new_from_old, WIDTH / HEIGHT), SIZE, OUTPUTS, samples=4)
    for row, made in enumerate((after, before)):
        sheet.paste(labelled(made), (column * (WIDTH + 4), row * (HEIGHT + 4)))
sheet.save("augmentations.png", optimize=True)
