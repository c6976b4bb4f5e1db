"""A slow reference of lenses in numpy's float64, and boxes seen through them by rays."""

from __future__ import annotations

import math

import numpy as np
import torch

import fastsynth as fs

FISHEYE = (0.05, -0.02, 0.004, -0.0008)
RADIAL = (-0.25, 0.09, 0.0012, -0.0017, 0.01, 0.02, -0.01, 0.003)
#: Model, coefficients, half the angle of the image circle [deg].
LENSES = {
    "fisheye": ("fisheye", FISHEYE, 92.0),
    "wide fisheye": ("fisheye", (-0.01, 0.0, 0.0, 0.0), 110.0),
    "narrow fisheye": ("fisheye", FISHEYE, 45.0),
    "equidistant": ("equidistant", (), 87.0),
    "radial_tangential": ("radial_tangential", RADIAL, 50.0),
    "wide radial_tangential": ("radial_tangential", (-0.02, 0.001, 0.002, -0.001, 0.0), 70.0),
}


def padded(coefficients) -> list[float]:
    return [*coefficients, *[0.0] * (8 - len(coefficients))]


def land(directions: np.ndarray, model: str, k) -> np.ndarray:
    """Directions [..., 3] to places [..., 2], by the formulas as they are written down."""
    x, y, z = np.moveaxis(np.asarray(directions, dtype=np.float64), -1, 0)
    k1, k2, a, b, k5, k6, k7, k8 = padded(k)
    if model != "radial_tangential":
        theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
        r = theta + k1 * theta**3 + k2 * theta**5 + a * theta**7 + b * theta**9
        return np.stack([r * np.cos(phi), r * np.sin(phi)], -1)
    u, v = x / z, y / z
    r2 = u * u + v * v
    g = (1 + k1 * r2 + k2 * r2**2 + k5 * r2**3) / (1 + k6 * r2 + k7 * r2**2 + k8 * r2**3)
    return np.stack([u * g + 2 * a * u * v + b * (r2 + 2 * u * u), v * g + a * (r2 + 2 * v * v) + 2 * b * u * v], -1)


def directions_of(places: np.ndarray, model: str, k, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The inverse, by bisection in the angle or, for the radial model, by a fixed point; and what is inside."""
    x, y = np.moveaxis(np.asarray(places, dtype=np.float64), -1, 0)
    if model == "radial_tangential":
        u, v = x.copy(), y.copy()
        for _ in range(80):  # damped, and kept where the model is meant to be
            error = land(np.stack([u, v, np.ones_like(u)], -1), model, k) - np.stack([x, y], -1)
            u, v = u - 0.8 * error[..., 0], v - 0.8 * error[..., 1]
            shrink = np.minimum(1.0, 1.1 * np.tan(angle) / np.maximum(np.hypot(u, v), 1e-9))
            u, v = u * shrink, v * shrink
        ray = np.stack([u, v, np.ones_like(u)], -1)
        return ray / np.linalg.norm(ray, axis=-1, keepdims=True), np.hypot(u, v) < np.tan(angle)
    radius, azimuth = np.hypot(x, y), np.arctan2(y, x)
    low, high = np.zeros_like(radius), np.full_like(radius, angle)
    for _ in range(44):
        middle = (low + high) / 2
        past = land(np.stack([np.sin(middle), 0 * middle, np.cos(middle)], -1), model, k)[..., 0] > radius
        low, high = np.where(past, low, middle), np.where(past, middle, high)
    s, c = np.sin(low), np.cos(low)
    return np.stack([s * np.cos(azimuth), s * np.sin(azimuth), c], -1), low < angle * (1 - 1e-9)


def focal_of(model: str, k, angle: float) -> float:
    """Focal length [image heights] at which the image circle fits the height."""
    a = math.radians(angle)
    edge = land(np.array([math.sin(a), 0.0, math.cos(a)]), model, [*k[:2], 0, 0, *k[4:]] if "radial" in model else k)
    return 0.5 / float(edge[0])


def camera(images: int, name: str, **fields) -> dict:
    """Fields of a batch: a lens whose image circle fits the picture, at the origin, looking along +z."""
    model, k, angle = LENSES[name]
    focal = focal_of(model, k, angle)
    intrinsics = torch.tensor([[focal, 0.004, 0.01], [0.0, focal * 1.02, -0.013], [0.0, 0.0, 1.0]])
    return {
        "intrinsics": intrinsics.repeat(images, 1, 1),
        "camera_from_world": torch.eye(4).repeat(images, 1, 1),
        "lens": model,
        "distortion": torch.tensor([padded(k)]).repeat(images, 1),
        "lens_angle": math.radians(angle),
        **fields,
    }


def rays_of(batch: fs.SceneBatch, size: tuple[int, int], grid: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unit rays of `grid` x `grid` samples a pixel of the first image, [g H, g W, 3], and which are inside."""
    height, width = size
    v, u = np.meshgrid((np.arange(grid * height) + 0.5) / grid, (np.arange(grid * width) + 0.5) / grid, indexing="ij")
    (fx, s, cx), (_, fy, cy), _ = batch.intrinsics[0].double().numpy()
    y = ((v - height / 2) / height - cy) / fy
    x = ((u - width / 2) / height - cx - s * y) / fx
    assert batch.lens is not None and batch.distortion is not None
    places = np.stack([x, y], -1)
    return directions_of(places, batch.lens, batch.distortion[0].double().tolist(), batch.lens_angle)


def nearest_box(rays: np.ndarray, poses: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...]:
    """Which box of object space rays from the origin hit first, -1 = none, and how far away: slabs."""
    number, distance = np.full(rays.shape[:-1], -1), np.full(rays.shape[:-1], np.inf)
    for i, pose in enumerate(poses):
        back = np.linalg.inv(pose)
        ray, eye = rays @ back[:3, :3].T, back[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (low - eye) / ray, (high - eye) / ray
        near, far = np.fmin(a, b).max(-1), np.fmax(a, b).min(-1)
        hit = (near <= far) & (near > 0) & (near < distance)
        number, distance = np.where(hit, i, number), np.where(hit, near, distance)
    return number, distance


def grid_of_boxes(name: str, rings: int = 5, spokes: int = 9, half: float = 3.0, part: float = 1.0) -> fs.SceneBatch:
    """One image of small cubes, on rings out to 85 degrees or 2 degrees within the image circle, at 0.6 m to 2 m."""
    model, k, angle = LENSES[name]
    outer = part * min(85.0, angle - 4.0)
    poses, rng = [], np.random.default_rng(3)
    for ring in range(rings + 1):
        theta = math.radians(outer * ring / rings)
        for spoke in range(spokes if ring else 1):
            phi = 2 * math.pi * (spoke + 0.37 * ring) / spokes
            distance = 0.6 + 1.4 * rng.random()
            where = distance * np.array([
                math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)
            ])  # fmt: skip
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            size = distance * math.radians(half)
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = turn * size, where
            poses.append(pose)
    assets = cube()
    world = torch.tensor(np.stack(poses), dtype=torch.float32)[None]
    return fs.SceneBatch(
        assets=assets,
        mesh_id=torch.zeros(1, len(poses), dtype=torch.int32),
        world_from_object=world,
        ambient=flat_light(1),
        tone="linear",
        **camera(1, name),
    )


def flat_light(images: int) -> torch.Tensor:
    """White is white everywhere."""
    ambient = torch.zeros(images, 9, 3)
    ambient[:, 0] = 1 / 0.28209479177387814
    return ambient


def cube() -> fs.Assets:
    """From -1 to 1."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float32)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    vertices = corners[np.array(quads)].reshape(-1, 3)  # each face has its own, so that it is flat
    faces = np.array([[4 * q, 4 * q + i, 4 * q + i + 1] for q in range(6) for i in (1, 2)], dtype=np.int32)
    first, second, third = (vertices[4 * np.arange(6) + i] for i in range(3))
    normals = np.cross(second - first, third - first)
    normals = np.repeat(normals / np.linalg.norm(normals, axis=-1, keepdims=True), 4, 0)
    return fs.pack([fs.Mesh(vertices, faces, normals)])
