"""What a found distribution is worth to a detector: trained on wide ranges, on what was found, and on the truth.

    python benchmarks/search_detector.py          # into benchmarks/results/search_detector.json

The target domain is narrow and hidden: far away, from above, dim, of one tint, on one grey, noisy.

uniform   trains on ranges that hold all of it and much else
matched   on what `search.reweight` finds in 256 pictures of the target that nobody labelled, starting from
          distributions as wide as the ranges
truth     on the hidden distribution

All three may draw as many pictures: those of the search count. The detector is the demo's; AP50 is measured on 512
labelled pictures of the target that nothing else sees.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator
from statistics import mean, stdev

import torch
from timing import save

import fastsynth as fs
from fastsynth import demo, search
from fastsynth.demo_detector import Detector

SIDE, BATCH, PICTURES, TEST = 64, 32, 6_400, 512
ROUNDS, EACH = 12, 96  # of the search
# Lowest and highest value; mean and standard deviation of the truth. Of what has no negative values, logarithms.
DOMAIN = {
    "camera.distance": ((math.log(3.0), math.log(12.0)), (math.log(9.0), 0.08)),
    "camera.elevation": ((0.0, 1.4), (1.15, 0.08)),
    "light.1.intensity": ((math.log(0.1), math.log(4.0)), (math.log(0.25), 0.2)),
    "background.color": ((math.log(0.01), math.log(0.8)), (math.log(0.06), 0.15)),
    "sensor.white_balance": ((-0.6, 0.6), (-0.35, 0.06)),
    "sensor.noise": ((math.log(0.002), math.log(0.08)), (math.log(0.04), 0.15)),
}
LOGARITHMIC = {"camera.distance", "light.1.intensity", "background.color", "sensor.noise"}


def distributions(kind: str) -> Iterator[fs.Distribution]:
    """Of each part of the domain: "uniform", "start", as wide as that and learnable, or "truth"."""
    for path, ((low, high), (centre, spread)) in DOMAIN.items():
        if kind == "uniform":
            yield fs.LogUniform(math.exp(low), math.exp(high)) if path in LOGARITHMIC else fs.Uniform(low, high)
            continue
        if kind == "start":
            centre, spread = (low + high) / 2, (high - low) / math.sqrt(12)
        yield (fs.LogNormal if path in LOGARITHMIC else fs.Normal)(centre, spread)


def scene_of(kind: str) -> fs.Scene:
    """A few primitives before a grey wall."""
    distance, elevation, intensity, grey, balance, noise = distributions(kind)
    return fs.Scene(
        fs.Objects(
            fs.procedural.primitives(lod=False),
            count=fs.Choice([1, 2, 3]),
            choice=fs.Choice(range(5)),
            rotation=fs.UniformRotation(),
            separate=True,
        ),
        fs.Camera(distance=distance, elevation=elevation),
        light=[fs.Ambient(0.08), fs.DirectionalLight(intensity=intensity)],
        background=fs.ColorBackground(grey),
        sensor=fs.Sensor(white_balance=balance, noise=noise),
    )


def matched(seed: int) -> fs.Scene:
    """What is found from pictures of the target without labels."""

    def draw(batch: fs.SceneBatch) -> torch.Tensor:
        return fs.render(batch, (SIDE, SIDE), ("rgb",)).rgb

    match = search.Match(draw(scene_of("truth").sample(256, seed=7000 + seed)), render=draw, held_out=0.0)
    scene = scene_of("start").learn(*DOMAIN)
    search.reweight(scene, match, rounds=ROUNDS, images=EACH, seed=seed, progress=False)
    return scene.freeze()


def stream(scene: fs.Scene, seed: int) -> Iterator[demo.Batch]:
    """Labelled batches."""
    batches = fs.SyntheticStream(scene, batch_size=BATCH, seed=seed, size=(SIDE, SIDE), min_pixels=8)
    return iter(torch.utils.data.DataLoader(batches, batch_size=None))


def trained(scene: fs.Scene, pictures: int, seed: int) -> Detector:
    """A detector that has seen so many pictures, each once."""
    torch.manual_seed(seed)
    detector = Detector(classes=6, width=24).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(detector.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    steps = pictures // BATCH
    for step, (images, targets) in enumerate(itertools.islice(stream(scene, seed), steps)):
        for group in optimizer.param_groups:
            group["lr"] = demo.learning_rate(step / steps)
        optimizer.zero_grad()
        detector.loss(images, targets).backward()
        optimizer.step()
    return detector


def off(scene: fs.Scene) -> dict[str, list[float]]:
    """How far mean and standard deviation are from the truth, as shares of the range."""
    parts, found = scene.distributions(), {}
    for path, ((low, high), truth) in DOMAIN.items():
        now = parts[path].mean.item(), parts[path].std.item()
        found[path] = [round((value - true) / (high - low), 4) for value, true in zip(now, truth)]
    return found


def one(seed: int) -> dict:
    """All three, on one target."""
    test = list(itertools.islice(stream(scene_of("truth"), 9000 + seed), TEST // BATCH))
    result: dict = {"seed": seed}
    for kind in ("uniform", "matched", "truth"):
        begin = time.perf_counter()
        scene = matched(seed) if kind == "matched" else scene_of(kind)
        spent = ROUNDS * EACH if kind == "matched" else 0
        detector = trained(scene, PICTURES - spent, seed)
        result[kind] = round(demo.average_precision(detector, test), 4)
        result[f"{kind}, seconds"] = round(time.perf_counter() - begin, 1)
        if kind == "matched":
            result["errors of what was found"] = off(scene)
    return result


def main() -> None:
    """Runs all seeds and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small tensors
    runs = []
    for seed in range(args.seeds):
        runs.append(one(seed))
        print(runs[-1], flush=True)
    gains = [run["matched"] - run["uniform"] for run in runs]
    gaps = [run["truth"] - run["uniform"] for run in runs]
    results = {
        "pictures": PICTURES,
        "pictures of the search": ROUNDS * EACH,
        **{kind: round(mean(run[kind] for run in runs), 4) for kind in ("uniform", "matched", "truth")},
        "gain": round(mean(gains), 4),
        "standard error of the gain": round(stdev(gains) / math.sqrt(len(gains)), 4) if len(gains) > 1 else None,
        "share of the gap closed": round(mean(gains) / mean(gaps), 4),
        "runs": runs,
    }
    if not args.dry:
        print(save("search_detector", results))


if __name__ == "__main__":
    main()
