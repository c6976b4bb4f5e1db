"""SceneBatch to Frames."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch

from fastsynth import ops
from fastsynth.environment import turn_of
from fastsynth.finish import finish
from fastsynth.ops.draw import ASSETS, SCENE, TEXTURES
from fastsynth.ops.gbuffer import OUTPUTS as SURFACES
from fastsynth.ops.rasterize import MAX_SIZE, check_size
from fastsynth.outlines import loose_boxes
from fastsynth.shadow import shadow_maps
from fastsynth.surface import clip_from_object, cofactors, determinant, eye_position
from fastsynth.types import OUTPUTS, SHADINGS, TONES, Frames, SceneBatch
from fastsynth.views import through_lens

# Outputs that the kernel writes under another name, or that are made from another's result.
_FROM_SEEN = ("boxes_2d_tight", "visible_pixels")
MAX_AMODAL = 64


def render(
    batch: SceneBatch,
    size: tuple[int, int],
    outputs: Sequence[str] = ("rgb", "depth", "instance_id", "boxes_2d_tight"),
    *,
    samples: int = 1,
    rgb_dtype: torch.dtype = torch.float32,
    texels: torch.Tensor | None = None,
) -> Frames:
    """Draws a batch of scenes: pictures and labels in one pass.

    One fused kernel that keeps nothing between geometry and outputs and writes only what was asked for. The steps of
    ``batch.effects`` follow in their order: those of linear light, the sensor, then those of the finished picture.

    Where a tensor of the batch (or `texels`) requires a gradient, ``rgb`` passes it on: to poses, cameras, lights,
    ambient light, base colours, metallic, roughness, background colours, crops of photographs, exposure, white balance,
    and the scale and azimuth of panoramas. What keeps light off, a shadow, is a constant to them. Silhouettes and
    surfaces that cut through each other have theirs too, although the picture stays as crisp as ever (see
    ``csrc/kernels/edges.h``). Labels are not differentiable, nor are 8-bit pictures. Gradients are the
    same bits in every run and for any number of threads.

    Args:
        batch: What to draw.
        size: Height and width [pixels], each up to 8192 (times the root of ``samples``).
        outputs: Names out of ``fastsynth.types.OUTPUTS``; ``fastsynth.types.GBUFFER`` is what is known of the surfaces
            and of the light that comes to them. They are made by a pass of their own, and only where asked for.
        samples: Samples a pixel of ``rgb``: 1, 4 or 16, averaged in linear light. Labels are always those
            of the pixel centre.
        rgb_dtype: torch.float32 for [0, 1] or torch.uint8 for 0..255.
        texels: Draw these in place of the material textures' texels, rounded to bytes, and give them their gradient:
            coded, in [0, 1], float32 [X, 4].

    Returns:
        :class:`~fastsynth.types.Frames`.

    Raises:
        ValueError: an unknown output, a wrong size, more instances than the ids can name, or tensors on two devices.
        RuntimeError: on the CPU, a mesh that the assets do not have. On CUDA, where that would mean to wait, the
            instance is left out, and :meth:`~fastsynth.types.Frames.check` raises.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3))
        >>> frames = fs.render(scene.sample(2, seed=0), size=(32, 48))
        >>> tuple(frames.rgb.shape), tuple(frames.boxes_2d_tight.shape)[::2]
        ((2, 3, 32, 48), (2, 4))
    """
    size = check_size("render", size)
    for name in outputs:
        if name not in OUTPUTS:
            raise ValueError(f"render(): there is no output {name!r}. Available: {', '.join(OUTPUTS)}.")
    if samples not in (1, 4, 16):
        raise ValueError(f"render(): `samples` must be 1, 4 or 16 a pixel, but is {samples}.")
    grid = math.isqrt(samples)
    if max(size) * grid > MAX_SIZE:
        raise ValueError(
            f"render(): {size} pixels with {samples} samples each is more than {MAX_SIZE} samples a side. "
            "Ask for fewer samples or a smaller image."
        )
    if rgb_dtype not in (torch.float32, torch.uint8):
        raise ValueError(f"render(): `rgb_dtype` must be torch.float32 or torch.uint8, but is {rgb_dtype}.")
    if batch.instances >= 1 << (31 - batch.assets.face_bits):
        raise ValueError(
            f"render(): {batch.instances} instances of meshes of up to 2^{batch.assets.face_bits} faces "
            f"cannot be told apart in 31 bits; at most {(1 << (31 - batch.assets.face_bits)) - 1} can. "
            "Use smaller meshes or fewer instances."
        )
    amodal = "amodal_masks" in outputs or (batch.lens is not None and "total_pixels" in outputs)
    if amodal and batch.instances > MAX_AMODAL:
        raise ValueError(
            f"render(): amodal masks are drawn for up to {MAX_AMODAL} instances an image, but the batch has "
            f"{batch.instances}. Ask for `total_pixels` alone, or split the batch."
        )

    steps = batch.effects if "rgb" in outputs else ()
    light = tuple(step for step in steps if step.stage == "light")
    sensed = bool(light) or batch.lens is not None or batch.blur is not None or batch.noise is not None
    develops = "rgb" in outputs and sensed
    needed = dict.fromkeys([*outputs, *(name for step in steps for name in step.needs)])
    drawn = _draw(batch, size, tuple(needed), grid, develops, torch.float32 if steps else rgb_dtype, texels)

    def before(bare: SceneBatch, stage: str) -> torch.Tensor:
        if stage == "light":
            return _draw(bare, size, ("rgb",), grid, True, torch.float32, texels)["rgb"]
        return render(bare.replace(effects=light), size, ("rgb",), samples=samples, texels=texels).rgb

    if steps or develops:
        drawn["rgb"] = finish(batch, size, drawn, develops, rgb_dtype, before)
    return Frames(batch, size, {name: drawn[name] for name in outputs}, drawn["flags"])


def _draw(
    batch: SceneBatch,
    size: tuple[int, int],
    outputs: Sequence[str],
    grid: int,
    linear: bool,
    dtype: torch.dtype,
    texels: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """The outputs as the kernel draws them: with `linear`, ``rgb`` is radiance before the sensor, float32."""
    if batch.lens is not None:
        return _through_lens(batch, size, outputs, grid, texels)
    textures = {name: getattr(batch.assets.textures, name) for name in TEXTURES}
    if texels is not None:
        wanted = (textures["texels"].shape[0], 4)
        if texels.dtype != torch.float32 or tuple(texels.shape) != wanted:
            raise ValueError(
                f"render(): `texels` must be float32 {list(wanted)}, as the assets' textures, but is {texels.dtype} "
                f"{list(texels.shape)}."
            )
        coded = torch.rsub(texels.detach(), 0.5, alpha=-255.0).clamp_(0.0, 255.0).to(torch.uint8)
        textures["texels"] = coded.contiguous()
    asked = dict.fromkeys(name for name in outputs if name not in (*_FROM_SEEN, *SURFACES))
    of_surfaces = [name for name in outputs if name in SURFACES]
    if of_surfaces:
        asked |= dict.fromkeys(("instance_id", "triangle_id"))
    if any(name in outputs for name in _FROM_SEEN):
        asked["seen"] = None
    photos = batch.photos if batch.photos is not None else batch.assets.textures
    scene = {name: batch.mesh_id.new_empty(0) if value is None else value for name, value in _fields(batch).items()}
    traced = ()
    colors = "rgb" in outputs and (linear or dtype == torch.float32)
    if colors and torch.is_grad_enabled() and batch.assets.vertex_data.requires_grad:
        raise ValueError(
            "render(): vertices have no gradient here, so a deformation cannot be learned by it. Detach "
            "`assets.vertex_data`, or use fastsynth.compose."
        )
    if colors and _wants_gradient(batch, texels):
        if batch.color_matrix is not None and batch.color_matrix.requires_grad:
            raise ValueError(
                "render(): `color_matrix` has no gradient here, so hues and the colours of procedural textures cannot "
                "be learned by it. Detach it, or use fastsynth.compose."
            )
        if grid > 1:
            raise ValueError("render(): gradients are of one sample a pixel; leave `samples` at 1.")
        traced = _traced(batch, size, texels)
        asked |= dict.fromkeys(("instance_id", "triangle_id", "seen"))
    if batch.photos is None:
        scene["photo_id"] = torch.full_like(batch.photo_id, -1)
    tensors = (
        [getattr(batch.assets, name) for name in ASSETS] + list(textures.values()),
        list(scene.values()),
        [getattr(photos, name) for name in TEXTURES],
    )
    look = {
        "shading": SHADINGS.index(batch.shading),
        "tone": TONES.index(batch.tone),
        "mips": batch.filter == "trilinear",
        "near": batch.near,
    }
    options = {
        "face_bits": batch.assets.face_bits,
        "linear": linear,
        "dtype": torch.float32 if linear else dtype,
        **look,
    }
    shades = "rgb" in outputs or "irradiance" in of_surfaces or "specular" in of_surfaces
    lit: dict[str, Any] = {}
    if shades and any(part is not None for part in (batch.light_shadow, batch.environments, batch.light_gloss)):
        lit = _lighting(batch)
    if "rgb" in outputs and lit:
        drawn = _draw_lit(batch, tensors, size, asked, grid, options, lit, traced)
    else:
        drawn = ops.draw(*tensors, size, tuple(asked), grid=grid, lod=batch.lod, traced=traced, **options)
    if of_surfaces:
        ids = drawn["instance_id"], drawn["triangle_id"]
        drawn |= ops.gbuffer(*tensors[:2], *ids, of_surfaces, lod=batch.lod, **look, **lit)
    if "seen" in drawn:
        drawn["boxes_2d_tight"], drawn["visible_pixels"] = ops.boxes_of(drawn.pop("seen"))
    return drawn


def _through_lens(
    batch: SceneBatch, size: tuple[int, int], outputs: Sequence[str], grid: int, texels: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    """What `_draw` gives of pinholes, through lenses; ``rgb`` is radiance before the sensor."""
    traced = "rgb" in outputs and _wants_gradient(batch, texels)
    fine = 2 if grid == 4 and not traced else 1  # the views have more pixels than the picture as it is

    def views(batch: SceneBatch, size: tuple[int, int], names: Collection[str]) -> dict[str, torch.Tensor]:
        drawn = _draw(batch, size, tuple(names), fine, True, torch.float32, texels)
        return {name: drawn[name] for name in (*names, "flags")}

    drawn = through_lens(batch, size, outputs, views, averaged=grid > 1, traced=traced)
    if any(name in outputs for name in _FROM_SEEN):
        drawn["boxes_2d_tight"], drawn["visible_pixels"] = ops.boxes_of(
            ops.reduce(drawn["instance_id"], batch.instances)
        )
    if "boxes_2d_loose" in outputs:
        drawn["boxes_2d_loose"] = loose_boxes(batch, size, views)
    return drawn


def _lighting(batch: SceneBatch) -> dict[str, Any]:
    """Shadow maps, panoramas and what the lights do to gloss, as the kernels take them."""
    maps, panoramas = shadow_maps(batch), batch.environments
    if panoramas is None:
        none = batch.exposure.new_empty(0)
        around, side = [none[None, None, :].expand(0, 0, 0), none, batch.photo_id, none, none], 0
    else:
        tensors_of = (batch.environment_id, batch.environment_scale, turn_of(batch))
        around, side = [panoramas.texels, panoramas.reflectance, *tensors_of], panoramas.side
    gloss = torch.ones_like(batch.light_cone[..., 0]) if batch.light_gloss is None else batch.light_gloss
    return {"lighting": [maps.maps, maps.cameras, *around, gloss], "casters": maps.casters, "panorama_side": side}


def _draw_lit(
    batch: SceneBatch,
    tensors: tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]],
    size: tuple[int, int],
    asked: Collection[str],
    grid: int,
    options: dict[str, Any],
    lit: dict[str, Any],
    traced: tuple[torch.Tensor, ...],
) -> dict[str, torch.Tensor]:
    """As ops.draw, in two steps: what is visible, then its colour in a light that may be kept off."""
    ids = ("instance_id", "triangle_id")
    labels = dict.fromkeys(name for name in asked if name != "rgb")
    seen = labels if grid > 1 else labels | dict.fromkeys(ids)
    drawn = {}
    if seen:
        drawn = ops.draw(*tensors, size, tuple(seen), grid=1, lod=batch.lod, **options)
    samples = drawn
    if grid > 1:  # the samples of a pixel are pixels of a larger picture, `lod` of which are as large as one of this
        large = (grid * size[0], grid * size[1])
        samples = ops.draw(*tensors, large, ids, grid=1, lod=grid * batch.lod, **options)
    drawn["rgb"] = ops.draw_lit(
        *tensors,
        instance_id=samples["instance_id"],
        triangle_id=samples["triangle_id"],
        grid=grid,
        visible=batch.environment_visible,
        lod=batch.lod,
        traced=traced,
        seen=drawn.get("seen"),
        **options,
        **lit,
    )
    return {"flags": samples["flags"], **drawn}


def _fields(batch: SceneBatch) -> dict[str, torch.Tensor | None]:
    """What the kernel reads of a batch."""
    return {name: getattr(batch, name) for name in SCENE}


def _wants_gradient(batch: SceneBatch, texels: torch.Tensor | None) -> bool:
    """Does a gradient of the picture go anywhere?"""
    if not torch.is_grad_enabled():
        return False
    around = (batch.environment_scale, batch.environment_azimuth) if batch.environments is not None else ()
    given = (*_fields(batch).values(), batch.distortion, batch.light_gloss, texels, *around)
    return any(value is not None and value.requires_grad for value in given)


def _traced(batch: SceneBatch, size: tuple[int, int], texels: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """What the kernel computes of poses and cameras for itself, in torch: the way back for its gradients."""
    world = batch.world_from_object[:, :, :3]
    turn = world[..., :3]
    outward = torch.where(determinant(turn) < 0, -1.0, 1.0)[..., None, None]
    gain = batch.exposure.exp2()[:, None] * batch.white_balance
    empty = gain.new_empty(0, 4)
    return (
        clip_from_object(batch, size),
        world,
        cofactors(turn) * outward,
        eye_position(batch.camera_from_world),
        gain,
        texels if texels is not None and texels.requires_grad else empty,
    )
