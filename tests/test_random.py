"""Named draws: the numbers themselves, what they depend on, and each distribution against its CDF."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy import stats

from fastsynth import random

WORD = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10: Salmon et al., SC 2011, section 4.3."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high_0, low_0 = divmod(c[0] * 0xD2511F53, 2**32)
        high_1, low_1 = divmod(c[2] * 0xCD9E8D57, 2**32)
        c = [high_1 ^ c[1] ^ k[0], low_1, high_0 ^ c[3] ^ k[1], low_0]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def uniform_reference(index, seed, stream, count):
    """The rule at the top of fastsynth/random/noise.py, in Python's integers."""
    z = (seed + 0x9E3779B97F4A7C15 * stream) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    key = (z & WORD, z >> 32)
    return [
        [(philox((i >> 2, row & WORD, row >> 32 & WORD, 0), key)[i & 3] >> 8) * 2.0**-24 for i in range(count)]
        for row in index
    ]


def noise(images=1, seed=0, **fields):
    return random.Noise(seed, torch.arange(images), **fields)


def test_philox_known_answers():
    """Random123 1.14, kat_vectors: philox4x32, 10 rounds."""
    assert philox((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox((WORD,) * 4, (WORD,) * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("seed", [0, 1, -5, 2**63 - 1])
@pytest.mark.parametrize("name", ["", "camera.distance"])
def test_numbers_match_the_reference(seed, name, device):
    index = [0, 3, 2**32 - 1, 2**40 + 17]
    drawn = random.Noise(seed, torch.tensor(index, device=device)).uniform((3, 3), name)
    stream = int.from_bytes(hashlib.blake2b(name.encode()).digest()[:8], "little")
    expected = torch.tensor(uniform_reference(index, seed, stream, 9)).view(4, 3, 3)
    assert torch.equal(drawn.cpu(), expected)


def test_seeds_are_taken_modulo_2_64():
    assert torch.equal(noise(2, seed=-1).uniform(5), noise(2, seed=2**64 - 1).uniform(5))


def test_a_draw_depends_on_seed_index_and_name_only():
    whole = noise(64).child("a").uniform((4, 3), "spot")
    order = torch.tensor([9, 2, 63, 2])
    assert torch.equal(random.Noise(0, order, path="a").uniform((4, 3), "spot"), whole[order])
    assert torch.equal(noise(64).uniform((4, 3), "a.spot"), whole)  # a path is a name
    assert torch.equal(noise(64).uniform((9, 3), "a.spot")[:, :4], whole)  # more instances beside it
    for other in (noise(64, seed=1).uniform((4, 3), "a.spot"), noise(64).uniform((4, 3), "b.spot")):
        assert abs(torch.corrcoef(torch.stack([other.flatten(), whole.flatten()]))[0, 1]) < 0.12  # 3 sigma
        assert not torch.equal(other, whole)


def test_index_must_be_int64():
    with pytest.raises(TypeError, match="torch.arange"):
        random.Noise(0, torch.zeros(3))


CONTINUOUS = {
    "uniform": (random.Uniform(-1.0, 3.0), stats.uniform(-1, 4)),
    "log uniform": (random.LogUniform(0.5, 8.0), stats.loguniform(0.5, 8)),
    "normal": (random.Normal(2.0, 0.5), stats.norm(2, 0.5)),
    "log normal": (random.LogNormal(0.3, 0.7), stats.lognorm(0.7, scale=math.exp(0.3))),
    "truncated normal": (random.TruncatedNormal(1.0, 2.0, 0.0, 2.0), stats.truncnorm(-0.5, 0.5, 1, 2)),
    "tail of a normal": (random.TruncatedNormal(0.0, 1.0, 2.0, 4.0), stats.truncnorm(2, 4)),
    "triangular": (random.Triangular(1.0, 1.5, 4.0), stats.triang(0.5 / 3, 1, 3)),
    "triangular, no rise": (random.Triangular(1.0, 1.0, 4.0), stats.triang(0, 1, 3)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_cdf(name):
    distribution, truth = CONTINUOUS[name]
    drawn = distribution.sample(noise(20_000, seed=7).child(name)).double().numpy()
    assert stats.kstest(drawn, truth.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", CONTINUOUS)
def test_extremes_are_finite(name):
    distribution, truth = CONTINUOUS[name]
    drawn = distribution.from_uniform(torch.tensor([0.0, 2.0**-24, 0.5, 1 - 2.0**-24]))
    low, high = truth.support()
    assert drawn.isfinite().all() and (drawn >= low - 1e-5).all() and (drawn <= high + 1e-5).all()
    assert (drawn.diff() >= 0).all() and drawn[0] < drawn[2] < drawn[3]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_parameters_get_gradients(name):
    distribution, _ = CONTINUOUS[name]
    u = torch.tensor([0.0, 0.1, 0.5, 0.9, 1 - 2.0**-24])
    values = {n: b.clone().requires_grad_() for n, b in distribution.named_buffers()}
    out = torch.func.functional_call(distribution, values, (u,))
    for n, gradient in zip(values, torch.autograd.grad(out.sum(), list(values.values())), strict=True):
        assert gradient.isfinite(), n
    step = 1e-2  # of every parameter: reparameterised, so the values move as the gradient says
    moved = torch.func.functional_call(distribution, {n: b.detach() * (1 + step) for n, b in values.items()}, (u[1:4],))
    slope = sum(
        torch.autograd.functional.jacobian(
            lambda b, n=n: torch.func.functional_call(distribution, {**values, n: b}, (u[1:4],)), values[n].detach()
        )
        * values[n].detach()
        for n in values
    )
    torch.testing.assert_close(moved - out[1:4], slope.detach() * step, rtol=0.05, atol=2e-3)


def test_vectors_are_independent_in_their_components():
    drawn = random.Normal((0.0, 1.0), 1.0).sample(noise(10_000))
    assert drawn.shape == (10_000, 2)
    assert abs(np.corrcoef(drawn.T.numpy())[0, 1]) < 0.03
    assert drawn.mean(0).tolist() == pytest.approx([0, 1], abs=0.05)


def test_choice():
    choice = random.Choice([3, 5, 9, 7], weights=(0, 2, 1, 0))
    drawn = choice.sample(noise(9_000))
    assert drawn.dtype == torch.int64
    assert set(drawn.tolist()) == {5, 9}
    assert (drawn == 5).sum().item() == pytest.approx(6_000, abs=180)  # 4 sigma
    assert choice.from_uniform(torch.tensor([0.0, 1 - 2.0**-24])).tolist() == [5, 9]
    assert random.Choice([(0.0, 1.0), (2.0, 3.0)]).sample(noise(4), 6).shape == (4, 6, 2)
    even = np.bincount(random.Choice(range(8)).sample(noise(8_000)))
    assert stats.chisquare(even).pvalue > 1e-3


def test_constant():
    assert random.as_distribution((1, 2)).sample(noise(3), 4).shape == (3, 4, 2)
    assert random.as_distribution(2).from_uniform(torch.rand(5, 0)).tolist() == [2.0] * 5
    distribution = random.Uniform(0, 1)
    assert random.as_distribution(distribution) is distribution


def test_rotations_are_even():
    rotation = random.UniformRotation().sample(noise(20_000))
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(20_000, 3, 3), atol=2e-6, rtol=0)
    assert (torch.linalg.det(rotation) > 0).all()
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1).double()
    angle = ((trace - 1) / 2).clamp(-1, 1).acos().numpy()
    # The angle of a random rotation: density (1 - cos a) / pi (Miles, "On random rotations in R^3", Biometrika 1965).
    assert stats.kstest(angle, lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-3
    for column in range(3):  # each axis is sent evenly over the sphere
        assert stats.kstest(rotation[:, 2, column].double().numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("distribution", "lowest"), [(random.UniformSphere(), -1), (random.UniformHemisphere(), 0)])
def test_directions_are_even(distribution, lowest):
    drawn = distribution.sample(noise(20_000)).double().numpy()
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=-1), 1, atol=1e-6)
    assert stats.kstest(drawn[:, 2], stats.uniform(lowest, 1 - lowest).cdf).pvalue > 1e-3
    turn = np.arctan2(drawn[:, 1], drawn[:, 0])
    assert stats.kstest(turn, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random.Uniform(2.0, 1.0), "low <= high"),
        (lambda: random.Uniform((0, 0), (1, 1, 1)), "broadcast"),
        (lambda: random.LogUniform(0.0, 1.0), "low > 0"),
        (lambda: random.Normal(0.0, -1.0), "std >= 0"),
        (lambda: random.TruncatedNormal(0.0, 1.0, 9.0, 10.0), "1e-6 of the Gaussian"),
        (lambda: random.Triangular(0.0, 2.0, 1.0), "low <= mode <= high"),
        (lambda: random.Choice([]), "at least one"),
        (lambda: random.Choice([1, 2], weights=(1, -1)), ">= 0"),
        (lambda: random.Choice([1, 2], weights=(1, 1, 1)), "each of the 2 values"),
    ],
)
def test_wrong_parameters_say_so(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_same_bits_whatever_the_batch(name):
    distribution, _ = CONTINUOUS[name]
    whole = distribution.sample(noise(67))
    for rows in ([5], [3, 66], list(range(1, 67))):
        assert torch.equal(distribution.sample(random.Noise(0, torch.tensor(rows))), whole[rows])
