"""Things placed along the lanes of a street, and a camera that drives on one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.assets import Assets
from fastsynth.geometry import affine, multiply
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.randomizers.camera import intrinsics_of
from fastsynth.randomizers.objects import TRIES, Objects, append_instances, first_free
from fastsynth.recipes.assets_street import BEFORE, STEP, Street
from fastsynth.scene import Parts, Randomizer
from fastsynth.types import SceneBatch

#: Lanes lie this far apart where places along them are compared: farther than any street is long [m].
_APART = 1e4


class Roads(Parts):
    """Streets of which one is chosen for each image, for all that stand on it to share.

    Args:
        streets: What there is to choose from.
    """

    middle: Tensor
    lanes: Tensor
    counts: Tensor

    def __init__(self, streets: Sequence[Street]) -> None:
        super().__init__()
        most = max(len(street.lanes) for street in streets)
        lanes = torch.zeros(len(streets), most, 2)
        for row, street in enumerate(streets):
            lanes[row, : len(street.lanes)] = torch.tensor(street.lanes)
        middle = torch.stack([torch.tensor(street.middle) for street in streets]).float()
        counts = torch.tensor([[len(s.lanes), s.forward, s.half] for s in streets])
        for name, value in (("middle", middle), ("lanes", lanes), ("counts", counts)):
            self.register_buffer(name, value, persistent=False)
        self.street = Choice(range(len(streets)))
        self.ego_lane = Choice(range(max(street.forward for street in streets)))

    def here(self, noise: Noise) -> tuple[Tensor, Tensor]:
        """The street of each image, and the lane that the camera drives on: int64 [B] each."""
        street = self.street.sample(noise).long()
        lane = torch.minimum(self.ego_lane.sample(noise).long(), self.counts[street, 1].long() - 1)
        return street, lane

    def at(self, street: Tensor, along: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points beside the middle line.

        Args:
            street: int64, of one shape with the others.
            along: From the street's origin [m].
            offset: To the left [m].

        Returns:
            x, y [m] and the heading of the street there [rad].
        """
        place = ((along + BEFORE) / STEP).clamp(0, self.middle.shape[1] - 1.001)
        first = place.floor().long()
        part = (place - first)[..., None]
        near, far = self.middle[street, first], self.middle[street, first + 1]
        x, y, heading = (near + part * (far - near)).unbind(-1)
        return x - offset * heading.sin(), y + offset * heading.cos(), heading


class RoadCamera(Randomizer):
    """A camera on a car that drives along a street.

    Args:
        roads: Streets.
        along: Where the car is [m].
        height: Of the camera [m].
        pan: Of the car against its lane, to the left [rad].
        tilt: Upwards [rad].
        fov: Vertical field of view [rad].
    """

    def __init__(self, roads: Roads, along: Any, height: Any, pan: Any, tilt: Any, fov: Any) -> None:
        super().__init__()
        self.roads = roads
        self.along: Distribution = as_distribution(along, "RoadCamera: `along`", [()])
        self.height: Distribution = as_distribution(height, "RoadCamera: `height`", [()])
        self.pan: Distribution = as_distribution(pan, "RoadCamera: `pan`", [()])
        self.tilt: Distribution = as_distribution(tilt, "RoadCamera: `tilt`", [()])
        self.fov: Distribution = as_distribution(fov, "RoadCamera: `fov`", [()])

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Set the pose and the intrinsics."""
        street, lane = self.roads.here(noise)
        x, y, heading = self.roads.at(street, self.along.sample(noise), self.roads.lanes[street, lane, 0])
        yaw, tilt = heading + self.pan.sample(noise), self.tilt.sample(noise)
        cy, sy, ct, st = yaw.cos(), yaw.sin(), tilt.cos(), tilt.sin()
        right = torch.stack([sy, -cy, torch.zeros_like(cy)], -1)
        down = torch.stack([cy * st, sy * st, -ct], -1)
        ahead = torch.stack([cy * ct, sy * ct, st], -1)
        rotation = torch.stack([right, down, ahead], -2)
        eye = torch.stack([x, y, self.height.sample(noise)], -1)
        shift = -multiply(rotation, eye[..., None])[..., 0]
        return batch.replace(
            camera_from_world=affine(rotation, shift), intrinsics=intrinsics_of(self.fov.sample(noise))
        )


class TheStreet(Randomizer):
    """The street itself, in a slot of its own."""

    def __init__(self, assets: Assets, roads: Roads, first: int) -> None:
        super().__init__()
        self.assets, self.roads, self.first = assets, roads, first

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append it."""
        mesh = (self.first + self.roads.here(noise)[0])[:, None].int()
        return append_instances(batch, mesh, torch.eye(4, device=batch.device).expand(*mesh.shape, 4, 4))


class AlongRoad(Objects):
    """Objects along the lanes, or along the kerbs, of a street; those of one lane do not touch.

    An object heads along its lane (its +x), or stands with its +y away from the road. Of 16 random places the first
    free one is taken; an object that finds none is left out.

    Args:
        assets: Meshes.
        roads: Streets.
        count: As of `Objects`.
        rows: Which meshes.
        along: In front of the camera's car [m].
        camera: Where that is.
        across: To the side: from the middle of the lane; outward from the kerb [m].
        turn: From the direction of the lane, counter-clockwise [rad].
        scale: As of `Objects`.
        gap: Least distance between two of one lane [m]; None = they may stand in each other, as leaves of trees do.
        clear: No object of the camera's own lane is nearer than this [m].
        kerb: Along the kerbs rather than on the lanes.
    """

    def __init__(
        self,
        assets: Assets,
        roads: Roads,
        count: Any,
        rows: Sequence[int] | range,
        along: Any,
        camera: RoadCamera,
        across: Any = 0.0,
        turn: Any = 0.0,
        scale: Any = 1.0,
        gap: float | None = 2.0,
        clear: float = 0.0,
        kerb: bool = False,
    ) -> None:
        super().__init__(assets, count, rows, scale=scale, position=(0.0, 0.0, 0.0))
        del self.position
        self.roads = roads
        self.along: Distribution = as_distribution(along, "AlongRoad: `along`", [()])
        self.across: Distribution = as_distribution(across, "AlongRoad: `across`", [()])
        self.turn: Distribution = as_distribution(turn, "AlongRoad: `turn`", [()])
        self.start: Distribution = camera.along
        self.gap, self.clear, self.kerb = gap, clear, kerb

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Append the slots of these objects."""
        slots, many = self.slots, (1 if self.gap is None else TRIES, self.slots)
        street, ego = self.roads.here(noise)
        mesh = self.meshes(noise)
        used = torch.arange(slots, device=batch.device) < self.count.sample(noise)[:, None]
        street = street.view(-1, 1, 1).expand(batch.images, *many)
        count, _, half = self.roads.counts[street].unbind(-1)
        u = noise.of(self).uniform(many, "lane")
        along = self.along.sample(noise, many)
        if self.kerb:
            lane = (u * 2).long()
            way = 1.0 - 2.0 * lane
            offset = way * half
        else:
            lane = torch.minimum((u * count).long(), count.long() - 1)
            offset, way = self.roads.lanes[street, lane].unbind(-1)
            along = torch.where(lane == ego.view(-1, 1, 1), along.clamp(min=self.clear), along)
        linear = self._linear(noise, (batch.images, slots))
        if self.gap is None:
            street, along, offset, way = (each[:, 0] for each in (street, along, offset, way))
        else:
            low, high = batch.assets.mesh_bounds[mesh].split(3, -1)
            length = (high - low)[..., 0] * linear[..., 0, 0]
            apart = torch.stack([along, lane * _APART, torch.zeros_like(along)], -1)
            first, used = first_free(apart, (length + self.gap) / 2, used)
            first = first[:, None]
            street, along, offset, way = (each.gather(1, first)[:, 0] for each in (street, along, offset, way))
        offset = offset + way * self.across.sample(noise, slots)
        x, y, heading = self.roads.at(street, along + self.start.sample(noise)[:, None], offset)
        turn = heading + torch.where(way < 0, math.pi, 0.0) + self.turn.sample(noise, slots)
        c, s, zero = turn.cos(), turn.sin(), torch.zeros_like(turn)
        turned = torch.stack([c, -s, zero, s, c, zero, zero, zero, zero + 1], -1).unflatten(-1, (3, 3))
        mesh_id = torch.where(used, mesh, -1).int()
        return append_instances(batch, mesh_id, affine(multiply(turned, linear), torch.stack([x, y, zero], -1)))
