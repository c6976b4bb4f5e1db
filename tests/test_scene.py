"""Scenes: what each randomizer fills in, and that a draw is a matter of its own name only."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import fastsynth as fs
from fastsynth.randomizers.background import crop_of
from fastsynth.types import SceneBatch

PARTS = fs.procedural.primitives()


def photos(*sizes):
    """Grey photographs of these heights and widths."""
    return fs.Textures.from_images([torch.full((*size, 3), 128, dtype=torch.uint8) for size in sizes])


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


# --- objects


def test_count_and_choice():
    objects = fs.Objects(PARTS, count=fs.Choice([0, 2, 5]), choice=[1, 2])
    batch = fs.Scene(objects).sample(300)
    assert batch.instances == 5
    counts = (batch.mesh_id >= 0).sum(1)
    assert set(counts.tolist()) == {0, 2, 5}
    assert set(batch.mesh_id.flatten().tolist()) == {-1, 1, 2}
    used = batch.mesh_id >= 0
    assert (used.int().diff(dim=1) <= 0).all()  # empty slots come last


def test_several_objects_fill_slots_after_one_another():
    batch = fs.Scene([fs.Objects(PARTS, count=2, choice=[0]), fs.Objects(PARTS, count=3, choice=[1])]).sample(2)
    assert batch.mesh_id.tolist() == [[0, 0, 1, 1, 1]] * 2


def boxes(batch):
    """Corners of the world boxes of all instances, [B, N, 8, 3]."""
    low, high = batch.assets.mesh_bounds[batch.mesh_id.clamp(min=0).long()].split(3, -1)
    pick = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    corners = low[:, :, None] + pick * (high - low)[:, :, None]
    return fs.geometry.transform_points(batch.world_from_object[:, :, None], corners)


def test_separate_objects_do_not_touch():
    def scene(separate):
        spread = fs.Uniform((-4, -4, -4), (4, 4, 4))
        shape = {"rotation": fs.UniformRotation(), "scale": fs.Uniform((0.3, 0.5, 0.7), (1, 1, 1))}
        return fs.Scene(fs.Objects(PARTS, count=8, position=spread, separate=separate, **shape)).sample(50)

    def overlaps(batch):
        corners = boxes(batch)
        middle = (corners[:, :, 0] + corners[:, :, -1]) / 2
        radius = (corners - middle[:, :, None]).norm(dim=-1).amax(-1)
        gap = torch.cdist(middle, middle) - radius[:, :, None] - radius[:, None]
        both = (batch.mesh_id >= 0)[:, :, None] & (batch.mesh_id >= 0)[:, None] & ~torch.eye(8, dtype=torch.bool)
        return (gap[both] < -1e-4).sum().item()

    assert overlaps(scene(False)) > 0
    batch = scene(True)
    assert overlaps(batch) == 0
    assert (batch.mesh_id >= 0).float().mean() > 0.9


def test_objects_that_find_no_place_are_left_out():
    same_spot = fs.Objects(PARTS, count=4, position=(0.0, 0.0, 0.0), separate=True)
    batch = fs.Scene(same_spot).sample(3)
    assert ((batch.mesh_id >= 0) == torch.tensor([True, False, False, False])).all()


def test_y_up_meshes_are_stood_up():
    batch = fs.Scene(fs.Objects(PARTS, position=(0, 0, 0), up="y")).sample(1)
    linear = batch.world_from_object[0, 0, :3, :3]
    assert (linear @ torch.tensor([0.0, 1.0, 0.0])).tolist() == [0, 0, 1]
    assert torch.linalg.det(linear) == 1


def test_forms_of_rotation_and_scale():
    half = math.pi / 2
    about_z = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    for rotation in (half, (math.cos(half / 2), 0, 0, math.sin(half / 2)), about_z):
        objects = fs.Objects(PARTS, position=(0, 0, 0), rotation=rotation, scale=(1, 2, 3))
        linear = fs.Scene(objects).sample(1).world_from_object[0, 0, :3, :3]
        torch.testing.assert_close(linear, about_z @ torch.diag(torch.tensor([1.0, 2, 3])), atol=1e-6, rtol=0)


@pytest.mark.parametrize("rotation", [None, fs.UniformRotation()], ids=["upright", "any"])
def test_on_plane(rotation):
    plane = fs.OnPlane(spot=fs.Uniform((-2, -1), (2, 1)), height=0.25)
    objects = fs.Objects(PARTS, count=6, position=plane, rotation=rotation, scale=fs.Uniform(0.5, 2.0))
    batch = fs.Scene(objects).sample(20)
    lowest = boxes(batch)[..., 2].amin(-1)
    torch.testing.assert_close(lowest, torch.full_like(lowest, 0.25), atol=1e-5, rtol=0)
    spot = batch.world_from_object[..., :2, 3]
    assert (spot.abs() <= torch.tensor([2.0, 1.0])).all() and spot.abs().amax((0, 1)).tolist() > [1.8, 0.9]
    if rotation is None:
        axis = torch.nn.functional.normalize(batch.world_from_object[..., :3, 2], dim=-1)
        torch.testing.assert_close(axis, torch.tensor([0.0, 0, 1]).expand_as(axis))
        assert batch.world_from_object[..., 0, 0].unique().numel() > 100


@pytest.mark.parametrize("separate", [False, True])
def test_frustum_position(separate):
    height, width, margin = 120, 200, 0.1
    place = fs.FrustumPosition(depth=fs.Uniform(2.0, 5.0), margin=margin)
    scene = fs.Scene(fs.Objects(PARTS, count=6, position=place, scale=0.1, separate=separate))
    batch = scene.sample(40, aspect=width / height)
    camera = fs.Pinhole(batch.intrinsics, batch.camera_from_world)
    position = batch.world_from_object[..., :3, 3]
    u, v = camera.project(position, (height, width)).unbind(-1)
    edge = margin * height
    assert edge - 1e-2 <= u.min() < edge + 5 and width - edge - 5 < u.max() <= width - edge + 1e-2
    assert edge - 1e-2 <= v.min() < edge + 5 and height - edge - 5 < v.max() <= height - edge + 1e-2
    depth = fs.geometry.transform_points(batch.camera_from_world[:, None], position)[..., 2]
    assert 2 - 1e-4 <= depth.min() < 2.2 and 4.8 < depth.max() <= 5 + 1e-4


# --- camera


def eye(batch):
    return fs.geometry.invert_rigid(batch.camera_from_world)[:, :3, 3]


def test_camera_stands_where_it_was_told():
    target = torch.tensor([0.1, -0.2, 0.3])
    camera = fs.Camera(
        distance=fs.Uniform(0.6, 1.4),
        elevation=fs.Uniform(0.2, math.pi / 2),
        azimuth=fs.Uniform(0.0, 1.0),
        target=target,
        fov=1.0,
    )
    batch = fs.Scene(fs.Objects(PARTS), camera).sample(200)
    arm = eye(batch) - target
    distance = arm.norm(dim=-1)
    assert 0.6 - 1e-5 <= distance.min() < 0.62 and 1.38 < distance.max() <= 1.4 + 1e-5
    elevation, azimuth = (arm[:, 2] / distance).clamp(max=1).asin(), torch.atan2(arm[:, 1], arm[:, 0])
    assert 0.2 - 1e-4 <= elevation.min() < 0.25 and elevation.max() > 1.5
    assert -1e-4 <= azimuth.min() and azimuth.max() <= 1 + 1e-4
    seen = fs.Pinhole(batch.intrinsics, batch.camera_from_world).project(target.expand(200, 1, 3), (100, 100))
    torch.testing.assert_close(seen, torch.full_like(seen, 50.0), atol=1e-3, rtol=0)
    expected = fs.Pinhole.look_at(eye(batch), target, fov=1.0)
    below = elevation < 1.5  # there both are well conditioned
    torch.testing.assert_close(batch.camera_from_world[below], expected.camera_from_world[below], atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.intrinsics, expected.intrinsics)


def test_roll_turns_the_image_clockwise():
    camera = fs.Camera(distance=1.0, azimuth=0.0, elevation=0.0, roll=math.pi / 2)
    batch = fs.Scene(fs.Objects(PARTS), camera).sample(1)
    above = fs.Pinhole(batch.intrinsics, batch.camera_from_world).project(torch.tensor([[[0.0, 0, 0.1]]]), (100, 100))
    assert above[0, 0, 0] > 55 and above[0, 0, 1].item() == pytest.approx(50, abs=1e-3)


def test_default_camera_frames_meshes_of_any_size():
    bounds = PARTS.mesh_bounds
    radius = (bounds[:, 3:] - bounds[:, :3]).norm(dim=-1).median() / 2
    distance = eye(fs.Scene(fs.Objects(PARTS)).sample(100)).norm(dim=-1) / radius
    assert 7 - 1e-3 <= distance.min() and distance.max() <= 11 + 1e-3


def test_known_poses():
    pinhole = fs.Pinhole.look_at(eye=torch.tensor([[1.0, 0, 0], [0, 2, 0]]), target=(0, 0, 0))
    batch = fs.Scene(fs.Objects(PARTS), fs.CameraPose(pinhole)).sample(50)
    which = (eye(batch)[:, 1] > 1).long()
    assert set(which.tolist()) == {0, 1}
    assert torch.equal(batch.camera_from_world, pinhole.camera_from_world[which])


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
