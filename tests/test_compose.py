"""The composed picture: equal to the fused kernel's, true to geometry, and right in its gradients."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

from fastsynth import geometry, ops
from fastsynth.compose import OUTPUTS, background, compose
from fastsynth.render import render
from fastsynth.surface import intersect, sample
from fastsynth.types import SceneBatch

REPEAT, CLAMP, MIRROR = range(3)


def packed_textures(*pictures, wraps):
    """Textures of the data model from float pictures [h, w, 4]; mip levels are plain averages."""
    texels, info, offsets = [], [], []
    for picture, wrap in zip(pictures, wraps, strict=True):
        levels = ops.mip_chain(picture[None])
        starts = []
        for level in levels:
            starts.append(sum(map(len, texels)))
            texels.append(level[0].reshape(-1, 4).mul(255).round().byte())
        info.append([picture.shape[1], picture.shape[0], len(levels), wrap])
        offsets.append(starts + [starts[-1]] * (16 - len(starts)))
    as_int = {"dtype": torch.int32}
    return SimpleNamespace(
        texels=torch.cat(texels), info=torch.tensor(info, **as_int), offsets=torch.tensor(offsets, **as_int)
    )


def sphere(rings=7, sectors=9):
    """A bumpy closed surface [V, 8], [F, 3], with a seam in its texture coordinates."""
    v, u = torch.meshgrid(torch.linspace(0, 1, rings), torch.linspace(0, 1, sectors), indexing="ij")
    theta, phi = v * math.pi, u * 2 * math.pi
    normal = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)
    position = normal * (0.4 + 0.05 * (3 * phi).cos() * theta.sin())[..., None]
    data = torch.cat([position, normal, 1.7 * u[..., None] - 0.3, 1.4 * v[..., None]], -1).reshape(-1, 8)
    faces = []
    for r in range(rings - 1):
        for s in range(sectors - 1):
            a, b = r * sectors + s, (r + 1) * sectors + s
            faces += [[a, b, a + 1], [a + 1, b, b + 1]]
    return data, torch.tensor(faces)


def sheet():
    """A double-sided square [4, 8], [2, 3]."""
    corners = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    data = torch.cat([corners - 0.5, torch.zeros(4, 1), torch.tensor([[0.0, 0, 1]]).expand(4, 3), 3 * corners - 1], -1)
    return data, torch.tensor([[0, 1, 2], [0, 2, 3]])


def make_assets():
    """Two meshes, a bumpy ball and a sheet, with three materials and three textures: the records of the data model."""
    generator = torch.Generator().manual_seed(3)
    (ball, ball_faces), (square, square_faces) = sphere(), sheet()
    count, first = len(ball), len(ball_faces)
    faces = torch.cat([ball_faces, square_faces + count])
    material = torch.cat([torch.arange(first) % 2, torch.full((2,), 2)])
    as_int = {"dtype": torch.int32}
    assert count <= 64 and first <= 124  # one meshlet each
    pictures = [torch.rand(*size, 4, generator=generator) for size in ((96, 64), (30, 72), (64, 64))]
    bounds = [[0.0, 0, 0, 0.5, 0, 0, 1, 2], [0, 0, 0, 0.75, 0, 0, 1, 2]]
    return SimpleNamespace(
        vertex_data=torch.cat([ball, square]).contiguous(),
        vertex_colors=torch.randint(128, 256, (count + 4, 4), generator=generator, dtype=torch.uint8),
        faces=torch.cat([faces, material[:, None]], 1).to(torch.int32).contiguous(),
        meshlets=torch.tensor([[0, count, 0, first], [count, 4, first, 2]], **as_int),
        meshlet_bounds=torch.tensor(bounds),
        levels=torch.tensor([[0, 1, 0, first], [1, 1, first, 2]], **as_int),
        level_error=torch.zeros(2),
        meshes=torch.tensor([[0, 1, 0, 1], [1, 1, 1, 1]], **as_int),
        mesh_bounds=torch.tensor([[-0.5, -0.5, -0.5, 0.5, 0.5, 0.5]] * 2),
        mesh_class=torch.tensor([4, 7], **as_int),
        hull=torch.zeros(2, 3),
        materials=torch.tensor(
            [[0.9, 0.8, 0.7, 1, 0.3, 0.6, 0, 0], [0.5, 0.9, 1, 1, 0, 0.4, 0, 0], [1, 1, 1, 1, 0.9, 0.9, 0, 1]]
        ),
        material_textures=torch.tensor([[0, -1], [-1, 2], [1, 2]], **as_int),
        textures=packed_textures(*pictures, wraps=(REPEAT, MIRROR, CLAMP)),
        face_bits=7,
    )


def make_batch(**changes):
    """Two images of balls, one of them mirrored, before a sheet seen from behind; every kind of light."""
    turn = geometry.rotation_from_euler(torch.tensor([[0.3, 0.2, 0.1], [1.0, -0.4, 2.0]]))
    flip = torch.diag(torch.tensor([-0.7, 0.9, 0.8]))
    back = geometry.rotation_from_euler(torch.tensor((math.pi + 0.2, 0.15, 0.0)))
    poses = torch.stack(
        [
            geometry.affine(turn, torch.tensor([[-0.35, 0.0, 0.1], [0.2, 0.1, 0.0]])),
            geometry.affine(turn.flip(0) @ flip, torch.tensor([[0.45, 0.2, 0.0], [-0.3, -0.1, 0.2]])),
            geometry.affine(1.4 * back, torch.tensor([0.0, 0.0, -0.5])).expand(2, 4, 4),
        ],
        1,
    )
    photo = torch.rand(88, 131, 4, generator=torch.Generator().manual_seed(5))
    eyes = ((0.1, -0.4, 2.0), (0.5, 0.6, 1.8))
    camera = geometry.Pinhole.look_at(eye=eyes, target=(0.0, 0.0, 0.0), up=(0, 1, 0), fov=geometry.deg(45))
    down = torch.tensor([[0.3, 0.5, -0.8], [0.0, 0.0, -1.0], [0.2, 0.0, -1.0], [-0.1, 0.2, -1.0]])
    spots = torch.tensor([[0.0, 0.3, 2.0], [0.8, 0.2, 1.0], [0.0, 0.0, 1.5], [0.5, -0.6, 1.2]])
    lights = len(spots)
    fields = {
        "mesh_id": torch.tensor([[0, 0, 1], [0, 0, 1]], dtype=torch.int32),
        "world_from_object": poses,
        "intrinsics": camera.intrinsics,
        "camera_from_world": camera.camera_from_world,
        "light_kind": torch.tensor([[1, 2, 3, 0], [3, 0, 1, 2]], dtype=torch.int32),
        "light_position": spots.repeat(2, 1, 1),
        "light_direction": torch.nn.functional.normalize(down, dim=-1).repeat(2, 1, 1),
        "light_color": torch.linspace(0.1, 0.6, 2 * lights * 3).view(2, lights, 3),
        "light_cone": torch.tensor([0.97, 0.8]).expand(2, lights, 2),
        "ambient": 0.05 * torch.rand(2, 9, 3, generator=torch.Generator().manual_seed(6)),
        "base_color": torch.linspace(0.6, 1.0, 2 * 3 * 4).view(2, 3, 4),
        "metallic": torch.tensor([[-1.0, 0.2, -1.0], [0.9, -1.0, -1.0]]),
        "roughness": torch.tensor([[-1.0, 0.5, -1.0], [0.3, -1.0, -1.0]]),
        "texture_id": torch.tensor([[-1, 2, -1], [-2, -1, 0]], dtype=torch.int32),
        "background_color": torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(7)),
        "photos": packed_textures(photo, wraps=(CLAMP,)),
        "photo_id": torch.tensor([0, -1], dtype=torch.int32),
        "photo_crop": torch.tensor([[0.1, 0.2, 0.9, 0.8], [0.0, 0.0, 1.0, 1.0]]),
        "exposure": torch.tensor([0.2, -0.3]),
        "white_balance": torch.tensor([[1.1, 1.0, 0.9], [0.9, 1.0, 1.2]]),
        "noise_key": torch.tensor([11, 12]),
    }
    return SceneBatch(assets=make_assets(), **{**fields, **changes})


def doubled(batch):
    """The same batch in float64; `SceneBatch` itself is float32 only."""

    def convert(record):
        values = vars(record).items()
        return SimpleNamespace(**{k: v.double() if _is_float(v) else v for k, v in values})

    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    out = convert(SimpleNamespace(**fields))
    out.assets = convert(batch.assets)
    return out


def _is_float(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def visibility(batch, size):
    frames = render(batch, size, outputs=("triangle_id", "instance_id"))
    return frames.triangle_id, frames.instance_id


VARIANTS = {
    "lambert": {},
    "blinn_phong": {"shading": "blinn_phong"},
    "ggx": {"shading": "ggx"},
    "bilinear": {"filter": "bilinear"},
    "filmic": {"shading": "ggx", "tone": "filmic"},
    "linear": {"shading": "ggx", "tone": "linear"},
    "no photographs": {"photos": None},
    "sensor": {"blur": torch.tensor([0.01, 0.004]), "noise": torch.tensor([[0.02, 0.01], [0.0, 0.0]])},
    "no lights": {f"light_{name}": None for name in ("kind", "position", "direction", "color", "cone")},
}


@pytest.mark.parametrize("samples", [1, 4, 16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_kernel_draws_the_same_picture(variant, samples):
    batch, size, side = make_batch(**VARIANTS[variant]), (40, 56), math.isqrt(samples)
    expected = compose(batch, size, *visibility(batch, (side * size[0], side * size[1])))["rgb"]
    drawn = render(batch, size, outputs=("rgb",), samples=samples).rgb
    difference = (drawn - expected).abs()
    assert expected.std() > 0.05
    assert difference.max() < 3e-4 and difference.mean() < 5e-6


def test_the_kernel_gives_the_same_labels():
    batch, size = make_batch(), (40, 56)
    names = tuple(name for name in OUTPUTS if name != "radiance")
    frames = render(batch, size, outputs=(*names, "triangle_id", "instance_id"))
    composed = compose(batch, size, frames.triangle_id, frames.instance_id, names)
    assert set(composed["semantic_id"].unique().tolist()) == {-1, 4, 7}
    for name in names[1:]:
        torch.testing.assert_close(composed[name], getattr(frames, name), atol=2e-5, rtol=2e-5, msg=name)


def test_what_is_seen_lies_on_the_ray_of_its_pixel():
    size = height, width = (24, 32)
    batch = make_batch()
    ids = visibility(batch, size)
    labels = compose(batch, size, *ids, ("object_coordinates", "depth", "distance", "normals"))
    camera = geometry.compose(batch.camera_from_world[:, None], batch.world_from_object)
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    for image in range(2):
        hit = ids[1][image] >= 0
        pose = camera[image][ids[1][image][hit].long()]
        seen = geometry.transform_points(pose, labels["object_coordinates"][image][:, hit].T)
        k = batch.intrinsics[image] * height
        x = (k[0, 0] * seen[:, 0] + k[0, 1] * seen[:, 1]) / seen[:, 2] + k[0, 2] + width / 2
        y = k[1, 1] * seen[:, 1] / seen[:, 2] + k[1, 2] + height / 2
        # The rasterizer snaps corners to 1/256 pixel, which moves a silhouette's pixel by as much.
        torch.testing.assert_close(torch.stack([x, y]), torch.stack([columns[hit], rows[hit]]), atol=0.01, rtol=0)
        torch.testing.assert_close(labels["depth"][image][hit], seen[:, 2], atol=1e-4, rtol=0)
        torch.testing.assert_close(labels["distance"][image][hit], seen.norm(dim=1), atol=1e-4, rtol=0)
        normals = labels["normals"][image]
        torch.testing.assert_close(normals[:, hit].norm(dim=0), torch.ones(int(hit.sum())))
        assert (normals[:, ids[1][image] == 2] * seen.T[:, ids[1][image][hit] == 2]).sum(0).max() < 0  # the flat sheet
        assert all(label[image][..., ~hit].abs().max() == 0 for label in labels.values())


FIELDS = (
    "world_from_object intrinsics camera_from_world light_position light_direction light_color light_cone ambient "
    "base_color metallic roughness background_color photo_crop exposure white_balance blur noise"
).split()
MODELS = {"lambert": "srgb", "blinn_phong": "linear", "ggx": "filmic"}


CHECKED = [
    (shading, field)
    for shading in MODELS
    for field in (*FIELDS, "materials", "vertex_data", "texels", "photo_texels")
    if shading != "lambert" or field not in ("metallic", "roughness")
]


@pytest.mark.parametrize(("shading", "field"), CHECKED)
def test_gradients_match_finite_differences(shading, field):
    size = (6, 7)
    sensor = {"blur": torch.tensor([0.08, 0.06]), "noise": torch.tensor([[0.02, 0.01], [0.01, 0.02]])}
    batch = make_batch(shading=shading, tone=MODELS[shading], blur_limit=0.1, **sensor)
    ids = visibility(batch, size)
    exact = doubled(batch)
    source = {"texels": exact.assets.textures.texels / 255, "photo_texels": exact.photos.texels / 255}.get(field)
    if source is None:
        source = getattr(exact if field in FIELDS else exact.assets, field)
    noise = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def draw(value):
        changed, options = doubled(batch), {}
        if field in ("texels", "photo_texels"):
            options[field] = value
        else:
            setattr(changed if field in FIELDS else changed.assets, field, value)
        return compose(changed, size, *ids, normal=noise, **options)["rgb"]

    value = source.double().clone().requires_grad_()
    assert torch.autograd.gradcheck(draw, (value,), atol=1e-4, rtol=1e-3, fast_mode=True)
    (gradient,) = torch.autograd.grad(draw(value).sum(), value)
    assert gradient.isfinite().all() and gradient.abs().max() > 1e-6


@pytest.mark.parametrize("shading", MODELS)
def test_gradients_are_finite(shading):
    size = (48, 64)
    fields = dict.fromkeys(FIELDS)
    batch = make_batch(shading=shading, **VARIANTS["sensor"])  # one image without noise
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in fields}
    drawn = compose(batch.replace(**leaves), size, *visibility(batch, size), ("rgb", "depth", "normals"))
    sum(value.square().sum() for value in drawn.values()).backward()
    for name, leaf in leaves.items():
        assert leaf.grad is None or leaf.grad.isfinite().all(), name


def test_a_step_along_the_gradient_dims_the_picture():
    batch, size = make_batch(), (24, 32)
    ids = visibility(batch, size)
    color = batch.light_color.clone().requires_grad_()
    before = compose(batch.replace(light_color=color), size, *ids)["rgb"].mean()
    before.backward()
    after = compose(batch.replace(light_color=color.detach() - 0.5 * color.grad), size, *ids)["rgb"].mean()
    assert after < before


@pytest.mark.parametrize("empty", ["no instances", "no faces", "nothing seen"])
def test_an_empty_picture_is_background(empty):
    batch, size = make_batch(), (5, 7)
    nothing = torch.full((2, *size), -1, dtype=torch.int32)
    if empty == "no faces":
        batch = batch.replace(assets=SimpleNamespace(**{**vars(batch.assets), "faces": torch.zeros(0, 4).int()}))
    elif empty == "no instances":
        slots = ("mesh_id", "world_from_object", "base_color", "metallic", "roughness", "texture_id")
        batch = batch.replace(**{name: getattr(batch, name)[:, :0] for name in slots})
    drawn = compose(batch, size, nothing, nothing, OUTPUTS)
    torch.testing.assert_close(drawn["radiance"], background(batch, size).movedim(-1, 1))
    shapes = {"rgb": (3,), "normals": (3,), "object_coordinates": (3,), "uv": (2,)}
    shapes |= {"base_color": (3,), "irradiance": (3,), "specular": (3,), "metallic_roughness": (2,)}
    for name in OUTPUTS[2:]:
        assert drawn[name].shape == (2, *shapes.get(name, ()), *size), name
        assert (drawn[name] == (-1 if name in ("semantic_id", "material_id") else 0)).all(), name


def test_background_runs_from_top_to_bottom():
    batch = make_batch(photos=None, background_color=torch.tensor([[[0.0, 0, 0], [1, 2, 4]]]).repeat(2, 1, 1))
    rows = background(batch, (4, 3))[0, :, 1]
    torch.testing.assert_close(rows, torch.tensor([0.125, 0.375, 0.625, 0.875])[:, None] * torch.tensor([1.0, 2, 4]))


def test_wrong_calls_are_refused():
    batch = make_batch()
    ids = visibility(batch, (8, 8))
    with pytest.raises(ValueError, match=r"compose\(\): there is no output 'colour'. Available: rgb, "):
        compose(batch, (8, 8), *ids, ("colour",))
    with pytest.raises(ValueError, match=r"'depth' is a label of pixel centres, but `triangle_id` has 2 samples"):
        compose(batch, (4, 4), *ids, ("rgb", "depth"))
    with pytest.raises(ValueError, match=r"1, 2 or 4 samples along each side of a pixel of `size` = \(3, 8\)"):
        compose(batch, (3, 8), *ids)
    with pytest.raises(ValueError, match=r"must show the B = 2 images of `batch`"):
        compose(batch, (8, 8), *(x[:1] for x in ids))


def test_a_triangle_behind_and_before_the_eye_is_met_where_it_is():
    # A floor at y = 1 through the eye's plane: the ray down at 45 degrees meets it at depth 1.
    floor = torch.tensor([[[-5.0, 1, -5], [5, 1, -5], [0, 1, 20]], [[0.0, 1, 20], [-5, 1, -5], [5, 1, -5]]])
    hit = intersect(floor, torch.tensor([[0.0, 1.0]] * 2), (0.1, 0.1))
    torch.testing.assert_close(hit.depth, torch.ones(2))
    torch.testing.assert_close((hit.weights[..., None] * floor).sum(1), torch.ones(2, 3) * torch.tensor([0.0, 1, 1]))


def test_weights_change_from_pixel_to_pixel_as_said():
    corners = torch.tensor([[-1.0, -1, 1], [3, -1, 2], [-1, 3, 1.5]], dtype=torch.float64)
    here = torch.tensor([-0.1, 0.05], dtype=torch.float64)
    hit = intersect(corners, here, (0.1, 0.2))
    step = 1e-6
    for change, axis, size in ((hit.change_x, 0, 0.1), (hit.change_y, 1, 0.2)):
        moved = here.clone()
        moved[axis] += step * size
        there = intersect(corners, moved, (0.1, 0.2))
        torch.testing.assert_close((there.weights - hit.weights)[1:] / step, change, atol=1e-5, rtol=0)


@pytest.mark.parametrize("wrap", ["repeat", "clamp", "mirror"])
def test_lookup_agrees_with_the_texture_op(wrap):
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(12, 20, 4, generator=generator).mul(255).round() / 255
    levels = [level.mul(255).round() / 255 for level in ops.mip_chain(picture[None])]
    packed = packed_textures(picture, wraps=(("repeat", "clamp", "mirror").index(wrap),))
    uv = torch.rand(1, 9, 9, 2, generator=generator) * 5 - 2
    change = 0.3 * torch.rand(1, 9, 9, 4, generator=generator) ** 2
    expected = ops.texture(levels, uv, change, wrap)
    row = torch.zeros(uv.shape[:3], dtype=torch.int64)
    found = sample(packed, row, uv, change[..., 0::2], change[..., 1::2], decode=False, mips=True)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_lookup_at_a_texel_centre_is_the_texel_in_linear_light():
    picture = torch.tensor([[[0.0, 1.0, 0.5, 0.5], [1.0, 0.0, 0.2, 1.0]]])
    packed = packed_textures(picture, wraps=(CLAMP,))
    uv, still = torch.tensor([[0.25, 0.5], [0.75, 0.5], [0.5, 0.5]]), torch.zeros(3, 2)
    row = torch.tensor([0, 0, 0])
    found = sample(packed, row, uv, still, still, decode=True, mips=True)
    coded = torch.tensor([128 / 255, 51 / 255])
    light = ((coded + 0.055) / 1.055) ** 2.4
    torch.testing.assert_close(found[0], torch.tensor([0.0, 1.0, light[0].item(), 128 / 255]))
    torch.testing.assert_close(found[2, :3], torch.tensor([0.5, 0.5, light.mean().item()]))
    beyond = sample(packed, torch.tensor([-1, 1, 7]), uv, still, still, decode=True, mips=True)
    torch.testing.assert_close(beyond, torch.ones(3, 4))
    # A footprint of the whole texture takes the coarsest level, the average (of coded values, as packed here).
    wide = sample(packed, row[:1], uv[:1], torch.ones(1, 2), still[:1], decode=False, mips=True)
    torch.testing.assert_close(wide[0, :2], torch.full((2,), 128 / 255))
