"""Twists and dents, each with the normals of the deformed surface in closed form."""

from __future__ import annotations

from torch import Tensor

from fastsynth.deform.normals import cross, inner, unit


def rotated(vector: Tensor, axis: Tensor, angle: Tensor) -> Tensor:
    """Vectors turned about a unit axis (Rodrigues): float [..., V, 3], [..., 3] and [..., V] [rad].

    Example:
        >>> import torch
        >>> x, z = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.0, 0.0, 1.0])
        >>> (rotated(x, z, torch.tensor([torch.pi / 2])).round() + 0).tolist()
        [[0.0, 1.0, 0.0]]
    """
    axis = axis[..., None, :]
    along = (inner(vector, axis) * (1 - angle.cos()))[..., None] * axis
    return vector * angle.cos()[..., None] + cross(axis.expand_as(vector), vector) * angle.sin()[..., None] + along


def twist(points: Tensor, normals: Tensor, axis: Tensor, centre: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """Turns every cross-section about an axis, by an angle that grows along it.

    Barr, "Global and Local Deformations of Solid Primitives", SIGGRAPH 1984. Volumes stay.

    Args:
        points: float [..., V, 3] [m].
        normals: Unit normals, float [..., V, 3].
        axis: Unit vector, float [..., 3].
        centre: A point of the axis, where the angle is 0, float [..., 3] [m].
        rate: float [...] [rad/m].

    Returns:
        Points and unit normals, float [..., V, 3] each.

    Example:
        >>> import torch
        >>> z, centre = torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3)
        >>> point = torch.tensor([[1.0, 0.0, 1.0]])
        >>> (twist(point, point / 2**0.5, z, centre, torch.tensor(torch.pi))[0].round() + 0).tolist()
        [[-1.0, 0.0, 1.0]]
    """
    offset = points - centre[..., None, :]
    angle = rate[..., None] * inner(offset, axis[..., None, :])
    moved = rotated(offset, axis, angle) + centre[..., None, :]
    # J = R (I + u a^T) with u = rate a x offset, and a . u = 0: the inverse transpose is R (I - a u^T).
    lean = rate[..., None, None] * cross(axis[..., None, :].expand_as(offset), offset)
    level = normals - axis[..., None, :] * inner(lean, normals)[..., None]
    return moved, unit(rotated(level, axis, angle))


def dent(points: Tensor, normals: Tensor, centre: Tensor, push: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Pushes the points around a centre, those at the centre furthest: by ``push * (1 - d^2 / radius^2)^3``.

    Args:
        points: float [..., V, 3] [m].
        normals: Unit normals, float [..., V, 3].
        centre: float [..., 3] [m].
        push: How far and where to the centre goes, float [..., 3] [m]. The surface does not fold while its length
            stays below half the radius.
        radius: What lies further away stays, float [...] [m], above 0.

    Returns:
        Points and unit normals, float [..., V, 3] each.

    Example:
        >>> import torch
        >>> top = torch.tensor([[0.0, 0.0, 1.0], [9.0, 0.0, 1.0]])
        >>> up = torch.tensor([[0.0, 0.0, 1.0]])
        >>> dent(top, up, top[0], torch.tensor([0.0, 0.0, -0.25]), torch.tensor(1.0))[0].tolist()
        [[0.0, 0.0, 0.75], [9.0, 0.0, 1.0]]
    """
    offset = points - centre[..., None, :]
    scale = (1 / radius)[..., None]
    left = (1 - inner(offset, offset) * (scale * scale)).clamp(min=0)
    push = push[..., None, :]
    moved = points + push * (left * left * left)[..., None]
    # J = I + push g^T: its cofactors are (1 + push . g) I - g push^T.
    slope = offset * (-6 * scale * scale * left * left)[..., None]
    turned = normals * (1 + inner(push, slope))[..., None] - slope * inner(push, normals)[..., None]
    return moved, unit(turned)
