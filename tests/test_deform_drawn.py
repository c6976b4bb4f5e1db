"""Deformed instances as they are drawn: labels, order of the batch, and both ways of making them."""

from __future__ import annotations

import pytest
import torch
from test_no_sync import SIZE, fake_gpu, kinds, shapes

import fastsynth as fs
from fastsynth import deform
from fastsynth.randomizers.deformers import Deformer
from fastsynth.types import OUTPUTS

IMAGES = 3


def meshes():
    return [
        fs.procedural.tessellated(fs.procedural.box((0.6, 0.8, 1.0)), 0.3),
        fs.procedural.sphere(rings=8),
        fs.procedural.cylinder(around=12),
    ]


def bends():
    return [fs.Lattice(fs.Normal(0.0, 0.1), stands=True), fs.Twist(fs.Normal(0.0, 0.6)), fs.Dent(), fs.Dent()]


def scene(*deformers, count=4, **options):
    deformers = deformers or bends()
    objects = [fs.Objects(fs.pack(meshes()), count=count, rotation=fs.UniformRotation())]
    return fs.Scene(objects, fs.Camera(distance=5.0), fs.DirectionalLight(), soft=fs.Deform(deformers, **options))


def by_functions(made):
    """The same scene without its kernels: names of streams stay, as they are those of the distributions."""
    for step in made.soft.deformers:
        step.__class__ = type("Slow", (type(step),), {"bend": Deformer.bend})
    return made


@pytest.mark.parametrize("size", [4, 15])
def test_both_ways_make_the_same_shapes(size):
    def made():
        return scene(*(fs.Lattice(fs.Normal(0.0, 0.1), size, stands=True), *bends()[1:]))

    fast, slow = made().sample(6), by_functions(made()).sample(6)
    for name in ("faces", "meshlets", "levels", "meshes", "mesh_class", "hull", "mesh_bounds", "vertex_data"):
        torch.testing.assert_close(getattr(fast.assets, name), getattr(slow.assets, name), atol=1e-4, rtol=0)
    assert torch.equal(fast.mesh_id, slow.mesh_id)
    pictures = [fs.render(batch, (48, 48)).rgb for batch in (fast, slow)]
    assert (pictures[0] - pictures[1]).abs().mean() < 1e-3


@pytest.mark.parametrize("options", [{}, {"normals": "area"}, {"normals": "angle"}, {"level": 1}, {"meshes": [0, 2]}])
@pytest.mark.parametrize("many", [False, True])
def test_labels_are_those_of_the_deformed_shape(options, many):
    made = scene(*bends(), *([fs.Dent()] if many else []), **options)
    frames = fs.render(made.sample(6), (64, 64), OUTPUTS)
    assets, batch = frames.batch.assets, frames.batch
    seen = frames.visible_pixels > 0
    tight, loose = frames.boxes_2d_tight[seen], frames.boxes_2d_loose[seen]
    assert (loose[:, :2] <= tight[:, :2] + 0.51).all() and (loose[:, 2:] >= tight[:, 2:] - 0.51).all()
    # Loose boxes are exact: those of all vertices in the image's plane.
    for image, slot in seen.nonzero().tolist()[:8]:
        level = assets.levels[assets.meshes[batch.mesh_id[image, slot], 0]].tolist()
        corners = assets.faces[level[2] : level[2] + level[3], :3].unique().long()
        camera = fs.geometry.transform_points(
            fs.geometry.compose(batch.camera_from_world[image], batch.world_from_object[image, slot]),
            assets.vertices[corners],
        )
        pixels = (batch.intrinsics[image, :2] @ (camera / camera[:, 2:]).T).T * 64 + 32
        box = torch.cat([pixels.amin(0), pixels.amax(0)])
        torch.testing.assert_close(frames.boxes_2d_loose[image, slot], box, atol=1e-2, rtol=0)
        low, high = assets.mesh_bounds[batch.mesh_id[image, slot]].split(3)
        assert torch.equal(low, assets.vertices[corners].amin(0)) and torch.equal(
            high, assets.vertices[corners].amax(0)
        )
    # What is drawn lies on the deformed surface: object coordinates are within the deformed box.
    ids = frames.instance_id.clamp(min=0).long()
    bounds = assets.mesh_bounds[batch.mesh_id.gather(1, ids.flatten(1)).view_as(ids).long()]
    place = frames.object_coordinates.permute(0, 2, 3, 1)
    hit = frames.instance_id >= 0
    assert (place >= bounds[..., :3] - 1e-3)[hit].all() and (place <= bounds[..., 3:] + 1e-3)[hit].all()


@pytest.mark.parametrize("slow", [False, True])
def test_meshlets_lie_within_their_bounds(slow):
    made = scene()
    batch = (by_functions(made) if slow else made).sample(8)
    assets = batch.assets
    first = made.assets.meshlets.shape[0]
    for (vertex, count, *_), bound in zip(assets.meshlets[first:].tolist(), assets.meshlet_bounds[first:], strict=True):
        if count:
            away = (assets.vertices[vertex : vertex + count] - bound[:3]).norm(dim=1)
            assert away.max() <= bound[3] and bound[7] == 2


def test_an_image_does_not_depend_on_the_batch_around_it():
    for made in (scene(), by_functions(scene()), scene(normals="area")):
        whole, one = made.sample(5), made.sample([3])
        each, first = made.assets.kept_for(made.soft).capacity * 4, made.assets.vertex_data.shape[0]
        assert torch.equal(
            one.assets.vertex_data[first:], whole.assets.vertex_data[first + 3 * each : first + 4 * each]
        )
        assert torch.equal(fs.render(one, (32, 32)).rgb, fs.render(whole, (32, 32)).rgb[3:4])


def test_what_is_not_deformed_stays():
    plain = fs.Scene([fs.Objects(fs.pack(meshes()), count=4, rotation=fs.UniformRotation())], fs.Camera(distance=5.0))
    before, after = plain.sample(8), scene(meshes=[1]).sample(8)
    rigid = before.mesh_id != 1
    assert torch.equal(after.mesh_id[rigid], before.mesh_id[rigid]) and (after.mesh_id[~rigid] >= 3).all()
    none = scene(fs.Lattice(0.0), fs.Twist(0.0)).sample(4)
    frames = [fs.render(batch, (48, 48), OUTPUTS) for batch in (plain.sample(4), none)]
    for name in ("semantic_id", "instance_id", "uv", "depth", "normals"):
        a, b = (getattr(frame, name) for frame in frames)
        assert (a - b).abs().float().mean() < 2e-4, name


def test_normals_fit_the_drawn_surface():
    """Of a smooth shape, exact normals and those of the triangles are nearly one."""
    made = [fs.render(scene(fs.Lattice(), normals=kind, meshes=[1]).sample(4), (64, 64), ("normals", "semantic_id"))
            for kind in ("exact", "area", "angle")]  # fmt: skip
    on = (made[0].semantic_id == 1)[:, None]
    for other in made[1:]:
        cosine = (made[0].normals * other.normals).sum(1, keepdim=True)
        assert cosine[on].mean() > 0.99


def test_a_shape_basis_is_found_on_the_drawn_mesh():
    ball = fs.procedural.sphere(rings=8)
    stretch = torch.tensor(ball.vertices, dtype=torch.float32)[None] * torch.tensor([1.0, 0.0, 0.0])
    model = fs.ShapeBasis(ball.vertices, stretch, torch.tensor([1.0]), fs.Choice([[1.0]]))
    batch = fs.Scene(fs.Objects(fs.pack([ball])), shape=fs.Deform(model, normals="area")).sample(2)
    torch.testing.assert_close(batch.assets.mesh_bounds[1:, 3:], torch.tensor([[1.0, 0.5, 0.5]] * 2))
    with pytest.raises(ValueError, match="of its own"):
        fs.Deform(model).extend(fs.pack([fs.procedural.sphere(rings=4)]))
    with pytest.raises(ValueError, match="away from every vertex"):
        fs.Scene(fs.Objects(fs.procedural.primitives()), shape=fs.Deform(fs.ShapeBasis(ball.vertices, stretch, [1.0])))


def test_gradients_reach_the_vertices_of_a_learned_deformation():
    made = scene(fs.Lattice(fs.Normal(0.0, 0.1)))
    made.learn("soft.deformers.0.offset")
    batch = made.sample(2)
    batch.assets.vertex_data.square().sum().backward()
    grads = [value.grad for value in made.soft.parameters()]
    assert grads and all(grad is not None and grad.abs().sum() > 0 for grad in grads)


def test_render_says_that_vertices_have_no_gradient():
    made = scene(fs.Lattice(fs.Normal(0.0, 0.1)))
    made.learn("soft.deformers.0.offset")
    batch = made.sample(2)
    with pytest.raises(ValueError, match="vertices have no gradient here"):
        fs.render(batch, (8, 8), ("rgb",))
    with torch.no_grad():
        fs.render(batch, (8, 8), ("rgb",))
    fs.render(batch, (8, 8), ("instance_id",))


def test_a_mesh_that_there_is_not_stays_one():
    made = scene()
    batch = scene().sample(2).replace(assets=made.assets)
    wrong = batch.replace(mesh_id=torch.full_like(batch.mesh_id, 3))  # there are 3
    bent = made.soft(wrong, fs.Noise(0, torch.arange(2)))
    with pytest.raises(RuntimeError, match="mesh"):
        fs.render(bent, (8, 8), ("instance_id",))


def test_slots_that_are_left_out_stay_and_cost_nothing():
    whole, some = scene().sample(3), scene(slots=2).sample(3)
    count, kept = whole.instances, len(scene().assets)
    assert len(some.assets) == kept + 3 * 2 and (some.mesh_id[:, :2] >= kept).all()
    assert torch.equal(some.mesh_id[:, 2:], scene(meshes=[0], slots=1).sample(3).mesh_id[:, 2:])
    for image in range(3):
        for slot in range(2):
            a, b = (
                made.assets.vertex_data[made.assets.meshlets[made.assets.levels[made.assets.meshes[mesh, 0], 0], 0] :][
                    :40
                ]
                for made in (whole, some)
                for mesh in [made.mesh_id[image, slot]]
            )
            assert torch.equal(a, b)
    assert count > 2
    with pytest.raises(ValueError, match="`slots` must be 1 or more"):
        scene(slots=0)


def test_nothing_waits_for_the_device():
    expected = fs.render(scene().sample(IMAGES), SIZE, OUTPUTS).outputs
    for options in ({}, {"normals": "area"}):
        with fake_gpu(scene(**options)) as made:
            drawn = fs.render(made.sample(IMAGES), SIZE, OUTPUTS).outputs
        assert kinds(drawn) == {"cuda"} and shapes(drawn) == shapes(expected)


def test_sampling_compiles_whole():
    torch.compiler.reset()
    made = scene()

    def vertices(index):
        batch = made.sample(index)
        return batch.assets.vertex_data, batch.assets.faces, batch.mesh_id

    got = torch.compile(vertices, fullgraph=True, backend="aot_eager")(torch.tensor([4, 0]))
    for a, b in zip(got, vertices(torch.tensor([4, 0])), strict=True):
        torch.testing.assert_close(a, b)


def test_no_images():
    assert scene().sample(0).images == 0


def test_wrong_deforms_are_refused():
    with pytest.raises(ValueError, match="at least one deformer"):
        fs.Deform([])
    with pytest.raises(ValueError, match="`normals` must be one of"):
        fs.Deform(fs.Lattice(), normals="flat")
    with pytest.raises(ValueError, match="must name rows"):
        scene(meshes=[7])
    with pytest.raises(ValueError, match="2 to 15 control points"):
        fs.Lattice(size=1)
    with pytest.raises(RuntimeError, match="not been prepared"):
        fs.Deform(fs.Lattice())(scene().sample(1), fs.Noise(0, torch.arange(1)))
    assert deform.lattice is not None
