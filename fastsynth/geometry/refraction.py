"""Light at the border of a clear medium: where it goes on, and how much of it."""

from __future__ import annotations

import torch
from torch import Tensor


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products, their terms added in order: float [..., 3] -> [..., 1]."""
    x, y, z = (a * b).unbind(-1)
    return (x + y + z)[..., None]


def refract(direction: Tensor, normal: Tensor, ior: Tensor | float) -> Tensor:
    """The direction of a ray behind the surface of a medium, by Snell's law in vector form.

    With i the ray, n the normal against it and e = 1 / ior: ``e i + (e c - sqrt(1 - e^2 (1 - c^2))) n``, c = -i . n.
    Glassner, "An Introduction to Ray Tracing", 1989, section 2.

    Args:
        direction: Unit vectors towards the surface, float [..., 3].
        normal: Unit normals on the side that the rays come from, float [..., 3].
        ior: Index of refraction behind the surface over that before it, float [...] or a number. Below 1 a ray that
            would be reflected totally goes on along the surface.

    Returns:
        Unit vectors, float [..., 3], differentiable in all three.

    Example:
        >>> down, slanted = torch.tensor([0.0, 0.0, -1.0]), torch.tensor([0.6, 0.0, -0.8])
        >>> up = torch.tensor([0.0, 0.0, 1.0])
        >>> refract(down, up, 1.3).tolist(), round(refract(slanted, up, 1.5)[0].item(), 4)
        ([0.0, 0.0, -1.0], 0.4)
    """
    inverse = 1 / (ior[..., None] if isinstance(ior, Tensor) else ior)
    cosine = -_dot(direction, normal)
    square = 1 - inverse * inverse * (1 - cosine * cosine)
    # The root's slope is infinite at 0, where the ray grazes.
    root = square.clamp(min=torch.finfo(square.dtype).eps).sqrt()
    along = inverse * direction + (inverse * cosine - root) * normal
    return along / _dot(along, along).sqrt()


def fresnel(cosine: Tensor, ior: Tensor | float) -> Tensor:
    """The part of unpolarised light that the surface of a clear medium reflects (Fresnel's equations).

    Args:
        cosine: Of the angle between the ray and the normal, float [...], in [0, 1].
        ior: As of `refract`, at least 1.

    Returns:
        float [...] in [0, 1].

    Example:
        >>> fresnel(torch.tensor([1.0, 0.0]), 1.5).mul(100).round().tolist()
        [4.0, 100.0]
    """
    behind = (1 - (1 - cosine * cosine) / (ior * ior)).clamp(min=torch.finfo(cosine.dtype).eps).sqrt()
    across = (cosine - ior * behind) / (cosine + ior * behind)
    within = (ior * cosine - behind) / (ior * cosine + behind)
    return (across * across + within * within) / 2


def refracted_place(
    position: Tensor, direction: Tensor, normal: Tensor, ior: Tensor | float, point: Tensor, axis: Tensor
) -> Tensor:
    """Where what is seen through a curved surface lies on a plane behind it: the iris behind the cornea.

    Args:
        position: Where the ray meets the surface, float [..., 3] [m].
        direction: Unit vectors of the rays, towards the surface, float [..., 3].
        normal: Unit normals of the surface, float [..., 3].
        ior: As of `refract`.
        point: A point of the plane, float [..., 3] [m].
        axis: Normal of the plane, towards the surface, float [..., 3].

    Returns:
        float [..., 3] [m]. A ray that goes along the plane or away from it is bent to meet it at a flat angle.

    Example:
        >>> up, origin = torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3)
        >>> slanted = torch.tensor([0.6, 0.0, -0.8])
        >>> place = refracted_place(up, slanted, up, 1.5, origin, up)  # tan(asin(0.6 / 1.5)) = 0.4364
        >>> [round(x, 4) for x in place.tolist()]
        [0.4364, 0.0, 0.0]
    """
    inside = refract(direction, normal, ior)
    fall = _dot(inside, axis).clamp(max=-0.05)
    distance = _dot(point - position, axis) / fall
    return position + distance * inside


def dilated(radius: Tensor, rest: Tensor | float, pupil: Tensor | float) -> Tensor:
    """Where a texture of an iris is to be read so that its pupil has another size.

    Pupil and iris are stretched along the radius, each evenly: the border between both is moved from `rest` to
    `pupil`, and the outer rim stays.

    Args:
        radius: From the middle of the iris, in radii of the iris, float [...].
        rest: Radius of the pupil in the texture, in (0, 1).
        pupil: Radius that it is to have, in (0, 1), float [...].

    Returns:
        Radius in the texture, float [...].

    Example:
        >>> dilated(torch.tensor([0.0, 0.5, 0.75, 1.0]), 0.25, 0.5).tolist()
        [0.0, 0.25, 0.625, 1.0]
    """
    return torch.where(radius < pupil, radius * rest / pupil, rest + (radius - pupil) * (1 - rest) / (1 - pupil))
