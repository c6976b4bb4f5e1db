"""Results to the table in the README, between its two markers.

python benchmarks/table.py            # rewrites README.md
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def rows() -> list[str]:
    """The lines of the table."""
    llvmpipe = json.loads((RESULTS / "llvmpipe.json").read_text())
    step = json.loads((RESULTS / "step.json").read_text())
    machine = llvmpipe["machine"]
    lines = [
        "| images/s on two cores | 128 x 128 | 256 x 256 | 512 x 512 |",
        "| --- | --- | --- | --- |",
    ]
    sizes = llvmpipe["results"]
    ours, rival = "2 threads", "llvmpipe, 2 processes"

    def line(name: str, cell) -> str:
        return f"| {name} | " + " | ".join(cell(sizes[s]) for s in ("128", "256", "512")) + " |"

    lines += [
        line("fastsynth", lambda r: f"{r[ours]['median']:,.0f}"),
        line("fastsynth, level of detail on", lambda r: f"{r['2 threads, lod']['median']:,.0f}"),
        line("llvmpipe (OpenGL on the CPU), two processes", lambda r: f"{r[rival]['median']:,.0f}"),
        line("ratio, fastsynth to llvmpipe", lambda r: f"{r[f'{ours} / {rival}']['median']:.1f}"),
    ]
    whole = step["results"]["dataset step"]["step, boxes / drawing alone"]["median"]
    disk = step["results"]["disk"]["drawn / decoded from disk, 2 workers"]["median"]
    lines += [
        "",
        f"64 images of 8 textured objects, 23,000 triangles an image; colour, depth, ids and boxes. {machine['cpu']}, "
        f"{machine['cores']} cores, commit {machine['commit']}; both sides alternate in one run "
        "(`python benchmarks/ratio.py`). "
        f"The whole `SyntheticDataset` step keeps {whole:.0%} of the bare drawing rate at 256 x 256, and drawing is "
        f"{disk:.1f} times as fast as decoding the same images from disk with two workers, colour as float32 "
        "(`python benchmarks/step.py`). No figure is from a GPU yet.",
    ]
    return lines


def put(page: Path, lines: list[str]) -> None:
    """Rewrites the table of a page, and prints it."""
    table = "\n".join(lines)
    new, count = re.subn(
        r"(<!-- table -->\n).*?(\n<!-- /table -->)", lambda m: m[1] + table + m[2], page.read_text(), flags=re.S
    )
    if count != 1:
        raise SystemExit(f"table.py: {page.name} must have <!-- table --> and <!-- /table --> once each.")
    page.write_text(new)
    print(table)


if __name__ == "__main__":
    put(ROOT / "README.md", rows())
