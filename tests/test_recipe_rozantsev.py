"""Drones as a few real images were taken: rows together, grey patches, and what each axis takes away."""

from __future__ import annotations

import pytest
import torch

import fastsynth as fs
from fastsynth.recipes import rozantsev_uav

TABLE = torch.tensor(
    [[0.5, 3.0, 0.3, 0.2, 0.00, 0.9], [1.5, 0.3, 0.3, 2.0, 0.05, 0.2], [0.0, 0.0, 0.0, 1.0, 0.00, 0.5]]
)


def backgrounds():
    shades = [20, 120, 220]
    return fs.Textures.from_images([torch.full((40, 40, 3), s, dtype=torch.uint8) for s in shades], "clamp")


def recipe(**options):
    return rozantsev_uav(photos=backgrounds(), fit=TABLE, **options)


def draw(made, images=24, outputs=("rgb", "instance_id")):
    batch = made.sample(images, 1)
    return batch, fs.render(batch, made.size, outputs)


def test_a_background_goes_with_all_that_was_fitted_to_it():
    batch, frames = draw(recipe())
    rows = batch.params["capture.seed"]
    assert rows.unique().numel() == 3
    assert torch.equal(batch.params["capture.fit"], TABLE[rows])
    assert torch.equal(batch.photo_id.long(), rows)
    assert torch.equal(batch.base_color[:, 0, 0], TABLE[rows, 5])
    corner = frames.rgb[:, :, 0, 0]
    assert torch.allclose(corner, torch.tensor([20, 120, 220])[rows, None] / 255, atol=1e-4)


def test_apart_the_columns_leave_their_rows():
    batch = recipe(joint=False).sample(500, 1)
    fit = batch.params["capture.fit"]
    assert (fit >= TABLE.amin(0)).all() and (fit <= TABLE.amax(0)).all()
    assert fit.unique(dim=0).shape[0] > 400
    assert (torch.corrcoef(fit.T) - torch.eye(6)).abs().max() < 0.15


def test_patches_are_grey_and_noise_is_the_objects():
    made = recipe(without=("boundary_blur", "motion_blur"))
    batch, frames = draw(made, 60)
    red, green, blue = frames.rgb.unbind(1)
    assert frames.rgb.shape[2:] == (40, 40) and torch.equal(red, green) and torch.equal(green, blue)
    clean = fs.render(batch.replace(effects=()), made.size, ("rgb",)).rgb
    grey = fs.effects.grey_of(clean)[:, 0]
    changed = (red - grey).abs()
    on = frames.instance_id >= 0
    assert changed[~on].max() < 1e-6
    noisy = batch.params["capture.seed"] == 1
    assert changed[~noisy].max() < 1e-6
    spread = (red - grey)[noisy][on[noisy]]
    assert spread.std().item() == pytest.approx(0.05, rel=0.05) and abs(spread.mean()) < 0.005


def test_blurs_leave_what_is_far_from_the_object_alone():
    batch, frames = draw(recipe(without=("noise",)), 60)
    clean = fs.effects.grey_of(fs.render(batch.replace(effects=()), (40, 40), ("rgb",)).rgb)
    still = batch.params["capture.seed"] == 2  # sharp and at rest
    assert (frames.rgb - clean)[still].abs().max() < 1e-5
    moving = batch.params["capture.seed"] == 0
    difference = (frames.rgb - clean)[moving, 0].abs()
    near = torch.nn.functional.max_pool2d((frames.instance_id[moving, None] >= 0).float(), 31, 1, 15)[:, 0] > 0
    assert difference.max() > 0.02 and difference[~near].max() < 1e-5


def test_without_the_material_all_reflect_alike():
    batch = recipe(without=("material",)).sample(6)
    assert torch.allclose(batch.base_color[..., :3], TABLE[:, 5].mean())


def test_the_size_of_the_drone_is_that_of_the_numbers():
    made = rozantsev_uav()
    _, frames = draw(made, 64, ("boxes_2d_loose",))
    side = (frames.boxes_2d_loose[..., 2:] - frames.boxes_2d_loose[..., :2]).amax(-1)
    assert 0.4 * 40 < side.min() and side.max() < 0.95 * 40
    middle = (frames.boxes_2d_loose[..., 2:] + frames.boxes_2d_loose[..., :2]) / 2
    assert (middle - 20).abs().max() < 6


def test_wrong_tables_are_refused():
    with pytest.raises(ValueError, match=r"float32 \[3, 6\], a row for each background"):
        rozantsev_uav(photos=backgrounds(), fit=TABLE[:2])
