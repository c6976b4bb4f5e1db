"""Light from a panorama, in differentiable torch: the readable twin of ``csrc/core/environment.h``.

Glossy surfaces mirror ``L(d, roughness) * (F0 * factor(n.v, roughness) + added(n.v, roughness))``, L the panorama as
surfaces of that roughness mirror it head-on: see :mod:`fastsynth.environments`. The direction is ``d = r + a (n - r)``
with r the reflected one and a = roughness^2, as a rough surface's lobe lies nearer to the normal: Lagarde and de
Rousiers, "Moving Frostbite to Physically Based Rendering", 2014.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth.environments import LEVELS, MODELS, TABLE, Environments, level_places
from fastsynth.geometry import multiply
from fastsynth.types import SceneBatch


def turn_of(batch: SceneBatch) -> Tensor:
    """Cosine and sine of the panoramas' azimuths, [B, 2]."""
    assert batch.environment_azimuth is not None
    return torch.stack([batch.environment_azimuth.cos(), batch.environment_azimuth.sin()], -1)


def has_panorama(batch: SceneBatch) -> Tensor:
    """Which images have one, bool [B]."""
    assert batch.environments is not None and batch.environment_id is not None
    return (batch.environment_id >= 0) & (batch.environment_id < len(batch.environments))


def radiance(batch: SceneBatch, direction: Tensor, roughness: Tensor | None = None) -> Tensor:
    """Radiance of the images' panoramas by direction, as a surface of a roughness mirrors it head-on.

    Args:
        batch: Holds ``environment*``.
        direction: In the world, of any length, [B, ..., 3].
        roughness: [B, ..., 1]; None = the panorama itself.

    Returns:
        [B, ..., 3]. Differentiable in the direction, the roughness, the scale and the azimuth.
    """
    environments, scale = batch.environments, batch.environment_scale
    assert isinstance(environments, Environments) and batch.environment_id is not None and scale is not None
    axes = [1] * (direction.ndim - 2)
    cosine, sine = turn_of(batch).view(-1, *axes, 2).unbind(-1)
    x, y, z = direction.unbind(-1)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    size = (x.abs() + y.abs() + z.abs()).clamp(min=1e-20)
    a, b = x / size, y / size

    def sign(value: Tensor) -> Tensor:
        return torch.where(value < 0, -1.0, 1.0)

    a, b = torch.where(z < 0, (1 - b.abs()) * sign(a), a), torch.where(z < 0, (1 - a.abs()) * sign(b), b)
    image = batch.environment_id.long().clamp(0, len(environments) - 1).view(-1, *axes).expand(a.shape)
    first, sides = level_places(environments.side, MODELS.index(batch.shading) if batch.shading in MODELS else 0)
    table = torch.stack([torch.tensor(first), torch.tensor(sides)]).to(a.device, non_blocking=True)

    def level(number: Tensor) -> Tensor:
        begin, side = table[0][number], table[1][number]
        u, v = (a * 0.5 + 0.5) * side + 0.5, (b * 0.5 + 0.5) * side + 0.5
        left, top = u.detach().floor(), v.detach().floor()
        left, top = torch.minimum(left.clamp(min=0), side), torch.minimum(top.clamp(min=0), side)
        at = begin + top.long() * (side + 2) + left.long()
        part_u, part_v = (u - left)[..., None], (v - top)[..., None]
        taps = [environments.texels[image, at + d][..., :3].to(u) for d in (0, 1)]
        more = [environments.texels[image, at + side + 2 + d][..., :3].to(u) for d in (0, 1)]
        upper, lower = taps[0] + (taps[1] - taps[0]) * part_u, more[0] + (more[1] - more[0]) * part_u
        return upper + (lower - upper) * part_v

    if roughness is None:
        found = level(torch.zeros_like(image))
    else:
        place = (roughness * (LEVELS - 1)).clamp(0, LEVELS - 1)
        below = place.detach().floor()
        fine = level(below[..., 0].long())
        coarse = level((below[..., 0].long() + 1).clamp(max=LEVELS - 1))
        found = fine + (coarse - fine) * (place - below)
    return found * scale.view(-1, *axes, 1)


def reflectance(batch: SceneBatch, n_v: Tensor, roughness: Tensor) -> Tensor:
    """Factor of F0 and what is added, [..., 2], from [..., 1] each."""
    assert batch.environments is not None
    table = batch.environments.reflectance[MODELS.index(batch.shading)].to(n_v)
    x = (n_v[..., 0] * TABLE - 0.5).clamp(0, TABLE - 1)
    y = (roughness[..., 0] * TABLE - 0.5).clamp(0, TABLE - 1)
    left, top = x.detach().floor().clamp(max=TABLE - 2), y.detach().floor().clamp(max=TABLE - 2)
    rows, columns = top.long(), left.long()
    part_x, part_y = (x - left)[..., None], (y - top)[..., None]

    def row(down: int) -> Tensor:
        one, two = table[rows + down, columns, :2], table[rows + down, columns + 1, :2]
        return one + (two - one) * part_x

    return row(0) + (row(1) - row(0)) * part_y


def backdrop(batch: SceneBatch, size: tuple[int, int]) -> Tensor:
    """The panoramas as the cameras see them, [B, H, W, 3]."""
    height, width = size
    like = batch.camera_from_world
    across = ((torch.arange(width, device=like.device) + 0.5).to(like) / width - 0.5) * width / height
    down = (torch.arange(height, device=like.device) + 0.5).to(like) / height - 0.5
    k = batch.intrinsics[:, None, None]
    v = (down[:, None] - k[..., 1, 2]) / k[..., 1, 1]
    u = (across - k[..., 0, 2] - k[..., 0, 1] * v) / k[..., 0, 0]
    v = v.expand_as(u)
    ray = torch.stack([u, v, torch.ones_like(u)], -1)
    return radiance(batch, multiply(like[:, None, None, :3, :3].mT, ray[..., None])[..., 0])
