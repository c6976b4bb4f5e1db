"""Images per second and bytes per image on a GPU, by size, batch and outputs: fastsynth, and peers where installed.

    python benchmarks/gpu_sweep.py --json out.json

Ids of a small batch are compared with the CPU's before anything is timed, and those of a peer with ours. Times are
taken by CUDA's events around many launches in a row, so that the host's part is hidden where the GPU is the slower.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import gpu_peers
import torch
from rich.console import Console
from rich.table import Table
from workloads import OUTPUTS, batch_of, own

from peers.scenes import Scenes, standard_scenes  # isort: skip  # pyright: ignore[reportMissingImports]

import fastsynth as fs

SIZES = (64, 128, 256, 512)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
CHECKED = 4  # images whose ids are compared
AGREE = 0.999  # part of a peer's ids that must be ours: renderers round edges differently
# Bytes a pixel of what is returned, with labels (colour, depth, ids) and without.
PIXEL = {True: 11, False: 3}

Make = Callable[[list[int], int, bool], Callable[[], Any]]  # (rows, size, labels) to a function that draws


def ours(batch: fs.SceneBatch, device: torch.device) -> Make:
    """The fused kernel."""
    batch = batch.to(device)

    def make(rows: list[int], size: int, labels: bool) -> Callable[[], fs.Frames]:
        picked = batch[torch.tensor(rows, device=device)]
        outputs = OUTPUTS if labels else ("rgb",)
        return lambda: fs.render(picked, (size, size), outputs, rgb_dtype=torch.uint8)

    return make


def differentiated(batch: fs.SceneBatch, device: torch.device) -> Make:
    """The fused kernel, forward and backward to poses and base colours."""
    batch = batch.to(device)

    def make(rows: list[int], size: int, labels: bool) -> Callable[[], torch.Tensor]:
        picked = batch[torch.tensor(rows, device=device)]
        leaves = {name: getattr(picked, name).clone().requires_grad_() for name in ("world_from_object", "base_color")}
        picked = picked.replace(**leaves)

        def draw() -> torch.Tensor:
            rgb = fs.render(picked, (size, size), ("rgb",)).rgb
            torch.autograd.grad(rgb.mean(), list(leaves.values()))
            return rgb.detach()

        return draw

    return make


def seconds_a_launch(draw: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Median time of one drawing of many in a row [s]."""
    for _ in range(3):
        draw()
    if device.type != "cuda":
        times = []
        while sum(times) < seconds:
            begin = time.perf_counter()
            draw()
            times.append(time.perf_counter() - begin)
        return median(times)
    stream = torch.cuda.current_stream(device)

    def taken(launches: int) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(stream)
        for _ in range(launches):
            draw()
        end.record(stream)
        end.synchronize()
        return begin.elapsed_time(end) / 1000 / launches

    rounds = 5
    launches = min(1000, max(2, round(seconds / rounds / max(taken(2), 1e-6))))
    return median(taken(launches) for _ in range(rounds))


def bytes_an_image(draw: Callable[[], Any], device: torch.device, images: int) -> float | None:
    """Most bytes that a drawing takes at once from torch's allocator, outputs included; None on the CPU."""
    if device.type != "cuda":
        return None
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    drawn = draw()
    torch.cuda.synchronize(device)
    del drawn
    return (torch.cuda.max_memory_allocated(device) - before) / images


def free_bytes(device: torch.device) -> float:
    """Memory that could be had now; on the CPU no limit is set."""
    if device.type != "cuda":
        return float("inf")
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]


def measure(
    make: Make,
    images: int,
    device: torch.device,
    sizes: Sequence[int],
    batches: Sequence[int],
    labels: Sequence[bool],
    seconds: float,
    free: Callable[[torch.device], float],
) -> list[dict[str, Any]]:
    """A row for each size, batch and choice of outputs: its figures, or why it has none."""

    def figures(count: int, size: int, labelled: bool) -> dict[str, Any]:
        draw = make([i % images for i in range(count)], size, labelled)
        rate = count / seconds_a_launch(draw, device, seconds)
        memory = bytes_an_image(draw, device, count)
        return {"images/s": round(rate, 1), "bytes per image": memory and round(memory)}

    rows = []
    for size, labelled in itertools.product(sizes, labels):
        each = float(size * size * PIXEL[labelled])
        for count in batches:
            row: dict[str, Any] = {"size": size, "batch": count, "labels": labelled}
            rows.append(row)
            wanted, third = each * count / 2**20, free(device) / 3 / 2**20
            if wanted > third:
                row["skipped"] = f"needs {wanted:,.1f} MiB, but a third of what is free is {third:,.1f} MiB"
                continue
            try:
                row |= figures(count, size, labelled)
            except torch.OutOfMemoryError:
                row["skipped"] = "ran out of memory"
                continue
            each = max(each, row["bytes per image"] or 0)  # scratch memory counts from here on
    return rows


def wrong(batch: fs.SceneBatch, make: Make, size: int) -> str | None:
    """What differs from the CPU's ids, in words; None where nothing does."""
    rows = list(range(min(CHECKED, batch.images)))
    drawn = make(rows, size, True)().instance_id.cpu()
    wanted = fs.render(batch[: len(rows)], (size, size), ("instance_id",)).instance_id
    if not bool((wanted >= 0).any()):
        return f"at {size} pixels the CPU draws nothing, so nothing was compared"
    different = int((drawn != wanted).sum())
    return f"at {size} pixels {different} of {wanted.numel()} ids differ from the CPU's" if different else None


def unlike(fused: Make, differentiable: Make, size: int) -> str | None:
    """Why the differentiable picture is not the fused one, in words; None where it is."""
    plain = fused([0], size, False)().rgb.float() / 255
    difference = float((differentiable([0], size, False)().detach() - plain).abs().mean())
    return None if difference < 2 / 255 else f"at {size} pixels its colours are {difference:.4f} off on average"


def foreign(batch: fs.SceneBatch, make: Make, size: int) -> str | None:
    """Why a peer's picture is not ours, in words; None where it is, but for edges."""
    rows = list(range(min(CHECKED, batch.images)))
    drawn = make(rows, size, True)()[1].cpu()
    wanted = fs.render(batch[: len(rows)], (size, size), ("instance_id",)).instance_id
    equal = float((drawn == wanted).float().mean())
    return None if equal >= AGREE else f"at {size} pixels only {equal:.2%} of its ids are ours"


def sweep(
    device: torch.device,
    sizes: Sequence[int] = SIZES,
    batches: Sequence[int] = BATCHES,
    *,
    batch: fs.SceneBatch | None = None,
    scenes: Scenes | None = None,
    seconds: float = 0.3,
    free: Callable[[torch.device], float] = free_bytes,
    peers: dict[str, Callable | None] | None = None,
) -> dict[str, Any]:
    """Figures of every renderer.

    Args:
        device: Where to draw.
        sizes: Sides of the images [pixels].
        batches: Images a batch; the workload's are repeated where it has fewer.
        batch: The workload, on the CPU; by default the standard one, or our own where that is not there.
        scenes: The same for the peers, who are left out without it.
        seconds: For each figure.
        free: Gives the bytes that are free on a device.
        peers: Those of ``gpu_peers`` by name; None where one is not installed.

    Returns:
        "renderers": by name a list of rows, or a sentence that says why there are none; "failed": those of ours
        that have none.
    """
    workload = "given"
    if batch is None:
        scenes = standard_scenes()
        workload = "standard" if scenes else "own"
        batch = batch_of(scenes, lod=False) if scenes else own()
    fused, differentiable, shared = (
        ours(batch, device),
        differentiated(batch, device),
        (batch.images, device, sizes, batches),
    )
    failed: list[str] = []
    renderers: dict[str, list[dict[str, Any]] | str] = {}

    def attempt(name: str, check: Callable[[int], str | None], make: Make, labels: Sequence[bool]) -> bool:
        try:
            reasons = [reason for size in sizes if (reason := check(size))]
            renderers[name] = "; ".join(reasons) or measure(make, *shared, labels, seconds, free)
        except Exception as error:  # noqa: BLE001 (whatever one renderer says must not lose the others' figures)
            renderers[name] = f"{type(error).__name__}: {error}"
        return isinstance(renderers[name], list)

    if not attempt("fastsynth", partial(wrong, batch, fused), fused, (False, True)):
        failed.append("fastsynth")
    # Its outputs are colour alone: labels have no gradient.
    name = "fastsynth, forward + backward"
    if not attempt(name, partial(unlike, fused, differentiable), differentiable, (False,)):
        failed.append(name)
    for name, peer in (gpu_peers.installed() if peers is None else peers).items():
        if peer is None:
            renderers[name] = "not installed"
        elif scenes is None:
            renderers[name] = "the standard workload is not beside the repository"
        else:
            make = partial(peer, scenes, device=device)
            attempt(name, partial(foreign, batch, make), make, (False, True))
    return {"workload": workload, "images": batch.images, "failed": failed, "renderers": renderers}


def table(results: dict[str, Any]) -> Table:
    """Images/s, and KiB an image below; a dash where a figure is not there."""
    sides = [rows for rows in results["renderers"].values() if isinstance(rows, list)]
    batches = sorted({row["batch"] for rows in sides for row in rows})
    shown = Table(title=f"images/s, KiB an image ({results['workload']} workload)", show_lines=True)
    for column in ("renderer", "labels", "pixels"):
        shown.add_column(column)
    for count in batches:
        shown.add_column(f"batch {count}", justify="right")
    for name, rows in results["renderers"].items():
        if isinstance(rows, str):
            shown.add_row(name, "", "", rows)
            continue
        lines: dict[tuple[int, bool], dict[int, str]] = {}
        for row in rows:
            rate, memory = row.get("images/s"), row.get("bytes per image")
            text = "-" if rate is None else f"{rate:,.0f}" + (f"\n{memory / 1024:,.0f}" if memory is not None else "")
            lines.setdefault((row["size"], row["labels"]), {})[row["batch"]] = text
        for (size, labelled), cells in lines.items():
            shown.add_row(name, "on" if labelled else "off", str(size), *(cells.get(count, "-") for count in batches))
    return shown


def main() -> None:
    """Measures, prints and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--once", action="store_true", help="draw 64 images at 256 pixels once, for a profiler to see")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("gpu_sweep.py: torch sees no GPU.")
    if args.once:
        scenes = standard_scenes()
        batch = batch_of(scenes, lod=False) if scenes else own()
        ours(batch, device)(list(range(batch.images)), 256, True)()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return
    results = sweep(device, args.sizes, args.batches, seconds=args.seconds)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    Console().print(table(results))
    if results["failed"]:
        raise SystemExit("gpu_sweep.py: no figures of " + " and ".join(results["failed"]) + "; the table says why.")


if __name__ == "__main__":
    main()
