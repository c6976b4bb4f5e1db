"""Imports point down only: the table of layers, held against what the files import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastsynth"

# From the bottom up: a module may import what stands on a row above its own here; a package counts as one module.
LAYERS = (
    # what anyone may use
    {"_expect", "_C", "report", "graph"},
    # functions of tensors, and files made into tensors
    {"ops", "geometry", "textures", "lod", "labels", "safe_files", "lens", "resample"},
    {"assets", "random", "deform", "environments"},
    {"pack", "skies"},
    {"load", "procedural", "outline"},
    {"cutouts", "load_environments"},
    # the waist: what is drawn and what was drawn
    {"types"},
    # the two halves, which meet in the waist alone
    {"scene", "surface", "sensor", "annotate", "gbuffer"},
    {"randomizers", "shadow", "environment", "canvas", "views", "schedule"},
    {"effects", "finish", "outlines", "shading"},
    {"render", "compose"},
    # what knows both halves
    {"dataset", "search", "augment"},
    {"audit"},
    {"recipes"},
    # the interfaces of other libraries
    {"compat"},
    # what only people call
    {"selftest", "sheet", "demo_detector", "inputs"},
    {"demo"},
    {"cli"},
)
# Never, although the rows would allow it.
HALVES = (
    {
        *("scene", "randomizers", "effects", "random", "load", "load_environments", "procedural", "skies", "cutouts"),
        *("outline", "schedule"),
    },
    {"render", "compose", "surface", "shading", "shadow", "environment", "sensor", "views", "outlines", "finish"},
)
TOP = {"selftest", "sheet", "demo_detector", "inputs", "demo", "cli"}  # the only ones that may import the whole package
LAYER = {module: layer for layer, modules in enumerate(LAYERS) for module in modules}


def modules():
    """Every module of the package but its root, with its files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path != PACKAGE / "__init__.py":
            found.setdefault(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), []).append(path)
    return found


def imports(source: str):
    """Modules of the package that this source imports when it is imported, and those inside `if TYPE_CHECKING`.

    An import within a function is a convenience at call time and is left out.
    """
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "fastsynth":
                    yield name.name.split(".")[1] if "." in name.name else ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import: write it as `from fastsynth...`"
            parts = (node.module or "").split(".")
            if parts[0] == "fastsynth":
                yield from [parts[1]] if len(parts) > 1 else [name.name for name in node.names]
        waiting.extend(ast.iter_child_nodes(node))


def test_every_module_has_a_layer():
    assert set(modules()) <= set(LAYER), "put the new module into LAYERS"


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down(module):
    for path in modules()[module]:
        for used in set(imports(path.read_text(encoding="utf-8"))) - {module}:
            if used not in LAYER:  # the root, or one of its public names: everything at once
                assert module in TOP, f"{path.name} imports the whole package: import the module instead"
                continue
            assert LAYER[used] < LAYER[module], f"{path.name} must not import fastsynth.{used}, which is not below it"
            for half, other in (HALVES, HALVES[::-1]):
                assert not (module in half and used in other), (
                    f"{path.name} must not import fastsynth.{used}: two halves"
                )


def test_a_wrong_import_is_seen():
    source = "import torch\nfrom fastsynth import scene\nfrom fastsynth.types import Frames\nimport fastsynth.render\n"
    assert set(imports(source)) == {"scene", "types", "render"}
    assert set(imports("def f():\n    import fastsynth.dataset\n")) == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_one_idea_a_file(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450
