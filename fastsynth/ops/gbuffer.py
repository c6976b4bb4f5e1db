"""What the surfaces that are seen are made of, and the light that comes to them, for pictures whose ids are known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from fastsynth.ops.draw_lit import one_place

#: What can be asked for, in the order in which it comes back.
OUTPUTS: tuple[str, ...] = ("base_color", "metallic_roughness", "irradiance", "specular", "material_id")
_CHANNELS = (3, 2, 3, 3, 0)


def gbuffer(
    assets: list[Tensor],
    scene: list[Tensor],
    instance_id: Tensor,
    triangle_id: Tensor,
    outputs: Collection[str],
    *,
    lighting: Sequence[Tensor] = (),
    casters: int = 0,
    panorama_side: int = 0,
    shading: int,
    tone: int,
    mips: bool,
    near: float,
    lod: float,
) -> dict[str, Tensor]:
    """Looks of what is seen. The tensors are those of the data model, checked by the caller.

    This is the layer below :func:`fastsynth.render`, which is what to call.

    Args:
        assets: As of :func:`fastsynth.ops.draw`.
        scene: Likewise.
        instance_id: That was drawn, int32 [B, H, W].
        triangle_id: Likewise.
        outputs: Names out of ``OUTPUTS``.
        lighting: As of :func:`fastsynth.ops.draw_lit`; empty = no light is kept off, and there are no panoramas.
        casters: Likewise.
        panorama_side: Likewise.
        shading: Row of ``SHADINGS``.
        tone: Row of ``TONES``.
        mips: Trilinear, or bilinear in the finest level.
        near: Distance of the near plane [m].
        lod: Largest projected error of a level of detail [pixels].

    Returns:
        The outputs that were asked for. None has a gradient.
    """
    one_place(scene, lighting)
    wanted = sum(1 << OUTPUTS.index(name) for name in outputs)
    drawn = torch.ops.fastsynth.gbuffer(
        [tensor.detach() for tensor in assets],
        [tensor.detach() for tensor in scene],
        [tensor.detach() for tensor in lighting],
        instance_id,
        triangle_id,
        wanted,
        casters,
        panorama_side,
        shading,
        tone,
        mips,
        near,
        lod,
    )
    return {name: drawn[OUTPUTS.index(name)] for name in outputs}


@torch.library.register_fake("fastsynth::gbuffer")
def _(assets, scene, lighting, instance_id, triangle_id, outputs, *numbers):
    b, h, w = instance_id.shape
    made = []
    for i, channels in enumerate(_CHANNELS):
        shape = ((b, channels, h, w) if channels else (b, h, w)) if outputs >> i & 1 else (0,)
        made.append(instance_id.new_empty(shape, dtype=torch.float32 if channels else torch.int32))
    return made
