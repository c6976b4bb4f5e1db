"""What can be read off a batch and its labels, whoever made it: one column of numbers for each quantity.

A draw says what a distribution gave; what the randomizers after it made of that stands only in the tensors. NaN marks
what is not there: an empty slot, a light that is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth.annotate import truncation, visibility
from fastsynth.geometry import multiply, transform_points
from fastsynth.lens import project
from fastsynth.types import SH_CONSTANT, Frames, SceneBatch

#: Outputs that the labels are counted from; no colour.
OUTPUTS = ("visible_pixels", "total_pixels", "boxes_2d_tight", "boxes_2d_loose")
# Rec. 709: how bright linear red, green and blue are.
_LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Column:
    """Values of a quantity, float64 [B] or, for instances, [B, N]; NaN where there is none.

    Attributes:
        group: "drawn", "batch" or "label".
        unit: Of the values; empty for a number.
        clips: Whether many equal values at one end would be a mistake: not for parts, angles and what may be off.
        foot: The same of the lowest point of the object's box: a flat thing on a table is lower than a tall one, and
            no bias. Only where both depend on the class is it a finding.
    """

    group: str
    values: Tensor
    unit: str = ""
    clips: bool = False
    foot: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Column:
        """The same with other tensors."""
        foot = None if self.foot is None else change(self.foot)
        return replace(self, values=change(self.values), foot=foot)


@torch.no_grad()
def of_batch(batch: SceneBatch) -> dict[str, Column]:
    """Camera, light and objects, by name.

    Example:
        >>> import fastsynth as fs
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(distance=2.0)).sample(1)
        >>> round(of_batch(batch)["camera distance"].values.item(), 3)
        2.0
    """
    rotation = batch.camera_from_world[:, :3, :3].double()
    eye = -multiply(rotation.mT, batch.camera_from_world[:, :3, 3:].double())[..., 0]
    forward = rotation[:, 2]
    weights = torch.tensor(_LUMINANCE, dtype=torch.float64, device=batch.device)
    light = (batch.light_color.double() @ weights).masked_fill(batch.light_kind == 0, math.nan)
    lit = (batch.light_kind > 0).any(1)
    columns = {
        "camera distance": Column("batch", eye.norm(dim=-1), "m", clips=True),
        "camera azimuth": Column("batch", torch.atan2(eye[:, 1], eye[:, 0]).rad2deg() % 360, "deg"),
        "camera elevation": Column("batch", (-forward[:, 2]).clamp(-1, 1).asin().rad2deg(), "deg"),
        "camera fov": Column("batch", 2 * _half_field(batch).rad2deg(), "deg", True),
        "lights on": Column("batch", (batch.light_kind > 0).sum(1).double()),
        "light": Column("batch", light.nansum(1).masked_fill(~lit, math.nan)),
        "ambient": Column("batch", batch.ambient[:, 0].double() @ weights * SH_CONSTANT),
        "exposure": Column("batch", batch.exposure.double(), "EV", clips=True),
    }
    return {**columns, **_of_objects(batch, weights)}


def _half_field(batch: SceneBatch) -> Tensor:
    """Half the vertical field of view, through the lens if there is one, float64 [B] [rad]."""
    edge, lens = 0.5 / batch.intrinsics[:, 1, 1].double(), batch.lenses()
    if lens is None:
        return edge.atan()
    lens = lens.to(torch.float64)
    size = lens.invert(edge, lens.limit())
    return size.atan() if lens.radial else size


def _of_objects(batch: SceneBatch, weights: Tensor) -> dict[str, Column]:
    """Where the objects are, as the camera sees them, and how they are turned."""
    if not batch.instances:
        return {}
    empty = batch.mesh_id < 0
    pose = batch.world_from_object.double()
    low, high = batch.assets.mesh_bounds[batch.mesh_id.clamp(min=0).long()].double().split(3, -1)
    origin, linear = pose[..., :3, 3], pose[..., :3, :3]
    # The lowest corner of a box is lowest along each of its edges.
    below = torch.minimum(linear[..., 2, :] * low, linear[..., 2, :] * high).sum(-1)
    foot = torch.cat([origin[..., :2], (origin[..., 2] + below)[..., None]], -1)
    (distance, x, y), (foot_distance, foot_x, foot_y) = (_seen_from_camera(batch, point) for point in (origin, foot))
    turned = linear / linear.norm(dim=-2, keepdim=True).clamp(min=1e-12)
    columns = {
        "object distance": Column("batch", distance, "m", True, foot_distance),
        "object scale": Column("batch", torch.linalg.det(linear).abs() ** (1 / 3), clips=True),
        "object image x": Column("batch", x, "heights", foot=foot_x),
        "object image y": Column("batch", y, "heights", foot=foot_y),
        "object yaw": Column("batch", torch.atan2(turned[..., 1, 0], turned[..., 0, 0]).rad2deg() % 360, "deg"),
        "object up": Column("batch", turned[..., 2, 2]),
        "object color": Column("batch", batch.base_color[..., :3].double() @ weights),
    }
    return {name: column.map(lambda values: values.masked_fill(empty, math.nan)) for name, column in columns.items()}


def _seen_from_camera(batch: SceneBatch, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance [m] and place in the image [image heights from its centre] of world points [B, N, 3]."""
    place = transform_points(batch.camera_from_world.double()[:, None], points)
    lens = batch.lenses()
    if lens is not None:
        pixels, inside = project(place, batch.intrinsics.double(), lens.to(torch.float64), (1, 1))
        pixels = (pixels - 0.5).masked_fill(~inside[..., None], math.nan)
        return place.norm(dim=-1), pixels[..., 0], pixels[..., 1]
    depth = place[..., 2].masked_fill(place[..., 2] < batch.near, math.nan)
    image = multiply(batch.intrinsics[:, None].double(), place[..., None])[..., 0] / depth[..., None]
    return place.norm(dim=-1), image[..., 0], image[..., 1]


class Labels(NamedTuple):
    """Labels by name, and which instances count as seen."""

    columns: dict[str, Column]
    seen: Tensor  #: bool [B, N]


@torch.no_grad()
def of_labels(frames: Frames, *, min_visible: float = 0.0, min_pixels: int = 1, max_truncation: float = 1.0) -> Labels:
    """Sizes, truncation and occlusion of the instances.

    Truncation is that of `annotate.truncation`. Both it and the visible part are of instances before the camera.

    Args:
        frames: Drawn with `OUTPUTS`.
        min_visible: Least part of an object that must be seen for it to count as seen, in [0, 1].
        min_pixels: Least number of its pixels.
        max_truncation: Largest part of it outside the image.
    """
    pixels, total = frames.visible_pixels, frames.total_pixels
    part = visibility(frames).double()
    cut = truncation(frames).double()
    seen = (pixels >= min_pixels) & (part >= min_visible) & (cut <= max_truncation)
    tight, loose = frames.boxes_2d_tight.double(), frames.boxes_2d_loose
    ahead = (loose[..., 2:] > loose[..., :2]).all(-1) & (frames.batch.mesh_id >= 0)

    def where(holds: Tensor, values: Tensor) -> Tensor:
        return values.masked_fill(~holds, math.nan)

    columns = {
        "box width": Column("label", where(seen, tight[..., 2] - tight[..., 0]), "pixels"),
        "box height": Column("label", where(seen, tight[..., 3] - tight[..., 1]), "pixels"),
        "visible area": Column("label", where(seen, pixels.double()), "pixels"),
        "truncation": Column("label", where(ahead, cut)),
        "visible fraction": Column("label", where(total > 0, part)),
        "instances per image": Column("label", seen.sum(1).double()),
    }
    return Labels(columns, seen)
