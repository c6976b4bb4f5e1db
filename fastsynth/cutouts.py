"""Photographs of objects with masks, as flat meshes: what cut-and-paste pastes.

A cut-out has the outline of its mask and the photograph for its texture, and stands upright in the plane y = 0,
seen from -y, its middle in the origin. Lit by ``fs.Ambient(1.0)`` alone it shows the photograph's own colours. All else
is as of any mesh: it turns, scales, covers others and leaves the picture, and has every label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastsynth.assets import Assets, Material, Mesh
from fastsynth.load import Classes, Paths, class_of, find_files
from fastsynth.outline import outlines, triangulated
from fastsynth.pack import pack
from fastsynth.report import AssetError, FileReport, LoadReport
from fastsynth.safe_files import picture
from fastsynth.textures import as_rgba

ENDINGS = (".png", ".webp", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


def cutout(image: Any, mask: Any = None, *, name: str = "cutout", pixel: float = 0.001, tolerance: float = 0.5) -> Mesh:
    """A photograph's object as a flat mesh.

    Args:
        image: uint8 [h, w, 3 or 4], sRGB.
        mask: The object's pixels, bool [h, w]; None = those of an alpha of at least 128. Holes stay open.
        name: Of the mesh.
        pixel: Side of a pixel [m].
        tolerance: How far the outline may leave the middle between the mask's and other pixels [pixels]; with 0 the
            mesh covers the mask to the pixel where it is drawn in its own size.

    Raises:
        ValueError: a mask of another size, or without a pixel.

    Example:
        >>> photo, mask = np.full((8, 6, 3), 200, np.uint8), np.zeros((8, 6), bool)
        >>> mask[2:6, 1:5] = True
        >>> mesh = cutout(photo, mask, pixel=0.01)
        >>> [round(float(side), 3) for side in np.ptp(mesh.vertices, 0)]
        [0.04, 0.0, 0.04]
    """
    from scipy import ndimage

    pixels = as_rgba(image, "cutout(): `image`")
    inside = pixels[..., 3] >= 128 if mask is None else np.asarray(mask).astype(bool)
    if inside.shape != pixels.shape[:2]:
        raise ValueError(
            f"cutout(): `mask` must have the size of `image`, {list(pixels.shape[:2])}, but has {list(inside.shape)}."
        )
    if not inside.any():
        raise ValueError("cutout(): `mask` holds no pixel.")
    ys, xs = np.nonzero(inside)
    # A margin, so that a lookup at the outline finds the object's colours beyond it, and not those behind the object.
    box = slice(max(ys.min() - 2, 0), ys.max() + 3), slice(max(xs.min() - 2, 0), xs.max() + 3)
    nearest = ndimage.distance_transform_edt(~inside[box], return_distances=False, return_indices=True)
    texture = pixels[box][tuple(nearest)].copy()  # type: ignore[arg-type]
    texture[..., 3] = 255
    points, faces = triangulated(outlines(inside[box], tolerance))
    height, width = texture.shape[:2]
    uvs = points / [width, height]
    middle = (np.array([xs.min() + xs.max() + 1, ys.min() + ys.max() + 1]) / 2) - [box[1].start, box[0].start]
    flat = (points - middle) * pixel
    vertices = np.stack([flat[:, 0], np.zeros(len(flat)), -flat[:, 1]], 1)
    corners = vertices[faces]
    ahead = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1]
    faces = np.where((ahead > 0)[:, None], faces[:, ::-1], faces)[np.abs(ahead) > 1e-12 * pixel**2]
    normals = np.tile([0.0, -1.0, 0.0], (len(vertices), 1))
    material = Material(roughness=1.0, double_sided=True, base_texture=texture, wrap="clamp")
    return Mesh(vertices, faces, normals, uvs, materials=(material,), name=name)


def load_cutouts(
    paths: Paths,
    masks: Callable[[Path], str | Path] | Sequence[str | Path] | None = None,
    *,
    classes: Classes = "file",
    pixel: float = 0.001,
    tolerance: float = 0.5,
    max_size: int = 1024,
    strict: bool = False,
    device: torch.device | str = "cpu",
) -> Assets:
    """Loads photographs of objects with their masks, each as a flat mesh; see :func:`cutout`.

    Args:
        paths: Image files, folders or patterns ("objects/*.png").
        masks: None = the pictures' own alpha; or the file of each picture's mask, as a list in the order of the files
            or as a function of the picture's path. A mask is a grey picture, white on the object.
        classes: Class of each, as of :func:`fastsynth.load_assets`.
        pixel: Side of a pixel [m].
        tolerance: Of the outline [pixels].
        max_size: Largest side of a photograph [pixels]; larger ones are scaled down, and their pixels are larger.
        strict: Raise at the first file that cannot be used, instead of leaving it out.
        device: Where the result lies.

    Returns:
        :class:`~fastsynth.assets.Assets` with its ``report``.

    Raises:
        FileNotFoundError: a path that matches nothing.
        AssetError: no file could be used, or with ``strict`` one could not.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.TemporaryDirectory()
        >>> disc = Image.new("RGBA", (9, 9))
        >>> disc.paste((200, 30, 30, 255), (2, 2, 7, 7))
        >>> disc.save(folder.name + "/tile.png")
        >>> load_cutouts(folder.name + "/*.png").class_names
        ('tile',)
    """
    from PIL import Image, ImageOps

    if not (np.isfinite(pixel) and pixel > 0):
        raise ValueError(f"load_cutouts(): `pixel` must be above 0 metres, but is {pixel}.")
    files = find_files(paths, ENDINGS, "load_cutouts")
    if masks is not None and not callable(masks) and len(masks) != len(files):
        raise ValueError(
            f"load_cutouts(): `masks` must name one file for each of {len(files)} pictures, but has {len(masks)}."
        )
    report = LoadReport()
    meshes: list[Mesh] = []
    names: list[str] = []

    def read(path: Path, what: str, entry: FileReport) -> tuple[np.ndarray, float]:
        with Image.open(path) as file:
            turned = ImageOps.exif_transpose(file)
            side = max(turned.size)
            pixels = picture(turned, max_size, what, entry)
        if pixels is None:
            raise AssetError(entry.repairs[-1])
        return pixels, max(side / max_size, 1.0)

    for row, path in enumerate(files):
        entry = FileReport(str(path))
        report.files.append(entry)
        try:
            image, larger = read(path, "the picture", entry)
            mask = None
            if masks is not None:
                mask_file = Path(masks(path) if callable(masks) else masks[row])
                mask = read(mask_file, "the mask", entry)[0][..., 0] >= 128
            made = cutout(image, mask, name=path.stem, pixel=pixel * larger, tolerance=tolerance)
            names.append(class_of(path, classes))
            meshes.append(made)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, AssetError) as error:
            entry.error = f"it cannot be used ({error})"
            if strict:
                raise AssetError(f"load_cutouts(): {path}: {entry.error}") from error
    if not meshes:
        raise AssetError(f"load_cutouts(): no file could be used.\n{report}")
    assets = pack(meshes, names, lod=False, device=device)
    object.__setattr__(assets, "report", report)
    return assets
