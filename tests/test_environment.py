"""Light from panoramas: held against Monte Carlo, its gradients, its background, and files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fastsynth as fs
from fastsynth import environment
from fastsynth.environments import lookup_panorama
from fastsynth.geometry import rotation_from_axis_angle, spherical_harmonics, turn_harmonics
from fastsynth.lens import unproject
from fastsynth.load_environments import read_radiance
from fastsynth.report import AssetError
from fastsynth.types import OUTPUTS

SIZE = 40, 64
HEIGHT = 32  # of panoramas
glossy = pytest.mark.parametrize("shading", ["ggx", "blinn_phong"])


def directions(height: int) -> torch.Tensor:
    """Of an equirectangular picture's pixels, float64 [height, 2 height, 3]."""
    up = (0.5 - (torch.arange(height).double() + 0.5) / height) * math.pi
    around = (0.5 - (torch.arange(2 * height).double() + 0.5) / (2 * height)) * 2 * math.pi
    up, around = torch.meshgrid(up, around, indexing="ij")
    return torch.stack([up.cos() * around.cos(), up.cos() * around.sin(), up.sin()], -1)


def smooth(height: int = HEIGHT) -> torch.Tensor:
    """A bright patch on the left, a dim blue one behind, and something everywhere: float32 [1, height, 2 height, 3]."""
    way = directions(height)

    def patch(axis, sharpness):
        return (sharpness * (way @ torch.nn.functional.normalize(torch.tensor(axis).double(), dim=0) - 1)).exp()[
            ..., None
        ]

    light = 0.3 + 2.0 * patch((0.2, 0.9, 0.5), 2.0) * torch.tensor([1.0, 0.8, 0.6])
    return (light + 1.0 * patch((-1.0, -0.3, 0.2), 3.0) * torch.tensor([0.3, 0.5, 1.0])).float()[None]


SMOOTH = fs.Environments.from_panoramas(smooth())


def around_a_sphere(shading="ggx", roughness=0.4, metallic=1.0, **fields) -> fs.SceneBatch:
    """A sphere that fills the picture's height, seen along +y."""
    given = {
        "environments": SMOOTH,
        "environment_id": torch.zeros(1, dtype=torch.int32),
        "ambient": SMOOTH.harmonics,
        "tone": "linear",
        "exposure": torch.tensor([-3.0]),
    }
    return fs.SceneBatch(
        assets=fs.pack([fs.procedural.sphere(0.45, rings=64)], lod=False),
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=torch.eye(4)[None, None],
        **fs.Pinhole.look_at(eye=(0, -3, 0.4), target=(0, 0, 0), fov=fs.deg(18)).fields(),
        metallic=torch.tensor([[metallic]]),
        roughness=torch.tensor([[roughness]]),
        base_color=torch.tensor([[[0.9, 0.7, 0.5, 1.0]]]),
        shading=shading,
        **{**given, **fields},
    )


def test_diffuse_light_is_the_irradiance():
    """Sampled over the hemisphere of each normal, within 5 %."""
    made = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(64, 3, generator=made), dim=-1)
    rays = torch.nn.functional.normalize(torch.randn(1 << 15, 3, generator=made), dim=-1)
    light = lookup_panorama(smooth().movedim(-1, 1), rays)[0]  # [3, samples]
    expected = 4 * light @ (rays @ normals.T).clamp(min=0) / len(rays)  # times 4 pi, over pi
    found = (spherical_harmonics(normals)[..., None] * SMOOTH.harmonics[0]).sum(1).T
    assert ((found - expected) / expected).abs().max() < 0.05


@pytest.mark.parametrize("azimuth", [0.7, 3.0, -1.9])
def test_harmonics_turn_exactly(azimuth):
    made = torch.Generator().manual_seed(1)
    coefficients, way = torch.randn(9, 3, generator=made).double(), torch.randn(50, 3, generator=made).double()
    way = torch.nn.functional.normalize(way, dim=-1)
    turn = rotation_from_axis_angle(torch.tensor([0.0, 0.0, 1.0]).double(), torch.tensor(azimuth).double())
    turned = turn_harmonics(coefficients, torch.tensor(azimuth).double())
    torch.testing.assert_close(spherical_harmonics(way @ turn.T) @ turned, spherical_harmonics(way) @ coefficients)


def monte_carlo(batch: fs.SceneBatch, normal, to_eye, samples: int = 4096) -> torch.Tensor:
    """What surfaces reflect of the smooth panorama, by its model's own lobes: [P, 3] -> [P, 3], float64."""
    rough = float(batch.roughness[0, 0].clamp(min=0.045))
    metallic, base = float(batch.metallic[0, 0]), batch.base_color[0, 0, :3].double()
    f0, alpha_2 = 0.04 + (base - 0.04) * metallic, rough**4
    first, second = torch.rand(2, samples, generator=torch.Generator().manual_seed(0)).double()
    power = 2 / alpha_2 - 2
    if batch.shading == "ggx":
        n_h = ((1 - second) / (1 + (alpha_2 - 1) * second)).sqrt()
    else:
        n_h = (1 - second) ** (1 / (power + 1))
    out, turn = (1 - n_h * n_h).sqrt(), 2 * math.pi * first
    result = []
    for n, v in zip(normal, to_eye, strict=True):
        side = torch.nn.functional.normalize(torch.linalg.cross(n, torch.tensor([0.31, 0.52, 0.79]).double()), dim=0)
        other = torch.linalg.cross(n, side)
        half = (out * turn.cos())[:, None] * side + (out * turn.sin())[:, None] * other + n_h[:, None] * n
        v_h, n_v = half @ v, (n @ v).clamp(min=1e-4)
        way = 2 * v_h[:, None] * half - v
        n_l = (way @ n).clamp(min=0)
        v_h = v_h.clamp(min=0)
        if batch.shading == "ggx":
            seen = n_l * (n_v**2 * (1 - alpha_2) + alpha_2).sqrt() + n_v * (n_l**2 * (1 - alpha_2) + alpha_2).sqrt()
            fresnel = f0 + (1 - f0) * (1 - v_h[:, None]) ** 5
            weight = fresnel * (0.5 / seen.clamp(min=1e-9) * 4 * n_l * v_h / n_h)[:, None]
        else:
            weight = f0 * ((power + 8) / (power + 1) * n_l * v_h)[:, None]
        light = lookup_panorama(smooth().double().movedim(-1, 1), way)[0].T
        result.append((weight * light).mean(0))
    diffuse = base * (1 - metallic)
    ambient = spherical_harmonics(normal) @ SMOOTH.harmonics[0].double()
    return torch.stack(result) + ambient * diffuse


@glossy
@pytest.mark.parametrize("metallic", [0.0, 1.0])
@pytest.mark.parametrize("roughness", [0.05, 0.2, 0.35, 0.5, 0.75, 1.0])
def test_gloss_is_that_of_monte_carlo(shading, roughness, metallic):
    """Within 5 % in the mean as far as 70 degrees off the normal; the split sum is not meant for more."""
    batch = around_a_sphere(shading, roughness, metallic)
    frames = fs.render(batch, SIZE, ("rgb", "triangle_id", "instance_id", "normals", "object_coordinates"))
    rotation = batch.camera_from_world[0, :3, :3].double()
    normal = torch.nn.functional.normalize(frames.normals[0].double().flatten(1).T @ rotation, dim=-1)
    eye = torch.tensor([0.0, -3.0, 0.4]).double()
    to_eye = torch.nn.functional.normalize(eye - frames.object_coordinates[0].double().flatten(1).T, dim=-1)
    chosen = ((normal * to_eye).sum(-1) > 0.34) & (frames.triangle_id[0].flatten() >= 0)
    chosen &= torch.arange(len(chosen)) % 9 == 0
    assert chosen.sum() > 60
    found = frames.rgb[0].flatten(1).T[chosen].double() * 8
    expected = monte_carlo(batch, normal[chosen], to_eye[chosen])
    error = ((found - expected).abs() / expected).mean()
    assert error < 0.05, float(error)


@pytest.mark.parametrize("shading", ["lambert", "ggx", "blinn_phong"])
@pytest.mark.parametrize("visible", [True, False])
def test_the_twin_agrees_and_labels_stay(shading, visible):
    batch = around_a_sphere(shading, 0.3, 0.5, environment_azimuth=torch.tensor([0.8]), environment_visible=visible)
    frames = fs.render(batch, SIZE, OUTPUTS)
    plain = fs.render(batch.replace(environments=None), SIZE, OUTPUTS)
    mirrored = ("rgb", "specular")
    assert all(torch.equal(frames.outputs[name], plain.outputs[name]) for name in OUTPUTS if name not in mirrored)
    assert torch.equal(frames.rgb, plain.rgb) == (shading == "lambert" and not visible)
    assert torch.equal(frames.specular, plain.specular) == (shading == "lambert")
    twin = fs.compose(batch, SIZE, frames.triangle_id, frames.instance_id, mirrored)
    for name in mirrored:
        torch.testing.assert_close(twin[name], frames.outputs[name], rtol=0, atol=2e-4)


def test_the_background_is_the_panorama():
    """Pixel by pixel, as a picture of the ray's direction; a turn of the light is a turn of the camera."""
    batch = around_a_sphere(environment_azimuth=torch.tensor([0.8]))
    batch = batch.replace(mesh_id=torch.full((1, 1), -1, dtype=torch.int32))
    wide = batch.replace(intrinsics=batch.intrinsics * torch.tensor([0.15, 0.15, 1.0])[:, None])
    shown = fs.render(wide, SIZE, ("rgb",)).rgb[0] * 8
    y, x = torch.meshgrid(*((torch.arange(side) + 0.5) for side in SIZE), indexing="ij")
    k = wide.intrinsics[0]
    ray = torch.stack([(x - SIZE[1] / 2) / SIZE[0] / k[0, 0], (y / SIZE[0] - 0.5) / k[1, 1], torch.ones_like(x)], -1)
    ray = ray @ wide.camera_from_world[0, :3, :3]
    turn = rotation_from_axis_angle(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.8))
    ray = torch.nn.functional.normalize(ray, dim=-1)
    expected = lookup_panorama(smooth().movedim(-1, 1), ray @ turn)[0]
    assert ((shown - expected).abs() / expected).max() < 0.03


@pytest.mark.parametrize(
    "lens, angle, focal", [("fisheye", 0.9, 0.6), ("fisheye", 2.1, 0.25), ("radial_tangential", 0.9, 0.6)]
)
def test_a_lens_shows_the_panorama_once_and_in_its_directions(lens, angle, focal):
    batch = around_a_sphere(lens=lens, lens_angle=angle, distortion=torch.zeros(1, 8))
    batch = batch.replace(
        mesh_id=torch.full((1, 1), -1, dtype=torch.int32),
        intrinsics=torch.diag(torch.tensor([focal, focal, 1.0]))[None],
    )
    shown = fs.render(batch, SIZE, ("rgb",)).rgb[0] * 8
    y, x = torch.meshgrid(*((torch.arange(side) + 0.5) for side in SIZE), indexing="ij")
    ray, inside = unproject(torch.stack([x, y], -1)[None], batch.intrinsics, batch.lenses(), SIZE)
    expected = lookup_panorama(smooth().movedim(-1, 1), ray[0] @ batch.camera_from_world[0, :3, :3])[0]
    assert inside.float().mean() > 0.5
    assert (((shown - expected).abs() / expected)[:, inside[0]]).max() < 0.03
    for row in (-1, 1):
        bare = batch.replace(environments=None, environment_id=None)
        none = batch.replace(environment_id=torch.tensor([row], dtype=torch.int32))
        assert torch.equal(fs.render(none, SIZE, ("rgb",)).rgb, fs.render(bare, SIZE, ("rgb",)).rgb)
    traced = fs.render(batch.replace(exposure=batch.exposure.requires_grad_()), SIZE, ("rgb",)).rgb[0].detach() * 8
    torch.testing.assert_close(traced, shown, rtol=0, atol=1e-5)


def test_tensors_that_do_not_lie_in_order_are_copied():
    parts = SMOOTH.texels.expand(2, -1, -1), SMOOTH.harmonics.expand(2, -1, -1), SMOOTH.reflectance
    batch = around_a_sphere()
    second = batch.replace(
        environments=fs.Environments(*parts, SMOOTH.side), environment_id=torch.ones(1, dtype=torch.int32)
    )
    assert torch.equal(fs.render(second, SIZE, ("rgb",)).rgb, fs.render(batch, SIZE, ("rgb",)).rgb)


def test_light_on_another_device_is_refused():
    parts = (getattr(SMOOTH, name).to("meta") for name in ("texels", "harmonics", "reflectance"))
    batch = around_a_sphere().replace(environments=fs.Environments(*parts, SMOOTH.side))
    for outputs in (("rgb",), ("irradiance",)):
        with pytest.raises(ValueError, match="must be on one device"):
            fs.render(batch, SIZE, outputs)


def test_images_without_a_panorama_draw_the_same_bits():
    plain = around_a_sphere().replace(environments=None, environment_id=None)
    expected = fs.render(plain, SIZE, OUTPUTS).outputs
    for row in (-1, 1, 2**31 - 1, -(2**31)):
        found = plain.replace(environments=SMOOTH, environment_id=torch.tensor([row], dtype=torch.int32))
        assert all(
            torch.equal(value, expected[name]) for name, value in fs.render(found, SIZE, OUTPUTS).outputs.items()
        )


@glossy
def test_gradients_are_those_of_the_twin(shading):
    batch = around_a_sphere(shading, 0.3, 0.6)
    weights = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    start = {
        "environment_scale": torch.tensor([1.2]),
        "environment_azimuth": torch.tensor([0.5]),
        "ambient": batch.ambient,
        "metallic": batch.metallic,
        "roughness": batch.roughness,
        "base_color": batch.base_color,
    }
    frames = fs.render(batch, SIZE, ("triangle_id", "instance_id"))

    def gradients(drawn):
        fields = {name: value.clone().requires_grad_() for name, value in start.items()}
        loss = (drawn(batch.replace(**fields)) * weights).sum()
        return torch.autograd.grad(loss, list(fields.values()))

    found = gradients(lambda it: fs.render(it, SIZE, ("rgb",)).rgb)
    expected = gradients(lambda it: fs.compose(it, SIZE, frames.triangle_id, frames.instance_id)["rgb"])
    for name, mine, theirs in zip(start, found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=1e-3 * float(theirs.abs().max()), msg=name)


def test_gradients_of_a_visible_panorama_are_differences():
    """In its scale and its azimuth, with nothing before it."""
    batch = around_a_sphere().replace(mesh_id=torch.full((1, 1), -1, dtype=torch.int32))
    weights = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    weights = torch.nn.functional.interpolate(weights, SIZE, mode="bilinear")

    def drawn(scale, azimuth):
        moved = batch.replace(environment_scale=scale, environment_azimuth=azimuth)
        return (fs.render(moved, SIZE, ("rgb",)).rgb * weights).double().sum()

    scale, azimuth = torch.tensor([1.1], requires_grad=True), torch.tensor([0.4], requires_grad=True)
    found = torch.autograd.grad(drawn(scale, azimuth), (scale, azimuth))
    with torch.no_grad():
        step = 0.02
        expected = [
            (drawn(scale + step, azimuth) - drawn(scale - step, azimuth)) / (2 * step),
            (drawn(scale, azimuth + step) - drawn(scale, azimuth - step)) / (2 * step),
        ]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine[0].double(), theirs, rtol=0.02, atol=1e-3)


def test_the_randomizer_draws_each_image_for_itself():
    skies = fs.procedural.environments(3, seed=0, height=16)
    light = fs.EnvironmentLight(skies, exposure=fs.Normal(0.0, 0.5))
    scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=2), light=light, shading="ggx")
    whole = scene.sample(6, seed=2)
    assert whole.environment_id.unique().numel() > 1 and whole.environment_azimuth.unique().numel() == 6
    for image in (1, 4):
        alone = scene.sample([image], seed=2)
        assert torch.equal(fs.render(alone, (24, 32)).rgb, fs.render(whole, (24, 32)).rgb[image : image + 1])
    with pytest.raises(TypeError, match="environments"):
        fs.EnvironmentLight("skies")


def test_skies_are_the_same_every_time_and_not_alike():
    one, again = (fs.procedural.environments(2, seed=5, height=16) for _ in range(2))
    assert torch.equal(one.texels, again.texels) and not torch.equal(one.texels[0], one.texels[1])


def radiance_file(picture: np.ndarray, runs: bool) -> bytes:
    """RGBE bytes of a picture, float [h, w, 3]."""
    exponent = np.ceil(np.log2(picture.max(-1, keepdims=True)))
    coded = np.concatenate([np.floor(picture / 2.0**exponent * 256).clip(0, 255), exponent + 128], -1).astype(np.uint8)
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % picture.shape[:2]
    if not runs:
        return head + coded.tobytes()
    body = b""
    for row in coded:
        body += bytes([2, 2, row.shape[0] >> 8, row.shape[0] & 255])
        for channel in row.T:
            body += bytes([128 + 5, channel[0]]) if (channel[:5] == channel[0]).all() else bytes([5, *channel[:5]])
            body += bytes([len(channel) - 5, *channel[5:]])
    return head + body


@pytest.mark.parametrize("runs", [False, True])
def test_radiance_files_are_read(tmp_path, runs):
    picture = np.random.default_rng(0).uniform(0.1, 9.0, (8, 16, 3))
    picture[2, :5] = picture[2, 0]
    data = radiance_file(picture, runs)
    assert np.allclose(read_radiance(data), picture, rtol=0.01, atol=0.04)
    (tmp_path / "a.hdr").write_bytes(data)
    assert len(fs.load_environments(tmp_path, height=8)) == 1
    for broken in (data[:-3], data[:40], b"P6" + data, data.replace(b"-Y 8", b"+Y 8")):
        (tmp_path / "a.hdr").write_bytes(broken)
        with pytest.raises(AssetError):
            fs.load_environments(tmp_path, strict=True)


def test_directions_that_are_no_numbers_do_not_end_the_process():
    """torch's own way back of a lookup at a place that is no number writes outside the picture."""
    pictures = smooth().movedim(-1, 1).requires_grad_()
    ray = torch.full((64, 3), math.nan, requires_grad=True)
    found = lookup_panorama(pictures, ray)
    grads = torch.autograd.grad(found.sum(), (pictures, ray))
    assert found.isfinite().all() and grads[0].isfinite().all()


def test_wrong_panoramas_are_refused():
    for wrong, words in ((torch.ones(1, 8, 8, 3), "2 H"), (-torch.ones(1, 8, 16, 3), "negative")):
        with pytest.raises(ValueError, match=words):
            fs.Environments.from_panoramas(wrong)
    with pytest.raises(ValueError, match="power of two"):
        fs.Environments.from_panoramas(torch.ones(1, 8, 16, 3), side=48)
    with pytest.raises(ValueError, match="texels"):
        fs.Environments(SMOOTH.texels[:, 1:], SMOOTH.harmonics, SMOOTH.reflectance, SMOOTH.side)


def test_even_light_is_mirrored_as_the_table_says():
    even = fs.Environments.from_panoramas(torch.full((1, 16, 32, 3), 2.0))
    batch = around_a_sphere(environments=even, ambient=even.harmonics)
    way = torch.nn.functional.normalize(torch.randn(1, 50, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    for roughness in (0.0, 0.3, 1.0):
        found = environment.radiance(batch, way, torch.full((1, 50, 1), roughness))
        torch.testing.assert_close(found, torch.full_like(found, 2.0), rtol=1e-4, atol=0)
