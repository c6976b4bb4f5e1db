"""PyTorch3D's mesh rasterizer, from its documentation; PyTorch3D need not be installed.

``from fastsynth.compat.pytorch3d import MeshRasterizer, RasterizationSettings`` is all that a script has to change.
Meshes and cameras are PyTorch3D's own, or whatever has the few methods that are called: ``verts_padded`` and
``faces_list``; ``get_world_to_view_transform``, ``transform_points_ndc``, ``is_perspective`` and ``get_znear``. Its
normalised device coordinates have +x left and +y up, and reach from -1 to 1 along the image's shorter side.

Without blur coverage is exact and hard: a pixel belongs to a face or not, and every pixel on an edge to exactly one
face. With it all faces near a pixel are found in torch, which takes longer.
How the two differ: ``docs/howto/from_pytorch3d.md``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fastsynth import ops
from fastsynth._expect import expect
from fastsynth.compat._blurred import near_faces
from fastsynth.compat._pixels import pixel_centres, seen
from fastsynth.ops.antialias import corner_values, without_z

__all__ = ["Fragments", "MeshRasterizer", "RasterizationSettings", "rasterize_meshes"]

_NEAREST = 1e-6  # what is nearer is behind the camera where no `z_clip_value` says otherwise


class Meshes(Protocol):
    """What is asked of meshes."""

    def verts_padded(self) -> Tensor:
        """Vertices, float32 [N, V, 3]; rows beyond a mesh's own are not looked at."""
        ...

    def faces_list(self) -> list[Tensor]:
        """Faces of each mesh, int64 [F_i, 3]: rows of its own vertices."""
        ...


@dataclass(frozen=True)
class Fragments:
    """What is seen at each pixel, from front to back; -1 everywhere on the background."""

    pix_to_face: Tensor  #: rows of all meshes' faces one after another, int64 [N, H, W, K]
    zbuf: Tensor  #: depth in the camera's frame, float32 [N, H, W, K]
    bary_coords: Tensor  #: weights of the corners, float32 [N, H, W, K, 3]
    dists: Tensor  #: square of the distance to the face's edge [NDC], negative inside it, float32 [N, H, W, K]

    def detach(self) -> Fragments:
        """The same without gradients."""
        return Fragments(self.pix_to_face, self.zbuf.detach(), self.bary_coords.detach(), self.dists.detach())


@dataclass
class RasterizationSettings:
    """How :class:`MeshRasterizer` draws.

    ``bin_size``, ``max_faces_per_bin``, ``max_faces_opengl`` and ``cull_to_frustum`` are taken and change nothing: no
    face is ever left out for want of room.
    """

    image_size: int | tuple[int, int] = 256  #: one side, or height and width
    blur_radius: float = 0.0  #: square of the distance within which a face counts as seen [NDC]
    faces_per_pixel: int = 1  #: K
    bin_size: int | None = None
    max_faces_opengl: int = 10_000_000
    max_faces_per_bin: int | None = None
    perspective_correct: bool | None = None  #: None = what the camera is
    clip_barycentric_coords: bool | None = None  #: keep weights in [0, 1]; None = with blur; without they always are
    cull_backfaces: bool = False
    z_clip_value: float | None = None  #: None = half the camera's `znear`, in perspective
    cull_to_frustum: bool = False


class MeshRasterizer(nn.Module):
    """Meshes in the world to :class:`Fragments`.

    Args:
        cameras: N cameras or one; may be given to the call instead.
        raster_settings: :class:`RasterizationSettings`, or PyTorch3D's.
    """

    def __init__(self, cameras: Any = None, raster_settings: Any = None):
        super().__init__()
        self.cameras = cameras
        self.raster_settings = RasterizationSettings() if raster_settings is None else raster_settings

    def to(self, device: Any) -> MeshRasterizer:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Moves the cameras, which are no module of torch's."""
        if self.cameras is not None:
            self.cameras = self.cameras.to(device)
        return self

    def _points(self, meshes_world: Meshes, cameras: Any, eps: float, kwargs: dict[str, Any]) -> Tensor:
        world = meshes_world.verts_padded()
        view = cameras.get_world_to_view_transform(**kwargs).transform_points(world)
        ndc = cameras.transform_points_ndc(world, eps=eps, **kwargs)
        return torch.cat([ndc[..., :2], view[..., 2:]], -1)

    def forward(self, meshes_world: Meshes, **kwargs: Any) -> Fragments:
        """Draws the meshes.

        Args:
            meshes_world: N meshes in world coordinates.
            kwargs: ``cameras`` and ``raster_settings`` in place of the module's; ``eps``, below which depths are not
                divided by; the rest goes to the cameras, such as ``R`` and ``T``.

        Returns:
            :class:`Fragments`, differentiable in the vertices and in what the cameras are made of.
        """
        cameras = kwargs.pop("cameras", self.cameras)
        settings = kwargs.pop("raster_settings", self.raster_settings)
        eps = kwargs.pop("eps", None) or _NEAREST
        if cameras is None:
            raise ValueError("MeshRasterizer(): `cameras` must be given, to the module or to the call.")
        perspective = settings.perspective_correct
        if perspective is None:
            perspective = bool(cameras.is_perspective())
        clip = settings.clip_barycentric_coords
        near = settings.z_clip_value
        if near is None and perspective:
            near = cameras.get_znear()
            if near is not None:
                near = (near.min() if isinstance(near, Tensor) else near) / 2
        return Fragments(
            *_rasterize(
                "MeshRasterizer",
                self._points(meshes_world, cameras, eps, kwargs),
                meshes_world.faces_list(),
                settings.image_size,
                settings.blur_radius,
                settings.blur_radius > 0 if clip is None else clip,
                settings.faces_per_pixel,
                perspective,
                settings.cull_backfaces,
                near,
                eps,
            )
        )


def rasterize_meshes(
    meshes: Meshes,
    image_size: int | Sequence[int] = 256,
    blur_radius: float = 0.0,
    faces_per_pixel: int = 8,
    bin_size: int | None = None,
    max_faces_per_bin: int | None = None,
    perspective_correct: bool = False,
    clip_barycentric_coords: bool = False,
    cull_backfaces: bool = False,
    z_clip_value: float | None = None,
    cull_to_frustum: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same of meshes whose x and y are normalised device coordinates and whose z is depth.

    Args:
        meshes: N meshes.
        image_size: One side, or height and width.
        blur_radius: Square of the distance within which a face counts as seen [NDC].
        faces_per_pixel: K.
        bin_size: Ignored.
        max_faces_per_bin: Ignored.
        perspective_correct: Are faces flat in space, or is depth linear in the image?
        clip_barycentric_coords: With blur, keep weights in [0, 1]; without, they always are.
        cull_backfaces: Leave out faces that look away.
        z_clip_value: Depth at which faces are cut.
        cull_to_frustum: Ignored: what is outside is never drawn.

    Returns:
        The four tensors of :class:`Fragments`.
    """
    del bin_size, max_faces_per_bin, cull_to_frustum
    settings = (image_size, blur_radius, clip_barycentric_coords, faces_per_pixel, perspective_correct)
    settings = (*settings, cull_backfaces, z_clip_value)
    return _rasterize("rasterize_meshes", meshes.verts_padded(), meshes.faces_list(), *settings, eps=_NEAREST)


def _rasterize(
    op: str,
    points: Tensor,
    faces_list: list[Tensor],
    image_size: int | Sequence[int],
    blur_radius: float,
    clip_weights: bool,
    faces_per_pixel: int,
    perspective: bool,
    cull_backfaces: bool,
    near: float | Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    height, width = (image_size, image_size) if isinstance(image_size, int) else (int(side) for side in image_size)
    if not 0 <= blur_radius < math.inf:
        raise ValueError(f"{op}(): `blur_radius` must be 0 or more, but is {blur_radius}.")
    if faces_per_pixel < 1:
        raise ValueError(f"{op}(): `faces_per_pixel` must be 1 or more, but is {faces_per_pixel}.")
    expect(op, verts_padded=(points, "N V 3", torch.float32))
    if len(faces_list) != len(points):
        raise ValueError(f"{op}(): `meshes` has vertices of {len(points)} meshes, but faces of {len(faces_list)}.")
    layers = faces_per_pixel
    counts = [len(faces) for faces in faces_list]
    if sum(counts) == 0:
        empty = points.new_full((len(points), height, width, layers), -1.0) + 0 * points.sum()
        return empty.long(), empty, empty[..., None].expand(*empty.shape, 3), empty
    faces = torch.cat(list(faces_list)).to(torch.int32)
    if blur_radius > 0:
        meshes = torch.arange(len(counts), device=points.device)
        mesh = meshes.repeat_interleave(torch.tensor(counts, device=points.device), output_size=len(faces))
        shape = (height, width), blur_radius, layers
        return near_faces(points, faces, mesh, *shape, perspective, clip_weights, cull_backfaces, near)
    ranges = torch.tensor([[sum(counts[:i]), count] for i, count in enumerate(counts)], dtype=torch.int32)
    ranges = ranges.to(points.device, non_blocking=True)
    # In its coordinates the shorter side reaches from -1 to 1; in clip space both do, +x right and +y down.
    scale = min(height, width) / width, min(height, width) / height
    clip = _clip_space(points, scale, perspective, near, eps)
    cull = "back" if cull_backfaces else "none"
    if layers == 1:
        ids = [ops.rasterize(clip.detach(), faces, (height, width), cull, ranges).triangle_id]
    else:
        peeled = ops.peel(clip, faces, (height, width), cull, ranges)
        ids = [layer.fragments.triangle_id for layer in itertools.islice(peeled, layers)]
    found = [_layer(points, clip, faces, each, scale) for each in ids]
    zbuf, bary, dists = (torch.stack(part, 3) for part in zip(*found, strict=True))
    return torch.stack(ids, -1).long(), zbuf, bary, dists


def _clip_space(
    points: Tensor, scale: tuple[float, float], perspective: bool, near: float | Tensor | None, eps: float
) -> Tensor:
    x, y, z = points.unbind(-1)
    x, y = -scale[0] * x, -scale[1] * y
    if perspective:
        # Undoes the division, so that faces that reach behind the camera are cut as they should be. Depth is compared
        # as -near / z, which a float resolves equally well near and far.
        w = torch.where(z < 0, -1.0, 1.0) * z.abs().clamp(min=eps)
        cut = torch.full_like(z, _NEAREST) if near is None else torch.zeros_like(z) + near
        return torch.stack([x * w, y * w, -cut.clamp(min=_NEAREST), w], -1)
    # Depth is linear in the image: from the nearest that is drawn to the farthest there is.
    first = torch.zeros_like(z) if near is None else torch.zeros_like(z) + near
    span = (z.detach() - first).nan_to_num(0, 0, 0).amax(-1, keepdim=True).clamp(min=1e-20)
    return torch.stack([x, y, 2 * (z - first) / span - 1, torch.ones_like(z)], -1)


def _layer(
    points: Tensor, clip: Tensor, faces: Tensor, ids: Tensor, scale: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Depth, weights and distances of one layer: [N, H, W], [N, H, W, 3], [N, H, W]."""
    corners, hit = seen(clip, faces, ids)
    there = ids >= 0
    z = corner_values(points[..., 2:], faces, ids)[..., 0]
    depth = (hit.weights * torch.where(there[..., None], z, 0)).sum(-1)
    # Inside a triangle the nearest of its edges is the nearest of their lines.
    flat = without_z(corners)
    edge = torch.linalg.cross(flat.roll(-1, -2), flat.roll(1, -2) - flat.roll(-1, -2))
    centre = pixel_centres((ids.shape[1], ids.shape[2]), clip)[..., None, :]
    value = edge[..., 0] * centre[..., 0] + edge[..., 1] * centre[..., 1] + edge[..., 2]
    slope = (edge[..., 0] * scale[0]) ** 2 + (edge[..., 1] * scale[1]) ** 2
    a, b, c = (value**2 / slope.clamp(min=1e-38)).unbind(-1)
    square = torch.minimum(torch.minimum(a, b), c)
    weights = torch.where(there[..., None], hit.weights, -1)
    return torch.where(there, depth, -1), weights, torch.where(there, -square, -1)
