"""The base of all that changes pictures after they were drawn."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from fastsynth.canvas import Canvas
from fastsynth.random import Noise
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch, Step


class Effect(Randomizer):
    """A random change to the picture, not to the scene: subclass it, and write `sample` and `change`.

    `sample` draws the parameters with the scene; `change`, a pure function, is called by `render`. Labels stay as they
    are, so an effect must not move what is seen. Give effects to a scene as its last randomizers, in the order in which
    they follow each other.

    Attributes:
        stage: "light" for linear radiance before the sensor; "picture" for display values in [0, 1] behind it.
        needs: Outputs of `render` that `change` reads from the canvas.

    Example:
        >>> import fastsynth as fs
        >>> class Vignette(fs.effects.Effect):
        ...     needs = ("distance", "depth")
        ...
        ...     def __init__(self, strength):
        ...         super().__init__()
        ...         self.strength = fs.random.as_distribution(strength)
        ...
        ...     def sample(self, batch, noise):
        ...         return {"strength": self.strength.sample(noise)}
        ...
        ...     @staticmethod
        ...     def change(image, canvas, strength):
        ...         off_axis = 1 - (canvas.depth / canvas.distance.clamp(min=1e-6))[:, None]
        ...         return image * (1 - strength[:, None, None, None] * off_axis).clamp(min=0)
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), vignette=Vignette(fs.Uniform(0, 2)))
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    stage: ClassVar[str] = "picture"
    needs: ClassVar[tuple[str, ...]] = ()

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """The parameters of the batch's images, each [B, ...]; by default there are none.

        Args:
            batch: What the randomizers before this one have made.
            noise: Source of randomness.
        """
        return {}

    @staticmethod
    def change(image: Tensor, canvas: Canvas, **values: Tensor) -> Tensor:
        """The changed picture.

        Args:
            image: float32 [B, 3, H, W].
            canvas: Labels, and the picture without objects.
            **values: What `sample` returned.
        """
        raise NotImplementedError("An Effect must define change(image, canvas, **values) -> Tensor.")

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the step."""
        step = Step(self.change, self.sample(batch, noise), self.stage, self.needs)
        return batch.replace(effects=(*batch.effects, step))
