"""The pinhole camera, and its conventions in other libraries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.geometry.matrices import affine, as_float, look_at, multiply, rotation_from_quaternion, transform_points


@dataclass(frozen=True)
class Pinhole:
    """B pinhole cameras: what a `SceneBatch` must know of them.

    The constructors below take one camera or a batch in the convention of another library and
    always return a batch. Sizes are (height, width) in pixels.

    Attributes:
        intrinsics: float32 [B, 3, 3] in image heights from the image centre, so that they fit every resolution:
            ``u = W/2 + H (fx X/Z + s Y/Z + cx)``, ``v = H/2 + H (fy Y/Z + cy)``, with the centre of the top-left
            pixel at (0.5, 0.5).
        camera_from_world: float32 [B, 4, 4]; +x right, +y down, +z forward.
    """

    intrinsics: Tensor
    camera_from_world: Tensor

    def __post_init__(self) -> None:
        """Check shapes, formats and devices."""
        expect(
            "Pinhole",
            intrinsics=(self.intrinsics, "B 3 3", torch.float32),
            camera_from_world=(self.camera_from_world, "B 4 4", torch.float32),
        )

    @property
    def images(self) -> int:
        """B, the number of cameras."""
        return self.intrinsics.shape[0]

    def fields(self) -> dict[str, Tensor]:
        """The camera as arguments of ``SceneBatch``.

        Example:
            >>> sorted(Pinhole.look_at((0, -1, 0), (0, 0, 0)).fields())
            ['camera_from_world', 'intrinsics']
        """
        return {"intrinsics": self.intrinsics, "camera_from_world": self.camera_from_world}

    def to(self, device: torch.device | str) -> Pinhole:
        """The same cameras on another device."""
        return Pinhole(self.intrinsics.to(device), self.camera_from_world.to(device))

    def pixels(self, size: tuple[int, int]) -> Tensor:
        """The intrinsics in pixels of an image, float32 [B, 3, 3]; the centre of the top-left pixel is (0.5, 0.5).

        Subtract 0.5 from the principal point for OpenCV, where that centre is (0, 0).

        Example:
            >>> Pinhole.look_at((0, -1, 0), (0, 0, 0), fov=math.pi / 2).pixels((480, 640))[0].round().tolist()
            [[240.0, 0.0, 320.0], [0.0, 240.0, 240.0], [0.0, 0.0, 1.0]]
        """
        height, width = size
        top = self.intrinsics[:, :2] * height
        return torch.cat([top + _centre(height, width, top), self.intrinsics[:, 2:]], 1)

    def project(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        """Where world points are seen: float [B, P, 3] [m] -> [B, P, 2] [pixels], corner convention.

        A point behind the camera is projected through it; a depth of 0 gives infinities.

        Example:
            >>> camera = Pinhole.look_at((0, -1, 0), (0, 0, 0))
            >>> camera.project(torch.zeros(1, 1, 3), (480, 640)).flatten().tolist()
            [320.0, 240.0]
        """
        rays = transform_points(self.camera_from_world[:, None], points)
        rays = multiply(self.pixels(size)[:, None], rays[..., None])[..., 0]
        return rays[..., :2] / rays[..., 2:]

    @classmethod
    def from_pixels(cls, intrinsics: Any, camera_from_world: Any, size: tuple[int, int]) -> Pinhole:
        """Cameras from intrinsics in pixels, the centre of the top-left pixel at (0.5, 0.5).

        Args:
            intrinsics: float [3, 3] or [B, 3, 3] [pixels].
            camera_from_world: float [4, 4] or [B, 4, 4]; +x right, +y down, +z forward.
            size: Height and width of the image that the intrinsics belong to.
        """
        intrinsics, pose = as_float(intrinsics), as_float(camera_from_world)
        height, width = size
        top = (intrinsics[..., :2, :] - _centre(height, width, intrinsics)) / height
        return cls._batched(torch.cat([top, intrinsics[..., 2:, :]], -2), pose)

    @classmethod
    def look_at(cls, eye: Any, target: Any, up: Any = (0.0, 0.0, 1.0), fov: Any = math.pi / 4) -> Pinhole:
        """Cameras at `eye` that look at `target`; see :func:`look_at`.

        Args:
            eye: float [3] or [B, 3] [m].
            target: float [3] or [B, 3] [m].
            up: What points up in the image, float [3] or [B, 3].
            fov: Vertical field of view, a number or float [B] [rad].

        Example:
            >>> Pinhole.look_at(eye=(0, -1, 0.5), target=(0, 0, 0), fov=0.7).images
            1
        """
        pose = look_at(eye, target, up)
        focal = 0.5 / (as_float(fov, like=pose) / 2).tan()
        one = torch.ones_like(focal)
        return cls._batched(torch.diag_embed(torch.stack([focal, focal, one], -1)), pose)

    @classmethod
    def from_opencv(cls, K: Any, R: Any, t: Any, size: tuple[int, int], pixel_center: float = 0.0) -> Pinhole:  # noqa: N803
        """Cameras in the convention of OpenCV's ``solvePnP`` and ``projectPoints``, without lens distortion.

        Args:
            K: Intrinsics, float [3, 3] or [B, 3, 3] [pixels].
            R: Rotation of ``camera_from_world``, float [3, 3] or [B, 3, 3] (``cv2.Rodrigues`` of an rvec).
            t: Shift of ``camera_from_world``, float [3], [B, 3], or [3, 1] as cv2 returns it [m].
            size: Height and width of the image that K belongs to.
            pixel_center: Where K puts the centre of the top-left pixel: 0 as OpenCV does, 0.5 where K's origin is
                the corner of the image.

        Example:
            >>> K = [[600.0, 0.0, 319.5], [0.0, 600.0, 239.5], [0.0, 0.0, 1.0]]
            >>> camera = Pinhole.from_opencv(K, torch.eye(3), (0, 0, 2), size=(480, 640))
            >>> camera.project(torch.zeros(1, 1, 3), (480, 640)).flatten().tolist()
            [320.0, 240.0]
        """
        rotation = as_float(R)
        shift = as_float(t, like=rotation)
        if shift.shape[-2:] == (3, 1):
            shift = shift[..., 0]
        intrinsics = as_float(K, like=rotation)
        corner = torch.zeros(3, 3, dtype=intrinsics.dtype, device=intrinsics.device)
        corner[:2, 2] = 0.5 - pixel_center
        return cls.from_pixels(intrinsics + corner, affine(rotation, shift), size)

    @classmethod
    def from_colmap(cls, K: Any, quaternion: Any, t: Any, size: tuple[int, int]) -> Pinhole:  # noqa: N803
        """Cameras as COLMAP writes them to ``cameras.txt`` and ``images.txt``: origin at the image corner.

        Args:
            K: Intrinsics [pixels]: (f, cx, cy) of SIMPLE_PINHOLE, (fx, fy, cx, cy) of PINHOLE, or [..., 3, 3].
            quaternion: QW QX QY QZ, float [4] or [B, 4].
            t: TX TY TZ, float [3] or [B, 3] [m].
            size: HEIGHT and WIDTH, in this order.

        Example:
            >>> camera = Pinhole.from_colmap((600, 320, 240), (1, 0, 0, 0), (0, 0, 2), size=(480, 640))
            >>> camera.intrinsics[0].diagonal().tolist()
            [1.25, 1.25, 1.0]
        """
        rotation = rotation_from_quaternion(quaternion)
        intrinsics = as_float(K, like=rotation)
        if intrinsics.shape[-2:] != (3, 3):
            if intrinsics.ndim == 0 or intrinsics.shape[-1] not in (3, 4):
                raise ValueError(
                    "Pinhole.from_colmap(): `K` must be (f, cx, cy), (fx, fy, cx, cy) or a matrix [..., 3, 3], but has "
                    f"shape {list(intrinsics.shape)}. Undistort the images first: other models bend rays."
                )
            fx, fy = intrinsics[..., 0], intrinsics[..., -3]
            intrinsics = _matrix(fx, torch.zeros_like(fx), intrinsics[..., -2], fy, intrinsics[..., -1])
        return cls.from_opencv(intrinsics, rotation, as_float(t, like=rotation), size, pixel_center=0.5)

    @classmethod
    def from_opengl(cls, view: Any, projection: Any, size: tuple[int, int]) -> Pinhole:
        """Cameras in the convention of OpenGL: the eye frame has +y up and -z forward.

        Near and far plane are no part of a `Pinhole`: `SceneBatch.near` is one, and nothing is too far.

        Args:
            view: Eye from world (``gluLookAt``), float [4, 4] or [B, 4, 4].
            projection: Clip from eye (``gluPerspective``, ``glFrustum``), float [4, 4] or [B, 4, 4]; last row 0 0 -1 0.
            size: Height and width of the viewport; only their ratio matters.

        Example:
            >>> projection = torch.tensor([[1.5, 0, 0, 0], [0, 2, 0, 0], [0, 0, -1, -0.2], [0, 0, -1, 0]])
            >>> Pinhole.from_opengl(torch.eye(4), projection, size=(480, 640)).intrinsics[0].diagonal().tolist()
            [1.0, 1.0, 1.0]
        """
        view = as_float(view)
        p = as_float(projection, like=view)
        height, width = size
        half = width / height / 2
        px, py = half * p[..., 0, :], p[..., 1, :] / 2
        # Image x runs right as clip x does; image y runs down, against clip y. Eye y and z are minus ours.
        intrinsics = _matrix(px[..., 0], -px[..., 1], -px[..., 2], py[..., 1], py[..., 2])
        flip = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=view.dtype, device=view.device)
        return cls._batched(intrinsics, flip[:, None] * view)

    @classmethod
    def from_pytorch3d(
        cls,
        R: Any,  # noqa: N803
        T: Any,  # noqa: N803
        focal_length: Any,
        principal_point: Any,
        size: tuple[int, int],
        in_ndc: bool = True,
    ) -> Pinhole:
        """Cameras as PyTorch3D's ``PerspectiveCameras``: row vectors, ``x_camera = x_world @ R + T``, +x left, +y up.

        Args:
            R: float [3, 3] or [B, 3, 3].
            T: float [3] or [B, 3] [m].
            focal_length: A number, float [B] or [B, 2]; (x, y) where R is a single matrix.
            principal_point: float [2] or [B, 2]; (0, 0) is the image centre in NDC.
            size: Height and width of the image.
            in_ndc: True: focal length and principal point in PyTorch3D's NDC, where the shorter side of the image
                spans [-1, 1]. False: in pixels from the image's top-left corner.

        Example:
            >>> camera = Pinhole.from_pytorch3d(torch.eye(3), (0, 0, 2), 2.0, (0, 0), size=(480, 640))
            >>> camera.project(torch.tensor([[[0.1, 0.0, 0.0]]]), (480, 640)).flatten().tolist()  # +x is left
            [296.0, 240.0]
        """
        rotation = as_float(R)
        shift = as_float(T, like=rotation)
        focal = as_float(focal_length, like=rotation)
        if focal.ndim == 1 and rotation.ndim == 3:
            focal = focal[:, None]
        point = as_float(principal_point, like=rotation)
        focal, point = torch.broadcast_tensors(focal, point)
        height, width = size
        if in_ndc:
            unit = min(size) / 2 / height  # of NDC, in image heights
            focal, point = focal * unit, -point * unit
        else:
            focal = focal / height
            point = point / height - torch.tensor([width / 2 / height, 0.5], dtype=point.dtype, device=point.device)
        (fx, fy), (cx, cy) = focal.unbind(-1), point.unbind(-1)
        intrinsics = _matrix(fx, torch.zeros_like(fx), cx, fy, cy)
        flip = torch.tensor([-1.0, -1.0, 1.0], dtype=rotation.dtype, device=rotation.device)
        return cls._batched(intrinsics, affine(flip[:, None] * rotation.mT, flip * shift))

    @classmethod
    def _batched(cls, intrinsics: Tensor, pose: Tensor) -> Pinhole:
        """Give both the same B and the record's number format."""
        if intrinsics.ndim > 3 or pose.ndim > 3:
            raise ValueError(
                f"Pinhole: cameras have one leading axis, [B], but the intrinsics have {list(intrinsics.shape[:-2])} "
                f"and the poses {list(pose.shape[:-2])}. Flatten the leading axes first."
            )
        images = torch.broadcast_shapes((1,), intrinsics.shape[:-2], pose.shape[:-2])[0]
        return cls(intrinsics.expand(images, 3, 3).float(), pose.expand(images, 4, 4).float())


def _centre(height: float, width: float, like: Tensor) -> Tensor:
    """The image centre [pixels] in the third column of [2, 3]."""
    centre = torch.zeros(2, 3, dtype=like.dtype, device=like.device)
    centre[0, 2], centre[1, 2] = width / 2, height / 2
    return centre


def _matrix(fx: Tensor, skew: Tensor, cx: Tensor, fy: Tensor, cy: Tensor) -> Tensor:
    """Intrinsics of their entries: float [...] each -> [..., 3, 3]."""
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack([fx, skew, cx, zero, fy, cy, zero, zero, one], -1).unflatten(-1, (3, 3))
