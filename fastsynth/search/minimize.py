"""Let gradients find the parameters of a scene's distributions."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from fastsynth.random import Choice, Decisions
from fastsynth.random.learnable import flat, numbers
from fastsynth.scene import Scene
from fastsynth.search.estimators import enumerate_choice, score_function
from fastsynth.search.history import History
from fastsynth.types import SceneBatch

# Images that measure what is held out are none that a step has seen: their indices begin here.
_HELD_OUT = 2**40


def minimize(
    scene: Scene,
    loss: Callable[..., Tensor],
    *,
    steps: int = 200,
    images: int = 64,
    lr: float = 0.05,
    seed: int = 0,
    aspect: float = 1.0,
    fresh: bool = True,
    enumerate: str | Sequence[str] | None = None,
    entropy_floor: float | None = None,
    held_out: Callable[[SceneBatch], Tensor] | None = None,
    every: int = 10,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Change what the scene learns until the loss of its pictures is small.

    Each step draws images, asks for their loss, and takes a step of Adam whose length falls along a cosine to a
    twentieth. What is continuous gets its gradient by `backward` through the picture, what is a `Choice` by
    `score_function`, or by enumeration; both in one step.

    Args:
        scene: With something to learn, see ``scene.learn``. It is left at the last step.
        loss: A `SceneBatch` to a loss: one number; or one for each image, [B], which a `Choice` needs. `Match` makes
            such. Draws of its own must not depend on global state, or a resumed run differs.
        steps: How many in all.
        images: How many a step, B.
        lr: Length of a step, in widths of the distributions as they were when learning began.
        seed: Of the images.
        aspect: Width over height of the pictures.
        fresh: Other images at every step; else the same B, which is quicker and fits just these.
        enumerate: Path of the `Choice` that is learned, or of all that are, to draw every image with each of their
            values: exact, where the score function is noisy. The loss is then called as
            ``loss(batch, weights=weights)``, see `enumerate_choice`, and returns one number.
        entropy_floor: How much of the logarithm of its width, or of its entropy, a distribution may lose [nats], as a
            number below 0: -3 keeps a twentieth of the width. None lets it shrink to a point, which a loss that
            does not see variety will do.
        held_out: Measured every so often on images that no step sees, without gradient, such as ``match.held_out``.
        every: Steps between two such measurements, two looks at the numbers, and two checkpoints.
        checkpoint: File that the search goes on from where it exists, and writes. A run that was cut off and is
            called again the same way ends with the same bits.
        progress: Show a bar.

    Returns:
        Loss and parameters of every step.

    Raises:
        RuntimeError: nothing is learned, or the loss does not depend on it.
        ValueError: a loss of the wrong shape, or a checkpoint of another search.
        FloatingPointError: the loss is not a finite number any more.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), sensor=fs.Sensor(exposure=fs.Normal(0.0, 1.0)))
        >>> scene = scene.learn("sensor.exposure")
        >>> brighter = lambda batch: (batch.exposure - 1).square().mean()
        >>> history = minimize(scene, brighter, steps=40, lr=0.1, progress=False)
        >>> bool((scene.sensor.exposure.mean - 1).abs() < 0.2)
        True
    """
    parameters = scene.learnable()
    if entropy_floor is not None and not entropy_floor < 0:
        raise ValueError(f"minimize(): `entropy_floor` must be below 0 [nats], but is {entropy_floor}.")
    choices = {path for path, part in scene.learned().items() if isinstance(part, Choice)}
    listed = {enumerate} if isinstance(enumerate, str) else set(enumerate or ())
    if enumerate is not None and choices != listed:
        raise ValueError(
            f"minimize(): `enumerate` must name every Choice that is learned, {', '.join(sorted(choices)) or 'none'}, "
            f"but names {', '.join(sorted(listed)) or 'none'}. Freeze the others, or leave `enumerate` out."
        )
    optimizer = torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99))
    history = History([name for name, *_ in flat(scene)])
    settings = {"steps": steps, "images": images, "lr": lr, "seed": seed, "fresh": fresh, "names": history.names}
    first = _resume(checkpoint, scene, optimizer, history, settings) if checkpoint is not None else 0
    columns = TextColumn("searching"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, TextColumn("{task.fields[note]}"), disable=not progress) as bar:
        task = bar.add_task("", total=steps, completed=first, note="")
        for step in range(first, steps):
            for group in optimizer.param_groups:
                group["lr"] = lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            index = torch.arange(images, device=scene.device) + (step * images if fresh else 0)
            optimizer.zero_grad()
            value, surrogate = _losses(scene, loss, index, seed, aspect, enumerate, bool(choices))
            before, last = numbers(scene), step == steps - 1
            surrogate.backward()
            optimizer.step()
            if entropy_floor is not None:
                for part in scene.learned().values():
                    part.learned.keep_entropy_(entropy_floor)
            looks = step % every == every - 1 or last
            rest = _measured(scene, held_out, images, seed, aspect) if held_out is not None and looks else None
            history.add(value, before, rest)
            if looks:
                if not math.isfinite(shown := value.item()):
                    raise FloatingPointError(
                        f"minimize(): the loss of step {step} is {shown}. Take a smaller `lr`, or limit what is "
                        "learned by scene.learn(..., within=(lowest, highest))."
                    )
                bar.update(task, completed=step + 1, note=f"loss {shown:.4g}")
                if checkpoint is not None:
                    _save(Path(checkpoint), step + 1, scene, optimizer, history, settings)
    return history


def _losses(
    scene: Scene,
    loss: Callable[..., Tensor],
    index: Tensor,
    seed: int,
    aspect: float,
    enumerated: str | Sequence[str] | None,
    chooses: bool,
) -> tuple[Tensor, Tensor]:
    """The loss of a step, and what to differentiate."""
    if enumerated is not None:
        batch, weights = enumerate_choice(scene, enumerated, index, seed, aspect=aspect)
        value = surrogate = loss(batch, weights=weights)
        if value.ndim:
            raise ValueError(
                f"minimize(): with `enumerate`, the loss must be one number, but has shape {list(value.shape)}. "
                "Sum the images' losses times `weights.flatten()`."
            )
    else:
        decisions = Decisions()
        batch = scene.sample(index, seed, aspect=aspect, decisions=decisions)
        losses = loss(batch)
        if losses.ndim > 1 or (losses.ndim == 1 and len(losses) != len(index)):
            raise ValueError(
                f"minimize(): the loss must be one number, or one for each of {len(index)} images, but has shape "
                f"{list(losses.shape)}."
            )
        value = surrogate = losses.mean()
        if chooses:
            surrogate = surrogate + score_function(losses, decisions.log_prob(len(index)))
    if not surrogate.requires_grad:
        raise RuntimeError(
            "minimize(): the loss does not depend on what is learned. Is the picture drawn with gradients, as "
            "search.picture draws it?"
        )
    return value.detach(), surrogate


@torch.no_grad()
def _measured(scene: Scene, held_out: Callable[[SceneBatch], Tensor], images: int, seed: int, aspect: float) -> Tensor:
    index = torch.arange(images, device=scene.device) + _HELD_OUT
    return held_out(scene.sample(index, seed, aspect=aspect)).mean()


def _save(
    path: Path, step: int, scene: Scene, optimizer: torch.optim.Optimizer, history: History, settings: dict[str, Any]
) -> None:
    """Write all that the next step depends on, in one piece: a file is whole or not there."""
    state = {
        "step": step,
        "settings": settings,
        "learned": {name: part.learned.state_dict() for name, part in scene.learned().items()},
        "optimizer": optimizer.state_dict(),
        "history": history.table(),
    }
    unfinished = path.with_name(path.name + ".part")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def _resume(
    path: str | Path, scene: Scene, optimizer: torch.optim.Optimizer, history: History, settings: dict[str, Any]
) -> int:
    """Go on from a file where there is one: the step to go on with."""
    if not Path(path).exists():
        return 0
    state = torch.load(path, map_location=scene.device, weights_only=True)
    different = [f"{name} = {was!r}" for name, was in state["settings"].items() if settings.get(name) != was]
    if different:
        raise ValueError(
            f"minimize(): the checkpoint {str(path)!r} is of a search with {', '.join(different)}. Ask for the same, "
            "or name another file."
        )
    for name, part in scene.learned().items():
        part.learned.load_state_dict(state["learned"][name])
    optimizer.load_state_dict(state["optimizer"])
    history.restore(state["history"].to(scene.device))
    return state["step"]
