"""Meshes as they come (`Mesh`, `Material`) and as they are drawn (`Assets`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth._expect import dense, expect, one_device
from fastsynth.textures import Textures

__all__ = ["Assets", "Material", "Mesh", "Textures"]


@dataclass(frozen=True)
class Material:
    """A surface's look, after glTF's metallic-roughness model."""

    base_color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  #: linear, alpha last
    metallic: float = 0.0
    roughness: float = 0.6
    alpha_cutoff: float = 0.0  #: 0 = opaque
    double_sided: bool = False
    base_texture: Any = None  #: picture, uint8 [h, w, 3 or 4], sRGB
    gloss_texture: Any = None  #: picture, uint8 [h, w, 3], green roughness, blue metallic, linear
    wrap: str = "repeat"


@dataclass(frozen=True)
class Mesh:
    """Triangles in numpy, as a loader or a generator makes them."""

    vertices: np.ndarray  #: float [v, 3] object space [m]
    faces: np.ndarray  #: int [f, 3], counter-clockwise seen from outside
    normals: np.ndarray | None = None  #: float [v, 3]
    uvs: np.ndarray | None = None  #: float [v, 2], origin top-left
    colors: np.ndarray | None = None  #: uint8 [v, 4] sRGB
    face_material: np.ndarray | None = None  #: int [f] rows of `materials`; None = all 0
    materials: tuple[Material, ...] = (Material(),)
    name: str = "mesh"


# field: (shape, dtype)
_FIELDS: dict[str, tuple[str, torch.dtype]] = {
    "vertex_data": ("V 8", torch.float32),
    "vertex_colors": ("VC 4", torch.uint8),
    "faces": ("F 4", torch.int32),
    "meshlets": ("M 4", torch.int32),
    "meshlet_bounds": ("M 8", torch.float32),
    "levels": ("Q 4", torch.int32),
    "level_error": ("Q", torch.float32),
    "meshes": ("K 4", torch.int32),
    "mesh_bounds": ("K 6", torch.float32),
    "mesh_class": ("K", torch.int32),
    "hull": ("U 3", torch.float32),
    "materials": ("R 8", torch.float32),
    "material_textures": ("R 2", torch.int32),
}


@dataclass(frozen=True)
class Assets:
    """Meshes packed for drawing: ragged arrays with offsets, on one device.

    Made by :func:`fastsynth.load_assets`, :func:`fastsynth.pack` or ``fastsynth.procedural``; fields
    as in ``docs/design/0002-data-model.md``. Immutable.
    """

    vertex_data: Tensor
    vertex_colors: Tensor
    faces: Tensor
    meshlets: Tensor
    meshlet_bounds: Tensor
    levels: Tensor
    level_error: Tensor
    meshes: Tensor
    mesh_bounds: Tensor
    mesh_class: Tensor
    hull: Tensor
    materials: Tensor
    material_textures: Tensor
    textures: Textures
    class_names: tuple[str, ...]
    mesh_names: tuple[str, ...]
    face_bits: int  #: bits that number the faces of any one level
    report: Any = field(default=None, compare=False)  #: `LoadReport` of what was loaded
    kept: Mapping[Any, Any] = field(default_factory=dict, compare=False, repr=False)  #: see `keeping`

    def __post_init__(self):
        sizes = expect("Assets", **{name: (getattr(self, name), *spec) for name, spec in _FIELDS.items()})
        one_device("Assets", {"meshes": self.meshes, "textures": self.textures.info})
        dense(self, _FIELDS)
        if sizes["VC"] not in (0, sizes["V"]):
            raise ValueError(
                f"Assets: `vertex_colors` must have no row or one for each of the {sizes['V']} vertices, "
                f"but has {sizes['VC']}."
            )
        if 8 * sizes["V"] >= 2**31 or 4 * sizes["F"] >= 2**31:
            raise ValueError(
                f"Assets: {sizes['V']} vertices and {sizes['F']} faces are too many for 32-bit rows. "
                "Load fewer meshes at once."
            )

    def __len__(self) -> int:
        return self.meshes.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.meshes.device

    @property
    def vertices(self) -> Tensor:
        """Positions of all vertices [m], float32 [V, 3], a view."""
        return self.vertex_data[:, 0:3]

    @property
    def normals(self) -> Tensor:
        """Unit normals of all vertices, float32 [V, 3], a view."""
        return self.vertex_data[:, 3:6]

    @property
    def uvs(self) -> Tensor:
        """Texture coordinates of all vertices, float32 [V, 2], a view."""
        return self.vertex_data[:, 6:8]

    def to(self, device: torch.device | str) -> Assets:
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in _FIELDS}
        kept = {key: value.to(device) if hasattr(value, "to") else value for key, value in self.kept.items()}
        return dataclasses.replace(self, textures=self.textures.to(device), kept=kept, **moved)

    def share_memory_(self) -> Assets:
        """Puts the tensors into shared memory, so that spawned workers do not copy them."""
        for name in _FIELDS:
            getattr(self, name).share_memory_()
        self.textures.share_memory_()
        return self

    def with_textures(self, textures: Textures) -> Assets:
        """The same meshes with more textures behind their own, to be named by ``SceneBatch.texture_id``."""
        return dataclasses.replace(self, textures=self.textures.then(textures))

    def keeping(self, owner: Any, value: Any) -> Assets:
        """The same, with what a randomizer wants to know of them again when it runs, such as where its textures begin.

        A randomizer may be in several scenes, each with assets of its own; what it learned of one scene's must not be
        used in another. Assets that are made of these with more behind them keep it.

        Args:
            owner: The randomizer, or what else asks for it again.
            value: What has a method ``to(device)`` is moved with the assets.

        Example:
            >>> import fastsynth as fs
            >>> fs.procedural.primitives().keeping("mine", 3).kept_for("mine")
            3
        """
        return dataclasses.replace(self, kept={**self.kept, owner: value})

    def kept_for(self, owner: Any) -> Any:
        """What `keeping` was given.

        Raises:
            RuntimeError: nothing was.
        """
        if owner not in self.kept:
            raise RuntimeError(
                f"{type(owner).__name__}: the batch's assets have not been prepared for it. Give it to the Scene that "
                "makes the batch, or make the batch of the assets that its extend(assets) returns."
            )
        return self.kept[owner]

    def unlabelled(self) -> Assets:
        """The same meshes without classes: what shows them is drawn, and labelled as background.

        Detection targets leave them out, and ``semantic_id`` is -1 where they are seen. For backgrounds, distractors
        and occluders made of meshes.

        Example:
            >>> import fastsynth as fs
            >>> one = fs.Assets.concatenate([fs.procedural.products(1), fs.procedural.primitives().unlabelled()])
            >>> one.class_names, int((one.mesh_class < 0).sum())
            (('box', 'can', 'bottle', 'carton', 'jar'), 6)
        """
        return dataclasses.replace(self, mesh_class=torch.full_like(self.mesh_class, -1), class_names=())

    @staticmethod
    def concatenate(parts: Sequence[Assets]) -> Assets:
        """Several assets as one; classes of the same name become one. What the first keep for randomizers stays.

        Raises:
            ValueError: nothing to put together.

        Example:
            >>> import fastsynth as fs
            >>> one = fs.procedural.primitives()
            >>> len(fs.Assets.concatenate([one, one])) == 2 * len(one)
            True
        """
        if not parts:
            raise ValueError("Assets.concatenate(): give at least one.")
        names = tuple(dict.fromkeys(name for part in parts for name in part.class_names))
        shifted: dict[str, list[Tensor]] = {name: [] for name in _FIELDS}
        colored = any(part.vertex_colors.shape[0] for part in parts)
        count = dict.fromkeys(("V", "F", "M", "Q", "U", "R", "T"), 0)
        textures: Textures | None = None
        device = parts[0].device
        for part in (part.to(device) for part in parts):
            vertices, faces = part.vertex_data.shape[0], part.faces.shape[0]
            white = torch.full((vertices, 4), 255, dtype=torch.uint8, device=device)
            row = lambda *steps: torch.tensor(steps, dtype=torch.int32, device=device)  # noqa: E731
            class_rows = [names.index(name) for name in part.class_names]
            added = {
                "vertex_colors": (part.vertex_colors if part.vertex_colors.shape[0] else white)
                if colored
                else white[:0],
                "faces": part.faces + row(count["V"], count["V"], count["V"], count["R"]),
                "meshlets": part.meshlets + row(count["V"], 0, count["F"], 0),
                "levels": part.levels + row(count["M"], 0, count["F"], 0),
                "meshes": part.meshes + row(count["Q"], 0, count["U"], 0),
                "mesh_class": torch.where(part.mesh_class >= 0, row(*class_rows, -1)[part.mesh_class.long()], -1),
                "material_textures": torch.where(
                    part.material_textures >= 0, part.material_textures + count["T"], part.material_textures
                ),
            }
            for name in _FIELDS:
                shifted[name].append(added[name] if name in added else getattr(part, name))
            textures = part.textures if textures is None else textures.then(part.textures)
            sizes = (vertices, faces, *(getattr(part, k).shape[0] for k in ("meshlets", "levels", "hull", "materials")))
            for key, size in zip(count, (*sizes, len(part.textures)), strict=True):
                count[key] += size
        assert textures is not None
        return Assets(
            **{name: torch.cat(values) for name, values in shifted.items()},
            textures=textures,
            class_names=names,
            mesh_names=tuple(name for part in parts for name in part.mesh_names),
            face_bits=max(part.face_bits for part in parts),
            kept=parts[0].kept,
        )
