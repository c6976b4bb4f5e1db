"""The questions that audits ask: their answers against scipy's, and how often they are wrong by chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import fastsynth as fs
from fastsynth.audit import declared, statistics


@pytest.mark.parametrize(
    "distribution",
    [
        fs.Uniform((-1.0, 2.0), (3.0, 5.0)),
        fs.LogUniform(0.1, 10.0),
        fs.Normal(2.0, 3.0),
        fs.LogNormal(-1.0, 0.7),
        fs.TruncatedNormal(0.0, 1.0, -0.5, 3.0),
        fs.Triangular(0.0, 0.3, 2.0),
        fs.Triangular(0.0, 0.0, 2.0),
        fs.UniformRotation(),
        fs.UniformSphere(),
        fs.UniformHemisphere(),
    ],
    ids=lambda d: type(d).__name__,
)
def test_cumulative_probabilities_of_draws_are_even(distribution):
    values = distribution.sample(fs.Noise(0, torch.arange(4000)))
    shares = declared.cumulative(distribution, values)
    assert list(shares) == list(declared.components(distribution, values))
    for share in shares.values():
        assert stats.kstest(share.numpy(), "uniform").pvalue > 1e-3


def test_chi_square_is_that_of_scipy():
    rng = np.random.default_rng(0)
    counts = rng.integers(20, 40, 7).astype(float)
    mine = statistics.chi_square(counts, np.full(7, counts.sum() / 7))
    assert mine.p == pytest.approx(stats.chisquare(counts).pvalue)
    values, classes = rng.normal(size=600), rng.integers(0, 3, 600)
    answer, _ = statistics.dependence(values, classes)
    edges = np.quantile(values, np.arange(1, 8) / 8)
    table = [[((np.searchsorted(edges, values[classes == c], "right")) == k).sum() for k in range(8)] for c in range(3)]
    assert answer.p == pytest.approx(stats.chi2_contingency(table).pvalue)


def test_the_level_of_the_tests_holds():
    """Of 300 columns without a bias hardly one in a hundred may fall below 1 %, test by test."""
    rng = np.random.default_rng(1)
    even = [statistics.evenness(rng.random(500)).p for _ in range(300)]
    holes = [statistics.gap(rng.random(500)).p for _ in range(300)]
    pairs = [statistics.dependence(rng.normal(size=500), rng.integers(0, 5, 500))[0].p for _ in range(300)]
    for answers in (even, holes, pairs):
        assert np.mean(np.array(answers) < 0.01) < 0.035
