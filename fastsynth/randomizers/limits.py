"""Limits that hold to the pixel: what hides or is cut off too much is taken out again."""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth.random import Noise
from fastsynth.randomizers.coverage import alone, drawn, pinhole_only
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Limits(Randomizer):
    """Takes out objects that are cut off by the border, or that overlap an earlier one, by more than is allowed.

    Every object that the scene has so far is drawn as if nothing else were there, at the height of the picture to come
    and with half a picture around it. The part of an object outside is its truncation. Objects then stay or go in the
    order of their slots: one goes if the pixels that it has in common with one that stayed are more than `overlap` of
    those of the smaller of the two. What a larger picture shows beyond half a picture's breadth is not counted.

    Drawn at `rows`, and at an even width, with the same levels of detail, amodal masks keep both limits exactly.

    Args:
        overlap: Largest common area of two objects within the picture, as a part of the smaller one's.
        truncation: Largest part of an object outside the picture.
        rows: Height of the picture [pixels], even.

    Example:
        >>> import fastsynth as fs
        >>> crowd = fs.Objects(fs.procedural.primitives(), count=9)
        >>> free, held = (fs.Scene(s).sample(8) for s in ([crowd], [crowd, Limits(overlap=0.2, truncation=0.2)]))
        >>> bool((held.mesh_id >= 0).sum() < (free.mesh_id >= 0).sum())
        True
    """

    def __init__(self, overlap: float = 0.3, truncation: float = 0.5, rows: int = 64) -> None:
        super().__init__()
        for name, value in (("overlap", overlap), ("truncation", truncation)):
            if not 0 <= value <= 1:
                raise ValueError(f"Limits: `{name}` must be a part, 0 to 1, but is {value}.")
        if rows < 2 or rows % 2:
            raise ValueError(f"Limits: `rows` must be an even number of pixels from 2 on, but is {rows}.")
        self.overlap, self.truncation, self.rows = overlap, truncation, rows

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Empty the slots of what breaks a limit."""
        pinhole_only("Limits", batch)
        if not batch.instances:
            return batch
        kept = self.kept(batch, noise.aspect)
        return batch.replace(mesh_id=torch.where(kept, batch.mesh_id, -1))

    def kept(self, batch: SceneBatch, aspect: float) -> Tensor:
        """Which objects stay, bool [B, N].

        Args:
            batch: Objects and cameras.
            aspect: Width over height of the picture.
        """
        height, width = self.rows, max(2, round(self.rows * aspect))
        bare = alone(batch, batch.mesh_id, batch.world_from_object)
        own = drawn(bare, (height, width), ("amodal_masks", "total_pixels"), batch.lod)
        # Twice the picture in both directions about the same centre: the same pixels in the middle, and those around.
        wide = bare.replace(intrinsics=torch.cat([batch.intrinsics[:, :2] * 0.5, batch.intrinsics[:, 2:]], 1))
        whole = drawn(wide, (2 * height, 2 * width), ("total_pixels",), batch.lod)["total_pixels"]
        inside, area = own["amodal_masks"].flatten(2).float(), own["total_pixels"]
        # Sums of ones, exact in any order: a matrix product may take them as it likes.
        common = inside @ inside.transpose(1, 2)
        smaller = torch.minimum(area[:, :, None], area[:, None])
        clash = common > self.overlap * smaller
        stays = (batch.mesh_id >= 0) & (area >= (1 - self.truncation) * whole) & (area > 0)
        kept: list[Tensor] = []
        for slot in range(batch.instances):
            here = stays[:, slot]
            if slot:
                here = here & ~(clash[:, slot, :slot] & torch.stack(kept, 1)).any(1)
            kept.append(here)
        return torch.stack(kept, 1)
