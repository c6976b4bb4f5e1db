"""Shadows: held against a slow ray caster, and what must not change with them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from shadow_cases import (
    BOXES,
    DIRECTIONAL,
    POINT,
    ROUND,
    SIZE,
    SPOT,
    SUNS,
    THINGS,
    Points,
    drawn_part,
    pose,
    scene,
)  # fmt: skip

import fastsynth as fs
from fastsynth.shadow import shadow_maps
from fastsynth.types import OUTPUTS

kinds = pytest.mark.parametrize("kind", [DIRECTIONAL, POINT, SPOT], ids=["directional", "point", "spot"])


@kinds
@pytest.mark.parametrize("sun", SUNS)
@pytest.mark.parametrize("things", THINGS)
def test_a_hard_shadow_is_that_of_a_ray_caster(things, sun, kind):
    batch = scene(THINGS[things], kind, SUNS[sun], 0.0)
    points = Points(batch)
    expected, found = (
        ~points.free(-100 * points.way if kind == DIRECTIONAL else points.place),
        drawn_part(batch, points) < 0.5,
    )
    assert expected.double().mean() > 0.02
    overlap = (expected & found).sum() / (expected | found).sum()
    assert overlap > 0.97, float(overlap)


@pytest.mark.parametrize(
    "kind, radius", [(DIRECTIONAL, 0.02), (DIRECTIONAL, 0.1), (POINT, 0.1), (SPOT, 0.05), (SPOT, 0.3)]
)
def test_a_soft_shadow_is_that_of_a_sampled_lamp(kind, radius):
    batch = scene(BOXES, kind, SUNS["high"], radius)
    points = Points(batch, every=2)
    expected, found = points.part(radius, samples=24), drawn_part(batch, points)
    penumbra = (expected > 0.02) & (expected < 0.98)
    assert penumbra.sum() > 8
    assert (expected - found)[penumbra].abs().mean() < 0.08
    assert (expected - found)[penumbra].mean().abs() < 0.03
    assert torch.corrcoef(torch.stack([expected, found]))[0, 1] > 0.98
    # Where hardly any of the lamp is hidden it is lit, and the other way around.
    assert (found[expected > 0.99] > 0.9).double().mean() > 0.99
    assert (found[expected < 0.01] < 0.1).double().mean() > 0.9


@kinds
@pytest.mark.parametrize("softness", [0.0, 0.05])
def test_nothing_shadows_itself(kind, softness):
    """Neither a table in a low light nor a sphere, up to where the light runs along it."""
    for thing in (BOXES[0], (5, pose((0.4, 0.3, 0.3)))):
        batch = scene([thing], kind, (1.0, 0.2, -0.25), softness)
        points = Points(batch)
        assert points.meant.sum() > 100
        assert (drawn_part(batch, points) > 0.99).double().mean() > 0.99


@pytest.mark.parametrize("shading", ["lambert", "blinn_phong", "ggx"])
@pytest.mark.parametrize("samples, dtype", [(1, torch.float32), (4, torch.float32), (16, torch.uint8)])
def test_a_light_that_casts_none_draws_the_same_bits(shading, samples, dtype):
    plain = scene(ROUND, SPOT, SUNS["high"], None).replace(shading=shading, tone="filmic", lod=0.25)
    options = {"samples": samples, "rgb_dtype": dtype}
    expected = fs.render(plain, SIZE, OUTPUTS, **options).outputs
    found = fs.render(plain.replace(light_shadow=torch.tensor([[-1.0]])), SIZE, OUTPUTS, **options).outputs
    assert all(torch.equal(found[name], expected[name]) for name in OUTPUTS)


@pytest.mark.parametrize("kind", [DIRECTIONAL, POINT], ids=["directional", "point"])
def test_a_ball_makes_shadows_sharper_and_ends_them(kind):
    wide = scene(BOXES, kind, SUNS["high"], 0.0, size=96).replace(shadow_ball=None)
    points = Points(wide)
    expected = ~points.free(-100 * points.way if kind == DIRECTIONAL else points.place)
    away = (points.position - torch.tensor([0.8, 0.2, 0.2])).norm(dim=-1)[points.meant]
    near = away < 0.6
    ball = torch.tensor([[[0.8, 0.2, 0.2, 0.6]]])
    overlap = []
    for batch in (wide, wide.replace(shadow_ball=ball)):
        found = drawn_part(batch, points) < 0.5
        overlap.append(((expected & found)[near].sum() / (expected | found)[near].sum()).item())
    assert overlap[1] > max(0.95, overlap[0] + 0.01), overlap
    beyond = drawn_part(wide.replace(shadow_ball=ball), points)[away > 1.1]
    assert expected[away > 1.1].any() and (beyond == 1).all()


def test_a_light_among_objects_casts_within_84_degrees():
    batch = scene(BOXES, POINT, SUNS["high"], 0.0)
    batch = batch.replace(light_position=torch.tensor([[[0.0, 0.0, 1.0]]]), light_color=torch.ones(1, 1, 3))
    batch = batch.replace(shadow_ball=None)
    points = Points(batch)
    down = points.position[..., 2][points.meant] < 0.1
    expected, found = ~points.free(points.place), drawn_part(batch, points) < 0.5
    overlap = (expected & found)[down].sum() / (expected | found)[down].sum()
    assert expected[down].double().mean() > 0.05 and overlap > 0.9, float(overlap)


@kinds
@pytest.mark.parametrize("softness", [0.0, 0.08])
def test_labels_stay_and_the_twin_agrees(kind, softness):
    batch = scene(ROUND, kind, SUNS["low"], softness, size=256).replace(shading="ggx", tone="srgb")
    frames, plain = fs.render(batch, SIZE, OUTPUTS), fs.render(batch.replace(light_shadow=None), SIZE, OUTPUTS)
    light = ("rgb", "irradiance", "specular")
    assert all(torch.equal(frames.outputs[name], plain.outputs[name]) for name in OUTPUTS if name not in light)
    assert (frames.rgb < plain.rgb - 0.1).any()
    twin = fs.compose(batch, SIZE, frames.triangle_id, frames.instance_id, light)
    for name in light:
        assert (frames.outputs[name] <= plain.outputs[name]).all()
        # A tap on the border of two texels may differ.
        assert ((twin[name] - frames.outputs[name]).abs() > 1e-3).double().mean() < 2e-3


def test_an_image_does_not_depend_on_the_batch_around_it():
    light = [
        fs.DirectionalLight(shadow=fs.Uniform(0.0, 0.1)),
        fs.PointLight((0, 0, 3)),
        fs.SpotLight((1, 0, 3), shadow=True),
        fs.PointLights(fs.Choice([1, 2]), fs.Uniform((-1, -1, 2), (1, 1, 3)), 0.1),
        fs.PointLights(2, fs.Uniform((-1, -1, 2), (1, 1, 3)), directional=0.5, shadow=0.1),
        fs.PointLight((0, 0, 3), shadow=True, within=(0, 0, 0, 1)),
    ]
    scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=fs.Choice(range(1, 5))), light=light)
    whole = scene.sample(4, seed=3).replace(shadow_size=128)
    assert whole.shadow_lights == (0, 2, 5, 6, 7) and (whole.light_shadow[:, [1, 3, 4]] == -1).all()
    assert whole.shadow_ball[:, 7].tolist() == [[0, 0, 0, 1]] * 4 and not whole.shadow_ball[:, :7].any()
    for image in range(4):
        alone = scene.sample([image], seed=3).replace(shadow_size=128)
        assert torch.equal(shadow_maps(alone).maps, shadow_maps(whole).maps[image : image + 1])
        assert torch.equal(fs.render(alone, (48, 64)).rgb, fs.render(whole, (48, 64)).rgb[image : image + 1])


def test_what_cuts_holes_lets_light_through():
    disc = torch.full((8, 8, 4), 255, dtype=torch.uint8)
    disc[2:6, 2:6, 3] = 0
    sheet = fs.procedural.plane(0.8)
    hole = fs.Material(alpha_cutoff=0.5, double_sided=True, base_texture=disc.numpy())
    assets = fs.pack([fs.procedural.plane(4.0), dataclasses.replace(sheet, materials=(hole,))])
    batch = scene(BOXES[:2], DIRECTIONAL, (0.0, 0.0, -1.0), 0.0)
    raised = torch.eye(4)
    raised[2, 3] = 0.8
    batch = batch.replace(assets=assets, world_from_object=torch.stack([torch.eye(4), raised])[None])
    depth = shadow_maps(batch).maps[0, 0]
    nearest = depth[depth > 0].min()
    assert depth[512, 512] > nearest + 0.7  # through the hole to the table
    assert depth[512, 512 + 80] < nearest + 0.1


@pytest.mark.parametrize("shading", ["lambert", "ggx"])
@kinds
def test_gradients_are_those_of_the_twin(kind, shading):
    batch = scene(BOXES, kind, SUNS["high"], 0.05, color=0.3, size=256).replace(shading=shading)
    weights = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))

    def gradients(drawn):
        names = ("light_color", "light_direction", "light_position", "light_cone", "ambient", "base_color")
        fields = {name: getattr(batch, name).clone().requires_grad_() for name in names}
        loss = (drawn(batch.replace(**fields)) * weights).sum()
        return dict(zip(names, torch.autograd.grad(loss, list(fields.values()), allow_unused=True), strict=True))

    frames = fs.render(batch, SIZE, ("triangle_id", "instance_id"))
    found = gradients(lambda it: fs.render(it, SIZE, ("rgb",)).rgb)
    expected = gradients(lambda it: fs.compose(it, SIZE, frames.triangle_id, frames.instance_id)["rgb"])
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=2e-3, atol=2e-3 * float(value.abs().max()), msg=name)
    assert (found["light_color"] != 0).all()


def test_wrong_maps_are_refused():
    batch = scene(BOXES, SPOT, SUNS["high"], 0.0)
    with pytest.raises(ValueError, match="shadow_size.*but is 0"):
        batch.replace(shadow_size=0)
    with pytest.raises(ValueError, match="shadow_columns"):
        batch.replace(shadow_columns=(1,))
    with pytest.raises(ValueError, match="SpotLight: `shadow` must be a number"):
        fs.SpotLight((0, 0, 3), shadow=(0.1, 0.2))
    with pytest.raises(ValueError, match="PointLight: `within` must be x y z and a radius above 0"):
        fs.PointLight((0, 0, 3), shadow=True, within=(0, 0, 1, 0))
