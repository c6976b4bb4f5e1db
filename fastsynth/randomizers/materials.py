"""Materials: colours, finish and textures of the instances."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets, Textures
from fastsynth.geometry import multiply
from fastsynth.load import load_textures
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.randomizers.patterns import ProceduralTextures
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Materials(Randomizer):
    """Changes the materials of every instance, each with its own draw.

    Args:
        base_color: Multiplies the mesh's colour: linear r g b, r g b a, or a grey. Not with `ProceduralTextures`, which
            have colours of their own.
        metallic: Replaces the mesh's, in [0, 1].
        roughness: Replaces the mesh's, in [0, 1].
        textures: Replace the mesh's base colour texture: image files as for `ImageBackground`, `Textures`, or
            `ProceduralTextures`. They are put beside the textures of the assets when the scene is made. Where all
            instances get procedural ones, the colours of the meshes' materials and vertices are made white, so that
            nothing of them is left.
        probability: How often an instance gets one of `textures`.
        hue: A turn of the colours about grey [rad], see :func:`hue_turn`; the last thing that is done to them.

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
        textures: str | Path | Sequence[str | Path] | Textures | ProceduralTextures | None = None,
        probability: float = 1.0,
        hue: Any = None,
    ) -> None:
        super().__init__()
        self.base_color = _optional(base_color, "base_color", [(), (3,), (4,)])
        self.metallic = _optional(metallic, "metallic", [()])
        self.roughness = _optional(roughness, "roughness", [()])
        if not 0 <= probability <= 1:
            raise ValueError(f"Materials: `probability` must lie in [0, 1], but is {probability}.")
        self.probability = probability
        self.hue = _optional(hue, "hue", [()])
        self.pattern = textures if isinstance(textures, ProceduralTextures) else None
        if self.pattern is not None and self.base_color is not None:
            raise ValueError(
                "Materials: `base_color` does not go with procedural textures, whose colours it would not multiply. "
                "Give the colours to ProceduralTextures(color=...)."
            )
        loaded = None
        if isinstance(textures, Textures):
            loaded = textures
        elif textures is not None and not isinstance(textures, ProceduralTextures):
            loaded = load_textures(textures, wrap="repeat")
        self.textures: Textures | None = loaded
        self.texture: Choice | None = None if loaded is None else Choice(range(loaded.info.shape[0]))

    def extend(self, assets: Assets) -> Assets:
        """Put the textures behind those of the assets."""
        added = self.textures if self.pattern is None else self.pattern.textures
        if added is None:
            return assets
        if self.pattern is not None and self.probability == 1:
            materials = assets.materials.clone()
            materials[:, :3] = 1.0
            assets = dataclasses.replace(assets, materials=materials, vertex_colors=assets.vertex_colors[:0])
        return assets.keeping(self, len(assets.textures)).with_textures(added)

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
        texture, colors = None, None
        if self.texture is not None:
            texture = self.texture.sample(noise, slots)
        elif self.pattern is not None:
            texture, colors = self.pattern.draw(noise, slots)
        if texture is not None:
            texture = batch.assets.kept_for(self) + texture
            if self.probability < 1:
                replaced = noise.of(self).uniform((slots,), "replaced") < self.probability
                texture = torch.where(replaced, texture, batch.texture_id)
                if colors is not None:
                    colors = torch.where(replaced[..., None, None], colors, _colors_of(batch))
            fields["texture_id"] = texture.int()
        if self.hue is not None:
            colors = _colors_of(batch) if colors is None else colors
            colors = multiply(hue_turn(self.hue.sample(noise, slots)), colors)
        if colors is not None:
            fields["color_matrix"] = colors
        return batch.replace(**fields)


def hue_turn(angle: Tensor) -> Tensor:
    """Turns of linear r g b about the axis of the greys: of the hue, while greys and the sum of the channels stay.

    A third of a turn moves red to green, green to blue and blue to red, as a change of the hue of HSV by 120 degrees
    does; in between, HSV keeps the largest channel instead of the sum. What leaves the range of colours is held at 0
    when it is drawn. Rodrigues' formula about (1, 1, 1) / sqrt(3).

    Args:
        angle: float32 [...] [rad].

    Returns:
        float32 [..., 3, 3].

    Example:
        >>> from math import pi
        >>> (hue_turn(torch.tensor(2 * pi / 3)) @ torch.tensor([1.0, 0.0, 0.0])).round(decimals=4).abs().tolist()
        [0.0, 1.0, 0.0]
    """
    cosine, sine = angle.cos(), angle.sin() / 3**0.5
    own, rest = (1 + 2 * cosine) / 3, (1 - cosine) / 3
    more, less = rest + sine, rest - sine
    rows = [torch.stack(row, -1) for row in ((own, less, more), (more, own, less), (less, more, own))]
    return torch.stack(rows, -2)


def _colors_of(batch: SceneBatch) -> Tensor:
    """The changes of colour that the instances have, float32 [B, N, 3, 4]."""
    if batch.color_matrix is not None:
        return batch.color_matrix
    return torch.eye(3, 4, device=batch.device).expand(batch.images, batch.instances, 3, 4)


def _optional(value: Any, name: str, events: list[tuple[int, ...]]) -> Distribution | None:
    return None if value is None else as_distribution(value, f"Materials: `{name}`", events)
