"""The command line: ``fastsynth preview | audit | recipes | bench | doctor | demo``.

A user's mistake (a folder that is not there, a mesh that cannot be read) ends in one line on standard error.
"""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch.utils.data import DataLoader

import fastsynth as fs
from fastsynth import demo, inputs, selftest, sheet

Device = Annotated[str | None, typer.Option(help="cpu or cuda; by default the GPU, if its kernels were built.")]

app = typer.Typer(
    help="Labelled synthetic training images, drawn straight into tensors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose ValueErrors and OSErrors are the user's: one line, exit code 1."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> None:
            try:
                function(*args, **options)
            except (ValueError, OSError, ImportError) as error:
                Console(stderr=True).print(f"fastsynth {name}: {error}", style="red", markup=False, soft_wrap=True)
                raise typer.Exit(1) from error

        return app.command(name)(run)

    return register


@command("preview")
def preview(
    source: Annotated[
        list[str] | None,
        typer.Argument(help="Mesh files or folders, generated products if none; a recipe's name may stand first."),
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of photographs, as backgrounds.")] = None,
    out: Annotated[Path, typer.Option(help="Where the sheet goes.")] = Path("sheet.png"),
    size: Annotated[
        int | None, typer.Option(min=8, help="Height of the images [pixels]; 256, or the recipe's own.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 8,
    objects: Annotated[
        tuple[int, int] | None,
        typer.Option(min=0, help="Least and most objects of an image; 2 7, or the recipe's."),
    ] = None,
    seed: int = 0,
    device: Device = None,
) -> None:
    """Draw a contact sheet of randomized, labelled images of your meshes."""
    where = inputs.device(device)
    scene = inputs.recipe(source, photos, where)
    shape = (size or 256, size or 256)
    if scene is not None:
        _refuse_objects(objects, scene)
        height, width = scene.size
        shape = (size or height, round((size or height) * width / height))
    else:
        meshes = inputs.assets([Path(path) for path in source or ()], where)
        scene = demo.scene(meshes, inputs.photos(photos, where), _counts(objects or (2, 7)))
    frames = fs.render(scene.sample(count, seed=seed, aspect=shape[1] / shape[0]), shape, sheet.OUTPUTS)
    sheet.contact_sheet(frames, count=count, classes=scene.target_classes).save(out)
    Console().print(f"{out}: {count} images with boxes, instance masks and depth.", markup=False)


@command("audit")
def audit(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            help="Mesh files or folders, generated products if none; a recipe's name may stand first. Or a scene as "
            "FILE.py:NAME."
        ),
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of photographs, as backgrounds of meshes.")] = None,
    output: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("audit.png"),
    json: Annotated[Path | None, typer.Option(help="Where the numbers go, if anywhere.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Number of images.")] = 1000,
    size: Annotated[int, typer.Option(min=8, help="Side of the images [pixels].")] = 128,
    objects: Annotated[
        tuple[int, int] | None, typer.Option(min=0, help="Least and most meshes of an image; 2 7, or the recipe's.")
    ] = None,
    even: Annotated[
        bool, typer.Option("--even", help="Every class should occur as often, whatever its meshes.")
    ] = False,
    seed: int = 0,
    device: Device = None,
) -> None:
    """Count what a scene draws: parameters, classes, sizes, truncation, occlusion; and say what is off."""
    where = inputs.device(device)
    if source and len(source) == 1 and ".py:" in source[0]:
        scene = inputs.scene(source[0], where)
    elif (recipe := inputs.recipe(source, photos, where)) is not None:
        _refuse_objects(objects, recipe)
        scene = recipe
    else:
        meshes = inputs.assets([Path(path) for path in source or ()], where)
        scene = demo.scene(meshes, inputs.photos(photos, where), _counts(objects or (2, 7)))
    report = fs.audit(scene, images, size=(size, size), seed=seed, class_weights="even" if even else None)
    console = Console()
    console.print(report.table())
    console.print(
        str(report), style="red" if report.findings else "green", markup=False, highlight=False, soft_wrap=True
    )
    report.picture().save(output)
    if json is not None:
        report.to_json(json)
    console.print(f"{output}: histograms of {report.images} images.", markup=False)


@command("recipes")
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Of the recipe whose numbers to show; all recipes if none.")
    ] = None,
) -> None:
    """The published systems that are there as recipes; or the axes and numbers of one, with whose they are."""
    if name is None:
        table = Table("recipe", "version", "source")
        for made in (fs.recipes.RECIPES[each]() for each in sorted(fs.recipes.RECIPES)):
            table.add_row(made.name, str(made.version), made.source)
    else:
        if name not in fs.recipes.RECIPES:
            raise ValueError(f"there is no recipe {name!r}. There are: {', '.join(sorted(fs.recipes.RECIPES))}.")
        made = fs.recipes.RECIPES[name]()
        table = Table(
            "number", "value", "whose", "note", title=f"{made.source}; axes to switch off: {', '.join(made.axes)}"
        )
        for row in made.table():
            table.add_row(*map(escape, row))
    Console().print(table)


def _refuse_objects(objects: tuple[int, int] | None, recipe: fs.recipes.Recipe) -> None:
    if objects is not None:
        raise ValueError(f"--objects is for meshes: the recipe {recipe.name} has numbers of its own. Leave it out.")


def _counts(objects: tuple[int, int]) -> range:
    least, most = objects
    if least > most:
        raise ValueError(f"--objects must be the least and the most, but {least} is more than {most}.")
    return range(least, most + 1)


@command("bench")
def bench(
    size: Annotated[int, typer.Option(min=8, help="Side of the images [pixels].")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for each measurement.")] = 5.0,
    device: Device = None,
) -> None:
    """Images per second: drawing alone, and the whole step of a dataset, on generated products."""
    where = inputs.device(device)
    scene = demo.scene(inputs.assets(None, where))
    samples = [scene.sample(batch, seed=seed) for seed in range(4)]

    def draw(step: int) -> None:
        fs.render(
            samples[step % len(samples)], size=(size, size), outputs=("rgb", "instance_id", "depth", "boxes_2d_tight")
        )

    stream = fs.SyntheticStream(
        scene, batch_size=batch, size=(size, size), annotations=("boxes_2d_tight", "instance_mask")
    )
    batches = iter(DataLoader(stream, batch_size=None))
    table = Table(
        "", "images/s", title=f"{size} x {size}, batches of {batch}, {where}, {torch.get_num_threads()} threads"
    )
    table.add_row("render: rgb, instance_id, depth, boxes", f"{batch * _rate(draw, seconds, where):,.0f}")
    table.add_row(
        "dataset: sample, render, boxes and masks", f"{batch * _rate(lambda _: next(batches), seconds, where):,.0f}"
    )
    Console().print(table)


def _rate(step: Callable[[int], Any], seconds: float, device: torch.device) -> float:
    """Calls per second after three calls of warm-up, with the GPU drained before each reading of the clock."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    for number in range(3):
        step(number)
    begin, calls, elapsed = now(), 0, 0.0
    while elapsed < seconds:
        for _ in range(5):
            step(calls)
            calls += 1
        elapsed = now() - begin
    return calls / elapsed


@command("doctor")
def doctor(device: Device = None) -> None:
    """What was built, what this machine has, and whether it draws the right pixels; exit code 1 where it does not."""
    console = Console()
    where = inputs.device(device)
    table = Table.grid(padding=(0, 2))
    for name, value in facts(where).items():
        table.add_row(name, escape(value))  # a bracket would be read as markup
    console.print(table)
    problems = selftest.run(where)
    for problem in problems:
        console.print(f"self-test: {problem}", style="red", markup=False)
    if problems:
        raise typer.Exit(1)
    console.print(f"self-test on {where}: ids, depths and colours are as stored.", style="green")


def facts(device: torch.device) -> dict[str, str]:
    """Versions, build and device, as ``doctor`` prints them.

    Example:
        >>> facts(torch.device("cpu"))["device"]
        'cpu'
    """
    build = inputs.build()
    return {
        "fastsynth": fs.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": build["compiler"],
        "CPU kernels": f"for {build['isas']}; this machine runs {build['isa']}, {torch.get_num_threads()} threads",
        "CUDA kernels": f"for {build['architectures']}" if build["cuda"] else inputs.NO_KERNELS,
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none that torch can use",
        "device": str(device),
    }


command("demo")(demo.main)
