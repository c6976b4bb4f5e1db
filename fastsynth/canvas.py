"""What a step that changes drawn pictures sees beside them: labels, and what lies behind the objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fastsynth.types import OUTPUTS, SceneBatch


@dataclass(frozen=True)
class Canvas:
    """The labels of the pictures that a :class:`~fastsynth.types.Step` changes, as attributes: ``canvas.depth``.

    Attributes:
        batch: What was drawn.
        size: Height and width [pixels].
        stage: "light" or "picture".
        labels: The outputs of `render` that the steps of the batch need.
    """

    batch: SceneBatch
    size: tuple[int, int]
    stage: str
    labels: Mapping[str, Tensor] = field(repr=False)
    draw: Callable[[SceneBatch], Tensor] = field(repr=False)

    def __getattr__(self, name: str) -> Tensor:
        if name != "labels" and name in self.labels:
            return self.labels[name]
        if name in OUTPUTS:
            raise AttributeError(f"Canvas: `{name}` was not drawn. Name it among the `needs` of the step.")
        raise AttributeError(f"Canvas has no attribute {name!r}.")

    def backdrop(self, hidden: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        """The picture without objects, at the same stage: linear radiance, or display values.

        Args:
            hidden: Which instances to leave out, bool [B, N]; all by default.
            wanted: Which pictures are of interest, bool [B]; the others hold anything, and cost less. All by default.

        Returns:
            float32 [B, 3, H, W]. Steps of the stage "light" are in that of the stage "picture"; no others are.
        """
        mesh, photo = self.batch.mesh_id, self.batch.photo_id
        nothing = torch.full_like(mesh, -1)
        mesh = nothing if hidden is None else torch.where(hidden, nothing, mesh)
        if wanted is not None:
            mesh, photo = torch.where(wanted[:, None], mesh, -1), torch.where(wanted, photo, -1)
        return self.draw(self.batch.replace(mesh_id=mesh, photo_id=photo))
