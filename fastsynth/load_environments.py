"""Panorama files to `Environments`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from fastsynth.environments import Environments
from fastsynth.load import Paths, find_files
from fastsynth.report import AssetError, FileReport, LoadReport
from fastsynth.safe_files import picture

_MAX_BYTES = 1 << 30  # of a file


def load_environments(
    paths: Paths, *, height: int = 256, side: int | None = None, strict: bool = False
) -> Environments:
    """Loads equirectangular panoramas, twice as wide as high.

    Read are Radiance pictures (.hdr), whose values are linear radiance, and ordinary pictures (.png, .jpg, ...), whose
    sRGB values are decoded: their white is a radiance of 1.

    Args:
        paths: Files, folders or patterns ("skies/*.hdr").
        height: They are brought to this height [pixels], as all have one size; smaller ones are enlarged.
        side: As of `Environments.from_panoramas`.
        strict: Raise at the first file that cannot be read, instead of leaving it out.

    Raises:
        FileNotFoundError: a path that matches nothing.
        AssetError: no file could be read, or with ``strict`` one could not.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.TemporaryDirectory()
        >>> Image.new("RGB", (64, 32), (188, 188, 188)).save(folder.name + "/grey.png")
        >>> grey = load_environments(folder.name, height=16)
        >>> len(grey), round(float(grey.texels[0, 0, 0]), 2)
        (1, 0.5)
    """
    report, found = LoadReport(), []
    endings = (".hdr", ".pic", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
    for path in find_files(paths, endings, "load_environments"):
        entry = FileReport(str(path))
        report.files.append(entry)
        try:
            found.append(_scaled(_read(path, entry), height))
        except (OSError, ValueError, SyntaxError, IndexError) as error:
            entry.error = f"it cannot be read ({error})"
            if strict:
                raise AssetError(f"load_environments(): {path}: {entry.error}") from error
    if not found:
        raise AssetError(f"load_environments(): no file could be used.\n{report}")
    return Environments.from_panoramas(torch.stack(found), side)


def _read(path: Path, entry: FileReport) -> torch.Tensor:
    """Linear float32 [h, w, 3]."""
    if path.suffix.lower() in (".hdr", ".pic"):
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        return torch.from_numpy(read_radiance(path.read_bytes()))
    from PIL import Image

    with Image.open(path) as file:
        image = picture(file, 8192, "the picture", entry)
    if image is None:
        raise ValueError(entry.repairs[-1])
    coded = torch.as_tensor(np.asarray(image)[..., :3].copy()).float() / 255
    return torch.where(coded > 0.04045, ((coded + 0.055) / 1.055) ** 2.4, coded / 12.92)


def _scaled(light: torch.Tensor, height: int) -> torch.Tensor:
    """To [height, 2 height, 3], averaged where it shrinks."""
    planes = light.movedim(-1, 0)[None]
    if tuple(planes.shape[2:]) == (height, 2 * height):
        return light
    if abs(light.shape[1] - 2 * light.shape[0]) > 2:
        raise ValueError(f"a panorama is twice as wide as high, but this is {light.shape[1]} x {light.shape[0]} pixels")
    return F.interpolate(planes, (height, 2 * height), mode="area" if light.shape[0] > height else "bilinear")[
        0
    ].movedim(0, -1)


def read_radiance(data: bytes) -> np.ndarray:
    """A Radiance picture (RGBE, run-length coded or not), float32 [h, w, 3].

    The format: Ward, "Real Pixels", in Graphics Gems II, 1991, and the file format pages of Radiance. Rows run from the
    top and pixels from the left ("-Y h +X w"); exposures in the header are undone.

    Raises:
        ValueError: not such a picture, or one that ends early.
    """
    head, found, rest = data.partition(b"\n\n")
    if not found or not head.startswith((b"#?RADIANCE", b"#?RGBE")):
        raise ValueError("it has no header of a Radiance picture")
    exposure = 1.0
    for line in head.split(b"\n"):
        if line.startswith(b"FORMAT=") and line.strip() != b"FORMAT=32-bit_rle_rgbe":
            raise ValueError(f"its format is {line.decode(errors='replace')}")
        if line.startswith(b"EXPOSURE="):
            exposure *= float(line[9:])
    size, _, body = rest.partition(b"\n")
    words = size.split()
    if len(words) != 4 or words[0] != b"-Y" or words[2] != b"+X":
        raise ValueError(f"its rows run another way ({size[:40].decode(errors='replace')})")
    height, width = int(words[1]), int(words[3])
    if not (0 < height <= 16384 and 0 < width <= 32768):
        raise ValueError(f"its size is {width} x {height}")
    values = np.frombuffer(body, np.uint8)
    pixels = np.empty((height, width, 4), np.uint8)
    at = 0
    for row in range(height):
        start = values[at : at + 4]
        if len(start) < 4:
            raise ValueError("it ends early")
        if 8 <= width < 32768 and start[0] == 2 and start[1] == 2 and (int(start[2]) << 8 | int(start[3])) == width:
            at = _unpack(values, at + 4, pixels[row])
        else:
            flat = values[at : at + 4 * width]
            if len(flat) < 4 * width:
                raise ValueError("it ends early")
            pixels[row] = flat.reshape(width, 4)
            at += 4 * width
    scale = np.where(pixels[..., 3:] > 0, np.exp2(pixels[..., 3:].astype(np.float32) - 136), 0)
    return ((pixels[..., :3].astype(np.float32) + 0.5) * scale / max(exposure, 1e-30)).astype(np.float32)


def _unpack(values: np.ndarray, at: int, row: np.ndarray) -> int:
    """Run-length coded planes of a row; where the next begins."""
    for channel in range(4):
        x = 0
        while x < len(row):
            count = int(values[at])
            run = count > 128
            count = count - 128 if run else count
            if count == 0 or x + count > len(row) or at + 1 + (1 if run else count) > len(values):
                raise ValueError("a run goes beyond its row")
            row[x : x + count, channel] = values[at + 1] if run else values[at + 1 : at + 1 + count]
            at += 2 if run else 1 + count
            x += count
    return at
