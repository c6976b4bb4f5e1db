"""The interface of nvdiffrast 0.4 (``nvdiffrast.torch``), from its documentation.

``import fastsynth.compat.nvdiffrast as dr`` is all that a script has to change. Clip space, images and textures have
row 0 at the bottom, y up; ids are counted from 1 and kept in a float channel. Visibility is exact: corners are snapped
to 1/256 pixel, and of two surfaces at one depth the lower triangle is seen. It runs on the CPU too, has no context, and
waits for nothing. How the two differ: ``docs/howto/from_nvdiffrast.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth import ops
from fastsynth._expect import expect
from fastsynth.compat._pixels import weights
from fastsynth.compat._texture import TextureMips, texture, texture_construct_mip
from fastsynth.ops.antialias import corner_values

__all__ = [
    "DepthPeeler",
    "RasterizeCudaContext",
    "RasterizeGLContext",
    "TextureMips",
    "antialias",
    "antialias_construct_topology_hash",
    "get_log_level",
    "interpolate",
    "rasterize",
    "set_log_level",
    "texture",
    "texture_construct_mip",
]

_EXACT_IDS = 2**24  # up to here a float holds the id itself; beyond, its bits go up by one with each id
_BITS = 0x4A800000
_log_level = 1  # state of a module, since the interface has it


class RasterizeCudaContext:
    """Stands where nvdiffrast wants a context; there is none.

    Args:
        device: Ignored: work is done on the tensors' device.
    """

    output_db = True

    def __init__(self, device: torch.device | str | int | None = None):
        del device


class RasterizeGLContext(RasterizeCudaContext):
    """The same; no OpenGL is used.

    Args:
        output_db: False = :func:`rasterize` returns no derivatives.
        mode: "automatic" or "manual"; ignored.
        device: Ignored.
    """

    def __init__(self, output_db: bool = True, mode: str = "automatic", device: torch.device | str | int | None = None):
        super().__init__(device)
        if mode not in ("automatic", "manual"):
            raise ValueError(f'RasterizeGLContext(): `mode` must be "automatic" or "manual", but is {mode!r}.')
        self.output_db = bool(output_db)

    def set_context(self) -> None:
        """Does nothing."""

    def release_context(self) -> None:
        """Does nothing."""


def get_log_level() -> int:
    """What :func:`set_log_level` set; 1 at first."""
    return _log_level


def set_log_level(level: int) -> None:
    """Keeps a number; nothing is logged.

    Example:
        >>> set_log_level(2)
        >>> get_log_level()
        2
    """
    global _log_level
    _log_level = int(level)


def _encode(ids: Tensor) -> Tensor:
    """Ids from 0, -1 = background, int32, as nvdiffrast's floats."""
    number = ids + 1
    return torch.where(number <= _EXACT_IDS, number.float(), (number + _BITS).view(torch.float32))


def _decode(rast: Tensor) -> Tensor:
    """Ids from 0, -1 = background, int32 [B, H, W]."""
    value = rast[..., 3].detach().contiguous()
    return torch.where(value <= _EXACT_IDS, value.int(), value.view(torch.int32) - _BITS) - 1


class DepthPeeler:
    """Layers from front to back, one with each :meth:`rasterize_next_layer`; a context manager.

    Args:
        glctx: Ignored.
        pos: As of :func:`rasterize`.
        tri: As of :func:`rasterize`.
        resolution: As of :func:`rasterize`.
        ranges: As of :func:`rasterize`.
        grad_db: As of :func:`rasterize`.

    Example:
        >>> import torch
        >>> pos = torch.tensor([[[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]]])
        >>> tri = torch.tensor([[0, 1, 2], [2, 1, 0]], dtype=torch.int32)
        >>> with DepthPeeler(RasterizeCudaContext(), pos, tri, (1, 1)) as peeler:
        ...     [peeler.rasterize_next_layer()[0][..., 3].item() for _ in range(3)]
        [1.0, 2.0, 0.0]
    """

    def __init__(
        self,
        glctx: RasterizeCudaContext,
        pos: Tensor,
        tri: Tensor,
        resolution: Sequence[int],
        ranges: Tensor | None = None,
        grad_db: bool = True,
    ):
        self._clip, rows = _clip_space("DepthPeeler", pos, tri, ranges)
        self._tri, self._db = tri, (getattr(glctx, "output_db", True), grad_db)
        self._layers = ops.peel(self._clip.detach(), tri, (int(resolution[0]), int(resolution[1])), ranges=rows)

    def __enter__(self) -> DepthPeeler:
        return self

    def __exit__(self, *error: object) -> None:
        self._layers = iter(())

    def rasterize_next_layer(self) -> tuple[Tensor, Tensor]:
        """The next layer, as :func:`rasterize` returns the first."""
        layer = next(self._layers, None)
        if layer is None:
            raise RuntimeError("DepthPeeler.rasterize_next_layer(): the peeler was left. Call it inside its `with`.")
        return _fragments(self._clip, self._tri, layer.fragments.triangle_id, *self._db)


def _clip_space(op: str, pos: Tensor, tri: Tensor, ranges: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Positions [B, V, 4] or [1, V, 4], and ranges on their device."""
    if not isinstance(pos, Tensor) or pos.ndim != 2:
        expect(op, pos=(pos, "B V 4", torch.float32), tri=(tri, "F 3", torch.int32))
        return pos, None
    expect(op, pos=(pos, "V 4", torch.float32), tri=(tri, "F 3", torch.int32))
    if ranges is None:
        raise ValueError(f"{op}(): `pos` [V, 4] needs `ranges`, int32 [B, 2]; without, give `pos` as [B, V, 4].")
    expect(op, ranges=(ranges, "B 2", torch.int32))
    return pos[None], ranges.to(pos.device, non_blocking=True)


def _fragments(clip: Tensor, tri: Tensor, ids: Tensor, output_db: bool, grad_db: bool) -> tuple[Tensor, Tensor]:
    if not len(tri):
        return clip.new_zeros(*ids.shape, 4), clip.new_zeros(*ids.shape, 4 if output_db else 0)
    found = weights(clip, tri, ids)
    there = ids >= 0
    rast = [torch.where(there, part, 0) for part in (found.first, found.second, found.depth)]
    rast = torch.stack([*rast, _encode(ids)], -1)
    if not output_db:
        return rast, clip.new_zeros(*ids.shape, 0)
    rast_db = torch.stack([found.first_x, found.first_y, found.second_x, found.second_y], -1)
    rast_db = torch.where(there[..., None], rast_db, 0)
    return rast, rast_db if grad_db else rast_db.detach()


def rasterize(
    glctx: RasterizeCudaContext,
    pos: Tensor,
    tri: Tensor,
    resolution: Sequence[int],
    ranges: Tensor | None = None,
    grad_db: bool = True,
) -> tuple[Tensor, Tensor]:
    """What is seen at each pixel.

    Args:
        glctx: Ignored, but for the ``output_db`` of a :class:`RasterizeGLContext`.
        pos: Clip-space positions, float32 [B, V, 4]; with ``ranges`` [V, 4].
        tri: int32 [F, 3].
        resolution: Height and width, each up to 8192; any whole numbers.
        ranges: First triangle and number of triangles of each image, int32 [B, 2], on the CPU; ignored for [B, V, 4].
        grad_db: Carry gradients through the second result too.

    Returns:
        float32 [B, H, W, 4]: weights of corners 0 and 1, z/w, id + 1 (all 0 = background); and float32 [B, H, W, 4]:
        change of the weights per pixel, du/dX, du/dY, dv/dX, dv/dY. Both weights are differentiable in ``pos``; z/w and
        the id are not.
    """
    clip, rows = _clip_space("rasterize", pos, tri, ranges)
    size = int(resolution[0]), int(resolution[1])
    if rows is None:
        ids = ops.rasterize(clip.detach(), tri, size).triangle_id
    else:
        ids = next(ops.peel(clip.detach(), tri, size, ranges=rows)).fragments.triangle_id
    return _fragments(clip, tri, ids, getattr(glctx, "output_db", True), grad_db)


def interpolate(
    attr: Tensor,
    rast: Tensor,
    tri: Tensor,
    rast_db: Tensor | None = None,
    diff_attrs: Sequence[int] | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Vertex attributes at the pixels.

    Args:
        attr: float32 [B, V, A], [1, V, A] for all images, or [V, A] in range mode.
        rast: From :func:`rasterize`.
        tri: int32 [F, 3].
        rast_db: From :func:`rasterize`; needed for derivatives.
        diff_attrs: Of which attributes derivatives are wanted: their numbers, or "all".

    Returns:
        float32 [B, H, W, A], 0 on the background; and float32 [B, H, W, 2 K]: dA/dX, dA/dY of each of the K wanted
        attributes. Differentiable in ``attr``, ``rast`` and ``rast_db``.
    """
    values = attr[None] if attr.ndim == 2 else attr
    specs = {"attr": (values, "N V A", torch.float32), "rast": (rast, "B H W 4", torch.float32)}
    specs["tri"] = (tri, "F 3", torch.int32)
    if diff_attrs is not None:
        if rast_db is None:
            raise ValueError("interpolate(): `diff_attrs` needs `rast_db`, the second result of rasterize().")
        specs["rast_db"] = (rast_db, "B H W 4", torch.float32)
    sizes = expect("interpolate", **specs)
    if sizes["N"] not in (1, sizes["B"]):
        raise ValueError(
            f"interpolate(): `attr` must have 1 image or B = {sizes['B']} as `rast` has, but has {list(attr.shape)}."
        )
    if isinstance(diff_attrs, str) and diff_attrs != "all":
        raise ValueError(f'interpolate(): `diff_attrs` must be numbers, "all" or None, but is {diff_attrs!r}.')
    chosen = list(range(sizes["A"])) if diff_attrs == "all" else list(diff_attrs or ())
    if not len(tri):
        return attr.new_zeros(*rast.shape[:3], sizes["A"]), attr.new_zeros(*rast.shape[:3], 2 * len(chosen))
    ids = _decode(rast)
    there = (ids >= 0)[..., None]
    a, b, c = corner_values(values, tri, ids).unbind(-2)
    along_u, along_v = a - c, b - c
    out = torch.where(there, c + rast[..., :1] * along_u + rast[..., 1:2] * along_v, 0)
    if rast_db is None or not chosen:
        return out, out.new_zeros(*rast.shape[:3], 0)
    picked = [along[..., number] for along in (along_u, along_v) for number in chosen]
    u, v = torch.stack(picked[: len(chosen)], -1)[..., None], torch.stack(picked[len(chosen) :], -1)[..., None]
    change = u * rast_db[..., None, :2] + v * rast_db[..., None, 2:]
    return out, torch.where(there, change.flatten(-2), 0)


def antialias_construct_topology_hash(tri: Tensor) -> Tensor:
    """What :func:`antialias` needs to know of the triangles, made once for several images."""
    return ops.opposite_vertices(tri)


def antialias(
    color: Tensor,
    rast: Tensor,
    pos: Tensor,
    tri: Tensor,
    topology_hash: Tensor | None = None,
    pos_gradient_boost: float = 1.0,
) -> Tensor:
    """Blends pixels across silhouettes, with a gradient of the positions: :func:`fastsynth.ops.antialias`.

    Args:
        color: float32 [B, H, W, C].
        rast: From :func:`rasterize`.
        pos: As of :func:`rasterize`.
        tri: int32 [F, 3].
        topology_hash: From :func:`antialias_construct_topology_hash`.
        pos_gradient_boost: Multiplies the gradient of ``pos``.

    Returns:
        float32 [B, H, W, C]. Differentiable in ``color`` and ``pos``.
    """
    expect("antialias", rast=(rast, "B H W 4", torch.float32))
    clip = pos[None] if pos.ndim == 2 else pos
    if pos_gradient_boost != 1.0:
        clip = clip.detach() + pos_gradient_boost * (clip - clip.detach())
    here = rast.detach()
    fragments = ops.Fragments(_decode(rast), here[..., :2].contiguous(), here[..., 2].contiguous())
    return ops.antialias(color, fragments, clip, tri, topology_hash)
