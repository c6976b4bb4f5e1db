"""The waist: what is drawn (`SceneBatch`) and what was drawn (`Frames`).

Every field, with its shape, unit and space, stands in ``docs/design/0002-data-model.md``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.assets import Assets, Textures
from fastsynth.environments import Environments
from fastsynth.lens import ANGLES, MODELS, Lenses

MAX_LIGHTS = 16
#: Layers of instances, numbered from the back; numbers beyond are held to them.
LAYERS = 4
#: Half the widest field that a picture can show [rad]; five faces of a cube hold no more.
MAX_LENS_ANGLE = math.radians(125)
SHADINGS = ("lambert", "blinn_phong", "ggx")
TONES = ("srgb", "filmic", "linear")
FILTERS = ("trilinear", "bilinear")
#: Value of the constant real spherical harmonic, 1 / (2 sqrt(pi)).
SH_CONSTANT = 0.28209479177387814

_F, _I = torch.float32, torch.int32
# field: (shape, dtype, default value of each element; None = must be given)
_FIELDS: dict[str, tuple[str, torch.dtype, float | None]] = {
    "mesh_id": ("B N", _I, None),
    "world_from_object": ("B N 4 4", _F, None),
    "intrinsics": ("B 3 3", _F, None),
    "camera_from_world": ("B 4 4", _F, None),
    "light_kind": ("B L", _I, 0),
    "light_position": ("B L 3", _F, 0.0),
    "light_direction": ("B L 3", _F, 0.0),
    "light_color": ("B L 3", _F, 1.0),
    "light_cone": ("B L 2", _F, -1.0),
    "ambient": ("B 9 3", _F, 0.0),
    "base_color": ("B N 4", _F, 1.0),
    "metallic": ("B N", _F, -1.0),
    "roughness": ("B N", _F, -1.0),
    "texture_id": ("B N", _I, -1),
    "background_color": ("B 2 3", _F, 0.0),
    "photo_id": ("B", _I, -1),
    "photo_crop": ("B 4", _F, 0.0),
    "exposure": ("B", _F, 0.0),
    "white_balance": ("B 3", _F, 1.0),
    "noise_key": ("B", torch.int64, 0),
}
# Left out, these stay None, so that nobody pays for what no image of the batch has.
_OPTIONAL: dict[str, tuple[str, torch.dtype]] = {
    "light_shadow": ("B L", _F),
    "light_gloss": ("B L", _F),
    "shadow_ball": ("B L 4", _F),
    "environment_id": ("B", _I),
    "environment_scale": ("B", _F),
    "environment_azimuth": ("B", _F),
    "blur": ("B", _F),
    "noise": ("B 2", _F),
    "layer": ("B N", _I),
    "distortion": ("B 8", _F),
    "color_matrix": ("B N 3 4", _F),
}


STAGES = ("light", "picture")


@dataclass(frozen=True)
class Step:
    """What is done to the pictures of a batch after they were drawn.

    Attributes:
        change: A pure function ``(image, canvas, **values) -> image`` of float [B, 3, H, W], each image for itself: on
            a CPU it is given some of them at a time.
        values: Its parameters, [B, ...].
        stage: "light" for linear radiance before the sensor, "picture" for display values in [0, 1] behind it.
        needs: Outputs of `render` that it reads from the canvas.
    """

    change: Callable[..., Tensor]
    values: Mapping[str, Tensor]
    stage: str = "picture"
    needs: tuple[str, ...] = ()

    def __post_init__(self):
        if self.stage not in STAGES:
            raise ValueError(f"Step: `stage` must be one of {STAGES}, but is {self.stage!r}.")

    def map(self, function: Callable[[Tensor], Tensor]) -> Step:
        """The same step with its values mapped."""
        return dataclasses.replace(self, values={name: function(value) for name, value in self.values.items()})


@dataclass(frozen=True)
class SceneBatch:
    """B images of up to N instances, L lights and one camera each, as plain tensors.

    Nothing in it is random and nothing in it needs a scene: fill it from a simulator's
    poses just as well. Tensors left out take the default of the data model. Beside what is drawn it carries
    ``effects``, which change the pictures afterwards, and ``params``, what was drawn at random by its path in the
    scene.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device.

    Example:
        >>> import fastsynth as fs, torch
        >>> batch = fs.SceneBatch(
        ...     assets=fs.procedural.primitives(),
        ...     mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        ...     world_from_object=torch.eye(4).expand(1, 1, 4, 4),
        ...     **fs.Pinhole.look_at(eye=(0, -1, 0.5), target=(0, 0, 0), fov=fs.deg(40)).fields(),
        ... )
        >>> batch.images, batch.instances
        (1, 1)
    """

    assets: Assets
    mesh_id: Tensor
    world_from_object: Tensor
    intrinsics: Tensor
    camera_from_world: Tensor
    light_kind: Tensor = None  # type: ignore[assignment]
    light_position: Tensor = None  # type: ignore[assignment]
    light_direction: Tensor = None  # type: ignore[assignment]
    light_color: Tensor = None  # type: ignore[assignment]
    light_cone: Tensor = None  # type: ignore[assignment]
    ambient: Tensor = None  # type: ignore[assignment]
    base_color: Tensor = None  # type: ignore[assignment]
    metallic: Tensor = None  # type: ignore[assignment]
    roughness: Tensor = None  # type: ignore[assignment]
    texture_id: Tensor = None  # type: ignore[assignment]
    background_color: Tensor = None  # type: ignore[assignment]
    photo_id: Tensor = None  # type: ignore[assignment]
    photo_crop: Tensor = None  # type: ignore[assignment]
    exposure: Tensor = None  # type: ignore[assignment]
    white_balance: Tensor = None  # type: ignore[assignment]
    noise_key: Tensor = None  # type: ignore[assignment]
    light_shadow: Tensor | None = None
    light_gloss: Tensor | None = None
    shadow_ball: Tensor | None = None
    environment_id: Tensor | None = None
    environment_scale: Tensor | None = None
    environment_azimuth: Tensor | None = None
    blur: Tensor | None = None
    noise: Tensor | None = None
    layer: Tensor | None = None
    distortion: Tensor | None = None
    color_matrix: Tensor | None = None
    photos: Textures | None = None
    environments: Environments | None = None
    environment_visible: bool = True
    shadow_size: int = 1024
    shadow_columns: tuple[int, ...] | None = None
    effects: tuple[Step, ...] = ()
    params: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    blur_limit: float = 0.01
    near: float = 0.01
    shading: str = "lambert"
    tone: str = "srgb"
    filter: str = "trilinear"
    lod: float = 0.0
    lens: str | None = None
    lens_angle: float | None = None
    lens_detail: float = 3.0

    def __post_init__(self):
        sizes = {"B": len(self.mesh_id), "N": self.mesh_id.shape[-1] if self.mesh_id.ndim == 2 else 0, "L": 0}
        for light in (name for name in (*_FIELDS, *_OPTIONAL) if name.startswith("light_")):
            if getattr(self, light) is not None:
                sizes["L"] = getattr(self, light).shape[1]
                break
        for name, (shape, dtype, default) in _FIELDS.items():
            value = getattr(self, name)
            if value is None:
                size = [sizes.get(axis) or (0 if axis in sizes else int(axis)) for axis in shape.split()]
                value = torch.full(size, default or 0, dtype=dtype, device=self.mesh_id.device)
                if name == "ambient":
                    value[:, 0] = 0.3 / SH_CONSTANT
                elif name == "photo_crop":
                    value[:, 2:] = 1.0
                elif name == "light_direction":
                    value[..., 2] = 1.0
            object.__setattr__(self, name, value.contiguous() if isinstance(value, Tensor) else value)
        if self.environments is not None:
            for name, default in (("environment_id", -1), ("environment_scale", 1.0), ("environment_azimuth", 0.0)):
                if getattr(self, name) is None:
                    dtype, device = _OPTIONAL[name][1], self.mesh_id.device
                    value = torch.full((self.images,), default, dtype=dtype, device=device)
                    object.__setattr__(self, name, value)
        specs = {name: (getattr(self, name), shape, dtype) for name, (shape, dtype, _) in _FIELDS.items()}
        for name, (shape, dtype) in _OPTIONAL.items():
            value = getattr(self, name)
            if value is not None:
                value = value.contiguous() if isinstance(value, Tensor) else value
                object.__setattr__(self, name, value)
                specs[name] = (value, shape, dtype)
        expect("SceneBatch", **specs)
        if self.light_kind.shape[1] > MAX_LIGHTS:
            raise ValueError(f"SceneBatch: at most {MAX_LIGHTS} lights an image, but `light_kind` has {sizes['L']}.")
        for name, allowed in (("shading", SHADINGS), ("tone", TONES), ("filter", FILTERS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"SceneBatch: `{name}` must be one of {allowed}, but is {getattr(self, name)!r}.")
        if not 1 <= self.shadow_size <= 8192:
            raise ValueError(f"SceneBatch: `shadow_size` must lie in [1, 8192] texels, but is {self.shadow_size}.")
        if self.shadow_columns is not None and not set(self.shadow_columns) <= set(range(self.light_kind.shape[1])):
            raise ValueError(
                f"SceneBatch: `shadow_columns` must name some of the {self.light_kind.shape[1]} lights, but is "
                f"{self.shadow_columns}."
            )
        if not self.near > 0:
            raise ValueError(f"SceneBatch: `near` must be above 0 [m], but is {self.near}.")
        if not 0 <= self.blur_limit <= 0.1:
            raise ValueError(f"SceneBatch: `blur_limit` must lie in [0, 0.1] image heights, but is {self.blur_limit}.")
        if self.lens is not None and self.lens not in MODELS:
            raise ValueError(f"SceneBatch: `lens` must be None or one of {MODELS}, but is {self.lens!r}.")
        if self.lens_angle is not None and not 0 < self.lens_angle <= MAX_LENS_ANGLE:
            raise ValueError(
                f"SceneBatch: `lens_angle`, half the angle of the image circle, must be above 0 and at most "
                f"{MAX_LENS_ANGLE} [rad], but is {self.lens_angle}."
            )
        if not 0.5 <= self.lens_detail <= 8:
            raise ValueError(f"SceneBatch: `lens_detail` must lie in [0.5, 8], but is {self.lens_detail}.")
        if self.lod < 0:
            raise ValueError(f"SceneBatch: `lod` must be 0 (off) or a number of pixels, but is {self.lod}.")

    @property
    def images(self) -> int:
        """B, the number of images."""
        return self.mesh_id.shape[0]

    @property
    def instances(self) -> int:
        """N, the number of instance slots of an image."""
        return self.mesh_id.shape[1]

    @property
    def shadow_lights(self) -> tuple[int, ...]:
        """The lights that may cast shadows, in ascending order: none without ``light_shadow``."""
        if self.light_shadow is None:
            return ()
        every = range(self.light_kind.shape[1])
        return tuple(every if self.shadow_columns is None else sorted(set(self.shadow_columns)))

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.mesh_id.device

    def lenses(self) -> Lenses | None:
        """The lenses of the cameras, or None where they are pinholes."""
        if self.lens is None:
            return None
        zero = self.intrinsics.new_zeros(self.images, 8)
        angle = ANGLES[self.lens] if self.lens_angle is None else self.lens_angle
        return Lenses(self.lens, zero if self.distortion is None else self.distortion, angle)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the batch by name, without those that were left out."""
        return {name: getattr(self, name) for name in (*_FIELDS, *_OPTIONAL) if getattr(self, name) is not None}

    def replace(self, **changes: Any) -> SceneBatch:
        """The same batch with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to(self, device: torch.device | str) -> SceneBatch:
        """The same batch, its assets and photographs included, on another device."""
        records = {
            name: getattr(self, name).to(device)
            for name in ("photos", "environments")
            if getattr(self, name) is not None
        }
        return dataclasses.replace(
            self, assets=self.assets.to(device), **records, **self._mapped(lambda value: value.to(device))
        )

    def __getitem__(self, rows: slice | Tensor) -> SceneBatch:
        """Some of the images: ``batch[3:5]``, or a tensor of rows."""
        if isinstance(rows, int):
            raise TypeError(f"SceneBatch[{rows}]: take a slice, batch[{rows}:{rows + 1}], so that B stays.")
        return dataclasses.replace(self, **self._mapped(lambda value: value[rows]))

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """Every tensor of an image mapped, by the field that holds it."""
        return {
            **{name: function(value) for name, value in self.tensors().items()},
            "effects": tuple(step.map(function) for step in self.effects),
            "params": {name: function(value) for name, value in self.params.items()},
        }


#: Every output that `render` can be asked for.
OUTPUTS = (
    "rgb",
    "instance_id",
    "triangle_id",
    "semantic_id",
    "depth",
    "distance",
    "normals",
    "object_coordinates",
    "uv",
    "boxes_2d_tight",
    "boxes_2d_loose",
    "visible_pixels",
    "total_pixels",
    "amodal_masks",
    "base_color",
    "metallic_roughness",
    "irradiance",
    "specular",
    "material_id",
)
#: What is known of the surfaces at the pixels and of the light that comes to them: ``render(..., outputs=GBUFFER)``.
GBUFFER = (
    "base_color",
    "metallic_roughness",
    "irradiance",
    "specular",
    "normals",
    "depth",
    "distance",
    "object_coordinates",
    "uv",
    "instance_id",
    "material_id",
    "semantic_id",
)


@dataclass(frozen=True)
class Frames:
    """What was drawn: images and labels of a batch, for the outputs that were asked for.

    Reading an output that was not asked for raises an AttributeError that says so.
    """

    batch: SceneBatch
    size: tuple[int, int]  # H, W
    outputs: dict[str, Tensor] = field(repr=False)
    flags: Tensor | None = field(default=None, repr=False)  # what the device noted; see check()

    def __getattr__(self, name: str) -> Tensor:
        if name != "outputs" and name in self.outputs:  # a copy that is being made has no outputs yet
            return self.outputs[name]
        if name in OUTPUTS:
            raise AttributeError(
                f"Frames: `{name}` was not drawn. Ask for it: "
                f"render(..., outputs=({', '.join(map(repr, [*self.outputs, name]))}))."
            )
        raise AttributeError(f"Frames has no attribute {name!r}.")

    def check(self) -> int:
        """Reads what the device noted while it drew. It waits for the device, which drawing does not.

        Returns:
            How many triangles were drawn the slow way, by one thread, because the memory that the threads of a tile
            share was full. They are right nonetheless. Always 0 on the CPU, which has no such limit.

        Raises:
            RuntimeError: an instance names a mesh that the assets do not have, and was left out.
        """
        missing, alone = (0, 0) if self.flags is None else self.flags.tolist()
        if missing:
            image, slot = divmod(missing - 1, self.batch.instances)
            raise RuntimeError(
                f"Frames: `mesh_id` names a mesh that the assets do not have, in image {image}, slot {slot}, which was "
                "left out. Use rows of `assets.meshes`, or -1 for an empty slot."
            )
        return alone

    def targets(self, **options: Any) -> list[dict[str, Any]]:
        """Detection targets; see :func:`fastsynth.annotate.targets`."""
        from fastsynth import annotate  # the layer above: only a convenience at call time

        return annotate.targets(self, **options)
