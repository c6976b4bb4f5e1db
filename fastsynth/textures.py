"""Pictures of any mixed sizes packed into one tensor with their mip chains."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth._expect import dense, expect

WRAPS = ("repeat", "clamp", "mirror")
MAX_LEVELS = 16
_MAX_TEXELS = 2**31 - 1


def srgb_to_linear(coded: np.ndarray) -> np.ndarray:
    """SRGB code values in [0, 1] to linear light (IEC 61966-2-1).

    Example:
        >>> round(float(srgb_to_linear(np.array(0.5))), 4)
        0.214
    """
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] to sRGB code values (IEC 61966-2-1).

    Example:
        >>> round(float(linear_to_srgb(np.array(0.214))), 3)
        0.5
    """
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055)


def _halve(image: np.ndarray) -> np.ndarray:
    """Area average of pairs; at an odd size the last target pixel takes three."""
    for axis in (0, 1):
        size = image.shape[axis]
        if size > 1:
            starts = np.arange(size // 2) * 2
            counts = np.diff(np.append(starts, size))
            shape = [1, 1, 1]
            shape[axis] = -1
            image = np.add.reduceat(image, starts, axis=axis) / counts.reshape(shape).astype(np.float32)
    return image


def mip_levels(image: np.ndarray, coded: bool = True) -> list[np.ndarray]:
    """An image and its halvings, averaged in linear light, uint8 [h, w, 4] each."""
    levels = [image]
    linear = image.astype(np.float32) / 255.0
    if coded:
        table = srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)
        linear[..., :3] = table[image[..., :3]]
    while max(levels[-1].shape[:2]) > 1 and len(levels) < MAX_LEVELS:
        linear = _halve(linear)
        level = linear.copy()
        if coded:
            level[..., :3] = linear_to_srgb(level[..., :3])
        levels.append(np.clip(level * 255.0 + 0.5, 0, 255).astype(np.uint8))
    return levels


def as_rgba(image: Any, what: str) -> np.ndarray:
    """A picture (array or tensor, uint8 [h, w, 1, 3 or 4], [h, w], or a PIL image) as uint8 [h, w, 4]."""
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise ValueError(
            f"{what}: a picture must be [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], but is {list(pixels.shape)}."
        )
    if pixels.dtype != np.uint8:
        raise TypeError(
            f"{what}: a picture must be uint8 (0 to 255), but is {pixels.dtype}. Multiply [0, 1] by 255 first."
        )
    if pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)
    if pixels.shape[2] == 3:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=2)
    return np.ascontiguousarray(pixels)


@dataclass(frozen=True)
class Textures:
    """Pictures with their mip chains; fields as in ``docs/design/0002-data-model.md``."""

    texels: Tensor  #: uint8 [X, 4]
    info: Tensor  #: int32 [T, 4] width, height, levels, wrap
    offsets: Tensor  #: int32 [T, 16] first texel of each level

    def __post_init__(self):
        expect(
            "Textures",
            texels=(self.texels, "X 4", torch.uint8),
            info=(self.info, "T 4", torch.int32),
            offsets=(self.offsets, f"T {MAX_LEVELS}", torch.int32),
        )
        dense(self, ("texels", "info", "offsets"))

    @classmethod
    def from_images(
        cls, images: Sequence[Any], wrap: str | Sequence[str] = "repeat", coded: bool | Sequence[bool] = True
    ) -> Textures:
        """Packs pictures of any sizes.

        Args:
            images: uint8 [h, w], [h, w, 1], [h, w, 3] or [h, w, 4] each, row 0 on top.
            wrap: "repeat", "clamp" or "mirror", for all or one for each.
            coded: Is the colour sRGB-coded (averaged in linear light) or plain data?

        Raises:
            TypeError, ValueError: a picture of another kind, an unknown wrap mode, or more than 2^31 texels.

        Example:
            >>> Textures.from_images([np.zeros((4, 6, 3), np.uint8)]).info.tolist()
            [[6, 4, 3, 0]]
        """
        wraps = [wrap] * len(images) if isinstance(wrap, str) else list(wrap)
        codings = [coded] * len(images) if isinstance(coded, bool) else list(coded)
        texels, info, offsets, total = [np.zeros((0, 4), np.uint8)], [], [], 0
        for i, (image, mode, is_coded) in enumerate(zip(images, wraps, codings, strict=True)):
            if mode not in WRAPS:
                raise ValueError(f"Textures: `wrap` must be one of {WRAPS}, but is {mode!r}.")
            levels = mip_levels(as_rgba(image, f"Textures: image {i}"), is_coded)
            starts = []
            for level in levels:
                starts.append(total)
                total += level.shape[0] * level.shape[1]
                texels.append(level.reshape(-1, 4))
            if total > _MAX_TEXELS:
                raise ValueError(
                    f"Textures: more than 2^31 texels by image {i} of {len(images)}. Use smaller or fewer textures."
                )
            height, width = levels[0].shape[:2]
            info.append([width, height, len(levels), WRAPS.index(mode)])
            offsets.append(starts + [starts[-1]] * (MAX_LEVELS - len(starts)))
        return cls(
            torch.from_numpy(np.concatenate(texels)),
            torch.tensor(info, dtype=torch.int32).reshape(-1, 4),
            torch.tensor(offsets, dtype=torch.int32).reshape(-1, MAX_LEVELS),
        )

    def __len__(self) -> int:
        return self.info.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.info.device

    def to(self, device: torch.device | str) -> Textures:
        """The same on another device."""
        return Textures(self.texels.to(device), self.info.to(device), self.offsets.to(device))

    def then(self, other: Textures) -> Textures:
        """These, and behind them the others'.

        Raises:
            ValueError: more than 2^31 texels together.
        """
        if self.texels.shape[0] + other.texels.shape[0] > _MAX_TEXELS:
            raise ValueError("Textures: more than 2^31 texels together. Use smaller or fewer textures.")
        other = other.to(self.device)
        return Textures(
            torch.cat([self.texels, other.texels]),
            torch.cat([self.info, other.info]),
            torch.cat([self.offsets, other.offsets + self.texels.shape[0]]),
        )

    def image(self, row: int, level: int = 0) -> Tensor:
        """One level of one texture, uint8 [h, w, 4] (reads sizes back from the device)."""
        width, height = (max(1, int(side) >> level) for side in self.info[row, :2])
        first = int(self.offsets[row, level])
        return self.texels[first : first + width * height].reshape(height, width, 4)

    def share_memory_(self) -> Textures:
        """Puts the tensors into shared memory, so that spawned workers do not copy them."""
        for entry in dataclasses.fields(self):
            getattr(self, entry.name).share_memory_()
        return self
