"""The layer below scenes: one triangle in clip space, its colours interpolated at the pixels."""

from __future__ import annotations

import torch
from PIL import Image

import fastsynth as fs

clip = torch.tensor([[[-0.8, 0.7, 0.0, 1.0], [0.8, 0.7, 0.0, 1.0], [0.0, -0.8, 0.0, 1.0]]])  # [1, V, 4], y down
faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
colors = torch.eye(3)[None]  # red, green, blue: [1, V, 3]

fragments = fs.ops.rasterize(clip, faces, size=(160, 160))
color = fs.ops.interpolate(colors, faces, fragments)  # [1, H, W, 3], 0 on the background
color = torch.where((fragments.triangle_id >= 0)[..., None], color, 0.15)
pixels = (color[0] * 255).byte()
Image.fromarray(pixels.numpy()).save("triangle.png")
print(f"{int((fragments.triangle_id >= 0).sum())} pixels are covered")
