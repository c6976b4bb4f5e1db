"""transform, rasterize, interpolate, texture: the pipeline that users of nvdiffrast write, with no context object."""

from __future__ import annotations

import torch
from PIL import Image

import fastsynth as fs
from fastsynth.geometry import compose, rotation_from_euler, translation

SIZE = (200, 200)
torus = fs.procedural.torus()
vertices = torch.from_numpy(torus.vertices).float()
faces = torch.from_numpy(torus.faces).int()
uvs = torch.from_numpy(torus.uvs).float()[None]  # [1, V, 2]: the same for every image

# Four images: the torus turned by degrees, before a camera at 1.6 m.
turns = torch.stack([torch.tensor([0.5 + 0.3 * i, 0.2 * i, 0.0]) for i in range(4)])
rotation = torch.eye(4).repeat(4, 1, 1)
rotation[:, :3, :3] = rotation_from_euler(turns)
near, focal = 0.1, 2.0  # clip: -w <= z <= w, y down like the image
clip_from_camera = torch.tensor([[focal, 0, 0, 0], [0, focal, 0, 0], [0, 0, 1, -2 * near], [0, 0, 1, 0]])
clip_from_object = compose(clip_from_camera, translation((0, 0, 1.6)), rotation)

checks = torch.ones(1, 64, 256, 3)
checks[:, :, :, 0] = 0.2
checks[:, (torch.arange(64)[:, None] // 16 + torch.arange(256) // 8) % 2 == 0] = torch.tensor([1.0, 0.75, 0.1])

clip = fs.ops.transform(vertices, clip_from_object)  # [4, V, 4]
fragments = fs.ops.rasterize(clip, faces, size=SIZE)
uv = fs.ops.interpolate(uvs, faces, fragments)
color = fs.ops.texture(checks, uv.contiguous())
color = torch.where((fragments.triangle_id >= 0)[..., None], color, 0.1)
row = torch.cat(list(color), dim=1)
Image.fromarray((row * 255).byte().numpy()).save("four_verbs.png")
