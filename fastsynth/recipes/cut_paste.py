"""Dwibedi, Misra and Hebert, "Cut, Paste and Learn: Surprisingly Easy Synthesis for Instance Detection", ICCV 2017.

Cut-outs of objects pasted on photographs of places, blended in several ways, so that a detector cannot learn the traces
of pasting; and the same scene with each of the blends, so that it learns to overlook them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.effects import BLENDS, Blend
from fastsynth.geometry import Pinhole, deg
from fastsynth.random import Choice, Uniform
from fastsynth.randomizers import Ambient, CameraPose, ImageBackground
from fastsynth.recipes.assets_cutouts import places, product_cutouts
from fastsynth.recipes.numbers import Numbers, code, memory, ours
from fastsynth.recipes.pasting import Pasted
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.textures import Textures
from fastsynth.types import Frames, SceneBatch

NUMBERS = {
    "size": code((480, 640), "debidatta/syndata-generation"),
    "instances": memory(33, "of BigBIRD; here products of our own"),
    "classes": memory(11, "that the GMU Kitchens and BigBIRD share"),
    "others": ours(12, "products that only distract"),
    "views": ours(2, "of each instance; the paper has many more"),
    "photograph": ours(
        256, "side of a stand-in's photograph, of which the object fills about the middle half [pixels]"
    ),
    "pixel": ours(
        2, "a stand-in's pixels count so many times: objects are about 256 pixels large before they are scaled"
    ),
    "mask_error": ours(1, "stand-ins' masks are too small or too large by so many pixels, so that there is a trace"),
    "places": ours(24, "stand-ins; the paper has 1,548 photographs of UW Scenes, given here by `photos`"),
    "targets": code((1, 4), "an image"),
    "distractors": code((2, 4), "an image; pasted after the targets, and not labelled there"),
    "scale": code((0.25, 0.6), "of the cut-out's size, at 640 x 480"),
    "angle": code(30, "to either side, whole degrees"),
    "truncation": code(0.25, "of width and height beyond each border"),
    "overlap": code(0.75, "of the other's box; called IOU there, but divided by that box alone"),
    "tries": code(20, "there the whole image is begun anew then; here the object is left out"),
    "least": code(6, "smallest side of a box [pixels of 480]"),
    "gaussian": code((2.0, 2), "standard deviation and half width: 5 x 5 pixels"),
    "box": code(3, "side of the mean that blurs the mask [pixels]"),
    "motion": code((3, 5, 7, 9), "pixels, at any angle"),
    "motion_begin": code((-1.0, -0.5, 0.0), "left, full and right kernel, in lengths from the pixel"),
    "around": ours(0.5, "grey around the objects in their photographs, for the Poisson blend"),
    "blends": code(BLENDS, "all of the same scene there, as with every_blend; else one an image, each as likely: ours"),
    "part": ours((0.6, 1.0), "of a photograph, that is the background"),
    "distance": ours(10.0, "of the camera from the plane of the cut-outs [m]; no parallax is meant"),
}


class CutPaste(Recipe):
    """The recipe; with `every_blend`, image i is scene i // 5 with blend i % 5."""

    every_blend: bool = False

    def sample(self, images: int | Sequence[int] | Tensor, seed: int = 0, **options: Any) -> SceneBatch:
        """As of `Scene`; see `every_blend`."""
        if not self.every_blend:
            return super().sample(images, seed, **options)
        if isinstance(images, int):
            index = torch.arange(images)
        else:
            index = images if isinstance(images, Tensor) else torch.tensor(list(images), dtype=torch.int64)
        scene = torch.div(index, len(BLENDS), rounding_mode="floor")
        batch = super().sample(scene, seed, **options)
        if not isinstance(self.blend, Blend):
            return batch
        kind = (index - scene * len(BLENDS)).to(batch.device, non_blocking=True)
        step = batch.effects[-1]
        step = replace(step, values={**step.values, **self.blend.as_kind(kind)})
        return batch.replace(effects=(*batch.effects[:-1], step), params={**batch.params, "blend.kind": kind})


class _Targets:
    """Which slots are targets that can be seen, and where."""

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def __call__(self, frames: Frames) -> dict[str, Tensor]:
        target = torch.arange(frames.batch.instances, device=frames.batch.device) < self.slots
        return {"target": target & (frames.visible_pixels > 0), "box": frames.boxes_2d_tight.float()}


def cut_paste(
    assets: Assets | None = None,
    photos: str | Path | Sequence[str | Path] | Textures | None = None,
    distractors: Sequence[str] | None = None,
    blends: Sequence[str] = BLENDS,
    every_blend: bool = False,
    without: Sequence[str] = (),
) -> Recipe:
    """Cut, Paste and Learn.

    Args:
        assets: Cut-outs, see :func:`fastsynth.load_cutouts`; stand-ins by default.
        photos: Places, as of `ImageBackground`; stand-ins by default.
        distractors: Classes of the cut-outs that only distract; by default that of the name "distractor".
        blends: Names out of ``fastsynth.effects.BLENDS``, of which each image has one.
        every_blend: Image i is scene i // 5 with blend i % 5, in the order of ``fastsynth.effects.BLENDS``.
        without: Out of "rotation", "scale", "truncation", "occlusion", "distractors", "blend".

    Labels: "target" bool [B, N], false for distractors and empty slots; "box" float32 [B, N, 4], the tight box.

    Example:
        >>> import fastsynth as fs
        >>> recipe = fs.recipes.cut_paste(blends=["gaussian"])
        >>> frames = fs.render(recipe.sample(2), (48, 64), ("rgb", "boxes_2d_tight", "visible_pixels"))
        >>> recipe.labels(frames)["target"].shape
        torch.Size([2, 8])
    """
    n = Numbers(NUMBERS)
    if assets is None:
        objects = n["instances"], n["classes"], n["others"]
        assets = product_cutouts(
            *objects, n["views"], n["photograph"], n["pixel"] * 0.001, n["mask_error"], n["around"]
        )
    names = assets.class_names
    decoys = {"distractor"} if distractors is None else set(distractors)
    for name in sorted(decoys - set(names)):
        raise ValueError(f"cut_paste(): `distractors` names the class {name!r}, which no cut-out has.")
    is_decoy = [names[row] in decoys for row in assets.mesh_class.tolist()]
    rows = [[k for k, decoy in enumerate(is_decoy) if decoy == which] for which in (False, True)]
    if not rows[0] or not rows[1]:
        raise ValueError("cut_paste(): there must be cut-outs to find and cut-outs that distract. Give distractors=.")
    places_given = places(n["places"]) if photos is None else photos
    height = n["size"][0] * 0.001  # [m]: a cut-out's pixel is 1 mm
    distance = n["distance"]
    (least_scale, most_scale), (few, many), (low, high) = n["scale"], n["targets"], n["distractors"]
    degrees = n["angle"]
    camera = Pinhole.look_at((0.0, -distance, 0.0), (0.0, 0.0, 0.0), fov=2 * math.atan(height / 2 / distance))
    kinds = [name for name in n["blends"] if name in blends] if not isinstance(blends, str) else [blends]
    pasted = Pasted(
        assets,
        *rows,
        count=Choice(range(few, many + 1)),
        distractor_count=Choice(range(low, high + 1)),
        angle=Choice([float(deg(angle)) for angle in range(-degrees, degrees + 1)]),
        scale=Uniform(least_scale, most_scale),
        truncation=n["truncation"],
        overlap=n["overlap"],
        tries=n["tries"],
        least=n["least"] / n["size"][0],
        distance=distance,
        height=height,
    )
    reach = max(n["motion"])
    blend = Blend(
        kinds,
        gaussian=n["gaussian"],
        box=n["box"],
        length=Choice([float(length) for length in n["motion"]]),
        begin=Choice(list(n["motion_begin"])),
        radius=reach,
        around=n["around"],
    )
    recipe = CutPaste(
        "cut_paste",
        1,
        "Dwibedi, Misra and Hebert, Cut, Paste and Learn, ICCV 2017",
        n,
        n["size"],
        {
            "rotation": {"objects.angle": 0.0},
            "scale": {"objects.scale": (least_scale + most_scale) / 2},
            "truncation": {"objects.truncation": 0.0},
            "occlusion": {"objects.overlap": 0.0},
            "distractors": {"objects.distractors": 0},
            "blend": {"blend": OFF},
        },
        without,
        target_classes=tuple(name for name in names if name not in decoys),
        label=_Targets(pasted.slots[0]),
        label_outputs=("boxes_2d_tight", "visible_pixels"),
        objects=pasted,
        camera=CameraPose(camera),
        light=Ambient(1.0),
        background=ImageBackground(places_given, scale=Uniform(*n["part"])),
        blend=blend,
        lod=0.0,
    )
    recipe.every_blend = every_blend
    return recipe
