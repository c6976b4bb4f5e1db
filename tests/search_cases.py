"""What several files of tests of the search share: distributions without a scene, and small scenes."""

from __future__ import annotations

import torch

import fastsynth as fs

PARTS = fs.procedural.primitives()


class Holder(fs.random.Learnable):
    """Distributions without a scene."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

    def sample(self, images, seed=0):
        noise = fs.Noise(seed, torch.arange(images))
        return torch.stack([part.sample(noise) for part in self.distributions().values()], 1)


def points(count, size=3, seed=0, dtype=torch.float64):
    return fs.Noise(seed, torch.arange(count)).uniform(size, "points").to(dtype)


TRUE_WEIGHTS = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0, 0.0])
LOOKS = points(6, 5, seed=3, dtype=torch.float32)  # what each mesh looks like


def looks(batch):
    return LOOKS[batch.mesh_id[:, 0].long()]


def mixture(weights=None):
    return fs.Scene(fs.Objects(PARTS, choice=fs.Choice(range(6), weights)))


def drift(batch):
    return ((batch.exposure - 1) ** 2).mean() + batch.light_color.mean(0).square().sum()


def small():
    scene = fs.Scene(
        fs.Objects(PARTS),
        light=fs.DirectionalLight(intensity=fs.LogUniform(0.5, 8.0)),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.5)),
    )
    return scene.learn("light.intensity", "sensor.exposure", within=None)


OPTIONS = {"steps": 30, "images": 8, "every": 5, "progress": False}
