"""What stands in every image where it was modelled: a room, a street, a floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.randomizers.objects import append_instances
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Setting(Randomizer):
    """Meshes that stand where they were modelled, each in a slot of its own.

    Args:
        assets: Meshes.
        meshes: Rows of ``assets.mesh_names``.
        present: Whether they are there: 0 or 1, for example ``Choice([0, 1])``.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> scene = fs.Scene([fs.Objects(parts, count=2), fs.Setting(parts, [5], present=fs.Choice([0, 1]))])
        >>> scene.sample(64).mesh_id[:, 2].unique().tolist()
        [-1, 5]
    """

    rows: Tensor

    def __init__(self, assets: Assets, meshes: Sequence[int] | range, present: Any = 1) -> None:
        super().__init__()
        self.assets = assets
        if not len(meshes) or not 0 <= min(meshes) <= max(meshes) < len(assets):
            raise ValueError(f"Setting: `meshes` must hold rows of the {len(assets)} meshes, but is {list(meshes)}.")
        self.register_buffer("rows", torch.tensor(list(meshes), dtype=torch.int32), persistent=False)
        self.present: Distribution = as_distribution(present, "Setting: `present`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append their slots."""
        there = self.present.sample(noise)[:, None] > 0
        mesh = torch.where(there, self.rows, -1).int()
        still = torch.eye(4, device=batch.device).expand(*mesh.shape, 4, 4)
        return append_instances(batch, mesh, still)
