"""Normals of deformed surfaces: by the derivative of the deformation, or from the triangles again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

WEIGHTS = ("area", "angle")


def cross(a: Tensor, b: Tensor) -> Tensor:
    """``a x b`` over the last axis, in elementwise arithmetic: float [..., 3].

    Example:
        >>> cross(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])).tolist()
        [0.0, 0.0, 1.0]
    """
    ax, ay, az = a.unbind(-1)
    bx, by, bz = b.unbind(-1)
    return rows(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner products over the last axis, its terms added in order: float [..., 3] -> [...].

    Example:
        >>> inner(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 1.0])).item()
        6.0
    """
    x, y, z = (a * b).unbind(-1)
    return x + y + z


def rows(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Vectors of components [..., V], float [..., V, 3], with each component's numbers side by side in memory."""
    return torch.stack([x, y, z], -2).mT if x.ndim else torch.stack([x, y, z], -1)


def unit(vector: Tensor) -> Tensor:
    """Vectors of length 1, float [..., 3]; a zero vector becomes +z and gets no gradient.

    Example:
        >>> unit(torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]])).mul(10).round().tolist()
        [[0.0, 6.0, 8.0], [0.0, 0.0, 10.0]]
    """
    square = inner(vector, vector)
    there = square > 0
    length = torch.where(there, square, 1).sqrt()[..., None]
    up = torch.zeros_like(vector)
    up[..., 2] = 1
    return torch.where(there[..., None], vector / length, up)


def transform_normals(normals: Tensor, derivative: Sequence[Tensor]) -> Tensor:
    """Normals of a surface after a map, from the map's derivative: ``cofactor(J) n``, of unit length.

    Args:
        normals: float [..., V, 3].
        derivative: Of the map along x, y and z, float [..., V, 3] each: the columns of its Jacobian J.

    Returns:
        float [..., V, 3]; they point to the side that the map turns the old ones' side into, if it mirrors nothing.

    Example:
        >>> columns = list(torch.diag(torch.tensor([2.0, 1.0, 1.0]))[:, None])
        >>> slope = torch.tensor([[1.0, 1.0, 0.0]]) / 2**0.5
        >>> transform_normals(slope, columns).mul(100).round().tolist()  # stretched along x, it turns away from x
        [[45.0, 89.0, 0.0]]
    """
    x, y, z = derivative
    nx, ny, nz = (part[..., None] for part in normals.unbind(-1))
    return unit(nx * cross(y, z) + ny * cross(z, x) + nz * cross(x, y))


class Topology(NamedTuple):
    """Which corners meet at a vertex: from :func:`topology`."""

    faces: Tensor  #: int64 [F, 3]
    corners: Tensor  #: corners 3 f + c that meet at each vertex, padded by 3 F, int64 [V, D]


def topology(faces: np.ndarray, vertices: np.ndarray, normals: np.ndarray | None = None) -> Topology:
    """What `vertex_normals` needs to know of a mesh, made once.

    Vertices at one place count as one, so that a seam of the texture coordinates does not show; where normals are
    given only if those agree too, so that a crease stays a crease.

    Args:
        faces: int [F, 3], counter-clockwise seen from outside.
        vertices: Of the mesh at rest, float [V, 3].
        normals: float [V, 3].

    Example:
        >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
        >>> topology(np.array([[0, 1, 2], [0, 2, 3]]), square).corners.tolist()
        [[0, 3], [1, 6], [2, 4], [5, 6]]
    """
    key = np.asarray(vertices, np.float64)
    if normals is not None:
        key = np.concatenate([key, np.round(np.asarray(normals, np.float64), 4)], 1)
    _, place = np.unique(key, axis=0, return_inverse=True)
    place = place.reshape(-1)
    flat = np.asarray(faces, np.int64).reshape(-1)
    at: list[list[int]] = [[] for _ in range(int(place.max(initial=-1)) + 1)]
    for corner, vertex in enumerate(flat.tolist()):
        at[place[vertex]].append(corner)
    degree = max((len(corners) for corners in at), default=1) or 1
    table = np.full((len(at), degree), len(flat), np.int64)
    for row, corners in enumerate(at):
        table[row, : len(corners)] = corners
    return Topology(torch.from_numpy(flat.reshape(-1, 3).copy()), torch.from_numpy(table[place]))


def by_angle(corner: Sequence[Tensor], face: Tensor) -> Tensor:
    """Unit normals of faces times the angle at each corner.

    Args:
        corner: The three corners, float [..., F, 3] each.
        face: Normals of any length, float [..., F, 3].

    Returns:
        float [..., F, 3, 3]; 0 for a face of no area.

    Example:
        >>> corners = list(torch.eye(3)[:, None])
        >>> by_angle(corners, torch.ones(1, 3)).norm(dim=-1).mul(180 / torch.pi).round().tolist()
        [[60.0, 60.0, 60.0]]
    """
    there = inner(face, face) > 0
    normal = unit(face)
    angles = []
    for c in range(3):
        a, b = corner[(c + 1) % 3] - corner[c], corner[(c + 2) % 3] - corner[c]
        sine = inner(cross(a, b), normal)  # |a x b|, as the face's normal is parallel to it
        angles.append(torch.where(there, torch.atan2(torch.where(there, sine, 1), inner(a, b)), 0))
    return normal[..., None, :] * torch.stack(angles, -1)[..., None]


def vertex_normals(points: Tensor, mesh: Topology, *, weight: str = "area") -> Tensor:
    """Unit normals of the vertices of deformed copies of a mesh, from their triangles.

    A vertex's is the sum of the normals of the faces around it, weighted by their areas, or by their angles at the
    vertex (Thürmer and Wüthrich, "Computing Vertex Normals from Polygonal Facets", JGT 1998).

    Args:
        points: float [..., V, 3].
        mesh: From :func:`topology`, on the device of the points.
        weight: "area" or "angle".

    Returns:
        float [..., V, 3]; +z at a vertex of no face. Differentiable.

    Raises:
        ValueError: an unknown weight.

    Example:
        >>> triangle = topology(np.array([[0, 1, 2]]), np.eye(3))
        >>> vertex_normals(torch.eye(3), triangle)[0].mul(100).round().tolist()
        [58.0, 58.0, 58.0]
    """
    if weight not in WEIGHTS:
        raise ValueError(f"vertex_normals(): `weight` must be one of {WEIGHTS}, but is {weight!r}.")
    corner = [points.index_select(-2, mesh.faces[:, c]) for c in range(3)]  # [..., F, 3] each
    face = cross(corner[1] - corner[0], corner[2] - corner[0])
    if weight == "area":
        terms = face[..., None, :].expand(*face.shape[:-1], 3, 3)
    else:
        terms = by_angle(corner, face)
    terms = torch.nn.functional.pad(terms.flatten(-3, -2), (0, 0, 0, 1))  # one more row of zeros, for the padding
    total = terms.index_select(-2, mesh.corners[:, 0])
    for column in range(1, mesh.corners.shape[1]):
        total = total + terms.index_select(-2, mesh.corners[:, column])
    return unit(total)
