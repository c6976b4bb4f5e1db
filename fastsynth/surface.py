"""What is seen at a pixel, in differentiable torch: where its ray meets the triangle, and what lies there.

The readable twin of ``csrc/core/triangle.h``, ``csrc/core/texel.h`` and ``csrc/kernels/pixel.h``. All functions take
float32 or float64 and any leading axes; nothing waits for the device.

Ray and triangle, with corners v0, v1, v2 in clip space (x, y, w) and the pixel's ray d = (ndc x, ndc y, 1)::

    e1 = v1 - v0,  e2 = v2 - v0
    u = d . (v0 x e2) / D    v = d . (e1 x v0) / D    depth = v0 . (e2 x e1) / D    D = d . (e2 x e1)

(Moeller and Trumbore 1997.) Weights are (1 - u - v, u, v), kept inside the triangle; numerators and D are linear
in d, so that the change of u per pixel is (a_u - u a_D) / D times the ray's change. D > 0 where the corners run
counter-clockwise as seen.

Textures: texel centres at (i + 0.5) / size, colour decoded to linear light before it is weighted, level
``log2(longest of |d uv/dx * size|, |d uv/dy * size|)``, clamped; two bilinear lookups blended (OpenGL 4.6, 8.14).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth.assets import Textures
from fastsynth.geometry import multiply
from fastsynth.types import SceneBatch

_CLAMP, _MIRROR = 1, 2  # wrap modes of the data model
# Below this a triangle is edge-on: its reciprocal, squared by the gradient, must stay finite in float32.
EDGE_ON = 1e-18


class Hit(NamedTuple):
    """Where rays meet triangles."""

    weights: Tensor  #: of the three corners, each in [0, 1], sum 1 [..., 3]
    change_x: Tensor  #: of weights 1 and 2 per pixel to the right [..., 2]
    change_y: Tensor  #: of weights 1 and 2 per pixel down [..., 2]
    depth: Tensor  #: along the axis [m] [...]
    facing: Tensor  #: positive where the corners run counter-clockwise as seen [...]


class Seen(NamedTuple):
    """What the pixels of a batch see; the background holds arbitrary but finite values."""

    hit: Tensor  #: bool [B, H, W]
    instance: Tensor  #: row of the flattened [B, N] instances, int64 [B, H, W]
    material: Tensor  #: row of ``materials``, int64 [B, H, W]
    corners: Tensor  #: rows of ``vertex_data``, int64 [B, H, W, 3]
    at: Hit
    position: Tensor  #: in object space [m] [B, H, W, 3]
    normal: Tensor  #: unit, world, towards the camera's side of the face [B, H, W, 3]
    uv: Tensor  #: [B, H, W, 2]
    uv_x: Tensor  #: change of uv per pixel to the right [B, H, W, 2]
    uv_y: Tensor  #: change of uv per pixel down [B, H, W, 2]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products over the last axis, which stays with size 1: [..., n] -> [..., 1]."""
    return (a * b).sum(-1, keepdim=True)


def unit(vector: Tensor) -> Tensor:
    """Vectors of length 1, [..., 3]; a zero vector stays zero and gets no gradient.

    Example:
        >>> unit(torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])).tolist()
        [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    square = dot(vector, vector)
    return vector * torch.where(square > 0, square, 1).rsqrt() * (square > 0)


def srgb_decode(coded: Tensor) -> Tensor:
    """Coded values in [0, 1] to linear light (IEC 61966-2-1).

    Example:
        >>> round(srgb_decode(torch.tensor(0.5)).item(), 6)
        0.214041
    """
    return torch.where(coded > 0.04045, ((coded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, coded / 12.92)


def clip_from_object(batch: SceneBatch, size: tuple[int, int]) -> Tensor:
    """Matrices to clip space without its z: rows ``x_ndc * w``, ``y_ndc * w`` and ``w``, [B, N, 3, 4].

    Example:
        >>> from types import SimpleNamespace
        >>> eye = torch.eye(4)[None]
        >>> batch = SimpleNamespace(world_from_object=eye[None], camera_from_world=eye, intrinsics=eye[:, :3, :3])
        >>> clip_from_object(batch, (10, 20))[0, 0].tolist()
        [[1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """
    height, width = size
    camera = multiply(batch.camera_from_world[:, None, :3], batch.world_from_object)
    x, y, w = batch.intrinsics.unbind(-2)
    return multiply(torch.stack([2 * height / width * x, 2 * y, w], -2)[:, None], camera)


def cofactors(matrix: Tensor) -> Tensor:
    """Determinant times the inverse transpose: [..., 3, 3]."""
    x, y, z = matrix.unbind(-2)
    rows = [torch.linalg.cross(y, z), torch.linalg.cross(z, x), torch.linalg.cross(x, y)]
    return torch.stack(rows, -2)


def determinant(matrix: Tensor) -> Tensor:
    """Of [..., 3, 3], as sums of products: no matrix factorisation, whose sign may be lost to rounding."""
    x, y, z = matrix.unbind(-2)
    return dot(x, torch.linalg.cross(y, z))[..., 0]


def eye_position(camera_from_world: Tensor) -> Tensor:
    """Centres of rigid cameras in the world: [B, 4, 4] -> [B, 3].

    Example:
        >>> pose = torch.eye(4)[None].clone()
        >>> pose[0, 2, 3] = 5.0
        >>> eye_position(pose)[0, 2].item()
        -5.0
    """
    return -multiply(camera_from_world[:, :3, :3].mT, camera_from_world[:, :3, 3:])[..., 0]


def intersect(corners: Tensor, ndc: Tensor, ndc_per_pixel: tuple[float, float]) -> Hit:
    """Where the rays through pixels meet triangles.

    Args:
        corners: Clip-space x, y, w of the three corners, [..., 3, 3].
        ndc: x and y of the pixel centres in [-1, 1], [..., 2].
        ndc_per_pixel: Width and height of a pixel.

    Returns:
        :class:`Hit`.

    Example:
        >>> corners = torch.tensor([[-1.0, -1, 1], [3, -1, 1], [-1, 3, 1]])
        >>> hit = intersect(corners, torch.zeros(2), (0.5, 0.5))
        >>> hit.weights.tolist(), hit.depth.item(), hit.change_x[0].item()
        ([0.5, 0.25, 0.25], 1.0, 0.125)
    """
    v0, v1, v2 = corners.unbind(-2)
    e1, e2 = v1 - v0, v2 - v0
    a_u, a_v, a_d = (torch.linalg.cross(*pair) for pair in ((v0, e2), (e1, v0), (e2, e1)))
    ray = torch.cat([ndc, torch.ones_like(ndc[..., :1])], -1)
    # a_u and a_v are perpendicular to v0: the ray relative to corner 0's projection, where it has one, keeps small far
    # triangles accurate.
    ahead = v0[..., 2:] > 1e-6
    relative = ray - torch.where(ahead, v0 / torch.where(ahead, v0[..., 2:], 1), 0)
    facing = dot(ray, a_d)
    scale = 1 / torch.where(facing.abs() > EDGE_ON, facing, EDGE_ON)
    numerators = torch.stack([a_u, a_v], -2)
    inside = (relative[..., None, :] * numerators).sum(-1) * scale  # u, v
    change = [(numerators[..., i] - inside * a_d[..., i : i + 1]) * scale * ndc_per_pixel[i] for i in (0, 1)]
    # The centre may lie outside by the snapping error of the rasterizer.
    inside = inside.clamp(0, 1)
    inside = inside / inside.sum(-1, keepdim=True).clamp(min=1)
    weights = torch.cat([(1 - inside.sum(-1, keepdim=True)).clamp(min=0), inside], -1)
    depths = corners[..., 2]
    depth = (dot(v0, a_d) * scale)[..., 0]
    depth = torch.minimum(torch.maximum(depth, depths.amin(-1).clamp(min=EDGE_ON)), depths.amax(-1))
    return Hit(weights, change[0], change[1], depth, facing[..., 0])


def see(batch: SceneBatch, triangle_id: Tensor, instance_id: Tensor) -> Seen:
    """The surfaces that the pixels see.

    Args:
        batch: What is drawn; it must have instances and faces.
        triangle_id: Rows of ``assets.faces``, -1 = background, int32 [B, H, W].
        instance_id: Slots, -1 = background, int32 [B, H, W].

    Returns:
        :class:`Seen`. Differentiable in poses, camera and vertex data.
    """
    images, height, width = triangle_id.shape
    pose, assets = batch.world_from_object, batch.assets
    hit = triangle_id >= 0
    first = torch.arange(images, device=pose.device)[:, None, None] * pose.shape[1]
    instance = first + instance_id.clamp(min=0)
    face = assets.faces.index_select(0, triangle_id.clamp(min=0).flatten()).long().unflatten(0, triangle_id.shape)
    corners = face[..., :3]
    data = _rows(assets.vertex_data, corners)  # [B, H, W, 3, 8]

    clip = _rows(clip_from_object(batch, (height, width)).flatten(0, 1), instance)  # [B, H, W, 3, 4]
    projected = multiply(data[..., :3], clip[..., :3].mT) + clip[..., None, :, 3]
    # Stands in for the triangle of a background pixel, so that nothing there is infinite: (3, -1), (-1, 3), (-1, -1).
    spare = F.pad(4 * torch.eye(3, 2, dtype=pose.dtype, device=pose.device) - 1, (0, 1), value=1.0)
    x = (2 * torch.arange(width, device=pose.device).to(pose) + 1) / width - 1
    y = (2 * torch.arange(height, device=pose.device).to(pose) + 1) / height - 1
    ndc = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    at = intersect(torch.where(hit[..., None, None], projected, spare), ndc, (2 / width, 2 / height))
    at = at._replace(depth=at.depth.clamp(min=batch.near))

    smooth = (at.weights[..., None] * data[..., :6]).sum(-2)
    linear = pose[..., :3, :3].flatten(0, 1)
    outward = cofactors(linear) * determinant(linear).sign()[:, None, None]
    mirrored = determinant(multiply(batch.camera_from_world[:, None, :3, :3], pose[..., :3, :3])).flatten() < 0
    back = torch.where(mirrored[instance], at.facing > 0, at.facing < 0)
    normal = unit(multiply(_rows(outward, instance), smooth[..., 3:, None])[..., 0])
    uv = data[..., 6:]
    sides = uv[..., 1:, :] - uv[..., :1, :]  # [B, H, W, 2, 2]: corners 1 and 2 from corner 0
    along = [(part[..., None] * sides).sum(-2) for part in (at.weights[..., 1:], at.change_x, at.change_y)]
    return Seen(
        hit=hit,
        instance=instance,
        material=face[..., 3],
        corners=corners,
        at=at,
        position=smooth[..., :3],
        normal=torch.where(back[..., None], -normal, normal),
        uv=uv[..., 0, :] + along[0],
        uv_x=along[1],
        uv_y=along[2],
    )


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` with a gradient that adds up on the spot instead of sorting: [R, ...], [...] -> [..., ...]."""
    return values.index_select(0, index.flatten()).unflatten(0, index.shape)


def sample(
    textures: Textures,
    row: Tensor,
    uv: Tensor,
    uv_x: Tensor,
    uv_y: Tensor,
    *,
    decode: bool,
    mips: bool,
    texels: Tensor | None = None,
) -> Tensor:
    """Filtered lookup in packed textures.

    Args:
        textures: At least one texture.
        row: Which texture, int64 [...]; where there is no such row the answer is white.
        uv: Coordinates, float [..., 2].
        uv_x: Their change per pixel to the right, float [..., 2].
        uv_y: Their change per pixel down, float [..., 2].
        decode: From sRGB to linear light, alpha left alone.
        mips: Trilinear; False = bilinear in the finest level.
        texels: Take these in place of the textures' own: coded values in [0, 1], float [X, 4], with a gradient.

    Returns:
        RGBA, float [..., 4].
    """
    count = textures.info.shape[0]
    there = ((row >= 0) & (row < count))[..., None]
    row = row.clamp(0, count - 1)
    info = textures.info[row]
    size, last, wrap = info[..., :2], info[..., 2] - 1, info[..., 3:]
    # Whole turns off (pairs of them, for mirror), as an index far from the origin would overflow.
    uv = uv.clamp(-8192, 8192)
    turns = torch.where(wrap == _MIRROR, 2 * (uv / 2).floor(), uv.floor())
    uv = torch.where(wrap == _CLAMP, uv, uv - turns)

    def bilinear(level: Tensor) -> Tensor:
        extent = (size >> level[..., None]).clamp(min=1)
        at = uv * extent - 0.5
        low = at.floor()
        part, low = at - low, low.long()
        x, y = _wrapped(torch.stack([low, low + 1], -1), extent[..., None], wrap[..., None]).unbind(-2)  # [..., 2] each
        base = textures.offsets[row, level][..., None, None]
        index = base + y[..., :, None] * extent[..., :1, None] + x[..., None, :]
        taps = _texels(textures.texels if texels is None else texels, index, decode, uv.dtype)
        rows = taps[..., 0, :] + part[..., None, :1] * (taps[..., 1, :] - taps[..., 0, :])
        return rows[..., 0, :] + part[..., 1:] * (rows[..., 1, :] - rows[..., 0, :])

    if not mips:
        return torch.where(there, bilinear(torch.zeros_like(last)), 1)
    squares = [dot(change * size, change * size)[..., 0] for change in (uv_x, uv_y)]
    level = 0.5 * torch.maximum(*squares).clamp(1e-12, 1e30).log2()
    level = torch.minimum(level.clamp(min=0), last)
    lower = level.detach().floor()
    fine = bilinear(lower.long())
    coarse = bilinear(torch.minimum(lower.long() + 1, last))
    return torch.where(there, fine + (level - lower)[..., None] * (coarse - fine), 1)


def _wrapped(index: Tensor, size: Tensor, wrap: Tensor) -> Tensor:
    """Texel indices brought inside [0, size)."""
    turned = index.remainder(2 * size)
    mirrored = torch.where(turned < size, turned, 2 * size - 1 - turned)
    clamped = torch.minimum(index.clamp(min=0), size - 1)
    return torch.where(wrap == _CLAMP, clamped, torch.where(wrap == _MIRROR, mirrored, index.remainder(size)))


def _texels(texels: Tensor, index: Tensor, decode: bool, dtype: torch.dtype) -> Tensor:
    """RGBA at texel indices: [...] -> float [..., 4]."""
    if texels.is_floating_point():
        values = _rows(texels, index).to(dtype)
        return torch.cat([srgb_decode(values[..., :3]), values[..., 3:]], -1) if decode else values
    coded = torch.arange(256, device=texels.device).to(dtype) / 255
    values = texels[index].long()
    if not decode:
        return coded[values]
    return torch.cat([srgb_decode(coded)[values[..., :3]], coded[values[..., 3:]]], -1)


class Material(NamedTuple):
    """The look of the surfaces that are seen, linear."""

    base: Tensor  #: [B, H, W, 3]
    metallic: Tensor  #: [B, H, W, 1]
    roughness: Tensor  #: [B, H, W, 1]


def material(batch: SceneBatch, seen: Seen, texels: Tensor | None = None, *, every: bool = False) -> Material:
    """Base colour, metallic and roughness at the pixels: the material's, its textures', the vertices', the instance's.

    Args:
        batch: What is drawn.
        seen: From :func:`see`.
        texels: As of :func:`sample`.
        every: Metallic and roughness also for the "lambert" shading, which ignores them.

    Returns:
        :class:`Material`; without `every`, "lambert" does not read metallic-roughness textures.
    """
    assets = batch.assets
    decode, mips = batch.tone != "linear", batch.filter == "trilinear"
    factors = _rows(assets.materials, seen.material)
    base = factors[..., :3] * _rows(batch.base_color.flatten(0, 1), seen.instance)[..., :3]
    metallic, roughness = factors[..., 4:5], factors[..., 5:6]
    if assets.vertex_colors.shape[0]:
        coded = assets.vertex_colors[seen.corners][..., :3].to(base.dtype) / 255
        coded = (seen.at.weights[..., None] * coded).sum(-2)
        base = base * (srgb_decode(coded) if decode else coded)
    if assets.textures.info.shape[0]:
        place = (seen.uv, seen.uv_x, seen.uv_y)
        own = batch.texture_id.flatten()[seen.instance].long()
        rows = assets.material_textures[seen.material].long()
        row = torch.where(own == -2, -1, torch.where(own >= 0, own, rows[..., 0]))
        base = base * sample(assets.textures, row, *place, decode=decode, mips=mips, texels=texels)[..., :3]
        if every or batch.shading != "lambert":
            gloss = sample(assets.textures, rows[..., 1], *place, decode=False, mips=mips, texels=texels)
            roughness, metallic = roughness * gloss[..., 1:2], metallic * gloss[..., 2:3]

    if batch.color_matrix is not None:
        change = _rows(batch.color_matrix.flatten(0, 1), seen.instance)
        base = (multiply(change[..., :3], base[..., None])[..., 0] + change[..., 3]).clamp(min=0)

    def replaced(own: Tensor, value: Tensor) -> Tensor:
        own = _rows(own.flatten(), seen.instance)[..., None]
        return torch.where(own >= 0, own, value)

    return Material(base, replaced(batch.metallic, metallic), replaced(batch.roughness, roughness))
