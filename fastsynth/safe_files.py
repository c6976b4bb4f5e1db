"""Reading files that nobody vouches for: sizes are checked first, references stay inside the folder."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from fastsynth.report import AssetError, FileReport

#: Bytes that a vertex or a face needs at least in each format: what a header announces must fit into the file.
_LEAST_PLY_BYTES = 2


def check_header(path: Path, data: bytes) -> None:
    """Raises where a file announces more than it holds, or is not of the kind that its name says.

    Raises:
        AssetError: with the reason.
    """
    if not data:
        raise AssetError("the file is empty")
    kind = path.suffix.lower()
    if kind == ".glb":
        if data[:4] != b"glTF":
            raise AssetError(
                "the file does not begin with 'glTF' as a GLB does; is it another format with this ending?"
            )
        if len(data) < 20:
            raise AssetError(f"the file is cut off after {len(data)} bytes, within its header")
        length = struct.unpack("<I", data[8:12])[0]
        if length > len(data):
            raise AssetError(f"the file is cut off: its header announces {length} bytes, there are {len(data)}")
    elif kind == ".ply":
        end = data.find(b"end_header")
        if not data.startswith(b"ply") or end < 0:
            raise AssetError(
                "there is no PLY header from 'ply' to 'end_header'; is it another format with this ending?"
            )
        for name, count in re.findall(rb"element\s+(\w+)\s+(\d+)", data[:end]):
            if int(count) * _LEAST_PLY_BYTES > len(data):
                raise AssetError(
                    f"the header announces {int(count)} of '{name.decode()}', more than {len(data)} bytes can hold"
                )
    elif kind == ".stl" and not (data[:5] == b"solid" and b"facet" in data[:2048]):
        if len(data) < 84:
            raise AssetError(f"the file is cut off after {len(data)} bytes, within its header")
        count = struct.unpack("<I", data[80:84])[0]
        if 84 + 50 * count > len(data):
            raise AssetError(
                f"the header announces {count} triangles ({84 + 50 * count} bytes), but there are {len(data)} bytes"
            )
    elif kind == ".gltf":
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise AssetError(f"the file is not JSON as a glTF is ({error})") from None
        if not isinstance(tree, dict) or "asset" not in tree:
            raise AssetError("the JSON is not a glTF: it has no 'asset'")
        check_gltf(tree)
    if kind == ".glb":
        size = struct.unpack("<I", data[12:16])[0]
        try:
            check_gltf(json.loads(data[20 : 20 + size]))
        except (ValueError, RecursionError) as error:
            if isinstance(error, AssetError):
                raise
            raise AssetError(f"the JSON inside the GLB cannot be read ({error})") from None


def check_gltf(tree: Any) -> None:
    """Raises where a glTF announces more than it holds, needs what is not supported, or goes in circles."""
    if not isinstance(tree, dict):
        raise AssetError("the JSON is not a glTF")
    version = str((tree.get("asset") or {}).get("version", "2.0")) if isinstance(tree.get("asset"), dict) else "2.0"
    if not version.startswith("2") or isinstance(tree.get("nodes"), dict):
        raise AssetError("it is a glTF of version 1, which is not supported. Convert it to glTF 2.0.")
    for name in tree.get("extensionsRequired", []):
        if name not in ("KHR_texture_transform", "KHR_materials_unlit", "KHR_mesh_quantization"):
            raise AssetError(f"the file needs the glTF extension {name}, which is not supported. Export it without.")
    views, buffers = tree.get("bufferViews", []), tree.get("buffers", [])
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
    size = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
    try:
        for i, accessor in enumerate(tree.get("accessors", [])):
            view = accessor.get("bufferView")
            need = int(accessor["count"]) * width[accessor["type"]] * size[accessor["componentType"]]
            if view is None:
                if need > 1 << 28:
                    raise AssetError(f"accessor {i} announces {accessor['count']} elements without data")
                continue
            held = int(buffers[views[view]["buffer"]]["byteLength"])
            if need > held:
                raise AssetError(
                    f"accessor {i} announces {accessor['count']} elements ({need} bytes), its buffer has {held} bytes"
                )
        nodes = tree.get("nodes", [])
        seen: dict[int, int] = {}
        for i, node in enumerate(nodes):
            for child in node.get("children", []):
                if seen.setdefault(child, i) != i or child == i or not 0 <= child < len(nodes):
                    raise AssetError(f"node {child} has two parents, is its own or does not exist")
        for i in range(len(nodes)):
            at, steps = i, 0
            while at in seen:
                at, steps = seen[at], steps + 1
                if steps > len(nodes):
                    raise AssetError("the nodes go in a circle")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, AssetError):
            raise
        raise AssetError(f"the glTF's structure is broken ({type(error).__name__}: {error})") from None


class FolderResolver:
    """Serves trimesh the files that an asset refers to, from the asset's own folder and below only."""

    def __init__(self, folder: Path, report: FileReport):
        self.folder = folder.resolve()
        self.report = report
        #: Why something was refused: a parser may swallow the error that says so.
        self.refusals: list[str] = []

    def _refuse(self, why: str) -> AssetError:
        self.refusals.append(why)
        return AssetError(why)

    def get(self, name: str | bytes) -> bytes:
        """The bytes of a file that the asset names.

        Raises:
            AssetError: it lies outside the folder or on another machine.
            FileNotFoundError: it is not there.
        """
        text = unquote(name.decode() if isinstance(name, bytes) else str(name)).strip().replace("\\", "/")
        if len(urlsplit(text).scheme) > 1:
            raise self._refuse(f"it refers to {text!r}, which is not a file beside it")
        path = (self.folder / text).resolve()
        if not path.is_relative_to(self.folder):
            raise self._refuse(f"it refers to {text!r}, which lies outside its folder")
        if not path.is_file():
            self.report.repair(f"the file {text!r} that it refers to is missing")
            raise FileNotFoundError(text)
        return path.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Nothing is ever written."""
        raise AssetError(f"refused to write {name!r}")

    def keys(self) -> list[str]:
        """No listing: files are served by name."""
        return []

    def namespaced(self, namespace: str) -> FolderResolver:
        """The same for a folder below."""
        below = FolderResolver(self.folder / namespace, self.report)
        below.refusals = self.refusals
        return below

    __getitem__ = get

    def __contains__(self, name: str) -> bool:
        try:
            self.get(name)
        except (AssetError, FileNotFoundError):
            return False
        return True


def picture(image: Any, largest: int, what: str, report: FileReport) -> np.ndarray | None:
    """A texture as uint8 [h, w, 4], scaled down where it is larger than `largest`; None where it cannot be read."""
    from PIL import Image

    try:
        if max(image.size) > largest:
            width, height = image.size
            scale = largest / max(width, height)
            report.repair(f"{what} of {width} x {height} was scaled down to {largest} pixels a side")
            image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
        return np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        report.repair(f"{what} cannot be read ({error}) and was left out")
        return None
