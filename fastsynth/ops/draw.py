"""The fused forward path: packed assets and a scene's tensors to pictures and labels, in one kernel."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from fastsynth._expect import one_device
from fastsynth.ops import _library  # noqa: F401

#: The tensors of the data model in the order in which the kernel takes them.
ASSETS: tuple[str, ...] = tuple(
    (
        "vertex_data vertex_colors faces meshlets meshlet_bounds levels level_error meshes mesh_bounds mesh_class hull "
        "materials material_textures"
    ).split()
)
TEXTURES: tuple[str, ...] = ("texels", "info", "offsets")
SCENE: tuple[str, ...] = tuple(
    (
        "mesh_id world_from_object intrinsics camera_from_world light_kind light_position light_direction light_color "
        "light_cone ambient base_color metallic roughness texture_id background_color photo_id photo_crop exposure "
        "white_balance"
    ).split()
)
# All of them in the words of the caller, for errors; the batch first, since its device is the one that is meant.
_NAMES = (
    *(f"batch.{name}" for name in SCENE),
    *(f"batch.assets.{name}" for name in ASSETS),
    *(f"batch.assets.textures.{name}" for name in TEXTURES),
    *(f"batch.photos.{name}" for name in TEXTURES),
)
#: What can be asked for, in the order in which it comes back.
OUTPUTS: tuple[str, ...] = tuple(
    (
        "rgb instance_id triangle_id semantic_id depth distance normals object_coordinates uv seen boxes_2d_loose "
        "total_pixels amodal_masks"
    ).split()
)


def draw(
    assets: list[Tensor],
    scene: list[Tensor],
    photos: list[Tensor],
    size: tuple[int, int],
    outputs: Collection[str],
    *,
    grid: int,
    face_bits: int,
    shading: int,
    tone: int,
    mips: bool,
    linear: bool,
    dtype: torch.dtype,
    near: float,
    lod: float,
) -> dict[str, Tensor]:
    """Draws a batch. The tensors are those of the data model, checked by the caller but for their device.

    This is the layer below :func:`fastsynth.render`, which is what to call.

    Args:
        assets: The tensors named by ``ASSETS``, then the material textures' by ``TEXTURES``.
        scene: The tensors named by ``SCENE``.
        photos: The photographs' by ``TEXTURES``.
        size: Height and width.
        outputs: Names out of ``OUTPUTS``.
        grid: Samples along a pixel's side for the colour: 1, 2 or 4.
        face_bits: Bits that number the faces of any one level of detail.
        shading: Row of ``SHADINGS``.
        tone: Row of ``TONES``.
        mips: Trilinear, or bilinear in the finest level.
        linear: Leave ``rgb`` as linear radiance, before exposure.
        dtype: Of ``rgb``: torch.float32 or torch.uint8.
        near: Distance of the near plane [m].
        lod: Largest projected error of a level of detail [pixels]; 0 = the finest always.

    Returns:
        The outputs that were asked for, and ``flags``, int32 [2]: 1 + the flattened slot of an instance whose mesh does
        not exist, or 0; and how many triangles were drawn the slow way.

    Raises:
        ValueError: tensors on two devices.
    """
    one_device("render", dict(zip(_NAMES, (*scene, *assets, *photos), strict=True)))
    wanted = sum(1 << OUTPUTS.index(name) for name in outputs)
    drawn = torch.ops.fastsynth.draw(
        assets,
        scene,
        photos,
        *size,
        grid,
        face_bits,
        wanted,
        shading,
        tone,
        mips,
        linear,
        dtype == torch.uint8,
        near,
        lod,
    )
    return {**{name: drawn[OUTPUTS.index(name)] for name in outputs}, "flags": drawn[-1]}


@torch.library.register_fake("fastsynth::draw")
def _(assets, scene, photos, height, width, grid, face_bits, outputs, shading, tone, mips, linear, bytes, near, lod):
    pose = scene[1]
    b, n, h, w = pose.shape[0], pose.shape[1], height, width
    shapes = {
        "rgb": ((b, 3, h, w), torch.uint8 if bytes else torch.float32),
        "instance_id": ((b, h, w), torch.int32),
        "triangle_id": ((b, h, w), torch.int32),
        "semantic_id": ((b, h, w), torch.int32),
        "depth": ((b, h, w), torch.float32),
        "distance": ((b, h, w), torch.float32),
        "normals": ((b, 3, h, w), torch.float32),
        "object_coordinates": ((b, 3, h, w), torch.float32),
        "uv": ((b, 2, h, w), torch.float32),
        "seen": ((b, n, 5), torch.int32),
        "boxes_2d_loose": ((b, n, 4), torch.float32),
        "total_pixels": ((b, n), torch.int32),
        "amodal_masks": ((b, n, h, w), torch.bool),
    }
    return [
        pose.new_empty(shape if outputs >> i & 1 else (0,), dtype=dtype)
        for i, (shape, dtype) in enumerate(shapes[name] for name in OUTPUTS)
    ] + [pose.new_empty(2, dtype=torch.int32)]


@torch.library.register_fake("fastsynth::uniform")
def _(index, seed, stream, count):
    return index.new_empty(index.shape[0], count, dtype=torch.float32)
