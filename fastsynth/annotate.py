"""Labels for training, from what was drawn: detection targets, masks, boxes, poses and keypoints.

Nothing here is differentiable and everything runs under ``torch.no_grad``; the gradients of depth, normals and
coordinates come from :func:`fastsynth.compose.compose`. Functions stay on the device and do not wait for it, but for
the list form of :func:`targets`, which must know how many objects each image has and waits once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth._expect import expect
from fastsynth.geometry import multiply, transform_points
from fastsynth.lens import project
from fastsynth.types import Frames, SceneBatch


@torch.no_grad()
def targets(
    frames: Frames,
    *,
    min_visible: float = 0.0,
    min_pixels: int = 1,
    max_truncation: float = 1.0,
    masks: bool = True,
    keypoints: Tensor | None = None,
    padded: bool = False,
    tv_tensors: bool = False,
    label_offset: int = 1,
    image_ids: Sequence[int] | Tensor | None = None,
    classes: Sequence[str] | None = None,
) -> Any:
    """Detection targets, one dict an image, as torchvision's detectors and transforms take them.

    Args:
        frames: Drawn with "instance_id", or with "boxes_2d_tight" and "visible_pixels" if `masks` is off.
        min_visible: Least part of an object's pixels that must be seen, in [0, 1]; above 0 it needs "total_pixels".
            What lies beyond the border does not count.
        min_pixels: Least number of its pixels that must be seen, at least 1.
        max_truncation: Largest part of an object that the border may cut off, in [0, 1], see :func:`truncation`; below
            1 it needs "boxes_2d_loose".
        masks: Give ``masks`` too.
        keypoints: In object space, float32 [K, P, 3] for the K meshes, or [B, N, P, 3] for each instance [m]: gives
            ``keypoints``, see :func:`keypoints_2d`; needs "depth".
        padded: Give one dict of tensors with a row for each of the N slots, those with ``valid`` False all 0, and
            wait for nothing.
        tv_tensors: Give boxes and masks as torchvision's `BoundingBoxes` and `Mask`. Not with `padded`.
        label_offset: Label of class 0; detectors of torchvision keep 0 for the background.
        image_ids: One for each image, for ``image_id``; None = 0 to B - 1.
        classes: Names of those that are targets; None = all. Objects of the others are drawn and hide what is behind
            them.

    Returns:
        B dicts, each of its image's n objects that have a class, in the order of their slots: ``boxes`` float32 [n, 4]
        xyxy [pixels] around the visible pixels, x1 > x0 and y1 > y0; ``labels`` int64 [n]; ``masks`` bool [n, H, W];
        ``area`` float32 [n], visible pixels; ``iscrowd`` int64 [n], 0; ``instance`` int64 [n], the slot; ``image_id``
        int64 []; ``visibility`` float32 [n] where "total_pixels" was drawn, ``truncation`` likewise of
        "boxes_2d_loose"; ``keypoints`` float32 [n, P, 3].
        With `padded`, one dict of the same with [B, N, ...] for [n, ...], and ``valid`` bool [B, N].

    Raises:
        AttributeError: an output that is needed was not drawn.
        ValueError: an option out of range.
        ImportError: `tv_tensors` without torchvision.

    Example:
        >>> import fastsynth as fs
        >>> frames = fs.render(fs.Scene(fs.Objects(fs.procedural.primitives(), count=3)).sample(2, seed=0), (48, 64))
        >>> target = targets(frames)[0]
        >>> target["boxes"].shape[1], target["masks"].shape[1:], target["labels"].dtype
        (4, torch.Size([48, 64]), torch.int64)
    """
    for name, part in (("min_visible", min_visible), ("max_truncation", max_truncation)):
        if not 0 <= part <= 1:
            raise ValueError(f"targets(): `{name}` must be a part, 0 to 1, but is {part}.")
    if min_pixels < 1:
        raise ValueError(
            f"targets(): `min_pixels` must be at least 1, as what is not seen has no box, but is {min_pixels}."
        )
    if padded and tv_tensors:
        raise ValueError("targets(): `tv_tensors` cannot hold padded boxes. Leave out `padded` or `tv_tensors`.")
    batch, (images, slots) = frames.batch, frames.batch.mesh_id.shape
    device = batch.mesh_id.device
    boxes, pixels = _seen(frames)
    own = _classes(batch)
    valid = _kept(frames, pixels, own, min_visible, min_pixels, max_truncation, classes)
    columns = {
        "boxes": boxes,
        "labels": own.long() + label_offset,
        "area": pixels.float(),
        "instance": torch.arange(slots, device=device).expand(images, slots),
        "iscrowd": torch.zeros(images, slots, dtype=torch.int64, device=device),
    }
    if "total_pixels" in frames.outputs:
        columns["visibility"] = visibility(frames)
    if "boxes_2d_loose" in frames.outputs:
        columns["truncation"] = truncation(frames)
    if keypoints is not None:
        columns["keypoints"] = keypoints_2d(frames, keypoints)
    numbers = torch.arange(images, device=device) if image_ids is None else torch.as_tensor(image_ids).long()
    if numbers.shape != (images,):
        raise ValueError(f"targets(): `image_ids` must be B = {images} numbers, but has shape {list(numbers.shape)}.")
    numbers = numbers.to(device, non_blocking=True)

    if padded:
        out = {name: torch.where(_beside(valid, column), column, 0) for name, column in columns.items()}
        if masks:
            numbered = torch.where(valid, columns["instance"], -2)  # an id that no pixel has
            out["masks"] = _same(_narrow(frames.instance_id, slots)[:, None], _narrow(numbered, slots)[..., None, None])
        return {**out, "image_id": numbers, "valid": valid}

    kept = valid.cpu()  # the one wait
    counts = kept.sum(1).tolist()
    rows = kept.nonzero().T.to(device, non_blocking=True)  # image, slot
    flat = rows[0] * slots + rows[1]
    parts = {name: column.flatten(0, 1).index_select(0, flat) for name, column in columns.items()}
    if masks:
        ids = _narrow(frames.instance_id, slots).index_select(0, rows[0])  # several times faster than [rows[0]] here
        same = ids.eq_(_narrow(rows[1], slots)[:, None, None])  # in place, as bytes: no second pass and no fresh memory
        parts["masks"] = same.view(torch.bool) if same.dtype == torch.int8 else same.bool()
    names = list(parts)
    # One call for all images of a field; a hundred small slices would take longer than the rest.
    pieces = zip(numbers.unbind(), *(part.split(counts) for part in parts.values()), strict=True)
    out = [{"image_id": number, **dict(zip(names, piece, strict=True))} for number, *piece in pieces]
    return [_as_tv(target, frames.size) for target in out] if tv_tensors else out


def kept(
    frames: Frames,
    *,
    min_visible: float = 0.0,
    min_pixels: int = 1,
    max_truncation: float = 1.0,
    classes: Sequence[str] | None = None,
) -> Tensor:
    """Which slots :func:`targets` gives, with the same arguments: bool [B, N]."""
    pixels, own = _seen(frames)[1], _classes(frames.batch)
    return _kept(frames, pixels, own, min_visible, min_pixels, max_truncation, classes)


def _kept(
    frames: Frames,
    pixels: Tensor,
    own: Tensor,
    min_visible: float,
    min_pixels: int,
    max_truncation: float,
    classes: Sequence[str] | None,
) -> Tensor:
    valid = (pixels >= min_pixels) & (own >= 0)
    if min_visible > 0:
        valid = valid & (visibility(frames) >= min_visible)
    if max_truncation < 1:
        valid = valid & (truncation(frames) <= max_truncation)
    return valid if classes is None else valid & _among(frames.batch, classes)


def _seen(frames: Frames) -> tuple[Tensor, Tensor]:
    """Tight boxes float32 [B, N, 4] and visible pixels int32 [B, N], drawn or made from the ids."""
    if "boxes_2d_tight" in frames.outputs and "visible_pixels" in frames.outputs:
        return frames.boxes_2d_tight, frames.visible_pixels
    return ops.boxes_of(ops.reduce(frames.instance_id, frames.batch.mesh_id.shape[1]))


def _classes(batch: SceneBatch) -> Tensor:
    """Class of every slot, -1 for an empty one and for a mesh that has none: int32 [B, N]."""
    if not batch.assets.mesh_class.shape[0]:
        return torch.full_like(batch.mesh_id, -1)
    return torch.where(batch.mesh_id >= 0, batch.assets.mesh_class[batch.mesh_id.clamp(min=0).long()], -1)


def _among(batch: SceneBatch, classes: Sequence[str]) -> Tensor:
    """Which slots hold an object of these classes, bool [B, N]."""
    names, own = batch.assets.class_names, _classes(batch)
    chosen = torch.zeros_like(own, dtype=torch.bool)
    for name in classes:
        if name not in names:
            raise ValueError(f"targets(): `classes` must name classes of the assets, {names}, but {name!r} is none.")
        chosen = chosen | (own == names.index(name))
    return chosen


def _beside(mask: Tensor, column: Tensor) -> Tensor:
    """A mask [B, N] with axes of size 1 for the rest of `column`'s, [B, N, ...]."""
    return mask[(...,) + (None,) * (column.ndim - mask.ndim)]


def _narrow(ids: Tensor, slots: int) -> Tensor:
    """Slots in as few bytes as hold them, since masks move them around."""
    return ids.to(torch.int8 if slots <= 127 else torch.int16 if slots <= 32767 else torch.int32)


def _same(ids: Tensor, numbers: Tensor) -> Tensor:
    """``ids == numbers``, four times as fast on the CPU, where torch compares bytes one by one."""
    return (ids ^ numbers).logical_not()


def _as_tv(target: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
    try:
        from torchvision import tv_tensors as tv
    except ImportError as error:
        raise ImportError(
            "targets(): `tv_tensors` needs torchvision. Run `pip install torchvision`, or leave the option out."
        ) from error
    boxes = tv.BoundingBoxes(target["boxes"], format=tv.BoundingBoxFormat.XYXY, canvas_size=size)  # type: ignore[call-overload]
    masks = {"masks": tv.Mask(target["masks"])} if "masks" in target else {}
    return {**target, "boxes": boxes, **masks}


@torch.no_grad()
def visibility(frames: Frames) -> Tensor:
    """Part of every object's pixels inside the image that is seen: float32 [B, N], 0 where it has none.

    Args:
        frames: Drawn with "total_pixels", and with "visible_pixels" or "instance_id".
    """
    total = frames.total_pixels
    pixels = frames.visible_pixels if "visible_pixels" in frames.outputs else _seen(frames)[1]
    return pixels / total.clamp(min=1)


@torch.no_grad()
def truncation(frames: Frames) -> Tensor:
    """Part of every object's loose box that lies outside the image: float32 [B, N], 0 where it has none.

    The box goes around the whole projected object: what it costs to know without drawing beyond the border.

    Args:
        frames: Drawn with "boxes_2d_loose".
    """
    height, width = frames.size
    left, top, right, bottom = frames.boxes_2d_loose.double().unbind(-1)
    whole = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
    inside = (right.clamp(0, width) - left.clamp(0, width)) * (bottom.clamp(0, height) - top.clamp(0, height))
    return torch.where(whole > 0, 1 - inside / torch.where(whole > 0, whole, 1), 0).float()


@torch.no_grad()
def instance_mask(frames: Frames) -> Tensor:
    """Visible pixels of every slot, bool [B, N, H, W].

    Args:
        frames: Drawn with "instance_id".
    """
    slots = frames.batch.mesh_id.shape[1]
    numbers = _narrow(torch.arange(slots, device=frames.instance_id.device), slots)
    return _same(_narrow(frames.instance_id, slots)[:, None], numbers[:, None, None])


@torch.no_grad()
def semantic_mask(frames: Frames, *, label_offset: int = 1, background: int = 0) -> Tensor:
    """Label of every pixel, int64 [B, H, W], as a segmentation loss takes it.

    Args:
        frames: Drawn with "semantic_id" or "instance_id".
        label_offset: Label of class 0.
        background: Label where there is no object.
    """
    if "semantic_id" in frames.outputs or "instance_id" not in frames.outputs:
        ids = frames.semantic_id
    elif frames.batch.mesh_id.shape[1] == 0:
        ids = frames.instance_id  # nothing but background
    else:
        slot = frames.instance_id.clamp(min=0).flatten(1).long()
        ids = _classes(frames.batch).gather(1, slot).view_as(frames.instance_id)
        ids = torch.where(frames.instance_id >= 0, ids, -1)
    return torch.where(ids >= 0, ids.long() + label_offset, background)


class Amodal(NamedTuple):
    """Objects as if nothing stood before them, inside the image."""

    masks: Tensor  #: bool [B, N, H, W]
    boxes: Tensor  #: around them, xyxy [pixels], max exclusive, 0 where there are none, float32 [B, N, 4]
    pixels: Tensor  #: int64 [B, N]


@torch.no_grad()
def amodal(frames: Frames) -> Amodal:
    """Whole objects, hidden parts included.

    Args:
        frames: Drawn with "amodal_masks".
    """
    masks = frames.amodal_masks
    if masks.numel() == 0:
        return Amodal(masks, masks.new_zeros(*masks.shape[:2], 4, dtype=torch.float32), masks.sum((2, 3)))
    sides = []
    for axis in (2, 3):  # x from the columns, y from the rows
        line = masks.any(axis).to(torch.uint8)
        sides += [line.argmax(-1), line.shape[-1] - line.flip(-1).argmax(-1)]
    x0, x1, y0, y1 = sides
    pixels = masks.sum((2, 3))
    return Amodal(masks, torch.stack([x0, y0, x1, y1], -1).float() * (pixels > 0)[..., None], pixels)


def _camera_from_object(batch: SceneBatch) -> Tensor:
    return multiply(batch.camera_from_world[:, None], batch.world_from_object)


def _project(batch: SceneBatch, points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Camera points [B, N, P, 3] to pixels [B, N, P, 2], 0 where they cannot be seen; and which can.

    Those before the near plane cannot; through a lens, those nearer than it to the eye or beyond the image circle.
    """
    height, width = size
    lens = batch.lenses()
    if lens is not None:
        far = torch.linalg.vector_norm(points, dim=-1) >= batch.near
        pixels, inside = project(torch.where(far[..., None], points, 1), batch.intrinsics, lens, size)
        return torch.where((far & inside)[..., None], pixels, 0), far & inside
    ahead = points[..., 2] >= batch.near
    image = multiply(batch.intrinsics[:, None, None, :2], points[..., None])[..., 0]
    x, y = (image / torch.where(ahead, points[..., 2], 1)[..., None] * height).unbind(-1)
    return torch.where(ahead[..., None], torch.stack([x + width / 2, y + height / 2], -1), 0), ahead


class Boxes3d(NamedTuple):
    """Corners of the objects' own boxes; corner i has the maximum along x, y, z where bit 0, 1, 2 of i is set.

    All 0 for an empty slot.
    """

    object: Tensor  #: in the mesh's frame [m], float32 [B, N, 8, 3]
    world: Tensor  #: [m], float32 [B, N, 8, 3]
    camera: Tensor  #: [m], float32 [B, N, 8, 3]
    pixels: Tensor | None  #: float32 [B, N, 8, 2], 0 for a corner that cannot be seen; None without a size


@torch.no_grad()
def boxes_3d(batch: SceneBatch, size: tuple[int, int] | None = None) -> Boxes3d:
    """The oriented boxes of all objects.

    Args:
        batch: What was drawn: ``frames.batch``.
        size: Height and width of the image, to project the corners.

    Example:
        >>> import fastsynth as fs
        >>> boxes = boxes_3d(fs.Scene(fs.Objects(fs.procedural.primitives(), count=3)).sample(2, seed=0), (48, 64))
        >>> boxes.world.shape[2:], boxes.pixels.shape[2:]
        (torch.Size([8, 3]), torch.Size([8, 2]))
    """
    bounds = batch.assets.mesh_bounds[batch.mesh_id.clamp(min=0).long()]  # [B, N, 6]
    bits = (torch.arange(8, device=bounds.device)[:, None] >> torch.arange(3, device=bounds.device)) & 1
    corners = torch.where(bits == 1, bounds[..., None, 3:], bounds[..., None, :3])
    filled = (batch.mesh_id >= 0)[..., None, None]
    corners = torch.where(filled, corners, 0)
    world, camera = (
        torch.where(filled, transform_points(pose[:, :, None], corners), 0)
        for pose in (batch.world_from_object, _camera_from_object(batch))
    )
    pixels = None if size is None else torch.where(filled, _project(batch, camera, size)[0], 0)
    return Boxes3d(corners, world, camera, pixels)


class Poses(NamedTuple):
    """Poses in the camera's frame: ``x_camera = rotation @ (scale * x_object) + translation``; 0 for an empty slot."""

    rotation: Tensor  #: proper, float32 [B, N, 3, 3]
    translation: Tensor  #: [m], float32 [B, N, 3]
    scale: Tensor  #: along the object's axes, the last one negative where the pose mirrors, float32 [B, N, 3]


@torch.no_grad()
def poses_6d(batch: SceneBatch) -> Poses:
    """Rotation, translation and scale of all objects as the camera sees them.

    A pose that shears has no rotation: its columns come back at unit length, but not at right angles.

    Args:
        batch: What was drawn: ``frames.batch``.

    Example:
        >>> import fastsynth as fs
        >>> poses = poses_6d(fs.Scene(fs.Objects(fs.procedural.primitives(), count=3)).sample(2, seed=0))
        >>> bool((torch.linalg.det(poses.rotation) - 1).abs().max() < 1e-5)
        True
    """
    pose = _camera_from_object(batch)
    columns = pose[..., :3, :3]
    scale = torch.linalg.vector_norm(columns, dim=-2)
    x, y, z = columns.unbind(-1)
    mirrors = (torch.linalg.cross(x, y) * z).sum(-1) < 0
    scale = torch.cat([scale[..., :2], torch.where(mirrors, -scale[..., 2], scale[..., 2])[..., None]], -1)
    rotation = columns / torch.where(scale == 0, 1, scale)[..., None, :]
    filled = batch.mesh_id >= 0
    return Poses(*(torch.where(_beside(filled, part), part, 0) for part in (rotation, pose[..., :3, 3], scale)))


@torch.no_grad()
def keypoints_2d(frames: Frames, keypoints_object: Tensor, *, tolerance: float = 0.01) -> Tensor:
    """Where points of the objects appear, and whether they are seen.

    Through a lens, read distance for depth: along the axis nothing can be told of what stands beside the camera.

    A point is seen when the surface drawn at its pixel is not nearer than the point by more than `tolerance` of the
    point's depth. Within half a pixel a surface of slope s (depth over width) changes by ``s / (2 f)`` of its depth, f
    the focal length in pixels: points on surfaces steeper than ``2 f tolerance`` may count as hidden, and so does a
    point that lies deeper inside its own object than the tolerance. Nothing drawn at its pixel leaves it seen.

    Args:
        frames: Drawn with "depth"; through a lens, with "distance".
        keypoints_object: P points of each of the K meshes in its own frame, float32 [K, P, 3] [m]; or of each instance,
            such as places on deformed ones, [B, N, P, 3].
        tolerance: Part of the depth.

    Returns:
        float32 [B, N, P, 3]: x, y [pixels], the top-left pixel's centre at (0.5, 0.5), and 2 seen, 1 hidden, 0 neither:
        outside the image, before the near plane, beyond the image circle of a lens or in an empty slot, the last three
        with x = y = 0.
    """
    batch, (height, width) = frames.batch, frames.size
    drawn = frames.depth if batch.lens is None else frames.distance
    expect("keypoints_2d", depth=(drawn, "B H W", torch.float32))
    own = keypoints_object.ndim == 4
    expect("keypoints_2d", keypoints_object=(keypoints_object, "B N P 3" if own else "K P 3", torch.float32))
    wanted = (batch.images, batch.instances) if own else (batch.assets.meshes.shape[0],)
    if keypoints_object.shape[: len(wanted)] != wanted:
        what = "B images and N slots" if own else f"each of the {wanted[0]} meshes of the assets"
        raise ValueError(
            f"keypoints_2d(): `keypoints_object` must have a row for {what}, but has shape "
            f"{list(keypoints_object.shape)}."
        )
    if not tolerance >= 0:
        raise ValueError(f"keypoints_2d(): `tolerance` must be a part of the depth, not negative, but is {tolerance}.")
    points = keypoints_object if own else keypoints_object[batch.mesh_id.clamp(min=0).long()]  # [B, N, P, 3]
    camera = transform_points(_camera_from_object(batch)[:, :, None], points)
    place, ahead = _project(batch, camera, frames.size)
    known = ahead & (batch.mesh_id >= 0)[..., None]
    inside = known & (place >= 0).all(-1) & (place[..., 0] < width) & (place[..., 1] < height)
    column, row = torch.where(inside[..., None], place, 0).long().unbind(-1)
    far = camera[..., 2] if batch.lens is None else torch.linalg.vector_norm(camera, dim=-1)
    drawn = frames.depth if batch.lens is None else frames.distance
    depth = drawn.flatten(1).gather(1, (row * width + column).flatten(1)).view_as(column)
    seen = (depth == 0) | (far * (1 - tolerance) <= depth)
    flag = torch.where(inside, torch.where(seen, 2.0, 1.0), 0.0)
    return torch.cat([torch.where(known[..., None], place, 0), flag[..., None]], -1)
