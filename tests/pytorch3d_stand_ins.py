"""Small stand-ins for what the rasterizer asks of PyTorch3D's classes."""

from __future__ import annotations

import math

import torch


class Meshes:
    """What is asked of PyTorch3D's class of this name."""

    def __init__(self, verts, faces):
        self.verts, self.faces = verts, faces

    def verts_padded(self):
        return torch.nn.utils.rnn.pad_sequence(self.verts, batch_first=True)

    def faces_list(self):
        return self.faces

    def to(self, device):
        return Meshes([v.to(device) for v in self.verts], [f.to(device) for f in self.faces])


class Transform:
    def __init__(self, matrix):
        self.matrix = matrix  # acting on rows, [N, 4, 4]

    def transform_points(self, points, eps=None):
        out = torch.cat([points, torch.ones_like(points[..., :1])], -1) @ self.matrix
        w = out[..., 3:]
        if eps is not None:
            w = (w.sign() + (w == 0)) * w.abs().clamp(min=eps)
        return out[..., :3] / w


class FoVPerspectiveCameras:
    """+x left, +y up, +z forward; ``R`` and ``T`` act on rows."""

    def __init__(self, R, T, fov=60.0, znear=1.0, perspective=True):
        self.R, self.T, self.fov, self.znear, self.perspective = R, T, math.radians(fov), znear, perspective

    def get_world_to_view_transform(self, R=None, T=None):
        R, T = self.R if R is None else R, self.T if T is None else T
        matrix = torch.cat([torch.cat([R, T[:, None]], 1), torch.zeros_like(R[:, :1]).expand(-1, 4, -1)[..., :1]], 2)
        last = torch.tensor([0.0, 0, 0, 1], device=R.device)
        return Transform(torch.cat([matrix[..., :3], last[:, None].expand(len(R), 4, 1)], 2))

    def transform_points_ndc(self, points, eps=None, **kwargs):
        view = self.get_world_to_view_transform(**kwargs).transform_points(points)
        scale, zero = 1 / math.tan(self.fov / 2), torch.zeros_like(self.R[0, 0, 0])
        rows = [[scale, 0, 0, 0], [0, scale, 0, 0], [0, 0, 1, 1 if self.perspective else 0], [0, 0, 0, 0]]
        matrix = torch.tensor(rows, device=points.device) + zero
        if not self.perspective:
            matrix[3, 3] = 1
        return Transform(matrix[None]).transform_points(view, eps=eps)

    def is_perspective(self):
        return self.perspective

    def get_znear(self):
        return self.znear

    def to(self, device):
        return FoVPerspectiveCameras(self.R.to(device), self.T.to(device), math.degrees(self.fov), self.znear)


def mesh(vertices, faces, device):
    return Meshes(
        [torch.as_tensor(v, dtype=torch.float32, device=device) for v in vertices],
        [torch.as_tensor(f, device=device) for f in faces],
    )
