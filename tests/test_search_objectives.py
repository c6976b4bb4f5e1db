"""Search: distances and features against their definitions, and what they wait for."""

from __future__ import annotations

import pytest
import torch
from search_cases import points
from test_no_sync import Watch, crowd, fake_gpu, table
from torch._subclasses.fake_tensor import FakeTensorMode

import fastsynth as fs
from fastsynth import search

pytestmark = pytest.mark.usefixtures("one_thread")


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
