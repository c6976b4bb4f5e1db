"""Every cell of `published_axes`: what the table says of a recipe is true of what it draws."""

from __future__ import annotations

import fnmatch
import functools
import math
import re
from pathlib import Path

import published_axes as published
import pytest
import torch

import fastsynth as fs
from fastsynth.recipes import RECIPES

IMAGES = 256
VALUE = re.compile(r"(\S+)(?: (-?[\d.]+) to (-?[\d.]+)| ±([\d.]+))?(°?)(?:,? (\d+) values)?")


@functools.cache
def drawn(recipe):
    """The recipe, and images of it: of a schedule, from its beginning to its end."""
    made = RECIPES[recipe]()
    last = made.schedule.images - 1 if hasattr(made, "schedule") else IMAGES - 1
    index = torch.linspace(0, last, IMAGES).long()
    return made, made.sample(index, aspect=made.size[1] / made.size[0])


def moves(value):
    return (value != value[:1]).any()


def kinds(value):
    return value[value >= 0].unique().numel()


def picture(batch, size=(36, 54), **changes):
    return fs.render(batch[:8].replace(**changes), size).rgb


def rough(batch, *slots):
    """The picture changes when these surfaces lose their gloss."""
    value = torch.full_like(batch.roughness[:8], -1.0)
    value[:, list(slots) or slice(None)] = 1.0
    return not torch.equal(picture(batch), picture(batch, roughness=value))


def evenly(batch):
    """Each class but the last, which is no target, as often as chance makes it."""
    chosen = batch.params.get("objects.targets", batch.params.get("objects.0.choice"))
    often = batch.assets.mesh_class[chosen].flatten().bincount(minlength=len(batch.assets.class_names) - 1).float()
    return (often - often.mean()).abs().max() < 4 * often.mean().sqrt()


def everywhere(batch):
    """The first object's place in the picture, of 4 : 3."""
    at = (batch.camera_from_world @ batch.world_from_object[:, 0])[:, :3, 3]
    place = at[:, :2] / at[:, 2:] * batch.intrinsics[:, 0, :1] / torch.tensor([4 / 3, 1.0])  # -0.5 to 0.5
    return (place.amin(0) < -0.3).all() and (place.amax(0) > 0.3).all()


def limited(batch):
    """The border cuts some cars off by more than 0.3, which are no targets where that is the limit."""
    frames = fs.render(batch, (36, 54), ("instance_id", "boxes_2d_loose"))
    every, held = (fs.annotate.kept(frames, max_truncation=most) for most in (1.0, 0.3))
    return torch.equal(held, every & (fs.annotate.truncation(frames) <= 0.3)) and held.any() and (every & ~held).any()


def hiding(batch):
    """More is seen of cars where there is nothing else."""
    bare = batch.replace(mesh_id=torch.where(torch.arange(batch.instances) < 14, batch.mesh_id, -1))
    seen, whole = (fs.render(each[:32], (40, 120), ("visible_pixels",)).visible_pixels for each in (batch, bare))
    return (seen < whole)[:, :14].sum() > 10


def aslant(_):
    """Between the axes of packages, where all stand, and the rays that they are seen along."""
    batch = fs.recipes.vending_fisheye(without=["lying"]).sample(IMAGES)
    at = (batch.camera_from_world[:, None] @ batch.world_from_object)[..., :3, 3]
    angle = torch.atan2(at[..., :2].norm(dim=-1), at[..., 2])[:, :-1][batch.mesh_id[:, :-1] >= 0].rad2deg()
    return angle.min() < 5 and 42 < angle.max() <= 44


def one_noise(batch):
    """Of the same strength on all three layers, where it does not leave [0, 1]."""
    noisy = fs.render(batch[:16], (96, 128), ("rgb", "instance_id"))
    clean = fs.render(batch[:16].replace(effects=()), (96, 128)).rgb
    layer = batch.layer[:16].gather(1, noisy.instance_id.flatten(1).long()).view_as(noisy.instance_id)
    part = (noisy.rgb - clean) / batch.params["noise.sigma"][:16, None, None, None]
    inside = (clean > 0.1) & (clean < 0.9)
    return all(abs(part[inside & (layer == row)[:, None]].std() - 1) < 0.03 for row in range(3))


SAVED, PASTE, EYES = "test_recipe_annotation_saved.py", "test_recipe_pasting.py", "test_unity_eyes.py"
A_PASS = f"{SAVED}::test_a_pass_draws_every_object_in_every_pose_at_every_scale_once"
LIMITS = f"{SAVED}::test_every_pixel_is_covered_and_limits_hold"
LAYERS = f"{SAVED}::test_layers_lie_in_front_of_each_other_and_only_targets_are_labelled"
DRIVE, TABLE = "test_recipe_matrix_drive.py", "test_recipe_tobin_tabletop.py"
LIDS = f"{EYES}::test_lids_lie_on_the_eyeball_and_follow_the_gaze"
OFF = f"{EYES}::test_axes_that_are_off_change_the_picture_alone_where_they_should"
SOLIDS = f"{TABLE}::test_one_target_and_others_apart_on_the_table"
PHOTOS = "test_recipe_tremblay_cars.py::test_everything_wears_a_photograph_but_where_it_is_off"
CIRCLE = "test_recipe_vending_fisheye.py::test_the_whole_circle_is_in_the_picture_and_soft_packages_bend"
TESTS = {
    "a box of 10 x 5 x 10 cm": f"{TABLE}::test_cameras_stay_in_their_box_and_turn_as_said",
    "a closed cabinet": CIRCLE,
    "a layer in front": LAYERS,
    "a pool of ten": f"{TABLE}::test_every_type_of_noise_and_texture_comes",
    "a quarter of it": f"{PASTE}::test_no_box_leaves_the_picture_beyond_the_limit",
    "all draws": "test_recipes.py::test_params_hold_every_draw_and_replay_it",
    "all of five blends": f"{PASTE}::test_the_same_scene_with_every_blend",
    "another face than the mean": f"{OFF}[shape]",
    "any of 8 solids": f"{TABLE}::test_the_target_is_any_of_the_solids_when_asked",
    "apart on lanes": f"{DRIVE}::test_vehicles_stand_on_lanes_and_do_not_touch",
    "apart on the shelf": "test_recipe_vending_fisheye.py::test_packages_stand_apart_on_the_shelf",
    "apart on the table": SOLIDS,
    "as many as find room": f"{SAVED}::test_an_image_holds_as_many_as_find_room",
    "boxes a little wrong": "test_effects_functions.py::test_boxes_are_a_little_wrong",
    "each object in each pose": A_PASS,
    "each skin's own displacement": f"{EYES}::test_skin_is_displaced_by_its_map",
    "each with its fit": "test_recipe_rozantsev.py::test_a_background_goes_with_all_that_was_fitted_to_it",
    "every pixel covered": LIMITS,
    "exact": "test_recipes_all.py::test_labels_are_exact[{}]",
    "grey with `gray`": f"{EYES}::test_grey_pictures_have_one_channel_and_the_same_labels",
    "grey, and noise on the object": "test_recipe_rozantsev.py::test_patches_are_grey_and_noise_is_the_objects",
    "half are flipped": PHOTOS,
    "half of it": LIMITS,
    "half the photographs": PHOTOS,
    "landmarks with depth": f"{EYES}::test_gaze_is_recovered_from_the_iris",
    "lids follow the gaze": LIDS,
    "lying on all sides": "test_recipe_vending_fisheye.py::test_packages_lie_on_all_sides_within_the_cabinet",
    "lids on the eyeball": LIDS,
    "its own light": f"{DRIVE}::test_every_hour_and_weather_has_its_own_light",
    "models without labels": LAYERS,
    "one target": SOLIDS,
    "other than with index 1": f"{OFF}[refraction]",
    "the glow where the sun is": f"{DRIVE}::test_the_sky_glows_where_the_sun_is",
    "overlap up to 0.3": LIMITS,
    "overlap up to 0.75": f"{PASTE}::test_no_box_is_covered_beyond_the_limit",
    "rain wets everything": f"{DRIVE}::test_paint_is_the_vehicles_alone_and_rain_wets_everything",
    "photographs in place of models": f"{SAVED}::test_photographs_can_be_in_place_of_models",
    "ranges of the generator": f"{EYES}::test_ranges_are_those_of_the_generator",
    "soft packages bend": CIRCLE,
    "steps of equal area": A_PASS,
    "20 components": f"{EYES}::test_the_shape_model_is_one",
}
PROPERTIES = {
    "32 skies": lambda b: kinds(b.environment_id) == 32,
    "33 products in 2 views": lambda b: (
        kinds(b.params["objects.targets"]) == 66
        and len({b.assets.mesh_names[row].rsplit("_", 1)[0] for row in b.params["objects.targets"].unique()}) == 33
    ),
    "a limit on targets": limited,
    "a fisheye's equation": lambda b: b.lens == "fisheye",
    "a wet eyeball": lambda b: rough(b, 1),
    "any of `assets`": lambda _: kinds(fs.recipes.rozantsev_uav(fs.procedural.primitives()).sample(64).mesh_id) == 6,
    "anywhere in the picture": everywhere,
    "classes evenly": evenly,
    "distractors hide cars": hiding,
    "glossy packages": lambda b: rough(b, *range(b.instances - 1)),
    "index 1.3": lambda b: (next(s.values["ior"] for s in b.effects if "ior" in s.values) == 1.3).all(),
    "labels on all packages": lambda b: (b.assets.material_textures[:24, 0] >= 0).all(),
    "near before far": lambda b: (b.params["objects.0.position.depth"][:, 0].diff() >= 0).all(),
    "one drone": lambda b: b.instances == 1 and (b.mesh_id == 0).all(),
    "one for all images": lambda b: len(b.intrinsics.unique(dim=0)) == 1,
    "one strip": lambda b: (b.light_kind > 0).all() and len(b.light_position[..., 2].unique()) == 1,
    "one, and a panorama": lambda b: (b.light_kind > 0).sum(1).eq(1).all() and (b.environment_id >= 0).all(),
    "soft shadows": lambda b: (
        (b.light_shadow > 0).all() and not torch.equal(picture(b), picture(b, light_shadow=None, shadow_columns=None))
    ),
    "table, floor, walls, robot": lambda b: (b.mesh_id[:, 11:] >= 0).all() and b.instances == 15,
    "the same noise on all layers": one_noise,
    "up to 44° aslant": aslant,
}


def check(recipe, proof):
    """Raise an AssertionError unless the proof holds."""
    made, batch = drawn(recipe)
    first, _, rest = proof.partition(" ")
    size = (80, round(80 * made.size[1] / made.size[0]))
    if first == "missing:":
        assert len(rest) > 20 and rest.endswith("."), "no reason"
    elif first == "without":
        assert rest in made.axes, "no such axis"
        full, bare = (each.sample(8, aspect=size[1] / size[0]) for each in (made, RECIPES[recipe](without=(rest,))))
        assert not torch.equal(fs.render(full, size).rgb, fs.render(bare, size).rgb), "pictures stay the same"
    elif first == "label":
        frames = fs.render(batch[:4], size, ("boxes_2d_tight", "instance_id", "depth", *made.label_outputs))
        labels = {**frames.outputs, **made.labels(frames)}
        assert rest in labels and len(labels[rest]) == 4 and moves(labels[rest]), "no such label, or always the same"
    elif proof in TESTS:
        check_test(*re.fullmatch(r"(.+)::(\w+)(?:\[(\w+)\])?", TESTS[proof].format(recipe)).groups())
    elif "." in first:
        check_value(batch.params, *VALUE.fullmatch(proof).groups())
    else:
        assert proof in PROPERTIES, "no such words"
        assert PROPERTIES[proof](batch), "does not hold"


def check_test(file, name, row):
    # The text alone: to import a test takes longer than all proofs together.
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    before, found, _ = text.partition(f"\ndef {name}(")
    assert found, "no such test"
    marks = before.rpartition("\n\n\n")[2]
    rows = {*re.findall(r'"(\w+)"', marks), *(RECIPES if "@every" in marks else ())}
    assert row is None or row in rows, "no such row of the test"


def check_value(params, path, low, high, half, degrees, count):
    found = fnmatch.filter(params, path)
    assert found, "nothing of this name is drawn"
    for value in (params[name] for name in found):
        assert moves(value), "the same in every image"
        assert count is None or value.unique().numel() == int(count), f"has {value.unique().numel()} values"
        if half or low:
            ends = (-float(half), float(half)) if half else (float(low), float(high))
            low_end, high_end = (math.radians(end) if degrees else end for end in ends)
            slack, least, most = 0.05 * (high_end - low_end), float(value.min()), float(value.max())
            assert low_end - 1e-5 <= least <= low_end + slack, f"from {least:g} on"
            assert high_end - slack <= most <= high_end + 1e-5, f"up to {most:g}"


@pytest.mark.parametrize("column", published.COLUMNS)
def test_every_cell_is_proven(column):
    wrong = []
    for (axis, _), cells in [item for table in published.TABLES.values() for item in table.items()]:
        for proof in cells[column].split("; ") if column in cells else ():
            try:
                check(published.COLUMNS[column], proof)
            except AssertionError as error:
                wrong.append(f"{axis}: {proof}: {error}")
    assert not wrong, "\n".join(wrong)


def test_every_marked_cell_has_a_proof_and_no_other():
    assert set(published.COLUMNS.values()) == set(RECIPES)
    for (axis, marks), cells in [item for table in published.TABLES.values() for item in table.items()]:
        assert len(marks) == len(published.COLUMNS) and set(marks) <= set("●○-"), axis
        assert {name for name, mark in zip(published.COLUMNS, marks) if mark != "-"} == set(cells), axis


@pytest.mark.parametrize(
    ("recipe", "proof", "why"),
    [
        ("rozantsev_uav", "objects.choice", "same in every image"),
        ("tobin_tabletop", "light.0.color", "nothing of this name"),
        ("tobin_tabletop", "objects.0.count 1 to 10", "up to 11"),
        ("tobin_tabletop", "camera.1.pan ±0.2", "from -0"),
        ("tobin_tabletop", "materials.pattern.kind 4 values", "has 3 values"),
        ("tobin_tabletop", "without weather", "no such axis"),
        ("tobin_tabletop", "label pose", "no such label"),
        ("tobin_tabletop", "a fisheye's equation", "does not hold"),
        ("tobin_tabletop", "missing: ", "no reason"),
    ],
)
def test_a_wrong_proof_is_found(recipe, proof, why):
    with pytest.raises(AssertionError, match=why):
        check(recipe, proof)


def test_a_test_that_is_not_there_is_found(monkeypatch):
    monkeypatch.setitem(TESTS, "one target", "test_recipe_tobin_tabletop.py::test_nothing")
    monkeypatch.setitem(TESTS, "exact", "test_recipes_all.py::test_labels_are_exact[nobody]")
    for proof in ("one target", "exact"):
        with pytest.raises(AssertionError, match="no such"):
            check("tobin_tabletop", proof)


def test_an_axis_that_changes_nothing_is_found(monkeypatch):
    whole, _ = drawn("tobin_tabletop")
    monkeypatch.setitem(RECIPES, "tobin_tabletop", lambda without: whole)
    with pytest.raises(AssertionError, match="stay the same"):
        check("tobin_tabletop", "without noise")


def test_the_page_is_what_the_table_writes():
    assert published.PAGE.read_text(encoding="utf-8") == published.page()
