"""The recipe `unity_eyes`: labels against each other and against what is drawn."""

from __future__ import annotations

import functools

import pytest
import torch

import fastsynth as fs
from fastsynth.effects.refractive_eye import HUMAN
from fastsynth.recipes import eye_region as region
from fastsynth.recipes.eye_relief import heights, relief
from fastsynth.recipes.eye_textures import skin

SIZE = (120, 160)


@functools.cache
def recipe(*without, gray=False):
    return fs.recipes.unity_eyes(gray=gray, without=without)


@functools.cache
def drawn(*without, images=24):
    made = recipe(*without)
    frames = fs.render(made.sample(images, seed=5, aspect=4 / 3), SIZE, ("rgb", "instance_id", *made.label_outputs))
    return frames, made.labels(frames)


def in_camera(frames, places):
    """Points of x, y [pixels] and depth, back in the camera's frame: float64 [B, P, 3]."""
    height, width = frames.size
    x, y, depth = places.double().unbind(-1)
    focal = frames.batch.intrinsics[:, None, 0, 0].double()
    return torch.stack([(x - width / 2) / height / focal * depth, (y - height / 2) / height / focal * depth, depth], -1)


def test_gaze_is_recovered_from_the_iris():
    """The oracle of the specification: the normal of the circle through the 32 landmarks, to 0.5 degrees."""
    frames, labels = drawn(images=64)
    points = in_camera(frames, labels["iris"])
    middle = points - points.mean(1, keepdim=True)
    normal = torch.linalg.svd(middle).Vh[:, 2]
    normal = normal * -normal[:, 2:].sign()  # towards the camera
    cosine = (normal * labels["gaze"].double()).sum(-1).clamp(-1, 1)
    assert cosine.acos().rad2deg().max() < 0.5
    torch.testing.assert_close(
        middle.norm(dim=-1).mean(1).float(), HUMAN.limbus * labels["iris_size"], rtol=1e-3, atol=0
    )


def test_the_gaze_is_the_drawn_pitch_and_yaw():
    frames, labels = drawn()
    pitch, yaw = (frames.batch.params[f"objects.gaze.{name}"] for name in ("pitch", "yaw"))
    head = torch.stack([yaw.sin() * pitch.cos(), -yaw.cos() * pitch.cos(), pitch.sin()], -1)
    torch.testing.assert_close((labels["head"] @ head[..., None])[..., 0], labels["gaze"])
    for angle, most in ((pitch, 30), (yaw, 30)):
        assert angle.abs().max() <= fs.deg(most) and angle.abs().max() > fs.deg(20)


def test_ranges_are_those_of_the_generator():
    made = recipe()
    batch = made.sample(400, seed=1, aspect=4 / 3)
    params = batch.params
    assert 0.4 < (params["cornea.texture"] == 0).float().mean() < 0.6
    assert set(params["objects.skin"].tolist()) == set(range(20))
    assert params["cornea.iris"].min() >= 0.9 and params["cornea.iris"].max() <= 1.0
    assert abs(params["cornea.pupil"].std().item() - 0.2) < 0.03
    bumps = ("region.deformers.0.relief", *made.numbers["relief"])
    for name, low, high in (("light.0.intensity", 0.6, 1.2), ("light.1.ambient", 0.8, 1.2), bumps):
        assert low <= params[name].min() < low + 0.02 and high - 0.02 < params[name].max() <= high
    gain = (params["light.1.exposure"] - made.numbers["panorama_light"]).exp2()
    assert 0.999 < gain.min() < 1.01 and 1.19 < gain.max() < 1.201
    assert params["region.deformers.0.coefficient"].shape[-1] == 20
    eye = -(batch.camera_from_world[:, :3, :3].mT @ batch.camera_from_world[:, :3, 3:])[..., 0]
    torch.testing.assert_close(eye.norm(dim=1), torch.full((400,), 0.1))
    elevation, azimuth = (eye[:, 2] / 0.1).asin().rad2deg(), torch.atan2(eye[:, 0], -eye[:, 1]).rad2deg()
    assert elevation.abs().max() <= 20.01 and 39 < azimuth.abs().max() <= 40.01
    towards = -batch.light_direction[:, 0]
    assert towards[:, 2].min() > -0.18 and (towards[:, 1] < 0.01).all()
    brightest = batch.light_color.amax(-1)[:, 0]
    torch.testing.assert_close(brightest, params["light.0.intensity"])


def test_landmarks_lie_where_the_picture_shows_their_place():
    frames, labels = drawn()
    ids = frames.instance_id
    height, width = SIZE
    # The margin and the caruncle lie where skin meets the eyeball: there is skin within two pixels.
    skin = torch.nn.functional.max_pool2d((ids == 0)[:, None].float(), 5, 1, 2)[:, 0] > 0
    for name, shown in (("iris", ids == 1), ("margin", skin), ("caruncle", skin)):
        x, y = (labels[name][..., axis].floor().long() for axis in (0, 1))
        seen = labels[f"{name}_seen"]
        assert seen.float().mean() > 0.4, name  # half of an iris is behind the lids
        image = torch.arange(len(ids))[:, None].expand_as(x)
        found = shown[image, y.clamp(0, height - 1), x.clamp(0, width - 1)][seen]
        assert found.float().mean() > 0.97, name
    assert (~labels["iris_seen"]).any()


def test_lids_lie_on_the_eyeball_and_follow_the_gaze():
    """No vertex of the region is inside the eyeball; the margin's first loop touches it."""
    frames, _ = drawn()
    assets = frames.batch.assets
    rig = recipe().region.deformers[0]
    for image in range(8):
        level = assets.levels[assets.meshes[frames.batch.mesh_id[image, 0], 0]].tolist()
        rows = assets.faces[level[2] : level[2] + level[3], :3].unique().long()
        skin = rig.rows[rows - assets.meshlets[level[0], 0]] < region.FINE_LOOPS * (region.FINE_AROUND + 1)
        points = assets.vertices[rows[skin]]
        look = -frames.batch.world_from_object[image, 1, :3, 1]
        distance = points.norm(dim=1)
        above = distance - fs.deform.onto_ball(points / distance[:, None], rig._ball(look))
        assert above.min() > 0.5e-4
        first = rig.rows[rows[skin] - assets.meshlets[level[0], 0]] < region.FINE_AROUND
        assert first.sum() >= region.FINE_AROUND and above[first].max() < 5e-4
        assert ((above[first] - 1e-4).abs() < 1e-6).sum() >= region.AROUND
    pitch = torch.tensor([-0.5, 0.0, 0.5])
    look = torch.stack([torch.zeros(3), -pitch.cos(), pitch.sin()], -1)
    top = rig.posed(rig.mean.expand(3, -1, -1), pitch, look)[:, 4, 2]  # the middle of the upper margin
    low = rig.posed(rig.mean.expand(3, -1, -1), pitch, look)[:, 12, 2]
    assert top[0] < top[1] < top[2] and low[0] < low[1] < low[2]
    assert (top[2] - top[0]) > 2 * (low[2] - low[0])


def region_of(batch, rig):
    """Vertices of the region as it is drawn, float32 [B, P, 3]."""
    assets = batch.assets
    level = assets.meshes[batch.mesh_id[:, 0].long(), 0].long()
    first = assets.meshlets[assets.levels[level, 0].long(), 0].long()
    return assets.vertices[first[:, None] + torch.arange(len(rig.rows))]


def test_skin_is_displaced_by_its_map():
    """A vertex moves by the height of the skin that is drawn, outwards from the eyeball; edges and lashes stay."""
    made, smooth = recipe(), recipe("bumps")
    rig = made.region.deformers[0]
    batch, flat = (each.sample(32, seed=5) for each in (made, smooth))
    points, before = region_of(batch, rig), region_of(flat, rig)
    row, column = rig.rows // (region.FINE_AROUND + 1), rig.rows % (region.FINE_AROUND + 1) % region.FINE_AROUND
    loops = row < region.FINE_LOOPS
    edge = torch.tensor(region.drawn_loops())[row[loops]] <= 1
    textures = batch.texture_id[:, 0] - batch.texture_id[:, 0].min()
    assert torch.equal(textures, batch.params["objects.skin"].int() - batch.params["objects.skin"].min().int())
    table = heights().view(20, region.FINE_LOOPS, region.FINE_AROUND)
    height = table[batch.params["objects.skin"].long()][:, row[loops], column[loops]]
    gain = batch.params["region.deformers.0.relief"]
    direction = torch.nn.functional.normalize(before[:, loops], dim=-1)
    moved = points[:, loops] - before[:, loops]
    torch.testing.assert_close(moved, direction * (gain.view(32, 1) * height)[..., None], rtol=0, atol=2e-8)
    assert torch.equal(points[:, ~loops], before[:, ~loops])
    assert edge.sum() >= 3 * region.FINE_AROUND and not moved[:, edge].any()
    assert moved.norm(dim=-1).amax(1).min() > 1e-4


def test_maps_of_skins_differ_and_are_zero_on_edges():
    table = heights().view(20, region.FINE_LOOPS, region.FINE_AROUND)
    assert not table[:, region.drawn_loops() <= 1].any()
    assert 1e-4 < table.abs().amax((1, 2)).min() and table.abs().max() < 1e-3
    apart = (table[:, None] - table).abs().amax((2, 3)) + torch.eye(20)
    assert apart.min() > 1e-4


def test_vertices_have_the_mean_height_of_their_cells():
    size = 256
    fine = torch.tensor(relief(3, size), dtype=torch.float32)
    at = torch.tensor(region.drawn_uvs()[: region.FINE_LOOPS * (region.FINE_AROUND + 1)], dtype=torch.float32) * 2 - 1
    near = torch.nn.functional.grid_sample(fine[None, None], at[None, None], align_corners=False).view(
        region.FINE_LOOPS, -1
    )[:, 1:-1]
    made = heights().view(20, region.FINE_LOOPS, region.FINE_AROUND)[3][:, 1:]
    assert torch.corrcoef(torch.stack([made.flatten(), near.flatten()]))[0, 1] > 0.97
    assert made.std() < near.std()  # what is finer is averaged
    assert (made.max() <= fine.max()) and (made.min() >= fine.min())


def test_wrinkles_are_dark_where_they_are_deep():
    """Colour and height are of the same fields: below the eye, along a line across the wrinkles."""
    size, first = 256, round(region.SKIN_FROM * 256)
    across = slice(first + round(3.2 / 12 * (size - first)), first + round(6 / 12 * (size - first)))
    below = slice(round(0.68 * size), round(0.82 * size))

    def fine(line):
        wide = torch.nn.functional.avg_pool1d(line[None, None], 15, 1, 7, count_include_pad=False)[0, 0]
        return (line - wide)[7:-7]

    found = []
    for number in range(20):
        color = torch.tensor(skin(number).mean(-1))[across, below].mean(1)
        height = torch.tensor(relief(number))[across, below].mean(1)
        found.append(torch.corrcoef(torch.stack([fine(color), fine(height)]))[0, 1])
    assert torch.stack(found).median() > 0.6


def test_no_groove_reaches_into_the_eyeball():
    rig = recipe().region.deformers[0]
    look = torch.tensor([[0.0, -1.0, 0.0]])
    posed = rig.posed(rig.mean[None], torch.zeros(1), look)
    count = region.FINE_LOOPS * region.FINE_AROUND
    points = rig.drawn(posed, look, torch.full((1, count), -0.004))[0, : region.FINE_LOOPS * (region.FINE_AROUND + 1)]
    distance = points.norm(dim=1)
    above = distance - fs.deform.onto_ball(points / distance[:, None], rig._ball(look[0]))
    assert above.min() > 0.99e-4


def test_the_gain_of_the_relief_can_be_learned():
    made = fs.recipes.unity_eyes()
    made.learn("region.deformers.0.relief")
    region_of(made.sample(2), made.region.deformers[0]).square().sum().backward()
    for parameter in made.learnable():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


def test_lid_strengths_are_the_generators():
    strength = region.lid_strength()[: region.LOOPS * region.AROUND].reshape(region.LOOPS, region.AROUND)
    assert [round(float(s), 6) for s in strength[:7, 4]] == [1, 1, 1, 0.8, 0.4, 0.2, 0]
    assert [round(float(s), 6) for s in strength[:7, 4] / 3] == [round(float(s), 6) for s in strength[:7, 12]]
    assert not strength[:, [0, 8]].any()


def test_the_shape_model_is_one():
    model = region.shape_model()
    flat = torch.tensor(model.basis).flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(20, dtype=flat.dtype))
    assert model.mean.shape == (229, 3) and (model.sigma[:-1] >= model.sigma[1:]).all()


def test_an_eye_that_is_not_there_is_refused():
    step = fs.effects.RefractiveEye(torch.zeros(1, 3, 4, 4), slot=2)
    with pytest.raises(ValueError, match="`slot` must be one of the scene's 1"):
        fs.Scene(fs.Objects(fs.procedural.primitives()), eye=step).sample(1)


def test_grey_pictures_have_one_channel_and_the_same_labels():
    made = recipe(gray=True)
    frames = fs.render(made.sample(24, seed=5, aspect=4 / 3), SIZE, ("rgb", *made.label_outputs))
    assert torch.equal(frames.rgb[:, 0], frames.rgb[:, 1]) and frames.rgb.std() > 0.05
    torch.testing.assert_close(made.labels(frames)["iris"], drawn()[1]["iris"])


@pytest.mark.parametrize("axis", ["shape", "bumps", "gaze", "head", "iris", "refraction"])
def test_axes_that_are_off_change_the_picture_alone_where_they_should(axis):
    (frames, labels), (other, _) = drawn(axis), drawn()
    assert not torch.equal(frames.rgb, other.rgb)
    if axis == "bumps":
        assert all(torch.equal(labels[name], drawn()[1][name]) for name in ("margin", "caruncle", "iris"))
    if axis == "gaze":
        torch.testing.assert_close(labels["gaze"], -labels["head"][..., 1])
    if axis == "head":
        torch.testing.assert_close(labels["head"][:, 2], torch.tensor([0.0, 1.0, 0.0]).expand(24, 3))
    if axis == "refraction":
        assert torch.equal(frames.instance_id, other.instance_id)


def test_meshes_of_other_counts_are_refused():
    with pytest.raises(ValueError, match="a mesh of the eye region and one of the eyeball, .* but holds 6 meshes"):
        fs.recipes.unity_eyes(assets=fs.procedural.primitives())
