"""Layers of instances: each is drawn as if the depth buffer had been cleared before it, in one pass."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from gradient_scenes import SCENES, TRIANGLE, moved
from gradient_scenes import scene as placed
from reference_picture_gradients import POSES, gradients, leaves_of, off_their_face
from scene_parts import PARTS
from test_gradient_reference import NEAR, SIZE

import fastsynth as fs
from fastsynth.randomizers.objects import append_instances
from fastsynth.types import LAYERS

PIXELS = (
    "rgb",
    "instance_id",
    "triangle_id",
    "semantic_id",
    "depth",
    "distance",
    "normals",
    "object_coordinates",
    "uv",
)
COUNTED = ("boxes_2d_tight", "visible_pixels", "total_pixels", "boxes_2d_loose")
DRAWN = (64, 96)


def crowd(parts, near=0.01, images=3, **options):
    """Objects of three layers at depths that know nothing of them; some reach through the near plane."""
    frustum = fs.FrustumPosition(depth=fs.Uniform(0.2, 3.0), margin=0.0)
    objects = fs.Objects(
        parts, 12, position=frustum, rotation=fs.UniformRotation(), scale=0.4, layer=fs.Choice(range(3))
    )
    batch = fs.Scene(objects, light=[fs.Ambient(0.3), fs.DirectionalLight()], near=near, **options).sample(
        images, seed=4, aspect=1.5
    )
    return batch.replace(background_color=torch.rand(images, 2, 3, generator=torch.Generator().manual_seed(0)))


def cut_outs():
    """Meshes with holes in them."""
    picture = torch.full((8, 8, 4), 255, dtype=torch.uint8)
    picture[2:6, 2:6, 3] = 0
    holed = fs.Material(double_sided=True, alpha_cutoff=0.5, base_texture=picture.numpy())
    plain = fs.procedural.box()
    return fs.pack([dataclasses.replace(plain, materials=(holed,)), fs.procedural.sphere()])


def alone(batch, layer):
    """The batch with the instances of one layer, and no word of layers."""
    return batch.replace(mesh_id=torch.where(batch.layer == layer, batch.mesh_id, -1), layer=None)


@pytest.mark.parametrize("near", [0.01, 0.8])
@pytest.mark.parametrize("make", [lambda: PARTS, cut_outs], ids=["shapes", "cut-outs"])
def test_layers_are_drawn_one_over_another(make, near, device):
    batch = crowd(make(), near).to(device)
    whole = fs.render(batch, DRAWN, (*PIXELS, *COUNTED))
    over = None
    for layer in range(LAYERS):
        one = fs.render(alone(batch, layer), DRAWN, (*PIXELS, "total_pixels", "boxes_2d_loose"))
        shown = one.instance_id >= 0
        own = (batch.layer == layer)[..., None]
        if over is None:
            over = {name: one.outputs[name] for name in one.outputs}
            continue
        for name in PIXELS:
            here = shown[:, None] if one.outputs[name].ndim == 4 else shown
            over[name] = torch.where(here, one.outputs[name], over[name])
        for name in ("total_pixels", "boxes_2d_loose"):
            value = one.outputs[name]
            over[name] = torch.where(own if value.ndim == 3 else own[..., 0], value, over[name])
    assert len(whole.instance_id.unique()) > 8  # instances are seen of each layer
    for name, value in over.items():
        assert torch.equal(whole.outputs[name], value), name
    boxes, pixels = fs.ops.boxes_of(fs.ops.reduce(over["instance_id"], batch.instances))
    assert torch.equal(whole.boxes_2d_tight, boxes) and torch.equal(whole.visible_pixels, pixels)
    plain = fs.render(batch.replace(layer=None), DRAWN, ("instance_id",)).instance_id
    assert not torch.equal(plain, whole.instance_id)


def test_one_layer_changes_no_bit():
    batch = crowd(PARTS)
    plain = fs.render(batch.replace(layer=None), DRAWN, (*PIXELS, *COUNTED)).outputs
    for layer in (-7, 0, 1, 3, 99):
        one = fs.render(batch.replace(layer=torch.full_like(batch.mesh_id, layer)), DRAWN, (*PIXELS, *COUNTED))
        assert all(torch.equal(one.outputs[name], plain[name]) for name in plain)


def test_numbers_beyond_are_those_of_the_last_layer():
    batch = crowd(PARTS)
    beyond = torch.where(batch.layer == 0, -3, torch.where(batch.layer == 1, 1, 7)).int()
    held = torch.where(batch.layer == 2, LAYERS - 1, batch.layer).int()
    drawn = [fs.render(batch.replace(layer=it), DRAWN, ("instance_id",)).instance_id for it in (beyond, held)]
    assert torch.equal(*drawn)


def test_far_things_of_a_front_layer_hide_near_ones():
    """At distances of a million near distances too."""
    plane = fs.pack([fs.procedural.box()])
    pose = torch.eye(4).repeat(1, 2, 1, 1)
    pose[0, 0, :3] *= 1e4
    pose[0, 0, 2, 3], pose[0, 1, 2, 3] = 3e4, 3.0
    batch = fs.SceneBatch(
        plane, torch.zeros(1, 2, dtype=torch.int32), pose, torch.eye(3)[None], torch.eye(4)[None], near=0.02
    )
    for layer, front in ((None, 1), ([[0, 0]], 1), ([[1, 0]], 0), ([[0, 3]], 1), ([[3, 2]], 0)):
        layer = None if layer is None else torch.tensor(layer, dtype=torch.int32)
        assert fs.render(batch.replace(layer=layer), (33, 33), ("instance_id",)).instance_id[0, 16, 16] == front


def test_samples_of_a_pixel_know_of_layers_too():
    batch = crowd(PARTS, tone="linear", lod=0.0, sensor=fs.Sensor(exposure=-1.0))  # so dark that nothing is cut off
    fine = fs.render(batch, (128, 192), ("rgb",)).rgb
    mean = torch.nn.functional.avg_pool2d(fine, 2)
    few = fs.render(batch, DRAWN, ("rgb",), samples=4).rgb
    assert (few - mean).abs().max() < 1e-5


def over_another(who):
    """The triangle lies behind the plane, and is drawn over it."""
    it = SCENES["object behind another"] if who else SCENES["occluder over a textured plane"]
    batch = it.batch.replace(blur=None)
    pose = batch.world_from_object.clone()
    pose[0, 0, 2, 3] = 2.4
    pose[0, 0, :3, :3] *= 2.0
    return batch.replace(world_from_object=pose, layer=torch.tensor([[1, 0]], dtype=torch.int32))


@pytest.mark.parametrize("who", [0, 1], ids=["over a plane", "over a cube"])
def test_gradients_of_edges_are_those_of_the_layer_in_front(who):
    batch = over_another(who)
    frames = fs.render(batch, SIZE, ("triangle_id", "instance_id", "depth"))
    ids = frames.triangle_id, frames.instance_id
    front, behind = (frames.depth[frames.instance_id == n] for n in (0, 1))
    assert front.min() > behind.max() and len(front) > 40
    leaves = leaves_of(batch)
    drawn = batch.replace(**{key: value for key, value in leaves.items() if key != "texels"})
    rgb = fs.render(drawn, SIZE, ("rgb",), texels=leaves["texels"]).rgb
    weights = torch.rand(rgb.shape, generator=torch.Generator().manual_seed(1)) * ~off_their_face(batch, SIZE, ids)
    given = torch.autograd.grad((rgb * weights).sum(), [leaves[name] for name in POSES])
    wanted = gradients(batch, SIZE, ids, weights)
    for name, mine in zip(POSES, given, strict=True):
        assert (mine.double() - wanted[name]).norm() < NEAR * wanted[name].norm(), name
    unlayered = gradients(batch.replace(layer=None), SIZE, ids, weights)["world_from_object"]
    assert (unlayered - wanted["world_from_object"]).norm() > 0.1 * wanted["world_from_object"].norm()


@pytest.mark.parametrize("who", [0, 1], ids=["what is in front", "what is hidden"])
def test_gradients_of_edges_against_differences(who):
    """Moving the thing in front moves its edge; moving what lies nearer to the eye but below does not."""
    batch = placed((TRIANGLE, torch.eye(4)), (TRIANGLE, torch.eye(4))).replace(
        blur=torch.tensor([0.02]), light_kind=None, light_color=None, light_position=None, light_direction=None,
        light_cone=None, ambient=None, layer=torch.tensor([[1, 0]], dtype=torch.int32), shading="lambert",
        base_color=torch.tensor([[[1.0, 0.3, 0.2, 1.0], [0.2, 0.9, 1.0, 1.0]]]),
    )  # fmt: skip
    pose = batch.world_from_object.clone()
    pose[0, 0, :3, :3] *= 1.6
    pose[0, 0, :3, 3] = torch.tensor([0.05, 0.1, 2.0])
    pose[0, 1, :3, 3] = torch.tensor([0.0, -0.02, 1.0])
    batch = batch.replace(world_from_object=pose)
    weights = torch.cos(torch.arange(64) / 9.0)[:, None] * torch.sin(torch.arange(64) / 7.0 + 1.0)

    def value(by, side, samples):
        rgb = fs.render(moved(batch, by, who), (side, side), ("rgb",), samples=samples).rgb
        return (torch.nn.functional.adaptive_avg_pool2d(rgb, 64) * weights).sum()

    by = torch.zeros(6, requires_grad=True)
    (given,) = torch.autograd.grad(value(by, 64, 1), by)
    step = 0.004 * torch.eye(6)
    wanted = torch.stack([(value(one, 256, 16) - value(-one, 256, 16)) / 0.008 for one in step])
    assert torch.nn.functional.cosine_similarity(given[:3], wanted[:3], dim=0) > 0.97
    assert 0.9 < given[:3].norm() / wanted[:3].norm() < 1.1


def test_objects_say_their_layer():
    objects = [
        fs.Objects(PARTS, 2),
        fs.Objects(PARTS, 3, layer=1),
        fs.Objects(PARTS, 1, layer=fs.Choice([2, 3])),
        fs.Objects(PARTS, 1),
    ]
    layer = fs.Scene(objects).sample(8).layer
    assert layer is not None and layer.dtype == torch.int32
    assert layer[:, :5].tolist() == [[0, 0, 1, 1, 1]] * 8 and layer[:, 6].tolist() == [0] * 8
    assert set(layer[:, 5].tolist()) == {2, 3}
    assert fs.Scene(objects[:1]).sample(2).layer is None
    more = append_instances(fs.Scene(objects[1]).sample(2), layer[:2, :1], torch.eye(4).repeat(2, 1, 1, 1))
    assert more.layer is not None and more.layer.tolist() == [[1, 1, 1, 0]] * 2


@pytest.mark.parametrize("layer", [-1, LAYERS, 0.5, fs.Choice([0, 9])])
def test_a_layer_that_is_none_is_refused(layer):
    with pytest.raises(ValueError, match="`layer` must be 0 to 3"):
        fs.Objects(PARTS, layer=layer)


def test_a_distribution_that_is_no_choice_is_refused():
    with pytest.raises(TypeError, match="whole number or a Choice"):
        fs.Objects(PARTS, layer=fs.Uniform(0, 2))


def test_layer_of_a_batch_is_checked_and_taken_along():
    batch = crowd(PARTS)
    with pytest.raises(TypeError, match="`layer` must be torch.int32"):
        batch.replace(layer=batch.layer.long())
    with pytest.raises(ValueError, match="`layer` must have shape"):
        batch.replace(layer=batch.layer[:, :3])
    assert torch.equal(batch[1:].layer, batch.layer[1:])
    row = torch.arange(12, dtype=torch.int32) % 3
    spread = batch.replace(layer=row.expand(3, 12))  # one row for all images, without memory of its own
    copied = batch.replace(layer=row.repeat(3, 1))
    assert torch.equal(*(fs.render(it, DRAWN, ("instance_id",)).instance_id for it in (spread, copied)))
