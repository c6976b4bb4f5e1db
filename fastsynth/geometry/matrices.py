"""Rotations, poses and affine matrices.

A matrix is named by what it turns into what: ``camera_from_world @ world_from_object`` is
``camera_from_object``, so a chain that is written down wrongly reads wrongly. Points are column
vectors. Every function takes any leading axes, broadcasts them, is differentiable and never
waits for the device.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_Angle = TypeVar("_Angle", float, Tensor)


def deg(degrees: _Angle) -> _Angle:
    """Degrees as radians, the unit of every angle in this package.

    Example:
        >>> round(deg(180), 5)
        3.14159
    """
    return degrees * (math.pi / 180)


def as_float(value: Any, like: Tensor | None = None) -> Tensor:
    """A floating point tensor of `value`: a tensor keeps its precision, anything else becomes float32 or as `like`.

    Args:
        value: A tensor, an array, a number or a sequence.
        like: Tensor whose device and precision a value takes that is not a tensor.

    Example:
        >>> as_float((1, 2)).dtype
        torch.float32
    """
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else value.float()
    if like is None:
        return torch.as_tensor(np.asarray(value, dtype=np.float32))
    return torch.as_tensor(np.asarray(value, dtype=np.float64), dtype=like.dtype, device=like.device)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """The product ``a @ b`` of small matrices, the same to the last bit whatever the batch size.

    A matrix product picks its kernel, and with it the order of its sums, by the sizes of all axes. Here terms are
    added in the order of the inner axis, one rounding each.

    Args:
        a: float [..., I, K].
        b: float [..., K, J].

    Returns:
        float [..., I, J].

    Example:
        >>> multiply(torch.ones(1, 2), torch.ones(2, 1)).item()
        2.0
    """
    product = a[..., :1] * b[..., :1, :]
    for k in range(1, a.shape[-1]):
        product = product + a[..., k : k + 1] * b[..., k : k + 1, :]
    return product


def normalize(vector: Tensor) -> Tensor:
    """Vectors of length 1: float [..., n], not 0, to the same bits whatever the batch size.

    Example:
        >>> normalize(torch.tensor([0.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 1.0]
    """
    squares = (vector * vector).unbind(-1)
    return vector / sum(squares[1:], start=squares[0])[..., None].sqrt()


def affine(linear: Tensor, offset: Tensor) -> Tensor:
    """The matrix of ``x -> linear @ x + offset``.

    Args:
        linear: float [..., 3, 3].
        offset: float [..., 3].

    Returns:
        float [..., 4, 4], last row 0 0 0 1.

    Example:
        >>> affine(torch.eye(3), torch.tensor([1.0, 2.0, 3.0]))[0].tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    axes = torch.broadcast_shapes(linear.shape[:-2], offset.shape[:-1])
    top = torch.cat([linear.expand(*axes, 3, 3), offset.expand(*axes, 3)[..., None]], -1)
    matrix = F.pad(top, (0, 0, 0, 1))
    matrix[..., 3, 3] = 1
    return matrix


def translation(offset: Any) -> Tensor:
    """The matrix of a shift by `offset`: float [..., 3] [m] -> [..., 4, 4].

    Example:
        >>> transform_points(translation((0, 0, 2)), torch.zeros(3)).tolist()
        [0.0, 0.0, 2.0]
    """
    offset = as_float(offset)
    return affine(torch.eye(3, dtype=offset.dtype, device=offset.device), offset)


def scaling(factor: Any) -> Tensor:
    """The matrix of a scaling about the origin: one factor for each axis, float [..., 3], or a number -> [..., 4, 4].

    Example:
        >>> scaling(2.0).diagonal().tolist()
        [2.0, 2.0, 2.0, 1.0]
    """
    factor = as_float(factor)
    if factor.ndim == 0:
        factor = factor.expand(3)
    return torch.diag_embed(F.pad(factor, (0, 1), value=1.0))


def compose(*matrices: Tensor) -> Tensor:
    """The product of matrices, the last of them applied first: float [..., 4, 4] each.

    Example:
        >>> compose(translation((1, 0, 0)), scaling(2.0))[0].tolist()
        [2.0, 0.0, 0.0, 1.0]
    """
    product = matrices[0]
    for matrix in matrices[1:]:
        product = multiply(product, matrix)
    return product


def invert_rigid(matrix: Tensor) -> Tensor:
    """The inverse of a rotation and shift: float [..., 4, 4].

    Example:
        >>> invert_rigid(translation((1, 2, 3)))[:3, 3].tolist()
        [-1.0, -2.0, -3.0]
    """
    rotation = matrix[..., :3, :3].mT
    return affine(rotation, -multiply(rotation, matrix[..., :3, 3:])[..., 0])


def transform_points(matrix: Tensor, points: Tensor) -> Tensor:
    """Points through an affine matrix: float [..., 4, 4] and [..., 3] -> [..., 3].

    The leading axes broadcast: for P points and one matrix an image, give [B, 1, 4, 4] and [B, P, 3].

    Example:
        >>> transform_points(translation((1, 0, 0)), torch.zeros(2, 3))[:, 0].tolist()
        [1.0, 1.0]
    """
    return multiply(matrix[..., :3, :3], points[..., None])[..., 0] + matrix[..., :3, 3]


def rotation_from_quaternion(quaternion: Any) -> Tensor:
    """The rotation of a quaternion (w, x, y, z) of any length: float [..., 4] -> [..., 3, 3].

    Example:
        >>> rotation_from_quaternion((0, 0, 0, 2)).tolist()  # half a turn about z
        [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    w, x, y, z = normalize(as_float(quaternion)).unbind(-1)
    rows = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def rotation_from_axis_angle(axis: Any, angle: Any) -> Tensor:
    """The rotation by `angle` about `axis`, counter-clockwise where the axis points at the viewer.

    Args:
        axis: float [..., 3] of any length but 0.
        angle: float [...] [rad].

    Returns:
        float [..., 3, 3].

    Example:
        >>> rotation_from_axis_angle((0, 0, 1), deg(90))[:, 0].round().abs().tolist()  # where +x goes
        [0.0, 1.0, 0.0]
    """
    axis = normalize(as_float(axis))
    half = as_float(angle, like=axis)[..., None] / 2
    xyz = half.sin() * axis
    return rotation_from_quaternion(torch.cat([half.cos().expand(*xyz.shape[:-1], 1), xyz], -1))


def rotation_from_euler(angles: Any, axes: str = "xyz") -> Tensor:
    """The product of rotations about coordinate axes: "xyz" is ``Rx @ Ry @ Rz``, each about the turned frame's axis.

    Args:
        angles: float [..., n] [rad], in the order of the letters.
        axes: n letters of "xyz".

    Returns:
        float [..., 3, 3].

    Example:
        >>> rotation_from_euler((0.0, 0.0, deg(180)))[0].round().tolist()[0]
        -1.0
    """
    angles = as_float(angles)
    if not axes or set(axes) - set("xyz") or angles.shape[-1] != len(axes):
        raise ValueError(
            f"rotation_from_euler(): `axes` must be one of the letters x, y, z for each of the {angles.shape[-1]} "
            f"angles in the last axis of `angles`, but is {axes!r}."
        )
    units = torch.eye(3, dtype=angles.dtype, device=angles.device)
    turns = [rotation_from_axis_angle(units["xyz".index(axis)], angles[..., i]) for i, axis in enumerate(axes)]
    return compose(*turns)


def upright(spot: Tensor, turn: Tensor) -> Tensor:
    """Poses of z-up objects that stand on the plane z = 0, or at a height of their own.

    Args:
        spot: Where: float [..., 2] x, y or [..., 3] x, y, z [m].
        turn: Turn about the vertical, counter-clockwise from above, float [...] [rad].

    Returns:
        ``world_from_object``, float [..., 4, 4].

    Example:
        >>> upright(torch.tensor([1.0, 2.0]), torch.tensor(0.0))[:3, 3].tolist()
        [1.0, 2.0, 0.0]
    """
    if spot.shape[-1] == 2:
        spot = F.pad(spot, (0, 1))
    cos, sin = turn.cos(), turn.sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    linear = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).unflatten(-1, (3, 3))
    return affine(linear, spot)


def look_at(eye: Any, target: Any, up: Any = (0.0, 0.0, 1.0)) -> Tensor:
    """The pose of a camera at `eye` that sees `target` in the middle of its image.

    Where the line of sight is parallel to `up`, the coordinate axis before it takes its part (y for z).

    Args:
        eye: float [..., 3] [m].
        target: float [..., 3] [m].
        up: What points up in the image, float [..., 3].

    Returns:
        ``camera_from_world`` with +x right, +y down, +z forward, float [..., 4, 4].

    Example:
        >>> camera_from_world = look_at(eye=(0, -2, 0), target=(0, 0, 0))
        >>> transform_points(camera_from_world, torch.tensor([0.0, 0.0, 0.5])).tolist()  # above the target
        [0.0, -0.5, 2.0]
    """
    eye = as_float(eye)
    target, up = as_float(target, like=eye), as_float(up, like=eye)
    eye, target, up = torch.broadcast_tensors(eye, target, up)
    forward = normalize(target - eye)
    right = torch.linalg.cross(forward, up)
    parallel = right.square().sum(-1, keepdim=True) <= 1e-10 * up.square().sum(-1, keepdim=True)
    spare = up.roll(-1, -1)  # z -> y -> x -> z: not parallel to `up`
    right = normalize(torch.where(parallel, torch.linalg.cross(forward, spare), right))
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], -2)
    return affine(rotation, -multiply(rotation, eye[..., None])[..., 0])
