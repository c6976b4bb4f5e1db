"""How the eye region moves: shape, lids that follow the gaze, and the drawn mesh of it, in torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastsynth.deform import Ball, onto_ball, pca_shape, rotate_loops, shrink_wrap
from fastsynth.deform.normals import inner, unit
from fastsynth.effects import Eye
from fastsynth.geometry import affine, multiply
from fastsynth.random import Distribution, Noise, as_distribution
from fastsynth.randomizers import Deformer
from fastsynth.randomizers.deformers import Shape
from fastsynth.randomizers.objects import append_instances
from fastsynth.recipes import eye_region as region
from fastsynth.scene import Parts, Randomizer
from fastsynth.types import SceneBatch


class Gaze(Parts):
    """Where the eye looks, from straight ahead: up and to the right of the picture [rad]."""

    def __init__(self, pitch: Any, yaw: Any) -> None:
        super().__init__()
        self.pitch: Distribution = as_distribution(pitch, "Gaze: `pitch`", [()])
        self.yaw: Distribution = as_distribution(yaw, "Gaze: `yaw`", [()])

    def rotation(self, noise: Noise) -> Tensor:
        """Of an eyeball that looks along -y, float32 [B, 3, 3]: first up, then to the side."""
        pitch, yaw = self.pitch.sample(noise), self.yaw.sample(noise)
        sp, cp, sy, cy = pitch.sin(), pitch.cos(), yaw.sin(), yaw.cos()
        zero, one = torch.zeros_like(sp), torch.ones_like(sp)
        up = torch.stack([one, zero, zero, zero, cp, sp, zero, -sp, cp], -1).view(-1, 3, 3)
        side = torch.stack([cy, -sy, zero, sy, cy, zero, zero, zero, one], -1).view(-1, 3, 3)
        return multiply(side, up)


class EyeInstances(Randomizer):
    """The region around the eye in slot 0, mesh 0, and the eyeball in slot 1, mesh 1.

    Args:
        assets: The two meshes.
        gaze: How the eyeball is turned.
        skin: Which of the skins' textures.
        textures: The skins'.
    """

    def __init__(self, assets: Any, gaze: Gaze, skin: Distribution, textures: Any) -> None:
        super().__init__()
        self.assets, self.gaze, self.skin, self.textures = assets, gaze, skin, textures

    def extend(self, assets: Any) -> Any:
        """Puts the skins behind the textures of the assets."""
        return assets.keeping(self, len(assets.textures)).with_textures(self.textures)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append both."""
        turn = self.gaze.rotation(noise)
        still = torch.eye(3, device=turn.device).expand_as(turn)
        pose = affine(torch.stack([still, turn], 1), turn.new_zeros(batch.images, 2, 3))
        mesh = torch.arange(2, dtype=torch.int32, device=turn.device).expand(batch.images, 2)
        batch = append_instances(batch, mesh.contiguous(), pose)
        skin = (batch.assets.kept_for(self) + self.skin.sample(noise)).int()
        return batch.replace(texture_id=torch.stack([skin, torch.full_like(skin, -1)], 1))


def refined(grid: Tensor, axis: int, closed: bool) -> Tensor:
    """Twice as many points along an axis, the old ones among them: the four-point scheme.

    A new point is 9/16 of each neighbour less 1/16 of each next one (Dyn, Levin and Gregory 1987); an open end goes on
    straight.

    Args:
        grid: float [..., n, ..., 3].
        axis: From the end.
        closed: Does the last point have the first one as its neighbour?

    Returns:
        [..., 2 n, ..., 3], or 2 n - 1 of an open axis.

    Example:
        >>> refined(torch.tensor([[0.0], [1.0], [2.0]]), -2, closed=False).flatten().tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    n = grid.shape[axis]
    part = lambda first, count: grid.narrow(axis, first, count)  # noqa: E731
    if closed:
        wide = torch.cat([part(n - 1, 1), grid, part(0, 2)], axis)
    else:
        wide = torch.cat([2 * part(0, 1) - part(1, 1), grid, 2 * part(n - 1, 1) - part(n - 2, 1)], axis)
    count = n if closed else n - 1
    a, b, c, d = (wide.narrow(axis, first, count) for first in range(4))
    between = (9 * (b + c) - (a + d)) / 16
    both = torch.stack([part(0, count), between], axis).flatten(axis - 1, axis)
    return both if closed else torch.cat([both, part(n - 1, 1)], axis)


class EyeRegion(Deformer):
    """The shape of the region, its lids in the place that belongs to the gaze, and the relief of its skin.

    Args:
        gaze: That of the eyeball.
        coefficient: Of the 20 components, in standard deviations.
        follow: What part of the pitch the upper lid follows.
        eye: Measures of the eyeball.
        thickness: Least distance of the lids' skin from the eyeball [m].
        skin: Which of the skins; that of the texture.
        relief: Factor of the skin's displacement map.
        heights: Each skin's map at the vertices of the drawn loops, float32 [skins, loops x around] [m].
    """

    def __init__(
        self,
        gaze: Gaze,
        coefficient: Any,
        follow: float,
        eye: Eye,
        thickness: float,
        skin: Distribution,
        relief: Any,
        heights: Tensor,
    ) -> None:
        super().__init__()
        self.gaze = gaze
        self.coefficient: Distribution = as_distribution(
            coefficient, "EyeRegion: `coefficient`", [(region.COMPONENTS,)]
        )
        self.follow, self.eye, self.thickness = follow, eye, thickness
        self.skin = skin
        self.relief: Distribution = as_distribution(relief, "EyeRegion: `relief`", [()])
        self.register_buffer("heights", heights, persistent=False)
        place = torch.as_tensor(region.drawn_loops() * 8).long()
        self.register_buffer("loops", place, persistent=False)
        model = region.shape_model()
        for name, value in (("mean", model.mean), ("basis", model.basis), ("sigma", model.sigma)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)
        self.register_buffer("strength", torch.tensor(region.lid_strength(), dtype=torch.float32), persistent=False)
        self.register_buffer("rows", torch.zeros(0, dtype=torch.int64), persistent=False)
        self.register_buffer("marks", torch.zeros(0, dtype=torch.int64), persistent=False)

    mean: Tensor
    basis: Tensor
    sigma: Tensor
    strength: Tensor
    heights: Tensor
    loops: Tensor  #: of eight times as many as control loops, those that are drawn
    rows: Tensor  #: of `drawn`, for each vertex of the packed mesh
    marks: Tensor  #: vertices of the packed mesh: 16 of the margin, 7 of the caruncle

    def match(self, points: Tensor) -> None:
        """Finds the vertices of `rest` among those of the packed mesh [P, 3]."""
        from scipy.spatial import cKDTree  # type: ignore[attr-defined]

        rest, packed = self.rest().double().cpu().numpy(), points.double().cpu().numpy()
        device = self.mean.device
        self.rows = torch.as_tensor(cKDTree(rest).query(packed)[1]).to(device)
        self.marks = torch.as_tensor(cKDTree(packed).query(rest[region.landmarks()])[1]).to(device)

    def rest(self) -> Tensor:
        """Vertices of the drawn mesh of the mean face that looks straight ahead, float32 [V, 3] [m]."""
        zero = self.mean.new_zeros(1)
        ahead = self.mean.new_tensor([[0.0, -1.0, 0.0]])
        return self.drawn(self.posed(self.mean[None], zero, ahead), ahead)[0]

    def deform(self, shape: Shape, noise: Noise) -> Shape:
        """See `Deformer.deform`."""
        n = shape.points.shape[1]
        coefficient = self.coefficient.sample(noise, n)
        control = pca_shape(self.mean, self.basis, self.sigma, coefficient)  # [B, N, 229, 3]
        pitch = self.gaze.pitch.sample(noise)[:, None].expand(-1, n)
        look = -self.gaze.rotation(noise)[:, None, :, 1].expand(-1, n, 3)
        # One skin an image, drawn as its texture was: the same noise gives the same.
        skin = self.skin.sample(noise).long()
        bumps = self.heights.index_select(0, skin) * self.relief.sample(noise)[:, None]
        points = self.drawn(self.posed(control, pitch, look), look, bumps[:, None])
        return shape._replace(points=points.index_select(-2, self.rows))

    def _ball(self, look: Tensor) -> Ball:
        """The eyeball that looks along `look` [..., 3]."""
        one = torch.ones_like(look[..., 0])
        centre = torch.zeros_like(look)
        return Ball(centre, self.eye.radius * one, self.eye.cornea_at * look, self.eye.cornea * one)

    def _kept_out(self, points: Tensor, ball: Ball, gap: Tensor | float) -> Tensor:
        """Points pushed out of the ball, to `gap` above its surface where they lie deeper."""
        direction = unit(points)
        short = onto_ball(direction, ball) + gap - inner(points, direction)
        return points + direction * short.clamp(min=0)[..., None]

    def posed(self, control: Tensor, pitch: Tensor, look: Tensor) -> Tensor:
        """Control vertices with the lids turned and laid onto the eyeball.

        Args:
            control: float32 [..., 229, 3] [m].
            pitch: Of the gaze, up, float32 [...] [rad].
            look: Where the eye looks, unit, float32 [..., 3].
        """
        side = torch.zeros_like(look)
        side[..., 0] = 1
        moved = rotate_loops(control, self.strength, side, torch.zeros_like(look), -self.follow * pitch)
        ball = self._ball(look)
        count = region.LOOPS * region.AROUND
        loops = moved[..., :count, :].unflatten(-2, (region.LOOPS, region.AROUND))
        # Outer loops are smoothed: what the turn has moved, spread to both sides.
        before = control[..., :count, :].unflatten(-2, (region.LOOPS, region.AROUND))
        turned = loops - before
        mild = (turned[..., 2:-2, :, :] + turned[..., 4:, :, :] + 2 * turned[..., 3:-1, :, :]) / 4
        loops = torch.cat([loops[..., :3, :, :], before[..., 3:-1, :, :] + mild, loops[..., -1:, :, :]], -3)
        edge = shrink_wrap(loops[..., 0, :, :], ball, gap=1e-4)
        front = self._kept_out(loops[..., 1, :, :], ball, 0.6 * self.thickness)
        skin = self._kept_out(loops[..., 2:6, :, :].flatten(-3, -2), ball, self.thickness)
        rest = loops[..., 6:, :, :].flatten(-3, -2)
        flesh = moved[..., count:, :]
        return torch.cat([edge, front, skin, rest, flesh], -2)

    def drawn(self, control: Tensor, look: Tensor, bumps: Tensor | None = None) -> Tensor:
        """The drawn mesh: control vertices refined and displaced, the lids' seam closed, and lashes put on.

        Args:
            control: float32 [..., 229, 3] [m].
            look: Where the eye looks, unit, float32 [..., 3].
            bumps: How far the vertices of the drawn loops lie outside, float32 [..., loops x around] [m].

        Returns:
            float32 [..., V, 3].
        """
        count = region.LOOPS * region.AROUND
        ball = self._ball(look)
        loops = control[..., :count, :].unflatten(-2, (region.LOOPS, region.AROUND))
        around = refined(refined(loops, -2, True), -2, True)
        # Lashes follow the lids' edges as they are without displacement.
        edges = self._kept_out(around[..., :3, :, :].flatten(-3, -2), ball, 1e-4).unflatten(-2, (3, -1))
        edges = torch.cat([edges, edges[..., :1, :]], -2)
        lashes = [self._lashes(edges, *place) for place in region.LASHES.values()]
        loops = refined(refined(refined(around, -3, False), -3, False), -3, False)
        skin = loops.index_select(-3, self.loops).flatten(-3, -2)
        if bumps is not None:
            skin = skin + unit(skin) * bumps[..., None]
        skin = self._kept_out(skin, ball, 1e-4).unflatten(-2, (region.FINE_LOOPS, region.FINE_AROUND))
        skin = torch.cat([skin, skin[..., :1, :]], -2)
        flesh = control[..., count:, :].unflatten(-2, region.CARUNCLE)
        flesh = refined(refined(flesh, -3, False), -2, False)
        return torch.cat([skin.flatten(-3, -2), flesh.flatten(-3, -2), *lashes], -2)

    def _lashes(self, edges: Tensor, first: int, last: int, count: int, length: float) -> Tensor:
        """Bent triangles that stand on the front edge of a lid, five vertices each: [..., 5 count, 3]."""
        at = torch.linspace(first, last, count + 1, device=edges.device)[:-1]
        cell = at.floor().long()
        part = (at - cell)[:, None]

        def along(loop: int) -> Tensor:
            row = edges[..., loop, :, :]
            return row.index_select(-2, cell) * (1 - part) + row.index_select(-2, cell + 1) * part

        inner_edge, base, skin = along(0), along(1), along(2)
        row = edges[..., 1, :, :]
        across = unit(row.index_select(-2, cell + 1) - row.index_select(-2, cell))
        out, up = unit(base - 0.3 * inner_edge), unit(skin - base)
        # A fan: outwards to both sides, in uneven tufts.
        number = torch.arange(count, device=edges.device)
        fan = ((number + 0.5) / count * 2 - 1)[:, None] * 0.55 + 0.22 * torch.sin(number * 2.4)[:, None]
        reach = length * (0.72 + 0.28 * torch.sin(number * 1.7))[:, None]
        width = 9e-5
        bend = base + 0.5 * reach * unit(out + 0.1 * up + fan * across)
        tip = bend + 0.5 * reach * unit(0.75 * out + 0.8 * up + 1.3 * fan * across)
        five = [
            base - width * across,
            base + width * across,
            bend - 0.7 * width * across,
            bend + 0.7 * width * across,
            tip,
        ]
        return torch.stack(five, -2).flatten(-3, -2)
