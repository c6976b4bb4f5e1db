"""Every output of `render` for one image, each made into a picture."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw

import fastsynth as fs
from fastsynth.sheet import color_of
from fastsynth.types import OUTPUTS

SIZE = (144, 192)
scene = fs.Scene(
    fs.Objects(
        fs.procedural.products(variants=3), count=7, position=fs.OnPlane(fs.Uniform((-0.15, -0.15), (0.15, 0.15)))
    ),
    fs.Camera(distance=0.48, azimuth=0.4, elevation=fs.deg(25), target=(0.0, 0.0, 0.08)),
    fs.DirectionalLight(direction=(1.0, -0.5, 1.5)),
    fs.GradientBackground(0.6, 0.2),
)
frames = fs.render(scene.sample(1, seed=7), SIZE, OUTPUTS, samples=4)
seen = frames.instance_id[0] >= 0


def ids(numbers: torch.Tensor) -> torch.Tensor:
    """A colour for each number, black for -1: int32 [H, W] -> [3, H, W]."""
    colors = {number: color_of(number) if number >= 0 else (0, 0, 0) for number in numbers.unique().tolist()}
    painted = torch.tensor([colors[number] for number in numbers.flatten().tolist()]) / 255
    return painted.T.reshape(3, *SIZE)


def scaled(values: torch.Tensor) -> torch.Tensor:
    """Where something is seen, from the least to the most: float [C, H, W] -> [3, H, W]."""
    low, high = values[:, seen].min(), values[:, seen].max()
    shown = ((values - low) / (high - low)).where(seen, 0)
    return torch.cat([shown, shown.new_zeros(3 - len(shown), *SIZE)]) if len(shown) == 2 else shown.expand(3, -1, -1)


panels = {
    "rgb": frames.rgb[0],
    "instance_id": ids(frames.instance_id[0]),
    "semantic_id": ids(frames.semantic_id[0]),
    "triangle_id": ids(frames.triangle_id[0]),
    "depth": scaled(-frames.depth),
    "distance": scaled(-frames.distance),
    "normals": (frames.normals[0] / 2 + 0.5).where(seen, 0),
    "object_coordinates": scaled(frames.object_coordinates[0]),
    "uv": scaled(frames.uv[0]),
    "amodal_masks": ids(frames.amodal_masks[0].sum(0) - 1),
    "boxes_2d_tight": frames.rgb[0] * 0.5,
    "boxes_2d_loose": frames.rgb[0] * 0.5,
}
height, width = SIZE
sheet = Image.new("RGB", (4 * (width + 4), 3 * (height + 18)), "white")
draw = ImageDraw.Draw(sheet)
for place, (name, panel) in enumerate(panels.items()):
    picture = Image.fromarray((panel.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())
    if name.startswith("boxes"):
        boxes = getattr(frames, name)[0].tolist()
        for slot, (box, pixels) in enumerate(zip(boxes, frames.visible_pixels[0].tolist(), strict=True)):
            if pixels:
                ImageDraw.Draw(picture).rectangle(box, outline=color_of(slot))
    left, top = place % 4 * (width + 4), place // 4 * (height + 18)
    sheet.paste(picture, (left, top + 16))
    draw.text((left + 2, top + 2), name, fill="black")
sheet.save("labels_overview.jpg", quality=85)

for slot, (pixels, total) in enumerate(zip(frames.visible_pixels[0].tolist(), frames.total_pixels[0].tolist())):
    print(f"instance {slot}: {pixels} of {total} pixels are visible")
