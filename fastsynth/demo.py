"""The demo: a detector trained on the stream for a minute, and a sheet of what it was shown.

Run it as ``make demo``, ``fastsynth demo`` or ``python -m fastsynth.demo``.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor
from torch.utils.data import DataLoader

import fastsynth as fs
from fastsynth import inputs, sheet
from fastsynth.demo_detector import Detector

Batch = tuple[Tensor, list[dict[str, Any]]]


def scene(assets: fs.Assets, photos: fs.Textures | None = None, count: range = range(2, 8)) -> fs.Scene:
    """Meshes strewn before a camera, apart from one another; distances suit meshes of any size.

    Args:
        assets: The meshes.
        photos: Photographs to stand behind them; without any, gradients of random colours.
        count: Numbers of meshes in an image.
    """
    return fs.Scene(
        objects=fs.Objects(assets, count=fs.Choice(count), rotation=fs.UniformRotation(), separate=True),
        camera=fs.Camera(elevation=fs.Uniform(fs.deg(-10), fs.deg(80)), fov=fs.deg(34)),
        light=fs.DirectionalLight(direction=fs.UniformHemisphere(), intensity=fs.LogUniform(0.5, 2.0)),
        background=fs.ImageBackground(photos) if photos is not None else fs.GradientBackground(),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.3), noise=fs.Uniform(0.0, 0.02)),
    )


def stream(scene: fs.Scene, *, size: int, batch: int, seed: int) -> Iterator[Batch]:
    """Labelled batches without end: images float32 [batch, 3, size, size] in [0, 1], and one target dict an image.

    Objects of which fewer than 100 pixels are seen are in the pictures, but not asked for.
    """
    batches = fs.SyntheticStream(scene, batch_size=batch, seed=seed, size=(size, size), min_pixels=100)
    return iter(DataLoader(batches, batch_size=None))


def average_precision(detector: Detector, held_out: list[Batch]) -> float:
    """AP50: the area under the precision-recall curve at an IoU of 0.5, averaged over the classes, in [0, 1]."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detector.eval()
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    images = 0
    for pictures, targets in held_out:
        for target, detection in zip(targets, detector.detect(pictures), strict=True):
            truth += _coco(target, images, iscrowd=0)
            rows = _coco(detection, images)
            found += [{**row, "score": score} for row, score in zip(rows, detection["scores"].tolist(), strict=True)]
            images += 1
    for number, row in enumerate(truth, start=1):
        row["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress there
        coco: Any = COCO()
        labels = sorted({row["category_id"] for row in truth})
        coco.dataset = {
            "images": [{"id": number} for number in range(images)],
            "annotations": truth,
            "categories": [{"id": label} for label in labels],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return max(0.0, float(evaluation.stats[1]))


def _coco(labelled: dict[str, Tensor], image: int, **extra: Any) -> list[dict[str, Any]]:
    """Boxes and labels of an image as COCO writes them."""
    rows = []
    for (left, top, right, bottom), label in zip(labelled["boxes"].tolist(), labelled["labels"].tolist(), strict=True):
        width, height = right - left, bottom - top
        box = {"bbox": [left, top, width, height], "area": width * height}
        rows.append({"image_id": image, "category_id": label, **box, **extra})
    return rows


def learning_rate(progress: float, peak: float = 6e-3) -> float:
    """Up in a sixth of the time, then down along a cosine; `progress` in [0, 1].

    Example:
        >>> learning_rate(0.0) < learning_rate(1 / 6) > learning_rate(1.0)
        True
    """
    warm = 1 / 6
    if progress < warm:
        return peak * (0.1 + 0.9 * progress / warm)
    return peak * max(0.01, 0.5 * (1 + math.cos(math.pi * (min(progress, 1.0) - warm) / (1 - warm))))


class _Clock:
    """Moments of a loop; on a GPU by its own clock, so that reading them makes nobody wait."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"

    def now(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, first: Any, second: Any) -> float:
        """Seconds from one moment to another."""
        return first.elapsed_time(second) / 1e3 if self.cuda else second - first


def train(detector: Detector, data: Iterator[Batch], *, seconds: float, console: Console) -> tuple[int, float, float]:
    """Train on the stream for some time.

    Returns:
        Images seen, seconds that it took, and the fraction of that time spent waiting for data.
    """
    device = next(detector.parameters()).device
    optimizer = torch.optim.AdamW(detector.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    detector.train()
    clock = _Clock(device)
    laps: list[tuple[Any, Any, Any]] = []
    images, begin, elapsed = 0, time.perf_counter(), 0.0
    columns = TextColumn("training"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}")
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=seconds, note="")
        while elapsed < seconds:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(elapsed / seconds)
            start = clock.now()
            pictures, targets = next(data)
            ready = clock.now()
            loss = detector.loss(pictures, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            laps.append((start, ready, clock.now()))
            images += len(pictures)
            if len(laps) % 5 == 0:
                value = loss.item()  # also keeps the GPU's queue short
                note = f"{images / (time.perf_counter() - begin):,.0f} images/s, loss {value:.2f}"
                progress.update(task, completed=elapsed, note=note)
            elapsed = time.perf_counter() - begin
        progress.update(task, completed=seconds)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elapsed = time.perf_counter() - begin
    waited = sum(clock.between(start, ready) for start, ready, _ in laps)
    return images, elapsed, waited / sum(clock.between(start, end) for start, _, end in laps)


def main(
    meshes: Annotated[Path | None, typer.Option(help="Folder of your meshes; without it, generated products.")] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of your photographs, as backgrounds.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to train.")] = 60.0,
    size: Annotated[int, typer.Option(min=64, help="Side of the images, a multiple of 32 [pixels].")] = 256,
    batch: Annotated[int, typer.Option(min=0, help="Images per batch; 0 asks for 16 on a CPU, 64 on a GPU.")] = 0,
    held_out: Annotated[int, typer.Option(min=1, help="Images to measure AP50 on.")] = 128,
    seed: int = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; the GPU where there is one.")] = None,
    out: Annotated[Path, typer.Option(help="The contact sheet.")] = Path("demo.png"),
) -> None:
    """Train a small detector on the stream for a minute, and draw what it was shown."""
    console = Console(markup=False, soft_wrap=True)
    where = inputs.device(device)
    batch = batch or (64 if where.type == "cuda" else 16)
    assets, pictures = inputs.assets([meshes] if meshes else None, where), inputs.photos(photos, where)
    drawn = scene(assets, pictures)
    triangles = int(assets.levels[assets.meshes[:, 0].long(), 3].sum())
    console.print(
        f"{len(assets.meshes)} meshes of {len(assets.class_names)} classes, {triangles:,} triangles, on {where}."
    )

    few = min(batch, held_out)
    held = list(itertools.islice(stream(drawn, size=size, batch=few, seed=seed + 1), held_out // few))
    torch.manual_seed(seed)
    detector = Detector(len(assets.class_names)).to(where)
    detector.to(memory_format=torch.channels_last)  # the layout that convolutions are quickest in
    weights = sum(parameter.numel() for parameter in detector.parameters())
    before = average_precision(detector, held)
    images, elapsed, waiting = train(
        detector, stream(drawn, size=size, batch=batch, seed=seed), seconds=seconds, console=console
    )
    after = average_precision(detector, held)
    console.print(
        f"{images:,} images of {size} x {size} in {elapsed:.1f} s: {images / elapsed:,.0f} images/s, drawn and "
        f"trained on; {waiting:.0%} of the time was spent waiting for data.\n"
        f"AP50 on {sum(len(pictures) for pictures, _ in held)} held-out images: {before:.3f} before, {after:.3f} after "
        f"({weights:,} weights)."
    )
    frames = fs.render(drawn.sample(8, seed=seed + 2), size=(size, size), outputs=sheet.OUTPUTS)
    detector.eval()
    sheet.contact_sheet(frames, detections=detector.detect(frames.rgb)).save(out)
    console.print(f"{out}: image with boxes, instance masks, depth, and what the detector finds.")


if __name__ == "__main__":
    typer.run(main)
