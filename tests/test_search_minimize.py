"""Search: the driver of gradients, its history and checkpoints, and what mistakes are told."""

from __future__ import annotations

import copy
import csv
import json

import pytest
import torch
from search_cases import OPTIONS, drift, looks, mixture, points, small

from fastsynth import search

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_a_frozen_copy_is_a_plain_scene():
    scene = copy.deepcopy(small()).freeze()
    assert not scene.learned() and scene.sample(2).exposure.requires_grad is False
