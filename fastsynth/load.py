"""Mesh and image files to assets."""

from __future__ import annotations

import glob
import io
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastsynth.assets import Assets, Material, Mesh
from fastsynth.pack import pack
from fastsynth.report import AssetError, FileReport, LoadReport
from fastsynth.safe_files import FolderResolver, check_header, picture
from fastsynth.textures import Textures, linear_to_srgb

FORMATS = (".glb", ".gltf", ".obj", ".ply", ".stl")
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
Paths = str | Path | Sequence[str | Path]
Classes = str | Mapping[str, str] | Callable[[Path], str]


def find_files(paths: Paths, endings: Iterable[str], op: str) -> list[Path]:
    """Files named by paths, folders and patterns, in order, each once.

    Raises:
        FileNotFoundError: a path or pattern that matches nothing.
    """
    found: dict[Path, None] = {}
    for entry in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(entry).expanduser()
        if path.is_dir():
            matches = sorted(p for p in path.rglob("*") if p.suffix.lower() in endings)
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(p) for p in sorted(glob.glob(str(path), recursive=True)) if Path(p).is_file()]
        if not matches:
            raise FileNotFoundError(
                f"{op}(): nothing matches {str(entry)!r}. Give a file, a folder or a pattern; read are "
                f"{', '.join(endings)}."
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def load_assets(
    paths: Paths,
    *,
    classes: Classes = "file",
    unit: float | str = 1.0,
    double_sided: bool | None = None,
    lod: bool = True,
    strict: bool = False,
    max_texture: int = 4096,
    max_faces: int = 5_000_000,
    device: torch.device | str = "cpu",
) -> Assets:
    """Loads GLB, glTF, OBJ, PLY and STL files, each one object.

    All nodes of a file become one mesh with several materials. What is wrong with a file is repaired and
    named, or the file is left out and the reason named, in ``assets.report``.

    Args:
        paths: Files, folders or patterns ("parts/*.glb").
        classes: Class of each file: "file" (its name), "folder" (its folder's name), a map from file name (with or
            without ending) to class, or a function of the path.
        unit: Metres of one unit of the files, or "m", "cm", "mm", "in", "ft".
        double_sided: Are both sides of faces drawn? None = as glTF says; for other formats, unless the mesh is closed.
        lod: Make levels of detail.
        strict: Raise at the first file that cannot be used, instead of leaving it out.
        max_texture: Largest side of a texture [pixels]; larger ones are scaled down.
        max_faces: Largest number of faces of one file.
        device: Where the result lies.

    Returns:
        :class:`~fastsynth.assets.Assets` with its ``report``.

    Raises:
        FileNotFoundError: a path that matches nothing.
        AssetError: no file could be used, or with ``strict`` one could not.

    Example:
        >>> import tempfile, trimesh
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = trimesh.creation.box().export(folder.name + "/crate.ply")
        >>> load_assets(folder.name, unit="cm").class_names
        ('crate',)
    """
    if isinstance(unit, str) and unit not in UNITS:
        raise ValueError(f"load_assets(): `unit` must be metres or one of {tuple(UNITS)}, but is {unit!r}.")
    scale = UNITS[unit] if isinstance(unit, str) else float(unit)
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"load_assets(): `unit` must be above 0 metres, but is {unit}.")
    report = LoadReport()
    meshes: list[Mesh] = []
    names: list[str] = []
    for path in find_files(paths, FORMATS, "load_assets"):
        entry = FileReport(str(path))
        report.files.append(entry)
        try:
            name = class_of(path, classes)
            mesh = read_mesh(
                path, entry, scale=scale, double_sided=double_sided, max_texture=max_texture, max_faces=max_faces
            )
        except AssetError as error:
            entry.error = str(error)
            if strict:
                raise AssetError(f"load_assets(): {path}: {error}") from error
            continue
        meshes.append(mesh)
        names.append(name)
    if not meshes:
        raise AssetError(f"load_assets(): no file could be used.\n{report}")
    assets = pack(meshes, names, lod=lod, device=device)
    object.__setattr__(assets, "report", report)
    return assets


def class_of(path: Path, classes: Classes) -> str:
    """The class of a file, by what `load_assets` was told."""
    if callable(classes):
        return str(classes(path))
    if isinstance(classes, Mapping):
        for key in (str(path), path.name, path.stem):
            if key in classes:
                return classes[key]
        raise AssetError(f"`classes` gives no class for {path.name!r}")
    if classes == "file":
        return path.stem
    if classes == "folder":
        return path.resolve().parent.name
    raise ValueError(f'load_assets(): `classes` must be "file", "folder", a map or a function, but is {classes!r}.')


def read_mesh(
    path: Path,
    report: FileReport,
    *,
    scale: float = 1.0,
    double_sided: bool | None = None,
    max_texture: int = 4096,
    max_faces: int = 5_000_000,
) -> Mesh:
    """Reads one file.

    Raises:
        AssetError: it cannot be used; the message says why.
    """
    import trimesh

    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise AssetError(f"files ending in {kind!r} are not read; convert it to one of {', '.join(FORMATS)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AssetError(f"it cannot be read ({error.strerror})") from None
    check_header(path, data)
    resolver = FolderResolver(path.parent, report)
    log = logging.getLogger("trimesh")
    was_disabled, log.disabled = log.disabled, True  # what it would log about a broken file, the report says
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            served: Any = resolver  # all that trimesh asks of its own class
            scene = trimesh.load_scene(io.BytesIO(data), file_type=kind[1:], resolver=served, process=False)
            pieces = scene.dump(concatenate=False)
    except AssetError:
        raise
    except MemoryError:
        raise AssetError("it needs more memory than there is") from None
    except Exception as error:  # a parser meets broken input in any way it likes
        raise AssetError(f"it cannot be parsed ({type(error).__name__}: {error})") from None
    finally:
        log.disabled = was_disabled
    if resolver.refusals:
        raise AssetError(resolver.refusals[0])
    parts = [piece for piece in pieces if isinstance(piece, trimesh.Trimesh) and len(piece.faces)]
    if not parts:
        raise AssetError("there is no triangle in it")
    if sum(len(part.faces) for part in parts) > max_faces:
        raise AssetError(f"{sum(len(part.faces) for part in parts)} faces are more than `max_faces` = {max_faces}")
    gltf = kind in (".glb", ".gltf")
    cleaned = [piece for piece in (_clean(part, report) for part in parts) if piece is not None]
    if not cleaned:
        raise AssetError("no triangle in it has an area")
    return _join(cleaned, path.stem, scale, gltf, double_sided, max_texture, report)


def _clean(part: Any, report: FileReport) -> dict[str, Any] | None:
    """Drops what cannot be drawn, and says so."""
    vertices, faces = np.asarray(part.vertices, np.float64), np.asarray(part.faces, np.int64)

    def drop(bad: Any, what: str) -> None:
        nonlocal faces
        if bad.any():
            report.repair(f"{int(bad.sum())} {what} dropped")
            faces = faces[~bad]

    drop(((faces < 0) | (faces >= len(vertices))).any(1), "faces that name vertices that are not there were")
    finite: Any = np.isfinite(vertices).all(1) & (np.abs(vertices) < 1e15).all(1)
    drop(~finite[faces].all(1), "faces with vertices that are NaN or infinite were")
    vertices = np.where(finite[:, None], vertices, 0.0)
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    extent = np.ptp(vertices[faces.reshape(-1)], axis=0).max() if len(faces) else 0.0
    drop(~(area > 1e-14 * extent**2), "degenerate faces were")
    # The same corners in the same order of turning, at whichever they begin.
    start = np.argmin(faces, 1) if len(faces) else np.zeros(0, np.int64)
    turned = np.take_along_axis(faces, (start[:, None] + np.arange(3)) % 3, 1)
    _, first = np.unique(turned, axis=0, return_index=True)
    repeated = np.ones(len(faces), bool)
    repeated[first] = False
    drop(repeated, "duplicated faces were")
    if len(faces) == 0:
        return None
    visual = part.visual
    uvs = getattr(visual, "uv", None)
    if uvs is not None and (np.shape(uvs) != (len(vertices), 2) or not np.isfinite(uvs).all()):
        report.repair("texture coordinates that are not one finite pair for each vertex were left out")
        uvs = None
    colors = None
    if visual.kind == "vertex" and len(visual.vertex_colors) == len(vertices):
        colors = np.asarray(visual.vertex_colors, np.uint8)
    elif visual.kind == "face" and len(visual.face_colors):
        report.repair("colours of faces were averaged to their vertices")
        colors = np.asarray(
            visual.to_vertex().vertex_colors if hasattr(visual, "to_vertex") else visual.vertex_colors, np.uint8
        )
        colors = colors if len(colors) == len(vertices) else None
    elif uvs is None or visual.kind == "texture":
        attribute = (
            getattr(visual, "vertex_attributes", {}).get("color") if hasattr(visual, "vertex_attributes") else None
        )
        if attribute is not None and len(attribute) == len(vertices):
            colors = np.asarray(attribute, np.uint8)
    normals = None
    if "vertex_normals" in part._cache.cache:  # from the file; else trimesh would compute them here
        given = np.asarray(part._cache.cache["vertex_normals"], np.float64)
        if given.shape == vertices.shape and np.isfinite(given).all() and (np.linalg.norm(given, axis=1) > 1e-6).all():
            normals = given
        else:
            report.repair("normals that are missing, zero or not finite were made anew")
    material = getattr(visual, "material", None)
    return {
        "vertices": vertices,
        "faces": faces,
        "uvs": uvs,
        "colors": colors,
        "normals": normals,
        "material": material,
    }


def _material(source: Any, gltf: bool, sided: bool, largest: int, report: FileReport, colored: bool) -> Material:
    """A trimesh material as ours."""
    if source is None:
        return Material(base_color=(1.0, 1.0, 1.0, 1.0) if colored else (0.6, 0.6, 0.6, 1.0), double_sided=sided)
    base = source.to_pbr() if hasattr(source, "to_pbr") else source
    factor = getattr(base, "baseColorFactor", None)
    rgba = [1.0, 1.0, 1.0, 1.0]
    if factor is not None:
        values = np.asarray(factor, np.float64).reshape(-1)
        values = values / 255.0 if np.asarray(factor).dtype.kind in "ui" else values
        if np.isfinite(values).all() and len(values) in (3, 4):
            rgba[: len(values)] = np.clip(values, 0.0, 1.0)
            if not gltf:  # MTL colours are display values; glTF's are linear already
                rgba[:3] = [((v + 0.055) / 1.055) ** 2.4 if v > 0.04045 else v / 12.92 for v in rgba[:3]]
        else:
            report.repair("a base colour that is not finite was left out")

    def number(name: str, default: float) -> float:
        value = getattr(base, name, None)
        return float(np.clip(value, 0.0, 1.0)) if value is not None and np.isfinite(value) else default

    image, gloss = getattr(base, "baseColorTexture", None), getattr(base, "metallicRoughnessTexture", None)
    cutoff = 0.0
    if getattr(base, "alphaMode", None) == "MASK":
        cutoff = number("alphaCutoff", 0.5)
    elif getattr(base, "alphaMode", None) == "BLEND":
        report.repair("alpha blending is drawn as a mask with cutoff 0.5")
        cutoff = 0.5
    return Material(
        base_color=(rgba[0], rgba[1], rgba[2], rgba[3]),
        metallic=number("metallicFactor", 1.0 if gltf else 0.0),
        roughness=number("roughnessFactor", 1.0 if gltf else 0.6),
        alpha_cutoff=cutoff,
        double_sided=sided,
        base_texture=picture(image, largest, "a base colour texture", report) if image is not None else None,
        gloss_texture=picture(gloss, largest, "a metallic-roughness texture", report) if gloss is not None else None,
    )


def _closed(vertices: np.ndarray, faces: np.ndarray) -> tuple[bool, float]:
    """Is the surface closed and consistently wound once seams are joined? And its signed volume."""
    _, place = np.unique(vertices.astype(np.float32), axis=0, return_inverse=True)
    joined = place.reshape(-1)[faces]
    edges = np.concatenate([joined[:, [0, 1]], joined[:, [1, 2]], joined[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    forth, counts = np.unique(edges, axis=0, return_counts=True)
    back = np.unique(edges[:, ::-1], axis=0)
    closed = len(forth) == len(back) and bool((counts == 1).all()) and np.array_equal(forth, back)
    corners = vertices[faces]
    volume = float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)
    return closed, volume


def _join(
    parts: list[dict[str, Any]],
    name: str,
    scale: float,
    gltf: bool,
    double_sided: bool | None,
    largest: int,
    report: FileReport,
) -> Mesh:
    """The pieces of a file as one mesh."""
    starts = np.cumsum([0] + [len(part["vertices"]) for part in parts])
    vertices = np.concatenate([part["vertices"] for part in parts]) * scale
    faces = np.concatenate([part["faces"] + start for part, start in zip(parts, starts, strict=False)])
    rows = np.concatenate([np.full(len(part["faces"]), i) for i, part in enumerate(parts)])
    sided = [bool(getattr(part["material"], "doubleSided", False)) if gltf else False for part in parts]
    if not gltf:
        closed, volume = _closed(vertices, faces)
        if closed and volume < 0:
            report.repair("the surface was inside out and was turned")
            faces = faces[:, ::-1]
            for part in parts:
                part["normals"] = None if part["normals"] is None else -part["normals"]
        sided = [not closed] * len(parts)
    if double_sided is not None:
        sided = [double_sided] * len(parts)
    colored = any(part["colors"] is not None for part in parts)
    materials: list[Material] = []
    made: dict[tuple[int, bool], int] = {}
    row_of = []
    for part, both in zip(parts, sided, strict=True):
        key = (id(part["material"]), both)
        if key not in made:
            made[key] = len(materials)
            materials.append(_material(part["material"], gltf, both, largest, report, part["colors"] is not None))
        row_of.append(made[key])

    def per_vertex(key: str, fill: Callable[[dict[str, Any]], np.ndarray]) -> np.ndarray:
        return np.concatenate([part[key] if part[key] is not None else fill(part) for part in parts])

    uvs = per_vertex("uvs", lambda part: np.zeros((len(part["vertices"]), 2))).astype(np.float64)
    uvs[:, 1] = 1.0 - uvs[:, 1]  # trimesh counts v upward
    colors = None
    if colored:
        colors = per_vertex("colors", lambda part: np.full((len(part["vertices"]), 4), 255, np.uint8)).astype(np.uint8)
        if gltf:  # linear there
            colors[:, :3] = np.clip(linear_to_srgb(colors[:, :3] / 255.0) * 255.0 + 0.5, 0, 255)
    normals = None
    if all(part["normals"] is not None for part in parts):
        normals = np.concatenate([part["normals"] for part in parts])
    return Mesh(vertices, faces, normals, uvs, colors, np.array(row_of)[rows], tuple(materials), name)


def load_textures(paths: Paths, *, wrap: str = "clamp", max_size: int = 4096, strict: bool = False) -> Textures:
    """Loads image files, for backgrounds or for materials.

    Args:
        paths: Files, folders or patterns ("photos/*.jpg").
        wrap: "repeat", "clamp" or "mirror".
        max_size: Largest side [pixels]; larger pictures are scaled down.
        strict: Raise at the first file that cannot be read, instead of leaving it out.

    Raises:
        FileNotFoundError: a path that matches nothing.
        AssetError: no file could be read, or with ``strict`` one could not.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.TemporaryDirectory()
        >>> Image.new("RGB", (8, 4)).save(folder.name + "/a.png")
        >>> len(load_textures(folder.name))
        1
    """
    from PIL import Image, ImageOps

    report = LoadReport()
    images = []
    for path in find_files(paths, (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"), "load_textures"):
        entry = FileReport(str(path))
        report.files.append(entry)
        try:
            with Image.open(path) as file:
                image = picture(ImageOps.exif_transpose(file), max_size, "the picture", entry)
            if image is None:
                raise AssetError(entry.repairs[-1])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            entry.error = f"it cannot be read ({error})"
            if strict:
                raise AssetError(f"load_textures(): {path}: {entry.error}") from error
            continue
        images.append(image)
    if not images:
        raise AssetError(f"load_textures(): no file could be used.\n{report}")
    return Textures.from_images(images, wrap)


load_photos = load_textures
