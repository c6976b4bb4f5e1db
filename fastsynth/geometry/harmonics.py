"""Real spherical harmonics up to order 2."""

from __future__ import annotations

import torch
from torch import Tensor


def spherical_harmonics(normal: Tensor) -> Tensor:
    """The nine real spherical harmonics up to order 2, in the order of the data model.

    Args:
        normal: Unit vectors, [..., 3].

    Returns:
        [..., 9]: 1, y, z, x, xy, yz, 3z2-1, xz, x2-y2 with their constants.

    Example:
        >>> [round(value, 4) for value in spherical_harmonics(torch.tensor([0.0, 0.0, 1.0])).tolist()[:3]]
        [0.2821, 0.0, 0.4886]
    """
    x, y, z = normal.unbind(-1)
    basis = (
        torch.full_like(x, 0.28209479177387814),  # 1 / (2 sqrt(pi))
        0.4886025119029199 * y,  # sqrt(3 / (4 pi))
        0.4886025119029199 * z,
        0.4886025119029199 * x,
        1.0925484305920792 * x * y,  # sqrt(15 / (4 pi))
        1.0925484305920792 * y * z,
        0.31539156525252005 * (3 * z * z - 1),  # sqrt(5 / (16 pi))
        1.0925484305920792 * x * z,
        0.5462742152960396 * (x * x - y * y),  # sqrt(15 / (16 pi))
    )
    return torch.stack(basis, -1)


def turn_harmonics(coefficients: Tensor, azimuth: Tensor) -> Tensor:
    """Coefficients of a function on the sphere that is turned about z: exact, as each order turns within itself.

    Args:
        coefficients: In the order of :func:`spherical_harmonics`, float [..., 9, C].
        azimuth: Angle, counter-clockwise seen from +z [rad], float [...].

    Returns:
        float [..., 9, C].

    Example:
        >>> along_x = torch.nn.functional.one_hot(torch.tensor([3]), 9).float()[..., None]
        >>> turned = turn_harmonics(along_x, torch.tensor([torch.pi / 2]))
        >>> int(turned.flatten().argmax())  # along y
        1
    """
    one, y, z, x, xy, yz, zz, xz, xx = coefficients.unbind(-2)
    cosine, sine = azimuth.cos()[..., None], azimuth.sin()[..., None]
    cosine_2, sine_2 = cosine * cosine - sine * sine, 2 * sine * cosine
    turned = (
        one,
        sine * x + cosine * y,
        z,
        cosine * x - sine * y,
        sine_2 * xx + cosine_2 * xy,
        sine * xz + cosine * yz,
        zz,
        cosine * xz - sine * yz,
        cosine_2 * xx - sine_2 * xy,
    )
    return torch.stack(turned, -2)
