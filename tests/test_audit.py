"""Audits: nothing is found where nothing is off, every planted bias is, and the numbers are those of the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scene_parts import PARTS

import fastsynth as fs
from fastsynth.audit import Audit

SIZE = (64, 64)


def shelf(objects=None, camera=None, **others):
    """A scene in which nothing is off, unless told so."""
    parts = {"count": fs.Choice([1, 2, 3]), "scale": fs.Uniform(0.5, 1.0), "rotation": fs.UniformRotation()}
    return fs.Scene(
        fs.Objects(PARTS, **{**parts, **(objects or {})}),
        fs.Camera(**{"distance": fs.Uniform(4.0, 8.0), **(camera or {})}),
        light=fs.DirectionalLight(intensity=fs.LogUniform(0.5, 2.0), probability=0.7),
        sensor=fs.Sensor(exposure=fs.TruncatedNormal(0.0, 0.5, -1.0, 1.0)),
        **others,
    )


def found(scene, images=400, **options):
    """Kinds and subjects of what an audit finds."""
    return {(f.kind, f.subject) for f in fs.audit(scene, images, size=SIZE, **options).findings}


class Changed(fs.Randomizer):
    """What a function makes of a batch."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, batch, noise):
        return self.change(batch)


def scaled(batch, factor):
    """Every object larger by a factor [B, N]."""
    pose = batch.world_from_object.clone()
    pose[..., :3, :3] *= factor[..., None, None]
    return batch.replace(world_from_object=pose)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_found_where_nothing_is_off(seed):
    assert found(shelf(), seed=seed) == set()
    spot = fs.OnPlane(fs.Uniform((-1.0, -1.0), (1.0, 1.0)))
    resting = shelf({"position": spot, "rotation": None})  # the flat lie lower than the tall: no bias
    assert found(resting, seed=seed) == set()
    assert found(shelf({"separate": True, "count": 3}), seed=seed) == set()


@pytest.mark.parametrize("seed", range(3))
def test_a_class_of_twice_its_weight_is_found(seed):
    doubled = shelf({"choice": fs.Choice(range(6), [2, 1, 1, 1, 1, 1])})
    assert found(doubled, seed=seed) == set()  # as its weights say
    assert found(doubled, seed=seed, class_weights="even") == {("classes", "classes")}
    weights = {name: 2.0 if name == "box" else 1.0 for name in PARTS.class_names}
    assert found(doubled, seed=seed, class_weights=weights) == set()

    def more_boxes(batch):  # every sixth of the others becomes a box: nearly twice as many
        other = (batch.world_from_object[..., 0, 3] * 1e4).long() % 6 == 0
        return batch.replace(mesh_id=torch.where(other & (batch.mesh_id >= 0), 0, batch.mesh_id))

    assert ("classes", "classes") in found(shelf(swap=Changed(more_boxes)), seed=seed)


class Clipped(fs.Uniform):
    """Declares a range, and gives less."""

    def from_uniform(self, u):
        return super().from_uniform(u).clamp(max=7.0)


class Hole(fs.Uniform):
    """Leaves out the middle of its range."""

    def from_uniform(self, u):
        return super().from_uniform(torch.where((u > 0.4) & (u < 0.6), u / 2, u))


class Squared(fs.Uniform):
    """Is more often low than high."""

    def from_uniform(self, u):
        return super().from_uniform(u * u)


class Wide(fs.Uniform):
    """Leaves its range."""

    def from_uniform(self, u):
        return super().from_uniform(1.1 * u)


class Narrow(fs.Distribution):
    """Of an unknown density between bounds, the upper half of which it never reaches."""

    def __init__(self):
        super().__init__()
        self.register_buffer("low", torch.tensor(4.0))
        self.register_buffer("high", torch.tensor(8.0))

    @property
    def event(self):
        return ()

    def from_uniform(self, u):
        return self.low + 2 * u


@pytest.mark.parametrize(
    ("distance", "kinds"),
    [
        (Clipped(4.0, 8.0), {"pile", "gap"}),
        (Hole(4.0, 8.0), {"gap"}),
        (Squared(4.0, 8.0), {"distribution"}),
        (Wide(4.0, 8.0), {"range"}),
        (Narrow(), {"gap"}),
    ],
)
def test_draws_that_are_not_what_was_declared_are_found(distance, kinds):
    for seed in range(3):
        here = found(shelf(camera={"distance": distance}), seed=seed)
        assert {kind for kind, subject in here if subject == "camera.distance"} == kinds
        assert {subject for _, subject in here} <= {"camera.distance", "camera distance", "object distance"}


def test_a_distance_clipped_after_it_was_drawn_is_found():
    def clip(batch):
        pose = batch.camera_from_world.clone()
        length = pose[:, :3, 3].norm(dim=-1, keepdim=True)
        pose[:, :3, 3] *= 6.5 / length.clamp(min=6.5)
        return batch.replace(camera_from_world=pose)

    assert found(shelf(clip=Changed(clip))) == {("pile", "camera distance")}


@pytest.mark.parametrize("seed", range(3))
def test_what_depends_on_the_class_is_found(seed):
    def large_boxes(batch):
        return scaled(batch, 1 + 0.5 * (batch.mesh_id == 0))

    def near_boxes(batch):  # to the camera's side of the table
        pose, eye = batch.world_from_object.clone(), torch.linalg.inv(batch.camera_from_world)[:, None, :3, 3]
        pose[..., :3, 3] += torch.where((batch.mesh_id == 0)[..., None], 0.3 * eye, 0)
        return batch.replace(world_from_object=pose)

    assert found(shelf(large=Changed(large_boxes)), seed=seed) == {("dependence", "object scale")}
    assert ("dependence", "object distance") in found(shelf(pull=Changed(near_boxes)), seed=seed)


def test_what_is_never_seen_is_found():
    def bury(batch):
        pose = batch.world_from_object.clone()
        pose[..., 2, 3] -= torch.where(batch.mesh_id == 5, 1000.0, 0.0)
        return batch.replace(world_from_object=pose)

    assert ("unseen", f"mesh {PARTS.mesh_names[5]}") in found(shelf(bury=Changed(bury)))
    away = {"position": (0.0, 0.0, -1000.0)}
    assert {("unseen", "objects"), ("unseen", "slot 0")} <= found(shelf(away))


def test_a_choice_off_its_weights_is_found():
    class Stuck(fs.Choice):
        def position(self, u):
            return super().position(u * 0.7)

    assert ("choice", "objects.count") in found(shelf({"count": Stuck([1, 2, 3])}))


def test_numbers_are_those_of_the_labels():
    scene = shelf()
    report = fs.audit(scene, 50, size=SIZE, seed=3, batch=16)
    batch = scene.sample(50, seed=3)
    frames = fs.render(batch, SIZE, outputs=("instance_id", "boxes_2d_tight", "visible_pixels", "total_pixels"))
    seen = frames.visible_pixels > 0
    assert report["visible area"].count == int(seen.sum())
    assert report["visible area"].mean == pytest.approx(frames.visible_pixels[seen].double().mean().item())
    width = (frames.boxes_2d_tight[..., 2] - frames.boxes_2d_tight[..., 0])[seen]
    assert sum(report["box width"].counts) == len(width)
    assert report["box width"].quantiles[4] == width.max()
    assert report["visible fraction"].mean == pytest.approx(
        (frames.visible_pixels / frames.total_pixels)[frames.total_pixels > 0].double().mean().item()
    )
    assert report["instances per image"].mean == pytest.approx(seen.sum(1).double().mean().item())
    labels = torch.cat([target["labels"] for target in frames.targets()]) - 1
    assert [entry["seen"] for entry in report.classes.values()] == torch.bincount(labels, minlength=6).tolist()
    assert [entry["placed"] for entry in report.classes.values()] == [int((batch.mesh_id == n).sum()) for n in range(6)]


def test_truncation_is_what_lies_beyond_the_border():
    """A square of side 1 that faces the camera, its middle at the left border: half of it is cut off."""
    square = fs.pack(
        [fs.Mesh(np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) / 2.0, [[0, 1, 2], [0, 2, 3]])]
    )
    above = fs.Pinhole.look_at(eye=(2.0, 0.0, 4.0), target=(2.0, 0.0, 0.0), up=(0, 1, 0), fov=fs.deg(53.1301))
    batch = fs.SceneBatch(square, torch.zeros(1, 1, dtype=torch.int32), torch.eye(4)[None, None], **above.fields())
    two = batch.replace(
        world_from_object=torch.eye(4)[None, None] + torch.tensor([0.0, 0, 0, 2.0]) * torch.eye(4)[0, :, None]
    )
    report = fs.audit([batch, two], size=SIZE)
    assert report["truncation"].quantiles[::4] == pytest.approx([0.0, 0.5], abs=0.02)


def test_of_batches_and_of_datasets():
    scene = shelf()
    whole = fs.audit(scene, 40, size=SIZE, seed=2)
    batches = fs.audit((scene.sample(range(first, first + 20), seed=2) for first in (0, 20, 40)), 40, size=SIZE)
    assert [h for h in whole.histograms if h.group != "drawn"] == batches.histograms
    assert fs.audit(scene.sample(40, seed=2), 40, size=SIZE) == batches
    dataset = fs.SyntheticDataset(scene, length=40, seed=2, size=SIZE)
    assert fs.audit(dataset) == whole
    dataset.set_epoch(1)
    assert fs.audit(dataset)["camera.distance"] != whole["camera.distance"]
    stream = fs.SyntheticStream(scene, batch_size=8, seed=2, size=SIZE, min_pixels=60)
    assert fs.audit(stream, 40)["visible area"].quantiles[0] >= 60
    near = fs.Scene(fs.Objects(PARTS, count=5), fs.Camera(distance=1.5))
    limits = ({}, {"max_truncation": 0.3})
    every, held = (fs.audit(fs.SyntheticDataset(near, length=40, size=SIZE, **limit)) for limit in limits)
    assert 0 < sum(c["seen"] for c in held.classes.values()) < sum(c["seen"] for c in every.classes.values())
    few = [scene.sample(5), fs.Scene(fs.Objects(PARTS, count=5)).sample(5)]
    assert fs.audit(few, size=SIZE).images == 10  # of different numbers of slots


def test_json_there_and_back(tmp_path):
    report = fs.audit(shelf(camera={"distance": Clipped(4.0, 8.0)}), 100, size=SIZE)
    assert report.findings
    assert Audit.from_json(report.to_json(tmp_path / "audit.json")) == report
    assert Audit.from_json(tmp_path / "audit.json") == report
    with pytest.raises(ValueError, match="not what Audit.to_json wrote"):
        Audit.from_json({"images": 3})


def test_an_audit_that_was_read_is_drawn_as_before():
    report = fs.audit(shelf(camera={"distance": Clipped(4.0, 8.0)}), 100, size=SIZE)
    picture = np.asarray(report.picture())
    assert (picture == np.asarray(Audit.from_json(report.to_json()).picture())).all()
    red = (abs(picture.astype(int) - (216, 80, 63)) < 8).all(-1)
    assert red.sum() > 500
    assert str(report).count("\n") == len(report.findings)


@pytest.mark.parametrize(
    ("source", "options", "error", "said"),
    [
        (3, {}, TypeError, "must be a scene, a dataset or batches"),
        ("meshes", {}, TypeError, "a str"),
        ([1], {}, TypeError, "number 0 is a int"),
        ([], {}, ValueError, "gave no batch"),
        (shelf(), {"images": 0}, ValueError, "`images`"),
        (shelf(), {"images": 8, "batch": 0}, ValueError, "`batch`"),
        (shelf(), {"images": 8, "alpha": 1.0}, ValueError, "`alpha`"),
        (shelf(), {"images": 8, "class_weights": "odd"}, ValueError, '"even"'),
        (shelf(), {"images": 8, "class_weights": {"bicycle": 1}}, ValueError, "no class 'bicycle'. Available: box"),
        (shelf(), {"images": 8, "class_weights": {"box": -1}}, ValueError, "0 or more"),
        (shelf(), {"images": 8, "class_weights": {"box": 0}}, ValueError, "not all be 0"),
        (fs.SyntheticDataset(shelf(), 8, size=SIZE), {"seed": 3}, ValueError, "a seed of its own"),
        ([shelf().sample(1)], {"seed": 3}, ValueError, "were drawn already"),
        ([shelf().sample(1), fs.Scene(fs.Objects(fs.procedural.products())).sample(1)], {}, ValueError, "same assets"),
    ],
)
def test_bad_input_is_named(source, options, error, said):
    with pytest.raises(error, match=said):
        fs.audit(source, **options)


def test_there_is_no_histogram_of_what_never_changes():
    with pytest.raises(KeyError, match="no 'camera.fov'. Available: .*camera.distance"):
        fs.audit(shelf(), 8, size=SIZE)["camera.fov"]


def test_batches_without_an_object():
    nothing = fs.Scene(fs.Objects(PARTS)).sample(4).replace(mesh_id=torch.full((4, 1), -1, dtype=torch.int32))
    bare = fs.SceneBatch(
        PARTS,
        torch.zeros(2, 0, dtype=torch.int32),
        torch.zeros(2, 0, 4, 4),
        torch.eye(3).repeat(2, 1, 1),
        torch.eye(4).repeat(2, 1, 1),
    )
    for batches, images in ((nothing, 4), (bare, 2), ([nothing, bare], 6)):
        report = fs.audit(batches, size=SIZE)
        assert report.images == images and not report.findings
        assert all(entry == {"placed": 0, "seen": 0, "expected": None} for entry in report.classes.values())
        report.picture(), report.table()
