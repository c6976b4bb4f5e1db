"""Shrink-wrap onto a ball, in closed form instead of by casting rays.

The ball is a sphere with an optional bulge, a second sphere that reaches out of it: sclera and cornea of an eye. From
the centre c of the first a ray in the unit direction d leaves the sphere at R, and the bulge, of radius r about b, at
``d . b + sqrt((d . b)^2 - |b|^2 + r^2)`` where it meets it at all (b seen from c). The surface is the further of both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth.deform.normals import inner, unit


class Ball(NamedTuple):
    """A sphere, and where there is one a bulge of it."""

    centre: Tensor  #: float [..., 3] [m]
    radius: Tensor  #: float [...] [m]
    bulge_centre: Tensor | None = (
        None  #: seen from the sphere's centre, which lies inside the bulge or not, [..., 3] [m]
    )
    bulge_radius: Tensor | None = None  #: float [...] [m]


def onto_ball(direction: Tensor, ball: Ball) -> Tensor:
    """How far the surface of a ball is from its centre.

    Args:
        direction: Unit vectors from the centre, float [..., V, 3].
        ball: With leading axes that broadcast against the directions'.

    Returns:
        float [..., V] [m], differentiable.

    Example:
        >>> eye = Ball(torch.zeros(3), torch.tensor(12.0), torch.tensor([0.0, 0.0, 6.0]), torch.tensor(8.0))
        >>> onto_ball(torch.eye(3), eye).tolist()
        [12.0, 12.0, 14.0]
    """
    distance = ball.radius[..., None].expand(direction.shape[:-1])
    if ball.bulge_centre is None or ball.bulge_radius is None:
        return distance
    along = inner(direction, ball.bulge_centre[..., None, :])
    square = inner(ball.bulge_centre, ball.bulge_centre) - ball.bulge_radius * ball.bulge_radius
    under = along * along - square[..., None]
    meets = under > 0
    far = along + torch.where(meets, under, 1).sqrt()
    return torch.where(meets & (far > distance), far, distance)


def shrink_wrap(points: Tensor, ball: Ball, *, gap: Tensor | float = 0.0, strength: Tensor | float = 1.0) -> Tensor:
    """Points drawn along their rays from the centre of a ball onto its surface.

    Args:
        points: float [..., V, 3] [m], none at the centre.
        ball: What they are drawn onto.
        gap: How far above the surface they come to lie, a number or float [..., V] [m].
        strength: 1 draws a point all the way, 0 leaves it where it is, a number or float [..., V].

    Returns:
        float [..., V, 3] [m].

    Example:
        >>> ball = Ball(torch.zeros(3), torch.tensor(2.0))
        >>> shrink_wrap(torch.tensor([[5.0, 0.0, 0.0]]), ball, gap=0.5).tolist()
        [[2.5, 0.0, 0.0]]
    """
    offset = points - ball.centre[..., None, :]
    direction = unit(offset)
    place = direction * (onto_ball(direction, ball) + gap)[..., None]
    if isinstance(strength, Tensor):
        strength = strength[..., None]
    return points + strength * (place - offset)
