"""Domain randomization for localization: what its recipe draws."""

from __future__ import annotations

import pytest
import torch

import fastsynth as fs

SIZE = (56, 56)
tabletop = fs.recipes.tobin_tabletop


def test_one_target_and_others_apart_on_the_table():
    recipe = tabletop()
    batch = recipe.sample(256)
    names = recipe.assets.mesh_names
    solids = batch.mesh_id[:, :11]
    assert (solids[:, 0] == names.index("cube")).all() and not (solids[:, 1:] == names.index("cube")).any()
    count = (solids >= 0).sum(1)
    assert count.min() == 1 and count.max() == 11
    assert (batch.params["objects.0.count"] - count).float().mean() < 0.1  # few find no room
    # Whatever stands on the table rests on it, and no two touch.
    low, high = recipe.assets.mesh_bounds[solids.clamp(min=0).long()].split(3, -1)
    centre = batch.world_from_object[:, :11, :3, 3]
    assert torch.allclose((centre[..., 2] + low[..., 2])[solids >= 0], torch.zeros(()), atol=1e-6)
    foot = torch.minimum(low[..., :2].abs(), high[..., :2].abs()).amin(-1)  # a circle that fits into its box
    gap = (centre[:, :, None, :2] - centre[:, None, :, :2]).norm(dim=-1) - foot[:, :, None] - foot[:, None]
    both = (solids >= 0)[:, :, None] & (solids >= 0)[:, None] & ~torch.eye(11, dtype=torch.bool)
    assert gap[both].min() > 0
    assert torch.equal(recipe.labels(fs.render(batch[:4], SIZE))["centre"], centre[:4, 0])


def test_the_target_is_any_of_the_solids_when_asked():
    batch = tabletop(target=None).sample(256)
    assert batch.mesh_id[:, 0].unique().tolist() == list(range(8))
    assert not (batch.mesh_id[:, 1:11] == batch.mesh_id[:, :1]).any()


def test_origins_are_centres_of_mass():
    for mesh in fs.recipes.assets_solids.solids():
        corners = torch.tensor(mesh.vertices[mesh.faces])
        a, b, c = corners.unbind(1)
        volume = (a * torch.linalg.cross(b, c)).sum(-1) / 6  # of tetrahedra to the origin
        assert volume.sum() > 0
        assert ((volume[:, None] * (a + b + c) / 4).sum(0) / volume.sum()).abs().max() < 1e-4, mesh.name


def test_cameras_stay_in_their_box_and_turn_as_said():
    recipe = tabletop()
    batch = recipe.sample(512)
    n = recipe.numbers
    eye = fs.geometry.invert_rigid(batch.camera_from_world)[:, :3, 3]
    offset = (eye - torch.tensor(n["eye"])).abs()
    half = torch.tensor(n["eye_box"]) / 2
    assert (offset <= half + 1e-6).all() and (offset.amax(0) > 0.95 * half).all()
    for name in ("pan", "tilt", "roll"):
        assert 0.095 < batch.params[f"camera.1.{name}"].abs().max() <= 0.1
    fov = 2 * (0.5 / batch.intrinsics[:, 1, 1]).atan() / fs.deg(n["fov"])
    assert 0.95 <= fov.min() < 0.955 and 1.045 < fov.max() <= 1.05
    fixed = tabletop(without=["camera"]).sample(4)
    aimed = fs.Pinhole.look_at(n["eye"], n["aim"], fov=fs.deg(n["fov"]))
    assert torch.allclose(fixed.camera_from_world, aimed.camera_from_world.expand(4, 4, 4), atol=1e-6)


def test_every_type_of_noise_and_texture_comes():
    recipe = tabletop()
    batch = recipe.sample(256)
    assert batch.params["noise.kind"].unique().numel() == 3
    assert (batch.texture_id >= 0).all() and batch.params["materials.pattern.kind"].unique().numel() == 3
    # Two colours for every instance of every image; from a pool of ten, ten in all.
    assert batch.color_matrix.flatten(2).flatten(0, 1).unique(dim=0).shape[0] > 3000
    few = tabletop(pool=10).sample(256)
    assert few.color_matrix.flatten(2).flatten(0, 1).unique(dim=0).shape[0] <= 10
    for name, value in few.params.items():
        assert name.startswith("materials.") or torch.equal(value, batch.params[name]), name
    lit = (batch.light_kind > 0).sum(1)
    assert lit.min() == 1 and lit.max() == 4
    plain = tabletop(without=["noise"]).sample(64)
    assert not plain.effects
    drawn, clean = (fs.render(b[:64], SIZE, ("rgb",)).rgb for b in (batch, plain))
    assert torch.equal(fs.render(batch[:64].replace(effects=()), SIZE, ("rgb",)).rgb, clean)
    kind = batch.params["noise.kind"][:64]
    spread = (drawn - clean).flatten(1).abs().mean(1)
    assert (spread[kind == 0] == 0).all() and (spread[kind == 1] > 0).all()
    changed = (drawn != clean).any(1).float().mean((1, 2))[kind == 2]
    part = batch.params["noise.lost"][:64][kind == 2]
    assert ((changed - part).abs() < 4 * (part / SIZE[0] / SIZE[1]).sqrt() + 1e-3).all()


def test_own_meshes_and_wrong_axes():
    own = tabletop(fs.procedural.products(variants=1, texture_size=32), target="can")
    assert own.sample(4).mesh_id[:, 0].tolist() == [1] * 4 and own.target_classes == ("can",)
    with pytest.raises(ValueError, match="'shade' is none. There are: noise, camera, distractors"):
        tabletop(without=["shade"])
