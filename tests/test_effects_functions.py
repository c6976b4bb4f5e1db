"""Blends, blurs, noise and light on pictures: against closed forms, dense kernels and direct solves."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fastsynth as fs
from fastsynth import effects, ops


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def blob(height, width, y, x, ry, rx):
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((v - y) / ry) ** 2 + ((u - x) / rx) ** 2 <= 1


def convolved(image, kernel):
    """Each image with its kernel, by torch."""
    r = kernel.shape[1] // 2
    padded = F.pad(image, (r,) * 4, mode="replicate")
    pairs = zip(padded, kernel, strict=True)
    return torch.stack([F.conv2d(p[:, None], k.flip(0, 1)[None, None])[:, 0] for p, k in pairs])


@pytest.mark.parametrize("size", [(7, 9), (40, 33), (9, 64)])
@pytest.mark.parametrize("radius", [0, 1, 4])
def test_convolution_is_torchs(size, radius, device):
    image, kernel = rand(3, 2, *size), rand(3, 2 * radius + 1, 2 * radius + 1, seed=1) - 0.5
    kernel[0] *= torch.eye(2 * radius + 1)
    out = ops.convolve(image.to(device), kernel.to(device)).cpu()
    torch.testing.assert_close(out, convolved(image, kernel), atol=2e-5, rtol=1e-5)


def test_wrong_kernels_are_refused():
    with pytest.raises(ValueError, match="odd side of at most 129 pixels, but has 4"):
        ops.convolve(rand(1, 3, 8, 8), rand(1, 4, 4))


@pytest.mark.parametrize(("su", "sv", "alpha"), [(3.0, 1.0, 0.5), (1.0, 2.5, -1.2), (2.0, 2.0, 0.3)])
def test_an_oriented_gaussian_has_its_widths(su, sv, alpha):
    kernel = effects.gaussian_kernel(*(torch.tensor([v]) for v in (su, sv, alpha)), 15)[0].double()
    line = torch.arange(-15, 16).double()
    x, y = line[None, :].expand(31, 31), line[:, None].expand(31, 31)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    u, v = x * math.cos(alpha) + y * math.sin(alpha), y * math.cos(alpha) - x * math.sin(alpha)
    # The variance of exp(-s / 2) - exp(-S / 2), s < S = 3.5^2.
    end, edge = 3.5**2, math.exp(-(3.5**2) / 2)
    weight = 2 * (1 - edge) - edge * end
    cut = (4 * (1 - edge * (1 + end / 2)) - edge * end**2 / 2) / 2 / weight
    assert (kernel * u * u).sum().item() == pytest.approx(su**2 * cut, rel=0.02)
    assert (kernel * v * v).sum().item() == pytest.approx(sv**2 * cut, rel=0.02)
    assert abs((kernel * u * v).sum()) < 0.02 * su * sv


def test_a_round_gaussian_is_the_blur():
    image, sigma = rand(2, 3, 24, 24), torch.tensor([1.0, 1.7])
    kernel = effects.gaussian_kernel(sigma, sigma, torch.zeros(2), 8)
    assert (ops.convolve(image, kernel) - ops.blur(image, sigma, 8)).abs().max() < 0.01


def test_no_width_leaves_the_picture():
    image, zero = rand(2, 3, 9, 9), torch.zeros(2)
    assert torch.equal(ops.convolve(image, effects.gaussian_kernel(zero, zero, zero, 4)), image)
    assert torch.allclose(ops.convolve(image, effects.line_kernel(zero, zero, 4)), image, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2, 2.5])
def test_a_stroke_has_its_length_and_direction(angle):
    kernel = effects.line_kernel(torch.tensor([9.0]), torch.tensor([angle]), 9)[0].double()
    line = torch.arange(-9, 10).double()
    x, y = line[None, :].expand(19, 19), line[:, None].expand(19, 19)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    # Even along 9 pixels; a bilinear lookup adds 1/6 at most.
    assert (kernel * along**2).sum().item() == pytest.approx(81 / 12 + 1 / 6, rel=0.03)
    assert (kernel * across**2).sum() < 0.18
    half = effects.line_kernel(torch.tensor([8.0]), torch.tensor([angle]), 9, 0.0)[0].double()
    assert (half * along).sum().item() == pytest.approx(4.0, rel=0.01)  # from the pixel on


@pytest.mark.parametrize("name", ["sigma_u", "sigma_v", "alpha", "length", "angle"])
def test_gradients_of_kernels_are_finite_differences(name):
    image, mask = rand(1, 3, 20, 20), blob(20, 20, 9, 10, 5, 4)[None]
    backdrop, weight = rand(1, 3, 20, 20, seed=2), rand(1, 3, 20, 20, seed=3)
    start = {"sigma_u": 2.0, "sigma_v": 1.0, "alpha": 0.4, "length": 6.0, "angle": 0.5}

    def picture(value):
        values = {k: torch.tensor([v]) for k, v in start.items()} | {name: value}
        if name in ("length", "angle"):
            kernel = effects.line_kernel(values["length"], values["angle"], 8)
        else:
            kernel = effects.gaussian_kernel(values["sigma_u"], values["sigma_v"], values["alpha"], 9)
        return (effects.moved(image, backdrop, mask, kernel) * weight).sum()

    value = torch.tensor([start[name]], requires_grad=True)
    (slope,) = torch.autograd.grad(picture(value), value)
    h = 0.01
    with torch.no_grad():
        want = (picture(torch.tensor([start[name] + h])) - picture(torch.tensor([start[name] - h]))) / (2 * h)
    assert slope.item() == pytest.approx(want.item(), rel=0.02, abs=0.02)


def direct(source, target, mask):
    """Poisson's equation by a sparse direct solve, one channel in float64."""
    sparse, linalg = pytest.importorskip("scipy.sparse"), pytest.importorskip("scipy.sparse.linalg")
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    number = -np.ones((height, width), int)
    number[ys, xs] = np.arange(len(ys))
    matrix, right = sparse.lil_matrix((len(ys), len(ys))), np.zeros(len(ys))
    for k, (y, x) in enumerate(zip(ys, xs, strict=True)):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width:
                matrix[k, k] += 1
                right[k] += source[y, x] - source[v, u]
                if mask[v, u]:
                    matrix[k, number[v, u]] -= 1
                else:
                    right[k] += target[v, u]
    out = target.copy()
    out[ys, xs] = linalg.spsolve(matrix.tocsr(), right)
    return out


MASKS = {
    "disc": blob(64, 64, 32, 32, 30, 30),
    "over a corner": blob(64, 64, 8, 8, 30, 30),
    "across the picture": blob(48, 64, 24, 32, 5, 90),
    "a pixel": blob(16, 16, 5, 6, 0.5, 0.5),
    "noise": rand(64, 64, seed=5) < 0.5,
    "a few holes": rand(70, 90, seed=6) < 0.99,
    "two objects": blob(120, 150, 40, 40, 32, 36) | blob(120, 150, 90, 110, 20, 70),
    "all but a corner": torch.arange(48 * 48).view(48, 48) > 0,
    "all but a corner of a strip": torch.arange(4 * 64).view(4, 64) > 0,
    "all but a row": torch.arange(48)[:, None].expand(48, 48) > 0,
    "nothing": torch.zeros(8, 9, dtype=torch.bool),
}


@pytest.mark.parametrize("name", MASKS)
def test_poisson_is_the_direct_solution(name, device):
    mask = MASKS[name]
    source, target = rand(1, 2, *mask.shape), rand(1, 2, *mask.shape, seed=1)
    out = ops.poisson(source.to(device), target.to(device), mask[None].to(device)).cpu()
    outside = ~mask[None, None].expand_as(out)
    assert torch.equal(out[outside], target[outside])
    for channel in range(2):
        want = direct(source[0, channel].double().numpy(), target[0, channel].double().numpy(), mask.numpy())
        assert np.abs(out[0, channel].numpy() - want).max() <= 2e-4


def test_poisson_of_the_whole_picture_is_the_source():
    source, target = rand(1, 3, 9, 11), rand(1, 3, 9, 11, seed=1)
    assert torch.equal(ops.poisson(source, target, torch.ones(1, 9, 11, dtype=torch.bool)), source)


def test_poisson_of_a_shifted_source_is_the_same():
    """Only differences of the source count."""
    source, target, mask = rand(1, 3, 40, 40), rand(1, 3, 40, 40, seed=1), blob(40, 40, 20, 18, 12, 9)[None]
    shifted = ops.poisson(source + 0.3, target, mask)
    assert (shifted - ops.poisson(source, target, mask)).abs().max() < 1e-4


@pytest.mark.parametrize("kernel", ["box", "gaussian"])
def test_a_feathered_object_has_the_blurred_mask_for_opacity(kernel):
    mask, one = blob(20, 24, 9, 12, 6, 7)[None], torch.tensor([1.0])
    weights = effects.box_kernel(1, 3) if kernel == "box" else effects.gaussian_kernel(one, one, one, 3)
    white, black = torch.ones(1, 3, 20, 24), torch.zeros(1, 3, 20, 24)
    image = torch.where(mask[:, None], white, black)
    want = convolved(mask[:, None].float(), weights).expand(1, 3, -1, -1)
    torch.testing.assert_close(effects.feathered(image, black, mask, weights), want, atol=1e-5, rtol=0)
    # What the object has behind it does not bleed into its own colour.
    red = torch.where(mask[:, None], torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1), 0.9)
    got = effects.feathered(red, torch.full_like(red, 0.9), mask, weights)
    want = 0.9 + want * (torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1) - 0.9)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_a_moved_object_uncovers_the_backdrop_and_nothing_else_moves():
    image, backdrop, mask = rand(1, 3, 30, 30), rand(1, 3, 30, 30, seed=1), blob(30, 30, 15, 15, 4, 4)[None]
    image = torch.where(mask[:, None], image, backdrop)
    kernel = effects.line_kernel(torch.tensor([8.0]), torch.tensor([0.0]), 6)
    out = effects.moved(image, backdrop, mask, kernel)
    cover = convolved(mask[:, None].float(), kernel)
    assert torch.equal(out[:, :, 0:9], backdrop[:, :, 0:9])
    far = (cover == 0).expand_as(out)
    assert torch.equal(out[far], backdrop[far])
    want = convolved(image * mask[:, None], kernel) + (1 - cover) * backdrop
    torch.testing.assert_close(out, want, atol=1e-5, rtol=0)


def test_the_outline_is_blurred_and_nothing_else():
    image, mask, sigma = rand(1, 3, 40, 40), blob(40, 40, 20, 20, 12, 12)[None], torch.tensor([1.0])
    out = effects.outline_blurred(image, mask, sigma, 4)
    radius = ((torch.arange(40) - 20)[:, None] ** 2 + (torch.arange(40) - 20) ** 2).sqrt()
    far = ((radius - 12).abs() > 5).expand_as(out)
    assert torch.allclose(out[far], image[far], atol=1e-6) and not torch.allclose(out, image, atol=0.05)
    assert torch.allclose(effects.outline_blurred(image, mask, torch.zeros(1), 4), image, atol=1e-6)
    sigma.requires_grad_()
    (slope,) = torch.autograd.grad((effects.outline_blurred(image, mask, sigma, 4) * image).sum(), sigma)
    with torch.no_grad():
        up, down = ((effects.outline_blurred(image, mask, sigma + h, 4) * image).sum() for h in (0.02, -0.02))
    assert slope.item() == pytest.approx((up - down).item() / 0.04, rel=0.1)


def test_noise_has_its_moments_and_its_place(device):
    grey, key = torch.full((2, 3, 64, 64), 0.5, device=device), torch.tensor([3, 4], device=device)
    sigma, mask = torch.tensor([0.05, 0.1], device=device), torch.zeros(2, 64, 64, dtype=torch.bool, device=device)
    mask[:, :, 20:] = True
    off = effects.gaussian_noise(grey, sigma, key) - grey
    assert off.mean((1, 2, 3)).abs().max() < 0.003
    assert torch.allclose(off.std((1, 2, 3)), sigma, rtol=0.03)
    kurtosis = (off / sigma[:, None, None, None]).pow(4).mean((1, 2, 3))
    assert (kurtosis - 3).abs().max() < 0.2
    scoped = effects.gaussian_noise(grey, sigma, key, mask)
    assert torch.equal(scoped[:, :, :, :20], grey[:, :, :, :20])
    assert torch.equal(scoped[:, :, :, 20:], (grey + off)[:, :, :, 20:])
    # A function of the key alone.
    assert torch.equal(effects.gaussian_noise(grey[1:], sigma[1:], key[1:]), (grey + off)[1:])


def test_lost_pixels_are_as_many_as_said():
    grey, key = torch.full((3, 3, 128, 128), 0.5), torch.tensor([3, 4, 5])
    share = torch.tensor([0.0, 0.02, 0.3])
    out = effects.salt_and_pepper(grey, share, key)
    for value in (0.0, 1.0):
        part = (out == value).float().mean((1, 2, 3))
        assert (part - share / 2).abs().max() < 4 * math.sqrt(0.15 / 128**2)
    assert ((out == 0) | (out == 1) | (out == 0.5)).all() and torch.equal(out[0], grey[0])
    assert torch.equal(out[:, 0], out[:, 1])  # whole pixels


def test_hue_and_saturation_are_those_of_colorsys():
    image, turn, gain = rand(2, 3, 5, 6), torch.tensor([0.3, 0.85]), torch.tensor([0.5, 1.4])
    image[0, :, 0, 0] = 0.4  # a grey has no hue
    out = effects.hue_shifted(image, turn, gain)
    for b in range(2):
        for y in range(5):
            for x in range(6):
                h, s, v = colorsys.rgb_to_hsv(*image[b, :, y, x].tolist())
                s = min(s * gain[b].item(), 1.0)
                want = colorsys.hsv_to_rgb((h + turn[b].item()) % 1, s, v)
                assert out[b, :, y, x].tolist() == pytest.approx(want, abs=1e-5)
    whole = effects.hue_shifted(image, torch.tensor([1.0, 0.0]))
    assert torch.allclose(whole, image, atol=1e-5)


def test_brightness_contrast_and_gamma_are_the_formula():
    image = rand(2, 3, 4, 5)
    b, c, g = torch.tensor([0.1, -0.2]), torch.tensor([1.5, 0.7]), torch.tensor([2.2, 0.8])
    line = [t[:, None, None, None] for t in (b, c, g)]
    want = (line[1] * (image - 0.5) + 0.5 + line[0]).clamp(0, 1) ** line[2]
    torch.testing.assert_close(effects.adjusted(image, b, c, g), want, atol=1e-4, rtol=1e-4)
    assert torch.allclose(effects.adjusted(image), image)
    black, power = torch.zeros(2, 3, 1, 1, requires_grad=True), torch.tensor([0.3, 0.0], requires_grad=True)
    still = effects.adjusted(black, gamma=power)
    assert still.unique(dim=1).flatten().tolist() == [0, 1]
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(still.sum(), (black, power)))


def test_fog_halves_contrast_at_its_half_distance():
    light, distance = rand(1, 3, 1, 4), torch.tensor([[[1.0, 2.0, 4.0, 0.0]]])
    half = torch.tensor([math.log(2) / 2])
    fog, far = torch.tensor([[0.5, 0.6, 0.7]]), torch.tensor([8.0])
    out = effects.fogged(light, distance, half, fog, far)
    clear = torch.tensor([0.5**0.5, 0.5, 0.25, 0.0625])
    want = light * clear + fog[:, :, None, None] * (1 - clear)
    torch.testing.assert_close(out, want)


def test_rain_is_hidden_by_what_is_near_and_falls_along_its_angle():
    image, depth = torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64)
    depth[:, :, :32] = 0.5
    given = [torch.tensor([v]) for v in (0.01, 9.0, math.pi / 2, 1.0, 0.5, 1.0)]
    out = effects.rained(image, depth, torch.tensor([1]), *given, 9)
    assert (out[..., :32] == 0).all() and (out[..., 32:] > 0).any() and out.max() <= 1
    wet = (out[0, 0, :, 32:] > 0.2).float()
    assert (wet[1:] * wet[:-1]).sum() > 5 * (wet[:, 1:] * wet[:, :-1]).sum()  # columns, not rows


SCENES = {
    **{f"blend {name}": lambda name=name: effects.Blend(name) for name in effects.BLENDS},
    "blend": lambda: effects.Blend(),
    "outline": lambda: effects.BoundaryBlur(fs.Uniform(0.5, 2.0), 6),
    "motion": lambda: effects.MotionBlur(fs.Uniform(0.0, 3.0), 0.5),
    "motion of the frame": lambda: effects.MotionBlur(fs.Uniform(0.0, 3.0), 0.5, scope="frame"),
    "noise": lambda: effects.GaussianNoise(fs.Uniform(0.0, 0.1), "object"),
    "lost": lambda: effects.SaltAndPepper(fs.Uniform(0.0, 0.1)),
    "light": lambda: effects.Photometric(0.1, 1.2, fs.Uniform(0.5, 2.0), fs.Uniform(0.0, 1.0), 0.5),
    "fog": lambda: effects.Fog(fs.Uniform(0.0, 0.3), fs.Uniform((0.2, 0.2, 0.2), (0.8, 0.8, 0.8))),
    "rain": lambda: effects.Rain(0.01),
    "grey": lambda: effects.Grey(),
}


@pytest.mark.parametrize("name", SCENES)
def test_an_effect_is_a_function_of_the_image_and_leaves_labels_alone(name):
    objects = fs.Objects(fs.procedural.primitives(), count=3)
    scene = fs.Scene(objects, background=fs.GradientBackground(), effect=SCENES[name]())
    size, outputs = (32, 40), ("rgb", "instance_id")
    whole = fs.render(scene.sample(6, seed=4), size, outputs)
    alone = fs.render(scene.sample([4], seed=4), size, outputs)
    assert torch.equal(alone.rgb[0], whole.rgb[4])
    plain = fs.render(scene.sample(6, seed=4).replace(effects=()), size, outputs)
    assert torch.equal(whole.instance_id, plain.instance_id)
    assert torch.equal(whole.rgb, plain.rgb) == (name == "blend none") and whole.rgb.isfinite().all()


def test_boxes_are_a_little_wrong():
    boxes = torch.tensor([[[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 0.0, 0.0]]]).expand(500, 2, 4)
    noise = fs.Noise(0, torch.arange(500))
    off = (fs.augment.jitter_boxes(boxes, 0.1, noise) - boxes)[:, 0] / torch.tensor([20.0, 40.0, 20.0, 40.0])
    assert off.abs().max() <= 0.1 and off.abs().amax(0).min() > 0.095 and off.mean(0).abs().max() < 0.01
    assert (fs.augment.jitter_boxes(boxes, 0.1, noise)[:, 1] == 0).all()
    held = fs.augment.jitter_boxes(boxes, 0.4, noise, (55, 25))
    assert held[..., 2].max() <= 25 and held[..., 3].max() <= 55
    with pytest.raises(ValueError, match="no box turns over"):
        fs.augment.jitter_boxes(boxes, 0.5, noise)
