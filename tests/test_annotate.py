"""Labels: those of hand-made pictures, and those of drawn ones against each other."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from fastsynth import annotate, geometry, procedural
from fastsynth.render import render
from fastsynth.types import Frames, SceneBatch

PICTURES = torch.tensor(
    [
        [
            [-1, 0, 0, -1, -1, -1],
            [-1, 0, 2, 2, -1, -1],
            [-1, -1, 2, 2, -1, 0],
            [-1, -1, -1, -1, -1, -1],
        ],
        [[-1] * 6] * 4,
        [[1] * 6] + [[-1] * 6] * 3,
    ],
    dtype=torch.int32,
)


def hand_made(**outputs):
    """Three images of three slots, the second empty; the classes of its three meshes are 5, 6 and 0."""
    assets = SimpleNamespace(
        mesh_class=torch.tensor([5, 6, 0], dtype=torch.int32),
        meshes=torch.zeros(3, 4, dtype=torch.int32),
        mesh_bounds=torch.tensor([[-1.0, -2, -3, 1, 2, 3]]).repeat(3, 1),
    )
    batch = SimpleNamespace(
        assets=assets,
        mesh_id=torch.tensor([[0, -1, 2], [0, 1, 2], [2, 1, 0]], dtype=torch.int32),
        world_from_object=torch.eye(4).expand(3, 3, 4, 4).clone(),
        camera_from_world=geometry.translation((0, 0, 10)).expand(3, 4, 4).clone(),
        intrinsics=torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 1]]).expand(3, 3, 3).clone(),
        near=0.01,
        lens=None,
        lenses=lambda: None,
    )
    return Frames(batch, (4, 6), {"instance_id": PICTURES, **outputs})  # type: ignore[arg-type]


def drawn(outputs=None, count=12, size=(48, 64), images=3):
    """Random crowds of the built-in shapes, some of them cut off by the border or hidden."""
    generator = torch.Generator().manual_seed(2)
    assets = procedural.primitives()
    rotation = geometry.rotation_from_quaternion(torch.randn(images, count, 4, generator=generator))
    spot = torch.rand(images, count, 3, generator=generator) * 2 - 1
    mesh = torch.randint(-1, len(assets.mesh_class), (images, count), generator=generator, dtype=torch.int32)
    camera = geometry.Pinhole.look_at(eye=(0, -2.0, 0.5), target=(0, 0, 0), fov=geometry.deg(60))
    scale = 0.2 + torch.rand(images, count, 1, 1, generator=generator)
    batch = SceneBatch(
        assets=assets,
        mesh_id=mesh,
        world_from_object=geometry.affine(scale * rotation, spot),
        **{name: value.repeat(images, 1, 1) for name, value in camera.fields().items()},
    )
    return render(batch, size, outputs or ("instance_id", "boxes_2d_tight", "visible_pixels"))


def test_targets_of_a_picture_made_by_hand():
    first, second, third = annotate.targets(hand_made())
    assert first["boxes"].tolist() == [[1, 0, 6, 3], [2, 1, 4, 3]]
    assert first["labels"].tolist() == [6, 1] and first["instance"].tolist() == [0, 2]
    assert first["area"].tolist() == [4, 4] and first["iscrowd"].tolist() == [0, 0]
    assert first["masks"].equal(torch.stack([PICTURES[0] == 0, PICTURES[0] == 2]))
    assert third["boxes"].tolist() == [[0, 0, 6, 1]] and third["labels"].tolist() == [7]
    assert [target["image_id"].item() for target in (first, second, third)] == [0, 1, 2]
    assert "visibility" not in first
    for target in (first, second):
        assert {name: value.dtype for name, value in target.items()} == {
            "image_id": torch.int64,
            "boxes": torch.float32,
            "labels": torch.int64,
            "area": torch.float32,
            "instance": torch.int64,
            "iscrowd": torch.int64,
            "masks": torch.bool,
        }


def test_an_image_without_objects_has_empty_targets():
    empty = annotate.targets(hand_made())[1]
    assert empty["boxes"].shape == (0, 4) and empty["masks"].shape == (0, 4, 6)
    assert empty["labels"].shape == empty["area"].shape == empty["iscrowd"].shape == (0,)


def test_a_batch_without_slots_or_images():
    frames = hand_made()
    frames.batch.mesh_id = frames.batch.mesh_id[:, :0]
    nothing = Frames(frames.batch, frames.size, {"instance_id": torch.full_like(PICTURES, -1)})
    assert [target["boxes"].shape for target in annotate.targets(nothing)] == [(0, 4)] * 3
    assert annotate.semantic_mask(nothing).unique().tolist() == [0]
    frames.batch.mesh_id = torch.zeros(0, 3, dtype=torch.int32)
    assert annotate.targets(Frames(frames.batch, frames.size, {"instance_id": PICTURES[:0]})) == []


def test_small_and_hidden_objects_are_left_out():
    total = torch.tensor([[8, 0, 4], [5, 5, 5], [0, 6, 0]], dtype=torch.int32)
    frames = hand_made(total_pixels=total)
    assert annotate.visibility(frames).tolist() == [[0.5, 0, 1], [0, 0, 0], [0, 1, 0]]
    first = annotate.targets(frames, min_visible=0.6)[0]
    assert first["instance"].tolist() == [2] and first["visibility"].tolist() == [1.0]
    assert annotate.targets(frames, min_visible=0.5)[0]["instance"].tolist() == [0, 2]
    assert [len(target["boxes"]) for target in annotate.targets(frames, min_pixels=5)] == [0, 0, 1]
    with pytest.raises(AttributeError, match=r"`total_pixels` was not drawn. Ask for it: render\("):
        annotate.targets(hand_made(), min_visible=0.5)


def test_what_the_border_cuts_off_is_left_out():
    loose = torch.tensor([[-3.0, 0, 3, 4], [0, 0, 0, 0], [-2, -4, 2, 4]]).expand(3, 3, 4)
    frames = hand_made(boxes_2d_loose=loose)
    assert annotate.truncation(frames)[0].tolist() == [0.5, 0, 0.75]
    assert annotate.targets(frames)[0]["truncation"].tolist() == [0.5, 0.75]
    assert annotate.targets(frames, max_truncation=0.5)[0]["instance"].tolist() == [0]
    assert annotate.targets(frames, max_truncation=0.0, padded=True)["valid"][0].tolist() == [False] * 3
    with pytest.raises(AttributeError, match="`boxes_2d_loose` was not drawn"):
        annotate.targets(hand_made(), max_truncation=0.5)
    with pytest.raises(ValueError, match="`max_truncation` must be a part, 0 to 1, but is -1"):
        annotate.targets(hand_made(), max_truncation=-1)


def test_padded_targets_hold_the_same():
    frames = hand_made()
    padded, listed = annotate.targets(frames, padded=True), annotate.targets(frames)
    assert padded["valid"].tolist() == [[True, False, True], [False] * 3, [False, True, False]]
    assert padded["masks"].shape == (3, 3, 4, 6) and padded["image_id"].tolist() == [0, 1, 2]
    for image, target in enumerate(listed):
        for name in set(target) - {"image_id"}:
            assert padded[name][image][padded["valid"][image]].equal(target[name]), name
            assert not padded[name][image][~padded["valid"][image]].any(), name


def test_labels_and_image_ids_can_be_chosen():
    target = annotate.targets(hand_made(), label_offset=0, image_ids=[70, 71, 72], masks=False)[0]
    assert target["labels"].tolist() == [5, 0] and target["image_id"].item() == 70 and "masks" not in target
    with pytest.raises(ValueError, match=r"`image_ids` must be B = 3 numbers, but has shape \[2\]"):
        annotate.targets(hand_made(), image_ids=[1, 2])


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="`min_visible` must be a part, 0 to 1, but is 50"):
        annotate.targets(hand_made(), min_visible=50)
    with pytest.raises(ValueError, match="`min_pixels` must be at least 1"):
        annotate.targets(hand_made(), min_pixels=0)
    with pytest.raises(ValueError, match="`tv_tensors` cannot hold padded boxes"):
        annotate.targets(hand_made(), padded=True, tv_tensors=True)


def test_tv_tensors():
    tv = pytest.importorskip("torchvision.tv_tensors")
    plain, target = annotate.targets(hand_made())[0], annotate.targets(hand_made(), tv_tensors=True)[0]
    assert isinstance(target["boxes"], tv.BoundingBoxes) and isinstance(target["masks"], tv.Mask)
    assert target["boxes"].canvas_size == (4, 6) and target["boxes"].format == tv.BoundingBoxFormat.XYXY
    assert target["boxes"].equal(plain["boxes"])


def test_tv_tensors_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match=r"`tv_tensors` needs torchvision. Run `pip install torchvision`"):
        annotate.targets(hand_made(), tv_tensors=True)


def test_semantic_labels_come_from_either_map():
    classes = torch.tensor([[5, -1, 0], [5, 6, 0], [0, 6, 5]], dtype=torch.int32)
    image = torch.arange(3)[:, None, None]
    ids = torch.where(PICTURES < 0, -1, classes[image, PICTURES.clamp(min=0)])
    expected = ids.long() + 1
    assert annotate.semantic_mask(hand_made()).equal(expected)
    assert annotate.semantic_mask(hand_made(semantic_id=ids)).equal(expected)
    far = annotate.semantic_mask(hand_made(), label_offset=0, background=255)
    assert far.equal(torch.where(ids < 0, 255, ids.long()))


def test_amodal_masks_get_boxes():
    masks = torch.zeros(1, 3, 4, 6, dtype=torch.bool)
    masks[0, 0, 1:3, 2:6] = True
    masks[0, 2, 3, 0] = True
    whole = annotate.amodal(hand_made(amodal_masks=masks))
    assert whole.boxes.tolist() == [[[2, 1, 6, 3], [0, 0, 0, 0], [0, 3, 1, 4]]]
    assert whole.pixels.tolist() == [[8, 0, 1]]


def test_boxes_in_space():
    frames = hand_made()
    frames.batch.world_from_object[0, 0] = geometry.compose(geometry.translation((1, 0, 0)), geometry.scaling(2.0))
    boxes = annotate.boxes_3d(frames.batch, frames.size)
    assert boxes.object[0, 0, 0].tolist() == [-1, -2, -3] and boxes.object[0, 0, 5].tolist() == [1, -2, 3]
    assert boxes.world[0, 0, 5].tolist() == [3, -4, 6] and boxes.camera[0, 0, 5].tolist() == [3, -4, 16]
    assert boxes.pixels is not None
    assert boxes.pixels[0, 0, 5].tolist() == [3 + 4 * 2 * 3 / 16, 2 + 4 * 2 * -4 / 16]
    assert not any(part[0, 1].any() for part in boxes)  # an empty slot
    frames.batch.camera_from_world[:, 2, 3] = -10  # everything behind the camera
    assert not annotate.boxes_3d(frames.batch, frames.size).pixels.any()  # type: ignore[union-attr]
    assert annotate.boxes_3d(frames.batch).pixels is None


def test_poses_come_apart_and_together():
    frames, scale = hand_made(), torch.tensor([0.5, 2.0, -3.0])
    turn = geometry.rotation_from_euler(torch.tensor([0.3, -1.0, 2.0]))
    pose = geometry.affine(turn @ torch.diag(scale), torch.tensor([1.0, 2.0, 3.0]))
    frames.batch.world_from_object[0, 0] = pose
    poses = annotate.poses_6d(frames.batch)
    torch.testing.assert_close(poses.rotation[0, 0], turn)
    torch.testing.assert_close(poses.scale[0, 0], scale)
    torch.testing.assert_close(poses.translation[0, 0], torch.tensor([1.0, 2.0, 13.0]))
    assert not any(part[0, 1].any() for part in poses)


def test_keypoints_are_seen_hidden_or_neither():
    # Seen from 10 m with 8 pixels a unit of slope: x = 3 + 8 X / Z, y = 2 + 8 Y / Z.
    keypoints = torch.tensor([[0.0, 0, 0], [2.5, 0, 0], [9, 0, 0], [0, 0, -20], [0, 0, 3]]).repeat(3, 1, 1)
    depth = torch.zeros(3, 4, 6)
    depth[:, 2, 3], depth[:, 2, 5] = 9.95, 8.0
    found = annotate.keypoints_2d(hand_made(depth=depth), keypoints)
    assert found[0, 0, :, 2].tolist() == [2, 1, 0, 0, 1]  # on, behind, outside, behind the eye, inside
    assert found[0, 0, 0].tolist() == [3, 2, 2] and found[0, 0, 1, :2].tolist() == [5, 2]
    assert found[0, 0, 2, 0] > 6 and found[0, 0, 3].tolist() == [0, 0, 0]
    assert not found[0, 1].any()  # an empty slot
    assert annotate.keypoints_2d(hand_made(depth=depth), keypoints, tolerance=0.0)[0, 0, 0, 2] == 1
    assert (annotate.keypoints_2d(hand_made(depth=torch.zeros(3, 4, 6)), keypoints)[0, 0, :2, 2] == 2).all()
    target = annotate.targets(hand_made(depth=depth), keypoints=keypoints)[0]
    assert target["keypoints"].equal(found[0, [0, 2]])
    with pytest.raises(ValueError, match=r"a row for each of the 3 meshes of the assets, but has shape \[2, 5, 3\]"):
        annotate.keypoints_2d(hand_made(depth=depth), keypoints[:2])
    with pytest.raises(ValueError, match="`tolerance` must be a part of the depth, not negative"):
        annotate.keypoints_2d(hand_made(depth=depth), keypoints, tolerance=-1.0)


def test_what_is_missing_is_named():
    frames = hand_made()
    with pytest.raises(AttributeError, match="`depth` was not drawn"):
        annotate.targets(frames, keypoints=torch.zeros(3, 1, 3))
    without = Frames(frames.batch, frames.size, {})
    for function in (annotate.targets, annotate.instance_mask):
        with pytest.raises(AttributeError, match="`instance_id` was not drawn"):
            function(without)


LABELS = "instance_id boxes_2d_tight boxes_2d_loose visible_pixels total_pixels amodal_masks depth semantic_id".split()


def test_boxes_and_masks_of_a_drawn_picture_agree():
    frames = drawn(LABELS)
    found = 0
    for image, target in enumerate(frames.targets()):
        for box, mask, slot, area, seen in zip(
            *(target[name] for name in ("boxes", "masks", "instance", "area", "visibility")), strict=True
        ):
            rows, columns = mask.nonzero().unbind(1)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert mask.equal(frames.instance_id[image] == slot) and mask.sum() == area
            assert 0 < seen <= 1
            assert not (mask & ~frames.amodal_masks[image, slot]).any()
            found += 1
    assert found > 15
    whole = annotate.amodal(frames)
    assert whole.pixels.equal(frames.total_pixels.long())
    assert (frames.total_pixels > frames.visible_pixels).any()
    # A box around the whole object holds that of what is seen of it, to the rounding of corners to 1/256 pixel and of
    # boxes to whole pixels, whose centres are covered.
    tight, loose = frames.boxes_2d_tight, frames.boxes_2d_loose
    seen = frames.visible_pixels > 0
    assert (loose[..., :2] <= tight[..., :2] + 0.51)[seen].all() and (loose[..., 2:] >= tight[..., 2:] - 0.51)[
        seen
    ].all()
    assert annotate.semantic_mask(frames).equal(annotate.semantic_mask(drawn(("instance_id",))))
    assert annotate.semantic_mask(frames).sub(1).where(frames.instance_id >= 0, -1).int().equal(frames.semantic_id)


def test_targets_are_the_same_from_boxes_and_from_ids():
    from_boxes, from_ids = annotate.targets(drawn()), annotate.targets(drawn(("instance_id",)))
    for one, other in zip(from_boxes, from_ids, strict=True):
        assert set(one) == set(other) and all(one[name].equal(other[name]) for name in one)


def test_corners_of_boxes_hold_the_loose_box():
    frames = drawn(LABELS)
    pixels = annotate.boxes_3d(frames.batch, frames.size).pixels
    assert pixels is not None
    filled = frames.batch.mesh_id >= 0
    loose = frames.boxes_2d_loose[filled]
    assert (pixels.amin(2)[filled] <= loose[:, :2] + 0.01).all() and (
        pixels.amax(2)[filled] >= loose[:, 2:] - 0.01
    ).all()


def test_drawn_surfaces_are_seen_as_keypoints():
    frames = drawn(("instance_id", "depth", "object_coordinates", "boxes_2d_tight", "visible_pixels"))
    batch = frames.batch
    slot = int(frames.visible_pixels[0].argmax())
    rows, columns = (frames.instance_id[0] == slot).nonzero().unbind(1)
    place = frames.object_coordinates[0, :, rows, columns].T
    keypoints = torch.zeros(batch.assets.meshes.shape[0], len(place), 3)
    keypoints[batch.mesh_id[0, slot]] = place
    found = annotate.keypoints_2d(frames, keypoints)[0, slot]
    # The rasterizer snaps corners, so a pixel at a silhouette may show a point just beside it.
    torch.testing.assert_close(found[:, :2], torch.stack([columns, rows], 1) + 0.5, atol=0.02, rtol=0)
    assert (found[:, 2] == 2).all()


@pytest.mark.cuda
def test_padded_targets_do_not_wait():
    frames = drawn(("instance_id", "total_pixels", "depth"))
    batch = frames.batch.to("cuda")
    frames = render(batch, frames.size, ("instance_id", "total_pixels", "depth", "boxes_2d_tight", "visible_pixels"))
    keypoints = torch.zeros(batch.assets.meshes.shape[0], 2, 3, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        padded = annotate.targets(frames, padded=True, min_visible=0.1, keypoints=keypoints)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert padded["boxes"].is_cuda
