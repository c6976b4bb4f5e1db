"""The documentation runs: docstring examples, the Python blocks of the pages, the example scripts."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image

import fastsynth as fs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fs.__path__, "fastsynth.")
    if not module.name.endswith(("._C", ".__main__"))
)


def blocks(page: Path):
    """Python blocks of a page, each moved to its line so that a traceback points into the page."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        yield "\n" * (text[: block.start(1)].count("\n")) + block[1]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder of its own to run in, with the few files that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    for name, side in (("cube", 0.1), ("plate", 0.2)):
        (tmp_path / "parts" / f"{name}.obj").write_text(box(side))
    for folder in ("backgrounds", "photos"):
        (tmp_path / folder).mkdir()
        for shade in (40, 200):
            Image.new("RGB", (64, 48), (shade, 90, 120)).save(tmp_path / folder / f"{shade}.jpg")
    return tmp_path


def box(side: float) -> str:
    """A cube as a Wavefront file; sides in metres."""
    corners = [(x, y, z) for x in (0, side) for y in (0, side) for z in (0, side)]
    faces = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + ["f " + " ".join(map(str, face)) for face in faces]
    return "\n".join(lines) + "\n"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # an example leaves its folder to the garbage collector
@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, elsewhere):
    module = importlib.import_module(name)
    torch.manual_seed(0)
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert not result.failed, report.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages(page, elsewhere):
    """The blocks of a page run in order, in one namespace, as a reader would paste them."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)


def test_the_first_page_has_code():
    assert any("fastsynth" in block for block in blocks(ROOT / "README.md"))


@pytest.mark.parametrize("script", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda script: script.stem)
def test_examples(script, elsewhere, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
