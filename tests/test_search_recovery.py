"""Search: what was hidden is found again, and estimators agree with exact gradients."""

from __future__ import annotations

import pytest
import torch
from search_cases import PARTS, Holder, looks, mixture

import fastsynth as fs
from fastsynth import search

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("distance", [search.mmd, search.sliced_wasserstein])
def test_bounds_are_recovered(distance):
    truth = Holder(a=fs.Uniform(1.0, 2.0), b=fs.Normal(-1.0, 0.2), c=fs.LogUniform(2.0, 5.0))
    found = Holder(a=fs.Uniform(-1.0, 5.0), b=fs.Normal(0.5, 1.0), c=fs.LogUniform(0.5, 20.0)).learn("*")
    scale = torch.tensor([1.0, 1.0, 5.0])
    target = truth.sample(512, seed=99) / scale
    optimizer = torch.optim.Adam(found.learnable(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 250)
    for step in range(250):
        optimizer.zero_grad()
        distance(found.sample(128, seed=step) / scale, target).backward()
        optimizer.step()
        schedule.step()
    found.freeze()
    assert found.a.low.item() == pytest.approx(1, abs=0.15) and found.a.high.item() == pytest.approx(2, abs=0.15)
    assert found.b.mean.item() == pytest.approx(-1, abs=0.1) and found.b.std.item() == pytest.approx(0.2, abs=0.1)
    assert found.c.low.item() == pytest.approx(2, abs=0.4) and found.c.high.item() == pytest.approx(5, abs=0.6)


TRUE_WEIGHTS = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("enumerated", [False, True], ids=["score function", "enumeration"])
def test_mixture_is_recovered(enumerated):
    target = looks(mixture(TRUE_WEIGHTS).sample(1000, seed=50))
    scene = mixture().learn("objects.choice")
    history = search.minimize(
        scene,
        (lambda batch, weights: search.mmd(looks(batch), target, weights=weights))
        if enumerated
        else (lambda batch: search.mmd(looks(batch), target, each=True)),
        steps=150,
        images=16 if enumerated else 128,
        lr=0.2,
        enumerate="objects.choice" if enumerated else None,
        progress=False,
    )
    found = scene.objects.choice.weights.detach()
    assert (found / found.sum() - TRUE_WEIGHTS).abs().sum() < 0.1
    assert history.names[0] == "objects.choice.weights[0]" and len(history) == 150


def test_score_function_agrees_with_the_exact_gradient():
    scene = mixture((1.0, 2.0, 3.0, 1.0, 1.0, 1.0)).learn("objects.choice")
    losses = torch.tensor([3.0, 1.0, 0.0, 2.0, 5.0, 1.0])
    share = scene.objects.choice.weights / scene.objects.choice.weights.sum()
    exact = torch.autograd.grad((share * losses).sum(), scene.learnable())[0]
    batch, weights = search.enumerate_choice(scene, "objects.choice", 4)
    whole = (weights.flatten() * losses[batch.mesh_id[:, 0].long()]).sum()
    torch.testing.assert_close(torch.autograd.grad(whole, scene.learnable())[0], exact)
    estimates = []
    for seed in range(100):
        here = losses[scene.sample(32, seed=seed).mesh_id[:, 0].long()]
        surrogate = search.score_function(here, scene.log_prob(32, seed=seed))
        assert surrogate.item() == 0
        estimates.append(torch.autograd.grad(surrogate, scene.learnable())[0])
    estimates = torch.stack(estimates)
    assert ((estimates.mean(0) - exact).abs() < 3.5 * estimates.std(0) / 10).all()


def test_discrete_and_continuous_in_one_step():
    truth = fs.Scene(
        fs.Objects(PARTS, choice=fs.Choice([0, 1], (3, 1))), sensor=fs.Sensor(exposure=fs.Normal(1.0, 0.3))
    )
    scene = fs.Scene(fs.Objects(PARTS, choice=fs.Choice([0, 1])), sensor=fs.Sensor(exposure=fs.Normal(0.0, 1.0)))

    def seen(batch):
        return torch.stack([batch.mesh_id[:, 0].float(), batch.exposure], 1)

    target = seen(truth.sample(1000, seed=9))
    scene.learn("objects.choice", "sensor.exposure")
    search.minimize(
        scene, lambda batch: search.mmd(seen(batch), target, each=True), steps=150, images=128, lr=0.1, progress=False
    )
    found = scene.freeze().to_json()
    weights = found["objects.choice"]["weights"]
    assert weights[0] / sum(weights) == pytest.approx(0.75, abs=0.05)
    assert found["sensor.exposure"]["mean"] == pytest.approx(1, abs=0.1)
    assert found["sensor.exposure"]["std"] == pytest.approx(0.3, abs=0.1)


def lit(low, high, intensity, color):
    return fs.Scene(
        fs.Objects(PARTS),
        light=[fs.Ambient(0.1), fs.DirectionalLight(intensity=intensity)],
        background=fs.ColorBackground(color),
        sensor=fs.Sensor(exposure=fs.Uniform(low, high)),
    )


def test_rendered_search():
    """Exposure, light and background of pictures, from pictures alone."""
    truth = lit(-0.5, 0.5, 1.0, (0.1, 0.3, 0.6))
    scene = lit(-2.0, 1.0, 0.4, (0.3, 0.3, 0.3))
    match = search.Match(search.picture(truth.sample(96, seed=7), (32, 32)))
    scene.learn("sensor.exposure").learn("background.color", within=(0.0, 1.0))
    scene.learn("light.1.intensity", within=(0.1, 4.0))
    before = match.held_out(scene.sample(64, seed=3)).item()
    history = search.minimize(
        scene, match, steps=80, images=24, lr=0.1, held_out=match.held_out, every=20, progress=False
    )
    found = scene.freeze().to_json()
    assert match.held_out(scene.sample(64, seed=3)).item() < 0.1 * before
    assert history.table()[:, 1].isfinite().sum() == 4
    # A longer exposure of a darker scene looks the same: what can be found is their product.
    gain = 2 ** (sum(found["sensor.exposure"][side] for side in ("low", "high")) / 2)
    seen = [gain * value for value in found["background.color"]["value"]]
    assert seen == pytest.approx([0.1, 0.3, 0.6], rel=0.1)
    assert gain * found["light.1.intensity"]["value"] == pytest.approx(1, rel=0.25)


def test_combinations_are_enumerated():
    scene = fs.Scene([fs.Objects(PARTS, choice=fs.Choice([0, 1], (1, 3))), fs.Objects(PARTS, choice=fs.Choice([2, 3]))])
    scene.learn("objects.*.choice")
    batch, weights = search.enumerate_choice(scene, ["objects.0.choice", "objects.1.choice"], 2)
    assert batch.mesh_id[::2].tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    assert weights[:, 0].tolist() == pytest.approx([1 / 16, 1 / 16, 3 / 16, 3 / 16])
    assert torch.equal(batch.world_from_object[0], batch.world_from_object[2])  # the same image but for the choice


def test_several_draws_cannot_be_enumerated():
    scene = fs.Scene(fs.Objects(PARTS, count=3)).learn("objects.choice")
    with pytest.raises(ValueError, match="3 times an image"):
        search.enumerate_choice(scene, "objects.choice", 4)
