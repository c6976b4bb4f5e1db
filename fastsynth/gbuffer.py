"""The G-buffer as the channels of one tensor, which is how a network takes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth.types import GBUFFER, Frames

_AXES = {
    "rgb": "rgb",
    "base_color": "rgb",
    "irradiance": "rgb",
    "specular": "rgb",
    "normals": "xyz",
    "object_coordinates": "xyz",
    "uv": "uv",
    "metallic_roughness": ("metallic", "roughness"),
    "depth": (),
    "distance": (),
}


def stack_gbuffer(frames: Frames, names: Sequence[str] = GBUFFER) -> tuple[Tensor, tuple[str, ...]]:
    """Outputs of a picture behind one another, as channels with names.

    Values stay as they were drawn - linear colours, metres, unit normals - but for ids: the class becomes a channel for
    each class, 1 where it is seen; the instance becomes (slot + 1) / N, and the material (row + 1) / R, so that the
    background is 0 in every channel. All are those of the pixel centre. What the networks of Richter, AlHaija and
    Koltun, "Enhancing Photorealism Enhancement", 2021, read beside the picture.

    Args:
        frames: Drawn with all of `names`.
        names: Outputs of :func:`fastsynth.render`, in the order in which they are to stand; "rgb" may be one.

    Returns:
        float32 [B, C, H, W], and the C names, such as "normals.x", "depth" or "semantic_id.box".

    Raises:
        AttributeError: an output was not drawn.
        ValueError: an output that is no map of the picture.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3))
        >>> frames = fs.render(scene.sample(2), (32, 48), outputs=fs.types.GBUFFER)
        >>> channels, names = fs.stack_gbuffer(frames)
        >>> tuple(channels.shape) == (2, len(names), 32, 48), names[:4]
        (True, ('base_color.r', 'base_color.g', 'base_color.b', 'metallic_roughness.metallic'))
    """
    assets = frames.batch.assets
    counts = {"instance_id": frames.batch.instances, "material_id": assets.materials.shape[0]}
    maps: list[Tensor] = []
    titles: list[str] = []
    for name in names:
        if name == "semantic_id":
            classes = torch.arange(len(assets.class_names), device=frames.batch.device)
            maps.append((frames.semantic_id[:, None] == classes[:, None, None]).float())
            titles += [f"{name}.{title}" for title in assets.class_names]
        elif name in counts:
            maps.append((getattr(frames, name)[:, None] + 1).float() / max(counts[name], 1))
            titles.append(name)
        elif name in _AXES:
            value = getattr(frames, name)
            value = value.float() / 255 if value.dtype == torch.uint8 else value
            maps.append(value if _AXES[name] else value[:, None])
            titles += [f"{name}.{axis}" for axis in _AXES[name]] or [name]
        else:
            raise ValueError(
                f"stack_gbuffer(): {name!r} is no map of the picture. Available: "
                f"{', '.join((*_AXES, *counts, 'semantic_id'))}."
            )
    return torch.cat(maps, 1), tuple(titles)
