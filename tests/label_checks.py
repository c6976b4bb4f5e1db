"""What labels owe to each other, counted again from the ids in plain torch."""

from __future__ import annotations

import torch

import fastsynth as fs

LABELS = (
    *("instance_id", "semantic_id", "depth", "boxes_2d_tight", "boxes_2d_loose"),
    *("visible_pixels", "total_pixels", "amodal_masks"),
)


def labels_of(batch: fs.SceneBatch) -> tuple[str, ...]:
    """Outputs that are checked against one another; masks of whole objects are drawn for up to 64 slots."""
    return LABELS if batch.instances <= 64 else LABELS[:-1]


# Ids are those of pixel centres and tight boxes end at pixels' edges, so one may stand out half a pixel; and 1 / 512,
# to which the rasterizer rounds corners.
SLACK = 0.502


def extents(masks: torch.Tensor) -> torch.Tensor:
    """Boxes around masks: bool [..., H, W] -> int64 [..., 4] xyxy, the far edges excluded; 0 for none."""

    def ends(there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = there.long().argmax(-1)
        last = there.shape[-1] - there.flip(-1).long().argmax(-1)
        return first, torch.where(there.any(-1), last, 0)

    x0, x1 = ends(masks.any(-2))
    y0, y1 = ends(masks.any(-1))
    return torch.stack([x0, y0, x1, y1], -1)


def problems(frames: fs.Frames, loose_slack: float = SLACK) -> list[str]:
    """What is wrong with the labels of a batch, drawn with the outputs of `labels_of`; nothing, if all is well.

    The tight box is the extent of the mask; masks are a partition of what is not background; the loose box holds the
    tight one; what is visible is what can be counted, and no more than the whole; classes are those of the meshes.
    """
    ids, slots = frames.instance_id, torch.arange(frames.batch.instances)
    masks = ids[:, None] == slots[:, None, None]
    seen = masks.flatten(2).sum(-1)
    found = []

    def want(holds: torch.Tensor, what: str) -> None:
        if not holds.all():
            found.append(f"{what}: {int((~holds).sum())} of {holds.numel()}")

    want(ids >= -1, "an id below -1")
    want(ids < frames.batch.instances, "an id of no slot")
    want(masks.sum(1) == (ids >= 0), "masks overlap or leave a hole")
    want(frames.visible_pixels == seen, "visible pixels are not those counted")
    want((frames.boxes_2d_tight == extents(masks)).all(-1), "the tight box is not the extent of the mask")
    if "amodal_masks" in frames.outputs:
        want(frames.total_pixels == frames.amodal_masks.flatten(2).sum(-1), "total pixels are not those counted")
        want(~masks | frames.amodal_masks, "a visible pixel beside the whole object")
    whole = frames.outputs.get("total_pixels", seen)
    want(seen <= whole, "more is visible than there is")
    want((whole == 0) | (frames.batch.mesh_id >= 0), "an empty slot has pixels")
    low, high = frames.boxes_2d_loose.split(2, -1)
    inside = (low <= frames.boxes_2d_tight[..., :2] + loose_slack) & (
        high >= frames.boxes_2d_tight[..., 2:] - loose_slack
    )
    want(inside.all(-1) | (seen == 0), "the loose box does not hold the tight one")
    classes = frames.batch.assets.mesh_class[frames.batch.mesh_id.clamp(min=0).long()]
    own = classes.gather(1, ids.clamp(min=0).flatten(1).long()).view_as(ids)
    want(frames.semantic_id == torch.where(ids >= 0, own, -1), "a class that is not the mesh's")
    want((frames.depth > 0) == (ids >= 0), "depth where nothing is, or none where something is")
    return found
