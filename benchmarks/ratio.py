"""Ours against llvmpipe on the standard workload, alternating in one run; ids are compared before anything is timed.

python benchmarks/ratio.py            # writes benchmarks/results/llvmpipe.json
"""

from __future__ import annotations

import argparse

import torch
from rival import Rival
from timing import alternate, rate, save
from workloads import OUTPUTS, standard

import fastsynth as fs

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--seconds", type=float, default=1.5)
parser.add_argument("--name", default="llvmpipe")


def check(batch: fs.SceneBatch, size: int) -> float:
    """Part of the pixels whose id is the rival's; raises when the two do not draw the same."""
    from peers.llvmpipe import pictures
    from peers.scenes import standard_scenes

    scenes = standard_scenes()
    assert scenes is not None
    ids = fs.render(batch, (size, size), ("instance_id",)).instance_id
    drawn = [torch.from_numpy(number.astype("int32")) - 1 for _, number, _ in pictures(scenes, (size, size), range(8))]
    equal = [(number == ids[i]).float().mean() for i, number in enumerate(drawn)]
    agreement = float(torch.stack(equal).mean())
    if agreement < 0.999:
        raise SystemExit(f"ratio.py: only {agreement:.4%} of the ids agree at {size}: nothing is timed.")
    return agreement


def main() -> None:
    """Measures and writes down."""
    args = parser.parse_args()
    fine, coarse = standard(), standard(lod=True)
    if fine is None or coarse is None:
        raise SystemExit("ratio.py: the standard workload is not beside the repository (../shared/data).")
    results = {}
    for size in args.sizes:
        agreement = check(fine, size)
        rival = Rival(size)

        def ours(batch: fs.SceneBatch, threads: int, size: int = size) -> float:
            torch.set_num_threads(threads)
            draw = lambda: fs.render(batch, (size, size), OUTPUTS, rgb_dtype=torch.uint8)  # noqa: E731
            return rate(draw, batch.images, args.seconds)

        ours(fine, 2)  # warm
        sides = {
            "2 threads": lambda: ours(fine, 2),
            "2 threads, lod": lambda: ours(coarse, 2),
            "1 thread": lambda: ours(fine, 1),
            "1 thread, lod": lambda: ours(coarse, 1),
            "llvmpipe, 2 processes": lambda rival=rival: rival.rate(args.seconds),
        }
        results[str(size)] = {"ids equal": agreement, **alternate(sides, args.rounds)}
        rival.close()
        for name, value in results[str(size)].items():
            print(size, name, value)
    print(save(args.name, results))


if __name__ == "__main__":
    main()
