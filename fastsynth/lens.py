"""Lenses: where a direction lands in the picture, and from which direction the light of a pixel came.

A lens maps a direction of the camera's frame (+x right, +y down, +z forward) to a place ``(x', y')`` in focal lengths
from the principal point; the intrinsics take it to pixels as they do ``(X/Z, Y/Z)`` of a pinhole. With theta the angle
from the axis, ``r = tan(theta)`` and ``(x, y) = (X/Z, Y/Z)``::

    "radial_tangential"   g = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)
                          x' = x g + 2 p1 x y + p2 (r^2 + 2 x^2)
                          y' = y g + p1 (r^2 + 2 y^2) + 2 p2 x y          distortion = k1 k2 p1 p2 k3 k4 k5 k6
    "fisheye"             r' = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)
                          (x', y') = r' (X, Y) / |(X, Y)|                 distortion = k1 k2 k3 k4 0 0 0 0
    "equidistant"         the same with all coefficients 0

The first is OpenCV's model with eight coefficients (Brown, "Decentering distortion of lenses", 1966; OpenCV
documentation, "Camera Calibration and 3D Reconstruction"), the second Kannala and Brandt, "A generic camera model and
calibration method for conventional, wide-angle, and fish-eye lenses", 2006, as OpenCV's fisheye module writes it.

Polynomials turn back somewhere: a lens is valid up to the first angle at which its radius stops growing, or up to the
edge of its image circle, whichever comes first. What lies beyond is not in the picture.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth._expect import expect

#: The models of lenses.
MODELS = ("radial_tangential", "fisheye", "equidistant")
# The widest image circle of each, half its angle [rad]. At 80 degrees the tangent is 5.7.
_WIDEST = {"radial_tangential": math.radians(80), "fisheye": math.pi, "equidistant": math.pi}
#: Half the angle of the image circle unless it is said [rad].
ANGLES = {"radial_tangential": math.radians(55), "fisheye": math.pi / 2, "equidistant": math.pi / 2}
_SCANNED, _HALVED, _STEPS = 256, 24, 24
_ENTRIES = 1024  # of the table of a picture
_TINY = 1e-24  # of a squared length


class Lenses(NamedTuple):
    """Lenses of B cameras."""

    model: str  #: out of :data:`MODELS`
    distortion: Tensor  #: float [B, 8]
    angle: float = math.pi  #: half the angle of the image circle [rad]

    @property
    def radial(self) -> bool:
        """Is it measured in tangents rather than in angles?"""
        return self.model == "radial_tangential"

    def to(self, dtype: torch.dtype) -> Lenses:
        """The same in another precision."""
        return self._replace(distortion=self.distortion.to(dtype))

    def detach(self) -> Lenses:
        """The same without a gradient."""
        return self._replace(distortion=self.distortion.detach())

    def beside(self, values: Tensor) -> Lenses:
        """The same with axes of size 1, for values [B, ...]."""
        shape = (-1, *(1,) * (values.ndim - 1), 8)
        return self._replace(distortion=self.distortion.view(shape))

    def radius(self, size: Tensor) -> Tensor:
        """R' of a direction's size, which is its angle [rad] or, for the radial model, its tangent; [B, ...]."""
        return size * self._growth(size * size)[0]

    def slope(self, size: Tensor) -> Tensor:
        """Derivative of :meth:`radius`."""
        square = size * size
        growth, change = self._growth(square)
        return growth + 2 * square * change

    def _growth(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """R' over the size, of the squared size, and its derivative by that."""
        k = self.distortion.unbind(-1)
        if not self.radial:
            value = 1 + w * (k[0] + w * (k[1] + w * (k[2] + w * k[3])))
            return value, k[0] + w * (2 * k[1] + w * (3 * k[2] + w * (4 * k[3])))
        above, below = 1 + w * (k[0] + w * (k[1] + w * k[4])), 1 + w * (k[5] + w * (k[6] + w * k[7]))
        rise, fall = k[0] + w * (2 * k[1] + w * (3 * k[4])), k[5] + w * (2 * k[6] + w * (3 * k[7]))
        # A denominator of 0 is a pole; the slope before it is what ends the domain.
        below = torch.where(below.abs() < 1e-6, 1e-6, below)
        value = above / below
        return value, (rise - value * fall) / below

    def limit(self) -> Tensor:
        """Largest size of a direction that is in the picture, [B]: the edge of the image circle, or where it folds."""
        with torch.no_grad():
            angle = min(self.angle, _WIDEST[self.model])
            edge = math.tan(angle) if self.radial else angle
            lens, like = self.detach(), self.distortion
            steps = (torch.arange(_SCANNED + 1, device=like.device) * (edge / _SCANNED)).to(like)
            steps = steps.expand(like.shape[0], -1)
            wide = lens.beside(steps)
            ends = (wide.slope(steps) <= 0) | (wide.radius(steps) < 0)  # the latter behind a pole
            first = torch.where(ends, 0, 1).cumprod(1).sum(1)  # number of the first step that is past the end
            low, high = ((first - back).clamp(0, _SCANNED) * (edge / _SCANNED) for back in (1, 0))
            for _ in range(_HALVED):
                middle = (low + high) / 2
                past = (lens.slope(middle) <= 0) | (lens.radius(middle) < 0)
                low, high = torch.where(past, low, middle), torch.where(past, middle, high)
            return torch.where(first > _SCANNED, edge, low)

    def invert(self, radius: Tensor, limit: Tensor) -> Tensor:
        """The size of the directions that land at this radius: Newton's method, kept between bounds that close in.

        Args:
            radius: r', [B, ...]; beyond the image circle it counts as on it.
            limit: Of :meth:`limit`, [B].

        Returns:
            [B, ...]. Differentiable, by the theorem of implicit functions, in the radius and the coefficients.
        """
        lens, limit = self.beside(radius), limit.view(-1, *(1,) * (radius.ndim - 1))
        with torch.no_grad():
            fixed, low, high = lens.detach(), torch.zeros_like(radius), limit.expand_as(radius)
            size = radius.minimum(high)
            for _ in range(_STEPS):
                error, slope = fixed.radius(size) - radius, fixed.slope(size)
                low, high = torch.where(error > 0, low, size), torch.where(error > 0, size, high)
                size = size - error / slope
                size = torch.where((size >= low) & (size <= high), size, (low + high) / 2)
            slope = fixed.slope(size)
        moved = size - (lens.radius(size) - radius) / slope.clamp(min=1e-6)
        return torch.where((moved >= 0) & (moved <= limit), moved, size)


def distort(directions: Tensor, lens: Lenses) -> tuple[Tensor, Tensor]:
    """Where directions land, in focal lengths from the principal point.

    Args:
        directions: Of any length but 0, in the camera's frame, float [B, ..., 3].
        lens: B lenses.

    Returns:
        float [B, ..., 2], and whether they are in the picture, bool [B, ...]; those that are not land on the edge of
        the image circle. Differentiable in both arguments.

    Example:
        >>> lens = Lenses("fisheye", torch.zeros(1, 8), angle=2.0)
        >>> place, inside = distort(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]]), lens)
        >>> round(place[0, 0, 0].item(), 4), inside.tolist()
        (1.5708, [[True, False]])
    """
    x, y, z = directions.unbind(-1)
    limit = lens.limit().view(-1, *(1,) * (x.ndim - 1))
    across = (x * x + y * y).clamp(min=_TINY).sqrt()
    if lens.radial:
        ahead = z > 0
        size = torch.where(ahead, across / torch.where(ahead, z, 1), math.inf)
    else:
        size = torch.atan2(across, z)
    inside = size <= limit
    size = size.minimum(limit)
    beside = lens.beside(size)
    if not lens.radial:
        scale = beside.radius(size) / across
        return torch.stack([x * scale, y * scale], -1), inside
    scale = size / across
    return torch.stack(_tangential(x * scale, y * scale, beside), -1), inside


def _tangential(x: Tensor, y: Tensor, lens: Lenses) -> tuple[Tensor, Tensor]:
    """Places of the radial and tangential model: tangents [B, ...] each, a lens that was put beside them."""
    qx, qy = lens.distortion[..., 3], lens.distortion[..., 2]
    square, along = x * x + y * y, 2 * (qx * x + qy * y)
    scale = lens._growth(square)[0] + along
    return x * scale + qx * square, y * scale + qy * square


def undistort(places: Tensor, lens: Lenses) -> tuple[Tensor, Tensor]:
    """The directions from which light falls on places: the inverse of :func:`distort`, to rounding.

    A fixed number of Newton steps, for the tangential part in two dimensions.

    Args:
        places: In focal lengths from the principal point, float [B, ..., 2].
        lens: B lenses.

    Returns:
        Unit directions, float [B, ..., 3], and which places are within the image circle, bool [B, ...]; those that are
        not have a direction on its edge. Differentiable in both arguments.

    Example:
        >>> lens = Lenses("fisheye", torch.tensor([[0.1, -0.02, 0, 0, 0, 0, 0, 0]]))
        >>> direction = torch.tensor([[[0.48, -0.6, 0.64]]])
        >>> torch.testing.assert_close(undistort(distort(direction, lens)[0], lens)[0], direction)
    """
    limit = lens.limit()
    x, y = places.unbind(-1)
    radius = (x * x + y * y).clamp(min=_TINY).sqrt()
    edge = lens.radius(limit).view(-1, *(1,) * (x.ndim - 1))
    size = lens.invert(radius, limit)
    if not lens.radial:
        scale = size.sin() / radius
        return torch.stack([x * scale, y * scale, size.cos()], -1), radius <= edge
    with torch.no_grad():
        scale = size / radius
        tangents = x * scale, y * scale
        tangents = newton(*tangents, x, y, lens.detach(), steps=4)
    u, v = newton(*tangents, x, y, lens, steps=1)
    back = distort(torch.stack([u, v, torch.ones_like(u)], -1).detach(), lens.detach())
    error = (back[0] - places).detach().abs().amax(-1)
    direction = torch.stack([u, v, torch.ones_like(u)], -1)
    length = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    return direction / length, back[1] & (error < 5e-7 * (1 + edge))


def newton(u: Tensor, v: Tensor, x: Tensor, y: Tensor, lens: Lenses, steps: int) -> tuple[Tensor, Tensor]:
    """Steps of Newton's method toward the tangents (u, v) that land at (x, y); [B, ...] each."""
    beside = lens.beside(u)
    for _ in range(steps):
        there = _tangential(u.detach(), v.detach(), beside)
        with torch.no_grad():
            fixed = beside.detach()
            qx, qy = fixed.distortion[..., 3], fixed.distortion[..., 2]
            growth, change = fixed._growth(u * u + v * v)
            same = growth + 2 * (qx * u + qy * v)
            a, b, d = (
                same + 2 * u * (change * u + 2 * qx),
                2 * (change * u * v + qx * v + qy * u),
                (same + 2 * v * (change * v + 2 * qy)),
            )
            one = a * d - b * b
            one = 1 / torch.where(one.abs() < 1e-6, 1e-6, one)
        ex, ey = there[0] - x, there[1] - y
        u, v = u.detach() - (d * ex - b * ey) * one, v.detach() - (a * ey - b * ex) * one
    return u, v


def see(places: tuple[Tensor, Tensor], lens: Lenses) -> tuple[list[Tensor], Tensor]:
    """The directions of the pixels of a whole picture: :func:`undistort`, looked up in a table for each image.

    Between the entries of the table, which are even in the squared radius, lie less than 1e-6 rad; the tangential part
    is solved at every pixel.

    Args:
        places: x' and y', float32 [B, H, W] each.
        lens: B lenses.

    Returns:
        x, y and z of directions of any length, float32 [B, H, W] each, and which are within the image circle, bool
        [B, H, W]. Differentiable as :func:`undistort` is. Directions that are no numbers, as those of coefficients that
        are none, become (0, 0, 1) outside the image circle.

    Example:
        >>> zero = torch.zeros(1, 1, 1)
        >>> (x, y, z), inside = see((zero, zero), Lenses("equidistant", torch.zeros(1, 8)))
        >>> x.item(), z.item(), inside.item()
        (0.0, 1.0, True)
    """
    x, y = places
    with torch.no_grad():
        fixed, limit = lens.detach(), lens.limit()
        edge = fixed.radius(limit)
        part = torch.arange(_ENTRIES + 1, device=x.device).to(x) / _ENTRIES
        radius = edge[:, None] * part.sqrt()
        size = fixed.invert(radius, limit)
        ratio = torch.where(part > 0, (size if lens.radial else size.sin()) / radius.clamp(min=1e-12), 1)
        square = x * x + y * y
        place = (square * (_ENTRIES / (edge * edge))[:, None, None]).nan_to_num(0.0)
        entry = place.clamp(0, _ENTRIES - 1).long()
        between = place.clamp(max=_ENTRIES).sub_(entry)
        row = torch.arange(x.shape[0], device=x.device)[:, None, None] * (_ENTRIES + 1)
        index = (entry + row).flatten()

        def looked_up(table: Tensor) -> Tensor:
            first, second = (table.flatten().index_select(0, index + i).view_as(x) for i in (0, 1))
            return torch.lerp(first, second, between)

        scale = looked_up(ratio)
        inside = square <= (edge * edge)[:, None, None]
        u, v = x * scale, y * scale
        if lens.radial:
            u, v = newton(u, v, x, y, fixed, steps=2)
            w = torch.ones_like(u)
            inside = (u * u + v * v <= (limit * limit)[:, None, None]) & (square < 2 * (edge * edge)[:, None, None])
        else:
            w = looked_up(size.cos())
    if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad or lens.distortion.requires_grad):
        if lens.radial:
            new = (*newton(u, v, x, y, lens, steps=1), w)
        else:
            wide = lens.beside(x)
            radius = (x * x + y * y).clamp(min=_TINY).sqrt()
            angle = torch.atan2((u * u + v * v).clamp(min=_TINY).sqrt(), w)
            angle = angle - (wide.radius(angle) - radius) / wide.slope(angle).detach().clamp(min=1e-6)
            new = x * (angle.sin() / radius), y * (angle.sin() / radius), angle.cos()
        u, v, w = (value + (made - made.detach()) for value, made in zip((u, v, w), new, strict=True))
    # Coefficients that make no sense. A place that is no number sends torch's sampling out of bounds on its way back.
    number = (u + v + w).isfinite()
    return [torch.where(number, line, rest) for line, rest in ((u, 0.0), (v, 0.0), (w, 1.0))], inside & number


def project(points: Tensor, intrinsics: Tensor, lens: Lenses, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where points of the camera's frame are seen.

    Args:
        points: float [B, ..., 3] [m].
        intrinsics: float [B, 3, 3], in image heights from the centre.
        lens: B lenses.
        size: Height and width of the picture.

    Returns:
        float [B, ..., 2] [pixels], corner convention, and which points are within the image circle, bool [B, ...]; the
        others land on its edge.

    Raises:
        TypeError, ValueError: intrinsics and coefficients of the wrong dtype or shape.

    Example:
        >>> eye, lens = torch.eye(3)[None], Lenses("equidistant", torch.zeros(1, 8))
        >>> project(torch.tensor([[0.0, 0.0, 5.0]]), eye, lens, (480, 640))[0].tolist()
        [[320.0, 240.0]]
    """
    _expect("project", points, intrinsics, lens)
    places, inside = distort(points, lens)
    x, y = places.unbind(-1)
    (fx, s, cx), (fy, cy) = _entries(intrinsics, x)
    height, width = size
    pixels = torch.stack([(fx * x + s * y + cx) * height + width / 2, (fy * y + cy) * height + height / 2], -1)
    return pixels, inside


def unproject(pixels: Tensor, intrinsics: Tensor, lens: Lenses, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The directions that are seen at pixels: the inverse of :func:`project`.

    Args:
        pixels: Corner convention, float [B, ..., 2].
        intrinsics: float [B, 3, 3], in image heights from the centre.
        lens: B lenses.
        size: Height and width of the picture.

    Returns:
        As of :func:`undistort`.

    Raises:
        TypeError, ValueError: intrinsics and coefficients of the wrong dtype or shape.

    Example:
        >>> eye, lens = torch.eye(3)[None], Lenses("equidistant", torch.zeros(1, 8))
        >>> unproject(torch.tensor([[320.0, 240.0]]), eye, lens, (480, 640))[0].tolist()
        [[0.0, 0.0, 1.0]]
    """
    _expect("unproject", pixels, intrinsics, lens)
    return undistort(places_of(pixels, intrinsics, size), lens)


def places_of(pixels: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels [B, ..., 2] in focal lengths from the principal point."""
    u, v = pixels.unbind(-1)
    (fx, s, cx), (fy, cy) = _entries(intrinsics, u)
    height, width = size
    y = ((v - height / 2) / height - cy) / fy
    return torch.stack([((u - width / 2) / height - cx - s * y) / fx, y], -1)


def _entries(intrinsics: Tensor, beside: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """fx, s, cx and fy, cy with axes of size 1 for values [B, ...]."""
    rows = intrinsics.view(-1, *(1,) * (beside.ndim - 1), 3, 3)
    return rows[..., 0, :].unbind(-1), rows[..., 1, 1:].unbind(-1)


def _expect(op: str, points: Tensor, intrinsics: Tensor, lens: Lenses) -> None:
    dtype = points.dtype
    if lens.model not in MODELS:
        raise ValueError(f"{op}(): the model of a lens must be one of {MODELS}, but is {lens.model!r}.")
    expect(op, intrinsics=(intrinsics, "B 3 3", dtype), distortion=(lens.distortion, "B 8", dtype))
