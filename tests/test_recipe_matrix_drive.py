"""Driving in the Matrix: what its recipe draws."""

from __future__ import annotations

import functools

import pytest
import torch

import fastsynth as fs
from fastsynth.recipes import matrix_drive

SIZE = (44, 80)
ASPECT = SIZE[1] / SIZE[0]
VEHICLES = 12
TIME, WEATHER = "light.0.color.row", "light.0.intensity.row"


@functools.cache
def drive():
    return matrix_drive()


def test_depth_and_stencil_are_of_what_is_drawn():
    frames = fs.render(drive().sample(4, aspect=ASPECT), SIZE, ("rgb", "instance_id", "depth", "semantic_id"))
    own = drive().labels(frames)
    assert torch.equal(own["stencil"] >= 0, frames.instance_id >= 0) and torch.equal(own["depth"], frames.depth)


def test_every_hour_and_weather_has_its_own_light():
    recipe = drive()
    batch = recipe.sample(512, aspect=ASPECT)
    n, drawn = recipe.numbers, batch.params
    fog, rain = (next(s.values for s in batch.effects if name in s.values) for name in ("extinction", "drops"))
    for row, name in enumerate(n["weathers"]):
        here = drawn[WEATHER] == row
        assert 80 < int(here.sum()) < 180, name
        for value, column in ((fog["extinction"], "fog"), (rain["drops"], "drops"), (drawn["wetness.wet"], "wet")):
            low, high = bounds(n[name][column])
            assert (value[here] >= low - 1e-7).all() and (value[here] <= high + 1e-7).all(), (name, column)
    elevation = batch.light_direction[:, 0, 2].neg().asin()
    for row, name in enumerate(n["times"]):
        here = drawn[TIME] == row
        assert 80 < int(here.sum()) < 180, name
        low, high = (fs.deg(a) for a in bounds(n[name]["sun"]))
        assert (elevation[here] >= low - 1e-4).all() and (elevation[here] <= high + 1e-4).all()
        assert torch.allclose(batch.exposure[here], torch.tensor(float(n[name]["ev"])))
        lamps = (batch.light_kind[here, 2:] > 0).all(1)
        assert lamps.all() if n[name]["lamps"] else not lamps.any()


def test_the_sky_glows_where_the_sun_is():
    recipe = drive()
    batch = recipe.sample(256, aspect=ASPECT)
    sun = -batch.light_direction[:, 0]
    clear = batch.params[WEATHER] == recipe.numbers["weathers"].index("clear")
    sky = recipe.background[0].environments
    assert len(sky) == 32 and batch.environment_id.unique().numel() == 32
    # Of all directions the brightest, where nothing hides it.
    turned = batch.replace(environment_scale=torch.ones(256))
    ways = fs.environments.octahedral_directions(96).flatten(0, 1)
    found = fs.environment.radiance(turned, ways.expand(256, -1, -1)).sum(-1)
    brightest = ways[found.argmax(1)]
    apart = (brightest * sun).sum(-1).clamp(-1, 1).acos()[clear].rad2deg()
    assert len(apart) > 40 and apart.max() < 12  # two heights in a range of up to 35 degrees
    # From above, and dark below.
    down = torch.tensor([0.3, 0.2, -0.9]).expand(256, 1, 3)
    up = found[:, ways[:, 2] > 0.1].mean(1)
    assert (fs.environment.radiance(turned, down).sum((1, 2)) < up).all()
    # A row of the table for each time and weather, whichever the sun's height.
    row = batch.params[TIME] * 4 + batch.params[WEATHER]
    assert torch.equal(batch.environment_id.long() // 2, row)


def test_photographs_are_behind_and_panoramas_light():
    photos = fs.Textures.from_images([torch.full((8, 16, 3), 40 * row, dtype=torch.uint8) for row in range(1, 4)])
    recipe = matrix_drive(photos=photos, without=["weather"])
    batch = recipe.sample(8, aspect=ASPECT)
    assert not batch.environment_visible and (batch.photo_id >= 0).all()
    frames = fs.render(batch.replace(effects=()), SIZE, ("rgb", "instance_id"))
    alike = drive().sample(8, aspect=ASPECT)
    assert torch.equal(batch.params["light.0.azimuth"], alike.params["light.0.azimuth"])
    for row in range(8):
        sky = frames.rgb[row][:, frames.instance_id[row] < 0]
        assert sky.shape[1] == 0 or sky.std(1).max() < 0.02  # an even photograph, no clouds
    other = fs.render(batch.replace(effects=(), environment_azimuth=batch.environment_azimuth + 2.0), SIZE).rgb
    assert not torch.equal(other, frames.rgb)


def bounds(cell):
    return cell if isinstance(cell, list) else (cell, cell)


def test_a_night_is_darker_than_a_noon_and_fog_hides_what_is_far():
    noon = matrix_drive(without=["time", "weather"])
    clear = noon.sample(32, aspect=ASPECT)
    assert (clear.params.keys() & {TIME, WEATHER}) == set()
    drawn = drive().sample(128, aspect=ASPECT)
    mean = fs.render(drawn, SIZE, ("rgb",)).rgb.mean((1, 2, 3))
    hour = drawn.params[TIME]
    names = drive().numbers["times"]
    assert mean[hour == names.index("night")].mean() < 0.5 * mean[hour == names.index("noon")].mean()
    foggy = fs.render(clear.replace(effects=()), SIZE, ("rgb",)).rgb
    thick = next(s for s in drawn.effects if "extinction" in s.values)
    step = fs.Step(thick.change, {**{k: v[:32] for k, v in thick.values.items()}, "extinction": torch.full((32,), 1.0)})
    step = fs.Step(step.change, step.values, "light", thick.needs)
    white = fs.render(clear.replace(effects=(step,)), SIZE, ("rgb",)).rgb
    assert white.flatten(2).std(2).mean() < 0.5 * foggy.flatten(2).std(2).mean()


def outline(recipe, batch, slots):
    """Corners of the vehicles on the ground, float [B, N, 4, 2]."""
    box = recipe.assets.mesh_bounds[batch.mesh_id[:, slots].clamp(min=0).long()]
    corners = torch.stack([box[..., [i, j]] for i, j in ((0, 1), (3, 1), (3, 4), (0, 4))], -2)
    pose = batch.world_from_object[:, slots]
    return (corners[..., None, :] * pose[..., None, :2, :2]).sum(-1) + pose[..., None, :2, 3]


def test_vehicles_stand_on_lanes_and_do_not_touch():
    recipe = drive()
    batch = recipe.sample(384, aspect=ASPECT)
    slots = slice(0, VEHICLES)
    there = batch.mesh_id[:, slots] >= 0
    wanted = batch.params["objects.0.count"]
    assert wanted.min() == 1 and wanted.max() == VEHICLES and (wanted - there.sum(1)).float().mean() < 1.0
    corners = outline(recipe, batch, slots)
    # Separating axes: two rectangles are apart if one of their sides' normals tells them apart.
    sides = corners.roll(-1, 2) - corners
    axes = torch.stack([-sides[..., 1], sides[..., 0]], -1)[:, :, :2]

    def spans(axis):  # [B, N, 2, 2] of every vehicle -> of all others along it
        along = (axis[:, :, None, :, None] * corners[:, None, :, None]).sum(-1)  # [B, N, M, 2, 4]
        return along.amin(-1), along.amax(-1)

    low, high = spans(axes)
    own = torch.arange(VEHICLES)
    mine_low, mine_high = low[:, own, own][:, :, None], high[:, own, own][:, :, None]
    apart = ((low > mine_high) | (high < mine_low)).any(-1)
    apart = apart | apart.transpose(1, 2) | torch.eye(VEHICLES, dtype=torch.bool)
    both = there[:, :, None] & there[:, None]
    assert apart[both].all()
    # On their lane, heading along it.
    roads = recipe.camera.roads
    street = batch.params["camera.roads.street"]
    at, turn = batch.world_from_object[:, slots, :2, 3], batch.world_from_object[:, slots, :2, 0]
    middle = roads.middle[street]  # [B, P, 3]
    near = (at[:, :, None] - middle[:, None, :, :2]).norm(dim=-1).argmin(-1)
    point = middle.gather(1, near[..., None].expand(-1, -1, 3))
    left = torch.stack([-point[..., 2].sin(), point[..., 2].cos()], -1)
    offset = ((at - point[..., :2]) * left).sum(-1)
    lanes = roads.lanes[street]
    gap, lane = (offset[..., None] - lanes[:, None, :, 0]).abs().min(-1)
    assert gap[there].max() < 0.25 + 0.06  # a bend between two points of the middle line
    way = lanes[..., 1].gather(1, lane)
    ahead = torch.stack([point[..., 2].cos(), point[..., 2].sin()], -1) * way[..., None]
    assert (turn * ahead).sum(-1)[there].min() > 0.997  # 2.5 degrees, and the bend


def test_the_camera_drives_on_a_lane_with_room_ahead():
    batch = drive().sample(256, aspect=ASPECT)
    eye = fs.geometry.invert_rigid(batch.camera_from_world)[:, :3, 3]
    n = drive().numbers
    assert n["camera_height"][0] <= eye[:, 2].min() and eye[:, 2].max() <= n["camera_height"][1]
    far = (batch.world_from_object[:, :VEHICLES, :3, 3] - eye[:, None]).norm(dim=-1)
    assert far[batch.mesh_id[:, :VEHICLES] >= 0].min() > 4.5
    assert batch.mesh_id[:, -1].unique().numel() == 6 and batch.instances <= 64


def test_paint_is_the_vehicles_alone_and_rain_wets_everything():
    recipe = drive()
    batch = recipe.sample(64, aspect=ASPECT)
    dry = batch.params[WEATHER] == recipe.numbers["weathers"].index("clear")
    others = batch.base_color[dry][:, VEHICLES:]
    assert (others == 1).all() and (batch.base_color[dry][:, :VEHICLES, :3] < 1).any()
    wet = batch.params[WEATHER] == recipe.numbers["weathers"].index("rain")
    assert (batch.roughness[wet] < 0.6).all() and (batch.roughness[dry] == -1).all()


def test_own_vehicles_and_wrong_axes():
    own = matrix_drive(fs.pack(fs.recipes.assets_cars.cars(2, 1), ["car", "car", "taxi"], lod=False))
    assert own.target_classes == ("car", "taxi") and own.sample(16).mesh_id[:, :VEHICLES].max() == 2
    with pytest.raises(ValueError, match="'noise' is none"):
        matrix_drive(without=["noise"])
