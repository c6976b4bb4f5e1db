"""Texture lookups with mip maps and cube maps, on top of :func:`fastsynth.ops.texture`.

Texel centres lie at (i + 0.5) / size and row 0 at v = 0. A cube map is six squares in the order +x, -x, +y, -y, +z, -z
with the coordinates of OpenGL 4.6, table 8.19; filtering goes on across its edges. The level of detail is the binary
logarithm of the longer axis of the pixel's footprint [texels].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth.ops.texture import mip_chain
from fastsynth.ops.texture import texture as plain_texture


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


def with_edges(cube: Tensor) -> Tensor:
    """Cube maps whose faces have a rim of their neighbours' texels, one below the other: [A, 6 (s + 2), s + 2, C].

    Three faces meet in a corner: what would be the fourth texel there is the mean of the others.

    Args:
        cube: float32 [A, 6, s, s, C].

    Example:
        >>> with_edges(3 * torch.arange(6.0).view(1, 6, 1, 1, 1))[0, :3, :, 0].tolist()
        [[6.0, 6.0, 7.0], [12.0, 0.0, 15.0], [7.0, 9.0, 8.0]]
    """
    size, rim = cube.shape[2], _rim(cube.shape[2], cube.device)
    texels = cube.flatten(1, 3).index_select(1, rim.flatten()).unflatten(1, rim.shape)
    top, bottom, left, right = texels.unbind(2)  # [A, 6, s, C] each
    corners = [
        (row[:, :, i] + column[:, :, j] + cube[:, :, j, i]) / 3
        for row, j in ((top, 0), (bottom, size - 1))
        for column, i in ((left, 0), (right, size - 1))
    ]
    first, second, third, fourth = (corner[:, :, None] for corner in corners)
    rows = [
        torch.cat([first, top, second], 2)[:, :, None],
        torch.cat([left[:, :, :, None], cube, right[:, :, :, None]], 3),
        torch.cat([third, bottom, fourth], 2)[:, :, None],
    ]
    return torch.cat(rows, 2).flatten(1, 2)


def _rim(size: int, device: torch.device) -> Tensor:
    """Which texel of a cube map lies beyond the edges of each face: int64 [6, 4, s]; top, bottom, left, right."""
    along = (2 * torch.arange(size, device=device) + 1) / size - 1
    low, high = (torch.full_like(along, value) for value in (-1 - 1 / size, 1 + 1 / size))
    at = torch.stack([torch.stack(side, -1) for side in ((along, low), (along, high), (low, along), (high, along))])
    face = torch.arange(6, device=device)[:, None, None].expand(6, 4, size)
    # Put back onto the cube, a texel beyond an edge falls upon the one that is next to it there.
    beyond = _direction(face, at.expand(6, 4, size, 2))
    other = _major(beyond)
    scaled, length = _on_face(beyond, other)
    x, y = ((scaled / length[..., None] + 1) / 2 * size).long().clamp(0, size - 1).unbind(-1)
    return (other * size + y) * size + x


class Levels:
    """A texture's levels, for lookups at a level of each pixel's own.

    Args:
        levels: Each float32 [A, h, w, C], or [A, 6, s, s, C] with ``boundary`` "cube"; A is 1 or B. Sides are half
            those of the level before, rounded down, and at least 1.
        boundary: "wrap", "clamp", "zero" or "cube".
    """

    def __init__(self, levels: Sequence[Tensor], boundary: str):
        images = max(level.shape[0] for level in levels)
        self.boundary, self.size = boundary, (levels[0].shape[-3], levels[0].shape[-2])
        levels = [level.expand(images, *level.shape[1:]) for level in levels]
        if boundary == "cube":
            levels = [with_edges(level) for level in levels]
        elif boundary == "zero":
            levels = [F.pad(level, (0, 0, 1, 1, 1, 1)) for level in levels]
        self.levels = levels

    def lookup(self, uv: Tensor, face: Tensor | None, level: Tensor | None, nearest: bool) -> Tensor:
        """Values at coordinates [B, H, W, 2] on the faces of cube maps, at levels [B, H, W]; None = the first.

        A level between two blends both.
        """
        if level is None or len(self.levels) == 1:
            return self._in_level(uv, face, None, nearest)
        if self.boundary in ("wrap", "clamp"):
            return self._in_level(uv, face, level, nearest)
        # With its rim each level has coordinates of its own.
        lower = level.detach().floor()
        fine = self._in_level(uv, face, lower, nearest)
        coarse = self._in_level(uv, face, (lower + 1).clamp(max=len(self.levels) - 1), nearest)
        return fine + (level - lower)[..., None] * (coarse - fine)

    def _in_level(self, uv: Tensor, face: Tensor | None, level: Tensor | None, nearest: bool) -> Tensor:
        if self.boundary == "zero":
            height, width = self._size(level)
            x, y = uv.clamp(-2, 3).unbind(-1)  # so far outside nothing is different
            uv = torch.stack([(x * width + 1) / (width + 2), (y * height + 1) / (height + 2)], -1)
        elif face is not None:
            _, side = self._size(level)
            x, y = uv.unbind(-1)
            uv = torch.stack([(x * side + 1) / (side + 2), (face + (y * side + 1) / (side + 2)) / 6], -1)
        change = None
        if level is not None:  # as that change of u per pixel which selects it
            change = F.pad(level.exp2()[..., None] / self.levels[0].shape[2], (0, 3))
        wrap = "repeat" if self.boundary == "wrap" else "clamp"
        levels = self.levels if level is not None else self.levels[:1]
        return plain_texture(levels, uv.nan_to_num(), change, wrap, "nearest" if nearest else "linear")

    def _size(self, level: Tensor | None) -> tuple[float | Tensor, float | Tensor]:
        """Height and width of each pixel's level [texels]."""
        if level is None:
            return self.size
        height, width = ((side * (-level).exp2()).floor().clamp(min=1) for side in self.size)
        return height, width
