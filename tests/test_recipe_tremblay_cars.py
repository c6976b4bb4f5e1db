"""Domain randomization for car detection: what its recipe draws."""

from __future__ import annotations

import torch

import fastsynth as fs
from fastsynth.recipes import tremblay_cars

SIZE = (40, 120)
ASPECT = SIZE[1] / SIZE[0]


def test_what_is_drawn_lies_where_the_table_says():
    recipe = tremblay_cars()
    n = recipe.numbers
    drawn = recipe.sample(512, aspect=ASPECT).params
    ends = {
        "camera.0.azimuth": [fs.deg(a) for a in n["azimuth"]],
        "camera.0.elevation": [fs.deg(a) for a in n["elevation"]],
        **{f"camera.1.{name}": (-fs.deg(n["turn"]), fs.deg(n["turn"])) for name in ("pan", "tilt", "roll")},
        "objects.0.count": n["cars"],
        "objects.1.count": n["distractors"],
        "objects.1.scale": n["distractor_scale"],
        "light.0.count": n["point_lights"],
        "objects.2.present": n["ground"],
    }
    for path, (low, high) in ends.items():
        value = drawn[path].float()
        slack = 0.03 * (high - low)
        assert low <= value.min() < low + slack and high - slack < value.max() <= high + 1e-6, path
    assert abs(drawn["objects.2.present"].float().mean() - 0.5) < 0.1


def test_cars_keep_apart_on_the_ground():
    recipe = tremblay_cars()
    batch = recipe.sample(256, aspect=ASPECT)
    cars = batch.mesh_id[:, :14]
    assert cars.max() < 36 and cars[cars >= 0].unique().numel() == 36
    low = recipe.assets.mesh_bounds[cars.clamp(min=0).long()][..., 2]
    at = batch.world_from_object[:, :14, :3, 3]
    assert (at[..., 2] + low)[cars >= 0].abs().max() < 1e-5
    gap = (at[:, :, None] - at[:, None]).norm(dim=-1)
    both = (cars >= 0)[:, :, None] & (cars >= 0)[:, None] & ~torch.eye(14, dtype=torch.bool)
    assert gap[both].min() > 3.5  # no car is shorter: their spheres are apart
    frames = fs.render(batch, SIZE, ("visible_pixels",))
    shown = (frames.visible_pixels[:, :14] > 0).sum(1)
    assert (shown > 0).float().mean() > 0.75 and shown.float().mean() > 4


def test_everything_wears_a_photograph_but_where_it_is_off():
    recipe = tremblay_cars()
    batch = recipe.sample(32, aspect=ASPECT)
    photos = len(batch.photos)
    first = len(recipe.assets.textures) - photos
    worn = batch.texture_id[batch.mesh_id >= 0]
    assert worn.min() >= first and worn.unique().numel() == photos and (batch.photo_id >= 0).all()
    half = tremblay_cars(without=["half_textures"]).sample(32, aspect=ASPECT)
    assert half.texture_id.max() < first + (photos + 1) // 2
    assert (tremblay_cars(without=["textures"]).sample(4).texture_id == -1).all()
    assert not tremblay_cars(without=["augmentation"]).sample(4).effects
    lamp = tremblay_cars(without=["light"]).sample(4)
    assert (lamp.light_kind[:, :12] > 0).sum(1).eq(1).all()
    assert all(lamp.light_color[:, row].unique().numel() == 1 for row in (0, 12))
    mirrored = torch.linalg.det(recipe.sample(64, aspect=ASPECT).camera_from_world) < 0
    assert 16 < int(mirrored.sum()) < 48  # half of the pictures are flipped


def test_cars_darken_the_ground_below_them_and_nothing_else_changes():
    off = ["textures", "augmentation", "distractors"]
    lit, bare = (tremblay_cars(without=[*off, *more]).sample(32, aspect=ASPECT) for more in ([], ["shadows"]))
    assert (lit.light_kind[:, 12] == 1).all() and lit.shadow_lights == (12,) and not bare.shadow_lights
    frames = fs.render(lit, (80, 240), ("rgb", "instance_id", "depth"))
    part = frames.rgb.mean(1) / fs.render(bare, (80, 240)).rgb.mean(1)
    on_ground = frames.instance_id == lit.instances - 1
    # Below a car, and far from all: the points of the ground that are seen.
    ray = fs.geometry.invert_rigid(lit.camera_from_world)
    below, away = [], []
    for row in on_ground.flatten(1).any(1).nonzero()[:, 0].tolist():
        down, across = on_ground[row].nonzero().unbind(1)
        k = lit.intrinsics[row]
        x = ((across + 0.5 - 120) / 80 - k[0, 2]) / k[0, 0]
        y = ((down + 0.5 - 40) / 80 - k[1, 2]) / k[1, 1]
        seen = torch.stack([x, y, torch.ones_like(x)], -1) * frames.depth[row, down, across, None]
        point = seen @ ray[row, :3, :3].T + ray[row, :3, 3]
        cars = lit.world_from_object[row, :14, :3, 3][lit.mesh_id[row, :14] >= 0]
        apart = (point[:, None, :2] - cars[:, :2]).norm(dim=-1).amin(1)
        inside = point[:, :2].norm(dim=-1) < 20
        below.append(part[row, down, across][(apart < 0.9) & inside])
        away.append(part[row, down, across][apart > 5])
    below, away = torch.cat(below), torch.cat(away)
    assert len(below) > 20 and below.mean() < 0.85
    assert (away - 1).abs().max() < 1e-3


def test_own_photographs_and_models():
    photos = fs.Textures.from_images([torch.full((8, 12, 3), 40 * row, dtype=torch.uint8) for row in range(3)])
    own = tremblay_cars(fs.procedural.primitives(), photos)
    assert own.target_classes == ("box", "sphere", "cylinder", "cone", "torus", "plane")
    assert own.sample(8).photo_id.max() <= 2


def test_cars_differ_and_face_outward():
    meshes = fs.recipes.assets_cars.cars(2, 2, 1)
    sizes = {tuple((mesh.vertices.max(0) - mesh.vertices.min(0)).round(3)) for mesh in meshes}
    assert len(sizes) == 5
    for mesh in meshes:
        length, width, height = mesh.vertices.max(0) - mesh.vertices.min(0)
        assert 3.5 < length < 5.8 and 1.6 < width < 2.1 and 1.3 < height < 2.5
        corners = torch.tensor(mesh.vertices[mesh.faces])
        a, b, c = corners.unbind(1)
        assert (a * torch.linalg.cross(b, c)).sum() / 6 > 4.0  # enclosed volume [m^3]
