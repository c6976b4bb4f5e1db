"""Deform: the meshes of a scene in random shapes."""

from __future__ import annotations

from collections.abc import Sequence
import torch
from torch import Tensor, nn

from fastsynth.assets import Assets
from fastsynth.deform.normals import WEIGHTS, Topology, by_angle, cross, unit, vertex_normals
from fastsynth.random import Noise
from fastsynth.randomizers.deformed import Templates, stacked
from fastsynth.randomizers.deformers import Deformer, Shape, ShapeBasis
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

NORMALS = ("exact", *WEIGHTS)


class Deform(Randomizer):
    """Gives every instance a shape of its own: copies of its mesh, deformed for each image anew.

    Give it to a `Scene` by a name of your own; it then runs after `Objects`. Instances whose mesh is not among `meshes`,
    and those of objects that come later, stay as they are. Class, material and texture coordinates stay, and so do
    poses. All labels are those of the deformed shape: boxes, masks, depth, normals, `boxes_3d`; ``object_coordinates``
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

    Raises:
        ValueError: no deformer, an unknown way of making normals, or a level below 0.

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
        self.level, self.normals = level, normals
        self.templates: Templates | None = None
        self.faces: Tensor | None
        self.corners: Tensor | None

    def extend(self, assets: Assets) -> Assets:
        """Makes the tables of the meshes, once; the assets stay."""
        meshes = list(range(len(assets))) if self.meshes is None else self.meshes
        if not meshes or not all(0 <= row < len(assets) for row in meshes):
            raise ValueError(f"Deform: `meshes` must name rows of the scene's {len(assets)} meshes, but is {meshes}.")
        self.templates = Templates(assets, meshes, self.level)
        if self.normals != "exact":
            joined = stacked(self.templates.topologies)
            self.register_buffer("faces", joined.faces.to(assets.device), persistent=False)
            self.register_buffer("corners", joined.corners.to(assets.device), persistent=False)
        for step in self.deformers:
            if isinstance(step, ShapeBasis):
                step.match(self.templates.points[0, :, : int(self.templates.count[0])].mT)
        return assets

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """New meshes, and a batch that names them."""
        tables = self.templates
        if tables is None:
            raise RuntimeError("Deform: it has no meshes yet. Give it to a Scene, or call extend(assets) first.")
        axes = (batch.images, batch.instances)
        if batch.instances == 0:
            return batch
        known = tables.row
        there = batch.mesh_id.clamp(0, known.shape[0] - 1).long()
        row = torch.where((batch.mesh_id >= 0) & (batch.mesh_id < known.shape[0]), known[there], -1)  # [B, N]
        flat = row.clamp(min=0).flatten()

        def of(table: Tensor) -> Tensor:
            return table.index_select(0, flat).unflatten(0, axes)

        low, high = of(tables.bounds).split(3, -1)
        shape = Shape(of(tables.points).mT, of(tables.normals).mT, of(tables.count), low, high)
        for step in self.deformers:
            shape = step.deform(shape, noise)  # type: ignore[operator]
        if self.normals != "exact":
            shape = shape._replace(normals=self._from_faces(shape.points, flat))
        assets = tables.extended(
            batch.assets, flat, shape.points.mT.flatten(0, 1).contiguous(), shape.normals.mT.flatten(0, 1)
        )
        number = torch.arange(flat.shape[0], dtype=torch.int32, device=row.device).view(axes) + len(batch.assets)
        return batch.replace(assets=assets, mesh_id=torch.where(row >= 0, number, batch.mesh_id))

    def _from_faces(self, points: Tensor, row: Tensor) -> Tensor:
        """As `fastsynth.deform.vertex_normals`, for another mesh an instance: [B, N, P, 3] and [B N] -> [B, N, P, 3]."""
        assert self.faces is not None and self.corners is not None
        if self.faces.shape[0] == 1:
            return vertex_normals(points, Topology(self.faces[0], self.corners[0]), weight=self.normals)
        flat = points.mT.flatten(0, 1)  # [I, 3, P]
        faces = self.faces.index_select(0, row)
        corner = [flat.gather(2, faces[..., c][:, None].expand(-1, 3, -1)).mT for c in range(3)]
        face = cross(corner[1] - corner[0], corner[2] - corner[0])
        terms = face[..., None, :].expand(-1, -1, 3, -1) if self.normals == "area" else by_angle(corner, face)
        terms = torch.nn.functional.pad(terms.flatten(1, 2), (0, 0, 0, 1)).mT
        corners = self.corners.index_select(0, row)
        total = torch.zeros_like(flat)
        for column in range(corners.shape[2]):
            total = total + terms.gather(2, corners[..., column][:, None].expand(-1, 3, -1))
        return unit(total.mT).unflatten(0, points.shape[:2])
