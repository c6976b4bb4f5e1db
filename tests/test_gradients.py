"""Gradients of the drawn picture: those of the composed one where nothing becomes visible or hidden, and those of the
image's own change where something does."""

import math

import pytest
import torch
from test_compose import VARIANTS, doubled, make_batch

import fastsynth as fs
from fastsynth.compose import compose

POSES = ("world_from_object", "intrinsics", "camera_from_world")
LOOKS = ("light_position", "light_direction", "light_color", "light_cone", "ambient", "base_color", "metallic",
         "roughness", "background_color", "exposure", "white_balance")  # fmt: skip
SHADED = [name for name, fields in VARIANTS.items() if not {"blur", "noise"} & set(fields)]


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0))


def away_from_edges(instance_id):
    """Pixels whose neighbours all show what they show."""
    alone = torch.ones_like(instance_id, dtype=torch.bool)
    for axis in (1, 2):
        differs = instance_id.diff(dim=axis) != 0
        n = instance_id.shape[axis]
        alone.narrow(axis, 0, n - 1).logical_and_(~differs)
        alone.narrow(axis, 1, n - 1).logical_and_(~differs)
    return alone[:, None]


@pytest.mark.parametrize("variant", SHADED)
def test_looks_have_the_gradients_of_the_composed_picture(variant):
    batch, size = make_batch(**VARIANTS[variant]).replace(filter="bilinear"), (48, 64)
    texels = (batch.assets.textures.texels.float() / 255).requires_grad_()
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in POSES + LOOKS}
    frames = fs.render(batch.replace(**leaves), size, ("rgb", "instance_id", "triangle_id"), texels=texels)
    weights = torch.randn(frames.rgb.shape, generator=torch.Generator().manual_seed(1))
    weights = weights * away_from_edges(frames.instance_id)
    (frames.rgb * weights).sum().backward()

    exact = doubled(batch)
    doubles = {name: getattr(exact, name).double().clone().requires_grad_() for name in POSES + LOOKS}
    for name, value in doubles.items():
        setattr(exact, name, value)
    all_texels = (batch.assets.textures.texels.double() / 255).requires_grad_()
    drawn = compose(exact, size, frames.triangle_id, frames.instance_id, texels=all_texels)["rgb"]
    (drawn * weights.double()).sum().backward()
    for name in (*POSES, *LOOKS, "texels"):
        mine, wanted = (texels, all_texels) if name == "texels" else (leaves[name], doubles[name])
        if wanted.grad is None or not wanted.grad.any():
            assert mine.grad is None or not (mine.grad.abs() > 1e-4).any(), name
            continue
        assert mine.grad is not None, name
        given, wanted = (g[..., :3] if name in ("base_color", "texels") else g for g in (mine.grad, wanted.grad))
        if name in POSES:  # corners' weights are clamped, and texels have edges: 32 and 64 bits fall on either side
            assert cosine(given, wanted) > 0.998, name
        else:
            torch.testing.assert_close(
                given.double(), wanted, rtol=2e-3, atol=2e-3 * float(wanted.abs().max()), msg=name
            )


# Scenes in which one thing moves.

LIGHT = torch.tensor([[[0.2, 0.3, 1.0]]]) / 1.0630146
CORNERS = torch.tensor([[x, y, z] for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (-0.2, 0.2)])
SIDES = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]


def mesh(vertices, faces, color):
    material = fs.Material((*color, 1.0), double_sided=True)
    return fs.Mesh(torch.as_tensor(vertices).float().numpy(), torch.as_tensor(faces).numpy(), materials=(material,))


TRIANGLE = mesh([[-0.3, -0.25, 0], [0.35, -0.1, 0], [-0.05, 0.3, 0]], [[0, 1, 2]], (0.8, 0.3, 0.2))
FLOOR = mesh([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], [[0, 1, 2], [0, 2, 3]], (0.2, 0.6, 0.3))
CUBE = mesh(
    torch.cat([CORNERS[side] for side in SIDES]),
    [[4 * i + a, 4 * i + b, 4 * i + c] for i in range(6) for a, b, c in ((0, 1, 2), (0, 2, 3))],
    (0.8, 0.3, 0.2),
)


def turn(vector):
    x, y, z = vector.unbind(-1)
    none = torch.zeros_like(x)
    skew = torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3))
    return torch.matrix_exp(skew)


def pose(place, turned=(0.0, 0.0, 0.0)):
    matrix = torch.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn(torch.tensor(turned)), torch.tensor(place)
    return matrix


def scene(*things):
    meshes, poses = zip(*things, strict=True)
    ambient = torch.zeros(1, 9, 3)
    ambient[:, 0] = 0.6
    return fs.SceneBatch(
        assets=fs.pack(list(meshes)),
        mesh_id=torch.arange(len(meshes), dtype=torch.int32)[None],
        world_from_object=torch.stack(poses)[None],
        intrinsics=torch.eye(3)[None].clone(),
        camera_from_world=torch.eye(4)[None].clone(),
        background_color=torch.tensor([[[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]]),
        light_kind=torch.ones(1, 1, dtype=torch.int32),
        light_direction=LIGHT,
        light_color=torch.full((1, 1, 3), 0.7),
        ambient=ambient,
        tone="linear",
    )


def moved(batch, by, who):
    """By a shift [m] and a turn [rad]: instance `who`, or the camera (None)."""
    last = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    if who is None:
        change = torch.cat([torch.cat([turn(by[3:]), by[:3, None]], 1), last])
        return batch.replace(camera_from_world=(change @ batch.camera_from_world[0])[None])
    poses = list(batch.world_from_object[0])
    turned, place = turn(by[3:]) @ poses[who][:3, :3], poses[who][:3, 3] + by[:3]
    poses[who] = torch.cat([torch.cat([turned, place[:, None]], 1), last])
    return batch.replace(world_from_object=torch.stack(poses)[None])


def statistic(batch, side):
    """A smooth one of the picture, the same for every resolution."""
    rgb = fs.render(batch, (side, side), ("rgb",)).rgb
    at = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    weights = torch.stack([torch.sin(3 * x + 1) * torch.cos(2 * y), torch.cos(4 * x * y + 0.3), torch.sin(5 * y - x)])
    return (rgb * weights).mean()


SKEWED = (0.6, 0.42, 0.12)
MOVING = {
    "a triangle over background": (scene((TRIANGLE, pose((0.02, 0.01, 1.0)))), 0),
    "an occluder over a plane": (scene((TRIANGLE, pose((0.02, 0.01, 1.0))), (FLOOR, pose((0.0, 0.0, 1.6)))), 0),
    "a surface that cuts a plane": (
        scene((TRIANGLE, pose((0.02, 0.01, 1.0), (0.9, 0.27, 0.0))), (FLOOR, pose((0.0, 0.0, 1.02)))),
        0,
    ),
    "a plane that cuts a surface": (
        scene((TRIANGLE, pose((0.02, 0.01, 1.0), (0.9, 0.27, 0.0))), (FLOOR, pose((0.0, 0.0, 1.02)))),
        1,
    ),
    "a cube": (scene((CUBE, pose((0.02, 0.01, 1.2), SKEWED))), 0),
    "the camera around a cube": (scene((CUBE, pose((0.02, 0.01, 1.2), SKEWED))), None),
    "a triangle that leaves the frame": (scene((TRIANGLE, pose((0.42, 0.01, 1.0)))), 0),
    "a cube behind a triangle": (
        scene((TRIANGLE, pose((0.1, 0.05, 1.0))), (CUBE, pose((-0.05, 0.0, 1.4), SKEWED))),
        1,
    ),
}


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_an_edge_has_the_picture_s_own_gradient(name):
    """At 64 pixels against finite differences at 1024, where an edge's place is known to a sixteenth of a pixel."""
    batch, who = MOVING[name]
    by = torch.zeros(6, requires_grad=True)
    statistic(moved(batch, by, who), 64).backward()
    step = 0.004
    with torch.no_grad():
        differences = torch.stack(
            [
                (statistic(moved(batch, at, who), 1024) - statistic(moved(batch, -at, who), 1024)) / (2 * step)
                for at in torch.eye(6) * step
            ]
        )
    assert by.grad is not None
    print(f"{name}: cosine {cosine(by.grad, differences):.4f}, length {by.grad.norm() / differences.norm():.3f}")
    assert cosine(by.grad, differences) > 0.95
    assert 0.85 < by.grad.norm() / differences.norm() < 1.2


def test_a_textured_plane_of_two_triangles_has_no_edge_inside():
    """The diagonal is no edge: a plane that fills the frame and slides along itself changes by its texture alone."""
    batch = scene((FLOOR, pose((0.0, 0.0, 1.0)))).replace(light_color=torch.zeros(1, 1, 3))
    by = torch.zeros(6, requires_grad=True)
    statistic(moved(batch, by, 0), 64).backward()
    assert by.grad is not None and by.grad[:2].abs().max() < 1e-6  # one colour everywhere


# What every gradient owes.


def learnable(batch):
    texels = (batch.assets.textures.texels.float() / 255).requires_grad_()
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in POSES + LOOKS}
    return batch.replace(**leaves), [*leaves.values(), texels]


def gradients(threads=None):
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        batch, leaves = learnable(make_batch(**VARIANTS["ggx"]))
        frames = fs.render(batch, (70, 90), ("rgb",), texels=leaves[-1])
        return torch.autograd.grad(frames.rgb.square().sum(), leaves)
    finally:
        torch.set_num_threads(before)


def test_the_same_bits_in_every_run_and_for_any_number_of_threads():
    first = gradients()
    for again in (gradients(), gradients(1), gradients(2), gradients(3)):
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_picture_is_the_same_with_and_without_gradients():
    batch, _ = learnable(make_batch())
    with torch.no_grad():
        plain = fs.render(batch, (40, 50), fs.types.OUTPUTS)
    traced = fs.render(batch, (40, 50), fs.types.OUTPUTS)
    assert all(torch.equal(getattr(plain, name), getattr(traced, name)) for name in fs.types.OUTPUTS)
    assert traced.rgb.requires_grad and not plain.rgb.requires_grad
    assert not any(getattr(traced, name).requires_grad for name in fs.types.OUTPUTS if name != "rgb")


def test_refusals():
    batch, leaves = learnable(make_batch())
    assert not fs.render(batch, (8, 8), ("rgb",), rgb_dtype=torch.uint8).rgb.requires_grad
    with pytest.raises(ValueError, match="gradients are of one sample a pixel"):
        fs.render(batch, (8, 8), ("rgb",), samples=4)
    with pytest.raises(ValueError, match="`photo_crop` has no gradient"):
        fs.render(batch.replace(photo_crop=batch.photo_crop.clone().requires_grad_()), (8, 8), ("rgb",))
    with pytest.raises(ValueError, match=r"`texels` must be float32 \["):
        fs.render(batch, (8, 8), ("rgb",), texels=torch.zeros(3, 4))
    rgb = fs.render(batch, (8, 8), ("rgb",), texels=leaves[-1]).rgb
    rgb.sum().backward(retain_graph=True)
    rgb.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        rgb.sum().backward()


def test_the_sensor_passes_gradients_on():
    """Blur and noise are operators of their own; what they see of a scene is held to the composed picture here."""
    batch, size = make_batch(**VARIANTS["sensor"]).replace(filter="bilinear"), (48, 64)
    names = ("light_color", "ambient", "base_color", "background_color", "exposure", "white_balance", "blur", "noise")
    given, wanted = ({name: getattr(batch, name).clone().requires_grad_() for name in names} for _ in range(2))
    frames = fs.render(batch.replace(**given), size, ("rgb", "triangle_id", "instance_id"))
    drawn = compose(batch.replace(**wanted), size, frames.triangle_id, frames.instance_id)["rgb"]
    weights = torch.randn(frames.rgb.shape, generator=torch.Generator().manual_seed(1))
    (frames.rgb * weights).sum().backward()
    (drawn * weights).sum().backward()
    for name in names:
        a, b = given[name].grad, wanted[name].grad
        assert a is not None and b is not None and b.any(), name
        a, b = (g[..., :3] if name == "base_color" else g for g in (a, b))
        torch.testing.assert_close(a, b, rtol=1e-2, atol=5e-3 * float(b.abs().max()), msg=name)


def test_no_images_have_gradients_of_nothing():
    batch, leaves = learnable(make_batch())
    fs.render(batch[:0], (8, 8), ("rgb",), texels=leaves[-1]).rgb.sum().backward()
    assert not leaves[-1].grad.any()


@pytest.mark.parametrize("size", [(1, 1), (3, 130)])
def test_odd_sizes_and_empty_scenes(size):
    batch, leaves = learnable(make_batch())
    fs.render(batch, size, ("rgb",)).rgb.sum().backward()
    assert all(leaf.grad is None or leaf.grad.isfinite().all() for leaf in leaves)
    batch, leaves = learnable(make_batch())
    nothing = batch.replace(mesh_id=torch.full_like(batch.mesh_id, -1))
    fs.render(nothing, size, ("rgb",)).rgb.sum().backward()
    assert not batch.world_from_object.grad.any() and batch.exposure.grad.any()


def test_it_compiles_whole():
    batch = make_batch().replace(filter="bilinear")

    def loss(color, world):
        return fs.render(batch.replace(light_color=color, world_from_object=world), (24, 32), ("rgb",)).rgb.mean()

    leaves = [batch.light_color.clone().requires_grad_(), batch.world_from_object.clone().requires_grad_()]
    wanted = torch.autograd.grad(loss(*leaves), leaves)
    given = torch.autograd.grad(torch.compile(loss, fullgraph=True, backend="aot_eager")(*leaves), leaves)
    for a, b in zip(given, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_a_step_along_the_gradient_moves_the_cube_to_where_it_was_seen():
    """Fits a place and a turn from one picture."""
    start, _ = MOVING["a cube"]
    with torch.no_grad():
        target = fs.render(moved(start, torch.tensor([0.06, -0.04, 0.1, 0.2, -0.15, 0.1]), 0), (64, 64), ("rgb",)).rgb
    by = torch.zeros(6, requires_grad=True)
    optimizer = torch.optim.Adam([by], lr=0.02)
    losses = []
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 0.02 * (0.5 + 0.5 * math.cos(math.pi * step / 120))
        loss = (fs.render(moved(start, by, 0), (64, 64), ("rgb",)).rgb - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0], losses[::20]
    assert (by.detach()[:3] - torch.tensor([0.06, -0.04, 0.1])).abs().max() < 0.01
