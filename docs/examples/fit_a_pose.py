"""Gradients of silhouettes: find where a carton stands, and how it is turned, from one picture of it.

`fs.render` itself is differentiated. The picture stays crisp; the loss is blurred, less and less, so that the carton
feels its target from afar.
"""

from __future__ import annotations

import math

import torch
from PIL import Image

import fastsynth as fs
from fastsynth.geometry import affine, normalize, rotation_from_quaternion

SIZE, STEPS = (96, 96), 120
products = fs.procedural.products()
carton = products.mesh_names.index("carton")
ambient = torch.zeros(1, 9, 3)
ambient[:, :4] = torch.tensor([0.9, 0.2, 0.0, 0.3])[:, None]  # brighter from one side


def drawn(turn: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    batch = fs.SceneBatch(
        assets=products,
        mesh_id=torch.tensor([[carton]], dtype=torch.int32),
        world_from_object=affine(rotation_from_quaternion(normalize(turn)), place)[None, None],
        light_kind=torch.ones(1, 1, dtype=torch.int32),  # 1 = directional
        light_direction=torch.tensor([[[0.5, 0.8, -0.5]]]),
        light_color=torch.full((1, 1, 3), 0.5),
        ambient=ambient,
        background_color=torch.tensor([[[0.25, 0.3, 0.4], [0.6, 0.6, 0.55]]]),
        **fs.Pinhole.look_at(eye=(0.0, -0.7, 0.4), target=(0.0, 0.0, 0.08), fov=fs.deg(30)).fields(),
    )
    return fs.render(batch, SIZE, ("rgb",)).rgb


true_turn, true_place = normalize(torch.tensor([0.93, 0.15, -0.2, 0.25])), torch.tensor([0.03, -0.03, 0.02])
photo = drawn(true_turn, true_place)

turn = torch.tensor([1.0, 0.0, 0.0, 0.0], requires_grad=True)
place = torch.tensor([-0.03, 0.03, 0.0], requires_grad=True)
first = drawn(turn, place).detach()
optimizer = torch.optim.Adam([{"params": [turn], "lr": 0.03}, {"params": [place], "lr": 0.006}])
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / STEPS))
for step in range(STEPS):
    sigma = torch.tensor([max(5.0 * (1 - 1.3 * step / STEPS), 0.0)])  # [pixels]
    loss = fs.ops.blur(drawn(turn, place) - photo, sigma, 15).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()

found = normalize(turn).detach()
apart = 1000 * (place.detach() - true_place).norm()  # [mm]
angle = math.degrees(2 * math.acos(min(abs(float(found @ true_turn)), 1.0)))
print(f"found to {apart:.1f} mm and {angle:.1f} degrees")
row = torch.cat([first[0], drawn(found, place.detach())[0], photo[0]], dim=2)  # first guess, found, wanted
Image.fromarray((row * 255).byte().permute(1, 2, 0).numpy()).resize((864, 288)).save("fit_a_pose.png")
assert apart < 5 and angle < 2, "the carton was not found"
