"""Deform: the meshes of a scene in random shapes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastsynth.assets import Assets
from fastsynth.deform.normals import WEIGHTS, Topology, by_angle, cross, unit, vertex_normals
from fastsynth.ops.deform import Bend, Copies, deform, deform_copies
from fastsynth.random import Noise
from fastsynth.randomizers.deformed import Templates
from fastsynth.randomizers.deformers import Deformer, Rest, Shape
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

NORMALS = ("exact", *WEIGHTS)


class Deform(Randomizer):
    """Gives every instance a shape of its own: copies of its mesh, deformed for each image anew.

    Give it to a `Scene` by a name of your own; it then runs after `Objects`. Instances whose mesh is not among `meshes`
    stay as they are, and so do those of objects that come later. Class, material, texture coordinates and pose stay.
    All labels are those of the deformed shape: boxes, masks, depth, normals, `boxes_3d`; ``object_coordinates``
    are places on the deformed shape in the object's frame. Placements (`OnPlane`, `separate`) see the mesh at rest.

    A mesh bends at its vertices only: give flat sides some (:func:`fastsynth.procedural.tessellated`).

    ``batch.assets`` of the result are the scene's, and behind them one mesh for each slot, in the order of images and
    slots. They take memory and time with the number of slots and the vertices of the largest mesh: see ``docs/howto``.

    Args:
        deformers: One or several, applied in turn.
        meshes: Rows of the meshes to be deformed; all by default.
        level: Level of detail that the copies are made of; meshes that have fewer give their coarsest. They have no
            coarser ones themselves.
        normals: "exact": turned along with the surface by the deformers; "area" or "angle": made from the deformed
            triangles, with that weight, creases and seams as the mesh has them.
        slots: How many of the first slots hold what may be deformed; all by default. Others take no memory and no time.

    Raises:
        ValueError: no deformer, an unknown way of making normals, a level below 0, or no slot.

    Example:
        >>> import fastsynth as fs
        >>> soft = fs.Deform([fs.Lattice(fs.Normal(0.0, 0.08)), fs.Twist(fs.Normal(0.0, 0.3)), fs.Dent()])
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3), soft=soft)
        >>> batch = scene.sample(2)
        >>> len(batch.assets) - len(scene.assets), batch.mesh_id[1].tolist()
        (6, [9, 10, 11])
        >>> frames = fs.render(batch, (32, 32))
    """

    def __init__(
        self,
        deformers: Deformer | Sequence[Deformer],
        meshes: Sequence[int] | None = None,
        level: int = 0,
        normals: str = "exact",
        slots: int | None = None,
    ) -> None:
        super().__init__()
        steps = [deformers] if isinstance(deformers, Deformer) else list(deformers)
        if not steps or not all(isinstance(step, Deformer) for step in steps):
            raise ValueError("Deform: give at least one deformer, such as fs.Lattice().")
        if normals not in NORMALS:
            raise ValueError(f"Deform: `normals` must be one of {NORMALS}, but is {normals!r}.")
        if level < 0:
            raise ValueError(f"Deform: `level` must be 0 (finest) or more, but is {level}.")
        self.deformers = nn.ModuleList(steps)
        self.meshes = None if meshes is None else [int(row) for row in meshes]
        if slots is not None and slots < 1:
            raise ValueError(f"Deform: `slots` must be 1 or more, but is {slots}.")
        self.level, self.normals, self.slots = level, normals, slots

    def extend(self, assets: Assets) -> Assets:
        """Makes the tables of the meshes, once; the assets stay."""
        meshes = list(range(len(assets))) if self.meshes is None else self.meshes
        if not meshes or not all(0 <= row < len(assets) for row in meshes):
            raise ValueError(f"Deform: `meshes` must name rows of the scene's {len(assets)} meshes, but is {meshes}.")
        tables = Templates.of(assets, meshes, self.level, topology=self.normals != "exact")
        first, count = tables.runs[0, :2].tolist()
        for step in self.deformers:
            step.match(assets.vertices[first : first + count])  # type: ignore[operator]
        return assets.keeping(self, tables)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """New meshes, and a batch that names them."""
        tables: Templates = batch.assets.kept_for(self)
        if batch.instances == 0:
            return batch
        known, ids = tables.row, batch.mesh_id[:, : self.slots]
        mesh = ids.clamp(0, known.shape[0] - 1).long()
        row = torch.where((ids >= 0) & (ids < known.shape[0]), known[mesh], -1)  # [B, N]
        learns = torch.is_grad_enabled() and any(value.requires_grad for value in self.deformers.parameters())
        kernels = all(step.has_kernel for step in self.deformers)
        fused = kernels and not learns and self.normals == "exact"
        copies = (self._by_kernel if fused else self._in_torch)(batch.assets, tables, row, noise)
        assets = tables.extended(batch.assets, row.clamp(min=0).flatten(), *copies)
        number = torch.arange(row.numel(), dtype=torch.int32, device=row.device).view(row.shape) + len(batch.assets)
        # A mesh that there was not must not become one of the copies.
        mesh = torch.where(batch.mesh_id >= len(batch.assets), torch.iinfo(torch.int32).max, batch.mesh_id)
        mesh = torch.cat([torch.where(row >= 0, number, mesh[:, : row.shape[1]]), mesh[:, row.shape[1] :]], 1)
        return batch.replace(assets=assets, mesh_id=mesh)

    def _by_kernel(self, assets: Assets, tables: Templates, row: Tensor, noise: Noise) -> tuple[Copies, Tensor, Tensor]:
        """The copies and the boxes of their displacements: lower and upper corner, float32 [I, 3] each."""
        flat = row.clamp(min=0).flatten()
        runs = tables.runs.index_select(0, flat)
        first, count = runs[:, 0], runs[:, 1]
        low, high = tables.bounds.index_select(0, flat).unflatten(0, row.shape).split(3, -1)
        bends: list[Bend] = []

        def at(which: Tensor) -> tuple[Tensor, Tensor]:
            one = first + which.flatten().int()
            if not bends:
                here = assets.vertex_data.index_select(0, one.long())
            else:
                here = deform(assets.vertex_data, one, torch.ones_like(one), bends, 1)[:, 0]
            return here[:, :3].unflatten(0, row.shape), here[:, 3:6].unflatten(0, row.shape)

        lower, upper = torch.zeros_like(low), torch.zeros_like(low)
        points = count.unflatten(0, row.shape).long()
        for step in self.deformers:
            rest = Rest(points, low, high, low + lower, high + upper, at)
            made, least, most = step.bend(rest, noise)  # type: ignore[operator]
            bends.append(made)
            lower, upper = lower + least, upper + most
        copies = deform_copies(
            assets.vertex_data, assets.faces, assets.hull, runs, bends, tables.capacity, tables.face_rows
        )
        return copies, lower.flatten(0, 1), upper.flatten(0, 1)

    def _in_torch(self, assets: Assets, tables: Templates, row: Tensor, noise: Noise) -> tuple[Copies, Tensor, Tensor]:
        """The same in differentiable functions, for any deformer."""
        flat = row.clamp(min=0).flatten()
        data = assets.vertex_data.index_select(0, tables.rows(flat).flatten()).view(*row.shape, tables.capacity, 8)
        low, high = tables.bounds.index_select(0, flat).unflatten(0, row.shape).split(3, -1)
        count = tables.runs.index_select(0, flat)[:, 1].unflatten(0, row.shape).long()
        # Each coordinate's numbers side by side.
        parts = data.mT.contiguous()
        rest = parts[..., :3, :].mT
        shape = Shape(rest, parts[..., 3:6, :].mT, count, low, high)
        for step in self.deformers:
            shape = step.deform(shape, noise)  # type: ignore[operator]
        mesh = tables.topology
        normals = shape.normals if mesh is None else self._from_faces(shape.points, mesh, flat)
        vertices = torch.cat([shape.points, normals, data[..., 6:]], -1).flatten(0, 1)
        moved = (shape.points - rest).detach().flatten(0, 1)
        return tables.copied(assets, flat, vertices), moved.amin(1), moved.amax(1)

    def _from_faces(self, points: Tensor, mesh: Topology, row: Tensor) -> Tensor:
        """As `fastsynth.deform.vertex_normals`, with a mesh of its own for each instance: [B, N, P, 3], [B N]."""
        if mesh.faces.shape[0] == 1:
            return vertex_normals(points, Topology(mesh.faces[0], mesh.corners[0]), weight=self.normals)
        flat = points.mT.flatten(0, 1)  # [I, 3, P]
        faces = mesh.faces.index_select(0, row)
        corner = [flat.gather(2, faces[..., c][:, None].expand(-1, 3, -1)).mT for c in range(3)]
        face = cross(corner[1] - corner[0], corner[2] - corner[0])
        terms = face[..., None, :].expand(-1, -1, 3, -1) if self.normals == "area" else by_angle(corner, face)
        terms = torch.nn.functional.pad(terms.flatten(1, 2), (0, 0, 0, 1)).mT
        corners = mesh.corners.index_select(0, row)
        total = torch.zeros_like(flat)
        for column in range(corners.shape[2]):
            total = total + terms.gather(2, corners[..., column][:, None].expand(-1, 3, -1))
        return unit(total.mT).unflatten(0, points.shape[:2])
