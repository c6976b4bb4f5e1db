"""Pictures through a lens: pinhole views are drawn, and each pixel takes what its direction shows.

A lens of up to 55 degrees to either side needs one view, framed anew for each image by the directions of its pixels.
A wider one needs faces of a cube around the eye: the front, and of the four sides the part that the lens sees, all of
them beside one another on one sheet. Sides are turned so that the edge toward the front is on top::

    side   x    y    z       in the axes of the camera
    0     -y   -z    x
    1      y   -z   -x
    2      x   -z    y
    3     -x   -z   -y
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor

from fastsynth.lens import Lenses, places_of, see
from fastsynth.resample import OUTSIDE, Nearest, bilinear
from fastsynth.types import SceneBatch

#: Draws linear light and labels of a batch of pinholes: (batch, size, names) to the maps by name, and "flags".
Draw = Callable[[SceneBatch, tuple[int, int], Collection[str]], dict[str, Tensor]]
# Half the angle up to which there is one view [rad].
ONE_VIEW = math.radians(55)
_MOST = 1 << 15  # pixels of a side of a view: all numbers of pixels have room in 31 bits
# Made of other outputs rather than taken from the views.
_MADE = ("boxes_2d_tight", "visible_pixels", "total_pixels", "boxes_2d_loose")
_COUNTED = ("boxes_2d_tight", "visible_pixels", "rgb")


class Views:
    """Where the pixels of pictures lie on the sheets of their views, and how those are drawn.

    Args:
        batch: What is drawn, with a lens.
        size: Height and width of the pictures.
        margin: Pixels of the sheet that may be read beyond what is needed.
    """

    def __init__(self, batch: SceneBatch, size: tuple[int, int], margin: int) -> None:
        lens = batch.lenses()
        assert lens is not None
        self.batch, self.margin = batch, margin
        height, width = size
        x, y = (torch.arange(side, device=batch.device) + 0.5 for side in (width, height))
        pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
        places = places_of(pixels.expand(batch.images, *pixels.shape), batch.intrinsics, size)
        rays, self.inside = see((places[..., 0], places[..., 1]), lens)
        framed = self._one if lens.angle <= ONE_VIEW else self._faces
        self.x, self.y = framed(rays, lens, size)
        if max(self.front) > _MOST:
            raise ValueError(
                f"render(): a picture of {height} x {width} pixels through this lens needs a view of {self.front[0]} x "
                f"{self.front[1]}, more than {_MOST} a side. Ask for a smaller picture, or a smaller `lens_detail` "
                f"than {batch.lens_detail}."
            )

    def _one(self, rays: list[Tensor], lens: Lenses, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """One view that just holds the directions of the pixels."""
        self.sides = 0
        stretch = self.batch.lens_detail * (1.0 if lens.radial else math.tan(lens.angle) / lens.angle)
        height, width = (math.ceil(side * stretch) + 2 * self.margin for side in size)
        self.front = height, width
        x, y = (line / rays[2] for line in rays[:2])
        frame = []
        for line, side in ((x.detach(), width), (y.detach(), height)):
            low = torch.where(self.inside, line, math.inf).amin((1, 2))
            high = torch.where(self.inside, line, -math.inf).amax((1, 2))
            low, high = torch.where(low < high, low, -1.0), torch.where(low < high, high, 1.0)
            focal = (side - 2 * self.margin - 1) / (high - low).clamp(min=1e-6)  # [pixels]
            frame.append((focal, side / 2 - focal * (low + high) / 2))
        (fx, cx), (fy, cy) = frame
        self.intrinsics = [_intrinsics(fx / height, (cx - width / 2) / height, fy / height, cy / height - 0.5)]
        return x * fx[:, None, None] + cx[:, None, None], y * fy[:, None, None] + cy[:, None, None]

    def _faces(self, rays: list[Tensor], lens: Lenses, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The front of a cube, and below it on the sheet the upper parts of its four sides."""
        self.sides = 4
        focal = math.ceil(self.batch.lens_detail * min(size) / 2 / lens.angle)
        side = 2 * (focal + self.margin)
        reach = 1 / math.tan(lens.angle)  # least z of what the sides must show, on a cube of half side 1
        reach = reach if reach > 0 else math.sqrt(2) * reach
        tall = math.ceil(focal * (1 - reach)) + 2 * self.margin
        self.front, self.side = (side, side), (tall, side)
        one = torch.ones_like(self.batch.exposure)
        front = _intrinsics(*(one * value for value in (focal / side, 0.0, focal / side, 0.0)))
        # Rows: the top edge, y = -1, lies `margin` pixels below the top.
        self.row = self.margin + focal  # of y = 0
        down = self.row / tall - 0.5
        self.focal = focal
        self.intrinsics = [front, _intrinsics(*(one * value for value in (focal / tall, 0.0, focal / tall, down)))]
        x, y, z = rays
        across = x.abs() >= y.abs()
        long = torch.where(across, x.abs(), y.abs())
        ahead = z >= long
        turned = torch.where(across, -y * x.sign(), x * y.sign())
        one_over = focal / torch.where(ahead, z, long).clamp(min=1e-12)
        number = torch.where(across, x < 0, 2 + (y < 0).int())
        shift = torch.where(ahead, side / 2, side + self.row + number * tall)
        return torch.where(ahead, x, turned) * one_over + side / 2, torch.where(ahead, y, -z) * one_over + shift

    def draw(self, draw: Draw, names: Collection[str], batch: SceneBatch) -> dict[str, Tensor]:
        """The sheets: maps [B, ..., H', W'] by name, normals and depth as the camera has them, and "flags"."""
        pinhole = batch.replace(lens=None, distortion=None, blur=None, noise=None, effects=(), params={})
        sheet = draw(pinhole.replace(intrinsics=self.intrinsics[0]), self.front, names)
        if not self.sides:
            return sheet
        turned = dataclasses.replace(
            pinhole, **{name: value.repeat_interleave(4, 0) for name, value in pinhole.tensors().items()}
        )
        x, y, z, last = batch.camera_from_world.unbind(1)
        sides = ((-y, -z, x, last), (y, -z, -x, last), (x, -z, y, last), (-x, -z, -y, last))
        poses = [torch.stack(rows, 1) for rows in sides]
        drawn = draw(
            turned.replace(
                camera_from_world=torch.stack(poses, 1).flatten(0, 1),
                intrinsics=self.intrinsics[1].repeat_interleave(4, 0),
            ),
            self.side,
            names,
        )
        flags = sheet.pop("flags"), drawn.pop("flags")
        for name, front in sheet.items():
            sides = drawn[name].unflatten(0, (-1, 4))
            if name == "depth":
                rows = torch.arange(self.side[0], device=front.device) + (0.5 - self.row)
                sides = sides * (-rows / self.focal)[:, None]
            elif name == "normals":
                sides = _turned_back(sides)
            sheet[name] = torch.cat([front, *sides.unbind(1)], -2)
        sheet["flags"] = _flags(*flags, batch.instances)
        return sheet


def _turned_back(normals: Tensor) -> Tensor:
    """Normals of the four sides, [B, 4, 3, H, W], in the camera's axes."""
    x, y, z = normals.unbind(2)
    sides = [(z, -x, -y), (-z, x, -y), (x, z, -y), (-x, -z, -y)]
    return torch.stack([torch.stack([axis[:, i] for axis in side], 1) for i, side in enumerate(sides)], 1)


def _flags(front: Tensor, sides: Tensor, instances: int) -> Tensor:
    """What the device noted, in the images of the batch."""
    place = sides[:1] - 1
    step = max(instances, 1)
    image = torch.div(place, 4 * step, rounding_mode="floor")
    missing = torch.where(place >= 0, image * step + place.remainder(step) + 1, 0)
    return torch.cat([torch.where(front[:1] > 0, front[:1], missing), front[1:] + sides[1:]])


def _intrinsics(fx: Tensor, cx: Tensor, fy: Tensor, cy: Tensor) -> Tensor:
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], -1).unflatten(-1, (3, 3))


def through_lens(
    batch: SceneBatch, size: tuple[int, int], names: Collection[str], draw: Draw, *, averaged: bool, traced: bool
) -> dict[str, Tensor]:
    """Linear light and labels of pictures through their lenses.

    Colours are filtered, labels taken from the nearest pixel of a view. Beyond the image circle it is dark and there is
    nothing.

    Args:
        batch: What is drawn.
        size: Height and width.
        names: Out of ``fastsynth.types.OUTPUTS``; boxes and visible pixels are left to the caller, who has the ids.
        draw: Draws views.
        averaged: Take the mean over a pixel rather than what its centre shows.
        traced: Shall the background follow silhouettes with a gradient?

    Returns:
        The outputs by name, "rgb" as linear light, and "flags".
    """
    views = Views(batch, size, margin=2 + math.ceil(batch.lens_detail / 4))
    wanted = dict.fromkeys(name for name in names if name not in _MADE)
    if any(name in names for name in _COUNTED):
        wanted["instance_id"] = None
    if "total_pixels" in names:
        wanted["amodal_masks"] = None
    dark = batch.replace(
        background_color=torch.zeros_like(batch.background_color), photo_id=torch.full_like(batch.photo_id, -1)
    )
    sheet = views.draw(draw, tuple(wanted), dark)
    made = {"flags": sheet.pop("flags")}
    if "rgb" in names:
        light = sheet.pop("rgb")
        if traced:
            white = dark.replace(background_color=torch.ones_like(batch.background_color))
            free = (views.draw(draw, ("rgb",), white)["rgb"] - light).mean(1, keepdim=True)
        else:
            free = (sheet["instance_id"] < 0)[:, None].to(light.dtype)
        row, panoramas = batch.environment_id, batch.environments
        if row is not None and panoramas is not None and batch.environment_visible:
            # A panorama is in the views already, as the lens sees it.
            free = torch.where(((row >= 0) & (row < len(panoramas)))[:, None, None, None], 0, free)
        made["rgb"] = _composed(batch, size, light, free, views, averaged, draw)
    nearest = Nearest(views.x.detach(), views.y.detach(), sheet_size(views), views.inside) if wanted else None
    for name, value in sheet.items():
        assert nearest is not None
        made[name] = nearest(value, OUTSIDE.get(name, 0))
    if "total_pixels" in names:
        made["total_pixels"] = made["amodal_masks"].sum((2, 3), dtype=torch.int32)
    return made


def sheet_size(views: Views) -> tuple[int, int]:
    """Height and width of a sheet."""
    height, width = views.front
    return (height + 4 * views.side[0], width) if views.sides else (height, width)


def _composed(
    batch: SceneBatch, size: tuple[int, int], light: Tensor, free: Tensor, views: Views, averaged: bool, draw: Draw
) -> Tensor:
    """Light [B, 3, H, W] before the background, of sheets of light [B, 3, ...] and of what is free [B, 1, ...]."""
    reach = batch.lens_detail / 4 if averaged else 0.0
    taps = [(x, y) for x in (-reach, reach) for y in (-reach, reach)] if reach else [(0.0, 0.0)]
    sums = []
    for sheet in (light, free):
        parts = [bilinear(sheet, views.x + x, views.y + y) for x, y in taps]
        while len(parts) > 1:
            parts = [torch.lerp(a, b, 0.5) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        sums.append(parts[0])
    nothing = {name: value[:, :0] for name, value in batch.tensors().items() if name in _OF_SLOTS}
    empty = dataclasses.replace(batch, lens=None, distortion=None, **nothing)
    behind = draw(empty, size, ("rgb",))["rgb"]
    return torch.where(views.inside[:, None], sums[0] + sums[1] * behind, 0)


_OF_SLOTS = (
    *("mesh_id", "world_from_object", "base_color", "metallic", "roughness", "texture_id"),
    *("layer", "color_matrix"),
)
