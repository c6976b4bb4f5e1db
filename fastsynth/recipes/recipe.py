"""A published system as a scene with a name, a version, its numbers, and axes that can be switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import ImageDraw
from torch import Tensor, nn

from fastsynth.random import Constant, Distribution, Noise
from fastsynth.recipes.numbers import Numbers
from fastsynth.scene import Randomizer, Scene
from fastsynth.types import Frames, SceneBatch

#: What an axis is set to where it stands for a whole randomizer: that is left out.
OFF = object()


class Off(Randomizer):
    """In the place of a randomizer that was switched off: changes nothing."""

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """The batch as it is."""
        return batch


class Recipe(Scene):
    """A `Scene` that follows a published system.

    An image is a function of the recipe's name and version, a seed and an index alone: ``recipe.sample([i], seed)``
    draws it again, and ``batch.params`` holds every value that was drawn for it.

    Args:
        name: Of the recipe.
        version: Raised whenever the same seed gives other images.
        source: The publication.
        numbers: What it is made of, each with whose it is.
        size: Height and width of the system's pictures [pixels].
        axes: What can be switched off: for each axis the paths of distributions with the value, or the narrower
            distribution, that they are set to, or of randomizers with `OFF`. Nothing else that is drawn changes.
        without: Axes that are off.
        label: What the system labels beside boxes and masks: a function of `Frames` to tensors [B, ...].
        label_outputs: Outputs of `render` that `label` reads.
        draw: Draws those labels of an image onto its picture: a function of a pen, the frames, the labels and the row.
        target_classes: Classes that it detects; None = all that there are.
        **parts: Of the `Scene`.

    Attributes:
        without: Axes that are off.

    Raises:
        ValueError: an axis that does not exist.

    Example:
        >>> import fastsynth as fs
        >>> from fastsynth.recipes import Numbers, paper
        >>> n = Numbers({"count": paper((1, 4), "section 3")})
        >>> objects = fs.Objects(fs.procedural.primitives(), count=fs.Choice(range(n["count"][0], n["count"][1] + 1)))
        >>> axes = {"count": {"objects.count": 1}}
        >>> toy = Recipe("toy", 1, "Nobody 2026", n, (64, 64), axes, without=["count"], objects=objects)
        >>> (toy.sample(8).mesh_id >= 0).sum(1).tolist()
        [1, 1, 1, 1, 1, 1, 1, 1]
    """

    def __init__(
        self,
        name: str,
        version: int,
        source: str,
        numbers: Numbers,
        size: tuple[int, int],
        axes: Mapping[str, Mapping[str, Any]],
        without: Sequence[str] = (),
        label: Callable[[Frames], dict[str, Tensor]] | None = None,
        label_outputs: Sequence[str] = (),
        draw: Callable[[ImageDraw.ImageDraw, Frames, dict[str, Tensor], int], None] | None = None,
        target_classes: Sequence[str] | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self.name, self.version, self.source, self.numbers, self.size = name, version, source, numbers, size
        self.axes, self.without = dict(axes), tuple(without)
        self._label, self._draw, self.label_outputs = label, draw, tuple(label_outputs)
        self.target_classes = target_classes
        for axis in self.without:
            if axis not in self.axes:
                raise ValueError(
                    f"{name}(): `without` must name axes of the recipe, but {axis!r} is none. There are: "
                    f"{', '.join(self.axes)}."
                )
            for path, value in self.axes[axis].items():
                self._switch_off(path, value)

    def labels(self, frames: Frames) -> dict[str, Tensor]:
        """What the system labels beside boxes and masks, [B, ...] each, by name."""
        return self._label(frames) if self._label is not None else {}

    def draw_labels(self, pen: ImageDraw.ImageDraw, frames: Frames, labels: dict[str, Tensor], row: int) -> None:
        """Draw the system's own labels of one image onto its picture, for people to look at; by default none."""
        if self._draw is not None:
            self._draw(pen, frames, labels, row)

    def table(self) -> list[tuple[str, str, str, str]]:
        """The numbers: name, value, source, note."""
        return [(name, str(n.value), n.source, n.note) for name, n in self.numbers.stated.items()]

    def _switch_off(self, path: str, value: Any) -> None:
        """Put a constant, or nothing, in the place of a part."""
        parent, _, own = path.rpartition(".")
        holder: nn.Module = self.get_submodule(parent)
        held = self.get_submodule(path)
        if value is OFF:
            part: nn.Module = Off()
        else:
            if not isinstance(held, Distribution):
                raise ValueError(f"{self.name}(): {path!r} is no distribution; give OFF to leave it out.")
            part = (value if isinstance(value, Distribution) else Constant(value)).to(self.device)
        if isinstance(holder, nn.ModuleList):
            holder[int(own)] = part
        else:
            setattr(holder, own, part)
