"""Pictures through lenses against the same pictures of a pinhole, alternating in one run.

python benchmarks/lens.py            # writes benchmarks/results/lens.json
"""

from __future__ import annotations

import argparse
import math

import torch
from timing import alternate, rate, save
from workloads import OUTPUTS, own

import fastsynth as fs

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=1.0)
parser.add_argument("--threads", type=int, default=1)


def main() -> None:
    """Measures and writes down."""
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pinhole = own(lod=True)[:32]
    images = pinhole.images
    circle = torch.diag(torch.tensor([1 / math.pi, 1 / math.pi, 1.0])).repeat(images, 1, 1)
    brown = torch.tensor([[-0.2, 0.05, 0.001, 0.001, 0.0, 0.0, 0.0, 0.0]]).repeat(images, 1)
    batches = {
        "fisheye, 180 degrees": pinhole.replace(intrinsics=circle, lens="equidistant"),
        "fisheye, 180 degrees, detail 2": pinhole.replace(intrinsics=circle, lens="equidistant", lens_detail=2.0),
        "radial and tangential": pinhole.replace(lens="radial_tangential", distortion=brown),
        "radial and tangential, detail 1": pinhole.replace(lens="radial_tangential", distortion=brown, lens_detail=1.0),
        "pinhole": pinhole,
    }
    results = {}
    for size in args.sizes:
        for samples in (1, 4):

            def speed(batch: fs.SceneBatch, size: int = size, samples: int = samples) -> float:
                draw = lambda: fs.render(batch, (size, size), OUTPUTS, samples=samples, rgb_dtype=torch.uint8)  # noqa: E731
                return rate(draw, images, args.seconds)

            speed(pinhole)
            sides = {name: lambda batch=batch: speed(batch) for name, batch in batches.items()}
            results[f"{size}, {samples} samples"] = alternate(sides, args.rounds)
            for name, value in results[f"{size}, {samples} samples"].items():
                print(size, samples, name, value, flush=True)
    print(save("lens", results))


if __name__ == "__main__":
    main()
