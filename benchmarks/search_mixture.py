"""How often each of 8 textures and of 5 meshes was taken in 4,096 pictures: two choices' weights, wanted to L1 0.1.

    python benchmarks/search_mixture.py           # into benchmarks/results/search_mixture.json

reweighting     `search.reweight`: every picture counts as often as its texture and its mesh do now
score function  `search.minimize`
enumeration     `search.minimize` with every image drawn with each of the 40 combinations

Errors are given against the weights that the pictures were drawn with, and against how often each is really among them:
4,096 draws of these weights differ from them by an L1 of about 0.02 by themselves.
"""

from __future__ import annotations

import argparse
import functools
import time

import torch
from timing import save

import fastsynth as fs
from fastsynth import search

SIZE, TARGETS, WANTED = (48, 48), 4096, 0.1
TEXTURES = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
MESHES = torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0])
PATHS = ["materials.texture", "objects.choice"]
# Narrow kernels: kinds of pictures lie in clusters.
NARROW = (0.05, 0.1, 0.2, 0.4)


def scene_of(textures: torch.Tensor | None = None, meshes: torch.Tensor | None = None) -> fs.Scene:
    """One mesh with one texture, seen from anywhere above."""
    scene = fs.Scene(
        fs.Objects(fs.procedural.primitives(lod=False), choice=fs.Choice(range(5), meshes), position=(0.0, 0.0, 0.0)),
        fs.Camera(distance=2.2, elevation=fs.Uniform(0.2, 1.0)),
        light=[fs.Ambient(0.4), fs.DirectionalLight(direction=(0.3, 0.2, 1.0), intensity=0.6)],
        materials=fs.Materials(textures=fs.procedural.textures(8, size=64)),
    )
    if textures is not None:
        scene.load_json({"materials.texture": {"weights": textures.tolist()}})
    return scene


def draw(batch: fs.SceneBatch) -> torch.Tensor:
    """Pictures without gradient: choices need none."""
    return fs.render(batch, SIZE, ("rgb",)).rgb


def reweighting(scene: fs.Scene, match: search.Match, seed: int) -> int:
    """Returns the pictures drawn, as all of these do."""
    search.reweight(scene, match, rounds=8, images=256, steps=300, seed=seed, bandwidths=NARROW, progress=False)
    return 8 * 256


def score_function(scene: fs.Scene, match: search.Match, seed: int) -> int:
    search.minimize(scene, match.each, steps=400, images=128, lr=0.2, seed=seed, progress=False)
    return 400 * 128


def enumeration(scene: fs.Scene, match: search.Match, seed: int) -> int:
    search.minimize(scene, match, steps=120, images=8, lr=0.3, seed=seed, enumerate=PATHS, progress=False)
    return 120 * 8 * 40


def shares(choice: fs.Choice) -> torch.Tensor:
    weights = choice.weights.detach()
    return weights / weights.sum()


def l1(a: torch.Tensor, b: torch.Tensor) -> float:
    return round((a - b).abs().sum().item(), 4)


def one(run, match: search.Match, counts: list[torch.Tensor], seed: int) -> dict:
    """A search from even weights, and how it ended."""
    scene, begin = scene_of().learn(*PATHS), time.perf_counter()
    drawn = run(scene, match, seed)
    found = [shares(scene.materials.texture), shares(scene.objects.choice)]
    return {
        "seed": seed,
        "L1 to the weights": [l1(a, b) for a, b in zip(found, (TEXTURES, MESHES))],
        "L1 to the pictures' counts": [l1(a, b) for a, b in zip(found, counts)],
        "pictures": drawn,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main() -> None:
    """Runs all seeds and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--rival-seeds", type=int, default=1, help="of the other two, which take longer")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small tensors
    estimators = (reweighting, score_function, enumeration)
    runs: dict[str, list] = {run.__name__.replace("_", " "): [] for run in estimators}
    targets = []
    for seed in range(args.seeds):
        batch = scene_of(TEXTURES, MESHES).sample(TARGETS, seed=1000 + seed)
        distance = functools.partial(search.mmd, bandwidths=NARROW)
        match = search.Match(draw(batch), render=draw, held_out=0.0, distance=distance)
        textures = batch.texture_id[:, 0] - batch.texture_id.min()  # the meshes' own textures come before
        counts = [torch.bincount(textures, minlength=8) / TARGETS]
        counts.append(torch.bincount(batch.mesh_id[:, 0], minlength=5) / TARGETS)
        targets.append([l1(a, b) for a, b in zip(counts, (TEXTURES, MESHES))])
        for run, found in zip(estimators, runs.values()):
            if run is reweighting or seed < args.rival_seeds:
                found.append(one(run, match, counts, seed))
                print(run.__name__, found[-1], flush=True)
    summary = {
        name: {
            "below 0.1": f"{sum(max(run['L1 to the weights']) < WANTED for run in found)} of {len(found)}",
            "worst": max(max(run["L1 to the weights"]) for run in found),
            "runs": found,
        }
        for name, found in runs.items()
    }
    results = {"target pictures": TARGETS, "L1 of the pictures' counts to the weights": targets, **summary}
    if not args.dry:
        print(save("search_mixture", results))


if __name__ == "__main__":
    main()
