"""Textures of two random colours, and turns of the hue: against their closed forms."""

from __future__ import annotations

import colorsys
import math

import pytest
import torch
from reference_picture_gradients import gradients, leaves_of, off_their_face
from scene_parts import PARTS
from test_compose import make_batch
from test_gradient_reference import NEAR, waves

import fastsynth as fs
from fastsynth.randomizers.materials import hue_turn
from fastsynth.randomizers.objects import append_instances
from fastsynth.randomizers.patterns import PATTERNS

SIDE = 256


def quad():
    """A coloured square whose texture coordinates run from 0 to 1, seen head-on so that it fills the picture."""
    corners = torch.tensor([[-0.5, -0.5, 1.0], [0.5, -0.5, 1.0], [0.5, 0.5, 1.0], [-0.5, 0.5, 1.0]]).numpy()
    uvs = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).numpy()
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]]).numpy()
    red = fs.Material((0.9, 0.1, 0.2, 1.0), double_sided=True)
    colors = torch.full((4, 4), 90, dtype=torch.uint8).numpy()
    return fs.pack([fs.Mesh(corners, faces, uvs=uvs, colors=colors, materials=(red,))])


def scene_of(textures, assets=None, **options):
    camera = fs.CameraPose(fs.Pinhole(torch.eye(3)[None], torch.eye(4)[None]))
    return fs.Scene(
        fs.Objects(quad() if assets is None else assets, position=(0.0, 0.0, 0.0)),
        camera,
        materials=fs.Materials(textures=textures, **options),
    )


def drawn(scene, images=24):
    """Base colours of a scene's pictures, and the two colours of each."""
    batch = scene.sample(images, seed=3)
    base = fs.render(batch, (SIDE, SIDE), ("base_color",)).base_color
    low = batch.color_matrix[:, 0, :, 3]
    high = low + batch.color_matrix[:, 0, :, :3].diagonal(dim1=-2, dim2=-1)
    return base, low, high, batch


def mask_of(base, low, high):
    """How much of the second colour there is: [B, H, W]."""
    apart = high - low
    channel = apart.abs().argmax(1)
    rows = torch.arange(len(base))
    return (base[rows, channel] - low[rows, channel, None, None]) / apart[rows, channel, None, None]


def mixed(mask, low, high):
    """The closed form: [B, H, W] -> [B, 3, H, W]."""
    return low[..., None, None] + mask[:, None] * (high - low)[..., None, None]


AT = (torch.arange(SIDE) + 0.5) / SIDE


def test_flat():
    base, low, high, _ = drawn(scene_of(fs.ProceduralTextures(("flat",))))
    assert torch.equal(base, low[..., None, None].expand_as(base))
    assert (low - high).abs().amax(1).min() > 0 and low.std(0).min() > 0.2


def test_gradient():
    base, low, high, _ = drawn(scene_of(fs.ProceduralTextures(("gradient",))))
    mask = mask_of(base, low, high)
    across = (mask[:, 128, -1] - mask[:, 128, 0] > 0.5)[:, None, None]
    wanted = torch.where(across, AT[None, :].expand(SIDE, SIDE), AT[:, None].expand(SIDE, SIDE))
    assert 0 < int(across.sum()) < len(base)
    # Bytes of sRGB: a step of the code is 0.009 of linear light at most.
    assert (base - mixed(wanted, low, high)).abs().max() < 0.006


def test_checker():
    base, low, high, _ = drawn(scene_of(fs.ProceduralTextures(("checker",))))
    mask = mask_of(base, low, high)
    found = set()
    for each, a, b, picture in zip(mask, low, high, base, strict=True):
        cells = next(n for n in (16, 8, 4, 2) if each[SIDE // (2 * n), SIDE * 3 // (2 * n)] > 0.5)
        found.add(cells)
        number = (AT * cells).floor()
        wanted = (number[:, None] + number) % 2
        inside = ((AT * 128 - (AT * 128 / (128 // cells)).round() * (128 // cells)).abs() > 0.6).float()
        inside = (inside[:, None] * inside).bool()
        error = (picture - mixed(wanted[None], a[None], b[None])[0]).abs().amax(0)
        assert error[inside].max() < 1e-5 and inside.float().mean() > 0.6
        assert ((each > -1e-4) & (each < 1 + 1e-4)).all()
    assert len(found) >= 3


@pytest.mark.parametrize("kind", PATTERNS)
def test_every_pattern_lies_between_its_colours(kind):
    base, low, high, batch = drawn(scene_of(fs.ProceduralTextures((kind,))), 8)
    assert (base - mixed(mask_of(base, low, high), low, high)).abs().max() < 1e-4
    names = batch.params
    assert {"materials.pattern.color", "materials.pattern.kind"} <= set(names)
    torch.testing.assert_close(names["materials.pattern.color"][:, 0, 0], low)


def test_nothing_of_the_mesh_s_own_colour_is_left_unless_asked_for():
    scene = scene_of(fs.ProceduralTextures(("flat",), color=(0.2, 0.5, 0.3)))
    assert torch.allclose(drawn(scene, 2)[0], torch.tensor([0.2, 0.5, 0.3])[:, None, None])
    some = scene_of(fs.ProceduralTextures(("flat",), color=(0.2, 0.5, 0.3)), probability=0.5).sample(64, seed=1)
    base = fs.render(some, (4, 4), ("base_color",)).base_color[:, :, 2, 2]
    replaced = some.texture_id[:, 0] >= 0
    assert 16 < int(replaced.sum()) < 48
    assert torch.allclose(base[replaced], torch.tensor([0.2, 0.5, 0.3]))
    plain = fs.render(scene_of(None).sample(1), (4, 4), ("base_color",)).base_color[:, :, 2, 2]
    assert torch.equal(base[~replaced], plain.expand(int((~replaced).sum()), 3))


def test_some_of_the_meshes_alone():
    """The others keep their colours."""
    parts = fs.Assets.concatenate([quad(), quad()])
    part = fs.Materials(textures=fs.ProceduralTextures(("flat",), color=(0.2, 0.5, 0.3)), hue=0.4)
    painted = fs.Materials(textures=fs.ProceduralTextures(("flat",), color=(0.2, 0.5, 0.3)), hue=0.4)
    camera = fs.CameraPose(fs.Pinhole(torch.eye(3)[None], torch.eye(4)[None]))
    shown = []
    for row in range(2):
        objects = fs.Objects(parts, position=(0.0, 0.0, 0.0), choice=[row])
        scene = fs.Scene(objects, camera, materials=fs.Only(part, meshes=[1]))
        shown.append(fs.render(scene.sample(1), (4, 4), ("base_color",)).base_color)
    plain = fs.render(scene_of(None).sample(1), (4, 4), ("base_color",)).base_color
    all_painted = fs.Scene(fs.Objects(quad(), position=(0.0, 0.0, 0.0)), camera, materials=painted)
    assert torch.equal(shown[0], plain)
    assert torch.equal(shown[1], fs.render(all_painted.sample(1), (4, 4), ("base_color",)).base_color)


def test_kinds_are_as_frequent():
    kind = fs.ProceduralTextures(("flat", "checker", "noise"))
    scene = fs.Scene(fs.Objects(PARTS, 10), materials=fs.Materials(textures=kind))
    counts = scene.sample(60).params["materials.pattern.kind"].flatten().bincount()
    assert (counts / 600 - 1 / 3).abs().max() < 0.08  # 4 sigma


@pytest.mark.parametrize("pool", [1, 7])
def test_a_pool_has_so_many_textures(pool):
    scene = fs.Scene(fs.Objects(PARTS, 10), materials=fs.Materials(textures=fs.ProceduralTextures(pool=pool)))
    batch = scene.sample(40, seed=1)
    looks = torch.cat([batch.texture_id[..., None].float(), batch.color_matrix.flatten(2)], -1).flatten(0, 1)
    assert len(looks.unique(dim=0)) == pool
    again = fs.Scene(fs.Objects(PARTS, 10), materials=fs.Materials(textures=fs.ProceduralTextures(pool=pool)))
    colors = again.sample(40, seed=9).color_matrix.flatten(2).flatten(0, 1)
    assert torch.equal(colors.unique(dim=0), looks[:, 1:].unique(dim=0))
    free = fs.Scene(fs.Objects(PARTS, 10), materials=fs.Materials(textures=fs.ProceduralTextures())).sample(40)
    assert len(free.color_matrix.flatten(0, 1).unique(dim=0)) == 400


def test_an_image_is_the_same_in_every_batch():
    materials = fs.Materials(textures=fs.ProceduralTextures(), hue=fs.Uniform(-1.0, 1.0))
    scene = fs.Scene(fs.Objects(PARTS, 3), materials=materials)
    whole, one = scene.sample(9, seed=4), scene.sample([7], seed=4)
    assert torch.equal(whole.color_matrix[7:8], one.color_matrix) and torch.equal(whole.texture_id[7:8], one.texture_id)


def test_wrong_arguments():
    for kinds in ((), ("plaid",), "flat"):
        with pytest.raises(ValueError, match="`kinds` must be some of"):
            fs.ProceduralTextures(kinds)
    with pytest.raises(ValueError, match="`pool` must be at least 1"):
        fs.ProceduralTextures(pool=0)
    with pytest.raises(ValueError, match="`base_color` does not go with procedural textures"):
        fs.Materials(0.5, textures=fs.ProceduralTextures())
    with pytest.raises(ValueError, match="`color` must be of shape"):
        fs.ProceduralTextures(color=0.5)


# --- hue


def test_a_third_of_a_turn_is_that_of_hsv():
    colors = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    for turns in (-1, 0, 1, 2):
        turned = colors @ hue_turn(torch.tensor(turns * 2 * math.pi / 3)).T
        for before, after in zip(colors.tolist(), turned.tolist(), strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*before)
            assert after == pytest.approx(colorsys.hsv_to_rgb((hue + turns / 3) % 1.0, saturation, value), abs=1e-5)


def test_turns_keep_greys_and_the_sum_and_add_up():
    a, b = torch.tensor([0.3, -2.0]), torch.tensor([1.1, 0.4])
    grey = torch.full((3,), 0.6)
    for turn in hue_turn(a):
        torch.testing.assert_close(turn @ grey, grey)
        torch.testing.assert_close(turn.sum(0), torch.ones(3))
        torch.testing.assert_close(turn @ turn.T, torch.eye(3))
    torch.testing.assert_close(hue_turn(a) @ hue_turn(b), hue_turn(a + b))


def test_a_turn_of_what_is_drawn():
    """Material, vertices and texture alike, and what leaves the colours is held at 0."""
    plain = fs.render(scene_of(None).sample(1), (8, 8), ("base_color",)).base_color
    for angle in (2 * math.pi / 3, 0.5):
        batch = scene_of(None, hue=angle).sample(1)
        turned = fs.render(batch, (8, 8), ("base_color",)).base_color
        wanted = torch.einsum("ij,bjhw->bihw", hue_turn(torch.tensor(angle)), plain).clamp(min=0)
        torch.testing.assert_close(turned, wanted)


def test_instances_without_a_change_keep_their_colours():
    scene = fs.Scene(fs.Objects(PARTS, 3), materials=fs.Materials(hue=fs.Uniform(-3.0, 3.0)))
    batch = scene.sample(2)
    more = append_instances(batch, batch.mesh_id, batch.world_from_object)
    assert torch.equal(more.color_matrix[:, 3:], torch.eye(3, 4).expand(2, 3, 3, 4))
    assert fs.Scene(fs.Objects(PARTS)).sample(1).color_matrix is None
    plain = batch.replace(color_matrix=None)
    kept = batch.replace(color_matrix=torch.eye(3, 4).expand(2, 3, 3, 4))
    assert torch.equal(fs.render(plain, (40, 40)).rgb, fs.render(kept, (40, 40)).rgb)


# --- the composition, and gradients through the change


def changed(shading):
    batch = waves(make_batch(shading=shading, filter="bilinear"))
    noise = torch.rand(2, batch.instances, 3, 4, generator=torch.Generator().manual_seed(8))
    return batch.replace(color_matrix=0.7 * torch.eye(3, 4) + 0.4 * (noise - 0.5))


@pytest.mark.parametrize("shading", ["lambert", "ggx"])
def test_the_composition_agrees(shading):
    batch = changed(shading)
    frames = fs.render(batch, (48, 64), ("rgb", "base_color", "triangle_id", "instance_id"))
    composed = fs.compose(batch, (48, 64), frames.triangle_id, frames.instance_id, ("rgb", "base_color"))
    for name, value in composed.items():
        assert (value - frames.outputs[name]).abs().max() < 1 / 255, name


@pytest.mark.parametrize("shading", ["lambert", "ggx"])
def test_gradients_pass_through_the_change(shading):
    batch, size = changed(shading), (48, 64)
    leaves = leaves_of(batch)
    fields = {key: value for key, value in leaves.items() if key != "texels"}
    frames = fs.render(batch.replace(**fields), size, ("rgb", "triangle_id", "instance_id"), texels=leaves["texels"])
    ids = frames.triangle_id, frames.instance_id
    weights = torch.rand(frames.rgb.shape, generator=torch.Generator().manual_seed(1))
    weights = weights * ~off_their_face(batch, size, ids)
    given = torch.autograd.grad(
        (frames.rgb * weights).sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    for (name, wanted), mine in zip(gradients(batch, size, ids, weights).items(), given, strict=True):
        if name in ("base_color", "texels"):
            wanted, mine = wanted[..., :3], mine[..., :3]
        assert (mine.double() - wanted).norm() <= NEAR * wanted.norm(), name


def test_the_change_itself_has_no_gradient_and_says_so():
    batch = changed("lambert")
    batch = batch.replace(color_matrix=batch.color_matrix.requires_grad_())
    with pytest.raises(ValueError, match="`color_matrix` has no gradient"):
        fs.render(batch, (8, 8), ("rgb",))
    with torch.no_grad():
        fs.render(batch, (8, 8), ("rgb",))
