"""Colour where light may be kept off: the second half of the fused path, from what is visible to the picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth._expect import one_device
from fastsynth.ops._gradient import register_gradient
from fastsynth.ops.draw import SCENE, TRACED, empty_rows, from_rows, lights_of, wanted_bits

#: The tensors of the light in the order in which the kernel takes them.
LIGHTING: tuple[str, ...] = tuple(
    (
        "shadow_maps shadow_cameras environments.texels environments.reflectance environment_id environment_scale "
        "environment_turn light_gloss"
    ).split()
)
_WANT_LIGHTS, _WANT_ENVIRONMENT, _ENVIRONMENT = 8, 128, 3  # csrc/core/adjoint.h, environment_backward.h


def one_place(scene: Sequence[Tensor], lighting: Sequence[Tensor]) -> None:
    """Checks that the scene and its light lie on one device."""
    names = (f"batch.{name}" for name in (*SCENE, *LIGHTING))
    one_device("render", dict(zip(names, (*scene, *lighting), strict=False)))


def draw_lit(
    assets: list[Tensor],
    scene: list[Tensor],
    photos: list[Tensor],
    lighting: list[Tensor],
    instance_id: Tensor,
    triangle_id: Tensor,
    *,
    grid: int,
    face_bits: int,
    casters: int,
    panorama_side: int,
    visible: bool,
    shading: int,
    tone: int,
    mips: bool,
    linear: bool,
    dtype: torch.dtype,
    near: float,
    lod: float,
    traced: tuple[Tensor, ...] = (),
    seen: Tensor | None = None,
) -> Tensor:
    """Shades what :func:`fastsynth.ops.draw` has found visible.

    This is a layer below :func:`fastsynth.render`, which is what to call.

    Args:
        assets: As of :func:`fastsynth.ops.draw`.
        scene: As of :func:`fastsynth.ops.draw`.
        photos: As of :func:`fastsynth.ops.draw`.
        lighting: The tensors named by ``LIGHTING``: the depths [m] that the S lights see that may cast shadows, 0 where
            there is nothing, float32 [B, S, size, size]; and their cameras, float32 [B, S, 16]: camera from world
            [3, 4], focal lengths x and y in sides of the map, the lamp's radius [m] (negative = no shadow), the depth
            of the nearest thing [m]. Then the panoramas, float32 [E, T, 4] and [2, 32, 32, 4] as of
            :class:`fastsynth.environments.Environments`, E = 0 if there are none; which of them an image has, int32
            [B], -1 = none; factors of their radiance, float32 [B]; cosine and sine of their azimuths, float32 [B, 2].
            Last, factors of what glossy surfaces mirror of the lights, float32 [B, L].
        instance_id: Of the samples, int32 [B, grid H, grid W], -1 = background.
        triangle_id: Of the samples, likewise.
        grid: Samples along a pixel's side.
        face_bits: As of :func:`fastsynth.ops.draw`.
        casters: Which of the L lights have a map, a bit each, S bits in all.
        panorama_side: Texels along the side of a panorama.
        visible: Is the panorama the background?
        shading: As of :func:`fastsynth.ops.draw`.
        tone: As of :func:`fastsynth.ops.draw`.
        mips: As of :func:`fastsynth.ops.draw`.
        linear: As of :func:`fastsynth.ops.draw`.
        dtype: Of the picture: torch.float32 or torch.uint8.
        near: As of :func:`fastsynth.ops.draw`.
        lod: As of :func:`fastsynth.ops.draw`.
        traced: As of :func:`fastsynth.ops.draw`; needs ``seen``, and ``grid`` 1.
        seen: Extents of what is visible, int32 [B, N, 5].

    Returns:
        The picture, [B, 3, H, W]. Differentiable as that of :func:`fastsynth.ops.draw`, in the panoramas' scale and
        azimuth, and in the lights' gloss; how much of a light a shadow lets through is taken as a constant, and so is
        the direction in which a camera sees the panorama behind everything.

    Raises:
        ValueError: tensors on two devices.
    """
    one_place(scene, lighting)
    seen = scene[0].new_empty(0) if seen is None else seen
    return torch.ops.fastsynth.draw_lit(
        assets, scene, photos, list(traced), lighting, instance_id, triangle_id, seen, grid, face_bits, casters,
        panorama_side, visible, shading, tone, mips, linear, dtype == torch.uint8, near, lod,
    )  # fmt: skip


@torch.library.register_fake("fastsynth::draw_lit")
def _(assets, scene, photos, traced, lighting, instance_id, triangle_id, seen, grid, *numbers):
    b, height, width = instance_id.shape
    dtype = torch.uint8 if numbers[8] else torch.float32
    return scene[1].new_empty(b, 3, height // grid, width // grid, dtype=dtype)


@torch.library.register_fake("fastsynth::draw_lit_backward")
def _(assets, scene, photos, lighting, rgb, grad, instance_id, triangle_id, seen, wanted, *numbers):
    return empty_rows(assets, scene, rgb, wanted, _ENVIRONMENT)


def _remember(ctx, inputs, output) -> None:
    ctx.set_materialize_grads(False)
    ctx.numbers = inputs[8:]
    ctx.traced = bool(inputs[3])
    ctx.counts = [len(inputs[i]) for i in (0, 1, 2, 4)]
    if ctx.traced:
        ctx.save_for_backward(*inputs[0], *inputs[1], *inputs[2], *inputs[4], output, *inputs[5:8])


def _gradients(ctx, grad):
    if not ctx.traced:
        raise RuntimeError("draw_lit(): a gradient was asked for, but `traced` is empty. Use fastsynth.render.")
    _, _, casters, side, visible, shading, tone, mips, linear, _, near, lod = ctx.numbers
    a, s, p, lights = ctx.counts
    nothing = [None] * a, [None] * s, [None] * p, [None] * len(TRACED), [None] * lights, *[None] * 3, *[None] * 12
    if grad is None:
        return nothing
    saved = list(ctx.saved_tensors)
    assets, scene, photos, lighting = (
        saved[:a], saved[a : a + s], saved[a + s : a + s + p], saved[a + s + p : a + s + p + lights],
    )  # fmt: skip
    rgb, *seen = saved[-4:]
    needed = dict(zip(SCENE + TRACED, ctx.needs_input_grad[1] + ctx.needs_input_grad[3], strict=True))
    to_scale, to_turn, to_gloss = ctx.needs_input_grad[4][5:8]
    wanted = wanted_bits(needed) | (_WANT_ENVIRONMENT if to_scale or to_turn else 0)
    wanted |= _WANT_LIGHTS if to_gloss else 0
    rows, texels = torch.ops.fastsynth.draw_lit_backward(
        assets, scene, photos, lighting, rgb, grad.contiguous(), *seen, wanted, casters, side, visible, shading, tone,
        mips, linear, near, lod,
    )  # fmt: skip
    to_scene, traced = from_rows(rows, texels, needed)
    around = rows[..., -_ENVIRONMENT:].sum(1)
    to_lighting = [*[None] * 5, around[:, 0] if to_scale else None, around[:, 1:] if to_turn else None,
                   lights_of(rows.sum(1))[..., 11] if to_gloss else None]  # fmt: skip
    return nothing[0], to_scene, nothing[2], traced, to_lighting, *nothing[5:]


register_gradient("draw_lit", _remember, _gradients)
