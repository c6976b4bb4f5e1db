"""Published systems of synthetic training data, each as a scene: ``fs.recipes.NAME(assets=..., without=...)``."""

from __future__ import annotations

from collections.abc import Callable

from fastsynth.recipes.annotation_saved import annotation_saved
from fastsynth.recipes.cut_paste import cut_paste
from fastsynth.recipes.numbers import SOURCES, Number, Numbers, code, memory, ours, paper
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.recipes.rozantsev_uav import rozantsev_uav
from fastsynth.recipes.tobin_tabletop import tobin_tabletop
from fastsynth.recipes.vending_fisheye import vending_fisheye

#: Every recipe by its name.
RECIPES: dict[str, Callable[..., Recipe]] = {
    "cut_paste": cut_paste,
    "rozantsev_uav": rozantsev_uav,
    "annotation_saved": annotation_saved,
    "tobin_tabletop": tobin_tabletop,
    "vending_fisheye": vending_fisheye,
}

__all__ = [
    "OFF",
    "RECIPES",
    "SOURCES",
    "Number",
    "Numbers",
    "Recipe",
    "annotation_saved",
    "code",
    "cut_paste",
    "memory",
    "ours",
    "paper",
    "rozantsev_uav",
    "tobin_tabletop",
    "vending_fisheye",
]
