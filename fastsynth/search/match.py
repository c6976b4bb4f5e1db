"""Matching a target: how far the pictures of a scene are from some that were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastsynth.random import Noise
from fastsynth.render import render
from fastsynth.search.features import RandomFeatures
from fastsynth.search.objectives import mmd
from fastsynth.types import SceneBatch

Render = Callable[[SceneBatch], Tensor]


def picture(batch: SceneBatch, size: tuple[int, int]) -> Tensor:
    """Pictures with gradients to all that makes them, :func:`fastsynth.render`'s: float32 [B, 3, H, W].

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), background=fs.ColorBackground(0.25))
        >>> scene.learn("background.color")
        Scene(...
        >>> picture(scene.sample(2), (16, 16)).requires_grad
        True
    """
    return render(batch, size, ("rgb",)).rgb


class Match:
    """The loss of not looking like the target: a distance between features of our pictures and of the target's.

    Part of the target is held out: what is found must suit images that it was not fitted to.

    Args:
        target: Pictures to look like, float [M, 3, H, W] in [0, 1]; ours are drawn in the same size.
        features: Images [B, 3, H, W] to points [B, D]; `RandomFeatures` by default.
        distance: Two sets of points to a loss; :func:`mmd` by default. To learn a `Choice`, one that knows `each` or
            `weights` as `mmd` does.
        render: A batch to pictures, [B, 3, H, W]; :func:`picture` by default.
        held_out: Share of the target that is held out, in [0, 1).
        standardize: Divide every feature by its standard deviation over the target.
        seed: Which of the target are held out.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), background=fs.ColorBackground(0.5))
        >>> match = Match(picture(scene.sample(8), (16, 16)))
        >>> bool(match(scene.sample(4, seed=1)).isfinite() & match.held_out(scene.sample(4, seed=1)).isfinite())
        True
    """

    def __init__(
        self,
        target: Tensor,
        features: Callable[[Tensor], Tensor] | None = None,
        distance: Callable[..., Tensor] = mmd,
        render: Render | None = None,
        held_out: float = 0.5,
        standardize: bool = True,
        seed: int = 0,
    ) -> None:
        if not isinstance(target, Tensor) or target.ndim != 4 or target.shape[1] != 3:
            given = list(target.shape) if isinstance(target, Tensor) else type(target).__name__
            raise ValueError(f"Match: `target` must be pictures, float [M, 3, H, W] in [0, 1], but is {given}.")
        if not 0 <= held_out < 1:
            raise ValueError(f"Match: `held_out` must lie in [0, 1), but is {held_out}.")
        size = (int(target.shape[2]), int(target.shape[3]))
        self.features = features if features is not None else RandomFeatures().to(target.device)
        self.distance = distance
        self.render: Render = render if render is not None else lambda batch: picture(batch, size)
        with torch.no_grad():
            points = self.features(target.float())
        order = Noise(seed, torch.arange(len(target))).uniform((), "search.held_out").argsort().to(target.device)
        kept = len(target) - round(held_out * len(target))
        if kept < 2:
            raise ValueError(f"Match: {kept} of {len(target)} pictures are left to match, but 2 are needed. Give more.")
        fitted = points[order[:kept]]
        scale = fitted.std(0) if standardize else torch.ones_like(fitted[0])
        # What does not vary in the target is measured by the typical spread of what does.
        self._scale = torch.maximum(scale, 0.1 * scale.median()).clamp(min=1e-6)
        self.target, self.rest = fitted / self._scale, points[order[kept:]] / self._scale

    def points(self, batch: SceneBatch) -> Tensor:
        """The features of the pictures of a batch, float [B, D], as they are compared."""
        return self.features(self.render(batch)) / self._scale

    def __call__(self, batch: SceneBatch, **options: Any) -> Tensor:
        """The distance of a batch to what is fitted; `options` go to the distance, such as ``each=True``."""
        return self.distance(self.points(batch), self.target, **options)

    def each(self, batch: SceneBatch) -> Tensor:
        """For each image its part in the distance, [B]: the loss where a `Choice` is learned."""
        return self(batch, each=True)

    @torch.no_grad()
    def held_out(self, batch: SceneBatch) -> Tensor:
        """The distance to what was held out.

        Raises:
            RuntimeError: too little was held out.
        """
        if len(self.rest) < 2:
            raise RuntimeError("Match.held_out(): fewer than 2 pictures are held out. Make it with held_out=0.5.")
        return self.distance(self.points(batch), self.rest)
