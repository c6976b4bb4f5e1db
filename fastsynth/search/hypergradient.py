"""How the validation loss of a trained model moves with the data that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Vectors = tuple[Tensor, ...]


def hypergradient(
    train_loss: Tensor,
    val_loss: Tensor,
    weights: Sequence[Tensor],
    parameters: Iterable[Tensor],
    method: str = "neumann",
    *,
    terms: int = 20,
    step: float = 0.1,
    damping: float = 0.0,
) -> Vectors:
    """Gradient of the validation loss in what the training data depend on, through the model's best weights.

    By the implicit function theorem at weights w where the training loss is least,
    ``dV/dp = partial V/partial p - (dV/dw) H^-1 (d^2 T / dw dp)`` with H the Hessian of T in w. Behl et al.,
    "AutoSimulate", ECCV 2020, for the use; Lorraine et al., "Optimizing Millions of Hyperparameters by Implicit
    Differentiation", AISTATS 2020, for the series.

    Args:
        train_loss: T, float [], of images drawn from `parameters`, with its graph.
        val_loss: V, float [], with its graph.
        weights: Of the model, those that count as trained: usually its last layers'.
        parameters: What the gradient is taken in, such as ``scene.learnable()``.
        method: How ``H^-1 v`` is had: "identity", v itself, as if one step of training were all; "neumann",
            ``step * sum (1 - step (H + damping))^k v`` over `terms`; "cg", conjugate gradients, for convex T.
        terms: Of the series, or steps of conjugate gradients. Each costs one product with the Hessian.
        step: Of the series: below 2 over the largest eigenvalue of H, or it diverges.
        damping: Added to the diagonal of H.

    Returns:
        One gradient for each of the parameters, of their shapes; 0 for what neither loss depends on.

    Raises:
        ValueError: an unknown method, or losses without a graph.

    Example:
        >>> data, weight = torch.tensor(2.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
        >>> train, val = (weight - data).square() / 2, (weight - 5).square() / 2  # the best weight is the data
        >>> hypergradient(train, val, [weight], [data], "cg")[0].item()
        -3.0
    """
    if method not in ("identity", "neumann", "cg"):
        raise ValueError(f'hypergradient(): `method` must be "identity", "neumann" or "cg", but is {method!r}.')
    weights, parameters = list(weights), list(parameters)
    for name, loss in (("train_loss", train_loss), ("val_loss", val_loss)):
        if loss.numel() != 1 or not loss.requires_grad:
            raise ValueError(f"hypergradient(): `{name}` must be one number with a gradient in the weights.")
    slope = _grad(train_loss, weights, create_graph=True)
    vector = _grad(val_loss, weights)
    direct = _grad(val_loss, parameters)

    def product(v: Vectors) -> Vectors:
        hv = _grad(slope, weights, v)
        return tuple(h + damping * part for h, part in zip(hv, v, strict=True))

    if method == "neumann":
        vector = _neumann(product, vector, terms, step)
    elif method == "cg":
        vector = _conjugate_gradients(product, vector, terms)
    through = _grad(slope, parameters, vector)
    return tuple(d - t for d, t in zip(direct, through, strict=True))


def _grad(
    of: Tensor | Vectors, inputs: Sequence[Tensor], weighted: Vectors | None = None, create_graph: bool = False
) -> Vectors:
    """Gradients, 0 where there are none; the graph stays."""
    outputs = [of] if isinstance(of, Tensor) else list(of)
    kept = [(o, None if weighted is None else weighted[i]) for i, o in enumerate(outputs) if o.requires_grad]
    if not kept:  # a loss that is linear in the weights has a slope without a graph
        return tuple(torch.zeros_like(one) for one in inputs)
    found = torch.autograd.grad(
        [o for o, _ in kept],
        list(inputs),
        None if weighted is None else [w for _, w in kept],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    return tuple(torch.zeros_like(one) if g is None else g for one, g in zip(inputs, found, strict=True))


def _neumann(product: Callable[[Vectors], Vectors], v: Vectors, terms: int, step: float) -> Vectors:
    total = term = v
    for _ in range(terms):
        term = tuple(t - step * h for t, h in zip(term, product(term), strict=True))
        total = tuple(a + t for a, t in zip(total, term, strict=True))
    return tuple(step * a for a in total)


def _dot(a: Vectors, b: Vectors) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()


def _conjugate_gradients(product: Callable[[Vectors], Vectors], v: Vectors, terms: int) -> Vectors:
    """Hestenes and Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952; `terms` steps."""
    x = tuple(torch.zeros_like(part) for part in v)
    rest = direction = v
    size = first = _dot(rest, rest)
    for _ in range(terms):
        h = product(direction)
        bend = _dot(direction, h)
        # Nothing left to solve, or no way down: stand still, without asking the device.
        go = (size > 1e-20 * first) & (bend > 0)
        length = torch.where(go, size / torch.where(go, bend, 1), 0)
        x = tuple(a + length * d for a, d in zip(x, direction, strict=True))
        rest = tuple(r - length * one for r, one in zip(rest, h, strict=True))
        after = _dot(rest, rest)
        turn = torch.where(go, after / torch.where(size > 0, size, 1), 0)
        direction = tuple(r + turn * d for r, d in zip(rest, direction, strict=True))
        size = after
    return x
