"""A globe with a texture of our own, laid out as the sample of nvdiffrast that learns one expects it.

Six faces of a cube, blown up to a sphere of radius 1, in an atlas of 4 x 3 squares: the second row holds the four
sides, the second column top and bottom beside one of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

SQUARE = 512  # [texels] side of a face in the atlas
QUADS = 16  # along a side of a face

# Column and row in the atlas; middle of the face; the ways in which the atlas's column and row grow.
FACES = (
    ((0, 1), (-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((1, 1), (0, 0, 1), (1, 0, 0), (0, 1, 0)),
    ((2, 1), (1, 0, 0), (0, 0, -1), (0, 1, 0)),
    ((3, 1), (0, 0, -1), (-1, 0, 0), (0, 1, 0)),
    ((1, 0), (0, -1, 0), (1, 0, 0), (0, 0, 1)),
    ((1, 2), (0, 1, 0), (1, 0, 0), (0, 0, -1)),
)


def _directions(face: tuple, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of the sphere at s, t in [-1, 1]."""
    _, middle, along, up = (np.asarray(part, np.float32) for part in face)
    point = middle + s[..., None] * along + t[..., None] * up
    return point / np.linalg.norm(point, axis=-1, keepdims=True)


def _colors(points: np.ndarray) -> np.ndarray:
    """Waves from coarse to fine, the same on both sides of every edge: uint8 [..., 3]."""
    random = np.random.default_rng(7)
    value = np.zeros((*points.shape[:-1], 3), np.float32)
    for frequency in (2, 4, 8, 16, 32, 64, 128):
        for channel in range(3):
            for _ in range(3):
                way = random.normal(size=3)
                way *= frequency / np.linalg.norm(way)
                value[..., channel] += np.sin(points @ way.astype(np.float32) + random.uniform(0, 6.28))
    return (255 / (1 + np.exp(-0.8 * value))).astype(np.uint8)


def save_globe(path: Path) -> None:
    """Writes ``pos_idx, pos, uv_idx, uv, tex``: int32 [F, 3], float32 [V, 3], int32 [F, 3], [V, 2], uint8 [h, w, 3]."""
    grid = np.linspace(-1, 1, QUADS + 1, dtype=np.float32)
    centres = (2 * np.arange(SQUARE, dtype=np.float32) + 1) / SQUARE - 1
    corner = np.arange(QUADS)[:, None] * (QUADS + 1) + np.arange(QUADS)
    quad = np.stack([corner, corner + 1, corner + QUADS + 2, corner + QUADS + 1], -1).reshape(-1, 4)
    texture = np.zeros((3 * SQUARE, 4 * SQUARE, 3), np.uint8)
    positions, uvs, faces = [], [], []
    for number, face in enumerate(FACES):
        t, s = np.meshgrid(grid, grid, indexing="ij")
        positions.append(_directions(face, s, t).reshape(-1, 3))
        uvs.append(((np.stack([s, t], -1) + 1) / 2 + face[0]).reshape(-1, 2) / np.array([4, 3]))
        own = quad + number * (QUADS + 1) ** 2
        faces += [own[:, [0, 1, 2]], own[:, [0, 2, 3]]]
        t, s = np.meshgrid(centres, centres, indexing="ij")
        rows, columns = (slice(k * SQUARE, (k + 1) * SQUARE) for k in face[0][::-1])
        texture[rows, columns] = _colors(_directions(face, s, t))
    index = np.concatenate(faces).astype(np.int32)
    arrays = {"pos": np.concatenate(positions), "uv": np.concatenate(uvs).astype(np.float32)}
    np.savez(path, pos_idx=index, pos=arrays["pos"], uv_idx=index, uv=arrays["uv"], tex=texture)
