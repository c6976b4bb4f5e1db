"""Sun, sky, lamps and wet roads by the time of day and the weather."""

from __future__ import annotations

from typing import Any

import torch

from fastsynth.environments import Environments
from fastsynth.geometry import invert_rigid, normalize
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.randomizers import DirectionalLight, EnvironmentLight, SpotLight
from fastsynth.randomizers.lights import DIRECTIONAL, POINT, SPOT, append_lights
from fastsynth.recipes.lanes import RoadCamera, Roads
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class Sun(DirectionalLight):
    """A sun at a height and in a direction.

    Args:
        elevation: Above the horizon [rad].
        azimuth: From the x axis, counter-clockwise from above [rad].
        intensity: As of `DirectionalLight`.
        color: As of `DirectionalLight`.
        **others: As of `DirectionalLight`.
    """

    def __init__(self, elevation: Any, azimuth: Any, intensity: Any, color: Any, **others: Any) -> None:
        super().__init__((0.0, 0.0, 1.0), intensity, color, **others)
        del self.direction
        self.elevation: Distribution = as_distribution(elevation, "Sun: `elevation`", [()])
        self.azimuth: Distribution = as_distribution(azimuth, "Sun: `azimuth`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the light."""
        elevation, azimuth = self.elevation.sample(noise), self.azimuth.sample(noise)
        level = elevation.cos()
        direction = torch.stack([level * azimuth.cos(), level * azimuth.sin(), elevation.sin()], -1)
        return self.append(batch, noise, DIRECTIONAL, light_direction=-direction)


class Sky(EnvironmentLight):
    """The sky behind everything, the light that it gives, what mirrors it, and the sensor's answer to it.

    Args:
        skies: As of `EnvironmentLight`.
        azimuth: Of the sun, which the panoramas have towards +x [rad].
        choice: As of `EnvironmentLight`.
        light: What a white surface reflects that faces up, as a part of the harmonics of the panoramas.
        ev: Exposure of the sensor.
        background: As of `EnvironmentLight`.
    """

    def __init__(
        self, skies: Environments, azimuth: Any, choice: Distribution, light: Any, ev: Any, background: bool = True
    ) -> None:
        super().__init__(skies, azimuth, background=background, choice=choice)
        self.light: Distribution = as_distribution(light, "Sky: `light`", [()])
        self.ev: Distribution = as_distribution(ev, "Sky: `ev`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set panorama, ambient light and exposure."""
        batch = super().forward(batch, noise)
        return batch.replace(
            ambient=batch.ambient * self.light.sample(noise)[:, None, None],
            exposure=batch.exposure + self.ev.sample(noise),
        )


class HeadLamp(SpotLight):
    """The lamps of the camera's car, as one.

    Args:
        intensity: As of `SpotLight`; 0 by day.
        angle: Half-angle of the cone [rad].
    """

    def __init__(self, intensity: Any, angle: float = 0.45) -> None:
        super().__init__((0.0, 0.0, 0.0), angle=angle, softness=0.8, intensity=intensity, color=(1.0, 0.95, 0.85))
        del self.position, self.target

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the light below the camera, along its axis and a little down."""
        angle = self.angle.sample(noise)
        inner = angle * (1 - self.softness.sample(noise))
        world_from_camera = invert_rigid(batch.camera_from_world)
        ahead = world_from_camera[:, :3, 2] + 0.06 * world_from_camera[:, :3, 1]
        return self.append(
            batch,
            noise,
            SPOT,
            light_position=world_from_camera[:, :3, 3] + 0.5 * world_from_camera[:, :3, 1],
            light_direction=normalize(ahead),
            light_cone=torch.stack([inner.cos(), angle.cos()], -1),
        )


class StreetLamps(Randomizer):
    """Lamps over the kerbs in front of the camera, on alternate sides.

    Args:
        roads: Streets.
        camera: Where its car is.
        intensity: Radiance that a white diffuse surface reflects 1 m below; 0 by day.
        places: In front of the camera [m].
        height: [m]
    """

    def __init__(
        self,
        roads: Roads,
        camera: RoadCamera,
        intensity: Any,
        places: tuple[float, ...] = (8.0, 26.0, 48.0, 75.0),
        height: float = 6.2,
    ) -> None:
        super().__init__()
        self.roads, self.height = roads, height
        self.start: Distribution = camera.along
        self.intensity: Distribution = as_distribution(intensity, "StreetLamps: `intensity`", [()])
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the lights."""
        places: torch.Tensor = self.places  # type: ignore[assignment]
        street = self.roads.here(noise)[0][:, None].expand(-1, len(places))
        half = self.roads.counts[street, 2]
        side = torch.where(torch.arange(len(places), device=places.device) % 2 > 0, -1.0, 1.0)
        along = self.start.sample(noise)[:, None] + places
        x, y, _ = self.roads.at(street, along, side * (half - 1.0))
        strength = self.intensity.sample(noise)[:, None].expand(-1, len(places))
        warm = torch.stack([strength, 0.78 * strength, 0.5 * strength], -1)
        position = torch.stack([x, y, torch.full_like(x, self.height)], -1)
        fields = {
            "light_kind": torch.where(strength > 0, POINT, 0).int(),
            "light_position": position,
            "light_direction": torch.nn.functional.pad(torch.ones_like(position[..., :1]), (2, 0)),
            "light_color": warm,
            "light_cone": torch.zeros_like(position[..., :2]),
        }
        return append_lights(batch, fields)


class Wetness(Randomizer):
    """Water on all surfaces: darker, and more of a mirror.

    Args:
        wet: 0 for dry, 1 for soaked.
        roughness: Of what is soaked.
    """

    def __init__(self, wet: Any, roughness: float) -> None:
        super().__init__()
        self.wet: Distribution = as_distribution(wet, "Wetness: `wet`", [()])
        self.roughness = roughness

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Change the materials of what is wet."""
        wet = self.wet.sample(noise)[:, None]
        dark = 1 - 0.35 * wet.expand(-1, batch.instances)
        roughness = 1 - wet * (1 - self.roughness)
        return batch.replace(
            base_color=batch.base_color * torch.stack([dark, dark, dark, torch.ones_like(dark)], -1),
            roughness=torch.where(wet > 0, roughness, batch.roughness),
        )
