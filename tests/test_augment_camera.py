"""Pictures that were warped before drawing, against those warped after; and the random maps."""

from __future__ import annotations

import math

import pytest
import torch
from augment_cases import EVERY, IMAGES, PERMUTATIONS, RESAMPLINGS, SIZE, all_of, crowd, flip, turn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastsynth as fs
from fastsynth import annotate, augment
from fastsynth.types import OUTPUTS, Frames, SceneBatch

pytestmark = pytest.mark.usefixtures("one_thread")
search = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ANGLE, SCALE, SHIFT = st.floats(-7, 7), st.floats(0.1, 10), st.floats(-2, 2)


def both_ways(name: str) -> tuple[Frames, Frames, torch.Tensor]:
    """Resampled, drawn again, and which pixels the old picture reaches."""
    new_from_old, size = EVERY[name][:2]
    moved = augment.warp_frames(crowd(), new_from_old, size)
    ones = Frames(crowd().batch, SIZE, {"depth": torch.ones_like(crowd().depth)})
    reached = augment.warp_frames(ones, new_from_old, size).depth > 0
    return moved, fs.render(moved.batch, size, OUTPUTS), reached


@pytest.mark.parametrize("name", PERMUTATIONS)
def test_moved_pixels_are_those_of_the_moved_camera(name):
    moved, drawn, reached = both_ways(name)
    assert reached.all()
    for output in ("instance_id", "semantic_id", "boxes_2d_tight", "visible_pixels", "total_pixels", "amodal_masks"):
        assert torch.equal(getattr(moved, output), getattr(drawn, output)), output
    # Where a corner falls between two of the rasterizer's 1/256 pixels, an edge within an object may move by one.
    other = moved.triangle_id != drawn.triangle_id
    assert other.sum() <= 1e-4 * other.numel()
    for output in ("rgb", "depth", "distance", "normals", "object_coordinates", "uv"):
        pair = [getattr(frames, output) for frames in (moved, drawn)]
        same = ~other[:, None].expand_as(pair[0]) if pair[0].ndim == 4 else ~other
        torch.testing.assert_close(pair[0][same], pair[1][same], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(moved.boxes_2d_loose, drawn.boxes_2d_loose)


@pytest.mark.parametrize("name", RESAMPLINGS)
def test_resampled_pixels_are_those_of_the_moved_camera_but_at_edges(name):
    moved, drawn, reached = both_ways(name)
    ids = drawn.instance_id
    inner = reached.clone()  # no other object within the half diagonal of an old pixel
    reach = math.ceil(0.71 / RESAMPLINGS[name][2] + 0.1)
    for axis in (1, 2):
        for step in range(1, reach + 1):
            for way in (step, -step):
                inner &= ids == ids.roll(way, axis)
    for y in (-reach, reach):
        for x in (-reach, reach):
            inner &= ids == ids.roll((y, x), (1, 2))
    assert inner.sum() > 0.6 * reached.sum()
    assert ((moved.instance_id != ids) & inner).sum() <= 2e-3 * inner.sum()  # what is thinner than a pixel
    seen = inner & (moved.triangle_id == drawn.triangle_id) & (ids >= 0)
    error = (moved.normals - drawn.normals).norm(dim=1)[seen]
    assert error.median() < 0.05  # the normals of places half a pixel apart
    loose = [frames.boxes_2d_loose for frames in (moved, drawn)]
    torch.testing.assert_close(*loose)


def test_the_loose_box_of_a_flip_is_the_flipped_box():
    for sides, axes in (({"horizontal": True}, (0, 2)), ({"vertical": True}, (1, 3))):
        boxes = crowd().boxes_2d_loose.clone()
        first, last = axes
        extent = SIZE[1 - first]
        boxes[..., first], boxes[..., last] = extent - boxes[..., last].clone(), extent - boxes[..., first].clone()
        there = crowd().boxes_2d_loose.any(-1)
        new = augment.warp_frames(crowd(), flip(**sides)).boxes_2d_loose
        torch.testing.assert_close(new[there], boxes[there], atol=1e-3, rtol=1e-5)


def test_the_camera_stays_a_camera():
    for new_from_old, *_ in EVERY.values():
        new = augment.warp_camera(crowd().batch, new_from_old)
        axes = new.camera_from_world[:, :3, :3]
        torch.testing.assert_close(axes @ axes.mT, torch.eye(3).expand(IMAGES, 3, 3), atol=1e-5, rtol=0)
        mirrors = torch.linalg.det(new_from_old) < 0
        assert torch.equal(torch.linalg.det(axes) < 0, mirrors)
        assert (new.intrinsics[:, 0, 0] > 0).all() and (new.intrinsics[:, 1, 1] > 0).all()
        assert (new.intrinsics[:, 1, 0] == 0).all()
        rotation = annotate.poses_6d(new).rotation[new.mesh_id >= 0]
        torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(len(rotation)), atol=1e-4, rtol=0)
        assert ((annotate.poses_6d(new).scale[..., 2] < 0) == (mirrors[:, None] & (new.mesh_id >= 0))).all()


def test_a_turn_is_the_roll_of_the_camera():
    def scene(roll):
        return fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(roll=roll)).sample(IMAGES, seed=1)

    turned = augment.warp_camera(scene(0.1), turn(0.5))
    torch.testing.assert_close(turned.camera_from_world, scene(0.6).camera_from_world, atol=1e-5, rtol=0)
    torch.testing.assert_close(turned.intrinsics, scene(0.6).intrinsics, atol=1e-6, rtol=0)


@given(st.lists(st.tuples(ANGLE, SCALE, SHIFT, SHIFT, st.booleans()), min_size=2, max_size=2), st.floats(-0.5, 0.5))
@search
def test_moves_in_turn_are_their_product(moves, skew):
    camera = fs.Pinhole.look_at(eye=(0, -1, 0.5), target=(0, 0, 0)).fields()
    camera["intrinsics"] = torch.tensor([[[1.2, skew, 0.1], [0, 0.9, -0.2], [0, 0, 1]]])
    none = torch.zeros(1, 0, dtype=torch.int32)
    batch = SceneBatch(
        assets=crowd().batch.assets, mesh_id=none, world_from_object=torch.zeros(1, 0, 4, 4), **camera
    )  # fmt: skip
    first, second = (
        augment.affine(torch.tensor([a]), torch.tensor([s]), torch.tensor([[x, y]]), torch.tensor([over]))
        for a, s, x, y, over in moves
    )
    product = augment.warp_camera(batch, fs.geometry.multiply(second, first))
    steps = augment.warp_camera(augment.warp_camera(batch, first), second)
    for name in ("intrinsics", "camera_from_world"):
        torch.testing.assert_close(getattr(product, name), getattr(steps, name), atol=1e-3, rtol=1e-3)
    points = torch.rand(1, 20, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    old, new = (fs.Pinhole(b.intrinsics, b.camera_from_world).project(points, (1, 1)) - 0.5 for b in (batch, product))
    expected = fs.geometry.multiply(second, first)[:, None] @ torch.cat([old, torch.ones(1, 20, 1)], -1)[..., None]
    torch.testing.assert_close(new, expected[..., :2, 0], atol=1e-3, rtol=1e-3)


def test_the_background_goes_along_within_its_photograph():
    batch = crowd().batch
    far = augment.warp_camera(batch, turn(0.0, 0.1), 4 / 3)
    assert torch.equal(far.photo_crop, torch.tensor([0.0, 0, 1, 1]).expand(IMAGES, 4))
    turned = augment.warp_camera(batch, turn(0.7), 4 / 3)
    torch.testing.assert_close(turned.photo_crop, batch.photo_crop)  # it cannot turn
    rows = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).expand(IMAGES, 2, 3)
    flipped = augment.warp_camera(batch.replace(background_color=rows), flip(vertical=True), 4 / 3)
    torch.testing.assert_close(flipped.background_color, rows.flip(1))


def scene(**others):
    return fs.Scene(fs.Objects(fs.procedural.primitives(), count=3), **others)


def test_a_random_map_changes_no_other_draw():
    plain, moved = scene(), scene(crop=augment.RandomCrop(), turn=augment.RandomAffine(fs.Uniform(-1, 1), 1.1))
    before, after = (made.sample(20, seed=5).tensors() for made in (plain, moved))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {"intrinsics", "camera_from_world", "photo_crop"}
    alone = moved.sample([7], seed=5)
    assert torch.equal(alone.intrinsics[0], after["intrinsics"][7])
    assert {"crop.scale.low", "turn.angle.high"} <= set(moved.state_dict())
    assert torch.equal(
        after["intrinsics"][:, 1, 1], scene(crop=moved.crop, turn=moved.turn).sample(20, seed=5).intrinsics[:, 1, 1]
    )


def test_flips_come_as_often_as_asked():
    noise = fs.Noise(0, torch.arange(4000))
    never = augment.RandomAffine().sample(noise)
    assert torch.equal(never, torch.eye(3).expand(4000, 3, 3))
    some = augment.RandomAffine(horizontal_flip=0.25, vertical_flip=0.5).sample(noise)
    across, down = some[:, 0, 0] < 0, some[:, 1, 1] < 0
    assert abs(across.float().mean() - 0.25) < 0.03 and abs(down.float().mean() - 0.5) < 0.03
    assert abs((across & down).float().mean() - 0.125) < 0.02
    assert (augment.RandomAffine(horizontal_flip=1.0).sample(noise)[:, 0, 0] == -1).all()
    with pytest.raises(ValueError, match="`vertical_flip` must be a probability in \\[0, 1\\], but is 2"):
        augment.RandomAffine(vertical_flip=2)
    with pytest.raises(ValueError, match="RandomCrop: `place` must be of shape \\[2\\]"):
        augment.RandomCrop(place=0.5)


def test_random_parts_lie_within_the_picture():
    noise = fs.Noise(0, torch.arange(500), aspect=2.0)
    back = augment.invert(augment.RandomCrop().sample(noise))
    for x, y in ((-1.0, -0.5), (1.0, 0.5)):
        corner = (back @ torch.tensor([x, y, 1.0]))[:, :2].abs()
        assert (corner <= torch.tensor([1.0, 0.5]) + 1e-5).all()
    assert back[:, 0, 0].min() < 0.55 and back[:, 0, 0].max() > 0.95


def test_the_sampled_map_is_that_of_the_scene():
    crop = augment.RandomCrop()
    batch = scene(crop=crop).sample(IMAGES, seed=2)
    noise = fs.Noise(2, torch.arange(IMAGES)).child("crop")
    moved = augment.warp_camera(scene().sample(IMAGES, seed=2), crop.sample(noise))
    torch.testing.assert_close(batch.intrinsics, moved.intrinsics)


def test_the_place_of_a_map_can_be_learned():
    made = scene(turn=augment.RandomAffine(fs.Uniform(-0.1, 0.1), scale=fs.Uniform(0.9, 1.1))).learn("turn.*")
    frames = fs.render(made.sample(4, seed=0), (16, 16), ("rgb",))
    frames.rgb.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in made.learnable())
    assert any(parameter.grad.abs().max() > 0 for parameter in made.learnable())  # type: ignore[union-attr]


def test_wrong_maps_are_refused():
    with pytest.raises(ValueError, match="warp_camera\\(\\): `new_from_old`"):
        augment.warp_camera(crowd().batch, turn(0.0)[:3])
    with pytest.raises(TypeError, match="affine\\(\\): `horizontal_flip` must be torch.bool"):
        augment.affine(all_of(0.0), horizontal_flip=all_of(1.0))
    with pytest.raises(TypeError, match="crop\\(\\): `box` must be torch.float32"):
        augment.crop(torch.tensor([[0, 0, 2, 2]]), SIZE)
    with pytest.raises(NotImplementedError, match="must define sample"):
        augment.RandomWarp().sample(fs.Noise(0, torch.arange(1)))
