"""Contact sheets: what was drawn and its labels, side by side, to look at before training on them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fastsynth.types import Frames

#: Outputs that a sheet needs to be asked of ``render``.
OUTPUTS = ("rgb", "instance_id", "depth", "boxes_2d_tight", "visible_pixels")
#: Depth from near to far: bright to dark, so that it reads in grey too. sRGB, 0 to 255.
_RAMP = np.array([(255, 246, 200), (255, 170, 70), (214, 68, 90), (98, 40, 132), (18, 16, 62)], dtype=np.float64)
_GOLDEN = 0.61803398875  # turns between neighbouring hues: no two of a few are alike


def contact_sheet(
    frames: Frames,
    *,
    count: int = 8,
    detections: list[dict[str, Tensor]] | None = None,
    classes: Sequence[str] | None = None,
) -> Image.Image:
    """Images with their boxes and class names, instance masks and depth.

    Args:
        frames: What was drawn, with the outputs of :data:`OUTPUTS`.
        count: Most images to show, two to a row.
        detections: What a detector found in each image: `boxes` float32 [n, 4], xyxy [pixels], `labels` int64 [n] from
            1, `scores` float32 [n]. Those with a score of 0.3 or more are drawn on a fourth panel.
        classes: Classes to draw boxes around; None = all.

    Returns:
        The sheet, an RGB picture; the panels of an image stand side by side.

    Raises:
        ValueError: no image, or not as many detections as images.

    Example:
        >>> from fastsynth import render, selftest
        >>> frames = render(selftest.scene(), size=(48, 64), outputs=OUTPUTS)
        >>> contact_sheet(frames, count=2).size
        (416, 56)
    """
    height, width = frames.size
    shown = min(count, len(frames.rgb))
    if shown < 1:
        raise ValueError(f"contact_sheet(): at least one image must be shown, but `count` is {count}.")
    if detections is not None and len(detections) != len(frames.rgb):
        raise ValueError(
            f"contact_sheet(): `detections` must have one dict for each of the {len(frames.rgb)} images, "
            f"but has {len(detections)}."
        )
    gap = 4
    panels = 3 if detections is None else 4
    columns = min(2, shown)
    rows = -(-shown // columns)
    step = (panels * (width + gap) + gap, height + gap)
    sheet = Image.new("RGB", (columns * step[0], rows * step[1] + gap), (24, 24, 28))
    for row in range(shown):
        pictures = [_with_boxes(frames, row, classes), _masks(frames, row), _depth(frames, row)]
        if detections is not None:
            pictures.append(_with_detections(frames, row, detections[row]))
        for panel, picture in enumerate(pictures):
            left = (row % columns) * step[0] + gap + panel * (width + gap)
            sheet.paste(picture, (left, gap + (row // columns) * step[1]))
    return sheet


def color_of(number: int) -> tuple[int, int, int]:
    """A colour to know instance or class `number` by, sRGB 0 to 255.

    Example:
        >>> color_of(0) != color_of(1)
        True
    """
    red, green, blue = colorsys.hsv_to_rgb((0.05 + number * _GOLDEN) % 1.0, 0.72, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _picture(frames: Frames, row: int) -> Image.Image:
    rgb = frames.rgb[row].detach().cpu()
    if rgb.is_floating_point():
        rgb = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(np.ascontiguousarray(rgb.permute(1, 2, 0).numpy()))


def _with_boxes(frames: Frames, row: int, classes: Sequence[str] | None) -> Image.Image:
    picture = _picture(frames, row)
    draw = ImageDraw.Draw(picture)
    assets = frames.batch.assets
    boxes, seen = frames.boxes_2d_tight[row].tolist(), frames.visible_pixels[row].tolist()
    for slot, mesh in enumerate(frames.batch.mesh_id[row].tolist()):
        row_of_class = int(assets.mesh_class[mesh])
        if mesh >= 0 and row_of_class >= 0 and seen[slot] > 0:
            name = assets.class_names[row_of_class]
            if classes is None or name in classes:
                _box(draw, boxes[slot], name, color_of(slot))
    return picture


def _with_detections(frames: Frames, row: int, found: dict[str, Tensor]) -> Image.Image:
    picture = _picture(frames, row)
    draw = ImageDraw.Draw(picture)
    names = frames.batch.assets.class_names
    for box, label, score in zip(*(found[key].tolist() for key in ("boxes", "labels", "scores")), strict=True):
        if score >= 0.3:
            _box(draw, box, f"{names[label - 1]} {score:.2f}", color_of(label - 1))
    return picture


def _box(draw: ImageDraw.ImageDraw, box: list[float], name: str, color: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color)
    words = draw.textbbox((left + 2, max(0.0, top - 11)), name)
    draw.rectangle(words, fill=(16, 16, 16))
    draw.text(words[:2], name, fill=color, anchor="lt")


def _masks(frames: Frames, row: int) -> Image.Image:
    """Instances in the colours of their boxes, over a dimmed image."""
    ids = frames.instance_id[row].cpu().numpy()
    grey = np.asarray(_picture(frames, row).convert("L"))[..., None] * 0.35
    colors = np.array([color_of(slot) for slot in range(frames.batch.mesh_id.shape[1])] or [(0, 0, 0)])
    painted = colors[np.maximum(ids, 0)] * (0.75 + 0.25 * grey / 90)
    return Image.fromarray(np.where(ids[..., None] >= 0, painted, grey).clip(0, 255).astype(np.uint8))


def _depth(frames: Frames, row: int) -> Image.Image:
    """Depth from the nearest to the farthest surface of the image; the background stays black."""
    depth = frames.depth[row].detach().cpu().double().numpy()
    hit = depth > 0
    near, far = (depth[hit].min(), depth[hit].max()) if hit.any() else (0.0, 1.0)
    place = np.clip((depth - near) / max(far - near, 1e-9), 0, 1) * (len(_RAMP) - 1)
    below = np.minimum(place.astype(int), len(_RAMP) - 2)
    color = _RAMP[below] + (_RAMP[below + 1] - _RAMP[below]) * (place - below)[..., None]
    return Image.fromarray(np.where(hit[..., None], color, 0).astype(np.uint8))
