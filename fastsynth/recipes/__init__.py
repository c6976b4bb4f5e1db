"""Published systems of synthetic training data, each as a scene: ``fs.recipes.NAME(assets=..., without=...)``."""

from __future__ import annotations

from collections.abc import Callable

from fastsynth.recipes.matrix_drive import matrix_drive
from fastsynth.recipes.numbers import SOURCES, Number, Numbers, code, memory, ours, paper
from fastsynth.recipes.recipe import OFF, Recipe
from fastsynth.recipes.tobin_tabletop import tobin_tabletop
from fastsynth.recipes.tremblay_cars import tremblay_cars

#: Every recipe by its name.
RECIPES: dict[str, Callable[..., Recipe]] = {
    "matrix_drive": matrix_drive,
    "tobin_tabletop": tobin_tabletop,
    "tremblay_cars": tremblay_cars,
}

__all__ = [
    "OFF",
    "RECIPES",
    "SOURCES",
    "Number",
    "Numbers",
    "Recipe",
    "code",
    "matrix_drive",
    "memory",
    "ours",
    "paper",
    "tobin_tabletop",
    "tremblay_cars",
]
