"""Boxes around whole objects as a lens sees them.

Straight edges are curved by a lens, so that the box around the images of an object's corners does not hold the object.
Its outline is taken in a view of its own instead, a pinhole that looks at the object's middle: there the outline is the
convex hull of the corners, held between supporting lines in 64 directions, which the drawing kernel finds exactly as
the box of a rolled camera. The polygon of these lines, each side in 4 parts, then goes through the lens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastsynth.geometry import affine, multiply, normalize, transform_points
from fastsynth.lens import project
from fastsynth.types import SceneBatch
from fastsynth.views import Draw

_ROLLS = 16  # cameras, each with four supporting lines
_PARTS = 4
# Tangent of the angle from an object's middle beyond which its outline is not one any more: the eye is within.
_AROUND = 8.0


@torch.no_grad()
def loose_boxes(batch: SceneBatch, size: tuple[int, int], draw: Draw) -> Tensor:
    """Boxes around whole objects in front of the camera, not cut at the border of the picture.

    What lies beyond the image circle counts as on its edge. The box of an object around the eye is that of the circle.

    Args:
        batch: What is drawn, with a lens.
        size: Height and width.
        draw: Draws views; see :mod:`fastsynth.views`.

    Returns:
        xyxy float32 [B, N, 4] [pixels]; 0 for an empty slot, or where nothing lies within the image circle.
    """
    lens = batch.lenses()
    images, slots = batch.mesh_id.shape
    assert lens is not None
    if not slots:
        return batch.intrinsics.new_zeros(images, 0, 4)
    pose = multiply(batch.camera_from_world[:, None], batch.world_from_object)
    bounds = batch.assets.mesh_bounds[batch.mesh_id.clamp(min=0).long()]
    middle = transform_points(pose, (bounds[..., :3] + bounds[..., 3:]) / 2)  # [B, N, 3]
    axes = _facing(middle)
    low, high = _supports(batch, pose, axes, draw)
    there = (high > low).any(-1).any(-1) & (batch.mesh_id >= 0)
    support = torch.cat([high[..., 0], high[..., 1], -low[..., 0], -low[..., 1]], -1)
    polygon = _polygon(support)
    around = polygon.abs().amax((-1, -2)) > _AROUND
    directions = multiply(polygon, axes[..., :2, :]) + axes[..., 2:, :]
    pixels, inside = project(directions.flatten(1, 2), batch.intrinsics, lens, size)
    pixels, inside = pixels.unflatten(1, (slots, -1)), inside.unflatten(1, (slots, -1))
    box = torch.cat([pixels.amin(2), pixels.amax(2)], -1)
    # Where the object covers a part of the circle's edge, that is part of its outline.
    ends, there_ends = _ends(batch, size), _within(support, axes, _end_directions(batch))
    for place, covered in zip(ends.unbind(1), there_ends.unbind(-1), strict=True):
        wider = torch.cat(
            [torch.minimum(box[..., :2], place[:, None]), torch.maximum(box[..., 2:], place[:, None])], -1
        )
        box = torch.where(covered[..., None], wider, box)
    # An object may be seen although its outline is not: when it covers the whole circle, its middle does.
    seen = inside.any(-1) | project(middle, batch.intrinsics, lens, size)[1]
    box = torch.where(around[..., None], _circle(batch, size)[:, None], box)
    # Labels are those of a place that far from the pixel's centre.
    off = math.sqrt(0.5) / batch.lens_detail
    box = torch.cat([box[..., :2] - off, box[..., 2:] + off], -1)
    return torch.where((there & (seen | around))[..., None], box, 0)


def _facing(middle: Tensor) -> Tensor:
    """Rows x, y, z of views that look at points: [..., 3] -> [..., 3, 3]."""
    z = normalize(torch.where(middle.abs().amax(-1, keepdim=True) > 1e-12, middle, 1))
    zx, zy, zz = z.unbind(-1)
    zero = torch.zeros_like(zx)
    # At right angles to z and to the axis of the camera, or to its x where these two are nearly one.
    x = torch.where(z[..., 2:].abs() < 0.9, torch.stack([-zy, zx, zero], -1), torch.stack([zero, -zz, zy], -1))
    x = normalize(x)
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def _supports(batch: SceneBatch, pose: Tensor, axes: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Extents of the objects along x and y of each rolled view, in tangents: [B, N, rolls, 2] each."""
    images, slots = batch.mesh_id.shape
    angle = torch.arange(_ROLLS, device=axes.device) * (math.pi / 2 / _ROLLS)
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    x, y, z = (row[:, :, None] for row in axes.unbind(-2))
    rolled = torch.stack([c * x + s * y, c * y - s * x, z.expand(-1, -1, _ROLLS, -1)], -2)
    count = images * slots * _ROLLS

    def each(values: Tensor) -> Tensor:  # [B, N, ...] -> [B N rolls, 1, ...]
        return values[:, :, None].expand(-1, -1, _ROLLS, *values.shape[2:]).reshape(count, 1, *values.shape[2:])

    views = SceneBatch(
        assets=batch.assets,
        mesh_id=each(batch.mesh_id),
        world_from_object=each(pose),
        intrinsics=torch.diag_embed(axes.new_ones(count, 3)),
        camera_from_world=affine(rolled, torch.zeros_like(rolled[..., 0])).reshape(count, 4, 4),
        near=batch.near,
    )
    box = draw(views, (1, 1), ("boxes_2d_loose",))["boxes_2d_loose"].view(images, slots, _ROLLS, 4)
    empty = (box == 0).all(-1, keepdim=True)
    box = torch.where(empty, 0, box - 0.5)
    return box[..., :2], box[..., 2:]


def _polygon(support: Tensor) -> Tensor:
    """Points on the polygon of lines ``n . p = support``, n evenly around the circle: [..., K] -> [..., K parts, 2]."""
    count = support.shape[-1]
    step = 2 * math.pi / count
    angle = torch.arange(count, device=support.device) * step
    following = support.roll(-1, -1)
    along = (following - support * math.cos(step)) / math.sin(step)
    c, s = angle.cos(), angle.sin()
    corner = torch.stack([support * c - along * s, support * s + along * c], -1)
    part = (torch.arange(_PARTS, device=support.device) / _PARTS)[:, None]
    return torch.lerp(corner[..., None, :], corner.roll(-1, -2)[..., None, :], part).flatten(-3, -2)


def _end_places(batch: SceneBatch) -> Tensor:
    """The image circle's points farthest left, right, up and down, in focal lengths: [B, 4, 2]."""
    lens = batch.lenses()
    assert lens is not None
    edge = lens.radius(lens.limit())
    fx, s = batch.intrinsics[:, 0, 0], batch.intrinsics[:, 0, 1]
    length = (fx * fx + s * s).sqrt()
    x, y, zero = edge * fx / length, edge * s / length, torch.zeros_like(edge)
    return torch.stack([torch.stack(pair, -1) for pair in ((-x, -y), (x, y), (zero, -edge), (zero, edge))], 1)


def _end_directions(batch: SceneBatch) -> Tensor:
    """Their directions, [B, 4, 3]."""
    lens = batch.lenses()
    assert lens is not None
    limit = lens.limit()[:, None]
    angle = limit.atan() if lens.radial else limit
    x, y = _end_places(batch).unbind(-1)
    scale = angle.sin() / (x * x + y * y).sqrt()
    return torch.stack([x * scale, y * scale, angle.cos().expand_as(x)], -1)


def _ends(batch: SceneBatch, size: tuple[int, int]) -> Tensor:
    """Where they are seen, [B, 4, 2] [pixels]."""
    lens = batch.lenses()
    assert lens is not None
    return project(_end_directions(batch), batch.intrinsics, lens, size)[0]


def _within(support: Tensor, axes: Tensor, directions: Tensor) -> Tensor:
    """Which directions [B, D, 3] lie within the polygons of supporting lines [B, N, K] of views [B, N, 3, 3]."""
    x, y, z = multiply(axes[:, :, None], directions[:, None, :, :, None])[..., 0].unbind(-1)  # [B, N, D]
    angle = torch.arange(support.shape[-1], device=axes.device) * (2 * math.pi / support.shape[-1])
    ahead = z > 1e-6
    z = torch.where(ahead, z, 1)
    along = (x / z)[..., None] * angle.cos() + (y / z)[..., None] * angle.sin()
    return ahead & (along <= support[:, :, None]).all(-1)


def _circle(batch: SceneBatch, size: tuple[int, int]) -> Tensor:
    """The box around the image circle, [B, 4] [pixels]."""
    lens, (height, width) = batch.lenses(), size
    assert lens is not None
    edge = lens.radius(lens.limit())
    if lens.radial:
        edge = edge + 3 * lens.limit() ** 2 * lens.distortion[:, 2:4].abs().amax(1)
    (fx, s, cx), (fy, cy) = batch.intrinsics[:, 0].unbind(-1), batch.intrinsics[:, 1, 1:].unbind(-1)
    x, y = edge * (fx * fx + s * s).sqrt(), edge * fy.abs()
    middle = torch.stack([cx * height + width / 2, cy * height + height / 2], -1)
    half = torch.stack([x, y], -1) * height
    return torch.cat([middle - half, middle + half], -1)
