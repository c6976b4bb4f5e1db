"""Packing: nothing lost, every bound true."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

import fastsynth as fs
from fastsynth.pack import MESHLET_FACES, MESHLET_VERTICES, cut_meshlets
from fastsynth.textures import mip_levels


@pytest.fixture(scope="module")
def primitives():
    return fs.procedural.primitives()


def triangles(assets, mesh, level=0):
    """Corner positions of one level of detail, [f, 3, 3]."""
    row = assets.levels[assets.meshes[mesh, 0] + level]
    faces = assets.faces[row[2] : row[2] + row[3], :3].long()
    return assets.vertices[faces]


def as_set(corners):
    """Triangles as a set, whichever corner each begins with."""
    keys = [tuple(map(tuple, t)) for t in np.asarray(corners, np.float32).tolist()]
    return sorted(min(k[i:] + k[:i] for i in range(3)) for k in keys)


def test_no_triangle_is_lost_or_turned():
    mesh = fs.procedural.torus()
    packed = fs.pack([mesh])
    assert as_set(triangles(packed, 0)) == as_set(mesh.vertices.astype(np.float32)[mesh.faces])


def test_meshes_of_one_topology_keep_their_own_vertices():
    """Their faces are cut once for all: what depends on where the vertices lie must not be shared."""
    ball = fs.procedural.sphere(rings=8)
    meshes = [fs.Mesh(ball.vertices * scale, ball.faces) for scale in ((1, 1, 1), (2, 1, 0.5))]
    both = fs.pack(meshes, classes=["a", "a"], lod=False)
    for row, mesh in enumerate(meshes):
        alone = fs.pack([mesh], classes=["a"], lod=False)
        first, count, face, faces = both.levels[row].tolist()
        assert torch.equal(both.meshlet_bounds[first : first + count], alone.meshlet_bounds)
        corners = both.faces[face : face + faces, :3].long()
        assert torch.equal(both.vertex_data[corners], alone.vertex_data[alone.faces[:, :3].long()])


def test_meshlets_keep_their_limits_and_rows(primitives):
    m = primitives.meshlets.long()
    assert (m[:, 1] <= MESHLET_VERTICES).all() and (m[:, 3] <= MESHLET_FACES).all()
    for first, count, face, faces in m.tolist():
        corners = primitives.faces[face : face + faces, :3]
        assert corners.min() >= first and corners.max() < first + count
    assert m[:, 1].sum() == len(primitives.vertex_data) and m[:, 3].sum() == len(primitives.faces)
    for first, count, face, faces in primitives.levels.tolist():
        assert primitives.meshlets[first : first + count, 3].sum() == faces
        assert primitives.meshlets[first, 2] == face


def test_spheres_hold_their_meshlets(primitives):
    for row, (first, count, _, _) in enumerate(primitives.meshlets.tolist()):
        bounds = primitives.meshlet_bounds[row].double()
        points = primitives.vertices[first : first + count].double()
        assert (points - bounds[:3]).norm(dim=1).max() <= bounds[3] * (1 + 1e-6)


def test_cones_never_hide_a_face_that_is_seen():
    packed = fs.procedural.primitives()
    eyes = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    hidden_some = False
    for row, (_, _, face, faces) in enumerate(packed.meshlets.tolist()):
        centre, radius, axis, cutoff = packed.meshlet_bounds[row].double().split([3, 1, 3, 1])
        d = centre - eyes
        hidden = (d @ axis >= cutoff * d.norm(dim=1) + radius) & (cutoff < 1.5)
        hidden_some |= bool(hidden.any())
        corners = packed.vertices[packed.faces[face : face + faces, :3].long()].double()
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        seen = torch.einsum("fc,efc->ef", normal, eyes[:, None] - corners[None, :, 0]) > 1e-9
        assert not (seen.any(1) & hidden).any()
    assert hidden_some


def test_hull_has_the_extent_of_the_mesh_in_every_direction(primitives):
    directions = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    for mesh in range(len(primitives)):
        _, _, first, count = primitives.meshes[mesh].tolist()
        points = triangles(primitives, mesh).reshape(-1, 3)
        torch.testing.assert_close(
            (primitives.hull[first : first + count] @ directions.T).amax(0), (points @ directions.T).amax(0)
        )


def test_levels_of_detail_stay_within_their_error():
    sphere = fs.procedural.sphere(rings=64)
    packed = fs.pack([sphere])
    levels = packed.meshes[0, 1].item()
    assert levels > 3
    faces = packed.levels[:levels, 3]
    assert (faces[1:] < 0.8 * faces[:-1]).all() and (packed.level_error.diff() >= 0).all()
    for level in range(levels):
        corners = triangles(packed, 0, level)
        middle = corners.mean(1).norm(dim=1)  # the middle of a flat face lies deepest below the sphere
        # The middles of the finest level's own faces lie below the sphere already.
        assert 0.5 - middle.min() <= 3 * packed.level_error[level] + 0.003
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        outward = (normal * corners.mean(1)).sum(1)
        # Needles at the seam may fold over; they must not be seen.
        assert -outward.clamp(max=0).sum() < 1e-3 * outward.sum(), f"faces of level {level} are turned inside out"


def test_mips_are_averaged_in_linear_light():
    checker = np.zeros((2, 2, 4), np.uint8)
    checker[0, 0] = checker[1, 1] = 255
    assert mip_levels(checker)[1][0, 0].tolist() == [188, 188, 188, 128]  # not 128: half the light is code 188
    assert mip_levels(checker, coded=False)[1][0, 0, 0] == 128


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (7, 7), (1, 9)])
def test_mips_of_any_size_keep_a_constant(size):
    image = np.full((*size, 4), 77, np.uint8)
    levels = mip_levels(image)
    assert [level.shape[:2] for level in levels] == [tuple(max(1, s >> i) for s in size) for i in range(len(levels))]
    assert all((level == 77).all() for level in levels) and levels[-1].shape[:2] == (1, 1)


def test_textures_come_back():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 4), np.uint8) for h, w in ((3, 5), (8, 8), (1, 1))]
    packed = fs.Textures.from_images(images, ["repeat", "clamp", "mirror"])
    for row, image in enumerate(images):
        assert np.array_equal(packed.image(row).numpy(), image)
    assert packed.info[:, 3].tolist() == [0, 1, 2]
    both = packed.then(packed)
    assert np.array_equal(both.image(4).numpy(), images[1])


def test_concatenation_draws_the_same(primitives):
    both = fs.Assets.concatenate([fs.procedural.products(1, texture_size=32), primitives])
    assert both.class_names[-1] == "plane" and both.class_names.count("box") == 1
    assert as_set(triangles(both, 7)) == as_set(triangles(primitives, 2))
    scene = fs.Scene(fs.Objects(primitives, count=4))
    batch = scene.sample(2, seed=3)
    shifted = torch.where(batch.mesh_id >= 0, batch.mesh_id + 5, -1)
    one = fs.render(batch, (48, 48), ("rgb", "instance_id"))
    two = fs.render(batch.replace(assets=both, mesh_id=shifted), (48, 48), ("rgb", "instance_id"))
    assert torch.equal(one.rgb, two.rgb) and torch.equal(one.instance_id, two.instance_id)


def test_assets_pickle_and_share(primitives):
    copy = pickle.loads(pickle.dumps(primitives))
    assert torch.equal(copy.faces, primitives.faces) and copy.class_names == primitives.class_names
    assert copy.share_memory_().vertex_data.is_shared()


def in_columns(value):
    """The same numbers in another order of the memory."""
    return value.T.contiguous().T


def test_tensors_of_any_strides_draw_the_same():
    assets = fs.procedural.products(2, texture_size=16)
    batch = fs.Scene(fs.Objects(assets, count=3)).sample(2, seed=1)
    texels = assets.textures.texels
    turned = dataclasses.replace(
        assets,
        vertex_data=in_columns(assets.vertex_data),
        faces=in_columns(assets.faces),
        textures=dataclasses.replace(assets.textures, texels=in_columns(texels)),
    )
    expected = fs.render(batch, (32, 40), ("rgb",)).rgb
    assert torch.equal(fs.render(batch.replace(assets=turned), (32, 40), ("rgb",)).rgb, expected)
    grads = []
    for coded in (texels / 255, in_columns(texels / 255)):
        rgb = fs.render(batch, (32, 40), ("rgb",), texels=coded.requires_grad_()).rgb
        torch.testing.assert_close(rgb, expected)
        grads += torch.autograd.grad(rgb.square().sum(), coded)
    assert torch.equal(*grads) and grads[0].any()


def corner(**changes):
    return fs.Mesh(**{"vertices": np.eye(3), "faces": np.array([[0, 1, 2]]), **changes})


@pytest.mark.parametrize(
    "mesh, says",
    [
        (corner(faces=np.array([[0, 1, 3]])), "name vertices 0 to 3, but has 3"),
        (corner(faces=np.array([[0, 1, -1]])), "name vertices -1 to 1"),
        (corner(faces=np.zeros((0, 3), int)), "at least one face"),
        (corner(vertices=np.full((3, 3), np.nan)), "NaN or infinite"),
        (corner(uvs=np.zeros((2, 2))), "`uvs` must be"),
        (corner(face_material=np.array([1])), "`face_material` must name one of 1"),
    ],
)
def test_bad_meshes_are_refused(mesh, says):
    with pytest.raises(ValueError, match=says):
        fs.pack([mesh])


def test_every_vertex_is_used_by_the_cut():
    faces = np.array([[0, 1, 2], [2, 1, 3]])
    (vertices, local), *others = cut_meshlets(faces, 4)
    assert not others and sorted(vertices.tolist()) == [0, 1, 2, 3]
    assert as_set(np.eye(4)[:, :3][vertices][local]) == as_set(np.eye(4)[:, :3][faces])
