"""DRTK told to draw the standard workload without textures: one mesh an image, joined from its objects.

From DRTK's documentation: triangles, then depth and weights, then interpolated normals and Lambert's law in torch, then
its estimator of what moves at edges. Two ways back: to the poses, and to the vertices on the screen alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from peers.scenes import Scenes  # noqa: E402  # pyright: ignore[reportMissingImports]

from fastsynth.surface import cofactors  # noqa: E402


class Drtk:
    """B images of N slots each, all of them filled.

    Args:
        scenes: The first B of its images are drawn.
        images: B.
        size: Side of an image [pixels].
    """

    def __init__(self, scenes: Scenes, images: int, size: int):
        put = lambda array: torch.from_numpy(np.ascontiguousarray(array))  # noqa: E731
        ids = scenes.mesh_id[:images]
        if (ids < 0).any():
            raise ValueError("Drtk: all slots of the images must be filled.")
        self.size, slots = size, ids.shape[1]
        # Mesh by mesh, all uses of it at once; `order` brings the vertices into the order of the images, and into rows
        # as long as the longest. What fills up a row is no part of a triangle.
        lengths = np.array([len(m.vertices) for m in scenes.meshes])
        uses = [np.flatnonzero(ids == k) for k in range(len(lengths))]  # rows of the poses
        first, start = np.zeros(ids.size, np.int64), 0
        for k, rows in enumerate(uses):
            first[rows] = start + lengths[k] * np.arange(len(rows))
            start += lengths[k] * len(rows)
        order = np.zeros((images, lengths[ids].sum(1).max()), np.int64)
        triangles = np.array([len(m.faces) for m in scenes.meshes])
        faces = np.zeros((images, triangles[ids].sum(1).max(), 3), np.int32)  # one vertex three times: nothing
        self.slot_of = np.full((images, faces.shape[1]), -1, np.int32)
        for image in range(images):
            vertex = face = 0
            for slot, k in enumerate(ids[image]):
                v, f = lengths[k], triangles[k]
                order[image, vertex : vertex + v] = first[image * slots + slot] + np.arange(v)
                faces[image, face : face + f] = scenes.meshes[k].faces + vertex
                self.slot_of[image, face : face + f] = slot
                vertex, face = vertex + v, face + f
        self.meshes = [(put(m.vertices), put(m.normals)) for m in scenes.meshes]
        self.uses, self.order, self.faces = [put(rows) for rows in uses], put(order), put(faces)
        self.pose = put(scenes.camera_from_object[:images])
        self.focal = scenes.intrinsics[0, 0, 0] * size  # [pixels]
        self.to_light = put(scenes.to_light[:images])[:, :, None, None]
        self.diffuse, self.ambient = (
            put(part[:images])[:, None, None, None] for part in (scenes.diffuse, scenes.ambient)
        )
        self.background = put(scenes.background[:images])[:, :, None, None]

    def posed(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices on the screen (x, y [pixels], depth [m]) and normals of any length, [B, V, 3], of [B, N, 4, 4]."""
        flat = pose.flatten(0, 1)
        normals_by = cofactors(flat[:, :3, :3])  # as ours: right for every matrix, so that all its numbers count alike
        parts = []
        for (vertices, normals), rows in zip(self.meshes, self.uses, strict=True):
            place = vertices @ flat[rows, :3, :3].mT + flat[rows, None, :3, 3]
            parts.append(torch.cat([place, normals @ normals_by[rows].mT], -1).flatten(0, 1))
        point, normal = torch.cat(parts)[self.order].split(3, -1)
        depth = point[..., 2:]
        # The middle of the first pixel is at 0.
        return torch.cat([self.focal * point[..., :2] / depth + (self.size - 1) / 2, depth], -1), normal

    def draw(self, screen: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [B, 3, H, W], differentiable in the vertices, and triangle ids int32 [B, H, W], -1 = background."""
        import drtk  # pyright: ignore[reportMissingImports]

        ids = drtk.rasterize(screen, self.faces, self.size, self.size)
        _, weights = drtk.render(screen, self.faces, ids)
        seen = torch.nn.functional.normalize(drtk.interpolate(normal, self.faces, ids, weights), dim=1)
        lit = self.diffuse * (seen * self.to_light).sum(1, keepdim=True).clamp(min=0) + self.ambient
        rgb = torch.where((ids >= 0)[:, None], lit.expand(-1, 3, -1, -1), self.background)
        return drtk.edge_grad_estimator(screen, self.faces, weights, rgb, ids), ids

    def to_poses(self, cotangent: Tensor) -> Tensor:
        """Gradient of the sum of the picture times `cotangent` to the poses, [B, N, 4, 4]."""
        pose = self.pose.clone().requires_grad_()
        rgb, _ = self.draw(*self.posed(pose))
        return torch.autograd.grad((rgb * cotangent).sum(), pose)[0]

    def to_vertices(self, cotangent: Tensor) -> Tensor:
        """The same to the vertices on the screen, which takes less; normals count as given."""
        with torch.no_grad():
            screen, normal = self.posed(self.pose)
        screen.requires_grad_()
        rgb, _ = self.draw(screen, normal)
        return torch.autograd.grad((rgb * cotangent).sum(), screen)[0]

    def picture(self) -> tuple[Tensor, Tensor]:
        """float32 [B, 3, H, W] and the slots that are seen, int32 [B, H, W], -1 = background."""
        with torch.no_grad():
            rgb, ids = self.draw(*self.posed(self.pose))
        slots = torch.from_numpy(self.slot_of).gather(1, ids.flatten(1).clamp(min=0).long()).view_as(ids)
        return rgb, torch.where(ids >= 0, slots, -1)
