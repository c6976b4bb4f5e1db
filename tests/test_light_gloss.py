"""Lights of which glossy surfaces mirror more, or less."""

from __future__ import annotations

import pytest
import torch

import fastsynth as fs

SIZE = (40, 56)
OUTPUTS = ("rgb", "irradiance", "specular", "instance_id")


def lit(shading="ggx", **fields):
    """Three solids under a sun, a lamp and a spot."""
    parts = fs.procedural.primitives()
    light = [
        fs.DirectionalLight((0.3, -0.6, 0.7), 0.6, color=(1.0, 0.8, 0.6)),
        fs.PointLight((0.8, -1.5, 1.2), 1.2, color=(0.5, 0.7, 1.0)),
        fs.SpotLight((-1.0, -2.0, 1.0), intensity=2.0),
    ]
    scene = fs.Scene(fs.Objects(parts, 3), light=light, materials=fs.Materials(metallic=0.3, roughness=0.4))
    return scene.sample(2).replace(shading=shading, tone="linear", exposure=torch.full((2,), -2.0), **fields)


@pytest.mark.parametrize("shading", ["blinn_phong", "ggx"])
def test_what_is_mirrored_of_a_light_is_multiplied(shading):
    batch = lit(shading)
    colors, dark = batch.light_color, torch.zeros_like(batch.light_color)
    plain = fs.render(batch, SIZE, OUTPUTS)
    around = fs.render(batch.replace(light_color=dark), SIZE, OUTPUTS)
    factors = torch.tensor([[0.0, 2.5, 1.0], [0.7, 0.0, 3.0]])
    found = fs.render(batch.replace(light_gloss=factors), SIZE, OUTPUTS)
    assert torch.equal(found.irradiance, plain.irradiance) and torch.equal(found.instance_id, plain.instance_id)
    expected = around.specular.clone()
    for i in range(3):
        only = torch.where(torch.arange(3)[:, None] == i, colors, dark)
        alone = fs.render(batch.replace(light_color=only), SIZE, OUTPUTS).specular - around.specular
        expected += factors[:, i, None, None, None] * alone
    torch.testing.assert_close(found.specular, expected, rtol=1e-4, atol=1e-5)
    change = 0.25 * (found.specular - plain.specular)  # two stops down
    torch.testing.assert_close(found.rgb - plain.rgb, change, rtol=1e-4, atol=1e-5)
    assert change.abs().max() > 0.01


def test_lights_of_a_factor_of_1_draw_the_same_bits():
    for shading in ("lambert", "blinn_phong", "ggx"):
        batch = lit(shading)
        factor = 1.0 if shading != "lambert" else 2.0  # which mirrors nothing
        found = fs.render(batch.replace(light_gloss=torch.full((2, 3), factor)), SIZE, OUTPUTS)
        plain = fs.render(batch, SIZE, OUTPUTS)
        assert all(torch.equal(found.outputs[name], plain.outputs[name]) for name in OUTPUTS)


@pytest.mark.parametrize("shading", ["blinn_phong", "ggx"])
def test_pictures_and_gradients_are_those_of_the_twin(shading):
    start = {
        "light_gloss": torch.tensor([[0.5, 2.0, 1.0], [1.5, 0.0, 0.7]]),
        "light_color": lit().light_color,
        "roughness": torch.full((2, 3), 0.4),
        "metallic": torch.full((2, 3), 0.3),
    }
    batch = lit(shading)
    frames = fs.render(batch, SIZE, ("triangle_id", "instance_id"))
    weights = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    found = []
    for drawn in (
        lambda it: fs.render(it, SIZE, ("rgb",)).rgb,
        lambda it: fs.compose(it, SIZE, frames.triangle_id, frames.instance_id)["rgb"],
    ):
        fields = {name: value.clone().requires_grad_() for name, value in start.items()}
        rgb = drawn(batch.replace(**fields))
        found.append([rgb, *torch.autograd.grad((rgb * weights).sum(), list(fields.values()))])
    for name, mine, theirs in zip(("rgb", *start), *found, strict=True):
        scale = float(theirs.detach().abs().max())
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=1e-3 * scale, msg=name)


def test_lights_that_say_nothing_of_gloss_have_1():
    light = [
        fs.DirectionalLight(),
        fs.PointLight((0, 0, 3), gloss=0.5),
        fs.PointLights(2, fs.Uniform((-1, -1, 2), (1, 1, 3)), gloss=fs.Uniform(2.0, 3.0)),
        fs.SpotLight((1, 0, 3)),
    ]
    scene = fs.Scene(fs.Objects(fs.procedural.primitives()), light=light)
    gloss = scene.sample(8).light_gloss
    assert (gloss[:, [0, 4]] == 1).all() and (gloss[:, 1] == 0.5).all()
    assert gloss[:, 2:4].unique().numel() == 16 and ((gloss[:, 2:4] >= 2) & (gloss[:, 2:4] <= 3)).all()
    assert fs.Scene(fs.Objects(fs.procedural.primitives()), light=light[0]).sample(1).light_gloss is None
    learned = fs.Scene(fs.Objects(fs.procedural.primitives()), light=light[1]).learn("light.gloss")
    fs.render(learned.sample(2).replace(shading="ggx"), SIZE, ("rgb",)).rgb.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in learned.learnable())
