"""Scenes: a draw is a matter of its own name only, settings reach the batch, and mistakes are explained."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import pytest
import torch
from scene_parts import PARTS, photos
from torch._subclasses.fake_tensor import FakeTensorMode

import fastsynth as fs
from fastsynth.types import SceneBatch


def everything(**changes):
    """A scene that uses every field of a batch."""
    parts = {
        "objects": [
            fs.Objects(PARTS, count=fs.Choice(range(1, 5)), rotation=fs.UniformRotation(), scale=fs.Uniform(0.5, 2.0)),
            fs.Objects(PARTS, count=3, position=fs.OnPlane(spot=fs.Uniform((-1, -1), (1, 1))), separate=True),
        ],
        "camera": fs.Camera(distance=fs.Uniform(0.6, 1.4), roll=fs.Normal(0.0, 0.2)),
        "light": [
            fs.DirectionalLight(intensity=fs.LogUniform(0.5, 8.0), probability=0.5),
            fs.PointLight(position=fs.Uniform((-1, -1, 1), (1, 1, 3)), color=fs.Uniform((0, 0, 0), (1, 1, 1))),
            fs.SpotLight(position=fs.Uniform((-1, -1, 2), (1, 1, 3)), angle=fs.Uniform(0.1, 0.5)),
            fs.SkyAmbient(sky=fs.Uniform((0.3, 0.4, 0.6), (0.5, 0.6, 0.9))),
        ],
        "background": fs.ImageBackground(photos((48, 64), (64, 32)), probability=0.7),
        "materials": fs.Materials(
            base_color=fs.Uniform((0, 0, 0), (1, 1, 1)),
            metallic=fs.Uniform(0.0, 1.0),
            roughness=fs.TruncatedNormal(0.5, 0.3, 0.0, 1.0),
            textures=photos((8, 8), (16, 16)),
            probability=0.5,
        ),
        "sensor": fs.Sensor(
            exposure=fs.Normal(0.0, 0.5),
            white_balance=fs.Uniform(-0.2, 0.2),
            blur=fs.Triangular(0.0, 0.001, 0.004),
            noise=fs.Uniform((0.0, 0.0), (0.02, 0.01)),
        ),
    }
    return fs.Scene(**{**parts, **changes})


def drawn(batch):
    """The tensors of a batch that differ from image to image."""
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return {name: value for name, value in fields.items() if isinstance(value, torch.Tensor)}


def same(a, b):
    return [name for name, value in drawn(a).items() if not torch.equal(value, drawn(b)[name])]


class OnTable(fs.Randomizer):
    """The custom randomizer of the architecture's example (c)."""

    def __init__(self, side):
        super().__init__()
        self.spot = fs.Uniform((-side / 2, -side / 2), (side / 2, side / 2))
        self.turn = fs.Uniform(0.0, 2 * math.pi)

    def forward(self, batch, noise):
        spot = self.spot.sample(noise, batch.instances)
        turn = self.turn.sample(noise, batch.instances)
        return batch.replace(world_from_object=fs.geometry.upright(spot, turn))


# --- what a draw depends on


def test_an_image_is_the_same_in_every_batch():
    scene = everything()
    whole = scene.sample(37, seed=5)
    for rows in ([36], [4, 0, 17], list(range(1, 37))):
        part = scene.sample(rows, seed=5)
        assert same(part, whole[torch.tensor(rows)]) == []
    assert same(scene.sample(torch.tensor([3]), seed=5), whole[3:4]) == []


def test_every_field_differs_between_images_and_seeds():
    scene = everything()
    batch, other = scene.sample(16, seed=0), scene.sample(16, seed=1)
    constant = {"intrinsics", "ambient"}
    changed = set(same(batch, other))
    assert set(drawn(batch)) - changed <= constant
    repeated = {name for name, value in drawn(batch).items() if torch.equal(value[:1].expand_as(value), value)}
    assert repeated <= {"intrinsics"}


@pytest.mark.parametrize("part", ["camera", "light", "background", "materials", "sensor"])
def test_other_parts_do_not_move_a_draw(part):
    whole = everything().sample(8)
    fields = {
        "camera": ("camera_from_world", "intrinsics"),
        "light": ("light_kind", "light_position", "light_direction", "light_color", "light_cone", "ambient"),
        "background": ("photo_id", "photo_crop", "background_color"),
        "materials": ("base_color", "metallic", "roughness"),
        "sensor": ("exposure", "white_balance", "blur", "noise", "noise_key"),
    }
    without = everything(**{part: None}).sample(8)
    left = {name for name in drawn(whole) if name not in fields[part] and drawn(without).get(name) is not None}
    left -= {"texture_id"} if part == "materials" else set()
    for name in left:
        assert torch.equal(getattr(whole, name), getattr(without, name)), name


def test_a_randomizer_added_beside_changes_nothing():
    class Brighter(fs.Randomizer):
        def __init__(self):
            super().__init__()
            self.by = fs.Uniform(1.0, 2.0)

        def forward(self, batch, noise):
            return batch.replace(exposure=batch.exposure + self.by.sample(noise))

    plain, more = everything().sample(8), everything(brighter=Brighter()).sample(8)
    assert same(plain, more) == ["exposure"]


def test_paths_name_the_parameters():
    scene = everything(table=OnTable(2.0))
    keys = set(scene.state_dict())
    expected = {"camera.distance.low", "light.0.intensity.high", "objects.0.scale.low", "sensor.exposure.mean"}
    assert expected | {"table.spot.low", "objects.1.position.spot.high"} <= keys
    changed = {
        name: value + 0.125 if name == "camera.distance.low" else value for name, value in scene.state_dict().items()
    }
    before = scene.sample(2)
    scene.load_state_dict(changed)
    assert same(before, scene.sample(2)) == ["camera_from_world"]


def test_custom_randomizer_in_a_scene_and_alone():
    table = OnTable(2.0)
    batch = fs.Scene(fs.Objects(PARTS, count=4), table=table).sample(3)
    position = batch.world_from_object[..., :3, 3]
    assert (position[..., :2].abs() <= 1).all() and (position[..., 2] == 0).all()
    assert position.unique(dim=0).shape[0] == 3 and position[0].unique(dim=0).shape[0] == 4
    noise = fs.Noise(0, torch.arange(3))
    alone = table(batch, noise)
    expected = fs.Uniform((-1.0, -1.0), (1.0, 1.0)).sample(noise.child("spot"), 4)
    assert torch.equal(alone.world_from_object[..., :2, 3], expected)
    in_scene = fs.Uniform((-1.0, -1.0), (1.0, 1.0)).sample(noise.child("table.spot"), 4)
    assert torch.equal(position[..., :2], in_scene)


def test_two_distributions_of_one_kind_are_independent():
    materials = fs.Materials(metallic=fs.Uniform(0.0, 1.0), roughness=fs.Uniform(0.0, 1.0))
    scene = fs.Scene(fs.Objects(PARTS, count=4), materials=materials)
    batch = scene.sample(4)
    assert not torch.equal(batch.metallic, batch.roughness)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda scene: pickle.loads(pickle.dumps(scene))])
def test_copies_draw_the_same(copy_of):
    scene = everything()
    assert same(scene.sample(4, seed=9), copy_of(scene).sample(4, seed=9)) == []


def test_gradients_reach_the_parameters():
    scene = everything()
    scene.camera.distance.low.requires_grad_()
    scene.light[0].intensity.high.requires_grad_()
    scene.objects[0].scale.high.requires_grad_()
    batch = scene.sample(8)
    total = batch.camera_from_world.sum() + batch.light_color.sum() + batch.world_from_object.square().sum()
    total.backward()
    for buffer in (scene.camera.distance.low, scene.light[0].intensity.high, scene.objects[0].scale.high):
        assert buffer.grad is not None and buffer.grad.abs().sum() > 0


def test_sampling_does_not_look_at_values():
    """Under fake tensors, reading a value or a shape that depends on one is an error."""
    scene = everything()
    with FakeTensorMode(allow_non_fake_inputs=True):
        batch = scene.sample(torch.arange(5), seed=3)
    assert batch.mesh_id.shape == (5, 7) and batch.light_kind.shape == (5, 3)


@pytest.mark.cuda
def test_scene_moves_to_the_gpu():
    scene = everything()
    cpu = scene.sample(4)
    gpu = scene.to("cuda").sample(4)
    assert gpu.device.type == "cuda" and gpu.photos is not None and gpu.photos.texels.device.type == "cuda"
    for name, value in drawn(cpu).items():
        torch.testing.assert_close(drawn(gpu)[name].cpu(), value, atol=1e-5, rtol=1e-5)


# --- mistakes


def test_settings_reach_the_batch():
    scene = fs.Scene(fs.Objects(PARTS), shading="ggx", tone="filmic", lod=2.0, near=0.1, filter="bilinear")
    batch = scene.sample(1)
    assert isinstance(batch, SceneBatch)
    assert (batch.shading, batch.tone, batch.lod, batch.near, batch.filter) == ("ggx", "filmic", 2.0, 0.1, "bilinear")
    assert fs.Scene(fs.Objects(PARTS)).sample(1).lod == 0.25


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fs.Scene(), ValueError, "objects=fs.Objects"),
        (lambda: fs.Scene(fs.Objects(PARTS), light=fs.Uniform(0, 1)), TypeError, "`light` must be a randomizer"),
        (lambda: fs.Scene(fs.Objects(PARTS), sample=OnTable(1.0)), ValueError, "cannot be called 'sample'"),
        (lambda: fs.Objects(PARTS, count=fs.Uniform(1, 5)), TypeError, r"fs.Choice\(range\(1, 9\)\)"),
        (lambda: fs.Objects(PARTS, count=2.5), ValueError, "whole numbers"),
        (lambda: fs.Objects(PARTS, choice=[99]), ValueError, "rows of the"),
        (lambda: fs.Objects(PARTS, position=fs.Uniform(0, 1)), ValueError, r"`position` must be of shape \[3\]"),
        (lambda: fs.Objects(PARTS, up="x"), ValueError, '"y" or "z"'),
        (lambda: fs.Camera(distance=(1, 2)), ValueError, "`distance` must be a number"),
        (lambda: fs.FrustumPosition(1.0, margin=0.5), ValueError, "below 0.5"),
        (lambda: fs.PointLight((0, 0, 1), probability=1.5), ValueError, r"\[0, 1\]"),
    ],
)
def test_mistakes_are_explained(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_different_assets_are_refused():
    with pytest.raises(ValueError, match="Assets.concatenate"):
        fs.Scene([fs.Objects(PARTS), fs.Objects(fs.procedural.primitives())])
