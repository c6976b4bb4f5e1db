"""Deformed copies of meshes as further meshes of a batch: what is made once, and what is made for each batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from fastsynth.assets import Assets
from fastsynth.deform import Topology, topology

_NEVER = 2.0  # cutoff of a normal cone that hides nothing: docs/design/0002
# What a centre and a length may lose to rounding, as a part of them.
_SLACK = 1e-5


class Templates(nn.Module):
    """One level of detail of some meshes, as tables of one size, so that a copy of any of them fills the same room.

    Vertices that share place and normal are one *point*: the copies of a vertex in several meshlets, and both sides of
    a seam. A row that a mesh does not need repeats its first.

    Args:
        assets: Where the meshes lie.
        meshes: Rows of `assets.meshes`.
        level: Of detail; meshes without so many give their coarsest.
    """

    row: Tensor  #: row of the tables for each mesh of the assets, -1 = none, int64 [K]
    count: Tensor  #: points, int64 [T]
    points: Tensor  #: float32 [T, 3, P]
    normals: Tensor  #: float32 [T, 3, P]
    bounds: Tensor  #: float32 [T, 6]
    point: Tensor  #: of each vertex, int64 [T, VC]
    uvs: Tensor  #: float32 [T, VC, 2]
    colors: Tensor  #: uint8 [T, VC, 4]
    faces: Tensor  #: rows of the copy's own vertices, then the material, int32 [T, FC, 4]
    meshlets: Tensor  #: in rows of the copy's own, int32 [T, MC, 4]
    spheres: Tensor  #: float32 [T, MC, 4]
    level: Tensor  #: number of meshlets and of faces, int32 [T, 2]
    mesh_class: Tensor  #: int32 [T]
    corners: Tensor  #: rows of the copy's points, int64 [T, FC, 3]

    def __init__(self, assets: Assets, meshes: list[int], level: int = 0) -> None:
        super().__init__()
        host = assets.to("cpu")
        parts = [_part(host, mesh, level) for mesh in meshes]

        def table(name: str, dtype: torch.dtype) -> Tensor:
            values = [np.asarray(part[name]) for part in parts]
            length = max(len(value) for value in values)
            # Meshlets and faces of no use have no vertices; everything else repeats its first row.
            mode = {"constant_values": 0} if name in ("meshlets", "faces") else None
            padded = []
            for value in values:
                pad = [(0, length - len(value))] + [(0, 0)] * (value.ndim - 1)
                if mode is None:
                    padded.append(np.concatenate([value, np.repeat(value[:1], length - len(value), 0)]))
                else:
                    padded.append(np.pad(value, pad, "constant", **mode))
            return torch.tensor(np.stack(padded)).to(dtype)

        row = torch.full((len(assets),), -1, dtype=torch.int64)
        row[torch.tensor(meshes)] = torch.arange(len(meshes))
        held = {
            "row": row,
            "count": torch.tensor([len(part["points"]) for part in parts]),
            "points": table("points", torch.float32).mT.contiguous(),
            "normals": table("normals", torch.float32).mT.contiguous(),
            "bounds": host.mesh_bounds[torch.tensor(meshes)],
            "point": table("point", torch.int64),
            "uvs": table("uvs", torch.float32),
            "colors": table("colors", torch.uint8),
            "faces": table("faces", torch.int32),
            "meshlets": table("meshlets", torch.int32),
            "spheres": table("spheres", torch.float32),
            "level": torch.tensor([part["level"] for part in parts], dtype=torch.int32),
            "mesh_class": host.mesh_class[torch.tensor(meshes)],
        }
        for name, value in held.items():
            self.register_buffer(name, value.to(assets.device), persistent=False)
        self.topologies = [part["topology"] for part in parts]

    def extended(self, assets: Assets, row: Tensor, points: Tensor, normals: Tensor) -> Assets:
        """The assets with a mesh more for each instance.

        Args:
            assets: Those that the tables were made of.
            row: Row of the tables for each instance, int64 [I].
            points: Deformed, float32 [I, 3, P].
            normals: float32 [I, 3, P].
        """
        instances, width, height = row.shape[0], self.point.shape[1], self.faces.shape[1]
        vertices, first_face = assets.vertex_data.shape[0], assets.faces.shape[0]
        slot = torch.arange(instances, dtype=torch.int32, device=row.device)

        take = self.point.index_select(0, row)[:, None].expand(-1, 3, -1)
        data = torch.cat([points.gather(2, take), normals.gather(2, take), self.uvs.index_select(0, row).mT], 1)
        faces = self.faces.index_select(0, row)
        faces[..., :3] += (vertices + width * slot)[:, None, None]
        meshlets = self.meshlets.index_select(0, row)
        meshlets[..., 0] += (vertices + width * slot)[:, None]
        meshlets[..., 2] += (first_face + height * slot)[:, None]
        level = self.level.index_select(0, row)
        first_meshlet = assets.meshlets.shape[0] + self.meshlets.shape[1] * slot
        levels = torch.stack([first_meshlet, level[:, 0], first_face + height * slot, level[:, 1]], 1)
        one, many = torch.ones_like(slot), torch.full_like(slot, points.shape[2])
        meshes = torch.stack(
            [assets.levels.shape[0] + slot, one, assets.hull.shape[0] + points.shape[2] * slot, many], 1
        )
        low, high = points.amin(2), points.amax(2)
        added = {
            "vertex_data": data.mT.reshape(-1, 8),
            "faces": faces.view(-1, 4),
            "meshlets": meshlets.view(-1, 4),
            "meshlet_bounds": self._bounds(row, points).view(-1, 8),
            "levels": levels,
            "level_error": torch.zeros_like(slot, dtype=torch.float32),
            "meshes": meshes,
            "mesh_bounds": torch.cat([low, high], 1),
            "mesh_class": self.mesh_class.index_select(0, row),
            "hull": points.mT.reshape(-1, 3),
        }
        if assets.vertex_colors.shape[0]:
            added["vertex_colors"] = self.colors.index_select(0, row).view(-1, 4)
        joined = {name: torch.cat([getattr(assets, name), value]) for name, value in added.items()}
        return dataclasses.replace(assets, **joined, mesh_names=assets.mesh_names + ("deformed",) * instances)

    def _bounds(self, row: Tensor, points: Tensor) -> Tensor:
        """Spheres and cones of the copies' meshlets, float32 [I, MC, 8].

        A sphere at rest, moved as the middle of all points moves and made larger by the furthest that any point strays
        from that, holds the deformed meshlet; its cone hides nothing.
        """
        sphere = self.spheres.index_select(0, row)
        strayed = (points - self.points.index_select(0, row)).detach()
        low, high = strayed.amin(2), strayed.amax(2)  # [I, 3]
        shift = (low + high) / 2
        x, y, z = (high - low).unbind(1)
        reach = (x * x + y * y + z * z).sqrt() / 2  # half the diagonal of the box of displacements
        centre = sphere[..., :3] + shift[:, None]
        largest = centre.abs().amax(-1)
        radius = (sphere[..., 3] + reach[:, None]) * (1 + _SLACK) + largest * _SLACK
        cone = torch.zeros_like(sphere)
        cone[..., 2], cone[..., 3] = 1.0, _NEVER
        return torch.cat([centre, radius[..., None], cone], -1)


def _part(assets: Assets, mesh: int, level: int) -> dict:
    """The rows of one mesh, as arrays."""
    first, levels = assets.meshes[mesh, :2].tolist()
    first_meshlet, meshlet_count, first_face, face_count = assets.levels[first + min(level, levels - 1)].tolist()
    meshlets = assets.meshlets[first_meshlet : first_meshlet + meshlet_count].numpy().copy()
    begin, end = int(meshlets[0, 0]), int(meshlets[-1, 0] + meshlets[-1, 1])
    data = assets.vertex_data[begin:end].numpy()
    faces = assets.faces[first_face : first_face + face_count].numpy().copy()
    faces[:, :3] -= begin
    meshlets[:, 0] -= begin
    meshlets[:, 2] -= first_face
    _, place, point = np.unique(data[:, :6], axis=0, return_index=True, return_inverse=True)
    point = point.reshape(-1)
    points, normals = data[place, :3], data[place, 3:6]
    colors = assets.vertex_colors[begin:end].numpy() if assets.vertex_colors.shape[0] else np.zeros((1, 4), np.uint8)
    return {
        "points": points,
        "normals": normals,
        "point": point,
        "uvs": data[:, 6:],
        "colors": colors,
        "faces": faces,
        "meshlets": meshlets,
        "spheres": assets.meshlet_bounds[first_meshlet : first_meshlet + meshlet_count, :4].numpy(),
        "level": [meshlet_count, face_count],
        "topology": topology(point[faces[:, :3]], points, normals),
    }


def stacked(topologies: list[Topology]) -> Topology:
    """Topologies of several meshes as one, each padded to the largest: faces [T, F, 3], corners [T, V, D].

    Example:
        >>> one = topology(np.array([[0, 1, 2]]), np.eye(3))
        >>> stacked([one, one]).corners.shape
        torch.Size([2, 3, 1])
    """
    faces = max(one.faces.shape[0] for one in topologies)
    vertices, degree = (max(one.corners.shape[axis] for one in topologies) for axis in (0, 1))
    all_faces, all_corners = [], []
    for one in topologies:
        pad = faces - one.faces.shape[0]
        all_faces.append(torch.nn.functional.pad(one.faces, (0, 0, 0, pad)))  # of no area
        none = one.corners >= 3 * one.faces.shape[0]
        corners = torch.where(none, 3 * faces, one.corners)
        extra = (0, degree - corners.shape[1], 0, vertices - corners.shape[0])
        all_corners.append(torch.nn.functional.pad(corners, extra, value=3 * faces))
    return Topology(torch.stack(all_faces), torch.stack(all_corners))
