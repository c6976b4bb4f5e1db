"""Hinterstoisser et al. 2019: acceptance A4's invariants."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from test_packing import worst

import fastsynth as fs
from fastsynth.recipes import annotation_saved
from fastsynth.recipes.assets_cutouts import places

TARGETS = 6


@functools.cache
def assets():
    return fs.procedural.products(2, texture_size=16), fs.procedural.primitives(lod=False)


@functools.cache
def recipe(**options):
    front, back = assets()
    six = fs.pack(fs.procedural.product_meshes(2, texture_size=16)[:TARGETS], lod=False)
    return annotation_saved(six, back, **options)


def passes(made, batch=48):
    """A whole pass of the schedule, image by image, as batches."""
    for first in range(0, made.schedule.images, batch):
        index = torch.arange(first, min(first + batch, made.schedule.images))
        yield index, made.sample(index, aspect=4 / 3)


def test_a_pass_draws_every_object_in_every_pose_at_every_scale_once():
    made = recipe(without=("occluders",), per_image=(6, 7, 8, 10))
    schedule, found, area = made.schedule, [], torch.zeros(4, 2, dtype=torch.float64)
    rotation, distance = made.objects[0].rotation.values, made.objects[0].position.depth.values
    for index, batch in passes(made):
        cell = schedule.cell(index, schedule.slots)
        own = slice(0, schedule.slots)
        there = batch.mesh_id[:, own] >= 0
        assert torch.equal(there, cell >= 0), "an object found no room, or broke a limit"
        found.append(cell[there])
        # What the cell says is what is drawn.
        assert torch.equal(batch.mesh_id[:, own][there].long(), schedule.digit(cell, "object")[there])
        turn = batch.params["objects.0.rotation"]
        assert torch.equal(turn[there], rotation[schedule.digit(cell, ("view", "in_plane"))][there])
        camera = batch.camera_from_world[:, None] @ batch.world_from_object[:, own]
        middle = (
            camera
            @ torch.cat([made.assets.mesh_bounds.view(-1, 2, 3).mean(1), torch.ones(len(made.assets), 1)], 1)[
                batch.mesh_id[:, own].long(), :, None
            ]
        )
        scale = schedule.digit(cell, "scale")
        torch.testing.assert_close(middle[..., 2, 0][there], distance[scale][there], atol=1e-4, rtol=0)
        bare = batch.replace(mesh_id=torch.where(torch.arange(batch.instances) < schedule.slots, batch.mesh_id, -1))
        wide = bare.replace(intrinsics=batch.intrinsics * torch.tensor([[0.5], [0.5], [1.0]]))
        pixels = fs.render(wide, (96, 128), ("total_pixels",)).total_pixels[:, own]
        for step in range(4):
            area[step] += torch.tensor([pixels[there & (scale == step)].sum(), (there & (scale == step)).sum()])
    assert torch.cat(found).tolist() == list(range(schedule.cells)) and schedule.cells == 4 * 12 * 8 * TARGETS
    steps = -(area[:, 0] / area[:, 1]).diff()
    assert (steps > 0).all() and steps.max() / steps.min() < 1.10  # equal steps of coverage, within 10 %


def test_an_image_holds_as_many_as_find_room():
    made = recipe(without=("occluders",))
    order, room, (_, first, count, _) = made.schedule, made.numbers["room"], made.schedule.runs
    near = (first < order.cells // 4).nonzero()[:-1, 0][::8]  # the last image of a scale has what is left
    assert count[near].unique().numel() > 3 and count.max() == made.numbers["per_image"]
    batch = made.sample(near, aspect=4 / 3)
    assert (batch.mesh_id[:, : order.slots] >= 0).sum(1).tolist() == count[near].tolist()
    # Those of each image and the one that comes after them, each alone on the axis of a camera.
    cell = first[near, None] + torch.arange(order.slots + 1)
    mesh = order.digit(cell, "object").flatten()
    turn = made.objects[0].rotation.values[order.digit(cell, ("view", "in_plane"))].flatten(0, 1)
    middle = batch.assets.mesh_bounds.view(-1, 2, 3).mean(1)[mesh, :, None]
    away, focal, ahead = 40.0, 80.0, torch.tensor([[0.0], [40.0], [0.0]])
    pose = torch.eye(4).repeat(len(mesh), 1, 1)
    pose[:, :3] = torch.cat([turn, ahead - turn @ middle], -1)
    alone = fs.SceneBatch(
        batch.assets,
        mesh[:, None].int(),
        pose[:, None],
        torch.diag(torch.tensor([focal, focal, 1.0])).expand(len(mesh), 3, 3),
        batch.camera_from_world[:1].expand(len(mesh), 4, 4),
    )
    pixels = fs.render(alone, (64, 64), ("total_pixels",)).total_pixels.view(cell.shape)
    at_height = 0.5 / math.tan(math.radians(sum(made.numbers["fov"]) / 4)) / made.objects[0].position.depth.values[0]
    part = pixels / 64**2 * (at_height * away / focal) ** 2 / (4 / 3)
    come_to = part.cumsum(1)
    taken, more = (come_to.gather(1, count[near, None] - less)[:, 0] for less in (1, 0))
    assert taken.max() <= room * 1.02 and more.min() >= room * 0.98


def test_every_pixel_is_covered_and_limits_hold():
    made = recipe()
    size, slots = (64, 84), made.schedule.slots
    for index in (torch.arange(64), torch.arange(64) + made.schedule.images - 64):
        batch = made.sample(index, aspect=84 / 64)
        frames = fs.render(batch, size, ("instance_id",))
        assert (frames.instance_id >= 0).all()
        front = torch.arange(batch.instances) < slots
        bare = batch.replace(mesh_id=torch.where(front | (batch.layer != 0), -1, batch.mesh_id))
        ids = fs.render(bare, size, ("instance_id",)).instance_id
        assert (ids >= 0).all() and (ids == batch.instances - 1).float().mean() < 0.01
        own = fs.SceneBatch(
            made.assets,
            batch.mesh_id[:, :slots].contiguous(),
            batch.world_from_object[:, :slots].contiguous(),
            batch.intrinsics,
            batch.camera_from_world,
        )
        overlap, cut, _ = worst(own, size)
        assert overlap.max() <= 0.3 and cut.max() <= 0.5


def test_layers_lie_in_front_of_each_other_and_only_targets_are_labelled():
    made = recipe()
    batch = made.sample([0, made.schedule.images - 1], aspect=4 / 3)
    slots = made.schedule.slots
    assert (batch.layer[:, :slots] == 1).all() and (batch.layer[:, slots : 2 * slots] == 2).all()
    assert (batch.layer[:, 2 * slots :] == 0).all()
    frames = fs.render(batch, (96, 128), ("instance_id", "boxes_2d_tight", "visible_pixels"))
    shown = batch.layer.gather(1, frames.instance_id.flatten(1).long()).view_as(frames.instance_id)
    only = batch.replace(mesh_id=torch.where(batch.layer == 2, batch.mesh_id, -1))
    occluded = fs.render(only, (96, 128), ("instance_id",)).instance_id >= 0
    assert torch.equal(shown == 2, occluded) and occluded.any()
    for target in frames.targets():
        assert (target["instance"] < slots).all() and len(target["labels"])


@pytest.mark.parametrize("order", ["curriculum", "random"])
def test_the_arms_of_the_ablations_differ_in_what_they_should(order):
    made = recipe(order=order, per_image=8, background_scale=(0.1, 0.4))
    batch = made.sample(32, aspect=4 / 3)
    turns = batch.params["objects.0.rotation"]
    assert (turns[0, :TARGETS] == turns[0, :1]).all() == (order == "curriculum")  # one view of all, or of each its own
    assert made.numbers["per_image"] == 8 and made.numbers.stated["background_scale"].source == "ours"


def test_a_wrong_order_is_refused():
    with pytest.raises(ValueError, match='"curriculum" or "random"'):
        annotation_saved(*assets(), order="shuffled")


def test_photographs_can_be_in_place_of_models():
    made = annotation_saved(*assets(), places(2, 32))
    drawn = fs.render(made.sample(4, aspect=4 / 3), (24, 32), ("rgb", "instance_id"))
    layers = drawn.batch.layer.unique().tolist()
    assert layers == [1, 2] and (drawn.batch.photo_id >= 0).all()
    assert (drawn.instance_id < 0).any(dim=(1, 2)).all() and drawn.rgb.std() > 0.1
