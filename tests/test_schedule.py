"""Curricula, strata, the ledger and rare cases: exact counts, whoever draws the images."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.data import DataLoader

import fastsynth as fs
from fastsynth.random import Decisions
from fastsynth.schedule import Ledger, Nested, Rare, Stratified, area_linear, icosphere, views

AXES = {"scale": 3, "view": 4, "turn": 2, "object": 5}


def cells(schedule, indices):
    found = schedule.cell(torch.as_tensor(list(indices)), schedule.slots)
    return found[found >= 0]


@pytest.mark.parametrize("per_image", [1, 7, 40, (3, 5, 8), (40, 7, 41)])
def test_a_pass_holds_every_cell_once_in_order(per_image):
    schedule = Nested(per_image, **AXES)
    assert cells(schedule, range(schedule.images)).tolist() == list(range(120))
    assert cells(schedule, range(2 * schedule.images, 3 * schedule.images)).tolist() == list(range(120))
    cell = torch.arange(120)
    digits = torch.stack([schedule.digit(cell, name) for name in AXES], -1)
    assert torch.equal(digits, torch.cartesian_prod(*(torch.arange(size) for size in AXES.values())))
    assert torch.equal(schedule.digit(cell, ["view", "turn"]), digits[:, 1] * 2 + digits[:, 2])
    if not isinstance(per_image, int):
        for image in range(schedule.images):
            assert schedule.digit(cells(schedule, [image]), "scale").unique().numel() == 1


def test_images_hold_as_many_as_their_shares_allow():
    shares = torch.tensor([0.5, 0.5, 0.5, 2.0, 0.1, 0.1] * 20)  # a scale is 40 of them
    schedule = Nested(3, shares, **AXES)
    images = [cells(schedule, [image]).tolist() for image in range(schedule.images)]
    assert sum(images, []) == list(range(120)) and schedule.slots == 3 == max(map(len, images))
    assert images[:4] == [[0, 1], [2], [3], [4, 5, 6]] and images[4] == [7, 8]
    for image, after in zip(images, images[1:], strict=False):
        assert schedule.digit(torch.tensor(image), "scale").unique().numel() == 1
        fits = len(image) < 3 and shares[[*image, after[0]]].sum() <= 1 and (after[0] % 40)
        assert len(image) == 1 or shares[image].sum() <= 1
        assert not fits


def shelf():
    """Two objects an image at two fixed places, so that a picture's labels say which they were."""
    parts = fs.procedural.primitives()
    schedule = Nested(2, turn=3, kind=5)
    here = fs.Choice([[-0.8, 0.0, 0.0], [0.8, 0.0, 0.0]])
    objects = [
        fs.Objects(parts, schedule.count(), schedule.choice("kind", [4, 3, 2, 1, 0]), here,
                   schedule.choice("turn", [0.0, 0.1, 0.2]))
    ]  # fmt: skip
    here.position = lambda u: torch.arange(u.shape[-1]).expand(u.shape)  # the slot's own place
    scene = fs.Scene(objects, fs.CameraPose(fs.Pinhole.look_at(eye=(0, -4.0, 1), target=(0, 0, 0), fov=0.8)))
    return schedule, scene


def seen(targets):
    """Image, slot and class of every object in targets."""
    return [
        (int(t["image_id"]), int(slot), int(label))
        for t in targets
        for slot, label in zip(t["instance"], t["labels"], strict=True)
    ]


class Shelf:
    """Made anew in every process: a scene that cannot be sent to a worker is no test of one."""

    def __call__(self, batch):
        return [target for _, target in batch]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_draw_each_cell_once(workers):
    schedule, scene = shelf()
    data = fs.SyntheticDataset(scene, schedule.images, size=(24, 48))
    loader = DataLoader(data, 3, shuffle=True, num_workers=workers, collate_fn=Shelf())
    drawn = seen(target for batch in loader for target in batch)
    found = sorted((image * 2 + slot, label) for image, slot, label in drawn)
    assert found == [(cell, 5 - cell % 5) for cell in range(15)]


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_and_resumed_streams_draw_each_cell_once(workers):
    schedule, scene = shelf()
    drawn, wanted = [], 6 * schedule.images
    for rank in range(2):
        stream = fs.SyntheticStream(scene, 4, rank=rank, ranks=2, size=(24, 48))
        loader = iter(DataLoader(stream, batch_size=None, num_workers=workers))
        for _ in range(wanted // 4 // 2):
            drawn += seen(next(loader)[1])
        del loader
    images = sorted(image for image, slot, _ in drawn if slot == 0)
    assert images == list(range(wanted))
    again = fs.SyntheticStream(scene, 4, rank=0, ranks=1, size=(24, 48))
    again.load_state_dict({"seed": 0, "drawn": wanted // 4 - 2})
    resumed = iter(DataLoader(again, batch_size=None))
    late = seen(next(resumed)[1]) + seen(next(resumed)[1])
    assert sorted(late) == sorted(row for row in drawn if row[0] >= wanted - 8)
    place = {(image % schedule.images) * 2 + slot: label for image, slot, label in drawn}
    assert place == {cell: 5 - cell % 5 for cell in range(15)}


def test_scheduled_draws_are_noted_and_repeated_over_tries():
    schedule = Nested(3, kind=7)
    choice = schedule.choice("kind", torch.arange(21.0).view(7, 3))
    decisions = Decisions()
    noise = fs.Noise(0, torch.tensor([0, 2, 5]), decisions=decisions, names={choice: "which"})
    tried = choice.sample(noise, (10, 3))
    assert tried.shape == (3, 10, 3, 3) and (tried == tried[:, :1]).all()
    assert torch.equal(decisions.named["which"], tried[:, 0])
    assert tried[1, 0, 0].tolist() == [18, 19, 20]
    assert choice.sample(noise).shape == (3, 3)
    assert schedule.count().sample(noise).tolist() == [3, 1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Nested(2), "at least one axis"),
        (lambda: Nested(2, a=0), "at least one axis"),
        (lambda: Nested((1, 2), a=3), "3 values of the first axis"),
        (lambda: Nested(2, share=[0.1], a=3), r"each of the 3 cells, but has shape \[1\]\."),
        (lambda: Nested(2, share=[0.1, -1.0, 0.1], a=3), "below 0"),
        (lambda: Nested(2, share=[0.1, float("nan"), 0.1], a=3), "below 0"),
        (lambda: Nested(2, a=3).choice("b", [1]), "no axis 'b'. Axes: a"),
        (lambda: Nested(2, a=3).choice("a", [1]), "each of the 3 of a, but holds 1"),
        (lambda: icosphere(9), "0 to 7"),
        (lambda: views(0, 0), "at least 1"),
        (lambda: area_linear(1.0, 0.0, 3), "0 < smallest"),
        (lambda: Stratified([1, 2], strata=0), "1 to 4096"),
        (lambda: Rare([1, 2], [0.9, 0.1], [1.0, 0.0]), "must be drawn at times"),
        (lambda: Rare([1, 2], [0.9, 0.1, 0.0]), "one number, >= 0"),
        (lambda: Ledger(fs.procedural.primitives(), [0, 9]), "rows of the 6 meshes"),
        (lambda: Ledger(fs.procedural.primitives(), [0, 1], [1, 1, 1, 0, 0, 0]), "none of `meshes` has"),
        (lambda: Ledger(fs.procedural.primitives(), mix=[1, 1]), "each of the 6 classes"),
    ],
)
def test_errors_say_what_is_wrong(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_an_icosphere_is_even_and_nested(level):
    points = icosphere(level)
    assert len(points) == 10 * 4**level + 2
    torch.testing.assert_close(points.norm(dim=1), torch.ones(len(points)))
    assert points.sum(0).abs().max() < 1e-4
    nearest = (points @ points.T - 2 * torch.eye(len(points))).amax(1).acos()
    assert nearest.max() / nearest.min() < 1.2
    assert torch.equal(icosphere(level + 1)[: len(points)], points)


def test_views_look_from_the_icosphere_with_z_up():
    table = views(1, 4)
    torch.testing.assert_close(table @ table.transpose(-1, -2), torch.eye(3).expand_as(table))
    assert (torch.linalg.det(table) > 0).all()
    # The camera looks along +z: the direction towards it, seen from the object, is the third row turned around.
    for step in range(4):
        torch.testing.assert_close(-table[:, step, 2], icosphere(1))
    up = table[:, 0, :, 2]  # z of the object in the camera's frame: y points down
    assert (up[:, 1] <= 1e-5).all() and (up[:, 0].abs() < 1e-5)[icosphere(1)[:, 2].abs() < 0.99].all()
    # A quarter turn, clockwise as seen: what pointed up (-y) points to the right (+x).
    level = icosphere(1)[:, 2].abs() < 0.1
    torch.testing.assert_close(table[level, 1, 0, 2], -table[level, 0, 1, 2])


def test_area_linear_covers_equal_steps():
    radius, distances = 0.3, area_linear(0.8, 0.2, 6, 0.3)
    areas = [math.tan(math.asin(radius / d)) ** 2 for d in distances]
    steps = [a - b for a, b in zip(areas, areas[1:], strict=False)]
    assert max(steps) / min(steps) == pytest.approx(1) and areas[-1] / areas[0] == pytest.approx(0.2)


@pytest.mark.parametrize(("values", "slots"), [(5, 1), (7, 3), (64, 9), (3, 10)])
def test_every_block_of_draws_holds_each_value_once(values, slots):
    choice = Stratified(range(values))
    images = -(-6 * values // slots)
    drawn = choice.sample(fs.Noise(3, torch.arange(images)), slots).flatten()[: 6 * values].view(6, values)
    assert torch.equal(drawn.sort(1).values, torch.arange(values).expand(6, values))
    assert (drawn != torch.arange(values)).any() and (drawn[0] != drawn[1]).any()
    some = torch.tensor([images - 1, 0, 1])
    whole = choice.sample(fs.Noise(3, torch.arange(images)), slots)
    assert torch.equal(choice.sample(fs.Noise(3, some), slots), whole[some])


def test_weights_of_strata_are_kept_in_every_block():
    choice = Stratified([0, 1, 2], weights=[0.5, 0.3, 0.2], strata=100)
    drawn = choice.sample(fs.Noise(0, torch.arange(1000)), 5).view(50, 100)
    for value, share in enumerate((50, 30, 20)):
        assert torch.equal((drawn == value).sum(1), torch.full((50,), share))
    odd = Stratified([0, 1], weights=[1, 2], strata=10).sample(fs.Noise(0, torch.arange(6000))).view(600, 10)
    assert set((odd == 0).sum(1).tolist()) == {3, 4} and abs((odd == 0).float().mean() - 1 / 3) < 0.004


def test_a_ledger_corrects_what_filters_take_away():
    """An unbalanced recipe: each class has its own odds of being seen, down to one in ten."""
    parts = fs.procedural.products(2, texture_size=16, lod=False)
    mix = torch.tensor([3.0, 1, 1, 1, 2])
    ledger = Ledger(parts, mix=mix)
    objects = fs.Objects(parts, 3, ledger)
    scene = fs.Scene(objects)
    odds = torch.tensor([0.1, 0.9, 0.5, 1.0, 0.2])
    plain = torch.zeros(5)
    for step in range(40):
        batch = scene.sample(torch.arange(250) + 250 * step)
        kind = parts.mesh_class[batch.mesh_id.long()].long()
        luck = fs.Noise(9, torch.arange(250) + 250 * step).uniform(3, "luck")
        ledger.count(batch.mesh_id, luck < odds[kind])
        free = fs.Objects(parts, 3).choice.sample(fs.Noise(1, torch.arange(250) + 250 * step), 3)
        plain += torch.bincount(parts.mesh_class[free][luck < odds[parts.mesh_class[free].long()]].long(), minlength=5)
    share = ledger.seen / ledger.seen.sum()
    assert ((share - mix / mix.sum()).abs() / (mix / mix.sum())).max() < 0.01  # within 1 % of the target mix
    assert ((plain / plain.sum() - mix / mix.sum()).abs()).max() > 0.1  # what it had to correct
    assert int(ledger.drawn.sum()) == 30000


def test_a_ledger_counts_in_streams_of_ranks_and_resumes():
    parts = fs.procedural.primitives()
    seen = torch.zeros(6)
    for rank in range(2):
        ledger = Ledger(parts)
        scene = fs.Scene(fs.Objects(parts, 4, ledger, fs.Uniform((-1, -1, -1), (1, 1, 1)), scale=0.5))
        stream = iter(fs.SyntheticStream(scene, 50, rank=rank, ranks=2, size=(32, 32), min_visible=0.6, padded=True))
        valid = sum(int(next(stream)[1]["valid"].sum()) for _ in range(12))
        assert int(ledger.seen.sum()) == valid and int(ledger.drawn.sum()) == 12 * 50 * 4
        seen += ledger.seen
    assert (seen / seen.sum() * 6 - 1).abs().max() < 0.03
    counted = ledger.seen.clone()
    ledger.count(torch.tensor([[-1, len(parts), 0]], dtype=torch.int32), torch.ones(1, 3, dtype=torch.bool))
    assert (ledger.seen - counted).tolist() == [1, 0, 0, 0, 0, 0]  # nothing for an empty slot, or what a scene adds
    kept = {name: value.clone() for name, value in scene.state_dict().items()}
    expected = scene.sample(8).mesh_id
    ledger.count(torch.zeros(999, 1, dtype=torch.int32), torch.ones(999, 1, dtype=torch.bool))
    assert not torch.equal(scene.sample(8).mesh_id, expected)
    scene.load_state_dict(kept)
    assert torch.equal(scene.sample(8).mesh_id, expected)


def test_importance_weights_undo_the_boost():
    fog = Rare([0.0, 0.5, 1.0], natural=[0.9, 0.09, 0.01], weights=[1, 1, 1])
    decisions = Decisions()
    noise = fs.Noise(0, torch.arange(60000), decisions=decisions, names={fog: "fog"})
    drawn = fog.sample(noise)
    weight = decisions.named["fog.importance"]
    assert weight.shape == (60000,) and abs(weight.mean() - 1) < 0.02
    for value, share in ((0.0, 0.9), (0.5, 0.09), (1.0, 0.01)):
        assert abs((weight * (drawn == value)).mean() - share) < 0.02 * share + 0.001
        assert abs((drawn == value).float().mean() - 1 / 3) < 0.01
