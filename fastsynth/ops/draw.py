"""The fused forward path: packed assets and a scene's tensors to pictures and labels, in one kernel."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from fastsynth._expect import one_device
from fastsynth.ops import _library  # noqa: F401
from fastsynth.ops._gradient import register_gradient

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
        "white_balance layer color_matrix"
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


#: What gradients of poses, cameras, exposure and texels go through: see :func:`draw`.
TRACED: tuple[str, ...] = ("clip", "world", "normal", "eye", "gain", "texels")
# Which gradients are asked for, a bit for each group of TRACED's and SCENE's names: csrc/core/adjoint.h.
_WANTED: tuple[tuple[str, ...], ...] = (
    ("clip", "world", "normal", "eye"),
    ("gain",),
    ("ambient",),
    ("light_position", "light_direction", "light_color", "light_cone"),
    ("base_color", "metallic", "roughness"),
    ("background_color", "photo_crop"),
    ("texels",),
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
    traced: Collection[Tensor] = (),
) -> dict[str, Tensor]:
    """Draws a batch. The tensors are those of the data model, checked by the caller but for their device.

    This is the layer below :func:`fastsynth.render`, which is what to call.

    Args:
        assets: The tensors named by ``ASSETS``, then the material textures' by ``TEXTURES``.
        scene: The tensors named by ``SCENE``; an empty one for those that the batch leaves out.
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
        traced: Where the gradient of ``rgb`` is to go, by the names of ``TRACED``, none of which are read: clip from
            object [B, N, 3, 4] (rows x w, y w and w), world from object [B, N, 3, 4], what takes normals to the world
            [B, N, 3, 3], the camera's centre [B, 3], the gain of the channels [B, 3], and the material textures' coded
            texels in [0, 1] [X, 4] (empty = no gradient). Lights, ambient light, base colours, metallic, roughness and
            background colours have theirs by ``scene``. Needs float ``rgb``, ``instance_id``, ``triangle_id`` and
            ``seen`` among the outputs, and ``grid`` 1. Empty = no gradient.

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
        list(traced),
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
def _(
    assets,
    scene,
    photos,
    traced,
    height,
    width,
    grid,
    face_bits,
    outputs,
    shading,
    tone,
    mips,
    linear,
    bytes,
    near,
    lod,
):
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


@torch.library.register_fake("fastsynth::draw_backward")
def _(assets, scene, photos, rgb, grad, instance_id, triangle_id, seen, wanted, *numbers):
    return empty_rows(assets, scene, rgb, wanted, 0)


def empty_rows(assets: list[Tensor], scene: list[Tensor], rgb: Tensor, wanted: int, more: int) -> list[Tensor]:
    """What a backward kernel returns, with `more` numbers in a row than the lights need: for the fakes."""
    b, n = scene[0].shape
    texels = assets[13].shape[0] if wanted >> _WANTED.index(("texels",)) & 1 else 0
    return [rgb.new_empty(b, n + 1, _LIGHTS + _LIGHT * scene[4].shape[1] + more), rgb.new_empty(texels, 4)]


# Places in a row of sums; csrc/core/adjoint.h.
_PLACES = {
    "clip": (0, 12),
    "world": (12, 24),
    "normal": (24, 33),
    "tint": (33, 36),
    "metallic": (36, 37),
    "roughness": (37, 38),
    "eye": (38, 41),
    "background": (41, 47),
    "gain": (47, 50),
    "ambient": (50, 77),
    "crop": (77, 81),
}
_LIGHTS, _LIGHT = 81, 12  # where they begin; numbers of one: colour, direction, position, cone, gloss


def _remember(ctx, inputs, output) -> None:
    assets, scene, photos, traced = inputs[:4]
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)  # of labels: as large as they are, and never looked at
    ctx.numbers = inputs[4:]
    ctx.traced = bool(traced)
    if traced:
        ctx.counts = len(assets), len(scene), len(photos)
        kept = (output[OUTPUTS.index(name)] for name in ("rgb", "instance_id", "triangle_id", "seen"))
        ctx.save_for_backward(*assets, *scene, *photos, *kept)


def _gradients(ctx, grads):
    if not ctx.traced:
        raise RuntimeError("draw(): a gradient was asked for, but `traced` is empty. Use fastsynth.render.")
    _, _, _, _, _, shading, tone, mips, linear, _, near, lod = ctx.numbers
    a, s, p = ctx.counts
    saved = ctx.saved_tensors
    assets, scene, photos = list(saved[:a]), list(saved[a : a + s]), list(saved[a + s : a + s + p])
    nothing = [None] * a, [None] * s, [None] * p, [None] * len(TRACED), *[None] * len(ctx.numbers)
    if grads[0] is None:
        return nothing
    needed = dict(zip(SCENE + TRACED, ctx.needs_input_grad[1] + ctx.needs_input_grad[3], strict=True))
    rows, texels = torch.ops.fastsynth.draw_backward(
        assets, scene, photos, saved[-4], grads[0].contiguous(), *saved[-3:], wanted_bits(needed), shading, tone, mips,
        linear, near, lod,
    )  # fmt: skip
    to_scene, traced = from_rows(rows, texels, needed)
    return nothing[0], to_scene, nothing[2], traced, *nothing[4:]


def wanted_bits(needed: dict[str, bool]) -> int:
    """Which groups of gradients a kernel is to make, a bit each."""
    return sum(1 << bit for bit, names in enumerate(_WANTED) if any(needed[name] for name in names))


def lights_of(rows: Tensor) -> Tensor:
    """The gradients of lights in rows of sums, [..., L, 12]."""
    light = rows[..., _LIGHTS:]
    return light[..., : light.shape[-1] // _LIGHT * _LIGHT].unflatten(-1, (-1, _LIGHT))


def from_rows(rows: Tensor, texels: Tensor, needed: dict[str, bool]) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Rows of sums (csrc/core/adjoint.h) to the gradients of ``SCENE`` and ``TRACED``, None where none is needed."""
    own, whole = rows[:, :-1], rows.sum(1)

    def of(name: str, source: Tensor, *shape: int) -> Tensor:
        first, end = _PLACES[name]
        return source[..., first:end].reshape(*source.shape[:-1], *shape)

    light = lights_of(whole)
    traced = [of("clip", own, 3, 4), of("world", own, 3, 4), of("normal", own, 3, 3), of("eye", whole, 3),
              of("gain", whole, 3), texels]  # fmt: skip
    to_scene = {
        "light_color": light[..., 0:3],
        "light_direction": light[..., 3:6],
        "light_position": light[..., 6:9],
        "light_cone": light[..., 9:11],
        "ambient": of("ambient", whole, 9, 3),
        "base_color": torch.nn.functional.pad(of("tint", own, 3), (0, 1)),  # alpha only cuts holes
        "metallic": of("metallic", own),
        "roughness": of("roughness", own),
        "background_color": of("background", whole, 2, 3),
        "photo_crop": of("crop", whole, 4),
    }
    return (
        [to_scene.get(name) if needed[name] else None for name in SCENE],
        [grad if needed[name] else None for name, grad in zip(TRACED, traced, strict=True)],
    )


register_gradient("draw", _remember, _gradients)


@torch.library.register_fake("fastsynth::uniform")
def _(index, seed, stream, count):
    return index.new_empty(index.shape[0], count, dtype=torch.float32)
