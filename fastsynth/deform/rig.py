"""Loops of vertices that turn together, each by its own part of an angle."""

from __future__ import annotations

from torch import Tensor

from fastsynth.deform.bend import rotated


def rotate_loops(points: Tensor, strength: Tensor, axis: Tensor, pivot: Tensor, angle: Tensor) -> Tensor:
    """Turns each vertex about an axis by a part of an angle: eyelids, jaws, fingers.

    Args:
        points: float [..., V, 3] [m].
        strength: What part of the angle a vertex follows, the same within a loop, float [V] or [..., V].
        axis: Unit vector, float [..., 3].
        pivot: A point of the axis, float [..., 3] [m].
        angle: float [...] [rad].

    Returns:
        float [..., V, 3] [m].

    Example:
        >>> import torch
        >>> points, strength = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]), torch.tensor([1.0, 0.0])
        >>> z, origin = torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3)
        >>> (rotate_loops(points, strength, z, origin, torch.tensor(torch.pi / 2)).round() + 0).tolist()
        [[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]]
    """
    pivot = pivot[..., None, :]
    return rotated(points - pivot, axis, strength * angle[..., None]) + pivot
