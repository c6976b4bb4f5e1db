"""Poses that no scene has drawn: bodies thrown by a few lines of physics, filled into a `SceneBatch` by hand.

A physics engine's poses go the same way: one image a time step, one slot a body.
"""

from __future__ import annotations

import torch
from PIL import Image

import fastsynth as fs
from fastsynth.geometry import affine, rotation_from_axis_angle

STEPS, BODIES = 6, 5
assets = fs.procedural.primitives()

# The simulator: no forces but gravity, a turn about an axis of its own.
start = torch.linspace(-2.5, 2.5, BODIES)[:, None] * torch.tensor([1.0, 0.0, 0.0])
velocity = torch.tensor([[0.5, 0.3, 5.0], [0.2, 0.0, 6.0], [0.0, 0.0, 7.0], [-0.2, 0.0, 6.0], [-0.5, 0.3, 5.0]])
axis = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
time = torch.linspace(0.0, 1.2, STEPS)[:, None, None]  # [s]
position = start + velocity * time + torch.tensor([0.0, 0.0, -9.81 / 2]) * time**2  # [STEPS, BODIES, 3] [m]
rotation = rotation_from_axis_angle(axis.expand(STEPS, -1, -1), 4.0 * time[..., 0].expand(-1, BODIES))

camera = fs.Pinhole.look_at(eye=(0.0, -9.0, 2.5), target=(0.0, 0.0, 1.3), fov=fs.deg(40)).fields()
batch = fs.SceneBatch(
    assets=assets,
    mesh_id=torch.arange(BODIES, dtype=torch.int32).expand(STEPS, -1),
    world_from_object=affine(rotation, position),
    light_kind=torch.ones(STEPS, 1, dtype=torch.int32),  # 1 = directional
    light_direction=torch.tensor([0.4, 0.8, -0.45]).expand(STEPS, 1, 3),
    light_color=torch.full((STEPS, 1, 3), 0.8),
    background_color=torch.tensor([[0.25, 0.35, 0.55], [0.75, 0.75, 0.75]]).expand(STEPS, 2, 3),
    **{name: value.expand(STEPS, -1, -1) for name, value in camera.items()},
)
batch = batch.replace(base_color=torch.tensor([0.9, 0.45, 0.2, 1.0]).expand(STEPS, BODIES, 4))
frames = fs.render(batch, size=(160, 160), outputs=("rgb", "boxes_2d_tight"), samples=4, rgb_dtype=torch.uint8)
row = torch.cat(list(frames.rgb), dim=2)
Image.fromarray(row.permute(1, 2, 0).numpy()).save("simulator_poses.jpg", quality=88)
print("box of the cube in each frame:", frames.boxes_2d_tight[:, 0].tolist())
