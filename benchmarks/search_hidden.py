"""Eight parameters of light, camera and colour that are hidden, and looked for in 512 unlabelled pictures.

    python benchmarks/search_hidden.py            # into benchmarks/results/search_hidden.json

Hidden are mean and standard deviation of four distributions, drawn evenly from the prior of each, once a seed. A search
starts in the middle of the prior and may draw pictures. It has found the setting where at least 6 of the 8 are within
5 % of their prior's range. Counted are the pictures drawn until it is so for the first time, and until it stays so to
the end. The rivals are in `search_rivals.py`; all but `reweight` ask the same objective, `search.Match`.

"outside" is the same with pictures that the scene cannot make: blurred, noisy, and kept as JPEG.
"""

from __future__ import annotations

import argparse
import functools
import io
import math
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import search_rivals
import torch
from PIL import Image, ImageFilter
from timing import save

import fastsynth as fs
from fastsynth import search

SIZE = (32, 32)
TARGETS, TOLERANCE, ENOUGH = 512, 0.05, 6
IMAGES, STEPS, BUDGET = 64, 160, 40_960  # pictures a step, steps of ours, and pictures that a rival may draw
# In the order of the scene: lowest and highest mean, lowest and highest deviation; of LogNormals, of the logarithm.
PRIOR = {
    "camera.distance": ((math.log(2.5), math.log(5.0)), (0.03, 0.25)),
    "camera.elevation": ((0.2, 1.0), (0.03, 0.25)),
    "light.1.intensity": ((-1.2, 0.4), (0.05, 0.5)),
    "sensor.white_balance": ((-0.5, 0.5), (0.03, 0.3)),
}
LOW, HIGH = torch.tensor(list(PRIOR.values())).unbind(-1)  # [4, 2]: mean and standard deviation of each


def scene_of(setting: torch.Tensor) -> fs.Scene:
    """The scene of a setting: mean and standard deviation of the four, float [4, 2]."""
    distance, elevation, light, balance = setting.tolist()
    meshes, upright = fs.procedural.primitives(lod=False), fs.Uniform(0.0, 2 * math.pi)
    return fs.Scene(
        [
            fs.Objects(meshes, choice=fs.Choice(range(5)), position=(0.0, 0.0, 0.0), rotation=upright),
            fs.Objects(meshes, choice=fs.Choice([5]), position=(0.0, 0.0, -0.5), rotation=0.0, scale=3.0),  # a table
        ],
        fs.Camera(distance=fs.LogNormal(*distance), elevation=fs.Normal(*elevation)),
        light=[fs.Ambient(0.2), fs.DirectionalLight(direction=(0.3, 0.2, 1.0), intensity=fs.LogNormal(*light))],
        background=fs.ColorBackground((0.25, 0.25, 0.25)),
        sensor=fs.Sensor(white_balance=fs.Normal(*balance)),
    )


def learnable() -> fs.Scene:
    """The scene in the middle of the prior, with all eight to be learned."""
    scene = scene_of((LOW + HIGH) / 2)
    for path, (mean, _) in PRIOR.items():
        logarithmic = isinstance(scene.distributions()[path], fs.LogNormal)
        scene.learn(path, within=tuple(math.exp(m) for m in mean) if logarithmic else mean)
    return scene


def setting_of(scene: fs.Scene) -> torch.Tensor:
    """What the scene has now, float [4, 2]."""
    parts = scene.distributions()
    return torch.stack([torch.stack([parts[path].mean, parts[path].std]) for path in PRIOR]).detach()


def hidden(seed: int) -> torch.Tensor:
    """A setting from the prior."""
    return LOW + (HIGH - LOW) * torch.rand(4, 2, generator=torch.Generator().manual_seed(1000 + seed))


def outside(pictures: torch.Tensor, seed: int) -> torch.Tensor:
    """The pictures as of a cheap camera: Gaussian blur of 0.7 pixels, noise of 0.03, JPEG of quality 40."""
    rng, found = np.random.default_rng(seed), []
    for picture in pictures:
        image = Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
        blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7))) / 255
        noisy = (blurred + rng.normal(0, 0.03, blurred.shape)).clip(0, 1)
        file = io.BytesIO()
        Image.fromarray((noisy * 255).round().astype(np.uint8)).save(file, "JPEG", quality=40)
        found.append(torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1) / 255)
    return torch.stack(found)


def shares(rows: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Errors of rows of parameters, as shares of their prior's range."""
    return (rows - truth.flatten()).abs() / (HIGH - LOW).flatten()


def errors(scene: fs.Scene, truth: torch.Tensor) -> torch.Tensor:
    """Of the eight, as shares of their prior's range, float [8]."""
    return shares(setting_of(scene).flatten(), truth)


def enough(rows: torch.Tensor) -> list[bool]:
    """Whether so many are found, for each row of errors."""
    return ((rows < TOLERANCE).sum(1) >= ENOUGH).tolist()


def by_gradient(match: search.Match, truth: torch.Tensor, seed: int) -> list:
    """Pictures drawn and errors after every step of `minimize`."""
    scene = learnable()
    history = search.minimize(scene, match, steps=STEPS, images=IMAGES, lr=0.15, seed=seed, progress=False)
    rows = torch.cat([history.table()[:, 2:], setting_of(scene).flatten()[None]])  # before each step, and at the end
    return [(step * IMAGES, row) for step, row in enumerate(shares(rows, truth))]


def by_reweighting(match: search.Match, truth: torch.Tensor, seed: int) -> list:
    """The same after every round of `reweight`, which takes no gradient of the picture."""
    scene = learnable()
    history = search.reweight(scene, match, rounds=16, images=128, seed=seed, progress=False)
    return [(drawn * 128, row) for drawn, row in enumerate(shares(history.table()[:, 2:], truth), start=1)]


def by_rival(rival: search_rivals.Rival, match: search.Match, truth: torch.Tensor, seed: int) -> list:
    """The same after every step of a rival, until its budget is spent."""
    scene, rows = learnable(), []
    bounds = {f"{path}.{what}": limits for path, both in PRIOR.items() for what, limits in zip(("mean", "std"), both)}
    for drawn in rival(scene, match, bounds, seed, IMAGES):
        rows.append((drawn, errors(scene, truth)))
        if drawn >= BUDGET:
            return rows
    raise AssertionError("a rival never ends")


def until(rows: list, stays: bool) -> int | None:
    """Pictures drawn until enough are found: for the first time, or until it stays so."""
    good = enough(torch.stack([row for _, row in rows]))
    if stays:
        last = max((step for step, fine in enumerate(good) if not fine), default=-1)
        return None if last == len(good) - 1 else rows[last + 1][0]
    return next((pictures for (pictures, _), fine in zip(rows, good) if fine), None)


OURS = {"gradient": by_gradient, "reweighting": by_reweighting}
RIVALS = {"CMA-ES": search_rivals.cma_es, "TPE": search_rivals.tpe, "score function": search_rivals.score_function}


def experiment(seeds: int, ways: dict[str, Callable[..., list]], spoil: bool) -> dict:
    """Every way with every hidden setting."""
    found: dict[str, list] = {name: [] for name in ways}
    for seed in range(seeds):
        truth = hidden(seed)
        with torch.no_grad():
            target = search.picture(scene_of(truth).sample(TARGETS, seed=1000 + seed), SIZE)
        match = search.Match(outside(target, seed) if spoil else target, held_out=0.0)
        for name, way in ways.items():
            begin = time.perf_counter()
            rows = way(match, truth, seed)
            seconds = time.perf_counter() - begin
            row = {"seed": seed, **told(rows), "seconds": round(seconds, 1)}
            found[name].append(row)
            print("outside" if spoil else "inside", name, {k: v for k, v in row.items() if k != "course"}, flush=True)
    return {name: {**summary(runs), "runs": runs} for name, runs in found.items()}


def told(rows: list) -> dict:
    """What is said of a search; its course at about 40 places."""
    last, places = rows[-1][1], rows[:: max(1, len(rows) // 40)]
    return {
        "first": until(rows, stays=False),
        "stays": until(rows, stays=True),
        "drawn in all": rows[-1][0],
        "within 5 % at the end": int((last < TOLERANCE).sum()),
        "errors": [round(error, 4) for error in last.tolist()],
        "course": [[drawn, int((row < TOLERANCE).sum())] for drawn, row in places],
    }


def summary(runs: list[dict]) -> dict:
    """How many found it, and after how many pictures; who did not counts as infinite."""
    result: dict = {"median within 5 % at the end": median(run["within 5 % at the end"] for run in runs)}
    for when in ("first", "stays"):
        middle = median(run[when] or math.inf for run in runs)
        result[f"{when}: found"] = f"{sum(run[when] is not None for run in runs)} of {len(runs)}"
        result[f"{when}: median pictures"] = middle if middle < math.inf else None
    return result


def main() -> None:
    """Runs both experiments and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small tensors
    rivals = {name: functools.partial(by_rival, rival) for name, rival in RIVALS.items()}
    results = {
        "parameters": [f"{path}.{what}" for path in PRIOR for what in ("mean", "std")],
        "budget of a rival": BUDGET,
        "inside": experiment(args.seeds, {**OURS, **rivals}, spoil=False),
        "outside": experiment(args.seeds, dict(OURS), spoil=True),
    }
    if not args.dry:
        print(save("search_hidden", results))


if __name__ == "__main__":
    main()
