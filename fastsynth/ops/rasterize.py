"""Which triangle is seen at each pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient

CULLS = ("none", "back", "front")
MAX_SIZE = 8192


class Fragments(NamedTuple):
    """What is visible at each pixel."""

    triangle_id: Tensor  #: row of ``faces``, int32 [B, H, W]; -1 = background
    barycentric: Tensor  #: weights of corners 0 and 1, perspective-correct, float32 [B, H, W, 2]; 0 on the background
    depth: Tensor  #: clip-space w, that is the depth along the camera's axis, float32 [B, H, W]; 0 on the background


def check_size(op: str, size: tuple[int, int]) -> tuple[int, int]:
    """The image size (H, W), checked."""
    height, width = (int(side) for side in size)
    if not (1 <= height <= MAX_SIZE and 1 <= width <= MAX_SIZE):
        raise ValueError(f"{op}(): `size` must be (H, W), each 1 to {MAX_SIZE} pixels, but is {tuple(size)}.")
    return height, width


def rasterize(
    clip: Tensor, faces: Tensor, size: tuple[int, int], cull: str = "none", ranges: Tensor | None = None
) -> Fragments:
    """Which triangle is seen at each pixel centre, exactly.

    Clip space is OpenGL's but for y, which points down: a point is visible where
    ``-w <= z <= w`` and ``w > 0``, and pixel ``x = (clip_x / w / 2 + 1/2) * W``. Row 0 is
    the top, pixel centres lie at half-integers. Corners are snapped to 1/256 pixel, coverage is decided
    in integers with the top-left rule; the smaller ``z / w`` wins, ties go to the lower face.
    Triangles that cross the near plane are clipped.

    ``barycentric`` and ``depth`` are differentiable in the x, y and w of ``clip``: how what is seen at a pixel centre
    moves over its triangle, and how deep it lies. Which triangle is seen does not vary smoothly and has no gradient.

    Args:
        clip: Clip-space corners, float32 [B, V, 4].
        faces: Rows of ``clip``, int32 [F, 3].
        size: Height and width, each up to 8192.
        cull: "none", "back" or "front"; front faces run counter-clockwise as seen.
        ranges: First face and number of faces of each image, int32 [B, 2], on the same
            device; None = every image draws all faces. With it, a batch holds different meshes.

    Returns:
        :class:`Fragments`.

    Raises:
        TypeError, ValueError: a wrong tensor, size or cull mode.
        RuntimeError: on the CPU, a face that names a vertex that does not exist. On CUDA
            such a face is not drawn.

    Example:
        >>> import torch
        >>> clip = torch.tensor([[[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]]])
        >>> rasterize(clip, torch.tensor([[0, 1, 2]], dtype=torch.int32), (2, 2)).triangle_id.tolist()
        [[[0, 0], [0, 0]]]
    """
    specs = {"clip": (clip, "B V 4", torch.float32), "faces": (faces, "F 3", torch.int32)}
    if ranges is not None:
        specs["ranges"] = (ranges, "B 2", torch.int32)
    expect("rasterize", **specs)
    height, width = check_size("rasterize", size)
    if cull not in CULLS:
        raise ValueError(f"rasterize(): `cull` must be one of {CULLS}, but is {cull!r}.")
    rows = faces.new_empty(0, 2) if ranges is None else ranges.contiguous()
    return Fragments(
        *torch.ops.fastsynth.rasterize(clip.contiguous(), faces.contiguous(), rows, height, width, CULLS.index(cull))
    )


@torch.library.register_fake("fastsynth::rasterize")
def _(clip, faces, ranges, height, width, cull):
    shape = (clip.shape[0], height, width)
    return [clip.new_empty(shape, dtype=torch.int32), clip.new_empty(*shape, 2), clip.new_empty(shape)]


@torch.library.register_fake("fastsynth::rasterize_backward")
def _(grad_barycentric, grad_depth, clip, faces, triangle_id):
    return torch.empty_like(clip)


def _save(ctx, inputs, output):
    clip, faces = inputs[:2]
    ctx.save_for_backward(clip, faces, output[0])


def _backward(ctx, grads):
    clip, faces, triangle_id = ctx.saved_tensors
    by_barycentric = clip.new_zeros(*triangle_id.shape, 2) if grads[1] is None else grads[1].contiguous()
    by_depth = clip.new_zeros(triangle_id.shape) if grads[2] is None else grads[2].contiguous()
    by_clip = torch.ops.fastsynth.rasterize_backward(by_barycentric, by_depth, clip, faces, triangle_id)
    return by_clip, None, None, None, None, None


register_gradient("rasterize", _save, _backward)
