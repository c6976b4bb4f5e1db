"""Deformed copies of meshes as further meshes of a batch: what is made once, and what is made for each batch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.deform import Topology, topology
from fastsynth.ops.deform import Copies

_NEVER = 2.0  # cutoff of a normal cone that hides nothing: docs/design/0002
# What a centre and a length may lose to rounding, as a part of them.
_SLACK = 1e-5


@dataclass(frozen=True)
class Templates:
    """One level of detail of some meshes, as tables of one size, so that a copy of any of them fills the same room.

    A copy's vertices are those of the mesh's level, in rows for the most that any has; it leaves the others as zeros.
    """

    row: Tensor  #: row of the tables for each mesh of the assets, -1 = none, int64 [K]
    runs: Tensor  #: first vertex and vertex count, first face and face count, int32 [T, 4]
    bounds: Tensor  #: float32 [T, 6]
    meshlets: Tensor  #: in rows of the copy's own, int32 [T, MC, 4]
    spheres: Tensor  #: float32 [T, MC, 4]
    cut: Tensor  #: number of meshlets, int32 [T]
    mesh_class: Tensor  #: int32 [T]
    capacity: int  #: rows of vertices of a copy
    face_rows: int
    topology: Topology | None = None  #: what `vertex_normals` needs, for each row: faces [T, F, 3], corners [T, V, D]

    @classmethod
    def of(cls, assets: Assets, meshes: list[int], level: int, topology: bool) -> Templates:
        """The tables.

        Args:
            assets: Where the meshes lie.
            meshes: Rows of `assets.meshes`.
            level: Of detail; meshes without so many give their coarsest.
            topology: Are they wanted?
        """
        host = assets.to("cpu")
        parts = [_part(host, mesh, level) for mesh in meshes]

        def table(name: str) -> Tensor:
            length = max(len(part[name]) for part in parts)
            return torch.stack([F.pad(part[name], (0, 0, 0, length - len(part[name]))) for part in parts])

        row = torch.full((len(assets),), -1, dtype=torch.int64)
        row[torch.tensor(meshes)] = torch.arange(len(meshes))
        return cls(
            row=row,
            runs=torch.tensor([part["run"] for part in parts], dtype=torch.int32),
            bounds=host.mesh_bounds[torch.tensor(meshes)],
            meshlets=table("meshlets"),
            spheres=table("spheres"),
            cut=torch.tensor([part["cut"] for part in parts], dtype=torch.int32),
            mesh_class=host.mesh_class[torch.tensor(meshes)],
            capacity=max(part["run"][1] for part in parts),
            face_rows=max(part["run"][3] for part in parts),
            topology=stacked([_topology(host, part["run"]) for part in parts]) if topology else None,
        ).to(assets.device)

    def to(self, device: torch.device | str) -> Templates:
        """The same on another device."""
        tables = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        mesh = None if self.topology is None else Topology(*(value.to(device) for value in self.topology))
        return dataclasses.replace(self, topology=mesh, **tables)

    def rows(self, row: Tensor) -> Tensor:
        """Rows of ``vertex_data`` of the copies' vertices: int64 [I] -> int64 [I, capacity]."""
        number = torch.arange(self.capacity, dtype=torch.int32, device=row.device)
        first, count = self.runs.index_select(0, row)[:, :2, None].unbind(1)
        return (torch.minimum(number, count - 1) + first).long()

    def copied(self, assets: Assets, row: Tensor, vertices: Tensor) -> Copies:
        """What the kernel makes, of deformed vertices that were made otherwise: float32 [I, capacity, 8]."""
        number = torch.arange(self.face_rows, dtype=torch.int32, device=row.device)
        run = self.runs.index_select(0, row)[..., None]
        there = number < run[:, 3]
        faces = assets.faces.index_select(0, torch.where(there, number + run[:, 2], 0).long().flatten())
        slot = torch.arange(row.shape[0], dtype=torch.int32, device=row.device)
        shift = assets.vertex_data.shape[0] + slot * self.capacity - run[:, 0, 0]
        corners = F.pad(shift[:, None, None].expand(-1, self.face_rows, 3), (0, 1))
        faces = torch.where(there[..., None], faces.view(*there.shape, 4) + corners, 0)
        used = (torch.arange(self.capacity, dtype=torch.int32, device=row.device) < run[:, 1])[..., None]
        bounds = torch.cat([vertices[..., :3].amin(1), vertices[..., :3].amax(1)], 1).detach()  # the last is repeated
        vertices = torch.where(used, vertices, 0)
        return Copies(
            torch.cat([assets.vertex_data, vertices.reshape(-1, 8)]),
            torch.cat([assets.faces, faces.view(-1, 4)]),
            torch.cat([assets.hull, vertices[..., :3].detach().reshape(-1, 3)]),
            bounds,
        )

    def extended(self, assets: Assets, row: Tensor, copies: Copies, low: Tensor, high: Tensor) -> Assets:
        """The assets with a mesh more for each instance.

        Args:
            assets: Those that the tables were made of, or more.
            row: Row of the tables for each instance, int64 [I].
            copies: Deformed vertices, and what belongs to them.
            low: Lower corner of a box that holds all displacements of an instance, float32 [I, 3] [m].
            high: Upper corner, float32 [I, 3] [m].
        """
        instances, width, height = row.shape[0], self.capacity, self.face_rows
        before, first_face = assets.vertex_data.shape[0], assets.faces.shape[0]
        slot = torch.arange(instances, dtype=torch.int32, device=row.device)
        meshlets = self.meshlets.index_select(0, row)
        meshlets[..., 0] += (before + width * slot)[:, None]
        meshlets[..., 2] += (first_face + height * slot)[:, None]
        first_meshlet = assets.meshlets.shape[0] + self.meshlets.shape[1] * slot
        cut, vertices, faces = self.cut.index_select(0, row), *self.runs.index_select(0, row)[:, 1::2].unbind(1)
        levels = torch.stack([first_meshlet, cut, first_face + height * slot, faces], 1)
        first_hull = assets.hull.shape[0] + width * slot
        meshes = [assets.levels.shape[0] + slot, torch.ones_like(slot), first_hull, vertices]
        added = {
            "meshlets": meshlets.view(-1, 4),
            "meshlet_bounds": self._bounds(row, low, high).view(-1, 8),
            "levels": levels,
            "level_error": torch.zeros_like(slot, dtype=torch.float32),
            "meshes": torch.stack(meshes, 1),
            "mesh_bounds": copies.bounds,
            "mesh_class": self.mesh_class.index_select(0, row),
        }
        if assets.vertex_colors.shape[0]:
            added["vertex_colors"] = assets.vertex_colors.index_select(0, self.rows(row).flatten())
        joined = {name: torch.cat([getattr(assets, name), value]) for name, value in added.items()}
        whole = {"vertex_data": copies.vertex_data, "faces": copies.faces, "hull": copies.hull}
        names = assets.mesh_names + ("deformed",) * instances
        return dataclasses.replace(assets, **joined, **whole, mesh_names=names)

    def _bounds(self, row: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Spheres and cones of the copies' meshlets, float32 [I, MC, 8].

        A sphere at rest, moved to the middle of the box of displacements and made larger by half its diagonal, holds
        the deformed meshlet; its cone hides nothing.
        """
        sphere = self.spheres.index_select(0, row)
        x, y, z = (high - low).detach().unbind(1)
        reach = (x * x + y * y + z * z).sqrt() / 2
        centre = sphere[..., :3] + ((low + high) / 2).detach()[:, None]
        radius = (sphere[..., 3] + reach[:, None]) * (1 + _SLACK) + centre.abs().amax(-1) * _SLACK
        cone = torch.zeros_like(sphere)
        cone[..., 2], cone[..., 3] = 1.0, _NEVER
        return torch.cat([centre, radius[..., None], cone], -1)


def _topology(host: Assets, run: list[int]) -> Topology:
    first, count, first_face, face_count = run
    data = host.vertex_data[first : first + count].numpy()
    faces = host.faces[first_face : first_face + face_count, :3].numpy() - first
    return topology(faces, data[:, :3], data[:, 3:6])


def _part(assets: Assets, mesh: int, level: int) -> dict:
    """The rows of one mesh."""
    first, levels = assets.meshes[mesh, :2].tolist()
    first_meshlet, meshlet_count, first_face, face_count = assets.levels[first + min(level, levels - 1)].tolist()
    meshlets = assets.meshlets[first_meshlet : first_meshlet + meshlet_count]
    begin, end = int(meshlets[0, 0]), int(meshlets[-1, 0] + meshlets[-1, 1])
    return {
        "run": [begin, end - begin, first_face, face_count],
        "meshlets": meshlets - torch.tensor([begin, 0, first_face, 0]).int(),
        "spheres": assets.meshlet_bounds[first_meshlet : first_meshlet + meshlet_count, :4],
        "cut": meshlet_count,
    }


def stacked(topologies: list[Topology]) -> Topology:
    """Topologies of several meshes as one, each padded to the largest: faces [T, F, 3], corners [T, V, D].

    Example:
        >>> import numpy as np
        >>> one = topology(np.array([[0, 1, 2]]), np.eye(3))
        >>> stacked([one, one]).corners.shape
        torch.Size([2, 3, 1])
    """
    faces = max(one.faces.shape[0] for one in topologies)
    vertices, degree = (max(one.corners.shape[axis] for one in topologies) for axis in (0, 1))
    all_faces, all_corners = [], []
    for one in topologies:
        all_faces.append(F.pad(one.faces, (0, 0, 0, faces - one.faces.shape[0])))  # of no area
        corners = torch.where(one.corners >= 3 * one.faces.shape[0], 3 * faces, one.corners)
        extra = (0, degree - corners.shape[1], 0, vertices - corners.shape[0])
        all_corners.append(F.pad(corners, extra, value=3 * faces))
    return Topology(torch.stack(all_faces), torch.stack(all_corners))
