"""Lights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.geometry import normalize
from fastsynth.random import Distribution, Noise, UniformHemisphere, as_distribution
from fastsynth.scene import Randomizer
from fastsynth.types import SH_CONSTANT, SceneBatch

DIRECTIONAL, POINT, SPOT = 1, 2, 3
#: Factor of z in the real spherical harmonic of order 1, sqrt(3 / (4 pi)).
_SH_LINEAR = 0.4886025119029199


class _Light(Randomizer):
    """What lights have in common: strength, colour, and whether they are on."""

    def __init__(
        self,
        intensity: Any,
        color: Any,
        probability: float,
        shadow: Any = None,
        within: Sequence[float] | None = None,
        gloss: Any = None,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        self.intensity: Distribution = as_distribution(intensity, f"{kind}: `intensity`", [()])
        self.color: Distribution = as_distribution(color, f"{kind}: `color`", [(), (3,)])
        if not 0 <= probability <= 1:
            raise ValueError(f"{kind}: `probability` must lie in [0, 1], but is {probability}.")
        self.probability = probability
        self.shadow, self.within = shadow_of(kind, shadow, within)
        self.gloss = gloss_of(kind, gloss)

    def append(self, batch: SceneBatch, noise: Noise, kind: int, **fields: Tensor) -> SceneBatch:
        """One more light of this kind; `fields` are [B, ...] without the light's axis."""
        if self.probability < 1:
            on = noise.of(self).uniform((), "on") < self.probability
            kinds = torch.where(on, kind, 0).int()
        else:
            kinds = batch.mesh_id.new_full((batch.images,), kind)
        fields["light_kind"] = kinds
        fields["light_color"] = self.intensity.sample(noise)[:, None] * color_of(self.color, noise)
        # What this kind of light does not use.
        zero = batch.light_color.new_zeros(batch.images, 1)
        for name, values in (
            ("light_position", [zero] * 3),
            ("light_direction", [zero, zero, zero + 1]),
            ("light_cone", [zero] * 2),
        ):
            if name not in fields:
                fields[name] = torch.cat(values, 1)
        shadow = None if self.shadow is None else self.shadow.sample(noise).clamp(min=0)[:, None]
        gloss = None if self.gloss is None else self.gloss.sample(noise)[:, None]
        fields = {name: value[:, None] for name, value in fields.items()}
        return append_lights(batch, fields, shadow, self.within, gloss)


class DirectionalLight(_Light):
    """A light that is infinitely far away, such as the sun.

    Args:
        direction: Towards the light, of any length; from anywhere above the horizon by default.
        intensity: Radiance that a white diffuse surface facing the light reflects.
        color: Linear r g b, or a grey.
        probability: How often the light is on.
        shadow: Softness of its shadows: the angle [rad] from the lamp's centre to its rim, 0.0047 for the sun. True =
            0, hard; None or False = it casts none.
        within: Centre x y z and radius [m] of the ball within which its shadows fall; around all objects by default.
            The smaller, the sharper.
        gloss: Factor of what glossy surfaces mirror of the light, beside their diffuse part; None = 1, as is true of
            lamps.

    Example:
        >>> import fastsynth as fs
        >>> light = fs.DirectionalLight(direction=fs.UniformHemisphere(), intensity=fs.LogUniform(0.5, 8.0))
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives()), light=light).sample(4)
        >>> bool((batch.light_direction[..., 2] <= 0).all())  # the light travels down
        True
    """

    def __init__(
        self,
        direction: Any = None,
        intensity: Any = 1.0,
        color: Any = (1.0, 1.0, 1.0),
        probability: float = 1.0,
        shadow: Any = None,
        within: Sequence[float] | None = None,
        gloss: Any = None,
    ) -> None:
        super().__init__(intensity, color, probability, shadow, within, gloss)
        direction = UniformHemisphere() if direction is None else direction
        self.direction: Distribution = as_distribution(direction, "DirectionalLight: `direction`", [(3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the light."""
        return self.append(batch, noise, DIRECTIONAL, light_direction=-normalize(self.direction.sample(noise)))


class PointLight(_Light):
    """A light at a point that shines everywhere, falling with the square of the distance.

    Args:
        position: x y z [m].
        intensity: Radiance that a white diffuse surface reflects that faces the light at 1 m.
        color: Linear r g b, or a grey.
        probability: How often the light is on.
        shadow: Softness of its shadows: the lamp's radius [m]. True = 0, hard; None or False = it casts none.
        within: Centre x y z and radius [m] of the ball within which its shadows fall; around all objects by default.
            The smaller, the sharper. It has one shadow map, which reaches up to 84 degrees to each side of the centre:
            a light among the objects casts no shadow behind itself.
        gloss: As of `DirectionalLight`.

    Example:
        >>> import fastsynth as fs
        >>> light = fs.PointLight(position=fs.Uniform((-1, -1, 1), (1, 1, 3)), intensity=4.0)
        >>> fs.Scene(fs.Objects(fs.procedural.primitives()), light=light).sample(4).light_kind.flatten().tolist()
        [2, 2, 2, 2]
    """

    def __init__(
        self,
        position: Any,
        intensity: Any = 1.0,
        color: Any = (1.0, 1.0, 1.0),
        probability: float = 1.0,
        shadow: Any = None,
        within: Sequence[float] | None = None,
        gloss: Any = None,
    ) -> None:
        super().__init__(intensity, color, probability, shadow, within, gloss)
        self.position: Distribution = as_distribution(position, "PointLight: `position`", [(3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the light."""
        return self.append(batch, noise, POINT, light_position=self.position.sample(noise))


class SpotLight(_Light):
    """A light at a point that shines into a cone.

    Args:
        position: x y z [m].
        target: What the cone is pointed at, x y z [m].
        angle: Half-angle of the cone [rad].
        softness: Part of the half-angle over which the light fades, in [0, 1].
        intensity: Radiance that a white diffuse surface reflects that faces the light at 1 m.
        color: Linear r g b, or a grey.
        probability: How often the light is on.
        shadow: Softness of its shadows: the lamp's radius [m]. True = 0, hard; None or False = it casts none.
        gloss: As of `DirectionalLight`.

    Example:
        >>> import fastsynth as fs
        >>> light = fs.SpotLight(position=(0, 0, 3), angle=fs.Uniform(fs.deg(10), fs.deg(40)), intensity=9.0)
        >>> fs.Scene(fs.Objects(fs.procedural.primitives()), light=light).sample(1).light_direction.tolist()
        [[[0.0, 0.0, -1.0]]]
    """

    def __init__(
        self,
        position: Any,
        target: Any = (0.0, 0.0, 0.0),
        angle: Any = 0.5,
        softness: Any = 0.3,
        intensity: Any = 1.0,
        color: Any = (1.0, 1.0, 1.0),
        probability: float = 1.0,
        shadow: Any = None,
        gloss: Any = None,
    ) -> None:
        super().__init__(intensity, color, probability, shadow, gloss=gloss)
        self.position: Distribution = as_distribution(position, "SpotLight: `position`", [(3,)])
        self.target: Distribution = as_distribution(target, "SpotLight: `target`", [(3,)])
        self.angle: Distribution = as_distribution(angle, "SpotLight: `angle`", [()])
        self.softness: Distribution = as_distribution(softness, "SpotLight: `softness`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the light."""
        position, angle = self.position.sample(noise), self.angle.sample(noise)
        inner = angle * (1 - self.softness.sample(noise))
        return self.append(
            batch,
            noise,
            SPOT,
            light_position=position,
            light_direction=normalize(self.target.sample(noise) - position),
            light_cone=torch.stack([inner.cos(), angle.cos()], -1),
        )


class Ambient(Randomizer):
    """Light from everywhere alike. Replaces the ambient light that the batch has, 0.3 by default.

    Args:
        intensity: What a white diffuse surface reflects.
        color: Linear r g b, or a grey.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), light=fs.Ambient(fs.Uniform(0.1, 0.5)))
        >>> scene.sample(4).ambient.shape
        torch.Size([4, 9, 3])
    """

    def __init__(self, intensity: Any = 0.3, color: Any = (1.0, 1.0, 1.0)) -> None:
        super().__init__()
        self.intensity: Distribution = as_distribution(intensity, "Ambient: `intensity`", [()])
        self.color: Distribution = as_distribution(color, "Ambient: `color`", [(), (3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the ambient light."""
        color = self.intensity.sample(noise)[:, None] * color_of(self.color, noise)
        return batch.replace(ambient=_ambient(color, torch.zeros_like(color)))


class SkyAmbient(Randomizer):
    """Light from a sky and a ground of two colours. Replaces the ambient light that the batch has.

    Args:
        sky: What a white diffuse surface reflects that faces up, linear r g b, or a grey.
        ground: The same, facing down.

    Example:
        >>> import fastsynth as fs
        >>> light = fs.SkyAmbient(sky=fs.Uniform((0.3, 0.4, 0.6), (0.5, 0.6, 0.9)), ground=0.1)
        >>> fs.Scene(fs.Objects(fs.procedural.primitives()), light=light).sample(4).ambient.shape
        torch.Size([4, 9, 3])
    """

    def __init__(self, sky: Any = (0.4, 0.5, 0.7), ground: Any = (0.2, 0.18, 0.15)) -> None:
        super().__init__()
        self.sky: Distribution = as_distribution(sky, "SkyAmbient: `sky`", [(), (3,)])
        self.ground: Distribution = as_distribution(ground, "SkyAmbient: `ground`", [(), (3,)])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the ambient light."""
        sky, ground = color_of(self.sky, noise), color_of(self.ground, noise)
        return batch.replace(ambient=sky_and_ground(sky, ground))


def shadow_of(
    kind: str, shadow: Any, within: Sequence[float] | None
) -> tuple[Distribution | None, tuple[float, ...] | None]:
    """The softness of a light's shadows and the ball in which they fall, as they are held; None = none, and all."""
    held = None
    if shadow is not None and shadow is not False:
        held = as_distribution(0.0 if shadow is True else shadow, f"{kind}: `shadow`", [()])
    ball = None if within is None else tuple(float(number) for number in within)
    if ball is not None and (len(ball) != 4 or not ball[3] > 0):
        raise ValueError(f"{kind}: `within` must be x y z and a radius above 0 [m], but is {ball}.")
    return held, ball


def gloss_of(kind: str, gloss: Any) -> Distribution | None:
    """What a light does to gloss, as it is held; None = nothing."""
    return None if gloss is None else as_distribution(gloss, f"{kind}: `gloss`", [()])


def append_lights(
    batch: SceneBatch,
    fields: dict[str, Tensor],
    shadow: Tensor | None = None,
    within: Sequence[float] | None = None,
    gloss: Tensor | None = None,
) -> SceneBatch:
    """More lights behind those that the batch has.

    Args:
        batch: B images.
        fields: ``light_kind`` int32 [B, L], ``light_position``, ``light_direction``, ``light_color`` float32 [B, L, 3]
            and ``light_cone`` float32 [B, L, 2].
        shadow: Softness of their shadows, float32 [B, L]; None = they cast none.
        within: Centre and radius of the ball within which the shadows fall; None = around all objects.
        gloss: Factor of what glossy surfaces mirror of them, float32 [B, L]; None = 1.
    """
    count, more = batch.light_kind.shape[1], fields["light_kind"].shape[1]
    changes: dict[str, Any] = dict(fields)
    if count:
        changes = {name: torch.cat([getattr(batch, name), value], 1) for name, value in fields.items()}
    if shadow is not None or batch.light_shadow is not None:
        none = batch.exposure.new_full((batch.images, 1), -1.0)
        before = none.expand(-1, count) if batch.light_shadow is None else batch.light_shadow
        changes["light_shadow"] = torch.cat([before, none.expand(-1, more) if shadow is None else shadow], 1)
        columns = () if shadow is None else range(count, count + more)
        changes["shadow_columns"] = (*batch.shadow_lights, *columns)
    if gloss is not None or batch.light_gloss is not None:
        one = batch.exposure.new_ones(batch.images, 1)
        before = one.expand(-1, count) if batch.light_gloss is None else batch.light_gloss
        changes["light_gloss"] = torch.cat([before, one.expand(-1, more) if gloss is None else gloss], 1)
    if within is not None or batch.shadow_ball is not None:
        every = batch.exposure.new_zeros(batch.images, 1, 4)
        ball = (
            every if within is None else torch.cat([torch.full_like(every[..., :1], number) for number in within], -1)
        )
        before = every.expand(-1, count, -1) if batch.shadow_ball is None else batch.shadow_ball
        changes["shadow_ball"] = torch.cat([before, ball.expand(-1, more, -1)], 1)
    return batch.replace(**changes)


def color_of(color: Distribution, noise: Noise, shape: int | tuple[int, ...] = ()) -> Tensor:
    """Colours [B, *shape, 3] of a distribution of r g b, or of greys."""
    value = color.sample(noise, shape)
    return value if color.event else value[..., None].expand(*value.shape, 3)


def sky_and_ground(sky: Tensor, ground: Tensor) -> Tensor:
    """Spherical harmonics [B, 9, 3] of light from above and from below, each float32 [B, 3]."""
    return _ambient((sky + ground) / 2, (sky - ground) / 2)


def _ambient(mean: Tensor, slope: Tensor) -> Tensor:
    """Spherical harmonics [B, 9, 3] of ``mean + slope * z``, each float32 [B, 3]."""
    zero = torch.zeros_like(mean)
    return torch.stack([mean / SH_CONSTANT, zero, slope / _SH_LINEAR, *[zero] * 6], 1)
