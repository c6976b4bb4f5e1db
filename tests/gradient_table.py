"""What can be learned of a scene, and its gradients held against central differences of a picture's smooth statistics.

Shading is differenced in the very picture that has the gradient. What moves a silhouette is differenced in one of
sixteen times its samples along a side, where the place of an edge is known to a sixteenth of a pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from gradient_scenes import Moving, moved, turn
from torch import Tensor

import fastsynth as fs

SIDE = 64
FINE = {"side": 256, "samples": 16}


@dataclass(frozen=True)
class Parameter:
    """Numbers to change a scene by, all 0 as it stands."""

    count: int
    step: float  # of the differences
    change: Callable[[Moving, Tensor], fs.SceneBatch]
    moves: bool = False  # silhouettes, that is


def of(field: str, change: Callable[[Tensor, Tensor, Moving], Tensor]) -> Callable[[Moving, Tensor], fs.SceneBatch]:
    """Changes one field of the batch."""
    return lambda it, by: it.batch.replace(**{field: change(getattr(it.batch, field), by, it)})


def chosen(it: Moving) -> Tensor:
    """Which instance is meant: bool [N]."""
    return torch.arange(it.batch.instances) == it.who


def scaled(pose: Tensor, by: Tensor, it: Moving) -> Tensor:
    """The size of the instance that is meant, times e^by."""
    columns = torch.cat([by.exp().expand(3), by.new_ones(1)])
    return pose * torch.where(chosen(it)[:, None, None], columns, 1)


def focused(k: Tensor, by: Tensor, it: Moving) -> Tensor:
    """Both focal lengths times e^by, and the principal point."""
    none = by.new_zeros(())
    rows = torch.stack([by[0].exp() - 1, none, by[2], none, by[1].exp() - 1, by[3], none, none, none]).view(1, 3, 3)
    return k + rows * torch.tensor([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]])


def light(which: int, change: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Moving], Tensor]:
    """Changes the vector of one light."""
    return lambda value, by, it: torch.stack(
        [change(row, by) if i == which else row for i, row in enumerate(value[0])]
    )[None]


@functools.cache
def panorama() -> fs.Environments:
    """A smooth one, of three colours that come from three sides."""
    around = torch.tensor([[0.8, 0.5, 0.3], [-0.6, 0.7, -0.4], [0.1, -0.9, 0.5]])
    up = (0.5 - (torch.arange(64) + 0.5) / 64) * torch.pi
    turn = (0.5 - (torch.arange(128) + 0.5) / 128) * 2 * torch.pi
    up, turn = torch.meshgrid(up, turn, indexing="ij")
    way = torch.stack([up.cos() * turn.cos(), up.cos() * turn.sin(), up.sin()], -1)
    light = 0.1 + 0.08 * (1.5 * way @ around.T).exp()
    return fs.Environments.from_panoramas(light[None].contiguous())


def under_a_panorama(it: Moving, exposure: Tensor, azimuth: Tensor) -> fs.SceneBatch:
    """Lit by a panorama of 2^exposure that is turned by an azimuth."""
    given, scale = panorama(), exposure.exp2()
    return it.batch.replace(
        environments=given,
        environment_id=torch.zeros(1, dtype=torch.int32),
        environment_scale=scale,
        environment_azimuth=azimuth + 0.3,
        ambient=fs.geometry.turn_harmonics(given.harmonics, azimuth + 0.3) * scale[:, None, None],
    )


PARAMETERS = {
    "pose": Parameter(6, 0.004, lambda it, by: moved(it.batch, by, it.who), True),
    "scale": Parameter(1, 0.01, of("world_from_object", scaled), True),
    "camera extrinsics": Parameter(6, 0.004, lambda it, by: moved(it.batch, by, None), True),
    "camera intrinsics": Parameter(4, 0.004, of("intrinsics", focused), True),
    "light direction": Parameter(3, 0.01, of("light_direction", light(0, lambda d, by: turn(by) @ d))),
    "light position": Parameter(3, 0.005, of("light_position", light(1, torch.add))),
    "light intensity": Parameter(2, 0.01, of("light_color", lambda c, by, it: c * by.exp()[:, None])),
    "light colour": Parameter(3, 0.01, of("light_color", lambda c, by, it: c + by)),
    "light gloss": Parameter(2, 0.01, lambda it, by: it.batch.replace(light_gloss=(1.5 + by)[None])),
    "ambient light": Parameter(27, 0.01, of("ambient", lambda a, by, it: a + by.view(9, 3))),
    "albedo": Parameter(
        3, 0.01, of("base_color", lambda c, by, it: c + chosen(it)[:, None] * torch.nn.functional.pad(by, (0, 1)))
    ),
    "roughness": Parameter(1, 0.01, of("roughness", lambda r, by, it: r + chosen(it) * by)),
    "metallic": Parameter(1, 0.01, of("metallic", lambda m, by, it: m + chosen(it) * by)),
    "texture": Parameter(48, 4 / 255, lambda it, by: it.batch),  # whole bytes; see `statistics`
    "exposure": Parameter(1, 0.01, of("exposure", lambda e, by, it: e + by)),
    "white balance": Parameter(3, 0.01, of("white_balance", lambda w, by, it: w + by)),
    "blur": Parameter(1, 0.0005, of("blur", lambda b, by, it: b + by)),
    "panorama exposure": Parameter(1, 0.01, lambda it, by: under_a_panorama(it, by, torch.zeros(1))),
    "panorama azimuth": Parameter(1, 0.01, lambda it, by: under_a_panorama(it, torch.zeros(1), by)),
    "background": Parameter(6, 0.005, of("background_color", lambda c, by, it: c + by.view(2, 3))),
}


def painted(it: Moving, by: Tensor) -> Tensor:
    """Texels of the scene's last texture, which stays in whole bytes: `render` rounds to them."""
    textures = it.batch.assets.textures
    first, plain = int(textures.offsets[-1, 0]), textures.texels.float() / 255
    change = torch.nn.functional.pad(by.view(16, 3), (0, 1, first, len(plain) - first - 16))
    return plain + change


@functools.cache
def waves(side: int) -> Tensor:
    """Smooth weights of a square picture, the same for every resolution, float64 [6, 3, side, side]."""
    at = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    each = [(3, 2, 1), (1, 4, 0), (-3, 3, 2), (5, -1, 1.5), (2, 5, 4), (-4, -2, 0.5)]
    planes = [torch.cos(a * x + b * y + c + channel) for a, b, c in each for channel in range(3)]
    return torch.stack(planes).view(6, 3, side, side)


def statistics(it: Moving, name: str, by: Tensor, side: int = SIDE, samples: int = 1) -> Tensor:
    """Six of the picture of a changed scene."""
    texels = painted(it, by) if name == "texture" else None
    frames = fs.render(PARAMETERS[name].change(it, by), (side, side), ("rgb",), samples=samples, texels=texels)
    return (frames.rgb * waves(side)).mean((1, 2, 3))


def by_kernel(it: Moving, name: str) -> Tensor:
    """Gradients of the statistics, [6, count]."""
    by = torch.zeros(PARAMETERS[name].count, requires_grad=True)
    found = statistics(it, name, by)
    return torch.stack([torch.autograd.grad(each, by, retain_graph=True)[0].double() for each in found])


@torch.no_grad()
def by_differences(it: Moving, name: str) -> Tensor:
    """The same from pictures of changed scenes."""
    parameter = PARAMETERS[name]
    fine = FINE if parameter.moves else {}
    columns = []
    for one in torch.eye(parameter.count) * parameter.step:
        ends = [statistics(it, name, sign * one, **fine) for sign in (1, -1)]
        columns.append((ends[0] - ends[1]) / (2 * parameter.step))
    return torch.stack(columns, 1)


@dataclass(frozen=True)
class Agreement:
    """Of two gradients."""

    cosine: float
    length: float  # of the kernel's, in those of the differences'


def agreement(given: Tensor, wanted: Tensor) -> Agreement:
    """How well they agree."""
    cosine = torch.nn.functional.cosine_similarity(given.flatten(), wanted.flatten(), dim=0)
    return Agreement(float(cosine), float(given.norm() / wanted.norm()))
