"""A map of pictures that are drawn already: colours are interpolated, labels taken from the nearest pixel.

The place in the old picture of each pixel's centre is rounded to 1/256 pixel, the grid of the rasterizer. So flips,
half turns and crops at whole pixels are permutations of the pixels, bit for bit, whatever float32 made of the sines.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth import ops
from fastsynth.augment.camera import decompose, warp_camera
from fastsynth.augment.maps import invert
from fastsynth.ops.rasterize import check_size
from fastsynth.render import render
from fastsynth.resample import OUTSIDE, Nearest
from fastsynth.types import Frames

_SUBPIXELS = 256
_COUNTED = ("boxes_2d_tight", "visible_pixels")


def warp_frames(
    frames: Frames, new_from_old: Tensor, size: tuple[int, int] | None = None, *, samples: int = 4
) -> Frames:
    """Resample what was drawn, with all of its labels.

    Each pixel of the maps of ids, depth, normals and so on is that pixel of the old ones in which its centre lies;
    normals turn with the camera, depth and distance are kept. Tight boxes are the extents of the new ids and
    ``visible_pixels`` their counts, exactly. Loose boxes are drawn anew, and ``batch`` holds the cameras of the new
    pictures, so that keypoints, poses and boxes in space that are made from the frames fit them.

    Colours are interpolated bilinearly, as they are coded. Where the picture shrinks, a pixel is the mean of `samples`
    such colours, spread over what it covers beyond one old pixel. What lay outside the old picture is background:
    black, with depth 0, so that a keypoint there counts as seen. To draw again with :func:`warp_camera` has none of
    these limits.

    Args:
        frames: Drawn with "instance_id" where tight boxes or visible pixels were, and with "amodal_masks" where
            "total_pixels" were.
        new_from_old: Map of the picture, float32 [B, 3, 3]; see :func:`affine` and :func:`crop`.
        size: Height and width of the new picture [pixels]; as before by default.
        samples: 1, 4 or 16: no aliasing down to 1/1, 1/3 or 1/5 of the size. Where nothing shrinks, all are the same,
            and 1 is the fastest.

    Returns:
        Frames of the same outputs. Differentiable in ``frames.rgb``.

    Raises:
        AttributeError: an output that is needed was not drawn.
        TypeError, ValueError: a wrong map, `size` or number of samples.

    Example:
        >>> import fastsynth as fs
        >>> frames = fs.render(fs.Scene(fs.Objects(fs.procedural.primitives())).sample(1, seed=0), (32, 48))
        >>> box = torch.tensor([[8.0, 4.0, 32.0, 28.0]])
        >>> part = warp_frames(frames, fs.augment.crop(box, (32, 48), (24, 24)), (24, 24))
        >>> bool((part.rgb == frames.rgb[:, :, 4:28, 8:32]).all())
        True
    """
    size = frames.size if size is None else check_size("warp_frames", size)
    if samples not in (1, 4, 16):
        raise ValueError(f"warp_frames(): `samples` must be 1, 4 or 16 a pixel, but is {samples}.")
    outputs = frames.outputs
    if "total_pixels" in outputs and "amodal_masks" not in outputs:
        raise AttributeError(
            "warp_frames(): `total_pixels` are counted anew in `amodal_masks`, which were not drawn. Ask for them: "
            f"render(..., outputs=({', '.join(map(repr, [*outputs, 'amodal_masks']))}))."
        )
    (height, width), (new_height, new_width) = frames.size, size
    batch = warp_camera(frames.batch, new_from_old, width / height, new_width / new_height)
    nearest = _Nearest(new_from_old, frames.size, size)

    made: dict[str, Tensor] = {}
    for name, value in outputs.items():
        if name == "rgb":
            made[name] = _interpolated(value, nearest, samples)
        elif name in ("boxes_2d_loose", "total_pixels", *_COUNTED):
            continue
        elif name == "normals":
            turn = decompose(new_from_old, frames.batch.intrinsics)[1]
            x, y, z = nearest(value).unbind(1)
            x, y = (row[:, 0, None, None] * x + row[:, 1, None, None] * y for row in turn.unbind(1))
            made[name] = torch.stack([x, y, z], 1)
        else:
            made[name] = nearest(value, OUTSIDE.get(name, 0))
    if any(name in outputs for name in _COUNTED):
        ids = made["instance_id"] if "instance_id" in made else frames.instance_id  # the latter says what is missing
        made["boxes_2d_tight"], made["visible_pixels"] = ops.boxes_of(ops.reduce(ids, batch.instances))
    if "total_pixels" in outputs:
        made["total_pixels"] = made["amodal_masks"].sum((2, 3), dtype=torch.int32)
    if "boxes_2d_loose" in outputs:
        # The box around the turned object, not the box around its turned box.
        made["boxes_2d_loose"] = render(batch, size, ("boxes_2d_loose",)).boxes_2d_loose
    return Frames(batch, size, {name: made[name] for name in outputs}, frames.flags)


class _Nearest(Nearest):
    """Where the pixels of the new picture lie in the old one."""

    def __init__(self, new_from_old: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> None:
        self.size, self.new_size = size, new_size
        (height, width), back = size, invert(new_from_old)[:, :2].detach()
        self.step = back[..., :2] * (height / new_size[0])  # old pixels per new pixel, [B, 2, 2]
        x, y = (back[..., 2] * height).unbind(-1)
        self.origin = x + width / 2, y + height / 2  # of the new picture's centre, in old pixels, [B]
        x, y = self.at(torch.zeros_like(x), torch.zeros_like(y))
        super().__init__(x, y, size)

    def at(self, right: Tensor, down: Tensor) -> list[Tensor]:
        """Columns and rows [B, H', W'] of the pixel centres plus an offset [B], on the rasterizer's grid."""
        x, y = (torch.arange(side, device=right.device) + 0.5 - side / 2 for side in self.new_size[::-1])
        made = []
        for line, origin, offset in zip(self.step.unbind(1), self.origin, (right, down), strict=True):
            along = x * line[:, :1] + (origin + offset)[:, None]
            place = along[:, None, :] + (y * line[:, 1:])[:, :, None]
            made.append(place.mul_(_SUBPIXELS).round_().div_(_SUBPIXELS))
        return made


def _interpolated(rgb: Tensor, nearest: _Nearest, samples: int) -> Tensor:
    """The picture [B, 3, H', W'], antialiased where it shrinks."""
    grid = {1: 1, 4: 2, 16: 4}[samples]
    length = torch.linalg.vector_norm(nearest.step, dim=-2, keepdim=True)  # old pixels along a new pixel's sides
    beyond = nearest.step * (1 - 1 / length).clamp(min=0)
    steps = [(i + 0.5) / grid - 0.5 for i in range(grid)]
    # The first texel is read at (0 + 0.5) / side of a power of two, and so on: `grid_sample` makes no rounding error.
    height, width = nearest.size
    tall, wide = (1 << (side - 1).bit_length() for side in nearest.size)
    padded = F.pad(rgb.to(beyond.dtype), (0, wide - width, 0, tall - height))
    colors = []
    for right, down in itertools.product(steps, steps):
        x, y = nearest.at(*(beyond[..., 0] * right + beyond[..., 1] * down).unbind(-1))
        x, y = x.clamp_(0.5, width - 0.5), y.clamp_(0.5, height - 0.5)
        place = torch.stack([x.mul_(2 / wide).sub_(1), y.mul_(2 / tall).sub_(1)], -1)
        colors.append(F.grid_sample(padded, place, "bilinear", align_corners=False))
    # By twos: the mean of equal colours is that colour, to the last bit.
    while len(colors) > 1:
        colors = [torch.lerp(a, b, 0.5) for a, b in zip(colors[::2], colors[1::2], strict=True)]
    color = colors[0] if rgb.is_floating_point() else colors[0].round().to(rgb.dtype)
    return torch.where(nearest.inside[:, None], color, 0)
