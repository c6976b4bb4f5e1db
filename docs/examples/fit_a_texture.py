"""Gradients of texels: find the picture on a globe from four photographs of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from PIL import Image

import fastsynth as fs

SIZE, STEPS = (128, 128), 80
down, across = np.mgrid[0:32, 0:64] / [[[32]], [[64]]]
stripes = 0.5 + 0.5 * np.sin(2 * np.pi * (3 * across + 1.5 * np.sin(2 * np.pi * down)))
bands = 0.5 + 0.5 * np.cos(4 * np.pi * down)
picture = np.stack([0.9 - 0.7 * stripes, 0.2 + 0.6 * bands, 0.15 + 0.8 * stripes], -1)

globe = dataclasses.replace(
    fs.procedural.sphere(radius=0.5), materials=(fs.Material(base_texture=(255 * picture).astype(np.uint8)),)
)
eyes = [(0.0, -1.6, 0.5), (1.6, 0.0, -0.5), (0.0, 1.6, 0.5), (-1.6, 0.0, -0.5)]
batch = fs.SceneBatch(
    assets=fs.pack([globe]),
    mesh_id=torch.zeros(4, 1, dtype=torch.int32),
    world_from_object=torch.eye(4).expand(4, 1, 4, 4),
    light_kind=torch.ones(4, 1, dtype=torch.int32),  # 1 = directional
    light_direction=-torch.nn.functional.normalize(torch.tensor(eyes), dim=-1)[:, None],  # from behind the camera
    light_color=torch.full((4, 1, 3), 0.6),
    background_color=torch.full((4, 2, 3), 0.1),
    filter="bilinear",  # one level of the texture to be found
    **fs.Pinhole.look_at(eye=eyes, target=(0.0, 0.0, 0.0), fov=fs.deg(40)).fields(),
)
photos = fs.render(batch, SIZE, ("rgb",)).rgb

texels = torch.full((batch.assets.textures.texels.shape[0], 4), 0.5, requires_grad=True)  # grey
first = fs.render(batch, SIZE, ("rgb",), texels=texels.detach()).rgb
optimizer = torch.optim.Adam([texels], lr=0.05)
for _ in range(STEPS):
    loss = (fs.render(batch, SIZE, ("rgb",), texels=texels).rgb - photos).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

with torch.no_grad():
    found = fs.render(batch, SIZE, ("rgb",), texels=texels).rgb
before, after = ((drawn - photos).abs().mean() for drawn in (first, found))
print(f"mean error of the photographs: {before:.4f} before, {after:.4f} after")
table = torch.cat([torch.cat(list(each), 2) for each in (first, found, photos)], 1)  # a row each; a photograph a column
Image.fromarray((table * 255).byte().permute(1, 2, 0).numpy()).resize((768, 576)).save("fit_a_texture.jpg", quality=88)
assert after < 0.1 * before, "the texture was not found"
