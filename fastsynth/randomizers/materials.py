"""Materials: colours, finish and textures of the instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets, Textures
from fastsynth.load import load_textures
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Materials(Randomizer):
    """Changes the materials of every instance, each with its own draw.

    Args:
        base_color: Multiplies the mesh's colour: linear r g b, r g b a, or a grey.
        metallic: Replaces the mesh's, in [0, 1].
        roughness: Replaces the mesh's, in [0, 1].
        textures: Replace the mesh's base colour texture: image files as for `ImageBackground`, or `Textures`. They
            are put beside the textures of the assets when the scene is made.
        probability: How often an instance gets one of `textures`.

    Example:
        >>> import fastsynth as fs
        >>> materials = fs.Materials(base_color=fs.Uniform((0, 0, 0), (1, 1, 1)), roughness=fs.Uniform(0.2, 0.9))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3), materials=materials, shading="ggx")
        >>> scene.sample(2).base_color.shape
        torch.Size([2, 3, 4])
    """

    def __init__(
        self,
        base_color: Any = None,
        metallic: Any = None,
        roughness: Any = None,
        textures: str | Path | Sequence[str | Path] | Textures | None = None,
        probability: float = 1.0,
    ) -> None:
        super().__init__()
        self.base_color = _optional(base_color, "base_color", [(), (3,), (4,)])
        self.metallic = _optional(metallic, "metallic", [()])
        self.roughness = _optional(roughness, "roughness", [()])
        if not 0 <= probability <= 1:
            raise ValueError(f"Materials: `probability` must lie in [0, 1], but is {probability}.")
        self.probability = probability
        loaded = (
            textures if textures is None or isinstance(textures, Textures) else load_textures(textures, wrap="repeat")
        )
        self.textures: Textures | None = loaded
        self.texture: Choice | None = None if loaded is None else Choice(range(loaded.info.shape[0]))

    def extend(self, assets: Assets) -> Assets:
        """Put the textures behind those of the assets."""
        if self.textures is None:
            return assets
        return assets.with_textures(self.textures)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Change the materials of all instances."""
        fields: dict[str, Tensor] = {}
        slots = batch.instances
        if self.base_color is not None:
            color = self.base_color.sample(noise, slots)
            if self.base_color.event == ():
                color = color[..., None].expand(*color.shape, 3)
            if color.shape[-1] == 3:
                color = torch.nn.functional.pad(color, (0, 1), value=1.0)
            fields["base_color"] = batch.base_color * color
        if self.metallic is not None:
            fields["metallic"] = self.metallic.sample(noise, slots)
        if self.roughness is not None:
            fields["roughness"] = self.roughness.sample(noise, slots)
        if self.texture is not None and self.textures is not None:
            texture = self.first_row(batch.assets) + self.texture.sample(noise, slots)
            if self.probability < 1:
                replaced = noise.of(self).uniform((slots,), "replaced") < self.probability
                texture = torch.where(replaced, texture, batch.texture_id)
            fields["texture_id"] = texture.int()
        return batch.replace(**fields)

    def first_row(self, assets: Assets) -> int:
        """Where this object's textures begin among those of the assets: they were put last."""
        assert self.textures is not None
        return assets.textures.info.shape[0] - self.textures.info.shape[0]


def _optional(value: Any, name: str, events: list[tuple[int, ...]]) -> Distribution | None:
    return None if value is None else as_distribution(value, f"Materials: `{name}`", events)
