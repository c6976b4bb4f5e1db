"""The experiment of blendtorch's densityopt example: which distribution of shapes was it that 64 pictures show?

    python benchmarks/search_shape.py             # into benchmarks/results/search_shape.json

The shape is Gielis' supershape ("A generic geometric transformation that unifies a wide range of shapes", 2003) with
all exponents 3; its two frequencies, around and up, are LogNormal. Theirs: target mean 2.25 and deviation 0.1 of both,
start at means of 1.2 and 3.0 and deviations of 0.4, 70 batches of 64 pictures = 4,480, by a discriminator and the score
function, as Blender has no gradient. Ours: the same, at 64 pixels, without labels and without a gradient of the picture
either; every picture has a mesh of its own, and vertices that a user makes have none.

Counted are pictures drawn until all four errors stay below 0.05.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import median

import numpy as np
import torch
from timing import save

import fastsynth as fs
from fastsynth import search

SIZE, BATCH, THEIRS, TOLERANCE = (64, 64), 64, 4480, 0.05
MEAN, STD = 2.25, 0.1
START_MEANS, START_STD = (1.2, 3.0), 0.4
ROWS, COLUMNS = 32, 48


def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitudes, longitudes, and triangles of the quads between them."""
    row, column = np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
    first = (row * (COLUMNS + 1) + column).ravel()
    below = first + COLUMNS + 1
    faces = np.concatenate([np.stack([first, first + 1, below + 1], 1), np.stack([first, below + 1, below], 1)])
    return np.linspace(-np.pi / 2, np.pi / 2, ROWS + 1), np.linspace(-np.pi, np.pi, COLUMNS + 1), faces


LATITUDE, LONGITUDE, FACES = _grid()


def radius(frequency: float, angle: np.ndarray) -> np.ndarray:
    """Of the superformula with a = b = 1 and exponents 3."""
    return (np.abs(np.cos(frequency * angle / 4)) ** 3 + np.abs(np.sin(frequency * angle / 4)) ** 3) ** (-1 / 3)


def supershape(around: float, up: float) -> fs.Mesh:
    """The product of two curves."""
    flat, rise = radius(around, LONGITUDE), radius(up, LATITUDE)
    ring = np.stack([flat * np.cos(LONGITUDE), flat * np.sin(LONGITUDE)], -1)
    level = (rise * np.cos(LATITUDE))[:, None, None] * ring[None]
    height = np.broadcast_to((rise * np.sin(LATITUDE))[:, None, None], (*level.shape[:2], 1))
    return fs.Mesh(np.concatenate([level, height], -1).reshape(-1, 3), FACES)


class Supershapes(fs.Randomizer):
    """A mesh of its own for every picture."""

    def __init__(self, around: fs.Distribution, up: fs.Distribution) -> None:
        super().__init__()
        self.around, self.up = around, up

    def forward(self, batch: fs.SceneBatch, noise: fs.Noise) -> fs.SceneBatch:
        """Draw the frequencies and pack the shapes."""
        drawn = zip(self.around.sample(noise).tolist(), self.up.sample(noise).tolist())
        meshes = [supershape(*both) for both in drawn]
        assets = fs.pack(meshes, classes=["shape"] * len(meshes), lod=False)
        return batch.replace(assets=assets, mesh_id=torch.arange(len(meshes), dtype=torch.int32)[:, None])


def scene_of(means: tuple[float, float], std: float) -> fs.Scene:
    """The supershapes seen by a camera that does not move, as theirs does not."""
    assets = fs.pack([supershape(4.0, 4.0)], classes=["shape"], lod=False)  # a mesh to be replaced
    return fs.Scene(
        fs.Objects(assets, position=(0.0, 0.0, 0.0)),
        fs.Camera(distance=4.0, elevation=0.6, azimuth=0.5),
        light=[fs.Ambient(0.2), fs.DirectionalLight(direction=(0.9, -0.3, 1.0), intensity=0.8)],
        shape=Supershapes(fs.LogNormal(means[0], std), fs.LogNormal(means[1], std)),
    )


def draw(batch: fs.SceneBatch) -> torch.Tensor:
    """Pictures without gradient."""
    return fs.render(batch, SIZE, ("rgb",)).rgb


def error(numbers: list[float]) -> float:
    """The largest of the four errors; mean and deviation around, mean and deviation up."""
    return max(abs(value - truth) for value, truth in zip(numbers, (MEAN, STD, MEAN, STD)))


def by_reweighting(scene: fs.Scene, match: search.Match, seed: int) -> list[float]:
    """The largest error after each batch."""
    history = search.reweight(scene, match, rounds=14, images=BATCH, seed=seed, progress=False)
    return [error(row[2:].tolist()) for row in history.table()]


def by_score_function(scene: fs.Scene, match: search.Match, seed: int) -> list[float]:
    """The same by the estimator of theirs, with the distance of random features in place of a discriminator."""
    errors, batches, learned = [], THEIRS // BATCH, set(scene.learned().values())
    optimizer = torch.optim.Adam(scene.learnable(), lr=0.15, betas=(0.8, 0.95))
    for step in range(batches):
        optimizer.param_groups[0]["lr"] = 0.15 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / batches)))
        decisions = fs.random.Decisions()
        with torch.no_grad():
            batch = scene.sample(torch.arange(BATCH) + step * BATCH, seed, decisions=decisions)
            losses = match.each(batch)
        log_prob = sum(part.log_prob(value) for part, value in decisions.values if part in learned)
        optimizer.zero_grad()
        search.score_function(losses, log_prob).backward()
        optimizer.step()
        shape = scene.shape
        errors.append(error([n.item() for part in (shape.around, shape.up) for n in (part.mean, part.std)]))
    return errors


def until(errors: list[float]) -> int | None:
    """Pictures drawn until the error stays below the tolerance; None where it does not."""
    last = max((step for step, value in enumerate(errors) if value >= TOLERANCE), default=-1)
    return None if last == len(errors) - 1 else (last + 1 + 1) * BATCH


def main() -> None:
    """Runs all seeds and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rival-seeds", type=int, default=1, help="of the score function, which takes longer")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small tensors
    results: dict[str, dict] = {}
    for name, run in {"reweighting": by_reweighting, "score function": by_score_function}.items():
        runs = []
        for seed in range(args.seeds if run is by_reweighting else args.rival_seeds):
            target = draw(scene_of((MEAN, MEAN), STD).sample(BATCH, seed=1000 + seed))
            match = search.Match(target, render=draw, held_out=0.0)
            scene, begin = scene_of(START_MEANS, START_STD).learn("shape.*"), time.perf_counter()
            errors = run(scene, match, seed)
            seconds = round(time.perf_counter() - begin, 1)
            course = [round(value, 4) for value in errors]
            runs.append({"seed": seed, "pictures": until(errors), "seconds": seconds, "errors": course})
            print(name, {**runs[-1], "errors": runs[-1]["errors"][-1]}, flush=True)
        counts = sorted(run["pictures"] or math.inf for run in runs)
        middle = median(counts)
        results[name] = {
            "found": f"{sum(count < math.inf for count in counts)} of {len(runs)}",
            "within a quarter of theirs": f"{sum(count <= THEIRS / 4 for count in counts)} of {len(runs)}",
            "median pictures": middle if middle < math.inf else None,
            "drawn in all": len(runs[0]["errors"]) * BATCH,
            "runs": runs,
        }
    if not args.dry:
        print(save("search_shape", {"theirs": THEIRS, "tolerance": TOLERANCE, **results}))


if __name__ == "__main__":
    main()
