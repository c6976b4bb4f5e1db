"""Scenes: light, background, materials and sensor."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from scene_parts import PARTS, photos

import fastsynth as fs
from fastsynth.randomizers.background import crop_of

# --- light


def lit(*lights, images=400):
    return fs.Scene(fs.Objects(PARTS), light=list(lights)).sample(images)


def test_directional_light_comes_from_its_direction():
    batch = lit(fs.DirectionalLight(direction=(0, 3, 4), intensity=2.0, color=(1, 0.5, 0.25)), images=1)
    torch.testing.assert_close(batch.light_direction[0, 0], torch.tensor([0, -0.6, -0.8]))
    assert batch.light_color[0, 0].tolist() == [2, 1, 0.5]
    assert batch.light_kind.tolist() == [[1]]


def test_lights_are_on_as_often_as_asked():
    batch = lit(fs.DirectionalLight(probability=0.25), fs.PointLight(position=(0, 0, 1), probability=0.75))
    share = (batch.light_kind > 0).float().mean(0)
    assert share.tolist() == pytest.approx([0.25, 0.75], abs=0.09)  # 4 sigma
    assert set(batch.light_kind[:, 1].tolist()) == {0, 2}


def test_spot_light_points_at_its_target():
    batch = lit(fs.SpotLight(position=(0, 0, 2), target=(0, 1, 2), angle=0.4, softness=0.5), images=1)
    assert batch.light_direction[0, 0].tolist() == [0, 1, 0]
    assert batch.light_cone[0, 0].tolist() == pytest.approx([math.cos(0.2), math.cos(0.4)])


def reflected(ambient, normal):
    """What a white surface reflects: real spherical harmonics of orders 0 and 1, written out."""
    x, y, z = normal
    basis = [0.28209479, 0.48860251 * y, 0.48860251 * z, 0.48860251 * x]
    return sum(value * row for value, row in zip(basis, ambient, strict=False))


def test_ambient():
    batch = lit(fs.Ambient(intensity=0.5, color=(1, 0.5, 0)), images=1)
    torch.testing.assert_close(reflected(batch.ambient[0], (0.6, 0, 0.8)), torch.tensor([0.5, 0.25, 0]))
    batch = lit(fs.SkyAmbient(sky=(0.2, 0.4, 0.8), ground=0.1), images=1)
    torch.testing.assert_close(reflected(batch.ambient[0], (0, 0, 1)), torch.tensor([0.2, 0.4, 0.8]))
    torch.testing.assert_close(reflected(batch.ambient[0], (0, 0, -1)), torch.tensor([0.1, 0.1, 0.1]))
    torch.testing.assert_close(reflected(batch.ambient[0], (1, 0, 0)), torch.tensor([0.15, 0.25, 0.45]))


# --- background, materials, sensor


@pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9])
def test_photographs_are_not_distorted(aspect):
    sizes = torch.tensor([[64, 48], [32, 64], [100, 100]])  # width, height
    scene = fs.Scene(fs.Objects(PARTS), background=fs.ImageBackground(photos((48, 64), (64, 32), (100, 100))))
    batch = scene.sample(300, aspect=aspect)
    x0, y0, x1, y1 = batch.photo_crop.unbind(-1)
    width, height = sizes[batch.photo_id.long()].float().unbind(-1)
    torch.testing.assert_close((x1 - x0) * width / ((y1 - y0) * height), torch.full((300,), aspect))
    assert batch.photo_crop.min() >= 0 and batch.photo_crop.max() <= 1 + 1e-6
    larger = torch.maximum(x1 - x0, y1 - y0)
    assert 0.5 <= larger.min() + 1e-5 < 0.52 and larger.max() > 0.98
    assert set(batch.photo_id.tolist()) == {0, 1, 2}


def test_crop_of_a_panorama():
    crop = crop_of(torch.tensor([[400, 100]]), 2.0, torch.tensor([0.5]), torch.tensor([[1.0, 0.5]]))
    torch.testing.assert_close(crop, torch.tensor([[0.75, 0.25, 1.0, 0.75]]))


def test_photographs_and_colours_are_mixed():
    background = fs.ImageBackground(photos((8, 8)), probability=0.3, color=(0.1, 0.2, 0.3))
    batch = fs.Scene(fs.Objects(PARTS), background=background).sample(400)
    assert (batch.photo_id == 0).float().mean().item() == pytest.approx(0.3, abs=0.1)
    assert set(batch.photo_id.tolist()) == {-1, 0}
    assert batch.background_color[0].tolist() == [pytest.approx([0.1, 0.2, 0.3])] * 2


def test_photographs_from_files(tmp_path):
    from PIL import Image

    for shade in (40, 200):
        Image.new("RGB", (64, 48), (shade, 90, 120)).save(tmp_path / f"{shade}.png")
    batch = fs.Scene(fs.Objects(PARTS), background=fs.ImageBackground(f"{tmp_path}/*.png")).sample(20)
    assert batch.photos is not None and batch.photos.info[:, :2].tolist() == [[64, 48]] * 2


def test_gradient():
    background = fs.GradientBackground(top=(1, 0, 0), bottom=0.5)
    batch = fs.Scene(fs.Objects(PARTS), background=background).sample(1)
    assert batch.background_color[0].tolist() == [[1, 0, 0], [0.5, 0.5, 0.5]]


def test_textures_are_put_behind_those_of_the_assets():
    scene = fs.Scene(
        fs.Objects(PARTS, count=4), materials=fs.Materials(textures=photos((8, 4), (4, 8)), probability=0.5)
    )
    own = PARTS.textures.info.shape[0]
    assert scene.assets.textures.info[own:, :2].tolist() == [[4, 8], [8, 4]]
    assert torch.equal(scene.assets.material_textures, PARTS.material_textures)
    assert set(scene.sample(100).texture_id.flatten().tolist()) == {-1, own, own + 1}


def test_textures_of_two_materials_are_not_mixed_up():
    colors = torch.tensor([[255, 0, 0], [0, 255, 0]], dtype=torch.uint8)
    red, green = (fs.Textures.from_images([color.expand(4, 4, 3).numpy()]) for color in colors)
    materials = [
        fs.Only(fs.Materials(textures=red), range(3)), fs.Only(fs.Materials(textures=green), range(3, len(PARTS)))
    ]  # fmt: skip
    batch = fs.Scene(fs.Objects(PARTS, count=2), materials=materials).sample(64, seed=1)
    textures = batch.assets.textures
    shown = textures.texels[textures.offsets[batch.texture_id.long(), 0].long()] == 255
    assert torch.equal(shown[..., 0], batch.mesh_id < 3) and torch.equal(shown[..., 1], batch.mesh_id >= 3)


@pytest.mark.parametrize(
    "part",
    [
        lambda: fs.Materials(textures=photos((8, 4)), probability=0.5),
        lambda: fs.Only(fs.Materials(textures=fs.ProceduralTextures(pool=3)), [0]),
        lambda: fs.Clutter(PARTS, passes=1, models=9, rows=8),
        lambda: fs.Deform(fs.Lattice(), normals="area"),
    ],
    ids=["textures", "patterns", "clutter", "deform"],
)
def test_a_randomizer_may_be_in_two_scenes(part):
    """What it keeps of the assets of one does not show in the other, nor in copies of it."""
    shared = part()
    first = fs.Scene(fs.Objects(PARTS, count=2), part=shared)
    before = first.sample(4)
    others = fs.Assets.concatenate([fs.procedural.products(2), PARTS])
    if not isinstance(shared, fs.Clutter):  # which holds meshes itself
        fs.Scene(fs.Objects(others, count=2), part=shared)
    fs.Scene([fs.Objects(PARTS, count=2), fs.Clutter(PARTS, models=9)], first=part(), part=shared)
    for scene in (first, copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        after = scene.sample(4)
        assert torch.equal(after.mesh_id, before.mesh_id) and torch.equal(after.texture_id, before.texture_id)
        assert torch.equal(after.assets.vertex_data, before.assets.vertex_data)
        assert torch.equal(after.assets.textures.texels, before.assets.textures.texels)
    with pytest.raises(RuntimeError, match="not been prepared"):
        copy.deepcopy(shared)(before, fs.random.Noise(0, torch.arange(4)))


def test_materials():
    materials = fs.Materials(base_color=(0.5, 0.25, 1.0), metallic=0.75)
    batch = fs.Scene(fs.Objects(PARTS, count=2), materials=materials).sample(1)
    assert batch.base_color.tolist() == [[[0.5, 0.25, 1.0, 1.0]] * 2]
    assert batch.metallic.tolist() == [[0.75] * 2] and batch.roughness.tolist() == [[-1.0] * 2]


def test_sensor():
    sensor = fs.Sensor(exposure=1.0, white_balance=0.5, blur=0.002, noise=0.01, blur_limit=0.02)
    batch = fs.Scene(fs.Objects(PARTS), sensor=sensor).sample(1000)
    assert batch.white_balance[0].tolist() == pytest.approx([math.exp(0.5), 1, math.exp(-0.5)])
    assert batch.noise[0].tolist() == pytest.approx([0, 0.01]) and batch.blur_limit == 0.02
    assert batch.noise_key.unique().numel() == 1000
    plain = fs.Scene(fs.Objects(PARTS), sensor=fs.Sensor()).sample(1)
    assert plain.blur is None and plain.noise is None
