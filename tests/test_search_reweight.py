"""Search by reweighting: weights against densities, what was hidden found again, and where a round ends."""

from __future__ import annotations

import pytest
import torch
from search_cases import PARTS, points

import fastsynth as fs
from fastsynth import search
from fastsynth.search.reweight import _Pool

pytestmark = pytest.mark.usefixtures("one_thread")


def shown(batch):
    """Pictures of one pixel that show the exposure, the mesh and the white balance of each image."""
    seen = [batch.exposure, (batch.mesh_id == 1).float().mean(1), batch.white_balance[:, 0].log()]
    return torch.stack(seen, 1)[:, :, None, None]


def match_of(scene, images=512, **options):
    return search.Match(shown(scene.sample(images, seed=9)), lambda x: x[:, :, 0, 0], render=shown, **options)


def scene_of(mean=0.0, std=0.5, weights=(1, 1), tint=0.0, count=1):
    return fs.Scene(
        fs.Objects(PARTS, choice=fs.Choice([0, 1], weights), count=count),
        sensor=fs.Sensor(exposure=fs.Normal(mean, std), white_balance=fs.TruncatedNormal(tint, 0.1, -1.0, 1.0)),
    )


def test_what_was_hidden_is_found_with_few_images():
    match = match_of(scene_of(1.2, 0.2, (3, 1), 0.2), held_out=0.0)
    scene = scene_of().learn("sensor.*", "objects.choice")
    history = search.reweight(scene, match, rounds=10, images=64, progress=False)
    found = scene.freeze().to_json()
    assert found["sensor.exposure"]["mean"] == pytest.approx(1.2, abs=0.05)
    assert found["sensor.exposure"]["std"] == pytest.approx(0.2, abs=0.05)
    assert found["sensor.white_balance"]["mean"] == pytest.approx(0.2, abs=0.03)
    weights = found["objects.choice"]["weights"]
    assert weights[0] / sum(weights) == pytest.approx(0.75, abs=0.06)
    assert len(history) == 10 and history.rows()[-1]["loss"] < 0.1 * history.rows()[0]["loss"]


def test_several_draws_an_image():
    match = match_of(scene_of(weights=(4, 1), count=3))
    scene = scene_of(count=3).learn("objects.choice")
    search.reweight(scene, match, rounds=6, images=128, progress=False)
    weights = scene.objects.choice.weights.detach()
    assert weights[0] / weights.sum() == pytest.approx(0.8, abs=0.05)


def test_weights_are_those_of_the_mixture_of_all_rounds():
    scene = scene_of().learn("sensor.exposure")
    match, exposure, pool = match_of(scene_of()), scene.sensor.exposure, _Pool(scene)
    pool.draw(match, torch.arange(2000), 0, 1.0)
    assert torch.allclose(pool.weights(), torch.full((2000,), 1 / 2000), rtol=1e-4)
    with torch.no_grad():
        exposure.learned.centre += 1.0  # by one width: to a mean of 0.5
    pool.draw(match, torch.arange(2000, 4000), 0, 1.0)
    value = pool.values["sensor.exposure"][:, 0]
    first, second = fs.Normal(0.0, 0.5), fs.Normal(0.5, 0.5)
    mixture = (first.log_prob(value).exp() + second.log_prob(value).exp()) / 2
    ratio = second.log_prob(value).exp() / mixture
    torch.testing.assert_close(pool.weights(), ratio / ratio.sum(), rtol=1e-4, atol=1e-8)
    assert (pool.weights() @ value).item() == pytest.approx(0.5, abs=0.03)
    assert pool.covers(1000, 0.9) and not pool.covers(4000, 0.9)
    with torch.no_grad():
        exposure.learned.spread += 3.0  # most of it lies where no image is, which weights of sum 1 do not show
    assert pool.covers(100, 0.0) and not pool.covers(100, 0.5)


def test_a_round_ends_where_no_image_can_tell():
    """A target ten widths away: one round must not follow its few nearest images all the way."""
    match = match_of(scene_of(5.0))
    careful, rash = (scene_of().learn("sensor.exposure") for _ in range(2))
    search.reweight(careful, match, rounds=1, steps=300, lr=0.1, progress=False)
    search.reweight(rash, match, rounds=1, steps=300, lr=0.1, effective=1e-3, covered=0.0, progress=False)
    assert 0.1 < careful.sensor.exposure.mean.item() < 0.6 < rash.sensor.exposure.mean.item()


def test_held_out_pictures_are_compared_without_drawing():
    match, drawn = match_of(scene_of(0.5)), []
    draw = match.render
    match.render = lambda batch: drawn.append(batch.images) or draw(batch)
    history = search.reweight(scene_of().learn("sensor.exposure"), match, rounds=3, images=32, progress=False)
    assert drawn == [32, 32, 32]
    rows = history.rows()
    assert rows[-1]["held_out"] < rows[0]["held_out"]


def test_the_entropy_floor_holds():
    match = match_of(scene_of(0.0, 1e-3))
    scene = scene_of().learn("sensor.exposure")
    search.reweight(scene, match, rounds=4, entropy_floor=-0.7, progress=False)
    assert scene.sensor.exposure.learned.entropy_change().item() == pytest.approx(-0.7, abs=1e-4)


def test_the_same_search_twice():
    match, found = match_of(scene_of(0.5)), []
    for _ in range(2):
        scene = scene_of().learn("sensor.exposure")
        search.reweight(scene, match, rounds=3, progress=False)
        found.append(scene.to_json())
    assert found[0] == found[1]


def test_mmd_of_weights_is_that_of_points_that_count_so_often():
    x, y = points(5), points(7, seed=1) ** 2
    often = torch.tensor([3, 0, 1, 2, 1])
    distance = search.mmd_of_weights(x, y)
    median = torch.cat([torch.pdist(x), torch.pdist(y), torch.cdist(x, y).flatten()]).square().median()

    def kernel(a, b):
        squared = torch.cdist(a, b).square()
        return sum((-squared / (2 * f * median)).exp() for f in search.objectives.BANDWIDTHS).mean() / 5

    many = x.repeat_interleave(often, 0)
    expected = kernel(many, many) - 2 * kernel(many, y) + kernel(y, y)
    torch.testing.assert_close(distance(often.double()), expected)
    assert torch.autograd.gradcheck(distance, (often.double().requires_grad_(),))


def test_weights_gain_nothing_by_leaning_on_few_points():
    x, y = points(60), points(60, seed=1)
    distance, logits = search.mmd_of_weights(x, y), torch.zeros(60, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        distance(logits.softmax(0)).backward()
        optimizer.step()
    assert 0 <= distance(logits.softmax(0)).item() < distance(torch.ones(60).double()).item()
    assert 1 / logits.softmax(0).square().sum() > 15


def test_draws_are_noted():
    scene, decisions = scene_of(), fs.random.Decisions()
    batch = scene.sample(5, decisions=decisions)
    values = dict(decisions.values)
    assert torch.equal(values[scene.sensor.exposure], batch.exposure)
    assert scene.objects.choice not in values and decisions.drawn[0][0] is scene.objects.choice


class Idle(fs.Randomizer):
    """Holds a distribution that it never asks."""

    def __init__(self):
        super().__init__()
        self.spare = fs.Normal(0.0, 1.0)

    def forward(self, batch, noise):
        return batch


def searched(scene, **options):
    return lambda: search.reweight(scene, match_of(scene_of(), images=8), progress=False, **options)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (searched(scene_of()), RuntimeError, "nothing is being learned"),
        (
            searched(fs.Scene(fs.Objects(PARTS), idle=Idle()).learn("idle.spare")),
            RuntimeError,
            "draws any of idle.spare",
        ),
        (
            searched(fs.Scene(fs.Objects(PARTS), sensor=fs.Sensor(fs.Uniform(0.0, 1.0))).learn("sensor.exposure")),
            ValueError,
            "'sensor.exposure' is a Uniform, .* use minimize",
        ),
        (searched(scene_of().learn("sensor.exposure"), rounds=0), ValueError, "rounds = 0"),
        (searched(scene_of().learn("sensor.exposure"), effective=1.0), ValueError, "effective = 1"),
        (searched(scene_of().learn("sensor.exposure"), covered=1.0), ValueError, "covered = 1"),
        (searched(scene_of().learn("sensor.exposure"), entropy_floor=0.1), ValueError, "below 0"),
        (lambda: search.mmd_of_weights(points(1), points(4)), ValueError, "2 points or more"),
    ],
)
def test_mistakes_are_explained(act, error, message):
    with pytest.raises(error, match=message):
        act()
