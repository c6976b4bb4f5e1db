"""Gradients through what is discrete."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth.random import Choice, Decisions
from fastsynth.scene import Scene
from fastsynth.types import SceneBatch


def score_function(losses: Tensor, log_prob: Tensor) -> Tensor:
    """A number of value 0 whose gradient is that of the mean loss in the probabilities of what was chosen.

    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992, with
    the mean of the other images' losses as the baseline of each: Kool et al., "Buy 4 REINFORCE Samples, Get a
    Baseline for Free!", 2019. Without bias where an image's loss depends on its own choices alone; with that of
    `mmd`, whose every part knows all images, the baseline shortens the gradient by a share of 1 / (B - 1) or less.

    Args:
        losses: Of each image, float [B], B >= 2. Its own gradient is another matter: add ``losses.mean()``.
        log_prob: Logarithm of the probability of each image's choices, float [B], from ``scene.log_prob``.

    Returns:
        float [].

    Raises:
        ValueError: not two vectors of one length of 2 or more.

    Example:
        >>> choice = torch.zeros(2, requires_grad=True)
        >>> log_prob = choice.log_softmax(0)[torch.tensor([0, 1, 1, 1])]
        >>> score_function(torch.tensor([3.0, 1.0, 1.0, 1.0]), log_prob).backward()
        >>> bool(choice.grad[0] > 0 > choice.grad[1])  # the first is worse: less of it
        True
    """
    if losses.ndim != 1 or losses.shape != log_prob.shape or len(losses) < 2:
        raise ValueError(
            "score_function(): `losses` and `log_prob` must both be [B] with B of 2 or more, but are "
            f"{list(losses.shape)} and {list(log_prob.shape)}. A loss of all images at once cannot say which choice "
            "was good: return one for each image, as mmd(..., each=True) does."
        )
    losses = losses.detach()
    baseline = (losses.sum() - losses) / (len(losses) - 1)
    surrogate = ((losses - baseline) * log_prob).mean()
    return surrogate - surrogate.detach()


def enumerate_choice(
    scene: Scene,
    paths: str | Sequence[str],
    images: int | Sequence[int] | Tensor,
    seed: int = 0,
    *,
    aspect: float = 1.0,
) -> tuple[SceneBatch, Tensor]:
    """Every image once with each value of a choice, and how much each of these counts.

    The expectation over the choice is then a sum, and its gradient exact: no score function, no variance of its own.
    It costs as many images as there are values; of several choices, as many as there are combinations.

    Args:
        scene: Holds the choices.
        paths: Of a `Choice`, such as ``"objects.choice"``, or of several. Images with several draws of one, such as
            several objects, are refused: the value of one draw says nothing of the others.
        images: As of ``scene.sample``: B of them.
        seed: As of ``scene.sample``.
        aspect: As of ``scene.sample``.

    Returns:
        K B scenes, the first B with the first values, and their weights, float32 [K, B] of sum 1, differentiable in the
        weights of the choices: for ``mmd(..., weights=weights)``, or ``(weights.flatten() * losses).sum()``.

    Raises:
        ValueError: no such choice, or several draws of it an image.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), choice=fs.Choice([2, 0])))
        >>> batch, weights = enumerate_choice(scene.learn("objects.choice"), "objects.choice", 2)
        >>> batch.mesh_id.flatten().tolist(), weights.tolist()
        ([2, 2, 0, 0], [[0.25, 0.25], [0.25, 0.25]])
    """
    device, choices = scene.device, {}
    for path in [paths] if isinstance(paths, str) else paths:
        choice = scene.distributions().get(path)
        if not isinstance(choice, Choice):
            available = [name for name, part in scene.distributions().items() if isinstance(part, Choice)]
            raise ValueError(
                f"enumerate_choice(): {path!r} is no Choice of this scene. Available: {', '.join(available) or 'none'}."
            )
        choices[choice] = path
    if isinstance(images, int):
        index = torch.arange(images, device=device)
    else:
        index = torch.as_tensor(images, dtype=torch.int64).to(device)
    grids = torch.meshgrid(*(torch.arange(len(choice.values), device=device) for choice in choices), indexing="ij")
    positions = {choice: grid.flatten() for choice, grid in zip(choices, grids, strict=True)}
    count = len(index)
    decisions = Decisions({choice: position.repeat_interleave(count) for choice, position in positions.items()})
    batch = scene.sample(index.repeat(grids[0].numel()), seed, aspect=aspect, decisions=decisions)
    for choice, path in choices.items():
        draws = sum(drawn.numel() for one, drawn in decisions.drawn if one is choice) // max(batch.images, 1)
        if draws != 1 and batch.images:
            raise ValueError(
                f"enumerate_choice(): {path!r} is drawn {draws} times an image, but only a single draw can be "
                "enumerated. Use score_function."
            )
    share = torch.ones(grids[0].numel(), device=device)
    for choice, position in positions.items():
        share = share * (choice.weights / choice.weights.sum())[position]
    return batch, (share / count)[:, None].expand(-1, count)
