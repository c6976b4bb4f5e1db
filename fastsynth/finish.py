"""What follows the drawing: steps on linear light, the sensor, and steps on the finished picture."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth.canvas import Canvas
from fastsynth.types import SceneBatch

#: ``draw(batch, stage)``: the pictures before the steps of a stage, linear light or display values.
Draw = Callable[..., Tensor]
# Pixels that steps change at once on a CPU, where memory costs more than arithmetic: what they make stays in caches.
_AT_ONCE = 1 << 17


def finish(
    batch: SceneBatch, size: tuple[int, int], drawn: dict[str, Tensor], senses: bool, dtype: torch.dtype, draw: Draw
) -> Tensor:
    """Pictures of what was drawn: ``drawn["rgb"]``, changed by the sensor and by the steps of the batch.

    Args:
        batch: B images.
        size: Height and width of the pictures.
        drawn: Outputs by name, [B, ...] each.
        senses: Is ``drawn["rgb"]`` light before the sensor?
        dtype: Of the result.
        draw: What a step of a stage sees of the batch with some of the objects left out.

    Returns:
        [B, 3, H, W].
    """
    names = dict.fromkeys(["rgb", *(name for step in batch.effects for name in step.needs)])
    at_once = batch.images
    if batch.effects and batch.device.type == "cpu":
        at_once = max(1, _AT_ONCE // (size[0] * size[1]))
    if at_once >= batch.images:
        return _finished(batch, size, {name: drawn[name] for name in names}, senses, dtype, draw)
    parts = [slice(first, first + at_once) for first in range(0, batch.images, at_once)]
    maps = [{name: drawn[name][part] for name in names} for part in parts]
    return torch.cat([_finished(batch[p], size, m, senses, dtype, draw) for p, m in zip(parts, maps, strict=True)])


def _finished(
    batch: SceneBatch, size: tuple[int, int], maps: dict[str, Tensor], senses: bool, dtype: torch.dtype, draw: Draw
) -> Tensor:
    image = maps["rgb"]
    for stage in ("light", "picture"):
        steps = [step for step in batch.effects if step.stage == stage]
        for step in steps:
            labels = {name: maps[name] for name in step.needs}
            canvas = Canvas(batch, size, stage, labels, functools.partial(draw, stage=stage))
            image = step.change(image, canvas, **step.values)
        if stage == "light" and senses:
            shown = any(step.stage == "picture" for step in batch.effects)
            image = _develop(batch, image, torch.float32 if shown else dtype)
    if dtype == torch.uint8 and image.dtype != dtype:
        image = torch.rsub(image.detach(), 0.5, alpha=-255.0).clamp_(0.0, 255.0).to(dtype)
    return image


def _develop(batch: SceneBatch, linear: Tensor, dtype: torch.dtype) -> Tensor:
    """Blur, noise and tone curve, which see neighbouring pixels or need numbers of their own."""
    if batch.blur is not None:
        height = linear.shape[2]
        sigma = batch.blur.clamp(0.0, batch.blur_limit) * height
        linear = ops.blur(linear, sigma, math.ceil(3.0 * batch.blur_limit * height))
    return ops.develop(linear, batch.exposure, batch.white_balance, batch.noise, batch.noise_key, batch.tone, dtype)
