"""Pictures that were warped after drawing: every label follows the pixels."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from augment_cases import EVERY, IMAGES, PERMUTATIONS, RESAMPLINGS, SIZE, crowd, flip, part, turn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastsynth as fs
from fastsynth import annotate, augment
from fastsynth.types import OUTPUTS, Frames

PIXELS = ("rgb", "instance_id", "triangle_id", "semantic_id", "depth", "distance", "object_coordinates", "uv")
search = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
every = pytest.mark.parametrize("name", EVERY)
pytestmark = pytest.mark.usefixtures("one_thread")


def warped(name: str) -> Frames:
    new_from_old, size = EVERY[name][:2]
    return augment.warp_frames(crowd(), new_from_old, size)


def mapped(name: str, points: torch.Tensor) -> torch.Tensor:
    """Points of the old picture in the new one: [B, N, P, 2] [pixels]."""
    new_from_old, (height, width) = EVERY[name][:2]
    old = torch.tensor([SIZE[1] / 2, SIZE[0] / 2])
    unit = torch.cat([(points - old) / SIZE[0], torch.ones_like(points[..., :1])], -1)
    return (unit @ new_from_old[:, None, :2].mT) * height + torch.tensor([width / 2, height / 2])


def test_there_are_a_few_hundred_objects():
    assert (crowd().visible_pixels > 0).sum() > 200


@pytest.mark.parametrize("name", PERMUTATIONS)
def test_flips_half_turns_and_crops_only_move_pixels(name):
    frames, move = warped(name), PERMUTATIONS[name][2]
    for output in (*PIXELS, "amodal_masks"):
        assert torch.equal(getattr(frames, output), move(getattr(crowd(), output))), output
    assert set(frames.outputs) == set(OUTPUTS) and frames.size == PERMUTATIONS[name][1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("samples", [1, 4, 16])
def test_colours_only_move_whatever_their_format_and_samples(dtype, samples):
    frames = fs.render(crowd().batch, SIZE, ("rgb",), rgb_dtype=dtype)
    for new_from_old, size, move in PERMUTATIONS.values():
        moved = augment.warp_frames(frames, new_from_old, size, samples=samples).rgb
        assert moved.dtype == dtype and torch.equal(moved, move(frames.rgb))


@every
def test_boxes_and_counts_are_those_of_the_masks(name):
    frames = warped(name)
    masks = annotate.instance_mask(frames)
    pixels = masks.sum((2, 3))
    assert torch.equal(frames.visible_pixels.long(), pixels)
    rows, columns = masks.any(3), masks.any(2)
    for image, slot in (pixels > 0).nonzero().tolist():
        y, x = (line[image, slot].nonzero() for line in (rows, columns))
        assert frames.boxes_2d_tight[image, slot].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert not frames.boxes_2d_tight[pixels == 0].any()
    assert (masks.sum(1) == (frames.instance_id >= 0)).all()  # a partition
    assert not (masks & ~frames.amodal_masks).any()
    assert torch.equal(frames.total_pixels.long(), frames.amodal_masks.sum((2, 3)))
    seen = annotate.visibility(frames)
    assert seen.min() >= 0 and seen.max() <= 1 and (seen > 0).sum() > 50
    assert torch.equal(seen, pixels / frames.total_pixels.clamp(min=1))


@every
def test_labels_of_a_pixel_are_those_of_one_old_pixel(name):
    frames = warped(name)
    seen = frames.instance_id >= 0
    assert torch.equal(seen, frames.triangle_id >= 0) and torch.equal(seen, frames.semantic_id >= 0)
    assert torch.equal(seen, frames.depth > 0) and torch.equal(seen, frames.distance >= frames.depth.clamp(min=1e-9))
    classes = annotate.semantic_mask(Frames(frames.batch, frames.size, {"instance_id": frames.instance_id}))
    assert torch.equal(classes, annotate.semantic_mask(frames))
    lengths = torch.linalg.vector_norm(frames.normals, dim=1)
    torch.testing.assert_close(lengths, seen.float(), atol=1e-5, rtol=0)


@every
def test_loose_boxes_hold_the_tight_ones(name):
    frames = warped(name)
    seen = frames.visible_pixels > 0
    tight, loose = frames.boxes_2d_tight[seen], frames.boxes_2d_loose[seen]
    # Half a pixel of the new picture, and half the diagonal of an old one where pixels were taken from the nearest.
    slack = 0.51 if name in PERMUTATIONS else 0.51 + 0.71 / RESAMPLINGS[name][2]
    assert (loose[:, :2] <= tight[:, :2] + slack).all() and (loose[:, 2:] >= tight[:, 2:] - slack).all()


@every
def test_keypoints_and_corners_follow_the_map(name):
    old, new = crowd(), warped(name)
    filled = old.batch.mesh_id >= 0
    before, after = (annotate.boxes_3d(frames.batch, frames.size).pixels for frames in (old, new))
    assert before is not None and after is not None
    ahead = before.any(-1)
    torch.testing.assert_close(mapped(name, before)[ahead], after[ahead], atol=0.02, rtol=1e-5)
    points = old.batch.assets.mesh_bounds.view(-1, 2, 3)
    before, after = (annotate.keypoints_2d(frames, points) for frames in (old, new))
    torch.testing.assert_close(mapped(name, before[..., :2])[filled], after[..., :2][filled], atol=0.02, rtol=1e-5)
    height, width = new.size
    within = ((after[..., :2] >= 0) & (after[..., :2] < torch.tensor([width, height]))).all(-1)
    assert torch.equal(after[..., 2] > 0, within & filled[..., None])  # truncation is that of the new picture


@every
def test_space_follows_the_map(name):
    """Depth, the new camera and object coordinates lead back to the pixel."""
    frames = warped(name)
    image, row, column = (frames.instance_id >= 0).nonzero().unbind(1)
    slot = frames.instance_id[image, row, column].long()
    pose = fs.geometry.multiply(frames.batch.camera_from_world[:, None], frames.batch.world_from_object)[image, slot]
    camera = fs.geometry.transform_points(pose, frames.object_coordinates[image, :, row, column])
    depth = frames.depth[image, row, column]
    # Where a surface is seen from its side, its depth is that of the rasterizer's rounding, before augmentation too.
    torch.testing.assert_close(camera[:, 2], depth, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(camera.norm(dim=1), frames.distance[image, row, column], atol=1e-3, rtol=1e-3)
    place = frames.batch.intrinsics[image, :2] @ (camera / camera[:, 2:])[..., None]
    place = place[..., 0] * frames.size[0] + torch.tensor(frames.size[::-1]) / 2
    error = (place - torch.stack([column, row], 1) - 0.5).abs().max()
    assert error < (0.02 if name in PERMUTATIONS else 0.05 + 0.71 / RESAMPLINGS[name][2])
    # A surface that is seen faces the eye, except at silhouettes of smooth ones.
    toward = (frames.normals[image, :, row, column] * camera).sum(1) <= 1e-3 * depth
    assert toward.float().mean() > 0.99


def test_colours_are_interpolated_as_torch_does():
    frames = Frames(crowd().batch, SIZE, {"rgb": crowd().rgb})
    new_from_old = turn(0.3, 1.5, (0.1, 0.05))
    got = augment.warp_frames(frames, new_from_old).rgb
    aspect = SIZE[1] / SIZE[0]
    to_unit = torch.diag(torch.tensor([2 / aspect, 2.0, 1.0]))
    theta = to_unit @ augment.invert(new_from_old) @ torch.linalg.inv(to_unit)
    grid = F.affine_grid(theta[:, :2], [IMAGES, 3, *SIZE], align_corners=False)
    expected = F.grid_sample(frames.rgb, grid, "bilinear", "border", align_corners=False)
    inside = (grid.abs() < 0.999).all(-1)[:, None].expand_as(got)
    torch.testing.assert_close(got[inside], expected[inside], atol=2 / 256, rtol=0)  # places are rounded to 1/256


def test_what_lay_outside_is_background():
    ones = Frames(crowd().batch, SIZE, {name: torch.ones_like(getattr(crowd(), name)) for name in PIXELS})
    small = augment.warp_frames(ones, turn(0.0, 0.5))
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[12:36, 16:48] = True
    for name in PIXELS:
        value = getattr(small, name)
        assert (value[..., inside] == 1).all() and (value[..., ~inside] == (-1 if name.endswith("_id") else 0)).all()


@pytest.mark.parametrize(("samples", "shrink"), [(4, 3.0), (16, 5.0)])
def test_stripes_do_not_alias(samples, shrink):
    stripes = (torch.arange(SIZE[1]) % 2).float().expand(IMAGES, 3, *SIZE).contiguous()
    frames = Frames(crowd().batch, SIZE, {"rgb": stripes})
    small = tuple(round(side / shrink) for side in SIZE)
    keep = part((0, 0, SIZE[1], SIZE[0]), small)
    smooth, rough = (augment.warp_frames(frames, keep, small, samples=count).rgb for count in (samples, 1))
    middle = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert (smooth[middle] - 0.5).abs().max() < 0.15 and rough.std() > 0.2 and rough[middle].amax() > 0.85


def test_colours_have_a_gradient():
    rgb = crowd().rgb.clone().requires_grad_()
    new = augment.warp_frames(Frames(crowd().batch, SIZE, {"rgb": rgb}), turn(0.0, 2.0))
    new.rgb.sum().backward()
    assert rgb.grad is not None
    torch.testing.assert_close(rgb.grad.sum(), torch.tensor(float(new.rgb.numel())), rtol=1e-4, atol=0)


MOVES = st.lists(st.sampled_from(sorted(set(PERMUTATIONS) - {"crop", "flipped crop"})), min_size=1, max_size=4)


@given(MOVES)
@settings(search, max_examples=15)
def test_maps_in_turn_are_their_product(names):
    frames = dataclasses.replace(crowd(), outputs={name: getattr(crowd(), name) for name in ("rgb", "instance_id")})
    step, product = frames, torch.eye(3).expand(IMAGES, 3, 3)
    for name in names:
        step = augment.warp_frames(step, PERMUTATIONS[name][0])
        product = fs.geometry.multiply(PERMUTATIONS[name][0], product)
    once = augment.warp_frames(frames, product)
    assert torch.equal(once.rgb, step.rgb) and torch.equal(once.instance_id, step.instance_id)
    torch.testing.assert_close(once.batch.camera_from_world, step.batch.camera_from_world, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sides", [{"horizontal": True}, {"vertical": True}, {"horizontal": True, "vertical": True}])
def test_a_flip_of_a_flip_is_what_was(sides):
    twice = augment.warp_frames(augment.warp_frames(crowd(), flip(**sides)), flip(**sides))
    for name in OUTPUTS:
        assert torch.equal(getattr(twice, name), getattr(crowd(), name)), name
    for name, value in crowd().batch.tensors().items():
        torch.testing.assert_close(twice.batch.tensors()[name], value, atol=1e-6, rtol=0)
    for name in ("intrinsics", "camera_from_world"):
        assert torch.equal(getattr(twice.batch, name), getattr(crowd().batch, name))


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32 - 1))
@search
def test_crops_at_whole_pixels_of_any_size(height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    tall, wide = (int(torch.randint(side, side + 60, (), generator=generator)) for side in (height, width))
    low = torch.stack([torch.randint(0, room + 1, (IMAGES,), generator=generator) for room in
                       (wide - width, tall - height)], 1)  # fmt: skip
    ids = torch.randint(-1, 9, (IMAGES, tall, wide), generator=generator).int()
    box = torch.cat([low, low + torch.tensor([width, height])], 1).float()
    frames = Frames(crowd().batch, (tall, wide), {"instance_id": ids})
    new = augment.warp_frames(frames, augment.crop(box, (tall, wide), (height, width)), (height, width))
    for image, (x, y) in enumerate(low.tolist()):
        assert torch.equal(new.instance_id[image], ids[image, y : y + height, x : x + width])


@pytest.mark.parametrize("size", [(4, 8192), (8192, 4)])
def test_the_widest_pictures_only_move_too(size):
    """float32 knows the columns of 8192 to better than half of 1/256."""
    ids = torch.arange(size[0] * size[1], dtype=torch.int32).view(1, *size)
    frames = Frames(crowd().batch[:1], size, {"instance_id": ids, "rgb": ids[:, None].expand(-1, 3, -1, -1).float()})
    for index, (new_from_old, *_, move) in enumerate(PERMUTATIONS.values()):
        if index < 3:  # flips and the half turn, whatever the size
            new = augment.warp_frames(frames, new_from_old[:1])
            assert torch.equal(new.instance_id, move(ids)) and torch.equal(new.rgb, move(frames.rgb))
    high, wide = size[0] - 3, size[1] - 3
    new = augment.warp_frames(
        frames, augment.crop(torch.tensor([[2.0, 1, 2 + wide, 1 + high]]), size, (high, wide)), (high, wide)
    )
    assert torch.equal(new.instance_id, ids[:, 1 : 1 + high, 2 : 2 + wide])


def test_a_batch_without_slots_or_images():
    batch = crowd().batch
    empty = batch.replace(
        **{name: value[:, :0] for name, value in batch.tensors().items() if value.shape[1:2] == batch.mesh_id.shape[1:]}
    )
    new = augment.warp_frames(fs.render(empty, SIZE, OUTPUTS), turn(0.5), (20, 30))
    assert new.amodal_masks.shape == (IMAGES, 0, 20, 30) and new.boxes_2d_tight.shape == (IMAGES, 0, 4)
    new = augment.warp_frames(fs.render(batch[:0], SIZE, OUTPUTS), turn(0.5)[:0], (20, 30))
    assert new.rgb.shape == (0, 3, 20, 30) and new.instance_id.shape == (0, 20, 30)


def test_what_is_missing_or_wrong_is_named():
    def only(*names):
        return Frames(crowd().batch, SIZE, {name: getattr(crowd(), name) for name in names})

    with pytest.raises(AttributeError, match="`instance_id` was not drawn"):
        augment.warp_frames(only("boxes_2d_tight"), flip())
    with pytest.raises(AttributeError, match="counted anew in `amodal_masks`, which were not drawn. Ask for them"):
        augment.warp_frames(only("total_pixels"), flip())
    with pytest.raises(ValueError, match="`samples` must be 1, 4 or 16 a pixel, but is 2"):
        augment.warp_frames(only("rgb"), flip(), samples=2)
    with pytest.raises(ValueError, match="new_from_old"):
        augment.warp_frames(only("rgb"), flip()[:, :2])
    assert set(augment.warp_frames(only("instance_id", "visible_pixels"), flip()).outputs) == {
        "instance_id",
        "visible_pixels",
    }
