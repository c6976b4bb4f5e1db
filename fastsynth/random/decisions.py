"""What was drawn for a batch: discrete draws, noted down or made beforehand, and the values of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from fastsynth.random.choice import Choice
    from fastsynth.random.distribution import Distribution


class Decisions:
    """A notebook for the draws of one batch, given to ``scene.sample(..., decisions=...)``.

    Args:
        forced: For some choices, which of their values every image gets, int64 [B], whatever the noise says.

    Attributes:
        drawn: Each choice that was asked, with the positions of the values taken, int64 [B, ...].
        values: Each other distribution that was asked, with the values that it gave, [B, ..., *event], without
            gradient.
        named: Every value by the name of its draw, [B, ..., *event], without gradient; of a choice what was chosen.
            Drawn twice, a distribution gives the same numbers again: the longer row of them stays.

    Example:
        >>> import fastsynth as fs
        >>> objects = fs.Objects(fs.procedural.primitives(), count=2)
        >>> decisions = fs.random.Decisions({objects.choice: torch.tensor([3, 0, 1])})
        >>> fs.Scene(objects).sample(3, decisions=decisions).mesh_id.tolist()
        [[3, 3], [0, 0], [1, 1]]
    """

    def __init__(self, forced: Mapping[Choice, Tensor] | None = None) -> None:
        self.forced = dict(forced or {})
        self.drawn: list[tuple[Choice, Tensor]] = []
        self.values: list[tuple[Distribution, Tensor]] = []
        self.named: dict[str, Tensor] = {}

    def decide(self, choice: Choice, position: Tensor) -> Tensor:
        """The positions that count, int64 [B, ...], given those that the noise chose."""
        if choice in self.forced:
            wanted = self.forced[choice]
            position = wanted.view(-1, *(1,) * (position.ndim - 1)).expand_as(position)
        again = any(known is choice and have.shape == position.shape for known, have in self.drawn)
        if not again:  # in a second place a choice gives the same again, and decides no more than it did
            self.drawn.append((choice, position))
        return position

    def note(self, distribution: Distribution, value: Tensor) -> None:
        """Write down a draw that is no choice."""
        self.values.append((distribution, value.detach()))

    def name(self, name: str, value: Tensor) -> None:
        """Write down a value by its name."""
        have = self.named.get(name)
        if have is None or have.numel() < value.numel():
            self.named[name] = value.detach()

    def log_prob(self, images: int) -> Tensor:
        """Logarithms of the probability of what was chosen for each image, by choices that are learned.

        Args:
            images: B, as the notebook does not know it where nothing was drawn.

        Returns:
            float32 [B], differentiable in the weights; 0 where no choice is learned.
        """
        total: Tensor | None = None
        for choice, position in self.drawn:
            if not choice.weights.requires_grad:
                continue
            here = choice.log_weights()[position].reshape(images, -1).sum(1)
            total = here if total is None else total + here
        if total is not None:
            return total
        return torch.zeros(images, device=self.drawn[0][1].device if self.drawn else None)
