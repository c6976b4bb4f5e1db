"""Every recipe: labels counted again on 10,000 objects, and images per second beside the standard workload.

python benchmarks/recipes.py                    # writes benchmarks/results/recipes.json
python benchmarks/recipes.py NAME --no-speed    # one recipe, labels only, nothing written
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import replace

import torch
from timing import alternate, rate, save
from workloads import OUTPUTS, own, standard

import fastsynth as fs
from fastsynth.recipes import RECIPES, Recipe

from label_checks import SLACK, labels_of, problems  # isort: skip  # pyright: ignore[reportMissingImports]

BATCH = 32


def shape(recipe: Recipe, height: int) -> tuple[int, int]:
    """A picture of the recipe's aspect."""
    return height, round(height * recipe.size[1] / recipe.size[0])


def exactness(recipe: Recipe, objects: int, height: int) -> dict[str, object]:
    """Counts the labels of so many objects in pictures, and of as many after augmentation; raises where one is off."""
    size, seen, images, warped = shape(recipe, height), 0, 0, 0
    while min(seen, warped) < objects:
        index = range(images, images + BATCH)
        frames = fs.render(recipe.sample(index, seed=7, aspect=size[1] / size[0]), size, labels_of(recipe.sample(1)))
        wrong = problems(frames)
        angle = torch.linspace(-3, 3, BATCH)
        turn = fs.augment.affine(angle, 0.8 + 0.1 * angle.abs(), horizontal_flip=angle > 0)
        if frames.batch.lens is None:
            outputs = dict(frames.outputs)
            if "amodal_masks" not in outputs:
                del outputs["total_pixels"]  # they are counted in them
            moved, slack = fs.augment.warp_frames(fs.Frames(frames.batch, size, outputs), turn), SLACK + 0.71 * 1.25
        else:  # what is bent by a lens can be moved before it is drawn
            batch = fs.augment.warp_camera(frames.batch, turn, size[1] / size[0])
            moved, slack = fs.render(batch, size, tuple(frames.outputs)), SLACK
        wrong += [f"after augmentation: {what}" for what in problems(moved, loose_slack=slack)]
        warped += int((moved.visible_pixels > 0).sum())
        if wrong:
            raise SystemExit(f"{recipe.name}, images {index}: {'; '.join(wrong)}")
        images, seen = images + BATCH, seen + int((frames.total_pixels > 0).sum())
    return {"images": images, "objects": seen, "objects_after_augmentation": warped, "size": list(size)}


def stages(recipe: Recipe, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """Microseconds an image: of each randomizer, of drawing, of each effect, and of the recipe's own labels."""
    spent: dict[str, float] = defaultdict(float)
    began: list[float] = []
    names = {module: path for path, module in recipe.named_modules()}
    hooks = []
    for part in recipe._steps():
        hooks.append(part.register_forward_pre_hook(lambda *_: began.append(time.perf_counter())))

        def done(module, *_):
            spent[f"sample {names[module]}"] += time.perf_counter() - began.pop()

        hooks.append(part.register_forward_hook(done))

    def timed(step: fs.Step, name: str) -> fs.Step:
        def change(image, canvas, **values):
            start = time.perf_counter()
            made = step.change(image, canvas, **values)
            spent[f"effect {name}"] += time.perf_counter() - start
            return made

        return replace(step, change=change)

    images, begin = 0, time.perf_counter()
    outputs = tuple(dict.fromkeys([*OUTPUTS, *recipe.label_outputs]))
    while time.perf_counter() - begin < seconds:
        batch = recipe.sample(range(images, images + BATCH), aspect=size[1] / size[0])
        named = [f"{number} {_name(step)}" for number, step in enumerate(batch.effects)]
        batch = batch.replace(effects=tuple(timed(*pair) for pair in zip(batch.effects, named, strict=True)))
        start = time.perf_counter()
        inside = sum(value for name, value in spent.items() if name.startswith("effect"))
        frames = fs.render(batch, size, outputs, rgb_dtype=torch.uint8)
        inside = sum(value for name, value in spent.items() if name.startswith("effect")) - inside
        spent["draw"] += time.perf_counter() - start - inside
        start = time.perf_counter()
        recipe.labels(frames)
        spent["labels"] += time.perf_counter() - start
        images += BATCH
    whole = time.perf_counter() - begin
    spent["sample, beside the randomizers"] = whole - sum(spent.values())
    for hook in hooks:
        hook.remove()
    return {name: round(1e6 * value / images, 1) for name, value in sorted(spent.items(), key=lambda item: -item[1])}


def _name(step: fs.Step) -> str:
    """Of the class or function that changes the picture."""
    function = getattr(step.change, "func", step.change)
    return getattr(function, "__qualname__", type(function).__name__).split(".")[0]


@torch.no_grad()
def speed(recipe: Recipe, side: int, rounds: int, seconds: float) -> dict[str, object]:
    """Images per second of sampling, drawing and labelling, in turns with the standard workload in full detail."""
    batch = standard()
    reference = own() if batch is None else batch
    size, state = (side, side), {"index": 0}
    outputs = tuple(dict.fromkeys([*OUTPUTS, *recipe.label_outputs]))

    def step() -> None:
        first = state["index"]
        state["index"] += BATCH
        frames = fs.render(recipe.sample(range(first, first + BATCH)), size, outputs, rgb_dtype=torch.uint8)
        recipe.labels(frames)

    def rival() -> None:
        fs.render(reference, size, OUTPUTS, rgb_dtype=torch.uint8)

    for work in (step, rival):
        work()
    sides = {
        "recipe": lambda: rate(step, BATCH, seconds),
        "standard": lambda: rate(rival, reference.images, seconds),
    }
    return {**alternate(sides, rounds), "stages_us": stages(recipe, size, seconds)}


def main() -> None:
    """Counts, measures and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; all, and the file is written, if none")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--height", type=int, default=96, help="of the pictures whose labels are counted")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--no-speed", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    for name in arguments.names or sorted(RECIPES):
        recipe = RECIPES[name]()
        result: dict[str, object] = {"labels": exactness(recipe, arguments.objects, arguments.height)}
        print(name, result["labels"], flush=True)
        if not arguments.no_speed:
            for side in (128, 256):
                result[str(side)] = speed(recipe, side, arguments.rounds, arguments.seconds)
                print(name, side, result[str(side)], flush=True)
        results[name] = result
    if not arguments.names and not arguments.no_speed:
        print(save("recipes", {"threads": torch.get_num_threads(), "recipes": results}))


if __name__ == "__main__":
    main()
