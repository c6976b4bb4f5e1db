"""Pictures through lenses: where things are, all of their labels, and what gradients say."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from lens_cases import LENSES, camera, flat_light, grid_of_boxes, nearest_box, rays_of

import fastsynth as fs
from fastsynth import annotate, augment
from fastsynth.lens import MODELS
from fastsynth.types import OUTPUTS

pytestmark = pytest.mark.usefixtures("one_thread")
every = pytest.mark.parametrize("name", LENSES)
SIZE = HEIGHT, WIDTH = 96, 96
FINE = 4  # reference rays along a pixel's side
REACH = 0.25  # what a picture may be off [pixels]


@functools.cache
def seen_exactly(name):
    """Which box the reference sees, at 4 x 4 places a pixel and at pixel centres, and how far away at the latter."""
    batch = grid_of_boxes(name)
    poses = batch.world_from_object[0].double().numpy()
    made = []
    for grid in (FINE, 1):
        rays, inside = rays_of(batch, SIZE, grid)
        number, distance = nearest_box(rays, poses, np.full(3, -1.0), np.full(3, 1.0))
        made.append((np.where(inside, number, -1), rays, distance))
    return made


@functools.cache
def drawn(name):
    return fs.render(grid_of_boxes(name), SIZE, OUTPUTS, samples=4)


@every
def test_boxes_out_to_85_degrees_are_where_the_reference_sees_them(name):
    frames, ((fine, *_), (centre, *_)) = drawn(name), seen_exactly(name)
    ids = frames.instance_id[0].numpy()
    wrong = np.argwhere(ids != centre)
    assert len(wrong) < 0.1 * (centre >= 0).sum()
    # Where the label is another than the reference's, what it names is within reach of the pixel's centre.
    for y, x in wrong:
        rows, columns = slice(max(y - 1, 0) * FINE, (y + 2) * FINE), slice(max(x - 1, 0) * FINE, (x + 2) * FINE)
        there = np.argwhere(fine[rows, columns] == ids[y, x]) + (rows.start, columns.start)
        apart = np.hypot(*((there + 0.5) / FINE - (y + 0.5, x + 0.5)).T)
        assert len(there) and apart.min() < REACH + 0.5 * math.sqrt(2) / FINE  # as coarse as the reference is


@every
def test_silhouettes_and_centroids_are_the_references(name):
    frames, ((fine, *_), _) = drawn(name), seen_exactly(name)
    seen = (fine >= 0).reshape(HEIGHT, FINE, WIDTH, FINE).mean((1, 3))
    light = frames.rgb[0, 0].double().numpy()  # white boxes on black: the part of a pixel that they cover
    assert np.abs(light - seen).mean() < 0.5 * np.minimum(seen, 1 - seen).mean()
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    single = 0
    for number in range(frames.batch.instances):
        own = fine == number
        box = own.reshape(HEIGHT, FINE, WIDTH, FINE).mean((1, 3))
        around = np.zeros_like(own, shape=(HEIGHT, WIDTH), dtype=bool)
        rows, columns = np.nonzero(box)
        if len(rows) < 9:
            continue
        around[max(rows.min() - 2, 0) : rows.max() + 3, max(columns.min() - 2, 0) : columns.max() + 3] = True
        if ((fine >= 0) & ~own).reshape(HEIGHT, FINE, WIDTH, FINE).any((1, 3))[around].any():
            continue
        single += 1
        for axis in (x, y):
            places = [(axis * part)[around].sum() / part[around].sum() for part in (light, box)]
            assert abs(places[0] - places[1]) < REACH
    assert single > 4


@every
def test_labels_of_a_pixel_are_those_of_its_ray(name):
    frames, (_, (centre, rays, distance)) = drawn(name), seen_exactly(name)
    same = (frames.instance_id[0].numpy() == centre) & (centre >= 0)
    points = rays * np.where(np.isfinite(distance), distance, 0)[..., None]
    error = np.abs(frames.distance[0].numpy() - distance)[same] / distance[same]
    assert np.median(error) < 0.005 and np.quantile(error, 0.95) < 0.03  # of a place a quarter of a pixel away
    error = np.abs(frames.depth[0].numpy() - points[..., 2])[same] / distance[same]
    assert np.median(error) < 0.005 and np.quantile(error, 0.95) < 0.03
    back = np.linalg.inv(frames.batch.world_from_object[0].double().numpy())[np.maximum(centre, 0)]
    local = np.einsum("hwij,hwj->hwi", back[..., :3, :3], points) + back[..., :3, 3]
    error = np.linalg.norm(frames.object_coordinates[0].permute(1, 2, 0).numpy() - local, axis=-1)[same]
    assert np.median(error) < 0.1  # of boxes 2 wide
    # The drawn normal is that of the face which the ray meets, in the axes of the camera.
    axis, way = np.abs(local).argmax(-1), np.sign(np.take_along_axis(local, np.abs(local).argmax(-1)[..., None], -1))
    turn = frames.batch.world_from_object[0].double().numpy()[np.maximum(centre, 0)][..., :3, :3]
    normal = np.take_along_axis(turn, axis[..., None, None], -1)[..., 0] * way
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    agree = (normal * frames.normals[0].permute(1, 2, 0).numpy()).sum(-1)[same]
    assert (agree > 0.999).mean() > 0.9
    facing = (frames.normals[0].permute(1, 2, 0).numpy() * rays).sum(-1)[same]
    assert (facing < 0.02).all()


@functools.cache
def crowd(name):
    """Many images of objects all around the camera, each under a lens of its own."""
    scene = fs.Scene(
        fs.Objects(
            fs.procedural.primitives(),
            count=fs.Choice(range(4, 13)),
            position=fs.Uniform((-1.0, -1.0, -0.4), (1.0, 1.0, 1.0)),
            rotation=fs.UniformRotation(),
            scale=fs.LogUniform(0.1, 0.4),
        ),
        light=fs.SkyAmbient(),
    )
    images = 24
    own = camera(images, name)
    generator = torch.Generator().manual_seed(1)
    own["distortion"] = own["distortion"] * (0.5 + torch.rand(images, 1, generator=generator))
    own["intrinsics"] = own["intrinsics"] * torch.tensor([[[1.0], [1.0], [1.0]]])
    return scene.sample(images, seed=4).replace(**own)


@every
def test_labels_agree_with_each_other(name):
    batch = crowd(name)
    frames = fs.render(batch, (64, 80), OUTPUTS)
    masks = annotate.instance_mask(frames)
    pixels = masks.sum((2, 3))
    assert (pixels > 0).sum() > 40
    assert torch.equal(frames.visible_pixels.long(), pixels)
    rows, columns = masks.any(3), masks.any(2)
    for image, slot in (pixels > 0).nonzero().tolist():
        y, x = (line[image, slot].nonzero() for line in (rows, columns))
        assert frames.boxes_2d_tight[image, slot].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert not frames.boxes_2d_tight[pixels == 0].any()
    assert (masks.sum(1) == (frames.instance_id >= 0)).all()  # a partition
    assert not (masks & ~frames.amodal_masks).any()
    assert torch.equal(frames.total_pixels.long(), frames.amodal_masks.sum((2, 3)))
    assert (frames.visible_pixels <= frames.total_pixels).all()
    seen = frames.instance_id >= 0
    assert torch.equal(seen, frames.triangle_id >= 0) and torch.equal(seen, frames.semantic_id >= 0)
    assert torch.equal(seen, frames.distance > 0)
    assert (frames.depth.abs() <= frames.distance * 1.0001).all()
    lengths = torch.linalg.vector_norm(frames.normals, dim=1)
    torch.testing.assert_close(lengths, seen.float(), atol=1e-5, rtol=0)
    tight, loose = (box[frames.visible_pixels > 0] for box in (frames.boxes_2d_tight, frames.boxes_2d_loose))
    # A pixel is seen at its centre, and labels are those of a place within reach of it.
    out = torch.cat([loose[:, :2] - tight[:, :2], tight[:, 2:] - loose[:, 2:]], 1)
    assert out.max() <= 0.5 + (REACH if batch.lens_angle > 1 else 0.4)  # one view is coarser in the middle of a barrel
    whole = (frames.visible_pixels == frames.total_pixels) & (frames.total_pixels > 30)
    inner = (frames.boxes_2d_tight[..., :2] > 2).all(-1) & (frames.boxes_2d_tight[..., 2] < 78)
    snug = frames.boxes_2d_loose - frames.boxes_2d_tight
    middle = ((frames.boxes_2d_tight[..., :2] + frames.boxes_2d_tight[..., 2:]) / 2 - torch.tensor([40.0, 32.0])).norm(
        dim=-1
    )
    chosen = whole & inner & (middle < 16)
    assert chosen.sum() > 2 and snug[chosen].abs().max() < 1.5


def test_an_image_is_the_same_in_every_batch():
    for name in ("fisheye", "radial_tangential"):
        whole, part = (fs.render(batch, (48, 48), OUTPUTS, samples=4) for batch in (crowd(name), crowd(name)[5:7]))
        for output in OUTPUTS:
            assert torch.equal(getattr(whole, output)[5:7], getattr(part, output)), output


def test_beyond_the_circle_it_is_dark():
    batch = crowd("fisheye").replace(background_color=torch.ones(24, 2, 3))
    frames = fs.render(batch, (48, 64), ("rgb", "instance_id"))
    assert (frames.rgb[:, :, 0, 0] == 0).all() and (frames.rgb[:, :, 24, 32] > 0).all()
    assert (frames.instance_id[:, 0, 0] == -1).all()


def test_a_lens_without_distortion_is_a_pinhole():
    scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=5), light=fs.SkyAmbient())
    batch = scene.sample(6, seed=1)
    pinhole = fs.render(batch, (64, 64), OUTPUTS, samples=4)
    lens = fs.render(batch.replace(lens="radial_tangential"), (64, 64), OUTPUTS, samples=4)
    same = pinhole.instance_id == lens.instance_id
    assert same.float().mean() > 0.995
    assert (pinhole.rgb - lens.rgb).abs().mean() < 4e-3
    torch.testing.assert_close(pinhole.boxes_2d_loose, lens.boxes_2d_loose, atol=0.3, rtol=0.01)
    both = same & (pinhole.triangle_id == lens.triangle_id) & (pinhole.instance_id >= 0)
    assert ((pinhole.depth - lens.depth).abs() / pinhole.depth.clamp(min=1e-6))[both].median() < 2e-3


def test_the_background_keeps_its_place():
    image = torch.randint(0, 255, (64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scene = fs.Scene(
        fs.Objects(fs.procedural.primitives(), position=(0.0, 0.0, -50.0)),
        background=fs.ImageBackground(fs.Textures.from_images([image]), scale=1.0),
    )
    batch = scene.sample(2)
    seen = fs.render(batch.replace(lens="equidistant", lens_angle=1.8), (32, 32), ("rgb",)).rgb
    plain = fs.render(batch, (32, 32), ("rgb",)).rgb
    torch.testing.assert_close(seen[:, :, 12:20, 12:20], plain[:, :, 12:20, 12:20], atol=1e-5, rtol=0)


@every
def test_keypoints_and_boxes_in_space_go_through_the_lens(name):
    frames = drawn(name)
    batch = frames.batch
    corners = torch.tensor([[[0.0, 0.0, 0.0]]])
    points = annotate.keypoints_2d(frames, corners)[0, :, 0]
    ((fine, *_), _) = seen_exactly(name)
    for number in range(batch.instances):
        rows, columns = np.nonzero(fine == number)
        if len(rows) < 200 or frames.visible_pixels[0, number] < frames.total_pixels[0, number]:
            continue
        assert abs((columns.mean() + 0.5) / FINE - points[number, 0]) < 1.5
        assert abs((rows.mean() + 0.5) / FINE - points[number, 1]) < 1.5
    pixels = annotate.boxes_3d(batch, SIZE).pixels
    assert pixels is not None
    low, high = pixels[0].amin(1), pixels[0].amax(1)
    there = (pixels[0] != 0).all(-1).all(-1)
    loose = frames.boxes_2d_loose[0]
    assert (loose[there, :2] <= low[there] + 0.05).all() and (loose[there, 2:] >= high[there] - 0.05).all()
    with pytest.raises(AttributeError, match="`distance` was not drawn"):
        annotate.keypoints_2d(fs.render(batch, SIZE, ("rgb", "depth")), corners)


def test_points_beside_and_behind_the_camera_are_seen_and_hidden():
    batch = grid_of_boxes("wide fisheye")
    frames = fs.render(batch, SIZE, ("distance", "instance_id"))
    faces = torch.tensor([[[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]])
    flags = annotate.keypoints_2d(frames, faces, tolerance=0.02)[0, ..., 2]
    assert (flags == 1).any() and (flags == 2).any()
    assert ((flags == 1).sum(1) <= 4).all()  # of a box alone, at most half of the corners are behind it


@pytest.mark.parametrize("turn", [0.0, 0.6, -2.0])
@pytest.mark.parametrize("flip", [False, True])
def test_maps_of_the_picture_turn_the_lens_along(turn, flip):
    for name in ("fisheye", "wide radial_tangential"):
        batch = grid_of_boxes(name)
        over = augment.affine(torch.tensor([turn]), torch.tensor([0.9]), horizontal_flip=torch.tensor([flip]))
        moved = augment.warp_camera(batch, over)
        middle = torch.zeros(1, 1, 3)
        old, new = (annotate.keypoints_2d(fs.render(b, SIZE, ("distance",)), middle)[0, :, 0] for b in (batch, moved))
        both = (old[:, 2] > 0) & (new[:, 2] > 0)
        place = torch.cat([(old[:, :2] - 48) / 96, torch.ones(len(old), 1)], 1)
        expected = (place @ over[0].mT)[:, :2] * 96 + 48
        assert both.sum() > 20
        torch.testing.assert_close(new[both, :2], expected[both], atol=2e-3, rtol=0)


def lens_gradients(name, steps):
    """By the way back and by differences: of two focal lengths, two coordinates of the axis and two coefficients."""
    base = grid_of_boxes(name, rings=2, spokes=5, half=9.0, part=0.7)  # the edge of the circle has no gradient
    colors = torch.rand(1, base.instances, 4, generator=torch.Generator().manual_seed(3))
    base = base.replace(base_color=colors)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    weight = torch.stack([x, y, x * y + 0.5 * x])  # smooth: what moves, counts

    def loss(intrinsics, distortion):
        batch = base.replace(intrinsics=intrinsics, distortion=distortion)
        return (fs.render(batch, (64, 64), ("rgb",), samples=4).rgb[0] * weight).double().sum()

    tensors = [base.intrinsics.clone().requires_grad_(), base.distortion.clone().requires_grad_()]
    loss(*tensors).backward()
    pairs = []
    for which, *place in ((0, 0, 0), (0, 1, 1), (0, 0, 2), (0, 1, 2), (1, 0), (1, 1)):
        index, sides = (0, *place), []
        for sign in (1, -1):
            given = [tensor.detach().clone() for tensor in tensors]
            given[which][index] += sign * steps[which]
            with torch.no_grad():
                sides.append(float(loss(*given)))
        grad = tensors[which].grad
        assert grad is not None
        pairs.append((float(grad[index]), (sides[0] - sides[1]) / (2 * steps[which])))
    return torch.tensor(pairs, dtype=torch.float64).T


@pytest.mark.parametrize("name", ["fisheye", "wide radial_tangential"])
def test_gradients_of_the_lens_are_those_of_differences(name):
    ours, theirs = lens_gradients(name, (1e-5, 5e-5))
    torch.testing.assert_close(ours, theirs, rtol=0.04, atol=0.015 * float(theirs.abs().max()))


@pytest.mark.parametrize("name", ["narrow fisheye", "radial_tangential"])
def test_gradients_of_the_lens_hold_where_the_view_follows_it(name):
    """One view is framed anew by other lenses: its pixels fall elsewhere, and small differences tell nothing."""
    ours, theirs = lens_gradients(name, (1e-2, 1e-1))
    for i in ((0, 1), (2, 3), (4, 5)):
        assert torch.cosine_similarity(ours[list(i)], theirs[list(i)], 0) > 0.95, (ours, theirs)
        assert 0.8 < ours[list(i)].norm() / theirs[list(i)].norm() < 1.25


def test_gradients_go_to_what_is_drawn_too():
    batch = grid_of_boxes("fisheye", rings=2, spokes=5, half=9.0)
    generator = torch.Generator().manual_seed(5)
    given = {
        "background_color": torch.rand(1, 2, 3, generator=generator),
        "base_color": 0.2 + 0.6 * torch.rand(1, batch.instances, 4, generator=generator),
        "world_from_object": batch.world_from_object,
    }
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")

    def loss(samples=4, **changes):
        rgb = fs.render(batch.replace(**{**given, **changes}), (64, 64), ("rgb",), samples=samples).rgb[0]
        return (rgb * torch.stack([x, y, x - y])).double().sum()

    tensors = {name: value.clone().requires_grad_() for name, value in given.items()}
    loss(**tensors).backward()
    for name, step in (("background_color", 0.05), ("base_color", 0.05)):
        move = torch.randn(given[name].shape, generator=generator) * step
        with torch.no_grad():
            difference = float(loss(**{name: given[name] + move}) - loss(**{name: given[name] - move})) / 2
        assert float((tensors[name].grad * move).sum()) == pytest.approx(difference, rel=0.01, abs=1e-3)
    ways = []
    for axis in range(3):
        move = torch.zeros_like(batch.world_from_object)
        move[:, :, axis, 3] = 0.03
        with torch.no_grad():
            far, near = (loss(16, world_from_object=batch.world_from_object + sign * move) for sign in (1, -1))
        ways.append((float(tensors["world_from_object"].grad[:, :, axis, 3].sum()), float(far - near) / 0.06))
    # Differences of edges that go from sample to sample are rough.
    ours, theirs = torch.tensor(ways).T
    assert torch.cosine_similarity(ours, theirs, 0) > 0.9 and 0.6 < ours.norm() / theirs.norm() < 1.6


def test_the_same_picture_with_and_without_gradients():
    for name in ("fisheye", "radial_tangential"):
        batch = grid_of_boxes(name, rings=2, spokes=5, half=9.0)
        with_gradient = batch.replace(distortion=batch.distortion.clone().requires_grad_())
        pair = [fs.render(given, (48, 48), ("rgb",), samples=4).rgb.detach() for given in (batch, with_gradient)]
        torch.testing.assert_close(*pair, atol=1e-5, rtol=0)


def test_the_box_around_the_eye_is_that_of_the_circle():
    batch = grid_of_boxes("fisheye")
    inside = batch.replace(
        world_from_object=torch.eye(4).mul(torch.tensor([3.0, 3, 3, 1])).expand(1, batch.instances, 4, 4)
    )
    left, top, right, bottom = fs.render(inside, SIZE, ("boxes_2d_loose",)).boxes_2d_loose[0].unbind(-1)
    (fx, _, cx), (_, fy, cy), _ = batch.intrinsics[0].tolist()
    lenses = batch.lenses()
    edge = lenses.radius(lenses.limit()).item() * 96
    middle = 48 + 96 * cx, 48 + 96 * cy
    for found, value in ((left, middle[0] - fx * edge), (right, middle[0] + fx * edge)):
        torch.testing.assert_close(found, torch.full_like(found, value), atol=0.3, rtol=0)
    for found, value in ((top, middle[1] - fy * edge), (bottom, middle[1] + fy * edge)):
        torch.testing.assert_close(found, torch.full_like(found, value), atol=0.3, rtol=0)


def test_cameras_draw_their_lens():
    lens = fs.Lens("fisheye", fs.Uniform((0.0, -0.02, 0.0, 0.0), (0.1, 0.0, 0.0, 0.0)), angle=fs.deg(95))
    scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(fov=fs.deg(160), lens=lens)).learn(
        "camera.lens*"
    )
    batch = scene.sample(4, seed=2)
    edge = fs.lens.project(
        torch.tensor([0.0, math.sin(fs.deg(80)), math.cos(fs.deg(80))]).expand(4, 1, 3),
        batch.intrinsics,
        batch.lenses(),
        (100, 100),
    )[0]
    torch.testing.assert_close(edge[:, 0, 1], torch.full((4,), 100.0), atol=1e-3, rtol=0)
    assert torch.equal(scene.sample([3], seed=2).distortion[0], batch.distortion[3])
    assert "camera.lens.distortion" in batch.params
    fs.render(batch, (32, 32), ("rgb",)).rgb.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in scene.learnable())


def test_wrong_lenses_of_batches_are_refused():
    batch = grid_of_boxes("fisheye")
    with pytest.raises(ValueError, match="`lens` must be None or one of"):
        batch.replace(lens="brown")
    with pytest.raises(ValueError, match="`lens_angle`"):
        batch.replace(lens_angle=3.0)
    with pytest.raises(ValueError, match="`lens_detail` must lie in"):
        batch.replace(lens_detail=0.0)
    with pytest.raises(ValueError, match="`distortion` must have shape"):
        batch.replace(distortion=torch.zeros(1, 5))
    ids = torch.zeros(1, 8, 8, dtype=torch.int32)
    with pytest.raises(ValueError, match="compose\\(\\): the batch has a lens"):
        fs.compose(batch, (8, 8), ids, ids)


def test_a_view_of_a_lens_has_a_limit():
    wide = grid_of_boxes("fisheye").replace(lens_detail=8.0)
    with pytest.raises(ValueError, match="a smaller `lens_detail` than 8.0"):
        fs.render(wide, (8192, 8192), ("instance_id",))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("model", MODELS)
def test_a_lens_that_is_no_number_shows_nothing(model, bad):
    """Nor does it touch the image beside it, on the way back either."""
    batch = grid_of_boxes("fisheye").replace(lens=model)[torch.tensor([0, 0])]
    lenses = torch.zeros(2, 8)
    lenses[0] = bad
    both, good = (batch[rows].replace(distortion=lenses[rows].requires_grad_()) for rows in (slice(2), slice(1, 2)))
    frames = fs.render(both, (16, 16), ("rgb", "instance_id"))
    assert not frames.rgb[0].any() and (frames.instance_id[0] == -1).all()
    assert torch.equal(frames.rgb[1:], fs.render(good, (16, 16), ("rgb",)).rgb) and frames.rgb[1].any()
    (grad,) = torch.autograd.grad(frames.rgb.square().sum(), both.distortion)
    assert grad[1].isfinite().all() and grad[1].any()


def test_a_missing_mesh_is_named_by_its_image():
    batch = crowd("fisheye")
    assert fs.render(batch, (16, 16), ("instance_id",)).check() == 0
    assert flat_light(2).shape == (2, 9, 3)
