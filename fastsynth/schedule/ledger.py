"""A ledger of what has been seen, which corrects what is drawn next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.random import Choice
from fastsynth.random.distribution import as_buffer

# What is believed of a class before it was ever drawn: this many draws, all but none of them seen as often as not.
_PRIOR_DRAWS = 4.0
_LEAST_RATE = 1e-3


class Ledger(Choice):
    """A choice of meshes that keeps the classes of *visible* objects in balance.

    Occlusion, truncation and filters by size take objects out of the labels, and not all classes alike. A ledger counts
    what remained of each class and chooses the meshes of the next batch by what is owed: with V visible objects so far,
    V_c of class c, a target share s_c, and a part r_c of the draws of c having stayed visible, the weight of c is
    ``max(0, s_c (V + v) - V_c) / r_c``, v being the visible objects of the last batch. Meshes of a class are even.

    `SyntheticDataset` and `SyntheticStream` count by themselves, by the filter of their targets; elsewhere call
    :meth:`count` after each batch. Counts stay on the device and nothing waits for it. Each rank, and each worker
    process, balances its own share, so their union is balanced too. Counts are buffers: ``scene.state_dict()`` holds
    them, and a run that loads it goes on to the same bits. As it is meant to, an image then depends on what was drawn
    before it; for balance without feedback take :class:`Stratified`.

    Args:
        assets: The meshes.
        meshes: Rows of `assets.mesh_names` to choose from; all by default.
        mix: Share of each class of `assets.class_names`, in any unit; even over the classes of `meshes` by default.

    Attributes:
        seen: Visible objects of each class so far, int64 [C].
        drawn: Objects drawn of each class so far, int64 [C].

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.primitives()
        >>> ledger = Ledger(parts)
        >>> scene = fs.Scene(fs.Objects(parts, count=4, choice=ledger))
        >>> batch = scene.sample(8)
        >>> ledger.count(batch.mesh_id, batch.mesh_id >= 0)
        >>> int(ledger.seen.sum())
        32
    """

    seen: Tensor
    drawn: Tensor
    target: Tensor
    class_of: Tensor
    sizes: Tensor

    def __init__(self, assets: Assets, meshes: Sequence[int] | range | None = None, mix: Any = None) -> None:
        super().__init__(range(len(assets)) if meshes is None else meshes)
        if self.values.is_floating_point() or not 0 <= int(self.values.min()) <= int(self.values.max()) < len(assets):
            raise ValueError(f"Ledger: `meshes` must be rows of the {len(assets)} meshes, but are {meshes!r}.")
        classes = len(assets.class_names)
        belongs = assets.mesh_class.long().cpu()
        sizes = torch.bincount(belongs[self.values], minlength=classes)
        target = (sizes > 0).float() if mix is None else as_buffer(mix)
        if target.shape != (classes,) or not bool((target >= 0).all()) or not float(target.sum()) > 0:
            raise ValueError(
                f"Ledger: `mix` must be one share, >= 0, for each of the {classes} classes, but is {mix!r}."
            )
        if bool(((target > 0) & (sizes == 0)).any()):
            raise ValueError("Ledger: `mix` asks for a class that none of `meshes` has. Give it share 0.")
        chosen = torch.zeros(len(assets), dtype=torch.bool)
        chosen[self.values] = True
        # A class more than there are takes in the slots of other meshes, and empty ones; a mesh more stands for those
        # that randomizers add to the scene.
        counted = torch.where(chosen, belongs, classes)
        self.register_buffer("class_of", torch.nn.functional.pad(counted, (0, 1), value=classes))
        self.register_buffer("sizes", sizes)
        self.register_buffer("target", target / target.sum())
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("drawn", torch.zeros(classes, dtype=torch.int64))
        self.weights.copy_(self.target[belongs[self.values]] / sizes[belongs[self.values]])

    @torch.no_grad()
    def count(self, mesh_id: Tensor, visible: Tensor) -> None:
        """Enter a batch.

        Args:
            mesh_id: Meshes of the slots, -1 for an empty one, int32 [B, N]; those that are not this ledger's count for
                nothing.
            visible: Which of them the labels kept, bool [B, N].
        """
        classes = self.seen.shape[0]
        row = mesh_id.long().clamp(max=self.class_of.shape[0] - 1)
        group = self.class_of[torch.where(row >= 0, row, -1)].flatten()
        new = torch.zeros(2, classes + 1, dtype=torch.int64, device=group.device)
        new[0].scatter_add_(0, group, torch.ones_like(group))
        new[1].scatter_add_(0, group, visible.flatten().long())
        drawn, seen = new[:, :classes]
        self.drawn += drawn
        self.seen += seen
        rate = ((self.seen + _PRIOR_DRAWS / 2) / (self.drawn + _PRIOR_DRAWS)).clamp(min=_LEAST_RATE)
        owed = (self.target.double() * (self.seen.sum() + seen.sum()) - self.seen).clamp(min=0)
        owed = torch.where(owed.sum() > 0, owed, self.target.double()) / rate
        own = self.class_of[self.values]
        self.weights.copy_((owed / self.sizes.clamp(min=1))[own])
