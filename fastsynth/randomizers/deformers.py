"""What bends a mesh at random: given to :class:`~fastsynth.randomizers.deform.Deform`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastsynth.deform import dent, lattice_with_normals, pca_shape, twist
from fastsynth.deform.lattice import BASES
from fastsynth.ops.deform import MAX_CONTROL, Bend, bend_dent, bend_lattice, bend_twist
from fastsynth.random import Distribution, Noise, Normal, Uniform, as_distribution
from fastsynth.scene import Parts

_AXES = ("x", "y", "z")


class Shape(NamedTuple):
    """The meshes that are being deformed, one for each instance, in their own frames."""

    points: Tensor  #: float32 [B, N, P, 3] [m]; those beyond `used` repeat the last
    normals: Tensor  #: unit, float32 [B, N, P, 3]
    used: Tensor  #: points of the mesh, int64 [B, N]
    low: Tensor  #: lower corner of the mesh's box at rest, float32 [B, N, 3] [m]
    high: Tensor  #: upper corner, float32 [B, N, 3] [m]


class Rest(NamedTuple):
    """What a deformer that has a kernel is told of the meshes."""

    used: Tensor  #: as of `Shape`
    low: Tensor  #: as of `Shape`
    high: Tensor  #: as of `Shape`
    moved_low: Tensor  #: lower corner of a box that holds all points after the steps before, float32 [B, N, 3] [m]
    moved_high: Tensor  #: upper corner, float32 [B, N, 3] [m]
    #: Position and normal, after the steps before this one, of one point each [B, N]: float32 [B, N, 3] twice.
    at: Callable[[Tensor], tuple[Tensor, Tensor]]


class Deformer(Parts):
    """A random change of shape: subclass it, hold distributions as attributes, and write `deform`.

    The same promises as of a randomizer: draw from the noise alone, and wait for nothing.
    """

    def deform(self, shape: Shape, noise: Noise) -> Shape:
        """The shapes, changed.

        Args:
            shape: What the deformers before have made; N instances an image.
            noise: Source of randomness; draw for N instances by ``distribution.sample(noise, (N, ...))``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define deform(self, shape, noise) -> Shape.")

    def match(self, points: Tensor) -> None:
        """Told the vertices of the first of the meshes, as they are drawn, float32 [P, 3], when the scene is made."""

    @property
    def has_kernel(self) -> bool:
        """Does `bend` do the same?"""
        return type(self).bend is not Deformer.bend

    def bend(self, rest: Rest, noise: Noise) -> tuple[Bend, Tensor, Tensor]:
        """The same as a step of the kernel `fastsynth.ops.deform`: to be defined where there is one, and not else.

        Returns:
            The step, and the lower and the upper corner of a box that holds all its displacements, [B, N, 3] each.
        """
        raise NotImplementedError(f"{type(self).__name__} has no kernel.")


class Lattice(Deformer):
    """Control points of a grid over the mesh's box, each moved at random: soft packages.

    Args:
        offset: How far a control point moves, in parts of the sides of the box: a number, drawn for each axis, or one
            value for all three; by default Normal(0, 0.06).
        size: Control points along x, y and z, or a number for all.
        basis: "bernstein" or "trilinear", see :func:`fastsynth.deform.lattice`.
        stands: The lowest layer of control points stays, so that what stands keeps standing.

    Example:
        >>> import fastsynth as fs
        >>> soft = fs.Deform(fs.Lattice(fs.Normal(0.0, 0.05), size=4))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=2), soft=soft)
        >>> scene.sample(3).instances
        2
    """

    def __init__(
        self, offset: Any = None, size: int | tuple[int, int, int] = 4, basis: str = "bernstein", stands: bool = False
    ) -> None:
        super().__init__()
        offset = Normal(0.0, 0.06) if offset is None else offset
        self.offset: Distribution = as_distribution(offset, "Lattice: `offset`", [(), (3,)])
        self.size = (size, size, size) if isinstance(size, int) else tuple(size)
        most = max(MAX_CONTROL.values())
        if len(self.size) != 3 or not 2 <= min(self.size) <= max(self.size) <= most:
            raise ValueError(f"Lattice: `size` must be 2 to {most} control points along each side, but is {size}.")
        if basis not in BASES:
            raise ValueError(f"Lattice: `basis` must be one of {BASES}, but is {basis!r}.")
        self.basis, self.stands = basis, stands

    @property
    def has_kernel(self) -> bool:
        """See `Deformer.has_kernel`."""
        return super().has_kernel and max(self.size) <= MAX_CONTROL[self.basis]

    def _offsets(self, rest: Shape | Rest, noise: Noise) -> Tensor:
        n = rest.low.shape[1]
        each = (n, *self.size) if self.offset.event else (n, *self.size, 3)
        side = (rest.high - rest.low)[:, :, None, None, None]
        offsets = self.offset.sample(noise, each) * side
        if self.stands:
            offsets = torch.cat([torch.zeros_like(offsets[..., :1, :]), offsets[..., 1:, :]], -2)
        return offsets

    def bend(self, rest: Rest, noise: Noise) -> tuple[Bend, Tensor, Tensor]:
        """See `Deformer.bend`."""
        offsets = self._offsets(rest, noise)
        each = offsets.flatten(2, 4)
        return bend_lattice(offsets, rest.low, rest.high, self.basis), each.amin(2), each.amax(2)

    def deform(self, shape: Shape, noise: Noise) -> Shape:
        """See `Deformer.deform`."""
        offsets = self._offsets(shape, noise)
        points, normals = lattice_with_normals(
            shape.points, shape.normals, offsets, shape.low, shape.high, basis=self.basis
        )
        return shape._replace(points=points, normals=normals)


class Twist(Deformer):
    """Cross-sections turned about the middle axis of the mesh's box.

    Args:
        angle: From the lower to the upper end of the box [rad]; the lower end stays.
        axis: "x", "y" or "z".

    Example:
        >>> import fastsynth as fs
        >>> twisted = fs.Deform(fs.Twist(fs.Normal(0.0, 0.3)))
        >>> fs.Scene(fs.Objects(fs.procedural.primitives()), twisted=twisted).sample(2).images
        2
    """

    def __init__(self, angle: Any = None, axis: str = "z") -> None:
        super().__init__()
        angle = Normal(0.0, 0.2) if angle is None else angle
        self.angle: Distribution = as_distribution(angle, "Twist: `angle`", [()])
        if axis not in _AXES:
            raise ValueError(f"Twist: `axis` must be one of {_AXES}, but is {axis!r}.")
        self.axis = _AXES.index(axis)

    def _turn(self, rest: Shape | Rest, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
        angle = self.angle.sample(noise, rest.low.shape[1])
        height = (rest.high - rest.low)[..., self.axis]
        rate = torch.where(height > 0, angle / torch.where(height > 0, height, 1), 0)
        along = torch.zeros_like(rest.low)
        along[..., self.axis] = 1
        return along, torch.where(along > 0, rest.low, (rest.low + rest.high) / 2), rate

    def bend(self, rest: Rest, noise: Noise) -> tuple[Bend, Tensor, Tensor]:
        """See `Deformer.bend`."""
        along, centre, rate = self._turn(rest, noise)
        # The corner of the box that is furthest from the axis turns by at most the largest angle, and moves by at most
        # its arc or twice its distance.
        far = torch.maximum((rest.moved_low - centre).abs(), (rest.moved_high - centre).abs())
        x, y, z = (far * far * (1 - along)).unbind(-1)
        angle = rate.abs() * far[..., self.axis]
        most = (angle.clamp(max=2) * (x + y + z).sqrt())[..., None] * (1 - along)
        return bend_twist(along, centre, rate), -most, most

    def deform(self, shape: Shape, noise: Noise) -> Shape:
        """See `Deformer.deform`."""
        points, normals = twist(shape.points, shape.normals, *self._turn(shape, noise))
        return shape._replace(points=points, normals=normals)


class Dent(Deformer):
    """Pushed in at a random point of the surface, against its normal there.

    Args:
        depth: In parts of the radius, below 0.5 lest the surface fold.
        radius: Of what moves, in parts of half the diagonal of the mesh's box, above 0.

    Example:
        >>> import fastsynth as fs
        >>> dents = fs.Deform([fs.Dent(), fs.Dent()])
        >>> fs.Scene(fs.Objects(fs.procedural.primitives()), dents=dents).sample(2).images
        2
    """

    def __init__(self, depth: Any = None, radius: Any = None) -> None:
        super().__init__()
        depth = Uniform(0.0, 0.3) if depth is None else depth
        radius = Uniform(0.3, 0.8) if radius is None else radius
        self.depth: Distribution = as_distribution(depth, "Dent: `depth`", [()])
        self.radius: Distribution = as_distribution(radius, "Dent: `radius`", [()])

    def _push(
        self, rest: Shape | Rest, noise: Noise, at: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        n = rest.low.shape[1]
        which = (noise.of(self).uniform(n, "place") * rest.used).long()
        centre, normal = at(torch.minimum(which, rest.used - 1))
        x, y, z = (rest.high - rest.low).unbind(-1)
        radius = self.radius.sample(noise, n) * (x * x + y * y + z * z).sqrt() / 2
        return centre, -normal * (self.depth.sample(noise, n) * radius)[..., None], radius.clamp(min=1e-12)

    def bend(self, rest: Rest, noise: Noise) -> tuple[Bend, Tensor, Tensor]:
        """See `Deformer.bend`."""
        centre, push, radius = self._push(rest, noise, rest.at)
        return bend_dent(centre, push, radius), push.clamp(max=0), push.clamp(min=0)

    def deform(self, shape: Shape, noise: Noise) -> Shape:
        """See `Deformer.deform`."""

        def at(which: Tensor) -> tuple[Tensor, Tensor]:
            row = which[..., None, None].expand(-1, -1, 1, 3)
            return shape.points.gather(2, row)[:, :, 0], shape.normals.gather(2, row)[:, :, 0]

        points, normals = dent(shape.points, shape.normals, *self._push(shape, noise, at))
        return shape._replace(points=points, normals=normals)


class ShapeBasis(Deformer):
    """A linear model of the shapes of one mesh: adds its components at random.

    For a `Deform` of that mesh alone, and with ``normals="area"``, since it does not turn them.

    Args:
        vertices: Of the mesh at rest, no two at one place unless they move alike, float [V, 3] [m].
        basis: Components at those vertices, float [K, V, 3].
        sigma: Standard deviations, float [K] [m].
        coefficient: One for each component, in standard deviations; Normal(0, 1) by default.

    Example:
        >>> import fastsynth as fs
        >>> ball = fs.procedural.sphere()
        >>> wide = torch.tensor(ball.vertices, dtype=torch.float32)[None] * torch.tensor([1.0, 0.0, 0.0])
        >>> model = fs.ShapeBasis(ball.vertices, wide, torch.tensor([0.2]))
        >>> scene = fs.Scene(fs.Objects(fs.pack([ball])), shape=fs.Deform(model, normals="area"))
        >>> scene.sample(4).images
        4
    """

    mean: Tensor
    basis: Tensor
    sigma: Tensor
    rows: Tensor | None  #: of the model, for each vertex of the mesh as it is drawn

    def __init__(self, vertices: Any, basis: Any, sigma: Any, coefficient: Any = None) -> None:
        super().__init__()
        for name, value in (("mean", vertices), ("basis", basis), ("sigma", sigma)):
            self.register_buffer(name, torch.as_tensor(value).detach().clone().float(), persistent=False)
        self.register_buffer("rows", None, persistent=False)
        components = self.sigma.shape[0]
        coefficient = Normal((0.0,) * components, 1.0) if coefficient is None else coefficient
        self.coefficient: Distribution = as_distribution(coefficient, "ShapeBasis: `coefficient`", [(components,)])

    def match(self, points: Tensor) -> None:
        """Finds the rows of the model for the vertices of the mesh as it is drawn."""
        from scipy.spatial import cKDTree  # type: ignore[attr-defined]

        distance, found = cKDTree(self.mean.double().cpu().numpy()).query(points.double().cpu().numpy())
        scale = float((self.mean.amax(0) - self.mean.amin(0)).max())
        if float(distance.max()) > 1e-5 * scale:
            raise ValueError(
                f"ShapeBasis: the mesh has a vertex {distance.max():g} m away from every vertex of the model. Give the "
                "vertices of the mesh at rest, and a Deform of that mesh alone: Deform(..., meshes=[row])."
            )
        rows = torch.as_tensor(found).to(self.mean.device)
        if self.rows is not None and not torch.equal(rows, self.rows):
            raise ValueError(
                "ShapeBasis: it belongs to a scene whose mesh has other vertices, or in another order. Give this scene "
                "a ShapeBasis of its own."
            )
        self.rows = rows

    def deform(self, shape: Shape, noise: Noise) -> Shape:
        """See `Deformer.deform`."""
        drawn = self.coefficient.sample(noise, shape.points.shape[1])
        basis = self.basis if self.rows is None else self.basis.index_select(1, self.rows)
        return shape._replace(points=shape.points + pca_shape(torch.zeros_like(basis[0]), basis, self.sigma, drawn))
