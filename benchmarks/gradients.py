"""How well gradients agree with differences: every cell of tests/test_gradient_truth.py, and the design note's table.

python benchmarks/gradients.py        # writes benchmarks/results/gradients.json, rewrites docs/design/0006-gradients.md
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gradient_scenes import SCENES
from gradient_table import PARAMETERS, agreement, by_differences, by_kernel
from table import ROOT, put
from timing import save

NOTE = ROOT / "docs" / "design" / "0006-gradients.md"
Cells = dict[str, dict[str, dict[str, float] | None]]


def measured() -> Cells:
    """Cosine and length of every parameter's gradient in every scene; None where nothing depends on it."""
    cells: Cells = {}
    for scene, it in SCENES.items():
        cells[scene] = {}
        for parameter in PARAMETERS:
            given, wanted = by_kernel(it, parameter), by_differences(it, parameter)
            found = agreement(given, wanted)
            cells[scene][parameter] = {"cosine": found.cosine, "length": found.length} if wanted.any() else None
    return cells


def lines(cells: Cells) -> list[str]:
    """What moves silhouettes by scene, then the least of all scenes for everything else."""
    moving = [name for name, parameter in PARAMETERS.items() if parameter.moves]
    table = [f"| scene | {' | '.join(moving)} |", f"| --- |{' --- |' * len(moving)}"]
    for scene, row in cells.items():
        table.append(
            f"| {scene} | " + " | ".join(f"{row[p]['cosine']:.4f}, {row[p]['length']:.2f}" for p in moving) + " |"
        )
    table += ["", "| what does not move them | least cosine | lengths |", "| --- | --- | --- |"]
    for name in PARAMETERS:
        if name in moving:
            continue
        column = [row[name] for row in cells.values() if row[name] is not None]
        lengths = [cell["length"] for cell in column]
        least = min(cell["cosine"] for cell in column)
        table.append(f"| {name} | {least:.5f} | {min(lengths):.3f} to {max(lengths):.3f} |")
    return table


def main() -> None:
    """Measures and writes down."""
    cells = measured()
    print(save("gradients", cells))
    put(NOTE, ["", *lines(cells), ""])  # a comment that touches a table is taken for one of its rows


if __name__ == "__main__":
    main()
