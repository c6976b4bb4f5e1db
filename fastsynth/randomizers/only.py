"""Randomizers that see some of the objects alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.random import Noise
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

#: What of an instance a randomizer may change.
_FIELDS = ("world_from_object", "base_color", "metallic", "roughness", "texture_id", "color_matrix")


class Only(Randomizer):
    """Lets a randomizer change the instances of some meshes and no others.

    Every instance draws as before, so that what one gets does not depend on which others are let alone.

    Args:
        randomizer: For example `Materials`.
        meshes: Rows of ``assets.mesh_names``.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> paint = fs.Only(fs.Materials(base_color=fs.Uniform(0.0, 0.5)), meshes=range(2))
        >>> batch = fs.Scene(fs.Objects(parts, count=6), materials=paint).sample(32)
        >>> bool(((batch.base_color[..., 0] < 1) == (batch.mesh_id < 2)).all())
        True
    """

    rows: Tensor

    def __init__(self, randomizer: Randomizer, meshes: Sequence[int] | range) -> None:
        super().__init__()
        self.part = randomizer
        self.register_buffer("rows", torch.tensor(sorted(set(meshes)), dtype=torch.int32), persistent=False)
        if not len(self.rows) or int(self.rows[0]) < 0:
            raise ValueError(f"Only: `meshes` must hold rows of `assets.mesh_names`, but is {list(meshes)}.")

    def extend(self, assets: Assets) -> Assets:
        """What the randomizer adds, and what it changes of the meshes it sees."""
        extended = self.part.extend(assets)
        if extended.materials is assets.materials:
            return extended
        materials, colors = assets.materials.clone(), assets.vertex_colors.clone()
        for mesh in self.rows.tolist():
            first, count = assets.meshes[mesh, :2].tolist()
            for start, faces in assets.levels[first : first + count, 2:].tolist():
                face = assets.faces[start : start + faces].long()
                materials[face[:, 3]] = extended.materials[face[:, 3]]
                if len(colors) and not len(extended.vertex_colors):
                    colors[face[:, :3]] = 255
        return dataclasses.replace(extended, materials=materials, vertex_colors=colors)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Change some of the instances."""
        changed = self.part(batch, noise)
        chosen = (batch.mesh_id[..., None] == self.rows).any(-1)
        kept: dict[str, Tensor] = {}
        for name in _FIELDS:
            old, new = getattr(batch, name), getattr(changed, name)
            if new is not old:
                if old is None:  # only a change of colours may be left out
                    old = torch.eye(3, 4, device=batch.device).expand_as(new)
                kept[name] = torch.where(chosen.view(*chosen.shape, *(1,) * (old.ndim - 2)), new, old)
        return changed.replace(**kept)
