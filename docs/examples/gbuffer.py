"""The G-buffer of one image: what its surfaces are made of, and the light that comes to them.

A diffuse surface's radiance is irradiance * base colour; a glossy one's is that times (1 - metallic), and the specular
part. The products of the front layer are in front of all others, whatever their depths.
"""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw

import fastsynth as fs
from fastsynth.sheet import color_of

SIZE = (144, 192)
parts = fs.procedural.products(variants=3)
plane = fs.OnPlane(fs.Uniform((-0.2, -0.2), (0.2, 0.2)))
scene = fs.Scene(
    [
        fs.Objects(parts, count=7, position=plane, rotation=fs.Uniform(0.0, 6.28)),
        fs.Objects(parts, count=1, position=(-0.13, 0.13, 0.0), rotation=fs.UniformRotation(), layer=1),
    ],
    fs.Camera(distance=0.5, azimuth=0.4, elevation=fs.deg(25), target=(0.0, 0.0, 0.08)),
    [fs.SkyAmbient(), fs.DirectionalLight(direction=(1.0, -0.5, 1.5), intensity=0.8)],
    fs.GradientBackground(0.5, 0.2),
    fs.Materials(metallic=fs.Choice([0.0, 0.0, 1.0]), roughness=fs.Uniform(0.15, 0.7)),
    shading="ggx",
)
frames = fs.render(scene.sample(1, seed=3), SIZE, ("rgb", *fs.types.GBUFFER))
channels, names = fs.stack_gbuffer(frames)
print(f"{len(names)} channels: {', '.join(names)}")
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
    "base_color": frames.base_color[0].sqrt(),
    "irradiance": (frames.irradiance[0] / 2).sqrt(),
    "specular": frames.specular[0].sqrt(),
    "metallic": frames.metallic_roughness[0, :1].expand(3, -1, -1),
    "roughness": frames.metallic_roughness[0, 1:].expand(3, -1, -1),
    "normals": (frames.normals[0] / 2 + 0.5).where(seen, 0),
    "depth": scaled(-frames.depth),
    "object_coordinates": scaled(frames.object_coordinates[0]),
    "uv": scaled(frames.uv[0]),
    "instance_id": ids(frames.instance_id[0]),
    "material_id": ids(frames.material_id[0]),
}
height, width = SIZE
sheet = Image.new("RGB", (4 * (width + 4), 3 * (height + 18)), "white")
for place, (name, panel) in enumerate(panels.items()):
    picture = Image.fromarray((panel.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())
    left, top = place % 4 * (width + 4), place // 4 * (height + 18)
    sheet.paste(picture, (left, top + 16))
    ImageDraw.Draw(sheet).text((left + 2, top + 2), name, fill="black")
sheet.save("gbuffer.jpg", quality=85)
