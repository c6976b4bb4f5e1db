"""Search: hypergradients against the implicit function, and what cannot be told apart."""

from __future__ import annotations

import pytest
import torch
from search_cases import PARTS, Holder, points

import fastsynth as fs
from fastsynth import search

pytestmark = pytest.mark.usefixtures("one_thread")


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
