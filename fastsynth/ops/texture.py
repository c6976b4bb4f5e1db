"""Filtered texture lookup."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth._expect import countable, expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient, wanted

_WRAPS = ("repeat", "clamp", "mirror")
_MAX_LEVELS = 16


def mip_chain(texture: Tensor, levels: int | None = None) -> list[Tensor]:
    """A texture and its halvings, each the area average of the one before.

    Args:
        texture: float32 [B, h, w, C], or [1, h, w, C] for all images. Any size.
        levels: How many at most, the texture itself included; None = down to 1 x 1 (at most 16).

    Returns:
        The levels, finest first; sizes are ``max(1, size >> level)``.

    Example:
        >>> import torch
        >>> [tuple(level.shape[1:3]) for level in mip_chain(torch.zeros(1, 5, 8, 3))]
        [(5, 8), (2, 4), (1, 2), (1, 1)]
    """
    expect("mip_chain", texture=(texture, "B h w C", torch.float32))
    chain = [texture]
    while len(chain) < (levels or _MAX_LEVELS) and max(chain[-1].shape[1:3]) > 1:
        size = max(1, chain[-1].shape[1] // 2), max(1, chain[-1].shape[2] // 2)
        chain.append(F.adaptive_avg_pool2d(chain[-1].movedim(-1, 1), size).movedim(1, -1))
    return chain


def texture(
    texture: Tensor | Sequence[Tensor],
    uv: Tensor,
    uv_da: Tensor | None = None,
    wrap: str = "repeat",
    filter: str = "linear",
) -> Tensor:
    """Texture values at texture coordinates.

    Differentiable in the texels of every level, in ``uv`` (zero with filter "nearest") and, through the level that it
    selects, in ``uv_da`` (zero where it selects the finest or the coarsest).

    Args:
        texture: float32 [B, h, w, C] (or [1, h, w, C] for all images), row 0 on top; or its
            :func:`mip_chain`.
        uv: Coordinates, float32 [B, H, W, 2], origin top-left, texel centres at (i + 0.5) / size.
        uv_da: Change of uv per pixel, float32 [B, H, W, 4]: du/dx, du/dy, dv/dx, dv/dy. With a mip chain
            it selects the level (trilinear); None = the finest.
        wrap: "repeat", "clamp" or "mirror".
        filter: "linear" or "nearest" (within a level).

    Returns:
        Values, float32 [B, H, W, C].

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device, an unknown mode, or a level of 2^31 values
            or more for an image.

    Example:
        >>> import torch
        >>> image = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1)
        >>> texture(image, torch.tensor([0.5, 0.5]).view(1, 1, 1, 2)).item()
        0.5
    """
    levels = [texture] if isinstance(texture, Tensor) else list(texture)
    if not 1 <= len(levels) <= _MAX_LEVELS:
        raise ValueError(f"texture(): `texture` must have 1 to {_MAX_LEVELS} mip levels, but has {len(levels)}.")
    specs = {"uv": (uv, "B H W 2", torch.float32)}
    for i, level in enumerate(levels):
        specs[f"texture[{i}]"] = (level, f"A h{i} w{i} C", torch.float32)
    if uv_da is not None:
        specs["uv_da"] = (uv_da, "B H W 4", torch.float32)
    sizes = expect("texture", **specs)
    if sizes["A"] not in (1, sizes["B"]):
        raise ValueError(
            f"texture(): `texture` must have 1 image or B = {sizes['B']} as `uv` has, but has {sizes['A']}."
        )
    for i, level in enumerate(levels):
        if 0 in level.shape:
            raise ValueError(f"texture(): level {i} of `texture` is empty: {list(level.shape)}.")
    countable("texture", **{f"texture[{i}]": level[0].numel() for i, level in enumerate(levels)})
    for name, value, allowed in (("wrap", wrap, _WRAPS), ("filter", filter, ("linear", "nearest"))):
        if value not in allowed:
            raise ValueError(f"texture(): `{name}` must be one of {allowed}, but is {value!r}.")
    derivatives = uv.new_empty(0) if uv_da is None else uv_da.contiguous()
    return torch.ops.fastsynth.texture(
        [level.contiguous() for level in levels], uv.contiguous(), derivatives, _WRAPS.index(wrap), filter == "nearest"
    )


@torch.library.register_fake("fastsynth::texture")
def _(levels, uv, uv_da, wrap, nearest):
    return uv.new_empty(*uv.shape[:3], levels[0].shape[3])


@torch.library.register_fake("fastsynth::texture_backward")
def _(grad, levels, uv, uv_da, wrap, nearest, to_texels, to_uv, to_uv_da):
    return [
        grad.new_empty(sum(level.numel() for level in levels) if to_texels else 0),
        torch.empty_like(uv) if to_uv else grad.new_empty(0),
        torch.empty_like(uv_da) if to_uv_da else grad.new_empty(0),
    ]


def _save(ctx, inputs, output):
    levels, uv, uv_da, ctx.wrap, ctx.nearest = inputs
    ctx.save_for_backward(uv, uv_da, *levels)


def _backward(ctx, grad):
    uv, uv_da, *levels = ctx.saved_tensors
    to_levels, to_uv, to_uv_da, _, _ = ctx.needs_input_grad
    texels, by_uv, by_uv_da = torch.ops.fastsynth.texture_backward(
        grad.contiguous(), levels, uv, uv_da, ctx.wrap, ctx.nearest, any(to_levels), to_uv, to_uv_da
    )
    by_levels: list[Tensor | None] = [None] * len(levels)
    if any(to_levels):
        each = texels.split([level.numel() for level in levels])
        by_levels = [wanted(g.view_as(level), to) for g, level, to in zip(each, levels, to_levels, strict=True)]
    return by_levels, wanted(by_uv, to_uv), wanted(by_uv_da, to_uv_da), None, None


register_gradient("texture", _save, _backward)
