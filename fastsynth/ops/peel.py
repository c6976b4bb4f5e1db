"""What is seen at each pixel, and what lies behind it, layer after layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops.rasterize import CULLS, Fragments, check_size


class Layer(NamedTuple):
    """One layer of :func:`peel`."""

    fragments: Fragments  #: what is there; the background where there are no more triangles
    z: Tensor  #: clip-space z / w, by which layers are ordered, float32 [B, H, W]; 0 on the background


def peel(
    clip: Tensor, faces: Tensor, size: tuple[int, int], cull: str = "none", ranges: Tensor | None = None
) -> Iterator[Layer]:
    """Layers of triangles from front to back, as many as are asked for.

    The first is what :func:`rasterize` sees. Each later one is, at every pixel, the nearest of what comes after the one
    before it in the order of ``z / w`` and, at equal ``z / w``, of faces. Depth peeling (Everitt 2001), exact: the
    order is that of the kernel, bit for bit, so that no triangle is left out or seen twice. Layers never end; those
    behind the last triangle are empty.

    Args:
        clip: Clip-space corners, float32 [B, V, 4]; with ``ranges`` also [1, V, 4] for all images.
        faces: Rows of ``clip``, int32 [F, 3].
        size: Height and width, each up to 8192.
        cull: As of :func:`rasterize`.
        ranges: As of :func:`rasterize`, int32 [B, 2].

    Returns:
        An iterator of :class:`Layer`. A layer is drawn when it is asked for; no gradients.

    Raises:
        TypeError, ValueError, RuntimeError: As of :func:`rasterize`.

    Example:
        >>> import torch
        >>> near = torch.tensor([[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]])
        >>> clip = torch.cat([near + torch.tensor([0, 0, 0.5, 0]), near])[None]
        >>> faces = torch.tensor([[0, 1, 2], [3, 4, 5]], dtype=torch.int32)
        >>> layers = peel(clip, faces, (1, 1))
        >>> [next(layers).fragments.triangle_id.item() for _ in range(3)]
        [1, 0, -1]
    """
    specs = {"clip": (clip, "A V 4", torch.float32), "faces": (faces, "F 3", torch.int32)}
    if ranges is not None:
        specs["ranges"] = (ranges, "B 2", torch.int32)
    sizes = expect("peel", **specs)
    if ranges is not None and sizes["A"] not in (1, sizes["B"]):
        raise ValueError(
            f"peel(): `clip` must be [B, V, 4] or [1, V, 4] with B = {sizes['B']} from `ranges`, "
            f"but has {list(clip.shape)}."
        )
    height, width = check_size("peel", size)
    if cull not in CULLS:
        raise ValueError(f"peel(): `cull` must be one of {CULLS}, but is {cull!r}.")
    rows = faces.new_empty(0, 2) if ranges is None else ranges.contiguous()
    return _layers(clip.detach().contiguous(), faces.contiguous(), rows, height, width, CULLS.index(cull))


def _layers(clip: Tensor, faces: Tensor, ranges: Tensor, height: int, width: int, cull: int) -> Iterator[Layer]:
    above = faces.new_empty(0), clip.new_empty(0)
    while True:
        *parts, z = torch.ops.fastsynth.rasterize_layer(clip, faces, ranges, *above, height, width, cull)
        above = parts[0], z
        yield Layer(Fragments(*parts), z)


@torch.library.register_fake("fastsynth::rasterize_layer")
def _(clip, faces, ranges, layer_id, layer_z, height, width, cull):
    shape = (ranges.shape[0] or clip.shape[0], height, width)
    ids = clip.new_empty(shape, dtype=torch.int32)
    return [ids, clip.new_empty(*shape, 2), clip.new_empty(shape), clip.new_empty(shape)]
