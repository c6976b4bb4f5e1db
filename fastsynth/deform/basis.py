"""Linear shape models: a mean and its principal components."""

from __future__ import annotations

from torch import Tensor

from fastsynth._expect import expect


def pca_shape(mean: Tensor, basis: Tensor, sigma: Tensor, coefficients: Tensor) -> Tensor:
    """Shapes of a linear model: ``mean + sum_k coefficients_k sigma_k basis_k``.

    Blanz and Vetter, "A Morphable Model for the Synthesis of 3D Faces", SIGGRAPH 1999. With standard normal
    coefficients the shapes are distributed as those that the model was made of.

    Args:
        mean: float [V, 3] [m].
        basis: Components, orthonormal by custom, float [K, V, 3].
        sigma: Their standard deviations, float [K] [m].
        coefficients: float [..., K].

    Returns:
        float [..., V, 3] [m], differentiable in all four.

    Raises:
        TypeError, ValueError: shapes that do not agree.

    Example:
        >>> import torch
        >>> mean, basis = torch.zeros(2, 3), torch.ones(1, 2, 3)
        >>> pca_shape(mean, basis, torch.tensor([0.5]), torch.tensor([[2.0], [0.0]]))[:, 0].tolist()
        [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    expect(
        "pca_shape",
        mean=(mean, "V 3", mean.dtype),
        basis=(basis, "K V 3", mean.dtype),
        sigma=(sigma, "K", mean.dtype),
    )
    if coefficients.shape[-1] != sigma.shape[0]:
        raise ValueError(
            f"pca_shape(): `coefficients` must be [..., {sigma.shape[0]}], one for each component of `basis`, but is "
            f"{list(coefficients.shape)}."
        )
    shape = mean
    for k, scaled in enumerate((basis * sigma[:, None, None]).unbind(0)):
        shape = shape + coefficients[..., k, None, None] * scaled
    return shape
