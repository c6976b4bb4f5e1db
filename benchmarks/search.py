"""What `fastsynth.search` finds again of parameters that were hidden, and how many images it draws for it.

    python benchmarks/search.py            # both experiments, into benchmarks/results/search.json

shape    The mean and standard deviation of a LogNormal over the frequency of a supershape, from 256 pictures.
         blendtorch's densityopt example sets the task for two such frequencies (target mean 2.25, deviation 0.1; start
         1.2 or 3.0, 0.4) and draws 70 batches of 64 = 4,480 images. Here there is one frequency, half of the seeds
         start from either mean, and the images until both errors stay below 0.05 are counted. "score function": as
         theirs, but with the MMD of random features in place of a discriminator. "enumeration": every frequency of a
         grid is drawn four times, once, and counts as often as the LogNormal says.

mixture  The weights of 8 textures and 5 meshes, from 1,024 pictures: L1 errors, wanted below 0.1. "enumeration":
         every image with each of the 40 combinations.
"""

from __future__ import annotations

import argparse
import functools
import math
import time

import numpy as np
import torch
from timing import save

import fastsynth as fs
from fastsynth import search

SIZE = (48, 48)
TRUE_MEAN, TRUE_STD = 2.25, 0.1
LEVELS = np.linspace(0.3, 3.9, 121)  # logarithms of the frequencies that there are meshes of


def draw(batch: fs.SceneBatch) -> torch.Tensor:
    """Pictures without gradient: choices need none."""
    return fs.render(batch, SIZE, ("rgb",)).rgb


def supershape(frequency: float) -> fs.Mesh:
    """A supershape: Gielis, "A generic geometric transformation that unifies a wide range of shapes", 2003."""
    sphere = fs.procedural.sphere(rings=48)
    around = np.arctan2(sphere.vertices[:, 1], sphere.vertices[:, 0])
    wave = np.abs(np.cos(frequency * around / 4)) ** 1.7 + np.abs(np.sin(frequency * around / 4)) ** 1.7
    radius = np.clip(wave ** (-1 / 0.6), 0.1, 1.0)[:, None]
    return fs.Mesh(sphere.vertices * [1, 1, 0.6] * np.concatenate([radius, radius, radius**0], 1), sphere.faces)


class Shape(fs.Randomizer):
    """Replaces every mesh by the supershape of a random frequency."""

    def __init__(self, frequency: fs.Distribution) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, batch: fs.SceneBatch, noise: fs.Noise) -> fs.SceneBatch:
        """The mesh whose frequency is nearest."""
        step = LEVELS[1] - LEVELS[0]
        level = ((self.frequency.sample(noise).detach().log() - LEVELS[0]) / step).round()
        return batch.replace(mesh_id=level.clamp(0, len(LEVELS) - 1).int()[:, None])


def shape_scene(assets: fs.Assets, mean: float, std: float) -> fs.Scene:
    return fs.Scene(
        fs.Objects(assets, position=(0.0, 0.0, 0.0), rotation=fs.Uniform(0.0, 2 * math.pi)),
        fs.Camera(distance=1.5, elevation=fs.Uniform(1.2, 1.5), azimuth=0.0),
        light=[fs.Ambient(0.2), fs.DirectionalLight(direction=(0.3, 0.2, 1.0))],
        shape=Shape(fs.LogNormal(mean, std)),
    )


def until(errors: list[tuple[float, float]], images: int, before: int = 0) -> int | None:
    """Images drawn until both errors stay below 0.05; None where they do not."""
    good = [max(error) < 0.05 for error in errors]
    if not good[-1]:
        return None
    last = max((step for step, fine in enumerate(good) if not fine), default=-1)
    return before + (last + 1) * images


def by_score_function(scene: fs.Scene, match: search.Match, seed: int, steps: int, images: int) -> list:
    """Errors of mean and standard deviation after every step."""
    frequency, errors = scene.shape.frequency, []
    optimizer = torch.optim.Adam(scene.learnable(), lr=0.15, betas=(0.8, 0.95))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.15 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        index = torch.arange(images) + step * images
        with torch.no_grad():
            losses = match.each(scene.sample(index, seed))
            drawn = frequency.sample(fs.Noise(seed, index, names={frequency: "shape.frequency"}))
        optimizer.zero_grad()
        search.score_function(losses, frequency.log_prob(drawn)).backward()
        optimizer.step()
        errors.append((abs(frequency.mean.item() - TRUE_MEAN), abs(frequency.std.item() - TRUE_STD)))
    return errors


def by_enumeration(scene: fs.Scene, match: search.Match, seed: int, steps: int, each: int) -> list:
    """The same, where all images are drawn beforehand and only their weights are learned."""
    frequency, errors = scene.shape.frequency, []
    levels = torch.from_numpy(LEVELS).float()
    with torch.no_grad():
        batch = scene.sample(len(levels) * each, seed)
        grid = torch.arange(len(levels), dtype=torch.int32).repeat_interleave(each)[:, None]
        points = match.points(batch.replace(mesh_id=grid))
    optimizer = torch.optim.Adam(scene.learnable(), lr=0.1)
    half = (LEVELS[1] - LEVELS[0]) / 2
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.1 * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        ends = torch.cat([levels - half, levels[-1:] + half])
        share = torch.special.ndtr((ends - frequency.mean) / frequency.std).diff().clamp(min=1e-8)
        optimizer.zero_grad()
        search.mmd(points, match.target, weights=share.repeat_interleave(each) / each).backward()
        optimizer.step()
        errors.append((abs(frequency.mean.item() - TRUE_MEAN), abs(frequency.std.item() - TRUE_STD)))
    return errors


def shape(seeds: int) -> dict:
    assets = fs.pack([supershape(math.exp(level)) for level in LEVELS], classes=["shape"] * len(LEVELS), lod=False)
    results: dict[str, list] = {"score function": [], "enumeration": []}
    for seed in range(seeds):
        target = draw(shape_scene(assets, TRUE_MEAN, TRUE_STD).sample(256, seed=1000 + seed))
        match = search.Match(target, render=draw, held_out=0.0)
        for name, run in (("score function", by_score_function), ("enumeration", by_enumeration)):
            scene = shape_scene(assets, (1.2, 3.0)[seed % 2], 0.4).learn("shape.frequency")
            begin = time.perf_counter()
            if run is by_score_function:
                errors, images, before, drawn = run(scene, match, seed, 70, 64), 64, 0, 70 * 64
            else:
                errors, images, before, drawn = run(scene, match, seed, 200, 4), 0, 4 * len(LEVELS), 4 * len(LEVELS)
            results[name].append(
                {
                    "seed": seed,
                    "start": (1.2, 3.0)[seed % 2],
                    "mean error": round(errors[-1][0], 4),
                    "std error": round(errors[-1][1], 4),
                    "images drawn": drawn,
                    "images until both stay below 0.05": until(errors, images, before),
                    "seconds": round(time.perf_counter() - begin, 1),
                }
            )
            print(name, results[name][-1], flush=True)
    summary = {}
    for name, runs in results.items():
        counts = sorted(run["images until both stay below 0.05"] or math.inf for run in runs)
        found = [count for count in counts if count < math.inf]
        summary[name] = {
            "found": f"{len(found)} of {len(runs)}",
            "median images": counts[len(counts) // 2] if counts[len(counts) // 2] < math.inf else None,
            "of blendtorch's": 4480,
            "runs": runs,
        }
    return summary


TEXTURE_WEIGHTS = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
MESH_WEIGHTS = torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0])


def mixture_scene(textures: torch.Tensor | None = None, meshes: torch.Tensor | None = None) -> fs.Scene:
    scene = fs.Scene(
        fs.Objects(fs.procedural.primitives(lod=False), choice=fs.Choice(range(5), meshes), position=(0.0, 0.0, 0.0)),
        fs.Camera(distance=2.2, elevation=fs.Uniform(0.2, 1.0)),
        light=[fs.Ambient(0.4), fs.DirectionalLight(direction=(0.3, 0.2, 1.0), intensity=0.6)],
        materials=fs.Materials(textures=fs.procedural.textures(8, size=64)),
    )
    if textures is not None:
        scene.load_json({"materials.texture": {"weights": textures.tolist()}})
    return scene


def error(choice: fs.Choice, truth: torch.Tensor) -> float:
    weights = choice.weights.detach()
    return round((weights / weights.sum() - truth).abs().sum().item(), 4)


def at_once(scene: fs.Scene, match: search.Match, seed: int) -> int:
    """Both choices by the score function; returns the images drawn."""
    scene.learn("materials.texture", "objects.choice")
    search.minimize(scene, match.each, steps=400, images=128, lr=0.2, seed=seed, progress=False)
    return 400 * 128


def enumerated(scene: fs.Scene, match: search.Match, seed: int) -> int:
    """Every image with each of the 40 combinations; returns the images drawn."""
    paths = ["materials.texture", "objects.choice"]
    scene.learn(*paths)
    search.minimize(scene, match, steps=120, images=8, lr=0.3, seed=seed, enumerate=paths, progress=False)
    return 120 * 8 * 40


def mixture(seeds: int) -> dict:
    results: dict[str, list] = {"score function": [], "enumeration": []}
    for seed in range(seeds):
        batch = mixture_scene(TEXTURE_WEIGHTS, MESH_WEIGHTS).sample(1024, seed=1000 + seed)
        # Narrow kernels: kinds of pictures lie in clusters.
        distance = functools.partial(search.mmd, bandwidths=(0.05, 0.1, 0.2, 0.4))
        match = search.Match(draw(batch), render=draw, held_out=0.0, distance=distance)
        # What these images hold is not quite what they were drawn from.
        textures = torch.bincount(batch.texture_id[:, 0] - batch.texture_id.min(), minlength=8) / batch.images
        meshes = torch.bincount(batch.mesh_id[:, 0], minlength=5) / batch.images
        own = {"textures": textures - TEXTURE_WEIGHTS, "meshes": meshes - MESH_WEIGHTS}
        for run, runs in zip((at_once, enumerated), results.values(), strict=True):
            begin, scene = time.perf_counter(), mixture_scene()
            drawn = run(scene, match, seed)
            runs.append(
                {
                    "seed": seed,
                    "textures L1": error(scene.materials.texture, TEXTURE_WEIGHTS),
                    "meshes L1": error(scene.objects.choice, MESH_WEIGHTS),
                    "L1 of the target's own counts": {k: round(v.abs().sum().item(), 4) for k, v in own.items()},
                    "images drawn": drawn,
                    "seconds": round(time.perf_counter() - begin, 1),
                }
            )
            print(run.__name__, runs[-1], flush=True)
    summary = {}
    for name, runs in results.items():
        worst = [max(run["textures L1"], run["meshes L1"]) for run in runs]
        summary[name] = {
            "below 0.1": f"{sum(e < 0.1 for e in worst)} of {len(runs)}",
            "worst": max(worst),
            "runs": runs,
        }
    return summary


def main() -> None:
    """Runs both experiments and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape-seeds", type=int, default=10)
    parser.add_argument("--mixture-seeds", type=int, default=4)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small tensors
    results = {}
    if args.mixture_seeds:
        results["mixture"] = mixture(args.mixture_seeds)
    if args.shape_seeds:
        results["shape"] = shape(args.shape_seeds)
    if not args.dry:
        print(save("search", results))


if __name__ == "__main__":
    main()
