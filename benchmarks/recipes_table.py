"""Results of `recipes.py` to the tables of docs/reference/recipe_speed.md.

python benchmarks/recipes_table.py    # rewrites the page
"""

from __future__ import annotations

import json

from table import RESULTS, ROOT, put


def rows() -> list[str]:
    """The lines of both tables."""
    saved = json.loads((RESULTS / "recipes.json").read_text())
    recipes, machine = saved["results"]["recipes"], saved["machine"]
    lines = [
        "| recipe | images/s at 128 | at 256 | of the standard workload at 128 | at 256 | objects counted | "
        "and after augmentation |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in recipes.items():
        sides = [result[side] for side in ("128", "256")]
        cells = [f"{side['recipe']['median']:,.0f}" for side in sides]
        cells += [f"{side['recipe / standard']['median']:.2f}" for side in sides]
        labels = result["labels"]
        moved = labels["objects_after_augmentation"]
        counted = f"{labels['objects']:,}", f"{moved:,}" if moved else "-"
        lines.append(f"| `{name}` | {' | '.join(cells)} | {' | '.join(counted)} |")
    lines += ["", "Where the time of an image goes, the stages of 5 % and more at 256:", "", "| recipe | stages |"]
    lines += ["| --- | --- |"]
    for name, result in recipes.items():
        stages = result["256"]["stages_us"]
        whole = sum(stages.values())
        parts = [f"{stage} {value / whole:.0%}" for stage, value in stages.items() if value >= 0.05 * whole]
        lines.append(f"| `{name}` | {', '.join(parts)} |")
    lines += [
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {saved['results']['threads']} threads, commit "
        f"{machine['commit']}; recipe and standard workload in turns in one run (`python benchmarks/recipes.py`).",
    ]
    return lines


if __name__ == "__main__":
    put(ROOT / "docs" / "reference" / "recipe_speed.md", rows())
