"""Limits of overlap and truncation, occluders, and clutter that covers every pixel."""

from __future__ import annotations

import functools

import pytest
import torch

import fastsynth as fs
from fastsynth.randomizers.coverage import in_camera
from fastsynth.randomizers.packing import towards

HALF = torch.tensor([[0.5], [0.5], [1.0]])


@functools.cache
def products():
    return fs.procedural.products(4, texture_size=16)


def camera():
    return fs.Camera(distance=0.0, azimuth=-torch.pi / 2, elevation=0.0, fov=fs.Uniform(0.6, 0.75))


def packed(count=12, depth=(0.6, 1.2), **options):
    place = fs.FrustumPosition(fs.Uniform(*depth), margin=-0.1)
    return fs.Packed(products(), count, position=place, rotation=fs.UniformRotation(), **options)


def worst(batch, size):
    """Overlap of every pair, truncation of every object, by amodal masks; and how many objects there are."""
    height, width = size
    own = fs.render(batch, size, ("amodal_masks", "total_pixels"))
    around = fs.render(batch.replace(intrinsics=batch.intrinsics * HALF), (2 * height, 2 * width), ("total_pixels",))
    masks = own.amodal_masks.flatten(2).float()
    smaller = torch.minimum(own.total_pixels[:, :, None], own.total_pixels[:, None]).clamp(min=1)
    overlap = (masks @ masks.transpose(1, 2) / smaller).triu(1)
    there = batch.mesh_id >= 0
    cut = torch.where(there, 1 - own.total_pixels / around.total_pixels.clamp(min=1), 0)
    return overlap, cut, int(there.sum())


def test_ten_thousand_objects_keep_the_limits():
    scene = fs.Scene([packed(), fs.Limits(rows=64)], camera())
    objects, seen_overlap, seen_cut, lost = 0, 0.0, 0.0, 0
    for first in range(0, 1000, 250):
        batch = scene.sample(torch.arange(250) + first, aspect=1.0)
        overlap, cut, there = worst(batch, (64, 64))
        assert overlap.max() <= 0.30 and cut.max() <= 0.50
        objects, lost = objects + there, lost + 3000 - there
        seen_overlap, seen_cut = max(seen_overlap, float(overlap.max())), max(seen_cut, float(cut.max()))
    assert objects > 10000 and lost < 0.1 * 12000
    assert seen_overlap > 0.2 and seen_cut > 0.4  # the limits are used


def test_limits_take_out_what_breaks_them_and_nothing_else():
    crowd = packed(9, (0.5, 0.5), overlap=1.0, truncation=1.0)
    free = fs.Scene([crowd], camera()).sample(64)
    held = fs.Scene([crowd, fs.Limits(0.3, 0.5, rows=48)], camera()).sample(64)
    overlap, cut, before = worst(free, (48, 48))
    kept_overlap, kept_cut, after = worst(held, (48, 48))
    assert overlap.max() > 0.6 and cut.max() > 0.6 and kept_overlap.max() <= 0.3 and kept_cut.max() <= 0.5
    kept = held.mesh_id >= 0
    assert 0 < after < before and torch.equal(held.mesh_id[kept], free.mesh_id[kept])
    # Each that went was cut off, or overlaps an earlier one that stayed.
    pairs = overlap + overlap.transpose(1, 2)
    earlier = torch.ones(9, 9, dtype=torch.bool).tril(-1)
    clash = ((pairs > 0.3) & earlier & kept[:, None]).any(2)
    assert torch.equal(kept, (free.mesh_id >= 0) & (cut <= 0.5) & ~clash)


def test_packed_objects_nearly_never_break_a_limit_by_themselves():
    batch = fs.Scene([packed(10, (0.7, 0.8))], camera(), lod=0.0).sample(200)
    overlap, cut, there = worst(batch, (96, 96))
    assert ((overlap > 0.3).sum() + (cut > 0.5).sum()) <= 0.002 * there
    loose = fs.Scene([packed(10, (0.7, 0.8), overlap=1.0, truncation=1.0)], camera()).sample(200)
    more, cut_off, all_ = worst(loose, (96, 96))
    assert (more > 0.3).sum() > 0.2 * all_ and (cut_off > 0.5).any()


def test_an_object_shows_the_same_side_wherever_it_is():
    batch = fs.Scene([packed(10, (1.0, 1.0))], camera()).sample(32)
    seen = in_camera(batch)
    there = batch.mesh_id >= 0
    turn = torch.linalg.inv(towards(seen.middle)) @ batch.camera_from_world[:, None, :3, :3]
    on_axis = turn @ batch.world_from_object[..., :3, :3]
    plain = packed(10, (1.0, 1.0), facing=False)
    straight = fs.Scene([plain], camera()).sample(32)
    expected = straight.camera_from_world[:, None, :3, :3] @ straight.world_from_object[..., :3, :3]
    both = there & (straight.mesh_id >= 0)
    torch.testing.assert_close(on_axis[both], expected[both], atol=2e-5, rtol=0)


def test_an_image_does_not_depend_on_the_batch_around_it():
    clutter = fs.Clutter(products(), range(5, 20))
    scene = fs.Scene([packed(6), fs.Limits(), fs.Occluders(products()), clutter], camera())
    whole, some = scene.sample(9), scene.sample([7, 2])
    for name, value in some.tensors().items():
        assert torch.equal(value, whole.tensors()[name][[7, 2]]), name


def background(passes=4, scale=0.4, **options):
    parts = products()
    front = fs.Objects(parts, 4, range(5), fs.FrustumPosition(0.35 / scale), fs.UniformRotation())
    return fs.Scene([front, fs.Clutter(parts, range(5, 20), passes=passes, **options)], camera())


@pytest.mark.parametrize("aspect", [1.0, 16 / 9])
@pytest.mark.parametrize("scale", [0.25, 0.6])
def test_clutter_covers_every_pixel_of_a_thousand_images(scale, aspect):
    scene, size = background(scale=scale, models=64 if scale > 0.3 else 120), (54, round(54 * aspect))
    share = 0.0
    for first in range(0, 252, 84):
        batch = scene.sample(torch.arange(84) + first, aspect=aspect)
        wall = batch.instances - 1
        # The objects are taken out: what is behind them is covered too.
        bare = batch.replace(mesh_id=torch.cat([torch.full_like(batch.mesh_id[:, :4], -1), batch.mesh_id[:, 4:]], 1))
        ids = fs.render(bare, size, ("instance_id",)).instance_id
        assert (ids >= 4).all()
        share += float((ids == wall).float().mean()) / 3
    assert share < 0.01  # the wall fills cracks; models do the rest


def test_clutter_is_as_large_as_was_asked_and_lies_behind():
    batch = background(size=fs.Uniform(0.9, 1.5)).sample(64)
    seen = in_camera(batch)
    front = seen.size[:, :4].mean(1, keepdim=True)
    there = batch.mesh_id[:, 4:-1] >= 0
    ratio = (seen.size[:, 4:-1] / front)[there]
    assert ratio.min() > 0.9 * 0.999 and ratio.max() < 1.5 * 1.001 and abs(ratio.mean() - 1.2) < 0.05
    ids = fs.render(batch, (64, 64), ("instance_id", "amodal_masks") if batch.instances <= 64 else ("instance_id",))
    alone = fs.render(batch.replace(mesh_id=batch.mesh_id[:, :4].contiguous(),
                                    **{name: getattr(batch, name)[:, :4].contiguous()
                                       for name in ("world_from_object", "base_color", "metallic", "roughness",
                                                    "texture_id")}), (64, 64), ("instance_id",))  # fmt: skip
    hit = alone.instance_id >= 0
    assert torch.equal(ids.instance_id[hit], alone.instance_id[hit])


def test_more_passes_leave_less_to_the_wall():
    shares = []
    for passes in (1, 2, 4):
        batch = background(passes).sample(64)
        ids = fs.render(batch, (48, 48), ("instance_id",)).instance_id
        shares.append(float((ids == batch.instances - 1).float().mean()))
    assert shares[0] > shares[1] > shares[2] and shares[0] > 0.05 and shares[2] < 0.004


def test_meshes_without_class_are_drawn_but_no_targets():
    parts = fs.Assets.concatenate([fs.procedural.primitives(), products().unlabelled()])
    front = fs.Objects(parts, 3, range(5), scale=0.7)
    scene = fs.Scene([front, fs.Occluders(parts, range(6, 26), probability=1.0), fs.Clutter(parts, range(6, 26))])
    frames = fs.render(scene.sample(8), (48, 48), ("instance_id", "semantic_id", "boxes_2d_tight", "visible_pixels"))
    assert parts.class_names == fs.procedural.primitives().class_names
    assert (frames.instance_id >= 3).any() and (frames.semantic_id[frames.instance_id >= 3] == -1).all()
    for target in frames.targets():
        assert (target["instance"] < 3).all() and target["labels"].max() <= 5
    clutter = frames.batch.mesh_id[:, 3:6]
    assert (clutter >= 6).all()  # one occluder for each object, none for an occluder


@pytest.mark.parametrize("part", [packed(), fs.Limits(), fs.Clutter(products())], ids=["Packed", "Limits", "Clutter"])
def test_a_lens_is_refused(part):
    lens = fs.Camera(fov=1.0, lens=fs.Lens("radial_tangential", (0.1, 0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="this one has a lens"):
        fs.Scene([fs.Objects(products()), part] if part.assets is None else [part], lens).sample(1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: packed(overlap=1.5), "`overlap` must be a part"),
        (lambda: packed(tries=0), "at least 1"),
        (lambda: fs.Limits(truncation=-1), "`truncation` must be a part"),
        (lambda: fs.Limits(rows=7), "even number"),
        (lambda: fs.Occluders(products(), probability=2), "lie in"),
        (lambda: fs.Occluders(products(), depth=0), "above 0"),
        (lambda: fs.Clutter(products(), passes=0), "at least 1"),
        (lambda: fs.Clutter(products(), models=3), "at least 9"),
    ],
)
def test_errors_say_what_is_wrong(make, words):
    with pytest.raises(ValueError, match=words):
        make()
