"""What a recipe promises, whatever it draws."""

from __future__ import annotations

import pytest
import torch

import fastsynth as fs
from fastsynth.recipes import OFF, Numbers, Recipe, ours, paper


def toy(without=()):
    n = Numbers({"count": paper((1, 5), "section 3"), "shade": ours((0.2, 1.0))})
    low, high = n["count"]
    axes = {"count": {"objects.count": 2}, "lights": {"light.0": OFF, "light.2": OFF}, "color": {"paint": OFF}}
    return Recipe(
        "toy",
        1,
        "Nobody 2026",
        n,
        (32, 32),
        axes,
        without,
        label=lambda frames: {"centre": frames.batch.world_from_object[..., :3, 3]},
        label_outputs=("depth",),
        objects=fs.Objects(fs.procedural.primitives(), count=fs.Choice(range(low, high + 1))),
        light=[fs.PointLight(position=fs.Uniform((0, 0, 1), (1, 1, 2))), fs.DirectionalLight()],
        paint=fs.Materials(base_color=fs.Uniform(*n["shade"])),
    )


def test_params_hold_every_draw_and_replay_it():
    recipe = toy()
    batch = recipe.sample(8, seed=3)
    random = {path for path, part in recipe.distributions().items() if not isinstance(part, fs.Constant)}
    assert random and set(batch.params) == random
    again = toy().sample([5], seed=3)
    for name, value in batch.params.items():
        assert torch.equal(again.params[name], value[5:6]), name
    assert torch.equal(batch.params["objects.count"], (batch.mesh_id >= 0).sum(1))


def test_an_axis_that_is_off_leaves_all_other_draws_alone():
    whole, plain = toy().sample(16), toy(["count"]).sample(16)
    assert (plain.mesh_id >= 0).sum(1).eq(2).all()
    assert set(whole.params) - set(plain.params) == {"objects.count"}
    for name, value in plain.params.items():
        assert torch.equal(value, whole.params[name]), name
    bare = toy(["color"]).sample(16)
    assert torch.equal(bare.world_from_object, whole.world_from_object) and (bare.base_color == 1).all()


def test_wrong_axes_are_refused():
    with pytest.raises(ValueError, match="'weather' is none. There are: count, lights, color"):
        toy(["weather"])
    with pytest.raises(AttributeError):
        toy(["lights"])  # one of its paths leads nowhere


def test_labels_come_with_the_targets():
    recipe = toy()
    dataset = fs.SyntheticDataset(recipe, 10, size=recipe.size, annotations=("params",))
    image, target = dataset[7]
    assert image.shape == (3, 32, 32) and target["centre"].shape == (5, 3)
    assert torch.equal(target["params"]["camera.azimuth"], recipe.sample([7]).params["camera.azimuth"][0])
    padded = fs.SyntheticDataset(recipe, 10, size=recipe.size, annotations=("params",), padded=True)
    _, targets = fs.collate(padded.__getitems__([7, 8]))
    assert targets["centre"].shape == (2, 5, 3) and targets["params"]["objects.count"].shape == (2,)


def test_numbers_say_whose_they_are():
    recipe = toy()
    assert recipe.table()[0] == ("count", "(1, 5)", "paper", "section 3")
    assert recipe.numbers.used == set(recipe.numbers)
