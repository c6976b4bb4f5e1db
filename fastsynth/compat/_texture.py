"""Texture lookup behind nvdiffrast's interface."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.compat._filtered import Levels, cube_change, cube_face, cube_mip_chain, footprint_level

_FILTERS = ("auto", "nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear")
_BOUNDARIES = ("wrap", "clamp", "zero", "cube")


class TextureMips:
    """What :func:`texture_construct_mip` made: hand it to :func:`texture`."""

    def __init__(self, levels: list[Tensor]):
        self.levels = levels


def texture_construct_mip(tex: Tensor, max_mip_level: int | None = None, cube_mode: bool = False) -> TextureMips:
    """A texture's smaller levels, made once for several lookups while the texture stays as it is.

    Args:
        tex: float32 [B, h, w, C], or [B, 6, s, s, C] with ``cube_mode``. Any size; 16 levels at most.
        max_mip_level: Levels beyond the texture itself at most; None = down to one texel.
        cube_mode: Is it a cube map?
    """
    _check_texture("texture_construct_mip", tex, cube_mode)
    return TextureMips(_chain(tex.detach(), max_mip_level))


def _check_texture(op: str, tex: Tensor, cube: bool) -> None:
    expect(op, tex=(tex, "A 6 s s C" if cube else "A h w C", torch.float32))
    if 0 in tex.shape:
        raise ValueError(f"{op}(): `tex` is empty: {list(tex.shape)}.")


def _chain(tex: Tensor, max_mip_level: int | None) -> list[Tensor]:
    if max_mip_level is not None and max_mip_level < 0:
        raise ValueError(f"texture(): `max_mip_level` must not be negative, but is {max_mip_level}.")
    return cube_mip_chain(tex, None if max_mip_level is None else max_mip_level + 1)


def texture(
    tex: Tensor,
    uv: Tensor,
    uv_da: Tensor | None = None,
    mip_level_bias: Tensor | None = None,
    mip: TextureMips | Sequence[Tensor] | None = None,
    filter_mode: str = "auto",
    boundary_mode: str = "wrap",
    max_mip_level: int | None = None,
) -> Tensor:
    """Filtered texture lookup.

    Args:
        tex: float32 [B, h, w, C], or [B, 6, s, s, C] with ``boundary_mode`` "cube"; [1, ...] for all images.
        uv: Coordinates, float32 [B, H, W, 2], (0, 0) = outer corner of texel [0, 0]; with "cube" directions, 3 numbers.
        uv_da: Their changes per pixel, float32 [B, H, W, 4] (du/dX, du/dY, dv/dX, dv/dY), 6 with "cube".
        mip_level_bias: Added to the level of detail, float32 [B, H, W]; without ``uv_da`` it is the level.
        mip: Smaller levels of one's own, finest first, or from :func:`texture_construct_mip`.
        filter_mode: "nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear", or "auto": trilinear where
            ``uv_da`` or ``mip_level_bias`` is given, "linear" elsewhere.
        boundary_mode: "wrap", "clamp", "zero" or "cube".
        max_mip_level: Levels beyond the texture itself at most.

    Returns:
        float32 [B, H, W, C], 0 where a direction is zero or not finite. Differentiable in
        ``tex``, ``uv``, ``uv_da``, ``mip_level_bias`` and one's own ``mip``.
    """
    for name, value, allowed in (("filter_mode", filter_mode, _FILTERS), ("boundary_mode", boundary_mode, _BOUNDARIES)):
        if value not in allowed:
            raise ValueError(f"texture(): `{name}` must be one of {allowed}, but is {value!r}.")
    cube = boundary_mode == "cube"
    _check_texture("texture", tex, cube)
    specs = {"uv": (uv, f"B H W {3 if cube else 2}", torch.float32)}
    if uv_da is not None:
        specs["uv_da"] = (uv_da, f"B H W {6 if cube else 4}", torch.float32)
    if mip_level_bias is not None:
        specs["mip_level_bias"] = (mip_level_bias, "B H W", torch.float32)
    sizes = expect("texture", **specs)
    guided = uv_da is not None or mip_level_bias is not None
    if filter_mode == "auto":
        filter_mode = "linear-mipmap-linear" if guided else "linear"
    mipped = "mipmap" in filter_mode
    if mipped and not guided:
        raise ValueError(f"texture(): `filter_mode` {filter_mode!r} needs `uv_da` or `mip_level_bias`.")
    levels = [tex]
    if mipped and max_mip_level != 0:
        if mip is None or (isinstance(mip, TextureMips) and tex.requires_grad):
            levels = _chain(tex, max_mip_level if mip is None else len(mip.levels) - 1)
        else:
            levels += mip.levels[1:] if isinstance(mip, TextureMips) else list(mip)
        levels = levels[: None if max_mip_level is None else max_mip_level + 1]
    for number, level in enumerate(levels):
        sides = [max(1, side >> number) for side in tex.shape[-3:-1]]
        if level.shape[0] not in (1, sizes["B"]) or level.shape[1:] != (*tex.shape[1:-3], *sides, tex.shape[-1]):
            raise ValueError(
                f"texture(): level {number} must have 1 image or B = {sizes['B']} as `uv` has, {number} times half the "
                f"sides of `tex` and its channels, but has {list(level.shape)} where `tex` has {list(tex.shape)}."
            )
    packed = Levels(levels, boundary_mode)
    if cube:
        # What is no direction gives 0 and has no gradient; it must not become infinite on the way.
        valid = (uv.isfinite().all(-1) & (uv != 0).any(-1))[..., None]
        instead = torch.ones_like(uv)
        found = _lookup(packed, torch.where(valid, uv, instead), uv_da, mip_level_bias, filter_mode)
        return torch.where(valid, found, 0)
    return _lookup(packed, uv, uv_da, mip_level_bias, filter_mode)


def _lookup(
    packed: Levels, uv: Tensor, uv_da: Tensor | None, mip_level_bias: Tensor | None, filter_mode: str
) -> Tensor:
    last = len(packed.levels) - 1
    face, at = cube_face(uv) if packed.boundary == "cube" else (None, uv)
    if "mipmap" not in filter_mode:
        return packed.lookup(at, face, None, filter_mode == "nearest")
    level = torch.zeros_like(uv[..., 0])
    if uv_da is not None:
        change = cube_change(uv, face, uv_da) if face is not None else uv_da
        height, width = packed.size
        level = footprint_level(torch.cat([change[..., :2] * width, change[..., 2:] * height], -1))
    if mip_level_bias is not None:
        level = level + mip_level_bias
    level = level.nan_to_num().clamp(0, last)
    if filter_mode == "linear-mipmap-nearest":
        level = (level.detach() + 0.5).floor().clamp(max=last)
    return packed.lookup(at, face, level, False)
