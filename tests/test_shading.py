"""Light on surfaces and light on sensors: values that can be worked out by hand, energy, and the ops' twins."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from fastsynth import ops, sensor
from fastsynth.shading import Surface, shade, spherical_harmonics
from fastsynth.surface import srgb_decode, unit

DOUBLE = torch.float64


def vectors(*rows):
    return torch.tensor(rows, dtype=DOUBLE)


def lights(*rows, ambient=0.0):
    """Lights of one image: (kind, position, direction, color, cone)."""
    kinds, positions, directions, colors, cones = zip(*rows, strict=True) if rows else ((),) * 5
    sh = torch.zeros(1, 9, 3, dtype=DOUBLE)
    sh[:, 0] = ambient / 0.28209479177387814
    count = len(rows)
    return SimpleNamespace(
        light_kind=torch.tensor([kinds], dtype=torch.int32).view(1, count),
        light_position=torch.tensor([positions], dtype=DOUBLE).view(1, count, 3),
        light_direction=torch.tensor([directions], dtype=DOUBLE).view(1, count, 3),
        light_color=torch.tensor([colors], dtype=DOUBLE).view(1, count, 3),
        light_cone=torch.tensor([cones], dtype=DOUBLE).view(1, count, 2),
        light_gloss=torch.ones(1, count, dtype=DOUBLE),
        ambient=sh,
    )


def sun(direction=(0.0, 0.0, -1.0), color=(1.0, 1.0, 1.0)):
    return 1, (0.0, 0.0, 0.0), direction, color, (-1.0, -1.0)


def point(position, color=(1.0, 1.0, 1.0)):
    return 2, position, (0.0, 0.0, 0.0), color, (-1.0, -1.0)


def spot(position, direction, cone):
    return 3, position, direction, (1.0, 1.0, 1.0), cone


def flat(count=1, base=(1.0, 1.0, 1.0), metallic=0.0, roughness=0.5, to_eye=(0.0, 0.0, 1.0)):
    """Points at the origin of a floor that faces +z."""
    ones = torch.ones(1, count, 1, dtype=DOUBLE)
    up, eye = vectors((0.0, 0.0, 1.0)), torch.as_tensor(to_eye, dtype=DOUBLE)
    return Surface(0 * ones * up, ones * up, ones * eye, ones * vectors(base), metallic * ones, roughness * ones)


def directions(count, seed=0):
    """Unit vectors over the upper half-sphere, spread evenly: a Fibonacci lattice, and each one's solid angle."""
    i = torch.arange(count, dtype=DOUBLE) + 0.5
    z = 1 - i / count
    phi = math.pi * (1 + 5**0.5) * i
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * phi.cos(), radius * phi.sin(), z], -1), 2 * math.pi / count


def value(surface, scene, shading="lambert"):
    return shade(surface, scene, shading)[0, 0].tolist()


def test_a_facing_white_surface_reflects_the_light_s_color():
    assert value(flat(), lights(sun(color=(0.2, 0.5, 3.0)))) == pytest.approx([0.2, 0.5, 3.0])


def test_lambert_is_base_times_color_times_cosine():
    slant = sun((math.sin(math.pi / 3), 0.0, -math.cos(math.pi / 3)), (2.0, 2.0, 2.0))
    assert value(flat(base=(0.1, 0.2, 0.4)), lights(slant)) == pytest.approx([0.1, 0.2, 0.4])


def test_light_from_below_does_nothing():
    for shading in ("lambert", "blinn_phong", "ggx"):
        assert value(flat(), lights(sun((0.0, 0.0, 1.0))), shading) == [0, 0, 0]


def test_points_fall_with_the_square_of_the_distance_and_add_up():
    assert value(flat(), lights(point((0.0, 0.0, 2.0)))) == pytest.approx([0.25] * 3)
    slant = math.sqrt(0.5) / 2  # at (1, 0, 1): cosine over squared distance
    assert value(flat(), lights(point((0.0, 0.0, 2.0)), point((1.0, 0.0, 1.0)))) == pytest.approx([0.25 + slant] * 3)


def test_a_light_that_is_off_is_dark():
    kind, *rest = sun()
    assert value(flat(), lights((0, *rest), point((0.0, 0.0, 1.0)))) == pytest.approx([1.0] * 3)


@pytest.mark.parametrize(("tilt", "expected"), [(0, 1.0), (10, 1.0), (40, 0.0)])
def test_spots_shine_inside_their_cone(tilt, expected):
    tilt = math.radians(tilt)
    cone = (math.cos(math.radians(10.001)), math.cos(math.radians(30)))
    assert value(flat(), lights(spot((0.0, 0.0, 1.0), (math.sin(tilt), 0.0, -math.cos(tilt)), cone))) == pytest.approx(
        [expected] * 3
    )


def test_a_spot_s_edge_is_half_lit_in_the_middle():
    cosine = 0.9
    axis = (math.sqrt(1 - cosine**2), 0.0, -cosine)
    assert value(flat(), lights(spot((0.0, 0.0, 1.0), axis, (0.95, 0.85)))) == pytest.approx([0.5] * 3)


def test_constant_ambient_is_what_white_reflects():
    assert value(flat(base=(0.5, 1.0, 0.1)), lights(ambient=0.3)) == pytest.approx([0.15, 0.3, 0.03])
    # The glossy models add F0 (1 - roughness / 2) to the diffuse part.
    assert value(flat(), lights(ambient=0.3), "ggx") == pytest.approx([0.3 * (1 + 0.04 * 0.75)] * 3)
    metal = flat(base=(0.8, 0.5, 0.2), metallic=1.0, roughness=1.0)
    assert value(metal, lights(ambient=0.3), "blinn_phong") == pytest.approx([0.12, 0.075, 0.03])


def test_harmonics_are_orthonormal():
    upper, solid_angle = directions(20_000)
    basis = torch.cat([spherical_harmonics(upper), spherical_harmonics(-upper)])
    torch.testing.assert_close(basis.T @ basis * solid_angle, torch.eye(9, dtype=DOUBLE), atol=2e-4, rtol=0)


def test_harmonics_stand_in_the_order_of_the_data_model():
    x, y, z = 0.48, 0.6, 0.64
    basis = spherical_harmonics(vectors((x, y, z)))[0]
    shape = torch.tensor([1, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], dtype=DOUBLE)
    constants = basis / shape
    assert constants.tolist() == pytest.approx(
        [0.282094792, *[0.488602512] * 3, 1.092548431, 1.092548431, 0.315391565, 1.092548431, 0.546274215]
    )


def test_blinn_phong_at_its_peak():
    roughness = 0.5
    exponent = 2 / roughness**4 - 2
    expected = [b + 0.04 * (exponent + 8) / 8 for b in (1.0, 0.5, 0.25)]
    assert value(flat(base=(1.0, 0.5, 0.25), roughness=roughness), lights(sun()), "blinn_phong") == pytest.approx(
        expected
    )


def test_ggx_at_normal_incidence():
    # pi D = 1 / alpha^2, V = 1/4, F = F0.
    roughness, base = 0.6, (0.9, 0.6, 0.3)
    peak = 1 / roughness**4 / 4
    assert value(flat(base=base, metallic=1.0, roughness=roughness), lights(sun()), "ggx") == pytest.approx(
        [b * peak for b in base]
    )


def reflectances(shading, roughness, to_eye, count=40_000):
    """Part of the light from all directions of a white mirror-like metal that comes back towards the eye."""
    incoming, solid_angle = directions(count)
    surface = flat(metallic=1.0, roughness=roughness, to_eye=to_eye)
    wide = surface._replace(**{k: v.expand(1, 1, v.shape[-1]) for k, v in surface._asdict().items()})
    total = torch.zeros(3, dtype=DOUBLE)
    for chunk in incoming.split(1000):
        # One image a direction: lights of 1 image are 1 direction.
        images = len(chunk)
        scene = lights(sun())
        scene = SimpleNamespace(**{k: v.expand(images, *v.shape[1:]).clone() for k, v in vars(scene).items()})
        scene.light_direction[:, 0] = -chunk
        each = Surface(*(part.expand(images, 1, part.shape[-1]) for part in wide))
        total += shade(each, scene, shading).sum((0, 1))
    return (total * solid_angle / math.pi)[0].item()


@pytest.mark.parametrize("tilt", [0, 40, 75])
@pytest.mark.parametrize("roughness", [0.3, 0.6, 1.0])
def test_ggx_gives_back_no_more_than_it_gets(roughness, tilt):
    tilt = math.radians(tilt)
    back = reflectances("ggx", roughness, (math.sin(tilt), 0.0, math.cos(tilt)))
    # Single scattering loses light, the more so the rougher the surface.
    assert {0.3: 0.9, 0.6: 0.65, 1.0: 0.3}[roughness] < back < 1.002


def test_the_roughest_ggx_gives_back_what_the_integral_says():
    # alpha = 1: pi D = 1, V = 1 / (2 (n.l + 1)), so the integral is that of c / (1 + c) over [0, 1].
    assert reflectances("ggx", 1.0, (0.0, 0.0, 1.0)) == pytest.approx(1 - math.log(2), rel=1e-3)


def test_blinn_phong_is_normalised_when_smooth():
    assert reflectances("blinn_phong", 0.3, (0.0, 0.0, 1.0)) == pytest.approx(1.0, abs=0.02)


def test_ggx_is_reciprocal():
    one, other = unit(vectors((0.3, 0.2, 0.9), (-0.6, 0.4, 0.5)))
    there = shade(flat(to_eye=one), lights(sun(tuple((-other).tolist()))), "ggx") / other[2]
    back = shade(flat(to_eye=other), lights(sun(tuple((-one).tolist()))), "ggx") / one[2]
    torch.testing.assert_close(there, back)


def test_a_matte_surface_looks_the_same_in_all_models_but_for_its_gloss():
    scene = lights(sun(), ambient=0.2)
    matte = torch.tensor(value(flat(), scene))
    for shading in ("blinn_phong", "ggx"):
        gloss = torch.tensor(value(flat(roughness=1.0), scene, shading)) - matte
        assert (gloss > 0).all() and (gloss < 0.06).all()


@pytest.mark.parametrize("shading", ["lambert", "blinn_phong", "ggx"])
def test_gradients(shading):
    generator = torch.Generator().manual_seed(4)

    def random(*shape):
        return torch.rand(*shape, dtype=DOUBLE, generator=generator)

    up, eye = vectors((0.1, -0.2, 1.0)), vectors((0.4, 0.3, 1.0))
    parts = [random(2, 2, 3), up + 0.2 * random(2, 2, 3), eye + 0.2 * random(2, 2, 3), random(2, 2, 3)]
    parts += [0.2 + 0.6 * random(2, 2, 1), 0.3 + 0.6 * random(2, 2, 1)]
    fields = {
        "light_position": random(2, 3, 3) + vectors((0.0, 0.0, 2.0)),
        "light_direction": 0.2 * random(2, 3, 3) - vectors((0.0, 0.0, 1.0)),
        "light_color": random(2, 3, 3),
        "light_cone": vectors((0.99, 0.2)).expand(2, 3, 2),
        "light_gloss": 2 * random(2, 3),
        "ambient": 0.1 + 0.1 * random(2, 9, 3),
    }
    kind = torch.tensor([[1, 2, 3], [3, 0, 1]], dtype=torch.int32)

    def lit(*inputs):
        position, normal, to_eye, *rest = inputs[:6]
        scene = SimpleNamespace(light_kind=kind, **dict(zip(fields, inputs[6:], strict=True)))
        return shade(Surface(position, unit(normal), unit(to_eye), *rest), scene, shading)

    inputs = [part.clone().requires_grad_() for part in (*parts, *fields.values())]
    assert torch.autograd.gradcheck(lit, inputs, fast_mode=True)


def test_unit_of_nothing_has_no_gradient():
    nothing = torch.zeros(1, 3, requires_grad=True)
    unit(nothing).sum().backward()
    assert unit(nothing).tolist() == [[0, 0, 0]] and nothing.grad is not None and nothing.grad.abs().max() == 0


def test_srgb_comes_back_as_it_went():
    coded = torch.linspace(0, 1, 1001, dtype=DOUBLE)
    torch.testing.assert_close(sensor.srgb_encode(srgb_decode(coded)), coded, atol=1e-6, rtol=0)
    assert srgb_decode(torch.tensor([0.0, 0.04045, 1.0])).tolist() == pytest.approx([0, 0.04045 / 12.92, 1])


@pytest.mark.parametrize("curve", ["srgb", "filmic", "linear"])
def test_tone_curves_rise_from_black_to_white(curve):
    shown = sensor.tone(torch.cat([torch.tensor([-1.0, 0.0]), torch.logspace(-4, 2, 500), torch.tensor([1e4])]), curve)
    assert shown[0] == shown[1] == 0 and shown[-1].item() == pytest.approx(1) and shown.max() <= 1
    assert (shown.diff() >= 0).all()


def test_an_unknown_curve_is_refused():
    with pytest.raises(
        ValueError, match=r"tone\(\): `curve` must be one of \('srgb', 'filmic', 'linear'\), but is 'log'"
    ):
        sensor.tone(torch.zeros(1), "log")


def sensor_batch(**changes):
    fields = {
        "exposure": torch.tensor([0.5, -1.0]),
        "white_balance": torch.tensor([[1.2, 1.0, 0.8], [1.0, 0.9, 1.1]]),
        "blur": None,
        "blur_limit": 0.05,
        "noise": None,
        "noise_key": torch.tensor([3, 4]),
        "tone": "srgb",
    }
    return SimpleNamespace(**{**fields, **changes})


LIGHT = torch.rand(2, 3, 24, 30, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize("curve", ["srgb", "filmic", "linear"])
@pytest.mark.parametrize("noise", [None, torch.tensor([[0.1, 0.02], [0.0, 0.0]])])
def test_development_agrees_with_the_op(curve, noise):
    batch = sensor_batch(tone=curve, noise=noise)
    expected = ops.develop(LIGHT, batch.exposure, batch.white_balance, noise, batch.noise_key, curve)
    torch.testing.assert_close(sensor.develop(batch, LIGHT), expected, atol=2e-6, rtol=0)


def test_blur_agrees_with_the_op_and_keeps_the_light():
    sigma = torch.tensor([1.3, 0.0])
    blurred = sensor.blur(LIGHT, sigma, 4)
    torch.testing.assert_close(blurred, ops.blur(LIGHT, sigma, 4), atol=2e-6, rtol=0)
    torch.testing.assert_close(blurred[1], LIGHT[1])
    dot = torch.zeros(2, 1, 15, 15)
    dot[:, :, 7, 7] = 1
    spread = sensor.blur(dot, torch.tensor([1.5, 2.0]), 7)
    torch.testing.assert_close(spread.sum((1, 2, 3)), torch.ones(2))
    rows = torch.arange(15.0) - 7
    variance = (spread[0, 0].sum(1) * rows**2).sum()
    assert variance.item() == pytest.approx(1.5**2, rel=0.01)


def test_exposure_doubles_and_white_balance_multiplies():
    batch = sensor_batch(exposure=torch.ones(2), tone="linear")
    dim = 0.1 * LIGHT
    torch.testing.assert_close(sensor.develop(batch, dim), 2 * dim * batch.white_balance[:, :, None, None])


def test_noise_has_the_deviation_that_was_asked_for():
    batch = sensor_batch(
        exposure=torch.zeros(1),
        white_balance=torch.ones(1, 3),
        noise=torch.tensor([[0.05, 0.03]]),
        noise_key=torch.tensor([9]),
        tone="linear",
    )
    shown = sensor.develop(batch, torch.full((1, 3, 128, 128), 0.5))
    assert shown.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert shown.std().item() == pytest.approx(math.sqrt(0.05**2 * 0.5 + 0.03**2), rel=0.02)


def test_sensor_gradients():
    light = (0.1 + 0.3 * LIGHT[:, :, :4, :5]).double()
    fields = {
        "exposure": torch.tensor([0.1, -0.2]).double(),
        "white_balance": sensor_batch().white_balance.double(),
        "blur": torch.tensor([0.1, 0.2]).double(),
        "noise": torch.tensor([[0.02, 0.03], [0.03, 0.01]]).double(),
    }
    normal = torch.randn(2, 3, 4, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))

    def shown(light, *values):
        batch = sensor_batch(**dict(zip(fields, values, strict=True)), blur_limit=0.3, tone="filmic")
        return sensor.develop(batch, light, normal)

    inputs = [x.clone().requires_grad_() for x in (light, *fields.values())]
    assert torch.autograd.gradcheck(shown, inputs, fast_mode=True)
