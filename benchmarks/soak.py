"""Ten thousand batches in one process: memory stays flat, and no image comes out empty.

    python benchmarks/soak.py             # writes benchmarks/results/soak.json

Resident memory is read from the system after a tenth of the run, when everything has been
allocated once, and again at the end. A scene with an object before the camera must never
draw nothing but background.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from pathlib import Path

import torch
from timing import save
from torch.utils.data import DataLoader

import fastsynth as fs


def resident() -> float:
    """Memory that this process holds [MiB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def scene(device: str) -> fs.Scene:
    """Up to four products, all of them within the view."""
    return fs.Scene(
        objects=fs.Objects(
            fs.procedural.products().to(device),
            count=fs.Choice(range(1, 5)),
            position=fs.Uniform((-0.05, -0.05, -0.05), (0.05, 0.05, 0.05)),
            rotation=fs.UniformRotation(),
        ),
        camera=fs.Camera(distance=fs.Uniform(0.6, 0.9)),
        light=fs.DirectionalLight(direction=fs.UniformHemisphere()),
        background=fs.GradientBackground(),
        sensor=fs.Sensor(noise=fs.Uniform(0.0, 0.02)),
    )


def soak(batches: int, batch: int, size: int, device: str) -> dict[str, float]:
    """Draw the batches and return what happened."""
    stream = fs.SyntheticStream(
        scene(device), batch_size=batch, size=(size, size), annotations=("boxes_2d_tight", "instance_mask")
    )
    loader = itertools.islice(DataLoader(stream, batch_size=None), batches)
    settled, settled_cuda, empty, dark = 0.0, 0, 0, 0
    begin = time.perf_counter()
    for number, (images, targets) in enumerate(loader, start=1):
        empty += sum(len(target["boxes"]) == 0 for target in targets)
        dark += int((images.float().flatten(1).std(1) == 0).sum())
        if number == max(1, batches // 10):
            settled = resident()
            settled_cuda = torch.cuda.memory_allocated() if device != "cpu" else 0
        if number % max(1, batches // 20) == 0:
            rate = number * batch / (time.perf_counter() - begin)
            print(f"{number:>7,} batches  {rate:>8,.0f} images/s  {resident():>8,.1f} MiB", flush=True)
    return {
        "batches": batches,
        "images": batches * batch,
        "images_per_second": batches * batch / (time.perf_counter() - begin),
        "resident_growth_MiB": resident() - settled,
        "cuda_growth_MiB": (torch.cuda.memory_allocated() - settled_cuda) / 2**20 if device != "cpu" else 0.0,
        "images_without_object": empty,
        "images_of_one_color": dark,
    }


def main() -> int:
    """Run the soak from the command line; 0 when memory stayed flat and every image was sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=64, help="side of the images [pixels]")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--allow", type=float, default=16.0, help="growth of memory that is still flat [MiB]")
    args = parser.parse_args()

    result = soak(args.batches, args.batch, args.size, args.device)
    for name, value in result.items():
        print(f"{name:<24}{value:>14,.1f}")
    print(save("soak", {**vars(args), **result}))
    flat = result["resident_growth_MiB"] <= args.allow and result["cuda_growth_MiB"] <= args.allow
    sound = result["images_without_object"] == 0 and result["images_of_one_color"] == 0
    print("flat and sound" if flat and sound else "FAILED: memory grew" if sound else "FAILED: an image was empty")
    return 0 if flat and sound else 1


if __name__ == "__main__":
    sys.exit(main())
