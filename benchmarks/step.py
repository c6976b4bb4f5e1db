"""The whole step of a training stream against bare drawing and against reading files, and its memory.

python benchmarks/step.py             # writes benchmarks/results/step.json
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import alternate, rate, save
from torch.utils.data import DataLoader, Dataset
from workloads import own_scene, standard

import fastsynth as fs

LABELS = ("rgb", "depth", "instance_id", "boxes_2d_tight")
BATCH = 64


class Files(Dataset):
    """Images, 16-bit depth and masks as files, decoded by Pillow: colour as `dtype`, float32 in [0, 1] or uint8."""

    def __init__(self, folder: Path, images: int, dtype: torch.dtype):
        self.folder, self.images, self.dtype = folder, images, dtype

    def __len__(self) -> int:
        return self.images * 64  # an epoch outlasts a measurement

    def __getitem__(self, i: int):
        i %= self.images
        rgb = torch.from_numpy(np.array(Image.open(self.folder / f"{i}.jpg"))).permute(2, 0, 1).contiguous()
        if self.dtype == torch.float32:
            rgb = rgb.float() / 255
        depth = torch.from_numpy(np.array(Image.open(self.folder / f"{i}.depth.png")).astype(np.float32)) / 1000
        return rgb, depth, torch.from_numpy(np.array(Image.open(self.folder / f"{i}.mask.png")))


def write_files(frames: fs.Frames, folder: Path) -> None:
    """The pictures of a batch as JPEG (quality 90), 16-bit PNG depth and 8-bit PNG mask."""
    for i in range(frames.rgb.shape[0]):
        Image.fromarray(frames.rgb[i].permute(1, 2, 0).contiguous().numpy()).save(folder / f"{i}.jpg", quality=90)
        depth = (frames.depth[i] * 1000).clamp(0, 65535).numpy().astype(np.uint16)
        Image.fromarray(depth).save(folder / f"{i}.depth.png")
        Image.fromarray((frames.instance_id[i] + 1).numpy().astype(np.uint8)).save(folder / f"{i}.mask.png")


def memory(size: int) -> dict[str, float]:
    """Peak of resident memory that drawing adds, for each image, beside the bytes of its outputs."""
    batch = own_scene().sample(BATCH, seed=1)
    fs.render(batch[:1], (size, size), LABELS, rgb_dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = fs.render(batch, (size, size), LABELS, rgb_dtype=torch.uint8)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outputs = sum(value.numel() * value.element_size() for value in frames.outputs.values())
    return {"peak_bytes_per_image": (after - before) * 1024 / BATCH, "output_bytes_per_image": outputs / BATCH}


def main() -> None:
    """Measures and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    args = parser.parse_args()
    size = (args.size, args.size)
    results: dict[str, object] = {"memory": memory(args.size)}
    torch.set_num_threads(2)

    scene = own_scene()
    dataset = fs.SyntheticDataset(scene, length=1 << 30, size=size, annotations=("boxes_2d_tight", "instance_mask"))
    plain = fs.SyntheticDataset(scene, length=1 << 30, size=size, annotations=("boxes_2d_tight",))
    batch = scene.sample(BATCH, seed=0)
    position = iter(range(0, 1 << 30, BATCH))

    def step(of: fs.SyntheticDataset) -> float:
        def work() -> None:
            first = next(position)
            of.__getitems__(list(range(first, first + BATCH)))

        return rate(work, BATCH, args.seconds)

    def bare(*outputs: str) -> float:
        return rate(lambda: fs.render(batch, size, outputs), BATCH, args.seconds)

    step(plain)
    results["dataset step"] = alternate(
        {"step, boxes": lambda: step(plain), "drawing alone": lambda: bare("rgb", "boxes_2d_tight")}, args.rounds
    )
    results["dataset step with masks"] = alternate(
        {
            "step, boxes and masks": lambda: step(dataset),
            "drawing alone": lambda: bare("rgb", "boxes_2d_tight", "instance_id"),
        },
        args.rounds,
    )

    workload = standard()
    source = workload if workload is not None else batch
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(fs.render(source, size, LABELS, rgb_dtype=torch.uint8), folder)
        for dtype in (torch.float32, torch.uint8):
            loader = DataLoader(
                Files(folder, source.images, dtype), batch_size=32, num_workers=2, persistent_workers=True
            )

            def read(loader: DataLoader = loader) -> float:
                epoch = iter(loader)
                for _ in range(8):  # what the workers had decoded ahead is not counted
                    next(epoch)
                measured = rate(lambda: next(epoch), 32, args.seconds)
                time.sleep(0.5)  # the workers still decode ahead, which the other side must not pay for
                return measured

            def draw(dtype: torch.dtype = dtype) -> float:
                work = lambda: fs.render(source, size, LABELS, rgb_dtype=dtype)  # noqa: E731
                return rate(work, source.images, args.seconds)

            name = "disk" if dtype == torch.float32 else "disk, uint8"
            results[name] = alternate({"drawn": draw, "decoded from disk, 2 workers": read}, args.rounds)
    for key, value in results.items():
        print(key, value)
    print(save("step", results))


if __name__ == "__main__":
    main()
