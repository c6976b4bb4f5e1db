"""What pictures can tell of a scene's parameters, and what they cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fastsynth.scene import Scene
from fastsynth.types import SceneBatch


@dataclass(frozen=True)
class Identifiability:
    """How a statistic moves with what is learned.

    Attributes:
        names: Of the coordinates, as ``camera.distance.width``, P of them.
        singular_values: Of the Jacobian, falling, float64 [min(S, P)].
        vectors: The directions that belong to them, as rows, float64 [min(S, P), P].
        confounded: Pairs of coordinates that do nearly the same to the statistic, and their cosine: only a combination
            of the two can be found.
        unseen: Coordinates that the statistic hardly moves with.
        statistics: S, the numbers in the statistic.
    """

    names: list[str]
    singular_values: Tensor
    vectors: Tensor
    confounded: list[tuple[str, str, float]]
    unseen: list[str]
    statistics: int

    def __str__(self) -> str:
        lines = [f"{len(self.names)} coordinates, seen by {self.statistics} numbers"]
        if self.statistics < len(self.names):
            lines.append("  fewer numbers than coordinates: not all can be found, whatever they are")
        for value, vector in zip(self.singular_values.tolist(), self.vectors, strict=True):
            most = vector.abs().argsort(descending=True)[:3]
            what = "  ".join(f"{vector[i].item():+.2f} {self.names[int(i)]}" for i in most if abs(vector[i]) > 0.1)
            lines.append(f"  {value:10.3g}  {what}")
        lines += [f"confounded: {a} and {b} (cosine {cosine:+.3f})" for a, b, cosine in self.confounded]
        lines += [f"unseen: {name}" for name in self.unseen]
        return "\n".join(lines)


def identifiability(
    scene: Scene,
    statistic: Callable[[SceneBatch], Tensor],
    *,
    images: int = 64,
    seed: int = 0,
    aspect: float = 1.0,
    similar: float = 0.98,
    small: float = 1e-3,
) -> Identifiability:
    """Which of the learned parameters a statistic of the images can tell apart.

    The singular values of its Jacobian in the coordinates, each of which is about one width of its distribution: a
    small one belongs to a direction in which the scene can change while the statistic stays. The brightness of a light
    and the colour of what it shines on, or the distance of a camera and its field of view, are usual pairs.

    Args:
        scene: With something to learn.
        statistic: A batch to numbers, float [S] with gradient, such as the mean of features of its pictures. Numbers of
            different units should be divided by what they vary by.
        images: How many to take it of.
        seed: Of the images.
        aspect: Width over height of the pictures.
        similar: Absolute cosine from which two coordinates count as confounded.
        small: What moves the statistic less than this share of the most effective coordinate counts as unseen.

    Returns:
        A report, readable as text.

    Raises:
        RuntimeError: nothing is learned, or the statistic does not depend on it.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(
        ...     fs.Objects(fs.procedural.primitives()),
        ...     light=fs.DirectionalLight(intensity=1.0, color=0.5),
        ... )
        >>> scene = scene.learn("light.intensity", "light.color")
        >>> report = identifiability(scene, lambda batch: batch.light_color.mean((0, 1)))
        >>> [(a, b) for a, b, _ in report.confounded]
        [('light.intensity.value', 'light.color.value')]
    """
    named = scene.named_learnable()
    coordinates = scene.learnable()
    numbers = statistic(scene.sample(images, seed, aspect=aspect)).flatten()
    if not numbers.requires_grad:
        raise RuntimeError(
            "identifiability(): the statistic does not depend on what is learned. Is the picture drawn with gradients, "
            "as search.picture draws it? The choices of a Choice have none."
        )
    rows = []
    for number in numbers:
        found = torch.autograd.grad(number, coordinates, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    jacobian = torch.stack(rows).double().cpu()
    names = [
        f"{name}[{place}]" if coordinate.numel() > 1 else name
        for name, coordinate in named.items()
        for place in range(coordinate.numel())
    ]
    _, values, vectors = torch.linalg.svd(jacobian, full_matrices=False)
    length = jacobian.norm(dim=0)
    seen = length > small * length.max()
    cosine = (jacobian.mT @ jacobian) / (length[:, None] * length).clamp(min=1e-300)
    pairs = [
        (names[i], names[j], cosine[i, j].item())
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if seen[i] and seen[j] and abs(cosine[i, j]) >= similar
    ]
    unseen = [name for name, visible in zip(names, seen.tolist(), strict=True) if not visible]
    return Identifiability(names, values, vectors, pairs, unseen, len(numbers))
