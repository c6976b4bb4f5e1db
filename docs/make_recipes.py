"""Makes a sheet of every recipe, 16 images with their labels: ``python docs/make_recipes.py [NAME ...]``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import fastsynth as fs
from fastsynth.recipes import RECIPES, Recipe
from fastsynth.sheet import color_of

IMAGES = Path(__file__).resolve().parent / "images" / "recipes"
PLACE, COLUMNS, ROWS, GAP = 300, 4, 4, 4  # width of a picture [pixels], the grid, between pictures [pixels]
OUTPUTS = ("rgb", "instance_id", "boxes_2d_tight", "visible_pixels", "total_pixels", "depth")


def draw(recipe: Recipe, count: int = COLUMNS * ROWS, seed: int = 5) -> tuple[fs.Frames, int]:
    """Pictures no larger than the recipe's own, and how many times as large they are shown."""
    height, width = recipe.size
    larger = max(1, PLACE // width)
    size = recipe.size if width <= PLACE else (round(PLACE * height / width), PLACE)
    outputs = tuple(dict.fromkeys([*OUTPUTS, *recipe.label_outputs]))
    return fs.render(recipe.sample(count, seed, aspect=width / height), size, outputs), larger


def labelled(recipe: Recipe, frames: fs.Frames, labels: dict[str, torch.Tensor], row: int, larger: int) -> Image.Image:
    """The picture with masks' outlines and boxes of what a detector would be taught, and the recipe's own labels."""
    target = frames.targets(masks=False, classes=recipe.target_classes, min_visible=0.1, min_pixels=8)[row]
    ids = frames.instance_id[row].repeat_interleave(larger, 0).repeat_interleave(larger, 1)
    pixels = (frames.rgb[row] * 255).round().byte().permute(1, 2, 0)
    pixels = pixels.repeat_interleave(larger, 0).repeat_interleave(larger, 1)
    for slot in target["instance"].tolist():
        mask = torch.nn.functional.pad((ids == slot)[None, None].float(), (1, 1, 1, 1))
        inner = -torch.nn.functional.max_pool2d(-mask, 3, 1)
        pixels[(mask[0, 0, 1:-1, 1:-1] - inner[0, 0]) > 0] = torch.tensor(color_of(slot), dtype=torch.uint8)
    picture = Image.fromarray(pixels.numpy())
    pen = ImageDraw.Draw(picture)
    for slot, box in zip(target["instance"].tolist(), (target["boxes"] * larger).tolist(), strict=True):
        x0, y0, x1, y1 = box
        pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=color_of(slot))
    recipe.draw_labels(pen, frames, labels, row)
    return picture


def sheet(recipe: Recipe) -> Image.Image:
    """Sixteen pictures, four by four."""
    frames, larger = draw(recipe)
    labels = recipe.labels(frames)
    height, width = (side * larger for side in frames.size)
    whole = Image.new("RGB", (COLUMNS * (width + GAP), ROWS * (height + GAP)), (24, 24, 28))
    for row in range(COLUMNS * ROWS):
        place = (row % COLUMNS) * (width + GAP), row // COLUMNS * (height + GAP)
        whole.paste(labelled(recipe, frames, labels, row, larger), place)
    return whole


def main() -> None:
    """Write them, and say how large they are."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or sorted(RECIPES):
        path = IMAGES / f"{name}.jpg"
        sheet(RECIPES[name]()).save(path, quality=75)
        print(f"{path.name:<28}{path.stat().st_size / 1000:6.0f} kB", flush=True)


if __name__ == "__main__":
    main()
