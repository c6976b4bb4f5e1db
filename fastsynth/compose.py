"""The picture in plain torch: the oracle of the fused kernel, and the path that gradients take.

Visibility is given; everything after it is composed of torch's own functions and differentiable in poses, cameras,
lights, materials, texels, backgrounds and the sensor. Which triangle a pixel sees does not vary smoothly: what moves a
silhouette gets no gradient from here. It keeps every intermediate of a pixel and is many times slower than
:func:`fastsynth.render`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth import environment
from fastsynth._expect import expect
from fastsynth.geometry import multiply
from fastsynth.sensor import develop
from fastsynth.shading import Surface, shade
from fastsynth.shadow import shadow_maps
from fastsynth.surface import Seen, eye_position, material, sample, see, unit
from fastsynth.types import SceneBatch

#: Every output that `compose` can be asked for.
OUTPUTS = (
    "rgb",
    "radiance",
    "depth",
    "distance",
    "normals",
    "object_coordinates",
    "uv",
    "semantic_id",
    "base_color",
    "metallic_roughness",
    "irradiance",
    "specular",
    "material_id",
)
_COLORS = ("rgb", "radiance")
_SURFACES = ("base_color", "metallic_roughness", "irradiance", "specular")
_CHANNELS = {"uv": 2, "metallic_roughness": 2, "depth": 1, "distance": 1}


def compose(
    batch: SceneBatch,
    size: tuple[int, int],
    triangle_id: Tensor,
    instance_id: Tensor,
    outputs: Sequence[str] = ("rgb",),
    *,
    texels: Tensor | None = None,
    photo_texels: Tensor | None = None,
    normal: Tensor | None = None,
) -> dict[str, Tensor]:
    """Pictures and labels of a batch whose visibility is known.

    Args:
        batch: What is drawn.
        size: Height and width of the picture [pixels].
        triangle_id: Rows of ``assets.faces``, -1 = background, int32 [B, g H, g W] with g = 1, 2 or 4 samples
            along a pixel's side; their radiance is averaged.
        instance_id: Slots of the instances, likewise.
        outputs: Names out of ``OUTPUTS``: those of ``Frames``, and "radiance", linear and before the sensor,
            float [B, 3, H, W]. Labels are those of pixel centres and need g = 1.
        texels: Take these in place of the material textures' texels, to have a gradient: coded, in [0, 1], float
            [X, 4].
        photo_texels: The same for the photographs.
        normal: Standard normal numbers for the noise, float [B, 3, H, W]; None = those of ``batch.noise_key``.

    Returns:
        The outputs by name, shaped as those of ``Frames``.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device, or an unknown output.

    Example:
        >>> import fastsynth as fs
        >>> batch = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3)).sample(2, seed=0)
        >>> frames = fs.render(batch, (32, 48), outputs=("rgb", "triangle_id", "instance_id"))
        >>> composed = compose(batch, (32, 48), frames.triangle_id, frames.instance_id)
        >>> bool((composed["rgb"] - frames.rgb).abs().mean() < 1e-4)
        True
    """
    if batch.lens is not None:
        raise ValueError(
            "compose(): the batch has a lens, but pictures are composed of pinholes only. Take `fastsynth.render`, "
            "which passes gradients too, or batch.replace(lens=None)."
        )
    samples = expect(
        "compose", triangle_id=(triangle_id, "B h w", torch.int32), instance_id=(instance_id, "B h w", torch.int32)
    )
    height, width = (int(side) for side in size)
    grid = samples["h"] // height if height > 0 else 0
    if grid not in (1, 2, 4) or (samples["h"], samples["w"]) != (grid * height, grid * width):
        raise ValueError(
            f"compose(): `triangle_id` must have 1, 2 or 4 samples along each side of a pixel of `size` = "
            f"{(height, width)}, but has shape {list(triangle_id.shape)}."
        )
    if samples["B"] != batch.mesh_id.shape[0]:
        raise ValueError(
            f"compose(): `triangle_id` must show the B = {batch.mesh_id.shape[0]} images of `batch`, but has shape "
            f"{list(triangle_id.shape)}."
        )
    for name in outputs:
        if name not in OUTPUTS:
            raise ValueError(f"compose(): there is no output {name!r}. Available: {', '.join(OUTPUTS)}.")
        if grid > 1 and name not in _COLORS:
            raise ValueError(
                f"compose(): {name!r} is a label of pixel centres, but `triangle_id` has {grid} samples along a "
                "pixel's side. Ask for it in a call of its own, with one sample a pixel."
            )

    empty = batch.mesh_id.shape[1] == 0 or batch.assets.faces.shape[0] == 0
    seen = None if empty else see(batch, triangle_id, instance_id)
    drawn: dict[str, Tensor] = {}
    if any(name in _COLORS for name in outputs):
        linear = background(batch, (samples["h"], samples["w"]), photo_texels)
        if batch.environments is not None and batch.environment_visible:
            there = environment.has_panorama(batch)[:, None, None, None]
            linear = torch.where(there, environment.backdrop(batch, (samples["h"], samples["w"])), linear)
        if seen is not None:
            linear = torch.where(seen.hit[..., None], _radiance(batch, seen, texels), linear)
        linear = linear.unflatten(2, (width, grid)).unflatten(1, (height, grid)).mean((2, 4)).movedim(-1, 1)
        drawn["radiance"] = linear
        if "rgb" in outputs:
            drawn["rgb"] = develop(batch, linear, normal)
    if seen is not None and any(name in _SURFACES for name in outputs):
        looks = _of_surfaces(batch, seen, texels)
        drawn |= {name: torch.where(seen.hit[..., None], looks[name], 0).movedim(-1, 1) for name in looks}
    return {name: drawn[name] if name in drawn else _label(name, batch, triangle_id, seen) for name in outputs}


def background(batch: SceneBatch, size: tuple[int, int], photo_texels: Tensor | None = None) -> Tensor:
    """Linear light behind everything: a vertical gradient, or the crop of a photograph.

    A pixel centre at height ``y`` in [0, 1] has ``top + y (bottom - top)``; a photograph is looked up, decoded and
    filtered like any texture.

    Args:
        batch: Holds the backgrounds.
        size: Height and width.
        photo_texels: Take these in place of the photographs' own texels: coded, in [0, 1], float [X, 4].

    Returns:
        float [B, H, W, 3].
    """
    height, width = size
    like = batch.background_color
    down = ((torch.arange(height, device=like.device) + 0.5).to(like) / height)[:, None, None]
    across = ((torch.arange(width, device=like.device) + 0.5).to(like) / width)[:, None]
    top, bottom = like[:, :, None, None].unbind(1)
    gradient = (top + down * (bottom - top)).expand(-1, -1, width, -1)
    if batch.photos is None or not batch.photos.info.shape[0]:
        return gradient
    row = batch.photo_id[:, None, None].expand(-1, height, width).long()
    crop = batch.photo_crop[:, None, None]
    low, extent = crop[..., :2], crop[..., 2:] - crop[..., :2]
    uv = low + torch.cat([across.expand(height, width, 1), down.expand(height, width, 1)], -1) * extent
    zero = torch.zeros_like(extent[..., :1])
    photo = sample(
        batch.photos,
        row,
        uv,
        torch.cat([extent[..., :1] / width, zero], -1).expand_as(uv),
        torch.cat([zero, extent[..., 1:] / height], -1).expand_as(uv),
        decode=batch.tone != "linear",
        mips=batch.filter == "trilinear",
        texels=photo_texels,
    )[..., :3]
    known = (row >= 0) & (row < batch.photos.info.shape[0])
    return torch.where(known[..., None], photo, gradient)


def _world(batch: SceneBatch, seen: Seen) -> Tensor:
    """Positions in the world, [B, H, W, 3] [m]."""
    flat = batch.world_from_object.flatten(0, 1).index_select(0, seen.instance.flatten())
    pose = flat.unflatten(0, seen.instance.shape)
    return multiply(pose[..., :3, :3], seen.position[..., None])[..., 0] + pose[..., :3, 3]


def _radiance(batch: SceneBatch, seen: Seen, texels: Tensor | None) -> Tensor:
    """Linear radiance of what is seen, [B, H, W, 3]."""
    return _shaded(_surface(batch, seen, texels), batch, batch.shading)


def _shaded(surface: Surface, batch: SceneBatch, shading: str) -> Tensor:
    """Radiance of surfaces in all of the batch's light, [B, H, W, 3]."""
    shadows = shadow_maps(batch) if batch.light_shadow is not None else None
    return shade(surface, batch, shading, shadows, batch.environments is not None)


def _surface(batch: SceneBatch, seen: Seen, texels: Tensor | None, every: bool = False) -> Surface:
    """The points that are seen, in the world."""
    position = _world(batch, seen)
    to_eye = unit(eye_position(batch.camera_from_world)[:, None, None] - position)
    return Surface(position, seen.normal, to_eye, *material(batch, seen, texels, every=every))


def _of_surfaces(batch: SceneBatch, seen: Seen, texels: Tensor | None) -> dict[str, Tensor]:
    """What the surfaces are made of and the light that comes to them, [B, H, W, C]."""
    surface = _surface(batch, seen, texels, every=True)
    white = torch.ones_like(surface.base)
    irradiance = _shaded(surface._replace(base=white), batch, "lambert")
    specular = torch.zeros_like(white)
    if batch.shading != "lambert":
        diffuse = irradiance * surface.base * (1 - surface.metallic)
        specular = _shaded(surface, batch, batch.shading) - diffuse
    return {
        "base_color": surface.base,
        "metallic_roughness": torch.cat([surface.metallic, surface.roughness], -1),
        "irradiance": irradiance,
        "specular": specular,
    }


def _label(name: str, batch: SceneBatch, triangle_id: Tensor, seen: Seen | None) -> Tensor:
    """One label of :class:`~fastsynth.types.Frames`."""
    if seen is None:
        if name in ("semantic_id", "material_id"):
            return torch.full_like(triangle_id, -1)
        value = batch.world_from_object.new_zeros(*triangle_id.shape, _CHANNELS.get(name, 3))
    elif name == "material_id":
        return torch.where(seen.hit, seen.material, -1).int()
    elif name == "semantic_id":
        classes = batch.assets.mesh_class[batch.mesh_id.clamp(min=0).flatten().long()]
        return torch.where(seen.hit, classes[seen.instance], -1)
    else:
        if name == "depth":
            value = seen.at.depth[..., None]
        elif name == "distance":
            offset = _world(batch, seen) - eye_position(batch.camera_from_world)[:, None, None]
            value = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
        elif name == "normals":
            value = multiply(batch.camera_from_world[:, None, None, :3, :3], seen.normal[..., None])[..., 0]
        else:
            value = seen.position if name == "object_coordinates" else seen.uv
        value = torch.where(seen.hit[..., None], value, 0)
    return value[..., 0] if name in ("depth", "distance") else value.movedim(-1, 1)
