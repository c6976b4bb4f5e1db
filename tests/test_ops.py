"""What every op owes: the right values, a correct registration, clear errors."""

import math

import pytest
import torch
import torch.nn.functional as F

import fastsynth as fs
from fastsynth.ops import Fragments
from fastsynth.ops.draw import ASSETS, OUTPUTS, SCENE, TEXTURES

INT = torch.int32


def generator():
    return torch.Generator().manual_seed(0)  # on the CPU, so that every device sees the same numbers


def rand(*shape):
    return torch.rand(*shape, generator=generator())


def draw_arguments():
    batch = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3)).sample(2, seed=0)
    textures = [getattr(batch.assets.textures, name) for name in TEXTURES]
    return (
        [getattr(batch.assets, name) for name in ASSETS] + textures,
        [batch.tensors().get(name, batch.mesh_id.new_empty(0)) for name in SCENE],
        textures,
        [],
        24, 32, 1, batch.assets.face_bits, (1 << len(OUTPUTS)) - 1, 0, 0, True, False, False, 0.01, 0.0,
    )  # fmt: skip


def draw_backward_arguments():
    assets, scene, photos, *_ = draw_arguments()
    drawn = torch.ops.fastsynth.draw(*draw_arguments())
    rgb, instance_id, triangle_id, seen = (
        drawn[OUTPUTS.index(name)] for name in ("rgb", "instance_id", "triangle_id", "seen")
    )
    wanted = 127  # everything
    return (assets, scene, photos, rgb, rand(*rgb.shape), instance_id, triangle_id, seen, wanted, 0, 0, True, False,
            0.01, 0.0)  # fmt: skip


def lit_arguments(backward):
    """A light with a map and a panorama, in an image each, and nothing in the others."""
    assets, scene, photos, *_ = draw_arguments()
    drawn = torch.ops.fastsynth.draw(*draw_arguments())
    rgb, *seen = (drawn[OUTPUTS.index(name)] for name in ("rgb", "instance_id", "triangle_id", "seen"))
    images, lights = scene[0].shape[0], 1
    lit = {"light_kind": torch.ones(images, 1, dtype=INT), "light_position": (0.0, 0.0, 2.0),
           "light_direction": (0.0, 0.0, -1.0), "light_color": (0.5, 0.6, 0.7), "light_cone": (0.9, 0.8)}  # fmt: skip
    for name, value in lit.items():
        if not isinstance(value, torch.Tensor):
            value = torch.tensor(value).expand(images, 1, -1).contiguous()
        scene[SCENE.index(name)] = value
    skies = fs.procedural.environments(1, height=8)
    camera = torch.cat([torch.eye(3, 4).flatten(), torch.tensor([0.5, 0.5, 0.1, 0.1])])
    lighting = [rand(images, 1, 8, 8) * 3, camera.expand(images, 1, 16).contiguous(), skies.texels, skies.reflectance,
                torch.arange(images, dtype=INT) - 1, rand(images), rand(images, 2), rand(images, lights)]  # fmt: skip
    casters, ends = 1 << (lights - 1), (True, False)
    if backward:
        wanted = 255  # everything
        return (assets, scene, photos, lighting, rgb, rand(*rgb.shape), *seen, wanted, casters, skies.side, True, 2, 0,
                *ends, 0.01, 0.0)  # fmt: skip
    face_bits = draw_arguments()[7]
    return (assets, scene, photos, [], lighting, *seen, 1, face_bits, casters, skies.side, True, 2, 0, *ends, False,
            0.01, 0.0)  # fmt: skip


def gbuffer_arguments(lit):
    assets, scene, _, _, lighting, *ids = lit_arguments(backward=False)
    lighting, casters, side = (lighting, *ids[5:7]) if lit else ([], 0, 0)
    return (assets, scene, lighting, *ids[:2], 31, casters, side, 2, 0, True, 0.01, 0.0)


FACES = torch.tensor([[0, 1, 2], [2, 1, 3]], dtype=INT)
IDS = torch.randint(-1, 2, (2, 6, 7), generator=generator(), dtype=INT)
DEFORM = 1 | 2 << 4 | 3 << 8 | 2 << 12 | 4 << 16
# op, or op and a word: arguments of the registered operator
CASES = {
    "draw": draw_arguments(),
    "draw_backward": draw_backward_arguments(),
    "draw_lit": lit_arguments(backward=False),
    "draw_lit_backward": lit_arguments(backward=True),
    "gbuffer": gbuffer_arguments(lit=False),
    "gbuffer lit": gbuffer_arguments(lit=True),
    "transform": (rand(5, 3), rand(2, 4, 4)),
    "rasterize": (rand(2, 4, 4) + 0.5, FACES, torch.empty(0, 2, dtype=INT), 6, 7, 0),
    "rasterize_layer": (
        *(rand(2, 4, 4) + 0.5, FACES, torch.tensor([[0, 1], [1, 1]], dtype=INT)),
        *(torch.zeros(2, 6, 7, dtype=INT), rand(2, 6, 7) - 1, 6, 7, 0),
    ),
    "interpolate": (rand(2, 4, 3), FACES, IDS, rand(2, 6, 7, 2) / 2),
    "texture": ([rand(1, 5, 6, 2), rand(1, 2, 3, 2)], rand(2, 3, 4, 2) * 3 - 1, rand(2, 3, 4, 4), 0, False),
    "blur": (rand(2, 3, 9, 8), torch.tensor([0.0, 1.5]), 5),
    "convolve": (rand(2, 3, 13, 12), rand(2, 5, 5) - 0.3),
    "poisson": (rand(2, 3, 9, 8), rand(2, 3, 9, 8) - 0.5, (rand(2, 9, 8) < 0.6).int()),
    "poisson by cells": (rand(1, 2, 9, 14), rand(1, 2, 9, 14) - 0.5, (torch.arange(14) > 0).int().repeat(1, 9, 1)),
    "develop": (rand(2, 3, 4, 5), rand(2), rand(2, 3), rand(2, 2), torch.randn(2, 3, 4, 5), 0, False),
    "reduce": (IDS, 3),
    "uniform": (torch.tensor([1, 2]), 3, 4, 5),
    "normal": (torch.tensor([1, 2]), 5),
    # A lattice of 2 x 3 x 2 and a dent: their numbers, and sixteen bits for each step.
    "deform": (rand(9, 8), *torch.tensor([[0, 5], [5, 4]], dtype=INT), rand(2, 49), DEFORM, 6),
    "deform_copies": (
        *(rand(9, 8), torch.tensor([[0, 1, 2, 0], [5, 6, 7, 1]], dtype=INT)),
        *(torch.tensor([[0, 5, 0, 1], [5, 4, 1, 1]], dtype=INT), rand(2, 49), DEFORM, 0, 6, 2),
    ),
}
CASES |= {
    "transform_backward": (rand(2, 5, 4), *CASES["transform"], True, True),
    "rasterize_backward": (rand(2, 6, 7, 2), rand(2, 6, 7), *CASES["rasterize"][:2], IDS),
    "interpolate_backward": (rand(2, 6, 7, 3), *CASES["interpolate"], True, True),
    "texture_backward": (rand(2, 3, 4, 2), *CASES["texture"], True, True, True),
    "blur_backward": (rand(2, 3, 9, 8), *CASES["blur"], True, True),
    "convolve_backward": (rand(2, 3, 9, 8), *CASES["convolve"], True, True),
    "poisson_backward": (rand(2, 3, 9, 8), CASES["poisson"][2]),
    "develop_backward": (rand(2, 3, 4, 5), *CASES["develop"][:-1], True, True),
}


def case(name):
    """The operator as it is registered now, and its arguments."""
    return getattr(torch.ops.fastsynth, name.partition(" ")[0]).default, CASES[name]


def run(name):
    """What the operator makes of them."""
    op, arguments = case(name)
    return op(*arguments)


@pytest.mark.parametrize("name", CASES)
def test_registration(name):
    torch.library.opcheck(*case(name), test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_static"))


@pytest.mark.cuda
@pytest.mark.parametrize("name", CASES)
def test_devices_agree(name):
    op, arguments = case(name)

    def move(x, to):
        if isinstance(x, list):
            return [t.to(to) for t in x]
        return x.to(to) if isinstance(x, torch.Tensor) else x

    here = op(*arguments)
    there = op(*(move(x, "cuda") for x in arguments))
    for a, b in zip(here, there) if isinstance(here, list) else ((here, there),):
        if a.dtype.is_floating_point:
            torch.testing.assert_close(b.cpu(), a, atol=1e-6, rtol=1e-6)
        else:
            assert torch.equal(b.cpu(), a)


@pytest.mark.parametrize("name", ["draw_backward", "draw_lit_backward"])
def test_ids_of_nothing_are_background_to_gradients(name):
    """Nothing is read out of bounds by ids and boxes that no picture has."""
    op, given = case(name)
    at = next(i for i, value in enumerate(given) if isinstance(value, torch.Tensor) and value.dtype == INT)
    instance_id, triangle_id, seen = given[at : at + 3]
    instances, faces = seen.shape[1], given[0][ASSETS.index("faces")].shape[0]
    huge = torch.tensor([-(2**31), 2**31 - 1, 2**31 - 1, 2**31 - 1, 9], dtype=INT).expand_as(seen).contiguous()
    for ids, triangles in ((instances, faces), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31)), (0, 2**31 - 1)):
        wrong = [torch.full_like(instance_id, ids), torch.full_like(triangle_id, triangles), huge]
        rows, texels = op(*given[:at], *wrong, *given[at + 3 :])
        assert rows.shape[1] == instances + 1
        if ids or triangles < 0 or triangles >= faces:
            assert not rows[:, :-1].any() and not texels.any()
    spread = torch.where(torch.arange(instance_id.shape[2]) % 2 > 0, instance_id, 2**31 - 1)
    op(*given[:at], spread, torch.where(spread >= 0, triangle_id, faces), seen, *given[at + 3 :])


def test_transform_is_the_matrix_product(device):
    v, m = rand(37, 3).to(device), rand(3, 4, 4).to(device)
    homogeneous = F.pad(v, (0, 1), value=1.0)
    torch.testing.assert_close(fs.ops.transform(v, m), homogeneous @ m.transpose(1, 2))


def test_interpolate_weighs_the_corners(device):
    attributes, bary = rand(2, 4, 3).to(device), (rand(2, 6, 7, 2) / 2).to(device)
    ids, faces = IDS.to(device), FACES.to(device)
    corners = faces.long()[ids.clamp(min=0).long()]
    image = torch.arange(2, device=device)[:, None, None, None]
    weights = torch.cat([bary, 1 - bary.sum(-1, keepdim=True)], -1)
    expected = (attributes[image, corners] * weights[..., None]).sum(-2) * (ids >= 0)[..., None]
    fragments = Fragments(ids, bary, torch.ones_like(bary[..., 0]))
    torch.testing.assert_close(fs.ops.interpolate(attributes, faces, fragments), expected)
    shared = fs.ops.interpolate(attributes[:1], faces, fragments)
    torch.testing.assert_close(shared[0], expected[0])


def grid_sample(texture, uv, wrap):
    """The same lookup by torch, for the wrap modes that it has."""
    mode = {"clamp": "border", "mirror": "reflection"}[wrap]
    out = F.grid_sample(texture.movedim(-1, 1), uv * 2 - 1, "bilinear", mode, align_corners=False)
    return out.movedim(1, -1)


@pytest.mark.parametrize("wrap", ["clamp", "mirror"])
def test_texture_is_grid_sample(wrap, device):
    texture, uv = rand(2, 5, 6, 3).to(device), (rand(2, 8, 9, 2) * 3 - 1).to(device)
    torch.testing.assert_close(
        fs.ops.texture(texture, uv, wrap=wrap), grid_sample(texture, uv, wrap), atol=1e-5, rtol=1e-5
    )


def test_texture_repeats(device):
    texture, uv = rand(2, 5, 6, 3).to(device), rand(2, 8, 9, 2).to(device)
    once = fs.ops.texture(texture, uv)
    torch.testing.assert_close(
        fs.ops.texture(texture, uv + torch.tensor([3.0, -2.0], device=device)), once, atol=1e-4, rtol=1e-4
    )
    # Inside, repeating and clamping are the same.
    inner = uv * 0.6 + 0.2
    torch.testing.assert_close(fs.ops.texture(texture, inner), fs.ops.texture(texture, inner, wrap="clamp"))


def test_texture_levels_follow_the_footprint(device):
    levels = [torch.full((1, s, s, 1), float(i), device=device) for i, s in enumerate((16, 8, 4, 2, 1))]
    uv = torch.full((1, 1, 5, 2), 0.3, device=device)
    da = torch.zeros(1, 1, 5, 4, device=device)
    da[0, 0, :, 0] = torch.tensor([0.5, 1.0, 2.0, 2**1.5, 1000.0]) / 16
    value = fs.ops.texture(levels, uv, da).flatten().cpu()
    torch.testing.assert_close(value, torch.tensor([0.0, 0.0, 1.0, 1.5, 4.0]), atol=1e-5, rtol=0)


def test_blur_is_a_gaussian(device):
    image = torch.zeros(2, 1, 21, 25, device=device)
    image[:, 0, 10, 12] = 1
    out = fs.ops.blur(image, torch.tensor([0.0, 2.0], device=device), 6).cpu()
    torch.testing.assert_close(out[0], image[0].cpu())
    x = torch.arange(-6, 7).float()
    kernel = torch.exp(-0.5 * (x / 2) ** 2)
    kernel = kernel / kernel.sum()
    torch.testing.assert_close(out[1, 0, 4:17, 6:19], kernel[:, None] * kernel[None], atol=1e-6, rtol=1e-4)


def srgb(x):
    return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-9) ** (1 / 2.4) - 0.055)


def test_develop_is_srgb(device):
    light = torch.linspace(-0.1, 1.2, 1000).repeat(3).view(1, 3, 10, 100)
    shown = fs.ops.develop(light.to(device), torch.zeros(1, device=device), torch.ones(1, 3, device=device)).cpu()
    torch.testing.assert_close(shown, srgb(light.clamp(0, 1)), atol=2e-6, rtol=1e-5)


def test_noise_has_the_deviation_that_was_asked_for(device):
    light = torch.full((2, 3, 64, 64), 0.5, device=device)
    options = {
        "exposure": torch.zeros(2, device=device),
        "white_balance": torch.ones(2, 3, device=device),
        "tone": "linear",
    }
    noise = torch.tensor([[0.1, 0.0], [0.0, 0.05]], device=device)
    shown = fs.ops.develop(light, noise=noise, key=torch.tensor([1, 2], device=device), **options)
    assert shown[0].std().item() == pytest.approx(0.1 * math.sqrt(0.5), rel=0.03)
    assert shown[1].std().item() == pytest.approx(0.05, rel=0.03)


def test_normal_numbers_are_normal():
    z = fs.ops.normal(torch.arange(8), 100_000).double()
    assert z.mean().abs() < 0.005 and abs(z.std() - 1) < 0.005 and abs((z**4).mean() - 3) < 0.05
    quantiles = torch.tensor([-2.0, -1.0, 0.0, 0.5, 3.0], dtype=torch.float64)
    expected = 0.5 * (1 + torch.erf(quantiles / math.sqrt(2)))
    actual = torch.stack([(z < q).double().mean() for q in quantiles])
    torch.testing.assert_close(actual, expected, atol=0.002, rtol=0)
    correlation = torch.corrcoef(torch.cat([z, z.roll(1, 1)]))
    assert (correlation - torch.eye(16)).abs().max() < 0.02


def test_bad_indices_are_errors_on_the_cpu():
    clip = torch.zeros(1, 3, 4)
    with pytest.raises(RuntimeError, match="names a vertex that does not exist"):
        fs.ops.rasterize(clip, torch.tensor([[0, 1, 3]], dtype=INT), (4, 4))
    fragments = Fragments(torch.full((1, 1, 1), 7, dtype=INT), torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1))
    with pytest.raises(RuntimeError, match="names a face that `faces` does not have"):
        fs.ops.interpolate(torch.zeros(1, 4, 1), FACES, fragments)


def test_values_that_31_bits_do_not_number_are_refused():
    large = torch.empty(1, 1 << 15, 1 << 14, 4, device="meta")  # 2^31
    faces = torch.empty(2, 3, dtype=INT, device="meta")
    fragments = Fragments(torch.empty(1, 1, 1, dtype=INT, device="meta"), large[:, :1, :1, :2], large[:, :1, :1, 0])
    assert fs.ops.texture(large[..., :3], large[:, :1, :1, :2]).shape == (1, 1, 1, 3)
    with pytest.raises(ValueError, match=r"`texture\[0\]` may have up to 2147483647 values for an image, but has 21"):
        fs.ops.texture(large, large[:, :1, :1, :2])
    with pytest.raises(ValueError, match="`attributes` may have up to 2147483647 values for an image, but has 21"):
        fs.ops.interpolate(large.flatten(1, 2), faces, fragments)
    with pytest.raises(ValueError, match="`faces` may have up to"):
        fs.ops.interpolate(large[:, 0], faces[:1].expand(1 << 30, 3), fragments)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: fs.ops.transform(torch.zeros(3, 2), torch.zeros(1, 4, 4)), r"`vertices` must have shape \[V, 3\]"),
        (lambda: fs.ops.rasterize(torch.zeros(1, 3, 4), FACES.long(), (4, 4)), "`faces` must be torch.int32"),
        (lambda: fs.ops.rasterize(torch.zeros(1, 3, 4), FACES, (4, 9000)), "each 1 to 8192"),
        (lambda: fs.ops.rasterize(torch.zeros(1, 3, 4), FACES, (4, 4), cull="x"), "`cull` must be one of"),
        (lambda: fs.ops.texture(torch.zeros(3, 2, 2, 1), torch.zeros(2, 1, 1, 2)), "1 image or B = 2"),
        (lambda: fs.ops.texture(torch.zeros(1, 2, 2, 1), torch.zeros(2, 1, 1, 2), wrap="no"), "`wrap` must be one of"),
        (lambda: fs.ops.blur(torch.zeros(1, 1, 2, 2), torch.zeros(2), 1), r"`sigma` must have shape \[B\]"),
        (
            lambda: fs.ops.develop(torch.zeros(1, 3, 2, 2), torch.zeros(1), torch.ones(1, 3), torch.ones(1, 2)),
            "needs `key`",
        ),
    ],
)
def test_errors(call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call()
