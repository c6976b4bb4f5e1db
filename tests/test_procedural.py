"""Built-in meshes are closed, the right way round, and the same every time."""

import numpy as np
import pytest
import torch

import fastsynth as fs
from fastsynth import procedural
from fastsynth.load import _closed

SOLIDS = [procedural.box(), procedural.sphere(), procedural.cylinder(), procedural.cone(), procedural.torus()]
PRODUCTS = procedural.product_meshes(variants=3, texture_size=32)


@pytest.mark.parametrize("mesh", SOLIDS + PRODUCTS, ids=lambda mesh: mesh.name)
def test_meshes_are_closed_and_face_outward(mesh):
    closed, volume = _closed(mesh.vertices, mesh.faces)
    assert closed and volume > 0


@pytest.mark.parametrize("mesh", SOLIDS, ids=lambda mesh: mesh.name)
def test_normals_point_to_the_side_of_their_faces(mesh):
    corners = mesh.vertices[mesh.faces]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((mesh.normals[mesh.faces] * faces[:, None]).sum(2) > -1e-9).all()
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("mesh", PRODUCTS, ids=lambda mesh: mesh.name)
def test_products_stand_on_the_ground_and_have_real_sizes(mesh):
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    assert abs(low[2]) < 1e-9 and 0.05 < high[2] < 0.35
    assert mesh.uvs.min() >= 0 and mesh.uvs.max() <= 1


def test_volumes_are_those_of_the_textbook():
    assert _closed(SOLIDS[0].vertices, SOLIDS[0].faces)[1] == pytest.approx(1.0)
    assert _closed(SOLIDS[1].vertices, SOLIDS[1].faces)[1] == pytest.approx(np.pi / 6, rel=0.01)
    assert _closed(SOLIDS[3].vertices, SOLIDS[3].faces)[1] == pytest.approx(np.pi / 12, rel=0.01)


def test_products_depend_on_the_seed_alone():
    one, two, other = (procedural.products(2, seed=s, texture_size=32) for s in (0, 0, 1))
    assert torch.equal(one.vertex_data, two.vertex_data) and torch.equal(one.textures.texels, two.textures.texels)
    assert not torch.equal(one.textures.texels, other.textures.texels)
    labels = {one.textures.image(row).numpy().tobytes() for row in range(len(one.textures))}
    assert len(labels) == len(one)


def test_textures_of_every_kind_differ():
    packed = procedural.textures(10, size=32)
    assert len({packed.image(row).numpy().tobytes() for row in range(10)}) == 10
    flat = packed.image(0)
    assert (flat == flat[0, 0]).all()


def test_a_label_reads_from_left_to_right():
    """The texture of a box's front is upright and unmirrored as seen by a camera before it."""
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[32:48, 0:16] = (255, 0, 0)  # upper left of the front's field
    picture[48:64, 16:32] = (0, 0, 255)  # lower right
    box = procedural.box()
    mesh = fs.Mesh(box.vertices, box.faces, box.normals, box.uvs, materials=(fs.Material(base_texture=picture),))
    camera = fs.Pinhole.look_at(eye=(0, -3, 0), target=(0, 0, 0), fov=fs.deg(24))
    batch = fs.SceneBatch(
        assets=fs.pack([mesh]),
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=torch.eye(4).expand(1, 1, 4, 4),
        tone="linear",
        **camera.fields(),
    )
    rgb = fs.render(batch, (64, 64), ("rgb",)).rgb[0]
    assert rgb[0, 16, 16] > 0.2 and rgb[2, 16, 16] == 0
    assert rgb[2, 48, 48] > 0.2 and rgb[0, 48, 48] == 0
    assert rgb[:, 16, 48].max() == 0 and rgb[:, 48, 16].max() == 0


@pytest.mark.parametrize("arguments", [{"variants": 0}, {"texture_size": 4}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be at least"):
        procedural.products(**arguments)
