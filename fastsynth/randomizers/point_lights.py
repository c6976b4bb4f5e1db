"""A random number of lights at random places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.geometry import normalize
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.randomizers.lights import DIRECTIONAL, POINT, append_lights, color_of, gloss_of, shadow_of
from fastsynth.randomizers.objects import largest
from fastsynth.scene import Randomizer
from fastsynth.types import MAX_LIGHTS, SceneBatch


class PointLights(Randomizer):
    """Several lights an image, each with a place, a strength and a colour of its own.

    Args:
        count: How many, up to 16 with all others of the scene: a whole number, or a `Choice` of such.
        position: x y z [m].
        intensity: Radiance that a white diffuse surface reflects that faces the light at `reach`.
        color: Linear r g b, or a grey.
        reach: Distance at which a light has its intensity [m].
        directional: How often a light is infinitely far away instead, in the direction in which its place is seen from
            the origin, with the same intensity everywhere.
        shadow: Softness of their shadows, as of `PointLight` [m]; of those infinitely far away the part of `reach` that
            it is [rad].
        within: As of `PointLight`.
        gloss: As of `PointLight`, of each light.

    Example:
        >>> import fastsynth as fs
        >>> lights = fs.PointLights(fs.Choice(range(1, 13)), position=fs.Uniform((-9, -9, 1), (9, 9, 9)), reach=5.0)
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives()), light=lights).sample(64)
        >>> on = (batch.light_kind > 0).sum(1)
        >>> batch.light_kind.shape[1], int(on.min()), int(on.max())
        (12, 1, 12)
    """

    def __init__(
        self,
        count: Any,
        position: Any,
        intensity: Any = 1.0,
        color: Any = (1.0, 1.0, 1.0),
        reach: float = 1.0,
        directional: float = 0.0,
        shadow: Any = None,
        within: Sequence[float] | None = None,
        gloss: Any = None,
    ) -> None:
        super().__init__()
        self.count: Distribution = as_distribution(count, "PointLights: `count`", [()])
        self.slots = largest(self.count, "PointLights")
        if self.slots > MAX_LIGHTS:
            raise ValueError(f"PointLights: `count` must be at most {MAX_LIGHTS}, but goes up to {self.slots}.")
        self.position: Distribution = as_distribution(position, "PointLights: `position`", [(3,)])
        self.intensity: Distribution = as_distribution(intensity, "PointLights: `intensity`", [()])
        self.color: Distribution = as_distribution(color, "PointLights: `color`", [(), (3,)])
        if not reach > 0:
            raise ValueError(f"PointLights: `reach` must be above 0 [m], but is {reach}.")
        if not 0 <= directional <= 1:
            raise ValueError(f"PointLights: `directional` must lie in [0, 1], but is {directional}.")
        self.reach = reach
        self.shadow, self.within = shadow_of("PointLights", shadow, within)
        self.gloss = gloss_of("PointLights", gloss)
        self.kind: Distribution | None = Choice([POINT, DIRECTIONAL], [1 - directional, directional])
        if directional == 0:
            self.kind = None

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the lights; those beyond the count are off."""
        slots = self.slots
        position = self.position.sample(noise, slots)
        far = torch.zeros_like(position[..., 0], dtype=torch.bool)
        if self.kind is not None:
            far = self.kind.sample(noise, slots) == DIRECTIONAL
        used = torch.arange(slots, device=batch.device) < self.count.sample(noise)[:, None]
        kind = torch.where(used, torch.where(far, DIRECTIONAL, POINT), 0).int()
        strength = self.intensity.sample(noise, slots) * torch.where(far, 1.0, self.reach**2)
        fields: dict[str, Tensor] = {
            "light_kind": kind,
            "light_position": position,
            "light_direction": -normalize(position),
            "light_color": strength[..., None] * color_of(self.color, noise, slots),
            "light_cone": torch.zeros_like(position[..., :2]),
        }
        shadow = None
        if self.shadow is not None:
            shadow = self.shadow.sample(noise).clamp(min=0)[:, None] * torch.where(far, 1 / self.reach, 1.0)
        gloss = None if self.gloss is None else self.gloss.sample(noise, slots)
        return append_lights(batch, fields, shadow, self.within, gloss)
