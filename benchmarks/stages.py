"""Where the time of an image goes: the standard workload on one thread, one stage of drawing added at a time.

python benchmarks/stages.py           # writes benchmarks/results/stages.json
"""

from __future__ import annotations

import argparse
from statistics import median

import torch
from timing import rate, save
from workloads import OUTPUTS, standard

import fastsynth as fs

#: Microseconds of one core for an image at 256 x 256 in a bare program for these scenes, made to know where the bottom
#: lies: without clipping, mip levels and a fill rule, so not a renderer.
FLOOR = 330.0
GEOMETRY = 16  # pixels: triangles are culled, transformed and set up as ever, and next to nothing is covered


def main() -> None:
    """Measures and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    batch = standard()
    if batch is None:
        raise SystemExit("stages.py: the standard workload is not beside the repository (../shared/data).")
    untextured = batch.replace(texture_id=torch.full_like(batch.mesh_id, -2))
    torch.set_num_threads(1)
    results = {}
    for size in args.sizes:
        whole = (size, size)
        steps = {
            "cull, transform, set up": (batch, (GEOMETRY, GEOMETRY), ("instance_id",)),
            "cover, depth test, write ids": (batch, whole, ("instance_id",)),
            "fetch, intersect, write depth": (batch, whole, ("instance_id", "depth")),
            "light, write colour": (untextured, whole, ("instance_id", "depth", "rgb")),
            "texture": (batch, whole, ("instance_id", "depth", "rgb")),
            "boxes": (batch, whole, OUTPUTS),
        }
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(args.rounds):
            for name, (scenes, at, outputs) in steps.items():
                draw = lambda s=scenes, a=at, o=outputs: fs.render(s, a, o, rgb_dtype=torch.uint8)  # noqa: E731
                taken[name].append(1e6 / rate(draw, batch.images, args.seconds))
        until = {name: median(values) for name, values in taken.items()}
        before = [0.0, *list(until.values())[:-1]]
        stages = {name: round(value - less, 1) for (name, value), less in zip(until.items(), before, strict=True)}
        results[str(size)] = {"us per image": round(until["boxes"], 1), "of which": stages}
        if size == 256:
            results["256"]["share of the floor"] = round(FLOOR / until["boxes"], 3)
        print(size, results[str(size)])
    print(save("stages", results))


if __name__ == "__main__":
    main()
