"""Scenes: where objects and cameras are put."""

from __future__ import annotations

import math

import pytest
import torch
from scene_parts import PARTS

import fastsynth as fs

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
