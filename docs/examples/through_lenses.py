"""One scene through a pinhole, a wide-angle lens and two fisheyes; boxes and keypoints are those of each picture."""

from __future__ import annotations

from PIL import Image, ImageDraw

import fastsynth as fs

SIZE = HEIGHT, WIDTH = 240, 240
OUTPUTS = ("rgb", "instance_id", "boxes_2d_tight", "visible_pixels", "distance", "depth")

LENSES = {
    "pinhole, 75 degrees": (75, None),
    "radial and tangential, 90 degrees": (90, fs.Lens("radial_tangential", (-0.2, 0.04, 0.002, -0.001), fs.deg(55))),
    "fisheye, 150 degrees": (150, fs.Lens("fisheye", (-0.02, 0.003, 0.0, 0.0), fs.deg(100))),
    "equidistant, 200 degrees": (200, fs.Lens("equidistant", angle=fs.deg(100))),
}


def drawn(fov: float, lens: fs.Lens | None) -> Image.Image:
    """The same products, their boxes, and the corners of the objects' own boxes as points."""
    plane = fs.OnPlane(fs.Uniform((-0.45, -0.45), (0.45, 0.45)))
    scene = fs.Scene(
        objects=fs.Objects(fs.procedural.products(), count=12, position=plane, separate=True),
        camera=fs.Camera(distance=0.45, elevation=fs.deg(55), azimuth=0.4, fov=fs.deg(fov), lens=lens),
        light=[fs.SkyAmbient(), fs.DirectionalLight()],
        background=fs.GradientBackground((0.35, 0.45, 0.6), (0.12, 0.13, 0.12)),
        shading="ggx",
    )
    frames = fs.render(scene.sample([3], seed=2), SIZE, OUTPUTS, samples=4)
    picture = Image.fromarray((frames.rgb[0] * 255).round().byte().permute(1, 2, 0).numpy())
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in frames.targets(min_pixels=20)[0]["boxes"].tolist():
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(255, 220, 60))
    points = frames.batch.assets.mesh_bounds.view(-1, 2, 3)
    for x, y, seen in fs.annotate.keypoints_2d(frames, points)[0].flatten(0, 1).tolist():
        if seen:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(255, 60, 60) if seen == 2 else (120, 160, 255))
    return picture


sheet = Image.new("RGB", (len(LENSES) * (WIDTH + 4) - 4, HEIGHT), "white")
for column, (fov, lens) in enumerate(LENSES.values()):
    sheet.paste(drawn(fov, lens), (column * (WIDTH + 4), 0))
sheet.save("through_lenses.png", optimize=True)
