"""Cut-outs pasted side by side and over each other, within limits on what is hidden and what is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import affine
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.randomizers.objects import append_instances
from fastsynth.scene import Randomizer
from fastsynth.types import SceneBatch

#: Between one cut-out and the next in front of it, of the camera's distance.
_STEP = 1e-3


class Pasted(Randomizer):
    """Flat cut-outs in the plane of the picture: targets, and distractors over them, each in front of those before it.

    A cut-out is put where its box leaves the picture by at most `truncation` of its width and height, and hides at
    most `overlap` of the box of any that was put there before. It has some tries, and is left out if none of them is
    good; so is one that is too small.

    Args:
        assets: Cut-outs, see :func:`fastsynth.load_cutouts`.
        targets: Rows of the meshes to be found.
        distractors: Rows of the meshes that only distract.
        count: How many targets.
        distractor_count: How many distractors.
        angle: In the plane [rad], clockwise.
        scale: Of a cut-out's size.
        truncation: Most of a box beyond each border, in its width or height.
        overlap: Most of another's box that may be covered.
        tries: Of each cut-out.
        least: Smallest side of a box [picture heights].
        distance: Of the camera, which looks along y from -y [m].
        height: Of the picture at the origin [m].
    """

    def __init__(
        self,
        assets: Assets,
        targets: Sequence[int],
        distractors: Sequence[int],
        count: Choice,
        distractor_count: Choice,
        angle: Any,
        scale: Any,
        truncation: float,
        overlap: float,
        tries: int,
        least: float,
        distance: float,
        height: float,
    ) -> None:
        super().__init__()
        self.assets = assets
        self.targets, self.decoys = Choice(list(targets)), Choice(list(distractors))
        self.count: Distribution = count
        self.distractors: Distribution = distractor_count
        self.slots = int(count.values.max()), int(distractor_count.values.max())
        self.angle: Distribution = as_distribution(angle)
        self.scale: Distribution = as_distribution(scale)
        self.truncation: Distribution = as_distribution(truncation)
        self.overlap: Distribution = as_distribution(overlap)
        self.tries, self.least, self.distance, self.height = tries, least, distance, height
        self.register_buffer("hulls", flat_hulls(assets), persistent=False)

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the cut-outs that found a place."""
        own, slots = noise.of(self), sum(self.slots)
        mesh = torch.cat([self.targets.sample(noise, self.slots[0]), self.decoys.sample(noise, self.slots[1])], 1)
        numbers = [torch.arange(n, device=batch.device) for n in self.slots]
        counts = self.count.sample(noise), self.distractors.sample(noise)
        wanted = torch.cat([n < c[:, None] for n, c in zip(numbers, counts, strict=True)], 1)
        angle, scale = self.angle.sample(noise, slots), self.scale.sample(noise, slots)
        cosine, sine = angle.cos() * scale, angle.sin() * scale
        x, z = self.hulls[mesh].unbind(-1)  # type: ignore[index]  # [B, N, P]
        # Clockwise as seen: from the right downward.
        right = x * cosine[..., None] + z * sine[..., None]
        up = z * cosine[..., None] - x * sine[..., None]
        low = torch.stack([right.amin(-1), up.amin(-1)], -1)
        high = torch.stack([right.amax(-1), up.amax(-1)], -1)
        size = high - low
        wanted = wanted & (size >= self.least * self.height).all(-1)
        # The lower left corner of the box, from where the most is cut off on one side to where it is on the other.
        picture = noise.aspect * self.height, self.height
        beyond = self.truncation.sample(noise)[:, None, None] * size
        start = torch.stack([-side / 2 - cut for side, cut in zip(picture, beyond.unbind(-1), strict=True)], -1)
        ends = zip(picture, size.unbind(-1), beyond.unbind(-1), strict=True)
        room = torch.stack([side - own_side + 2 * cut for side, own_side, cut in ends], -1)
        place = own.uniform((self.tries, slots, 2), "place")
        corner = start[:, None] + place * room[:, None]
        # Where the picture has no room for the box however it is cut off, it finds no place.
        wanted = wanted & (room >= 0).all(-1)
        first, placed = first_uncovered(corner, size, wanted, self.overlap.sample(noise))
        corner = corner.gather(1, first[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
        origin = corner - low
        # Nearer to the camera and smaller by as much: the picture is the same.
        ahead = 1 - _STEP * torch.arange(1, slots + 1, device=batch.device)
        zero, one = torch.zeros_like(angle), torch.ones_like(angle)
        rows = [
            torch.stack([cosine, zero, sine], -1),
            torch.stack([zero, one, zero], -1),
            torch.stack([-sine, zero, cosine], -1),
        ]
        linear = torch.stack(rows, -2) * ahead[:, None, None]
        depth = (ahead - 1) * self.distance
        position = torch.stack([origin[..., 0] * ahead, depth.expand_as(zero), origin[..., 1] * ahead], -1)
        return append_instances(batch, torch.where(placed, mesh, -1).int(), affine(linear, position))


def first_uncovered(corner: Tensor, size: Tensor, wanted: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Places for boxes one after another, such that none covers too much of one that came before it.

    Args:
        corner: Lower corner of each place that a box may take, float32 [B, K, N, 2].
        size: Width and height of the boxes, float32 [B, N, 2].
        wanted: Which boxes are to be placed at all, bool [B, N].
        limit: Most of an earlier box that may be covered, as part of its area, float32 [B].

    Returns:
        The number of each box's first place within the limit, int64 [B, N], and which boxes found one, bool [B, N].

    Example:
        >>> corner = torch.tensor([[[[0.0, 0], [0, 0]], [[9.0, 9], [1, 0]]]])
        >>> first_uncovered(corner, torch.full((1, 2, 2), 2.0), torch.ones(1, 2).bool(), torch.tensor([0.5]))[0].tolist()
        [[0, 1]]
    """
    tries, slots = corner.shape[1:3]
    earliest = torch.arange(tries, 0, -1, device=corner.device)
    firsts: list[Tensor] = []
    placed: list[Tensor] = []
    spots: list[Tensor] = []
    for slot in range(slots):
        here = corner[:, :, slot]
        fits = wanted[:, slot, None].expand(-1, tries)
        if slot:
            others, sizes = torch.stack(spots, 1)[:, None], size[:, None, :slot]
            low = torch.maximum(here[:, :, None], others)
            high = torch.minimum((here + size[:, None, slot])[:, :, None], others + sizes)
            width, height = (high - low).clamp(min=0).unbind(-1)
            area = sizes[..., 0] * sizes[..., 1]
            clear = width * height <= limit[:, None, None] * area
            fits = fits & (clear | ~torch.stack(placed, 1)[:, None]).all(-1)
        first = (fits * earliest).argmax(1)
        firsts.append(first)
        placed.append(fits.any(1))
        spots.append(here.gather(1, first[:, None, None].expand(-1, 1, 2))[:, 0])
    return torch.stack(firsts, 1), torch.stack(placed, 1)


def flat_hulls(assets: Assets) -> Tensor:
    """The convex hulls of flat meshes in the plane y = 0, x and z [m], float32 [K, P, 2], the last corner repeated."""
    from scipy.spatial import ConvexHull

    hulls = []
    for first, count in assets.meshes[:, 2:].tolist():
        points = assets.hull[first : first + count].cpu().numpy().astype(np.float64)[:, [0, 2]]
        hulls.append(points[ConvexHull(points).vertices])
    longest = max(map(len, hulls))
    padded = [np.concatenate([hull, np.repeat(hull[-1:], longest - len(hull), 0)]) for hull in hulls]
    return torch.tensor(np.stack(padded), dtype=torch.float32)
