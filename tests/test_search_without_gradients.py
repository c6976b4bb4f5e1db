"""Search without gradients: proposals, the cross-entropy method, widening."""

from __future__ import annotations

import pytest
import torch
from search_cases import PARTS, Holder

import fastsynth as fs
from fastsynth import search

pytestmark = pytest.mark.usefixtures("one_thread")


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own, in this process
def test_ray_tune_drives_a_study(tmp_path):
    ray = pytest.importorskip("ray")
    tune = pytest.importorskip("ray.tune")
    # A scene: what trials ask for must be importable where they run, and these tests are not.
    scene = fs.Scene(fs.Objects(PARTS), fs.Camera(distance=3.0)).learn("camera.distance", within=(1.0, 5.0))
    study = search.Study(scene, lambda scene: (scene.camera.distance.value - 2).abs())
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        tuner = tune.Tuner(
            lambda values: {"loss": study.evaluate(values)},
            param_space=study.ray(),
            tune_config=tune.TuneConfig(num_samples=4, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=str(tmp_path)),
        )
        results = tuner.fit()
    finally:
        ray.shutdown()
    losses = [result.metrics["loss"] for result in results]
    assert len(losses) == 4 and not study.trials  # its copies were asked
    study.apply(results.get_best_result("loss", "min").config)
    assert (scene.camera.distance.value - 2).abs().item() == pytest.approx(min(losses), abs=1e-5)


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
