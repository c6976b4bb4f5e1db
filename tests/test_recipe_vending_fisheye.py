"""Packages under a fisheye: what the recipe draws."""

from __future__ import annotations

import torch

import fastsynth as fs

SIZE = (64, 64)


def test_packages_stand_apart_on_the_shelf():
    recipe = fs.recipes.vending_fisheye(without=["deformation", "lying"])
    batch = recipe.sample(128)
    mesh, pose = batch.mesh_id[:, :-1], batch.world_from_object[:, :-1]
    count = (mesh >= 0).sum(1)
    assert count.max() == recipe.numbers["count"][1] and (batch.params["objects.0.count"] - count).float().mean() < 1
    low, high = recipe.assets.mesh_bounds[mesh.clamp(min=0).long()].split(3, -1)
    scale, there = pose[..., 2, 2], mesh >= 0
    assert (pose[..., 2, 3] + scale * low[..., 2])[there].abs().max() < 1e-5
    wide, deep, tall = recipe.numbers["cabinet"]
    assert (scale * high[..., 2])[there].max() < tall - 0.03
    foot = scale * torch.minimum(low[..., :2].abs(), high[..., :2].abs()).amin(-1)
    spot = pose[..., :2, 3]
    gap = (spot[:, :, None] - spot[:, None]).norm(dim=-1) - foot[:, :, None] - foot[:, None]
    both = there[:, :, None] & there[:, None] & ~torch.eye(mesh.shape[1], dtype=torch.bool)
    assert gap[both].min() > 0
    assert (spot[there].abs() < torch.tensor([wide / 2, deep / 2]) - 0.09).all()


def boxes(recipe, batch):
    """Boxes of the packages in the cabinet, lower and upper corner [B, N, 3], and which there are."""
    mesh, pose = batch.mesh_id[:, :-1], batch.world_from_object[:, :-1]
    low, high = recipe.assets.mesh_bounds[mesh.clamp(min=0).long()].split(3, -1)
    middle = (pose[..., :3, :3] @ ((low + high) / 2)[..., None])[..., 0] + pose[..., :3, 3]
    half = (pose[..., :3, :3] * ((high - low) / 2)[..., None, :]).abs().sum(-1)
    return middle - half, middle + half, mesh >= 0


def test_packages_lie_on_all_sides_within_the_cabinet():
    recipe = fs.recipes.vending_fisheye(without=["deformation"])
    batch = recipe.sample(256)
    low, high, there = boxes(recipe, batch)
    assert low[..., 2][there].abs().max() < 1e-5
    wide, deep, tall = recipe.numbers["cabinet"]
    reach = torch.maximum(low[..., :2].abs(), high[..., :2].abs())[there]
    # Boxes that stand aslant are larger than what is in them.
    assert (reach < torch.tensor([wide, deep]) / 2 + 0.02).all() and high[..., 2][there].max() < tall - 0.03
    up = batch.world_from_object[:, :-1, 2, :3]
    height = recipe.assets.mesh_bounds[batch.mesh_id[:, :-1].clamp(min=0).long()]
    height = (height[..., 5] - height[..., 2]) * up.norm(dim=-1)
    lies = there & (up[..., 2].abs() < 1e-6)
    ways = [(up[..., axis] * way > 0.1)[there].float().mean().item() for axis in range(3) for way in (1, -1)]
    assert all(0.06 < part < 0.11 for part in ways[:4]) and 0.55 < ways[4] < 0.75 and ways[5] == 0
    assert height[lies].max() <= recipe.numbers["lying_height"] and height[there & ~lies].max() > 0.2
    half = (high - low)[..., :2].amin(-1) / 2 / 2**0.5  # discs within what lies at any turn
    middle = ((low + high) / 2)[..., :2]
    gap = (middle[:, :, None] - middle[:, None]).norm(dim=-1) - half[:, :, None] - half[:, None]
    both = lies[:, :, None] & there[:, None] & ~torch.eye(lies.shape[1], dtype=torch.bool)
    assert gap[both].min() > 0


def test_the_whole_circle_is_in_the_picture_and_soft_packages_bend():
    recipe = fs.recipes.vending_fisheye()
    batch = recipe.sample(8)
    frames = fs.render(batch, SIZE, ("rgb", "instance_id"))
    assert (frames.instance_id[:, 32, 32] >= 0).all() and (frames.instance_id[:, 0, 0] == -1).all()
    assert (frames.instance_id[:, 32, 3:61] >= 0).all()  # a closed room: nothing is background within the circle
    for side in (frames.instance_id[:, 0], frames.instance_id[:, :, -1]):
        assert (side == -1).all()
    rigid = fs.recipes.vending_fisheye(without=["deformation"]).sample(8)
    assert torch.equal(rigid.world_from_object, batch.world_from_object)
    names, classes = batch.assets.class_names, batch.assets.mesh_class
    bent = batch.mesh_id != rigid.mesh_id
    for image, slot in (rigid.mesh_id >= 0).nonzero().tolist():
        name = names[int(classes[rigid.mesh_id[image, slot]])]
        assert bool(bent[image, slot]) == (name in ("box", "carton", "bag"))


def test_the_template_is_the_cabinet_without_packages():
    recipe = fs.recipes.vending_fisheye(without=["sensor", "shadows"])
    frames = fs.render(recipe.sample(4), SIZE, ("rgb", "instance_id"))
    template = recipe.labels(frames)["template"]
    cabinet = frames.batch.instances - 1
    away = torch.nn.functional.max_pool2d((frames.instance_id != cabinet).float()[:, None], 3, 1, 1) == 0
    assert away.float().mean() > 0.3
    apart = (template - frames.rgb).abs()
    assert apart.amax(1, keepdim=True)[away].max() < 1e-5  # there are no shadows
    assert apart.amax(1)[(frames.instance_id >= 0) & (frames.instance_id != cabinet)].median() > 0.05


def test_packages_alone_cast_shadows():
    """They darken the cabinet around them; empty, it has none."""
    recipe = fs.recipes.vending_fisheye(without=["sensor"])
    frames = fs.render(recipe.sample(4), SIZE, ("rgb", "instance_id"))
    template, batch = recipe.labels(frames)["template"], frames.batch
    cabinet = batch.instances - 1
    away = torch.nn.functional.max_pool2d((frames.instance_id != cabinet).float()[:, None], 3, 1, 1) == 0
    darker = (template - frames.rgb).amin(1, keepdim=True)[away]
    assert darker.min() > -1e-5 and 0.01 < (darker > 0.02).float().mean() < 0.5
    empty = torch.where(torch.arange(batch.instances) == cabinet, batch.mesh_id, -1)
    apart = (fs.render(batch.replace(mesh_id=empty), SIZE, ("rgb",)).rgb - template).abs().amax(1)
    assert apart.max() < 0.05 and (apart > 0.005).float().mean() < 0.03  # a texel's breadth where walls meet


def test_own_meshes_and_a_pinhole():
    goods = fs.procedural.products(variants=1, texture_size=32)
    own = fs.recipes.vending_fisheye(goods, soft=["box"], fisheye=False)
    batch = own.sample(2)
    assert batch.lens is None and own.target_classes == goods.class_names
    fs.render(batch, SIZE)
