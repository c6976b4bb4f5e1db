"""Texture lookups with mip maps and cube maps, in differentiable torch.

Texel centres lie at (i + 0.5) / size and row 0 at v = 0. A cube map is six squares in the order +x, -x, +y, -y, +z, -z
with the coordinates of OpenGL 4.6, table 8.19; filtering goes on across its edges. The level of detail is the binary
logarithm of the longer axis of the pixel's footprint [texels].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastsynth.ops.texture import mip_chain


def cube_mip_chain(texture: Tensor, levels: int | None) -> list[Tensor]:
    """:func:`fastsynth.ops.mip_chain` of cube maps [B, 6, s, s, C], or of textures [B, h, w, C]."""
    chain = mip_chain(texture.flatten(0, -4), levels)
    return [level.unflatten(0, texture.shape[:-3]) for level in chain]


def cube_face(direction: Tensor) -> tuple[Tensor, Tensor]:
    """The face of a cube map that a direction meets, and where.

    Args:
        direction: Of any length but 0, [..., 3].

    Returns:
        Face, int64 [...]; coordinates in [0, 1], [..., 2].

    Example:
        >>> face, at = cube_face(torch.tensor([[0.0, 0, -2], [1, 0.5, 0]]))
        >>> face.tolist(), at.tolist()
        ([5, 0], [[0.5, 0.5], [0.5, 0.25]])
    """
    face = _major(direction)
    scaled, length = _on_face(direction, face)
    return face, (scaled / _not_zero(length)[..., None] + 1) / 2


def _major(direction: Tensor) -> Tensor:
    axis = direction.detach().abs().argmax(-1)
    negative = direction.detach().gather(-1, axis[..., None])[..., 0] < 0
    return 2 * axis + negative.long()


def _on_face(vector: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """A vector along the two axes of a face and away from the cube's centre: [..., 2], [...]."""
    x, y, z = vector.unbind(-1)
    axis, sign = face // 2, torch.where(face % 2 == 1, -1.0, 1.0).to(vector)
    s = torch.where(axis == 0, -sign * z, torch.where(axis == 1, x, sign * x))
    t = torch.where(axis == 1, sign * z, -y)
    return torch.stack([s, t], -1), sign * torch.where(axis == 0, x, torch.where(axis == 1, y, z))


def _not_zero(length: Tensor) -> Tensor:
    return torch.where(length == 0, 1, length)


def _kept(index: Tensor, size: int | Tensor) -> Tensor:
    """Indices, the outermost ones for those outside."""
    return index.clamp(min=0).clamp(max=size - 1)


def _direction(face: Tensor, at: Tensor) -> Tensor:
    """The direction to a place of a face; [-1, 1] is within it."""
    s, t = at.unbind(-1)
    axis, sign = face // 2, torch.where(face % 2 == 1, -1.0, 1.0).to(at)
    x = torch.where(axis == 0, sign, torch.where(axis == 1, s, sign * s))
    y = torch.where(axis == 1, sign, -t)
    z = torch.where(axis == 0, -sign * s, torch.where(axis == 1, sign * t, sign))
    return torch.stack([x, y, z], -1)


def footprint_level(change: Tensor) -> Tensor:
    """Level of detail of a footprint: change of u per pixel in x and y, then of v [texels], [..., 4] -> [...]."""
    u_x, u_y, v_x, v_y = change.unbind(-1)
    # Larger eigenvalue of the Jacobian times its transpose.
    half, skew = (
        (u_x * u_x + u_y * u_y + v_x * v_x + v_y * v_y) / 2,
        (u_x * u_x + u_y * u_y - v_x * v_x - v_y * v_y) / 2,
    )
    cross = u_x * v_x + u_y * v_y
    square = half + (skew * skew + cross * cross).clamp(min=1e-38).sqrt()
    return 0.5 * square.clamp(1e-12, 1e30).log2()


def cube_change(direction: Tensor, face: Tensor, change: Tensor) -> Tensor:
    """Change per pixel of a face's coordinates from that of the direction: [..., 6] -> [..., 4]."""
    at, length = _on_face(direction, face)
    length = _not_zero(length)
    parts = []
    for step in (change[..., 0::2], change[..., 1::2]):  # per pixel in x, in y
        along, away = _on_face(step, face)
        parts.append((along - at / length[..., None] * away[..., None]) / (2 * length[..., None]))
    return torch.stack([parts[0][..., 0], parts[1][..., 0], parts[0][..., 1], parts[1][..., 1]], -1)


class Levels:
    """A texture's levels as one list of texels, for lookups at a level of each pixel's own.

    Args:
        levels: Each float32 [A, h, w, C], or [A, 6, s, s, C] with ``boundary`` "cube"; A is 1 or B.
        boundary: "wrap", "clamp", "zero" or "cube".
    """

    def __init__(self, levels: Sequence[Tensor], boundary: str):
        self.boundary = boundary
        images = max(level.shape[0] for level in levels)
        flat = [level.flatten(1, -2).expand(images, -1, -1) for level in levels]
        self.sizes = [(level.shape[-3], level.shape[-2]) for level in levels]
        self.starts = [0]
        for part in flat:
            self.starts.append(self.starts[-1] + part.shape[1])
        self.images, self.channels = images, levels[0].shape[-1]
        self.texels = (flat[0] if len(flat) == 1 else torch.cat(flat, 1)).flatten(0, 1)  # [A T, C]

    def lookup(self, uv: Tensor, face: Tensor | None, level: Tensor | None, nearest: bool) -> Tensor:
        """Values at coordinates [B, ..., 2] on the faces of cube maps, at levels int64 [B, ...]; None = the first."""
        height, width, start = self._shape(level)
        if self.boundary == "wrap":
            uv = uv - uv.detach().floor()
        elif self.boundary == "clamp":
            uv = uv.clamp(0, 1)
        else:  # so far outside nothing is different, and an index cannot overflow
            uv = uv.clamp(-2, 3)
        uv = uv.nan_to_num()
        at = torch.stack([uv[..., 0] * width, uv[..., 1] * height], -1)
        if nearest:
            x, y = at.detach().floor().long().unbind(-1)
            return self._tap(x, y, face, height, width, start)[0]
        at = at - 0.5
        low = at.detach().floor()
        (x, y), part = low.long().unbind(-1), at - low
        taps, corners = zip(
            *(self._tap(x + dx, y + dy, face, height, width, start) for dy in (0, 1) for dx in (0, 1)), strict=True
        )
        if self.boundary == "cube":
            # Three faces meet in a corner: what would be the fourth texel there is the mean of the others.
            mean = sum(taps) / 3
            taps = [torch.where(lost[..., None], mean - tap / 3, tap) for tap, lost in zip(taps, corners, strict=True)]
        top = taps[0] + part[..., :1] * (taps[1] - taps[0])
        bottom = taps[2] + part[..., :1] * (taps[3] - taps[2])
        return top + part[..., 1:] * (bottom - top)

    def _shape(self, level: Tensor | None):
        """Height, width and first texel of each pixel's level."""
        if level is None or len(self.sizes) == 1:
            return *self.sizes[0], 0
        # Written out, since a table on the host would have to be copied to the device first.
        chosen = []
        for values in ([h for h, _ in self.sizes], [w for _, w in self.sizes], self.starts):
            found = torch.full_like(level, values[0])
            for number in range(1, len(self.sizes)):
                found = torch.where(level == number, values[number], found)
            chosen.append(found)
        return tuple(chosen)

    def _tap(self, x: Tensor, y: Tensor, face: Tensor | None, height, width, start) -> tuple[Tensor, Tensor]:
        """Texels at whole coordinates [B, ...] -> [B, ..., C]; and whether they lie beyond a cube's corner."""
        outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        corner = outside
        if self.boundary == "wrap":
            x, y = x.remainder(width), y.remainder(height)
        elif face is None:
            x, y = _kept(x, width), _kept(y, height)
        else:
            corner = ((x < 0) | (x >= width)) & ((y < 0) | (y >= height))
            # A texel beyond an edge, put back onto the cube, falls upon the one that is next to it there.
            beyond = _direction(face, torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / width - 1], -1))
            other = torch.where(outside, _major(beyond), face)
            scaled, length = _on_face(beyond, other)
            moved = ((each / length + 1) / 2 * width for each in scaled.unbind(-1))
            x, y = (torch.where(outside, _kept(m.long(), width), own) for m, own in zip(moved, (x, y), strict=True))
            y = y + other * height
        index = start + y * width + x
        if self.images > 1:
            first = torch.arange(self.images, device=index.device) * self.starts[-1]
            index = index + first.view(-1, *(1,) * (index.ndim - 1))
        values = self.texels.index_select(0, index.flatten()).unflatten(0, index.shape)
        if self.boundary == "zero":
            values = torch.where(outside[..., None], 0.0, values)
        return values, corner
