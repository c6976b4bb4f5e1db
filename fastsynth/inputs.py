"""What a user of the command line names: a device, meshes, photographs."""

from __future__ import annotations

import inspect
import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from fastsynth import procedural
from fastsynth.assets import Assets
from fastsynth.load import load_assets, load_textures
from fastsynth.ops._library import build_info
from fastsynth.recipes import RECIPES, Recipe
from fastsynth.scene import Scene
from fastsynth.textures import Textures

#: Said wherever CUDA kernels are missed.
NO_KERNELS = (
    "not built. Install a CUDA toolkit (nvcc), or `pip install fastsynth[cuda-build]`, and install fastsynth again "
    "from its source, with --no-build-isolation."
)


def build() -> dict[str, Any]:
    """What the extension was built with: `cuda`, `architectures`, `isa`, `isas`, `compiler`.

    Example:
        >>> "compiler" in build()
        True
    """
    return json.loads(build_info())


def device(name: str | None) -> torch.device:
    """The device of this name; without one, the GPU where there is one and its kernels were built.

    Raises:
        ValueError: the device is not to be had.

    Example:
        >>> device("cpu")
        device(type='cpu')
    """
    built = build()["cuda"]
    if name is None:
        return torch.device("cuda" if built and torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, but is {name!r}.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("--device is cuda, but torch finds no GPU here. Use --device cpu.")
    if name.startswith("cuda") and not built:
        raise ValueError(f"--device is cuda, but the CUDA kernels are {NO_KERNELS}")
    return torch.device(name)


def assets(paths: Sequence[Path] | None, device: torch.device) -> Assets:
    """The meshes of these files, folders and patterns; without any, generated products.

    What was repaired or left out is said on standard error.

    Example:
        >>> assets(None, torch.device("cpu")).class_names
        ('box', 'can', 'bottle', 'carton', 'jar')
    """
    if not paths:
        return procedural.products().to(device)
    loaded = load_assets(list(paths), device=device)
    if loaded.report.by_status("failed") or loaded.report.by_status("repaired"):
        Console(stderr=True).print(str(loaded.report), markup=False, highlight=False, soft_wrap=True)
    return loaded


def photos(path: Path | None, device: torch.device) -> Textures | None:
    """The photographs of this folder or pattern, at most 1024 pixels a side; None without one.

    Example:
        >>> photos(None, torch.device("cpu")) is None
        True
    """
    return load_textures(path, max_size=1024).to(device) if path else None


def scene(name: str, device: torch.device) -> Scene:
    """The scene of a Python file of the user's, which is run: ``scenes.py:shelf``.

    Args:
        name: Path of the file, a colon, and what it calls the scene, or a function without arguments that makes it.
        device: Where the scene goes.

    Raises:
        ValueError: there is no such file or name, or it is no scene.
    """
    file, _, variable = name.rpartition(":")
    if not Path(file).is_file():
        raise ValueError(f"there is no file {file!r}, of which {name!r} asks for the scene {variable!r}.")
    found = runpy.run_path(file, run_name="fastsynth.audit").get(variable)
    if callable(found) and not isinstance(found, Scene):
        found = found()
    if not isinstance(found, Scene):
        raise ValueError(f"{variable!r} of {file!r} must be an fs.Scene or make one, but is a {type(found).__name__}.")
    return found.to(device)


def recipe(source: Sequence[str] | None, photographs: Path | None, device: torch.device) -> Recipe | None:
    """The recipe that the first of these words names, with the meshes of the others; None where it names none.

    Raises:
        ValueError: meshes or photographs for a recipe that takes none.

    Example:
        >>> recipe(["shelf/meshes"], None, torch.device("cpu")) is None
        True
    """
    if not source or source[0] not in RECIPES:
        return None
    name, *paths = source
    taken = inspect.signature(RECIPES[name]).parameters
    given: dict[str, Any] = {}
    if paths:
        given["assets"] = assets([Path(path) for path in paths], device)
    if photographs is not None:
        given["photos"] = photographs  # a recipe knows how its surfaces repeat them
    for option in given:
        if option not in taken:
            raise ValueError(f"the recipe {name} takes no {option} of yours.")
    return RECIPES[name](**given).to(device)
