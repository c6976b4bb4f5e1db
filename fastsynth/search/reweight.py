"""Search where drawing has no gradient: every image that was drawn counts again, as often as it would be drawn now."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from fastsynth.random import Choice, Constant, Decisions, Distribution, Triangular, Uniform
from fastsynth.random.learnable import flat, numbers
from fastsynth.random.learned import freeze
from fastsynth.scene import Scene
from fastsynth.search.history import History
from fastsynth.search.match import Match
from fastsynth.search.objectives import BANDWIDTHS, mmd_of_weights

Weighted = Callable[[Tensor], Tensor]


def reweight(
    scene: Scene,
    match: Match,
    *,
    rounds: int = 10,
    images: int = 64,
    steps: int = 100,
    lr: float = 0.05,
    seed: int = 0,
    aspect: float = 1.0,
    effective: float = 0.5,
    covered: float = 0.8,
    entropy_floor: float | None = None,
    bandwidths: tuple[float, ...] = BANDWIDTHS,
    progress: bool = True,
) -> History:
    """Change what the scene learns until its pictures match, with few images and without the renderer's gradient.

    Each round draws images. Then all images of all rounds are compared with the target, each weighted by how much
    likelier it is now than when it was drawn, and the parameters are moved until these weights lean on too few images
    to go by; that draws nothing. The score function spends an image on one step, this as many steps as there are.

    The weights are those of importance sampling from the mixture of all rounds: Veach and Guibas, "Optimally Combining
    Sampling Techniques for Monte Carlo Rendering", 1995; Cornuet et al., "Adaptive Multiple Importance Sampling", 2012.

    Args:
        scene: With something to learn: `Choice`, `Normal`, `LogNormal`, `TruncatedNormal`, or distributions of yours
            that have a ``log_prob``, of any value. Moving the bounds of a `Uniform` asks for values that no image had;
            `minimize` learns these.
        match: The target. Distances are those of :func:`mmd_of_weights`, whatever ``match.distance`` is.
        rounds: How many in all.
        images: How many a round.
        steps: At most, of Adam, between two rounds.
        lr: Length of a step, in widths of the distributions as they were when learning began.
        seed: Of the images.
        aspect: Width over height of the pictures.
        effective: A round's steps end where the weights are worth fewer than this share of a round's images: Kish's
            effective sample size, ``1 / sum of squares``.
        covered: They end, too, where less than this share of what the scene would draw now lies where images are.
        entropy_floor: As of :func:`minimize`.
        bandwidths: As of :func:`mmd`.
        progress: Show a bar.

    Returns:
        Loss and parameters at the end of every round, and the distance to what `match` holds out, if it does.

    Raises:
        RuntimeError: nothing is learned, or nothing that is learned was drawn.
        ValueError: settings out of bounds, or a distribution whose bounds move.

    Example:
        >>> import fastsynth as fs
        >>> from fastsynth import search
        >>> def room(mean):
        ...     exposure = fs.Normal(mean, 0.5)
        ...     return fs.Scene(fs.Objects(fs.procedural.primitives()), sensor=fs.Sensor(exposure=exposure))
        >>> match = search.Match(search.picture(room(0.5).sample(128, seed=1), (16, 16)))
        >>> scene = room(0.0).learn("sensor.exposure")
        >>> history = search.reweight(scene, match, rounds=4, progress=False)
        >>> bool((scene.sensor.exposure.mean - 0.5).abs() < 0.15)
        True
    """
    parameters, parts = scene.learnable(), scene.learned()
    _check(parts, rounds, images, effective, covered, entropy_floor)
    history = History([name for name, *_ in flat(scene)])
    pool = _Pool(scene)
    columns = TextColumn("searching"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, TextColumn("{task.fields[note]}"), disable=not progress) as bar:
        task = bar.add_task("", total=rounds, note="")
        for number in range(rounds):
            index = torch.arange(images, device=scene.device) + number * images
            pool.draw(match, index, seed, aspect)
            distance, rest = pool.distances(match, bandwidths)
            optimizer = torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99))
            for _ in range(steps):
                before = [parameter.detach().clone() for parameter in parameters]
                optimizer.zero_grad()
                distance(pool.weights()).backward()
                optimizer.step()
                if entropy_floor is not None:
                    for part in parts.values():
                        part.learned.keep_entropy_(entropy_floor)
                if not pool.covers(effective * images, covered):
                    with torch.no_grad():
                        for parameter, was in zip(parameters, before, strict=True):
                            parameter.copy_(was)
                    break
            with torch.no_grad():
                weights = pool.weights()
                loss = distance(weights)
                history.add(loss, numbers(scene), None if rest is None else rest(weights))
            bar.update(task, completed=number + 1, note=f"loss {loss.item():.4g}")
    return history


def _check(
    parts: dict[str, Distribution],
    rounds: int,
    images: int,
    effective: float,
    covered: float,
    entropy_floor: float | None,
) -> None:
    """Raises where the settings, or what is learned, cannot do."""
    if rounds < 1 or images < 2 or not 0 < effective < 1 or not 0 <= covered < 1:
        raise ValueError(
            "reweight(): needs rounds >= 1, images >= 2, 0 < effective < 1 and 0 <= covered < 1, but was given "
            f"rounds = {rounds}, images = {images}, effective = {effective}, covered = {covered}."
        )
    if entropy_floor is not None and not entropy_floor < 0:
        raise ValueError(f"reweight(): `entropy_floor` must be below 0 [nats], but is {entropy_floor}.")
    for path, part in parts.items():
        if isinstance(part, Constant | Uniform | Triangular):
            raise ValueError(
                f"reweight(): {path!r} is a {type(part).__mro__[2].__name__}, of which no image tells how it would "
                "look elsewhere. Freeze it, make it a Normal, LogNormal or TruncatedNormal, or use minimize."
            )


class _Pool:
    """Every image that was drawn: its point, the values that were drawn for it, and how likely they were.

    Attributes:
        points: Float [N, D].
    """

    points: Tensor

    def __init__(self, scene: Scene) -> None:
        self.scene, self.parts = scene, scene.learned()
        self.values: dict[str, Tensor] = {}  # by path, [N, draws, *event], or positions [N, draws] of a Choice
        self.proposals: list[dict[str, Distribution]] = []  # what the parts were in each round
        self.log_proposal = torch.empty(0)

    @torch.no_grad()
    def draw(self, match: Match, index: Tensor, seed: int, aspect: float) -> None:
        """Add images of the scene as it is."""
        self.proposals.append({path: _frozen(part) for path, part in self.parts.items()})
        decisions = Decisions()
        batch = self.scene.sample(index, seed, aspect=aspect, decisions=decisions)
        points = match.points(batch)
        first = len(self.proposals) == 1
        self.points = points if first else torch.cat([self.points, points])
        paths = {part: path for path, part in self.parts.items()}
        drawn: dict[str, list[Tensor]] = {}
        for part, value in [*decisions.drawn, *decisions.values]:
            if part in paths:
                event = () if isinstance(part, Choice) else part.event
                drawn.setdefault(paths[part], []).append(value.reshape(len(index), -1, *event))
        if not drawn:
            raise RuntimeError(f"reweight(): no image draws any of {', '.join(self.parts)}: nothing can be learned.")
        for path, values in drawn.items():
            value = torch.cat(values, 1)
            self.values[path] = value if first else torch.cat([self.values[path], value])
        # Rounds are of one size: the mixture of all has equal parts.
        each = torch.stack([self._log_prob(proposal) for proposal in self.proposals])
        self.log_proposal = each.logsumexp(0) - math.log(len(each))

    def _log_prob(self, parts: dict[str, Any]) -> Tensor:
        """Logarithm of how likely each image is under these distributions, float [N]."""
        total = torch.zeros(len(self.points), device=self.points.device)
        for path, value in self.values.items():
            part = parts[path]
            here = part.log_weights()[value] if isinstance(part, Choice) else part.log_prob(value)
            total = total + here.sum(1)
        return total

    @torch.no_grad()
    def distances(self, match: Match, bandwidths: tuple[float, ...]) -> tuple[Weighted, Weighted | None]:
        """Weights to the distance to what is fitted, and to what is held out.

        Each feature is measured by its spread over both samples. In units of a narrow target, all images of a search
        that begins far away are equally far.
        """
        scale = torch.cat([self.points, match.target]).std(0).clamp(min=1e-6)
        fitted = mmd_of_weights(self.points / scale, match.target / scale, bandwidths=bandwidths)
        if len(match.rest) < 2:
            return fitted, None
        return fitted, mmd_of_weights(self.points / scale, match.rest / scale, bandwidths=bandwidths)

    def weights(self) -> Tensor:
        """How much each image counts now, float [N] of sum 1; differentiable in what is learned."""
        return (self._log_prob(self.parts) - self.log_proposal).softmax(0)

    @torch.no_grad()
    def covers(self, effective: float, share: float) -> bool:
        """Whether the weights are worth this many images, and this share of what the scene draws now is like those."""
        log_ratio = self._log_prob(self.parts) - self.log_proposal
        weights = log_ratio.softmax(0)
        # The mean ratio is 1 where the images cover the distribution; weights of sum 1 know nothing of what is missing.
        return bool((1 / weights.square().sum() >= effective) & (log_ratio.exp().mean() >= share))


def _frozen(part: Distribution) -> Distribution:
    """A copy of the distribution as it is now."""
    found = copy.deepcopy(part)
    freeze(found)
    return found
