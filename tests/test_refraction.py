"""Refraction: Snell's law in closed form, gradients, and the iris as it is drawn."""

from __future__ import annotations

import math

import pytest
import torch
from test_no_sync import SIZE, fake_gpu, kinds
from torch.autograd import gradcheck

import fastsynth as fs
from fastsynth.effects.refractive_eye import HUMAN, irradiance
from fastsynth.geometry import dilated, fresnel, refract, refracted_place

F64 = torch.float64
UP = torch.tensor([0.0, 0.0, 1.0], dtype=F64)


def rays(*angles):
    """Rays that fall at angles [rad] to the z axis, turned about it."""
    tilt, turn = torch.tensor(angles, dtype=F64), torch.arange(len(angles), dtype=F64)
    return torch.stack([tilt.sin() * turn.cos(), tilt.sin() * turn.sin(), -tilt.cos()], -1)


@pytest.mark.parametrize("ior", [1.0, 1.3, 1.336, 2.4])
def test_snells_law(ior):
    angles = [0.0, 0.1, 0.7, 1.2, 1.5]
    incoming = rays(*angles)
    inside = refract(incoming, UP.expand_as(incoming), ior)
    torch.testing.assert_close(inside.norm(dim=-1), torch.ones(5, dtype=F64))
    sine = inside[:, :2].norm(dim=-1)
    torch.testing.assert_close(sine, torch.tensor(angles, dtype=F64).sin() / ior)
    turned = torch.linalg.cross(incoming, inside)[:, 2]  # in the plane of ray and normal
    torch.testing.assert_close(turned, torch.zeros(5, dtype=F64))
    assert (inside[:, 2] < 0).all()


def test_the_place_on_the_plane_is_that_of_the_closed_form():
    angles = [0.0, 0.3, 0.8]
    place = refracted_place(UP.expand(3, 3) * 2, rays(*angles), UP.expand(3, 3), 1.3, UP * 0.5, UP)
    depth = torch.tensor([1.5 * math.tan(math.asin(math.sin(angle) / 1.3)) for angle in angles], dtype=F64)
    torch.testing.assert_close(place[:, :2].norm(dim=-1), depth)
    torch.testing.assert_close(place[:, 2], torch.full((3,), 0.5, dtype=F64))


def test_fresnel_at_known_angles():
    assert abs(fresnel(torch.tensor(1.0, dtype=F64), 1.5).item() - 0.04) < 1e-12
    brewster = math.atan(1.5)  # all that is reflected is of one polarisation: half of sin^2(a - b)
    expected = math.sin(brewster - (math.pi / 2 - brewster)) ** 2 / 2
    assert abs(fresnel(torch.tensor(math.cos(brewster), dtype=F64), 1.5).item() - expected) < 1e-12


def test_gradients_to_index_and_pupil():
    incoming, normal = rays(0.2, 0.9), torch.nn.functional.normalize(UP + 0.1 * rays(0.5, 0.3), dim=-1)
    ior = torch.tensor([1.3, 1.5], dtype=F64)
    given = [value.requires_grad_() for value in (UP.expand(2, 3) * 2, incoming, normal, ior)]
    assert gradcheck(lambda *given: refracted_place(*given, UP * 0.5, UP), given)
    radius, pupil = torch.tensor([0.1, 0.5, 0.9], dtype=F64), torch.tensor([0.3, 0.4, 0.2], dtype=F64)
    assert gradcheck(
        lambda radius, pupil: dilated(radius, 0.33, pupil), (radius.requires_grad_(), pupil.requires_grad_())
    )
    assert gradcheck(
        lambda cosine, ior: fresnel(cosine, ior), (torch.tensor([0.3, 0.9], dtype=F64, requires_grad=True), ior)
    )


def target(size=64):
    """An iris that is white within the pupil, and red outside."""
    y, x = torch.meshgrid(*[(torch.arange(size) + 0.5) / size * 2 - 1] * 2, indexing="ij")
    within = torch.hypot(x, y) < HUMAN.pupil
    return torch.stack([torch.ones_like(x), within.float(), within.float()])[None]


def scene(textures=None, azimuth=-90.0, **options):
    mesh = fs.recipes.unity_eyes(without=["shape"]).assets
    eyeball = fs.Objects(mesh, choice=[1], position=(0.0, 0.0, 0.0))
    camera = fs.Camera(distance=0.1, azimuth=fs.deg(azimuth), elevation=0.0, fov=fs.deg(16))
    cornea = fs.effects.RefractiveEye(target() if textures is None else textures, 0, **options)
    return fs.Scene(eyeball, camera, fs.Ambient(1.0), shading="ggx", tone="linear", cornea=cornea)


def measured(frames):
    """Middle column and width of the pupil, in pixels."""
    columns = torch.arange(frames.rgb.shape[-1])[(frames.rgb[0, 1] > 0.6 * frames.rgb[0, 0].max()).any(0)]
    pupil = (frames.rgb[0, 1] / frames.rgb[0, 0].clamp(min=1e-3) > 0.5) & (frames.rgb[0, 0] > 0.3)
    row = pupil[frames.rgb.shape[-2] // 2]
    # The sclera is white too: what lies next to the middle of the iris.
    iris = (frames.rgb[0, 1, frames.rgb.shape[-2] // 2] < 0.25) & (frames.rgb[0, 0, frames.rgb.shape[-2] // 2] > 0.3)
    across = torch.arange(len(row))[iris]
    inside = row & (torch.arange(len(row)) > across.min()) & (torch.arange(len(row)) < across.max())
    assert len(columns)
    return torch.arange(len(row))[inside].float().mean().item(), inside.sum().item()


@pytest.mark.parametrize("azimuth", [-90.0, -60.0])
@pytest.mark.parametrize("ior", [1.0, 1.336])
def test_the_pupil_is_drawn_where_a_traced_ray_meets_it(azimuth, ior):
    """Both edges of the pupil in the horizontal plane, found by bisection over the view's angle."""
    size = 256
    frames = fs.render(scene(target(512), azimuth, ior=ior).sample(1), (size, size))
    turn, distance = math.radians(azimuth + 90), 0.1
    camera = torch.tensor([distance * math.sin(turn), -distance * math.cos(turn)], dtype=F64)
    forward, right = -camera / distance, torch.tensor([math.cos(turn), math.sin(turn)], dtype=F64)

    def met(slope):  # x on the iris' plane of the ray of this slope
        ray = forward + slope * right
        ray = ray / ray.norm()
        centre = torch.tensor([0.0, -HUMAN.cornea_at], dtype=F64)
        away = camera - centre
        along = (away * ray).sum()
        surface = camera + ray * (-along - (along**2 - (away**2).sum() + HUMAN.cornea**2).sqrt())
        normal = (surface - centre) / HUMAN.cornea
        wide = lambda v: torch.stack([v[0], v[1], torch.zeros((), dtype=F64)])  # noqa: E731
        point = torch.tensor([0.0, -(HUMAN.limbus_at - HUMAN.depth), 0.0], dtype=F64)
        axis = torch.tensor([0.0, -1.0, 0.0], dtype=F64)
        return refracted_place(wide(surface), wide(ray), wide(normal), ior, point, axis)[0].item()

    ends = []
    for edge in (-1, 1):
        # As wide as the cornea's sphere is seen.
        seen = (-camera[0] * right[0] - (HUMAN.cornea_at + camera[1]) * right[1]).item() / distance
        low, high = seen - 0.07, seen + 0.07
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if met(middle) < edge * HUMAN.pupil * HUMAN.limbus else (low, middle)
        ends.append(size / 2 + size * low / (2 * math.tan(fs.deg(16) / 2)))
    centre, width = measured(frames)
    assert abs(centre + 0.5 - sum(ends) / 2) < 1.0 and abs(width - (ends[1] - ends[0])) < 2.0


def test_pupil_and_iris_grow():
    widths = [measured(fs.render(scene(pupil=p).sample(1), (128, 128)))[1] for p in (0.6, 1.0, 1.5)]
    assert widths[0] < widths[1] < widths[2]
    small, large = (fs.render(scene(iris=i).sample(1), (128, 128)).rgb for i in (0.9, 1.0))
    assert (small[:, 1] > 0.5).sum() > (large[:, 1] > 0.5).sum()  # more white


def test_gradients_reach_the_parameters():
    for path, first in (("ior", fs.Uniform(1.2, 1.4)), ("pupil", fs.Uniform(0.8, 1.2)), ("iris", fs.Uniform(0.9, 1.0))):
        smooth = torch.nn.functional.avg_pool2d(target(), 9, 1, 4)
        made = scene(smooth, azimuth=-60.0, **{path: first})
        made.learn(f"cornea.{path}")
        fs.render(made.sample(1), (48, 48)).rgb[:, 1].sum().backward()
        grads = [value.grad for value in made.cornea.parameters()]
        assert grads and all(grad is not None and grad.isfinite().all() and grad.abs().sum() > 0 for grad in grads), (
            path
        )


def test_a_diverged_parameter_does_not_end_the_process():
    """torch's own way back of a lookup at a place that is no number writes outside the picture."""
    smooth = target().requires_grad_()
    made = scene(smooth, pupil=fs.Uniform(0.8, 1.2)).learn("cornea.pupil")
    with torch.no_grad():
        for value in made.cornea.parameters():
            value.fill_(math.nan)
    fs.render(made.sample(1), (48, 48)).rgb.sum().backward()
    # It is told of, where it ended the process.
    assert any(not value.grad.isfinite().all() for value in made.cornea.parameters() if value.grad is not None)


def test_light_is_what_a_white_sphere_reflects():
    light = [
        fs.SkyAmbient((0.4, 0.5, 0.7), 0.2),
        fs.DirectionalLight((0.3, -1, 0.5)),
        fs.PointLight((0, -2.0, 0.3), 2.0),
    ]
    ball = fs.Objects(fs.pack([fs.procedural.sphere(0.01)]), position=(0.0, 0.0, 0.0))
    batch = fs.Scene(
        ball, fs.Camera(distance=0.1, azimuth=fs.deg(-90.0), elevation=0.0, fov=0.2), light, tone="linear"
    ).sample(1)
    frames = fs.render(batch, (64, 64), ("rgb", "normals", "instance_id"))
    normal = (batch.camera_from_world[0, :3, :3].T @ frames.normals[0].flatten(1)).T.view(1, 64, 64, 3)
    own = irradiance(batch, normal, torch.zeros(1, 3)).permute(0, 3, 1, 2).clamp(max=1)
    on = (frames.instance_id >= 0)[:, None].expand_as(own)
    assert (own - frames.rgb)[on].abs().max() < 0.02


def test_nothing_waits():
    with fake_gpu(scene()) as made:
        assert kinds(fs.render(made.sample(2), SIZE).rgb) == {"cuda"}


def test_wrong_textures_are_refused():
    with pytest.raises(ValueError, match="must be \\[T, 3, S, S\\]"):
        fs.effects.RefractiveEye(torch.zeros(3, 8, 8))
