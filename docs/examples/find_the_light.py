"""Gradients of lights: find the direction and colour of one from a picture."""

from __future__ import annotations

import torch
from PIL import Image

import fastsynth as fs
from fastsynth.geometry import normalize

SIZE = (72, 96)
scene = fs.Scene(
    fs.Objects(fs.procedural.primitives(), count=6, rotation=fs.UniformRotation()),
    fs.Camera(distance=7.0),
    light=[fs.Ambient(0.1), fs.DirectionalLight(direction=(-1.0, 0.3, 0.6), color=(0.9, 0.7, 0.4))],
    background=fs.ColorBackground(0.05),
)
batch = scene.sample(1, seed=4)
photo = fs.render(batch, SIZE, ("rgb",)).rgb


def drawn(direction: torch.Tensor, color: torch.Tensor) -> torch.Tensor:
    lit = batch.replace(light_direction=normalize(direction).view(1, 1, 3), light_color=color.view(1, 1, 3))
    return fs.render(lit, SIZE, ("rgb",)).rgb


direction = torch.tensor([-0.5, -1.0, -0.5], requires_grad=True)
color = torch.full((3,), 0.5, requires_grad=True)
first = drawn(direction, color).detach()
optimizer = torch.optim.LBFGS([direction, color], max_iter=20, line_search_fn="strong_wolfe")


def step() -> torch.Tensor:
    optimizer.zero_grad()
    loss = (drawn(direction, color) - photo).square().mean()
    loss.backward()
    return loss


optimizer.step(step)
found = normalize(direction).detach()
print(f"direction {found.tolist()}, wanted {batch.light_direction.flatten().tolist()}")
print(f"colour {color.tolist()}, wanted {batch.light_color.flatten().tolist()}")
assert (found - batch.light_direction.flatten()).norm() < 0.1, "the light was not found"
row = torch.cat([first[0], drawn(direction, color).detach()[0], photo[0]], dim=2)  # first guess, found, wanted
Image.fromarray((row * 255).byte().permute(1, 2, 0).numpy()).resize((864, 216)).save("find_the_light.png")
