"""Meshes to `Assets`: normals, meshlets, bounds, hulls, levels of detail, textures."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fastsynth.assets import Assets, Material, Mesh
from fastsynth.lod import simplified
from fastsynth.textures import Textures

MESHLET_VERTICES = 64
MESHLET_FACES = 124
_NEVER = 2.0  # cone cutoff that hides nothing


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals; vertices at one position share theirs, so that seams in the uvs do not show.

    Example:
        >>> vertex_normals(np.eye(3), np.array([[0, 1, 2]])).round(2).tolist()[0]
        [0.58, 0.58, 0.58]
    """
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    _, place = np.unique(vertices, axis=0, return_inverse=True)
    summed = np.zeros((place.max(initial=-1) + 1, 3))
    np.add.at(summed, place.reshape(-1)[faces.reshape(-1)], area.repeat(3, 0))
    return _unit(summed[place.reshape(-1)])


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 0, vectors / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])


def cut_meshlets(faces: np.ndarray, vertex_count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cuts triangles into runs of at most 64 vertices and 124 faces that lie close together.

    Triangles are put into the order of a vertex cache, which walks over the surface, and cut greedily.

    Args:
        faces: int [f, 3].
        vertex_count: Rows that faces may name.

    Returns:
        For each meshlet the vertices it uses, int [n], and its faces as rows of those, int [m, 3].
    """
    return _cut(np.ascontiguousarray(faces, np.uint32).tobytes(), vertex_count)


@functools.lru_cache(maxsize=16)
def _cut(faces: bytes, vertex_count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """`cut_meshlets`, done once for all meshes that differ in where their vertices lie alone."""
    import meshoptimizer

    indices = np.frombuffer(faces, np.uint32)
    ordered = np.zeros_like(indices)
    meshoptimizer.optimize_vertex_cache(ordered, indices, len(indices), vertex_count)
    meshlets: list[tuple[np.ndarray, np.ndarray]] = []
    local: dict[int, int] = {}
    rows: list[tuple[int, ...]] = []

    def close() -> None:
        if rows:
            meshlets.append((np.fromiter(local, np.int64, len(local)), np.array(rows, np.int64)))
            local.clear()
            rows.clear()

    for face in ordered.reshape(-1, 3).tolist():
        if len(rows) == MESHLET_FACES or len(local) + sum(v not in local for v in face) > MESHLET_VERTICES:
            close()
        rows.append(tuple(local.setdefault(v, len(local)) for v in face))
    close()
    return meshlets


def _bounds(points: np.ndarray, faces: np.ndarray, double_sided: bool) -> list[float]:
    """Sphere and normal cone of a meshlet, float32 as they are stored and conservative in it."""
    centre = ((points.min(0) + points.max(0)) / 2).astype(np.float32)
    radius = np.float32(np.linalg.norm(points - centre, axis=1).max() * (1 + 1e-6))
    cone = [0.0, 0.0, 1.0, _NEVER]
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    if not double_sided and (length > 0).any():
        normals = normals[length > 0] / length[length > 0, None]
        axis = _unit(normals.mean(0))
        spread = float((normals @ axis).min())  # cosine of the widest normal
        if spread > 0.1:
            # Every face points away from an eye whose view direction makes less than 90 degrees minus the spread
            # with the axis: cos(90 - spread) = sin(spread). A little is added for single precision.
            cone = [*axis.tolist(), float(np.sqrt(1 - min(spread, 1.0) ** 2) + 1e-4)]
    return [*centre.tolist(), float(radius), *cone]


def _hull(vertices: np.ndarray) -> np.ndarray:
    """Vertices of the convex hull, or all different ones where it is flat."""
    from scipy.spatial import ConvexHull, QhullError

    points = np.unique(vertices, axis=0)
    if len(points) > 4:
        try:
            return points[ConvexHull(points).vertices]
        except QhullError:  # flat or a line
            pass
    return points


def _check(mesh: Mesh) -> None:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
        raise ValueError(
            f"pack(): mesh {mesh.name!r} must have vertices [v, 3] and at least one face [f, 3], but has "
            f"{list(vertices.shape)} and {list(faces.shape)}."
        )
    if not np.isfinite(vertices).all():
        raise ValueError(
            f"pack(): mesh {mesh.name!r} has vertices that are NaN or infinite. Remove the faces that use them."
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(
            f"pack(): mesh {mesh.name!r} has faces that name vertices {faces.min()} to {faces.max()}, "
            f"but has {len(vertices)}."
        )
    for name, width, kind in (("normals", 3, "f"), ("uvs", 2, "f"), ("colors", 4, "u")):
        value = getattr(mesh, name)
        if value is not None and (np.shape(value) != (len(vertices), width) or np.asarray(value).dtype.kind != kind):
            raise ValueError(
                f"pack(): mesh {mesh.name!r}: `{name}` must be [{len(vertices)}, {width}], one row for each vertex, "
                f"but is {np.asarray(value).dtype} {list(np.shape(value))}."
            )
    rows = mesh.face_material
    if rows is not None and (len(rows) != len(faces) or min(rows) < 0 or max(rows) >= len(mesh.materials)):
        raise ValueError(
            f"pack(): mesh {mesh.name!r}: `face_material` must name one of {len(mesh.materials)} materials for each of "
            f"{len(faces)} faces."
        )


class _Packer:
    """Collects rows; each method appends one kind of thing."""

    def __init__(self) -> None:
        self.vertex_data: list[np.ndarray] = []
        self.colors: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self.meshlets: list[list[int]] = []
        self.bounds: list[list[float]] = []
        self.levels: list[list[int]] = []
        self.errors: list[float] = []
        self.meshes: list[list[int]] = []
        self.boxes: list[list[float]] = []
        self.hull: list[np.ndarray] = []
        self.materials: list[list[float]] = []
        self.material_textures: list[list[int]] = []
        self.images: dict[tuple[int, str, bool], int] = {}
        self.pictures: list[tuple[object, str, bool]] = []
        self.vertex_count = self.face_count = self.hull_count = 0

    def add_texture(self, picture: object, wrap: str, coded: bool) -> int:
        if picture is None:
            return -1
        key = (id(picture), wrap, coded)  # one picture used twice is stored once
        if key not in self.images:
            self.images[key] = len(self.pictures)
            self.pictures.append((picture, wrap, coded))
        return self.images[key]

    def add_material(self, m: Material) -> None:
        self.materials.append([*m.base_color, m.metallic, m.roughness, m.alpha_cutoff, float(m.double_sided)])
        self.material_textures.append(
            [self.add_texture(m.base_texture, m.wrap, True), self.add_texture(m.gloss_texture, m.wrap, False)]
        )

    def add_mesh(self, mesh: Mesh, lod: bool) -> None:
        _check(mesh)
        points, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int64)
        normals = vertex_normals(points, faces) if mesh.normals is None else _unit(np.asarray(mesh.normals, np.float64))
        uvs = np.zeros((len(points), 2)) if mesh.uvs is None else np.asarray(mesh.uvs)
        data = np.ascontiguousarray(np.concatenate([points, normals, np.nan_to_num(uvs)], 1), np.float32)
        material = (
            np.zeros(len(faces), np.int64) if mesh.face_material is None else np.asarray(mesh.face_material, np.int64)
        )
        first_material = len(self.materials)
        for each in mesh.materials:
            self.add_material(each)
        self.meshes.append([len(self.levels), 0, self.hull_count, 0])
        groups = {int(row): faces[material == row] for row in np.unique(material)}
        self._add_level(mesh, data, groups, first_material, 0.0)
        if lod:
            coarser = {row: simplified(data[:, :3], data[:, 3:6], data[:, 6:], group) for row, group in groups.items()}
            for step in range(max(len(levels) for levels in coarser.values())):
                picked = {
                    row: (levels[min(step, len(levels) - 1)] if levels else (groups[row], 0.0))
                    for row, levels in coarser.items()
                }
                self._add_level(
                    mesh, data, {k: v[0] for k, v in picked.items()}, first_material, max(v[1] for v in picked.values())
                )
        used = points[np.unique(faces)]
        hull = _hull(used)
        self.hull.append(hull)
        self.meshes[-1][1] = len(self.levels) - self.meshes[-1][0]
        self.meshes[-1][3] = len(hull)
        self.hull_count += len(hull)
        self.boxes.append([*used.min(0).tolist(), *used.max(0).tolist()])

    def _add_level(
        self, mesh: Mesh, data: np.ndarray, groups: Mapping[int, np.ndarray], first_material: int, error: float
    ) -> None:
        first_meshlet, first_face = len(self.meshlets), self.face_count
        for row, faces in groups.items():
            for vertices, local in cut_meshlets(faces, len(data)):
                self.meshlets.append([self.vertex_count, len(vertices), self.face_count, len(local)])
                self.bounds.append(
                    _bounds(data[vertices, :3].astype(np.float64), local, mesh.materials[row].double_sided)
                )
                self.vertex_data.append(data[vertices])
                if mesh.colors is not None:
                    self.colors.append(np.asarray(mesh.colors, np.uint8)[vertices])
                else:
                    self.colors.append(np.full((len(vertices), 4), 255, np.uint8))
                rows = np.full((len(local), 1), first_material + row)
                self.faces.append(np.concatenate([local + self.vertex_count, rows], 1))
                self.vertex_count += len(vertices)
                self.face_count += len(local)
        self.levels.append(
            [first_meshlet, len(self.meshlets) - first_meshlet, first_face, self.face_count - first_face]
        )
        self.errors.append(error)


def pack(
    meshes: Sequence[Mesh],
    classes: Sequence[str] | None = None,
    *,
    lod: bool = True,
    device: torch.device | str = "cpu",
) -> Assets:
    """Packs meshes once, for all drawing to come.

    Args:
        meshes: What to pack; normals are made where a mesh has none.
        classes: Class of each mesh; None = its name.
        lod: Make levels of detail.
        device: Where the result lies.

    Returns:
        :class:`~fastsynth.assets.Assets`.

    Raises:
        ValueError: no mesh, or one that cannot be drawn (no face, indices out of range, NaN).

    Example:
        >>> import numpy as np
        >>> corner = Mesh(np.eye(3), np.array([[0, 1, 2]]), name="corner")
        >>> pack([corner]).class_names
        ('corner',)
    """
    if len(meshes) == 0:
        raise ValueError("pack(): give at least one mesh.")
    labels = [mesh.name for mesh in meshes] if classes is None else list(classes)
    if len(labels) != len(meshes):
        raise ValueError(
            f"pack(): `classes` must name one class for each of {len(meshes)} meshes, but has {len(labels)}."
        )
    packer = _Packer()
    for mesh in meshes:
        packer.add_mesh(mesh, lod)
    names = tuple(dict.fromkeys(labels))
    colored = any(mesh.colors is not None for mesh in meshes)
    pictures = packer.pictures

    def ints(rows: list) -> torch.Tensor:
        return torch.tensor(np.asarray(rows), dtype=torch.int32)

    def floats(rows: list) -> torch.Tensor:
        return torch.tensor(np.asarray(rows), dtype=torch.float32)

    assets = Assets(
        vertex_data=torch.from_numpy(np.concatenate(packer.vertex_data)),
        vertex_colors=torch.from_numpy(np.concatenate(packer.colors))
        if colored
        else torch.zeros(0, 4, dtype=torch.uint8),
        faces=ints(np.concatenate(packer.faces)),  # type: ignore[arg-type]
        meshlets=ints(packer.meshlets),
        meshlet_bounds=floats(packer.bounds),
        levels=ints(packer.levels),
        level_error=floats(packer.errors),
        meshes=ints(packer.meshes),
        mesh_bounds=floats(packer.boxes),
        mesh_class=ints([names.index(label) for label in labels]),
        hull=floats(np.concatenate(packer.hull)),  # type: ignore[arg-type]
        materials=floats(packer.materials),
        material_textures=ints(packer.material_textures),
        textures=Textures.from_images([p[0] for p in pictures], [p[1] for p in pictures], [p[2] for p in pictures]),
        class_names=names,
        mesh_names=tuple(mesh.name for mesh in meshes),
        face_bits=max(1, max(level[3] for level in packer.levels).bit_length()),
    )
    return assets.to(device)
