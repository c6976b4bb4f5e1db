"""Distances between two sets of points, as differentiable losses that never wait for the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fastsynth.random import Noise

#: Factors of the median squared distance that the kernels of `mmd` have as bandwidths.
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
#: Pairs of points from which on the median is taken of a part of them.
MEDIAN_OF = 2**17


def mmd(
    x: Tensor,
    y: Tensor,
    *,
    weights: Tensor | None = None,
    each: bool = False,
    bandwidths: tuple[float, ...] = BANDWIDTHS,
) -> Tensor:
    """Squared maximum mean discrepancy between two samples, without bias.

    It is near 0, and as often below it, where both come from the same distribution.

    Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, equation 3, with the mean of several Gaussian kernels
    ``exp(-d^2 / (2 f m))`` where ``m`` is the median squared distance between any two points of both samples, taken
    as a constant.

    Args:
        x: Points of ours, float [B, D], B >= 2.
        y: Points of the target, float [M, D], M >= 2.
        weights: How much each point of `x` counts, float [B], differentiable; evenly by default. They are divided by
            their sum. For K versions of each of B / K images, the first of all images first, as `enumerate_choice`
            makes them, float [K, B / K]: versions of one image are alike in all else, and are not compared.
        each: For each point of `x` what it does to the distance, [B], in place of one number: the first-order
            influence ``2 (mean k(x_i, x_j) - mean k(x_i, y_j))``, for `score_function`. The mean of it has the
            gradient of the distance, not its value.
        bandwidths: Factors f.

    Returns:
        float [], or [B].

    Raises:
        ValueError: wrong shapes, or too few points.

    Example:
        >>> x = Noise(0, torch.arange(200)).uniform(2)
        >>> bool(mmd(x[:100], x[100:]) < 0.02 < mmd(x[:100], 0.5 * x[100:]))
        True
    """
    _two_samples("mmd", x, y)
    if weights is not None and (weights.ndim not in (1, 2) or weights.numel() != len(x) or weights.shape[-1] < 2):
        raise ValueError(
            f"mmd(): `weights` must have shape [{len(x)}], or [K, {len(x)} / K] with 2 images or more, but has "
            f"{list(weights.shape)}."
        )
    if weights is not None and each:
        raise ValueError("mmd(): `each` is for points that count alike. Leave `weights` out.")
    centre = y.mean(0).detach()  # small numbers lose less in the squares below
    x, y = x - centre, y - centre
    other = x.detach() if each else x
    xx, xy, yy = squared_distances(x, other), squared_distances(x, y), squared_distances(y, y)
    scale = 2 * _median(xx.detach(), xy.detach(), yy.detach())

    def kernel(squared: Tensor) -> Tensor:
        return _gaussians(squared, scale, bandwidths)

    images = len(x) if weights is None else weights.shape[-1]
    ours, cross = kernel(xx) * _apart(images, len(x) // images, x), kernel(xy).mean(1)
    if each:
        return 2 * (ours.sum(1) / (len(x) - 1) - cross)
    theirs = (kernel(yy) * _apart(len(y), 1, y)).sum() / (len(y) * (len(y) - 1))
    if weights is None:
        return ours.sum() / (len(x) * (len(x) - 1)) - 2 * cross.mean() + theirs
    share = weights / weights.sum()
    compared = 1 - share.reshape(-1, images).sum(0).square().sum()
    share = share.flatten()
    return share @ ours @ share / compared - 2 * share @ cross + theirs


def mmd_of_weights(x: Tensor, y: Tensor, *, bandwidths: tuple[float, ...] = BANDWIDTHS) -> Callable[[Tensor], Tensor]:
    """Squared maximum mean discrepancy as a function of how much each point counts, never below 0.

    The points are compared once, for any number of weights. Unlike :func:`mmd`, it compares points with themselves, too
    (equation 5 of Gretton et al.): this bias falls with the number of points that count, so that weights gain nothing
    by leaning on a few points that happen to lie well.

    Args:
        x: Points of ours, float [B, D], B >= 2, taken as constants.
        y: Points of the target, float [M, D], M >= 2.
        bandwidths: As of `mmd`.

    Returns:
        Weights, float [B], to the distance, float []; differentiable.

    Raises:
        ValueError: as `mmd`.

    Example:
        >>> x = Noise(0, torch.arange(20)).uniform(2)
        >>> distance = mmd_of_weights(x, x[:10])
        >>> few, many = torch.zeros(20), torch.ones(20)
        >>> few[:10] = 1
        >>> bool(distance(few).abs() < 1e-6 < distance(many))
        True
    """
    _two_samples("mmd_of_weights", x, y)
    with torch.no_grad():
        centre = y.mean(0)
        x, y = x - centre, y - centre
        xx, xy, yy = squared_distances(x, x), squared_distances(x, y), squared_distances(y, y)
        scale = 2 * _median(xx, xy, yy)
        ours, cross, theirs = (_gaussians(part, scale, bandwidths) for part in (xx, xy, yy))
        cross, theirs = cross.mean(1), theirs.mean()

    def distance(weights: Tensor) -> Tensor:
        share = weights / weights.sum()
        return share @ ours @ share - 2 * share @ cross + theirs

    return distance


def sliced_wasserstein(x: Tensor, y: Tensor, *, projections: int = 64, seed: int = 0) -> Tensor:
    """Squared sliced Wasserstein-2 distance: the mean over directions of that between the projections.

    Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", JMIV 2015. In one dimension the best
    plan joins equal quantiles, so that sorting is all there is to do; samples of different sizes are joined at the
    quantiles of the larger.

    Args:
        x: Points of ours, float [B, D].
        y: Points of the target, float [M, D].
        projections: Number of directions.
        seed: Of the directions.

    Returns:
        float [], in the squared unit of the points.

    Example:
        >>> x = torch.linspace(0, 1, 9)[:, None]
        >>> round(sliced_wasserstein(x + 0.5, x).item(), 4)
        0.25
    """
    _two_sets("sliced_wasserstein", x, y)
    u = Noise(seed, torch.arange(projections, device=x.device)).uniform((x.shape[1],), "search.directions")
    directions = torch.special.ndtri(u.to(x.dtype).clamp(min=2.0**-25))
    directions = directions / directions.norm(dim=1, keepdim=True)
    ours, theirs = (x @ directions.mT).sort(0).values, (y @ directions.mT).sort(0).values
    count = max(len(x), len(y))
    at = torch.arange(count, device=x.device)
    # The quantile at (i + 1/2) / count is the sample of this rank.
    ours, theirs = (part[(2 * at + 1) * len(part) // (2 * count)] for part in (ours, theirs))
    return (ours - theirs).square().mean()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Between any two points: float [B, D], [M, D] -> [B, M]."""
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.mT).clamp(min=0)


def _gaussians(squared: Tensor, scale: Tensor, bandwidths: tuple[float, ...]) -> Tensor:
    """The mean of the kernels ``exp(-squared / (factor * scale))``."""
    total, before, value = torch.zeros_like(squared), 0.0, squared
    for factor in sorted(bandwidths, reverse=True):
        # A kernel of half the bandwidth is the square: cheaper than an exponential.
        value = value.square() if factor == before / 2 else (-squared / (factor * scale)).exp()
        total, before = total + value, factor
    return total / len(bandwidths)


def _median(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """The median of the distances between different points of both samples, or of evenly spread ones of many."""
    pairs = [part[tuple(torch.triu_indices(len(part), len(part), 1, device=part.device))] for part in (xx, yy)]
    every = torch.cat([*pairs, xy.flatten()])
    return every[:: 1 + len(every) // MEDIAN_OF].median().clamp(min=1e-12)


def _apart(images: int, versions: int, like: Tensor) -> Tensor:
    """1 for two points of different images, 0 for those of one."""
    return (1 - torch.eye(images, dtype=like.dtype, device=like.device)).repeat(versions, versions)


def _two_samples(name: str, x: Tensor, y: Tensor) -> None:
    """Check two sets of points, of two or more each."""
    _two_sets(name, x, y)
    if min(len(x), len(y)) < 2:
        raise ValueError(f"{name}(): both samples need 2 points or more, but have {len(x)} and {len(y)}.")


def _two_sets(name: str, x: Tensor, y: Tensor) -> None:
    """Check two sets of points of one dimension."""
    for what, part in (("x", x), ("y", y)):
        if not isinstance(part, Tensor) or part.ndim != 2 or not part.is_floating_point():
            given = f"{part.dtype} {list(part.shape)}" if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"{name}(): `{what}` must be float [points, D], but is {given}. Flatten what is not.")
    if x.shape[1] != y.shape[1] or x.device != y.device:
        raise ValueError(
            f"{name}(): both must have one D on one device, but `x` is {list(x.shape)} on {x.device} and `y` is "
            f"{list(y.shape)} on {y.device}."
        )
