"""Published systems of synthetic training data, each as a scene: ``fs.recipes.NAME(assets=..., without=...)``."""

from __future__ import annotations

from collections.abc import Callable

from fastsynth.recipes.numbers import SOURCES, Number, Numbers, code, memory, ours, paper
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.recipes.tobin_tabletop import tobin_tabletop
from fastsynth.recipes.unity_eyes import unity_eyes

#: Every recipe by its name.
RECIPES: dict[str, Callable[..., Recipe]] = {"tobin_tabletop": tobin_tabletop, "unity_eyes": unity_eyes}

__all__ = [
    "OFF",
    "RECIPES",
    "SOURCES",
    "Number",
    "Numbers",
    "Recipe",
    "code",
    "memory",
    "ours",
    "paper",
    "tobin_tabletop",
    "unity_eyes",
]
