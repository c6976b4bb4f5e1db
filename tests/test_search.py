"""Search: objectives against their definitions, estimators against exact gradients, and what was hidden found again."""

from __future__ import annotations

import copy
import csv
import json

import pytest
import torch
from test_no_sync import Watch, crowd, fake_gpu, table
from torch._subclasses.fake_tensor import FakeTensorMode

import fastsynth as fs
from fastsynth import search

PARTS = fs.procedural.primitives()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These tensors are small: threads that wait for one another would take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Holder(fs.random.Learnable):
    """Distributions without a scene."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

    def sample(self, images, seed=0):
        noise = fs.Noise(seed, torch.arange(images))
        return torch.stack([part.sample(noise) for part in self.distributions().values()], 1)


def points(count, size=3, seed=0, dtype=torch.float64):
    return fs.Noise(seed, torch.arange(count)).uniform(size, "points").to(dtype)


# --- objectives


def mmd_reference(x, y, factors=search.objectives.BANDWIDTHS):
    """The definition, pair by pair."""
    both = torch.cat([x, y])
    squared = [(a - b).square().sum() for i, a in enumerate(both) for b in both[i + 1 :]]
    median = torch.stack(squared).median()

    def kernel(a, b):
        return sum(torch.exp(-(a - b).square().sum() / (2 * f * median)) for f in factors) / len(factors)

    def between(p, q, same):
        values = [kernel(a, b) for i, a in enumerate(p) for j, b in enumerate(q) if not (same and i == j)]
        return torch.stack(values).mean()

    return between(x, x, True) - 2 * between(x, y, False) + between(y, y, True)


def test_mmd_matches_its_definition():
    x, y = points(7), points(9, seed=1) ** 2
    torch.testing.assert_close(search.mmd(x, y), mmd_reference(x, y))


def test_mmd_has_no_bias():
    values = torch.stack([search.mmd(points(16, seed=i), points(16, seed=1000 + i)) for i in range(400)])
    assert abs(values.mean()) < 3 * values.std() / 20


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y: search.sliced_wasserstein(x, y, projections=8),
        lambda x, y: search.sliced_wasserstein(x, y[:7], projections=8),
    ],
    ids=["equal", "unequal"],
)
def test_sliced_wasserstein_gradients(loss):
    assert torch.autograd.gradcheck(loss, (points(11).requires_grad_(), points(11, seed=1).requires_grad_()))


def test_mmd_gradients(monkeypatch):
    # The bandwidth is taken as a constant: hold it still for the finite differences.
    monkeypatch.setattr(search.objectives, "_median", lambda *_: torch.tensor(0.4, dtype=torch.float64))
    x, y, weights = points(6).requires_grad_(), points(5, seed=1).requires_grad_(), points(6, 1)[:, 0].requires_grad_()
    assert torch.autograd.gradcheck(search.mmd, (x, y))
    assert torch.autograd.gradcheck(lambda x, w: search.mmd(x, y, weights=w), (x, weights))


def test_mmd_of_each_image():
    x, y = points(10).requires_grad_(), points(8, seed=1) ** 2
    whole = torch.autograd.grad(search.mmd(x, y), x)[0]
    torch.testing.assert_close(torch.autograd.grad(search.mmd(x, y, each=True).mean(), x)[0], whole)
    torch.testing.assert_close(search.mmd(x, y, weights=torch.full((10,), 3.0).double()), search.mmd(x, y))


def test_mmd_of_versions_has_no_bias():
    """Versions of one image share its noise: comparing them would make every mixture look narrower than it is."""

    def versions(seed):
        noise = points(4, 2, seed)
        return torch.cat([noise, noise + 0.05])  # two values of a choice that hardly differ

    weights = torch.tensor([0.5, 0.5], dtype=torch.float64)[:, None].expand(2, 4) / 4
    values = torch.stack(
        [search.mmd(versions(i), points(16, 2, 1000 + i) + 0.025, weights=weights) for i in range(400)]
    )
    assert abs(values.mean()) < 3 * values.std() / 20 + 2e-3
    wrong = torch.stack(
        [search.mmd(versions(i), points(16, 2, 1000 + i) + 0.025, weights=weights.flatten()) for i in range(400)]
    )
    assert wrong.mean() > 0.02


def test_sliced_wasserstein_of_shifted_points():
    x = points(50, 1)
    assert search.sliced_wasserstein(x + 2, x).item() == pytest.approx(4)
    assert search.sliced_wasserstein(x, x.flip(0)).item() == 0
    many = search.sliced_wasserstein(points(400, 3) + torch.tensor([1.0, 0, 0]), points(400, 3), projections=2000)
    assert many.item() == pytest.approx(1 / 3, rel=0.1)  # the mean of a squared cosine over the sphere


def test_objectives_wait_for_nothing():
    """No number is read back, and nothing is fetched from the host: on tensors of a GPU that hold no numbers."""

    def every(device):
        x, y = torch.empty(8, 4, device=device, requires_grad=True), torch.empty(6, 4, device=device)
        log_prob = torch.empty(8, device=device, requires_grad=True)
        yield search.mmd(x, y)
        yield search.mmd(x, y, weights=torch.ones(8, device=device))
        yield search.mmd(x, y, each=True).mean()
        yield search.sliced_wasserstein(x, y)
        yield search.score_function(torch.empty(8, device=device), log_prob)

    with FakeTensorMode():
        with Watch():
            assert all(loss.device.type == "cuda" for loss in every("cuda"))
        for loss in every("cpu"):  # there is no backward without a device
            loss.backward()


@pytest.mark.parametrize("make", [crowd, table])
def test_sampling_what_is_learned_waits_for_nothing(make):
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a fake tensor cannot take a real one's place
    try:
        with fake_gpu(make().learn("*")) as scene:
            decisions = fs.random.Decisions()
            scene.sample(3, decisions=decisions)
            assert decisions.log_prob(3).device.type == "cuda"
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


def test_features_are_the_same_everywhere():
    features = search.RandomFeatures()
    image = torch.linspace(0, 1, 3 * 16 * 16).view(1, 3, 16, 16)
    found = features(image)[0]
    assert found.shape == (118,) and found.isfinite().all()
    pinned = torch.tensor([-0.3337680, 0.0963498, 0.2873287, 0.0551433, 0.2540336, 0.0051192])
    torch.testing.assert_close(found[[0, 3, 6, 22, 38, 100]], pinned, atol=1e-5, rtol=1e-4)
    assert features.state_dict() == {}
    for size in (1, 2, 7):  # layers that have nothing left to halve
        assert features(torch.rand(2, 3, size, size)).isfinite().all()


def test_feature_gradients():
    features = search.RandomFeatures(channels=(4, 4)).double()
    image = points(2, 3 * 8 * 8).view(2, 3, 8, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: features(x).sum(1), (image,))
    flat = torch.full((1, 3, 8, 8), 0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(features(flat).sum(), flat)[0].isfinite().all()


# --- what was hidden is found again


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
LOOKS = points(6, 5, seed=3, dtype=torch.float32)  # what each mesh looks like


def looks(batch):
    return LOOKS[batch.mesh_id[:, 0].long()]


def mixture(weights=None):
    return fs.Scene(fs.Objects(PARTS, choice=fs.Choice(range(6), weights)))


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


# --- the driver


def drift(batch):
    return ((batch.exposure - 1) ** 2).mean() + batch.light_color.mean(0).square().sum()


def small():
    scene = fs.Scene(
        fs.Objects(PARTS),
        light=fs.DirectionalLight(intensity=fs.LogUniform(0.5, 8.0)),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.5)),
    )
    return scene.learn("light.intensity", "sensor.exposure", within=None)


OPTIONS = {"steps": 30, "images": 8, "every": 5, "progress": False}


def test_a_resumed_search_ends_with_the_same_bits(tmp_path):
    whole, cut = small(), small()
    history = search.minimize(whole, drift, **OPTIONS)
    seen = []

    def until(batch):
        if len(seen) == 17:
            raise KeyboardInterrupt
        seen.append(1)
        return drift(batch)

    with pytest.raises(KeyboardInterrupt):
        search.minimize(cut, until, checkpoint=tmp_path / "search.pt", **OPTIONS)
    fresh = small()
    resumed = search.minimize(fresh, drift, checkpoint=tmp_path / "search.pt", **OPTIONS)
    assert fresh.to_json() == whole.to_json()
    assert torch.equal(resumed.table().nan_to_num(), history.table().nan_to_num())
    assert list(tmp_path.iterdir()) == [tmp_path / "search.pt"]
    again = search.minimize(fresh, drift, checkpoint=tmp_path / "search.pt", **OPTIONS)  # nothing left to do
    assert torch.equal(again.table().nan_to_num(), history.table().nan_to_num())
    with pytest.raises(ValueError, match="images = 8"):
        search.minimize(small(), drift, checkpoint=tmp_path / "search.pt", **{**OPTIONS, "images": 4})


def test_entropy_floor_keeps_a_width():
    scene, free = small(), small()
    search.minimize(scene, drift, entropy_floor=-0.7, lr=0.3, **OPTIONS)
    search.minimize(free, drift, lr=0.3, **OPTIONS)
    changes = [part.learned.entropy_change().item() for part in scene.learned().values()]
    assert min(changes) >= -0.7 - 1e-5
    assert min(part.learned.entropy_change().item() for part in free.learned().values()) < -0.8


def test_history_is_written(tmp_path):
    history = search.minimize(small(), drift, held_out=drift, **OPTIONS)
    with history.to_csv(tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30 and float(rows[-1]["loss"]) < float(rows[0]["loss"])
    read = json.loads(history.to_json(tmp_path / "a.json").read_text())
    assert read[0]["held_out"] is None and read[4]["held_out"] is not None
    assert read[0]["light.intensity.low"] == 0.5 and read[0]["sensor.exposure.std"] == 0.5
    pytest.importorskip("matplotlib")
    assert len(history.plot().axes) == 2


def test_the_bar_is_shown(capsys):
    search.minimize(small(), drift, **{**OPTIONS, "progress": True})
    assert "30/30" in capsys.readouterr().out


def mistaken():
    return mixture().learn("objects.choice")


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: search.minimize(mixture(), drift), RuntimeError, "nothing is being learned"),
        (lambda: search.minimize(small(), lambda b: b.exposure.detach().mean()), RuntimeError, "does not depend"),
        (lambda: search.minimize(small(), lambda b: b.light_color), ValueError, "one for each of 64 images"),
        (lambda: search.minimize(mistaken(), lambda b: looks(b).sum()), ValueError, "one for each image"),
        (lambda: search.minimize(small(), drift, entropy_floor=0.5), ValueError, "below 0"),
        (lambda: search.minimize(small(), drift, enumerate="light"), ValueError, "every Choice that is learned"),
        (lambda: search.minimize(small(), lambda b: drift(b) * torch.inf), FloatingPointError, "smaller `lr`"),
        (lambda: search.enumerate_choice(mistaken(), "objects.mesh", 4), ValueError, "Available: .*objects.choice"),
        (lambda: search.mmd(points(4), points(4, 2)), ValueError, "one D"),
        (lambda: search.mmd(points(1), points(4)), ValueError, "2 points or more"),
        (lambda: search.mmd(points(4)[0], points(4)), ValueError, r"float \[points, D\]"),
        (lambda: search.Match(torch.zeros(4, 8, 8)), ValueError, r"\[M, 3, H, W\]"),
        (lambda: search.Match(torch.zeros(2, 3, 8, 8)), ValueError, "left to match"),
        (lambda: search.Study(mixture()), RuntimeError, "nothing is being learned"),
        (lambda: search.Study(small()).tell({"a": 1.0}, 0.0), ValueError, "missing or unknown"),
        (lambda: search.cross_entropy_method(small(), drift, elite=1), ValueError, "2 <= elite"),
        (lambda: search.widen(small(), drift, "camera.*", thresholds=(1, 0), step=1.0), ValueError, "a lower"),
        (lambda: search.widen(small(), drift, "sensor.*", thresholds=(0, 1), step=1.0), ValueError, "no Uniform"),
        (lambda: search.widen(small(), drift, "light.intensity", thresholds=(0, 1), step=1.0), ValueError, "freeze"),
    ],
)
def test_mistakes_are_explained(act, error, message):
    with pytest.raises(error, match=message):
        act()


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


# --- without gradients


def test_ask_and_tell_round_trip():
    scene = Holder(a=fs.Uniform((0.0, 1.0), (2.0, 3.0)), b=fs.Normal(1.0, 0.5), c=fs.Choice([1, 2], (1, 3)))
    scene.learn("a", within=(-1.0, 4.0)).learn("b", "c")
    study = search.Study(scene, seed=1)
    assert list(study.bounds)[:2] == ["a.low[0]", "a.low[1]"] and study.bounds["a.high[1]"] == (-1, 4)
    before = scene.to_json()
    study.apply(study.ask())  # the first is what there is
    after = scene.to_json()
    assert {**after, "c": None} == {**before, "c": None}
    assert after["c"]["weights"] == [0.25, 0.75]
    for _ in range(20):
        values = study.ask()
        assert all(low <= values[name] <= high for name, (low, high) in study.bounds.items())
        study.apply(values)
        found = scene.to_json()
        assert sorted(found["a"]["low"] + found["a"]["high"]) == pytest.approx(
            sorted(values[name] for name in values if name.startswith("a"))
        )
        study.tell(values, abs(values["b.mean"] - 2))
    study.tell(study.ask(), float("nan"))
    assert min(loss for _, loss in study.trials) == abs(study.best["b.mean"] - 2)
    study.apply()
    assert scene.b.mean.item() == pytest.approx(study.best["b.mean"])


def test_study_runs():
    scene = Holder(a=fs.Constant(3.0)).learn("a", within=(0.0, 4.0))
    study = search.Study(scene, lambda holder: (holder.a.value - 1) ** 2)
    study.run(40)
    assert scene.a.value.item() == pytest.approx(1, abs=0.2)


def test_optuna_drives_a_study():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scene = Holder(a=fs.Constant(3.0)).learn("a", within=(0.0, 4.0))
    study = search.Study(scene, lambda holder: (holder.a.value - 1) ** 2)
    optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0)).optimize(study.optuna, n_trials=30)
    study.apply()
    assert scene.a.value.item() == pytest.approx(1, abs=0.2)


def test_cross_entropy_on_a_quadratic():
    wanted = torch.tensor([0.5, -1.0, 2.0])
    scene = Holder(a=fs.Constant((1.0, 1.0, 1.0))).learn("a")
    scale = torch.tensor([1.0, 3.0, 0.3])
    history = search.cross_entropy_method(
        scene, lambda holder: ((holder.a.value - wanted) * scale).square().sum(), generations=60, population=60, std=2.0
    )
    torch.testing.assert_close(scene.a.value.detach(), wanted, atol=0.15, rtol=0)
    assert history[-1].best < 1e-2 < history[0].best
    again = Holder(a=fs.Constant((1.0, 1.0, 1.0))).learn("a")
    search.cross_entropy_method(
        again, lambda holder: ((holder.a.value - wanted) * scale).square().sum(), generations=60, population=60, std=2.0
    )
    assert torch.equal(scene.a.value, again.a.value)


def test_widening():
    scene = Holder(a=fs.Uniform((0.0, 0.0), (0.0, 0.0)), b=fs.LogUniform(1.0, 1.0), c=fs.Normal(0.0, 1.0))

    def skill(holder):
        """Knows how to deal with |a| <= 2 and anything of b."""
        return float(holder.a.high.abs().max() <= 2 and holder.a.low.abs().max() <= 2)

    for _ in range(8):
        ends = search.widen(
            scene, skill, "*", thresholds=(0.2, 0.8), step={"a": 0.5, "b": 0.25}, within={"b": (0.5, 100.0)}
        )
    assert [end.name for end in ends] == ["a.low[0]", "a.high[0]", "a.low[1]", "a.high[1]", "b.low", "b.high"]
    assert ((scene.a.high - 2).abs() <= 0.5).all() and ((scene.a.low + 2).abs() <= 0.5).all()
    assert scene.b.low.item() == 0.5 and scene.b.high.item() > 2


def test_identifiability_names_what_is_confounded():
    scene = fs.Scene(
        fs.Objects(PARTS),
        light=fs.DirectionalLight(intensity=2.0, color=(0.5, 0.4, 0.3)),
        background=fs.ColorBackground(fs.Uniform((0.2, 0.2, 0.2), (0.6, 0.6, 0.6))),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.3), noise=fs.Uniform(0.01, 0.02)),
    )
    scene.learn("light.intensity", "sensor.exposure", "sensor.noise", "background.color")

    def statistic(batch):
        gain = torch.exp2(batch.exposure)[:, None]
        shine = (batch.light_color[:, 0] * gain).log()
        behind = batch.background_color[:, 0]
        return torch.cat([shine.mean(0), behind.mean(0), behind.std(0), 0.5 * shine.std(0)])

    report = search.identifiability(scene, statistic)
    pairs = {frozenset(pair[:2]) for pair in report.confounded}
    assert pairs == {frozenset({"light.intensity.value", "sensor.exposure.centre"})}
    assert report.unseen == ["sensor.noise.centre", "sensor.noise.width"]
    assert report.singular_values[-3:].max() < 1e-3 * report.singular_values[0]
    text = str(report)
    assert "confounded: light.intensity.value and sensor.exposure.centre" in text and "unseen: sensor.noise" in text
    with pytest.raises(RuntimeError, match="does not depend"):
        search.identifiability(scene, lambda batch: batch.intrinsics)


# --- hypergradients


def quadratic(size=5, data=3):
    """T = w A w / 2 - w B p, V = |w - c|^2 / 2 + p d, at the w that is best for T."""
    root = points(size, size)
    a = root @ root.mT + torch.eye(size, dtype=torch.float64)
    b, c, d = points(size, data, seed=1), points(size, 1, seed=2)[:, 0], points(data, 1, seed=3)[:, 0]
    p = points(data, 1, seed=4)[:, 0].requires_grad_()
    w = torch.linalg.solve(a, b @ p).detach().requires_grad_()
    exact = d + b.mT @ torch.linalg.solve(a, w.detach() - c)
    return a, w @ a @ w / 2 - w @ b @ p, (w - c).square().sum() / 2 + p @ d, w, p, exact, d + b.mT @ (w.detach() - c)


def test_hypergradients_match_the_implicit_function():
    a, train, val, w, p, exact, at_once = quadratic()
    torch.testing.assert_close(search.hypergradient(train, val, [w], [p], "cg", terms=5)[0], exact)
    step = 1 / torch.linalg.eigvalsh(a).max().item()
    series = search.hypergradient(train, val, [w], [p], "neumann", terms=400, step=step)[0]
    torch.testing.assert_close(series, exact, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(search.hypergradient(train, val, [w], [p], "identity")[0], at_once)
    with pytest.raises(ValueError, match='"cg"'):
        search.hypergradient(train, val, [w], [p], "newton")


def test_hypergradient_of_a_model_and_a_scene():
    """The direction in which the data must move for a last layer to do better, against training it again."""
    scene = Holder(a=fs.Uniform(0.0, 1.0)).learn("a")
    held = torch.linspace(1, 3, 32)[:, None].double()

    def trained(holder):
        x = holder.sample(64).double()
        features = torch.cat([x, torch.ones_like(x)], 1)
        target = (x**2)[:, 0]
        weights = torch.linalg.solve(
            features.mT @ features / 64 + 1e-3 * torch.eye(2).double(), features.mT @ target / 64
        )
        return features, target, weights

    def val(weights):
        return ((held * weights[0] + weights[1])[:, 0] - held[:, 0] ** 2).square().mean()

    features, target, weights = trained(scene)
    exact = torch.autograd.grad(val(weights), scene.learnable())  # through the solution itself
    features, target, weights = trained(scene)
    w = weights.detach().requires_grad_()
    train = (features @ w - target).square().mean() / 2 + 1e-3 * w.square().sum() / 2
    found = search.hypergradient(train, val(w), [w], scene.learnable(), "cg", terms=4)
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-6)


def test_a_frozen_copy_is_a_plain_scene():
    scene = copy.deepcopy(small()).freeze()
    assert not scene.learned() and scene.sample(2).exposure.requires_grad is False
