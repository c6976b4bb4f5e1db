"""What the visible edges of surfaces do to a picture, once more: the slow float64 reference of csrc/kernels/edges.h.

Written from the statement at the head of that file, pair of pixels by pair of pixels, and not from its code: planes
come from a solver of linear equations, how far an edge moves is a torch function of the matrices, and autograd does the
rest.

Two planes p and q meet where their inverse depths are equal: when p's grows by d, the cut moves towards q by
d / (slope of q - slope of p). Where surfaces cut through each other the nearer is seen, and the divisor is above 0. At
a crease of one body it may be below: a ridge shows the farther of both planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fastsynth.surface import clip_from_object

CLAMP = 8.0  # [pixels] that a cut may move at most when a face moves by a pixel's breadth
SOFT, SHARP = 0.06, 0.15  # 1 - cosine between faces of one instance: from where a crease counts, and in full
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))


@dataclass
class Shown:
    """The face that each pixel of [B, H, W] shows; on the background any finite numbers."""

    hit: Tensor  # bool
    instance: Tensor
    face: Tensor
    corners: Tensor  # rows of `vertex_data` [..., 3]
    points: Tensor  # the corners in object space [..., 3, 3]
    plane: Tensor  # times any point (x, y, w) of the plane in clip space: 1 [..., 3]; a function of the matrices
    place: Tensor  # where the material point at the pixel lies in the image [pixels] [..., 2]; likewise
    ray: Tensor  # of the pixel in clip space (x, y, 1) [..., 3]
    outside: Tensor  # bool: the centre lies on the border of its own face or beyond it, by the rasterizer's snapping
    layer: Tensor  # of the instance, whose higher numbers hide lower ones


def shown(batch, size: tuple[int, int], triangle_id: Tensor, instance_id: Tensor) -> Shown:
    """What of the batch's geometry its pixels show."""
    images, (height, width), data = len(triangle_id), size, batch.assets.vertex_data
    hit = triangle_id >= 0
    corners = batch.assets.faces[triangle_id.clamp(min=0).long()][..., :3].long()
    points = data[corners][..., :3]
    image = torch.arange(images)[:, None, None]
    matrix = clip_from_object(batch, size)[image, instance_id.clamp(min=0).long()]
    clip = points @ matrix[..., :3].mT + matrix[..., None, :, 3]
    clip = torch.where(hit[..., None, None], clip, torch.eye(3).to(data))
    x = (2 * torch.arange(width).to(data) + 1) / width - 1
    y = (2 * torch.arange(height).to(data) + 1) / height - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    ray = torch.stack([x, y, torch.ones_like(x)], -1).expand(images, -1, -1, -1)
    plane = torch.linalg.solve(clip, torch.ones_like(ray))
    with torch.no_grad():
        weights = torch.linalg.solve(clip.mT, ray)  # in proportion to those of the corners
        weights = weights / weights.sum(-1, keepdim=True)
        outside = hit & (weights.amin(-1) < 1e-9)
        point = (weights[..., None] * points).sum(-2)
    # Before any product: a background pixel must not bring its infinities into a gradient.
    point = torch.where(hit[..., None], point, 0)
    moved = (matrix[..., :3] @ point[..., None])[..., 0] + matrix[..., 3]
    moved = torch.where(hit[..., None], moved, torch.ones_like(moved))
    place = (moved[..., :2] / moved[..., 2:] + 1) / 2 * torch.tensor([width, height]).to(data)
    layers = torch.zeros_like(batch.mesh_id) if batch.layer is None else batch.layer
    layer = layers[image, instance_id.clamp(min=0).long()]
    return Shown(hit, instance_id, triangle_id, corners, points, plane, place, ray, outside, layer)


def edges(batch, here: Shown, picture: Tensor, grad: Tensor) -> Tensor:
    """A number whose gradient by poses and cameras is that of the visible edges. Its value means nothing.

    Args:
        batch: In float64.
        here: Of :func:`shown`, in the graph of what is to be differentiated by.
        picture: That was drawn, float64 [B, 3, H, W].
        grad: The loss's gradient by it.
    """
    height, width = here.hit.shape[1:]
    pixel = torch.tensor([2 / width, 2 / height]).to(picture)
    inverse = dot(here.plane, here.ray)  # of the depth
    slope = here.plane[..., :2] * pixel  # its change per pixel right and down
    # How much the inverse depth changes when a point comes nearer by the breadth of a pixel.
    breadth = inverse.detach() / (batch.intrinsics[:, 1, 1].detach() * height)[:, None, None]
    colour, given = picture.detach().movedim(1, -1), grad.detach().movedim(1, -1)
    total = picture.new_zeros(())
    for dx, dy in SIDES:

        def at(values: Tensor, dx=dx, dy=dy) -> Tensor:  # those of the neighbour; beyond the frame any others
            return values.detach().roll((-dx, -dy), (2, 1))

        x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")
        in_frame = (0 <= x + dx) & (x + dx < width) & (0 <= y + dy) & (y + dy < height)
        pair = here.hit & in_frame & ((at(here.instance) != here.instance) | (at(here.face) != here.face))
        pull = dot(given + at(given), colour - at(colour)) / 2

        own_slope = (slope[..., 0] * dx + slope[..., 1] * dy).detach()
        their_slope = at(slope[..., 0]) * dx + at(slope[..., 1]) * dy
        relatives = at(here.instance) == here.instance  # two faces of one instance
        joined = relatives & (here.corners[..., :, None] == at(here.corners)[..., None, :]).any(-1).any(-1)
        margin = torch.where(relatives, 3 * (breadth + own_slope.abs()), 0)
        alike, above = at(here.layer) == here.layer, here.layer > at(here.layer)
        nearer = torch.where(alike, inverse.detach() + own_slope > at(inverse) + margin, above)
        before = at(here.hit) & ~joined & nearer
        ends = pair & (before | ~at(here.hit))
        total = total + (pull * (here.place * torch.tensor([dx, dy])).sum(-1))[ends].sum()

        share = torch.where(relatives, crease(here.points, at(here.points)), 1)
        behind = at(inverse) - their_slope <= inverse.detach() + margin  # their plane, prolonged to here
        cut = pair & at(here.hit) & alike & ~joined & ~before & behind
        apart = (at(slope) - slope.detach()).square().sum(-1)
        apart = torch.maximum(apart, (breadth / CLAMP) ** 2)
        steeper = their_slope - own_slope
        across = torch.where(relatives, steeper, steeper.clamp(min=0)) / apart
        total = total + (share * pull * across * inverse)[cut].sum()
    return total


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products over the last axis: [..., n] -> [...]."""
    return (a * b).sum(-1)


def crease(points: Tensor, others: Tensor) -> Tensor:
    """How much of an edge there is between two faces of one instance, by the angle between them."""
    a, b = (torch.linalg.cross(p[..., 1, :] - p[..., 0, :], p[..., 2, :] - p[..., 0, :]) for p in (points, others))
    lengths = a.norm(dim=-1) * b.norm(dim=-1)
    cosine = dot(a, b) / torch.where(lengths > 0, lengths, 1)
    return ((1 - SOFT - cosine) / (SHARP - SOFT)).clamp(0, 1)
