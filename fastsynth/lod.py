"""Levels of detail of a mesh, by meshoptimizer's quadric simplification (Garland and Heckbert 1997)."""

from __future__ import annotations

import ctypes

import numpy as np

FEWEST_FACES = 64
LARGEST_ERROR = 0.05  # of the mesh's extent
#: A level is kept when it has at most this part of the faces of the one before.
WORTHWHILE = 0.8


def simplified(
    vertices: np.ndarray, normals: np.ndarray, uvs: np.ndarray, faces: np.ndarray
) -> list[tuple[np.ndarray, float]]:
    """Coarser index buffers of a mesh, each about half of the one before.

    Texture coordinates and normals count as part of the surface, so that seams hold. Simplify each material by itself,
    so that the borders between them hold.

    Args:
        vertices: float32 [v, 3] [m].
        normals: float32 [v, 3].
        uvs: float32 [v, 2].
        faces: int [f, 3].

    Returns:
        Faces int32 [g, 3] and geometric error [m] of each level, coarser and coarser, without the mesh itself.

    Example:
        >>> import fastsynth as fs
        >>> sphere = fs.procedural.sphere()
        >>> levels = simplified(sphere.vertices, sphere.normals, sphere.uvs, sphere.faces)
        >>> len(levels[0][0]) < 0.8 * len(sphere.faces)
        True
    """
    import meshoptimizer

    points = np.ascontiguousarray(vertices, np.float32)
    scale = float(meshoptimizer.simplify_scale(points))
    attributes = np.ascontiguousarray(np.concatenate([normals, uvs], 1), np.float32)
    weights = np.array([0.5, 0.5, 0.5, 1.0, 1.0], np.float32)
    indices = np.ascontiguousarray(faces, np.uint32).reshape(-1)
    levels: list[tuple[np.ndarray, float]] = []
    before, target = len(faces), len(faces) // 2
    while target >= FEWEST_FACES:
        coarse, error = np.zeros_like(indices), np.zeros(1, np.float32)
        # The binding (0.2.30a0) does not declare this function's argument types, so they are given as what C takes.
        count = meshoptimizer.simplify_with_attributes(
            coarse,
            indices,
            points,
            attributes,
            weights,
            index_count=ctypes.c_size_t(indices.size),  # type: ignore[arg-type]
            vertex_count=ctypes.c_size_t(len(points)),  # type: ignore[arg-type]
            vertex_positions_stride=ctypes.c_size_t(points.strides[0]),  # type: ignore[arg-type]
            vertex_attributes_stride=ctypes.c_size_t(attributes.strides[0]),  # type: ignore[arg-type]
            attribute_count=ctypes.c_size_t(weights.size),  # type: ignore[arg-type]
            target_index_count=ctypes.c_size_t(3 * target),  # type: ignore[arg-type]
            target_error=ctypes.c_float(LARGEST_ERROR),  # type: ignore[arg-type]
            result_error=error,
        )
        kept = coarse[:count].reshape(-1, 3).astype(np.int32)
        corners = points[kept].astype(np.float64)
        kept = kept[
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).any(1)
        ]  # at a pole some close up
        if not FEWEST_FACES // 2 <= len(kept) <= WORTHWHILE * before:
            break
        # The error includes the attributes' and never shrinks from level to level, so that the choice is monotonous.
        levels.append((kept, max(float(error[0]) * scale, levels[-1][1] if levels else 0.0)))
        before, target = len(kept), target // 2
    return levels
