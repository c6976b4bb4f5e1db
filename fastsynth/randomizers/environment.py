"""Light from a panorama."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from fastsynth.environments import Environments
from fastsynth.geometry import turn_harmonics
from fastsynth.random import Choice, Distribution, Noise, Uniform, as_distribution
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch


class EnvironmentLight(Randomizer):
    """Light from all around, out of panoramas. Replaces the ambient light that the batch has.

    Diffuse surfaces reflect its harmonics; those of the shadings "ggx" and "blinn_phong" mirror it, too.

    Args:
        environments: From `load_environments`, `procedural.environments` or `Environments.from_panoramas`.
        rotation: By which it is turned about z, counter-clockwise seen from above [rad]; any by default.
        exposure: EV; its radiance is multiplied by 2^EV.
        background: Is it seen behind everything?
        choice: Which of the panoramas, a distribution of whole numbers; each as often by default.

    Example:
        >>> import fastsynth as fs
        >>> skies = fs.procedural.environments(3, seed=0, height=16)
        >>> light = fs.EnvironmentLight(skies, exposure=fs.Normal(0.0, 0.5))
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives()), light=light).sample(4)
        >>> batch.environment_scale.shape, fs.render(batch, (16, 24)).rgb.shape
        (torch.Size([4]), torch.Size([4, 3, 16, 24]))
    """

    def __init__(
        self,
        environments: Environments,
        rotation: Any = None,
        exposure: Any = 0.0,
        background: bool = True,
        choice: Sequence[int] | Distribution | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(environments, Environments):
            raise TypeError(
                f"EnvironmentLight: `environments` must be Environments, but is {type(environments).__name__}. Make "
                "them by load_environments(...)."
            )
        self.environments = environments
        rotation = Uniform(0.0, 2 * math.pi) if rotation is None else rotation
        self.rotation: Distribution = as_distribution(rotation, "EnvironmentLight: `rotation`", [()])
        self.exposure: Distribution = as_distribution(exposure, "EnvironmentLight: `exposure`", [()])
        every = range(len(environments)) if choice is None else choice
        self.choice: Distribution = every if isinstance(every, Distribution) else Choice(every)
        self.background = background

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the panorama and the ambient light."""
        which = self.choice.sample(noise).long().clamp(0, len(self.environments) - 1)
        azimuth, scale = self.rotation.sample(noise), torch.exp2(self.exposure.sample(noise))
        turned = turn_harmonics(self.environments.harmonics[which], azimuth)
        return batch.replace(
            environments=self.environments,
            environment_id=which.int(),
            environment_scale=scale,
            environment_azimuth=azimuth,
            environment_visible=self.background,
            ambient=turned * scale[:, None, None],
        )
