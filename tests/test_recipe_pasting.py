"""Cut and paste: limits that hold in the labels, and the same scene with every blend."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fastsynth as fs
from fastsynth.effects import BLENDS
from fastsynth.recipes import cut_paste
from fastsynth.recipes.pasting import first_uncovered

ASPECT = 4 / 3
SIZE = (48, 64)
# Loose boxes are those of corners as the kernel projects them, in float32 [pixels].
SLACK = 1e-3


@pytest.fixture(scope="module")
def cutouts():
    """Shapes that fill their boxes little and much."""
    y, x = np.mgrid[:200, :300]
    disc = (x - 150) ** 2 / 140**2 + (y - 100) ** 2 / 90**2 < 1
    cross = (abs(x - 150) < 20) | (abs(y - 100) < 20)
    corner = (x < 40) | (y > 170)
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    masks = {"disc": disc, "cross": cross, "corner": corner, "all": np.ones_like(disc)}
    meshes = [fs.cutout(photo, mask, name=name) for name, mask in masks.items()]
    return fs.pack(meshes, ["a", "b", "b", "distractor"], lod=False)


def boxes(recipe, images, seed=3):
    batch = recipe.sample(images, seed, aspect=ASPECT)
    return batch, fs.render(batch.replace(effects=()), SIZE, ("boxes_2d_loose",)).boxes_2d_loose


def covered_parts(box, there):
    """For each box and each later one, the part of the earlier that the later box covers: [B, earlier, later]."""
    low = torch.maximum(box[:, :, None, :2], box[:, None, :, :2])
    high = torch.minimum(box[:, :, None, 2:], box[:, None, :, 2:])
    area = (box[..., 2:] - box[..., :2]).prod(-1)
    part = (high - low).clamp(min=0).prod(-1) / area[:, :, None].clamp(min=1e-9)
    pair = there[:, :, None] & there[:, None, :] & torch.ones(part.shape[1:]).triu(1).bool()
    return torch.where(pair, part, 0.0)


@pytest.mark.parametrize(("without", "limit"), [((), 0.75), (("occlusion",), 0.0)])
def test_no_box_is_covered_beyond_the_limit(cutouts, without, limit):
    batch, box = boxes(cut_paste(cutouts, without=without), 2500)
    there = batch.mesh_id >= 0
    assert without or there.sum() >= 10_000
    parts = covered_parts(box, there)
    assert parts.max() <= limit + SLACK * 4
    assert without or parts.max() > 0.7  # the limit is reached


@pytest.mark.parametrize(("without", "limit"), [((), 0.25), (("truncation",), 0.0)])
def test_no_box_leaves_the_picture_beyond_the_limit(cutouts, without, limit):
    batch, box = boxes(cut_paste(cutouts, without=without), 2500)
    there = batch.mesh_id >= 0
    side = box[..., 2:] - box[..., :2]
    outside = torch.maximum(-box[..., :2], box[..., 2:] - torch.tensor([64.0, 48.0])).clamp(min=0)
    assert (outside <= limit * side + SLACK)[there].all()
    assert without or (outside / side)[there].max() > 0.24


def test_scale_angle_and_counts_are_those_of_the_numbers(cutouts):
    recipe = cut_paste(cutouts)
    batch = recipe.sample(2000, 5, aspect=ASPECT)
    column = batch.world_from_object[..., :3, 0]
    there = batch.mesh_id >= 0
    ahead = 1 - 1e-3 * torch.arange(1, 9)
    scale = column.square().sum(-1).sqrt() / ahead
    angle = torch.rad2deg(torch.atan2(-column[..., 2], column[..., 0]))
    assert 0.25 - 1e-5 <= scale[there].min() < 0.26 and 0.59 < scale[there].max() <= 0.6 + 1e-5
    assert angle[there].abs().max() <= 30.001 and (angle[there] - angle[there].round()).abs().max() < 1e-3
    targets, distractors = batch.params["objects.count"], batch.params["objects.distractors"]
    assert targets.unique().tolist() == [1, 2, 3, 4] and distractors.unique().tolist() == [2, 3, 4]
    assert (there[:, :4].sum(1) <= targets).all() and (there[:, 4:].sum(1) <= distractors).all()
    # Hardly any is left out.
    assert there.sum() >= 0.99 * (targets + distractors).sum()
    decoys = batch.assets.mesh_class[batch.mesh_id.clamp(min=0).long()] == 2
    assert not (decoys & there)[:, :4].any() and (decoys | ~there)[:, 4:].all()


def test_without_room_an_object_is_left_out():
    corner, size = torch.zeros(1, 5, 3, 2), torch.ones(1, 3, 2)
    first, placed = first_uncovered(corner, size, torch.tensor([[True, True, False]]), torch.tensor([0.5]))
    assert placed.tolist() == [[True, False, False]] and first[0, 0] == 0
    _, both = first_uncovered(corner, size, torch.ones(1, 3, dtype=torch.bool), torch.tensor([1.0]))
    assert both.all()


def test_the_same_scene_with_every_blend(cutouts):
    every = cut_paste(cutouts, every_blend=True)
    batch = every.sample(10, 2, aspect=ASPECT)
    assert batch.params["blend.kind"].tolist() == [0, 1, 2, 3, 4] * 2
    for field in ("world_from_object", "mesh_id", "photo_crop", "photo_id"):
        value = getattr(batch, field).unflatten(0, (2, 5))
        assert torch.equal(value, value[:, :1].expand_as(value)) and not torch.equal(value[0], value[1])
    frames = fs.render(batch, SIZE, ("rgb", "instance_id", "boxes_2d_tight"))
    assert torch.equal(frames.instance_id[0], frames.instance_id[4])
    pictures = frames.rgb[:5]
    for k in range(1, 5):
        assert not torch.equal(pictures[0], pictures[k])
    # Each is what the recipe with that blend alone draws.
    for k, name in enumerate(BLENDS):
        own = cut_paste(cutouts, blends=[name]).sample([1], 2, aspect=ASPECT)
        assert torch.equal(fs.render(own, SIZE, ("rgb",)).rgb[0], frames.rgb[5 + k]), name
    # A stream may begin anywhere.
    assert torch.equal(fs.render(every.sample([7], 2, aspect=ASPECT), SIZE, ("rgb",)).rgb[0], frames.rgb[7])


def test_labels_name_the_targets(cutouts):
    recipe = cut_paste(cutouts)
    frames = fs.render(recipe.sample(8, aspect=ASPECT), SIZE, ("boxes_2d_tight", "visible_pixels"))
    labels = recipe.labels(frames)
    assert not labels["target"][:, 4:].any() and labels["target"][:, 0].any()
    assert torch.equal(labels["target"][:, :4], frames.visible_pixels[:, :4] > 0)


def test_wrong_cutouts_are_refused(cutouts):
    with pytest.raises(ValueError, match="names the class 'c'"):
        cut_paste(cutouts, distractors=["c"])
    with pytest.raises(ValueError, match="cut-outs that distract"):
        cut_paste(cutouts, distractors=[])
