"""Smoothed silhouettes: values between those that are blended, and gradients that finite differences confirm."""

from __future__ import annotations

import pytest
import torch
from test_rasterize import KINDS, faces_of, soup

import fastsynth as fs
from fastsynth.ops import Fragments, antialias, interpolate, opposite_vertices, rasterize


def clip_of(xy, z=0.0, w=1.0):
    """Corners at these places, [1, V, 4]."""
    xy = torch.as_tensor(xy, dtype=torch.float32)
    one = torch.ones_like(xy[:, :1])
    return torch.cat([xy * w, one * z * w, one * w], 1)[None]


def drawn(clip, faces, size, colors, background=0.1):
    """An image of triangles in flat colours [F, C], blended."""
    fragments = rasterize(clip.detach(), faces, size)
    seen = colors[fragments.triangle_id.clamp(min=0).long()]
    color = torch.where((fragments.triangle_id >= 0)[..., None], seen, torch.tensor(background, device=clip.device))
    return antialias(color, fragments, clip, faces), color


def neighbourhood(color):
    """Least and most of each pixel and its four neighbours."""
    padded = torch.nn.functional.pad(color.movedim(-1, 1), (1, 1, 1, 1), mode="replicate").movedim(1, -1)
    five = (padded[:, 1:-1, 1:-1], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
    return torch.stack(five).amin(0), torch.stack(five).amax(0)


@pytest.mark.parametrize("kind", KINDS)
def test_values_stay_between_those_of_the_neighbours(kind, device):
    clip = torch.from_numpy(soup(kind, 60, seed=2)).to(device)[None]
    faces = faces_of(clip[0]).to(device)
    colors = torch.rand(60, 3, device=device)
    image, color = drawn(clip.requires_grad_(), faces, (48, 65), colors)
    least, most = neighbourhood(color)
    assert (image >= least - 1e-6).all() and (image <= most + 1e-6).all()
    image.square().sum().backward()
    assert clip.grad.isfinite().all()
    if kind not in ("subpixel", "huge"):
        assert (image != color).any() and (clip.grad != 0).any()


def test_the_covered_part_of_an_upright_edge(device):
    """An edge at x: the pixel that it cuts shows what lies left of it, exactly."""
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    white = torch.ones(1, 1, device=device)
    for x in torch.linspace(2.01, 3.99, 12).tolist():
        for turn in (False, True):
            corners = torch.tensor([[x / 4 - 1, -20], [x / 4 - 1, 20], [-20, 0]])
            clip = clip_of(corners.flip(1) if turn else corners, w=3.0).to(device)
            image, _ = drawn(clip, faces, (8, 8), white, background=0.0)
            covered = (x - torch.arange(8.0)).clamp(0, 1).expand(8, 8)
            torch.testing.assert_close(image[0, :, :, 0].cpu(), covered.T if turn else covered, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["perspective", "orthographic"])
def test_the_area_of_a_triangle(kind, device):
    """The sum of an antialiased white triangle is its area, but for its corners."""
    generator = torch.Generator().manual_seed(1)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    for _ in range(10):
        angle = torch.rand(1, generator=generator) * 6.3 + torch.tensor([0.0, 2.1, 4.2])
        xy = 0.7 * torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.rand(2, generator=generator)
        w = torch.rand(3, 1, generator=generator) + 0.5 if kind == "perspective" else torch.ones(3, 1)
        clip = torch.cat([xy * w, 0 * w, w], 1)[None].to(device)
        image, color = drawn(clip, faces, (64, 64), torch.ones(1, 1, device=device), background=0.0)
        sides = xy[1:] - xy[0]
        area = (sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]).abs().item() / 2 * 32 * 32
        assert abs(image.sum().item() - area) < 1.5
        assert (image != color).sum() > 60


def test_edges_inside_a_surface_are_left_alone(device):
    """A square of many triangles in as many colours: only its border is blended."""
    n = 6
    line = torch.linspace(-0.83, 0.79, n + 1)
    xy = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).view(-1, 2)
    first = (torch.arange(n)[:, None] * (n + 1) + torch.arange(n)).view(-1, 1)
    cells = torch.cat([first + torch.tensor([0, 1, n + 1]), first + torch.tensor([n + 1, 1, n + 2])])
    faces = cells.to(torch.int32).to(device)
    image, color = drawn(clip_of(xy).to(device), faces, (50, 50), torch.rand(len(faces), 3, device=device))
    changed = (image != color).any(-1)[0]
    border = torch.zeros_like(changed)
    border[3:6], border[43:46], border[:, 3:6], border[:, 43:46] = True, True, True, True
    assert changed.any() and not (changed & ~border).any()
    # Each triangle with corners of its own: now every edge is an end.
    apart = clip_of(xy[cells.flatten()]).to(device)
    image, color = drawn(apart, faces_of(apart[0]).to(device), (50, 50), torch.rand(len(faces), 3, device=device))
    assert ((image != color).any(-1)[0] & ~border).any()


def test_a_folded_edge_is_a_silhouette(device):
    """Two faces share an edge and lie on one side of it, the nearer hiding the other."""
    clip = torch.cat([clip_of([[0.1, -0.9], [0.1, 0.9], [-0.9, 0.0]]), clip_of([[-0.8, 0.1]], z=0.5)], 1).to(device)
    faces = torch.tensor([[0, 1, 2], [1, 0, 3]], dtype=torch.int32, device=device)
    image, color = drawn(clip, faces, (40, 40), torch.ones(2, 1, device=device), background=0.0)
    assert (image != color)[0, 10:30, 21:23].any(1).all()
    clip[0, 3, 0] = 0.9  # unfolded
    image, color = drawn(clip, faces, (40, 40), torch.tensor([[0.5], [1.0]], device=device), background=0.0)
    assert not (image != color)[0, 15:25, 18:26].any()


def test_nothing_happens_without_a_silhouette(device):
    clip = clip_of([[-3, -3], [9, -3], [-3, 9]]).to(device)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    color = torch.rand(1, 16, 16, 3, device=device)
    fragments = rasterize(clip, faces, (16, 16))
    assert torch.equal(antialias(color, fragments, clip, faces), color)
    none = rasterize(clip + 100, faces, (16, 16))
    assert torch.equal(antialias(color, none, clip, faces), color)
    empty = Fragments(*(part[:, :0] for part in none))
    assert antialias(color[:, :0], empty, clip, faces).shape == (1, 0, 16, 3)
    assert torch.equal(antialias(color, none, clip, faces[:0]), color)


def smooth_loss(image):
    """Weights that change slowly over the image, so that no single pixel's flip shows."""
    height, width = image.shape[1:3]
    y, x = torch.meshgrid(torch.arange(height).to(image), torch.arange(width).to(image), indexing="ij")
    weight = 1 + (3 * x / width + 1).sin() + (2 * y / height).cos()
    return (image * weight[None, ..., None]).mean()


SCENES = {
    "one triangle": ([[-0.71, -0.53, 0.0], [0.62, -0.31, 0.0], [-0.13, 0.66, 0.0]], [[0, 1, 2]]),
    "in perspective": ([[-0.71, -0.53, -0.4], [0.62, -0.31, 0.4], [-0.13, 0.66, 0.1]], [[0, 1, 2]]),
    "a square": (
        [[-0.61, -0.53, 0.1], [0.52, -0.41, 0.0], [-0.53, 0.46, 0.0], [0.57, 0.51, -0.2]],
        [[0, 1, 2], [2, 1, 3]],
    ),
    "one before another": (
        [[-0.8, -0.7, 0.3], [0.8, -0.6, 0.3], [0, 0.8, 0.3], [-0.3, -0.45, -0.2], [0.5, -0.1, -0.2], [-0.1, 0.3, -0.2]],
        [[0, 1, 2], [3, 4, 5]],
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_gradients_are_those_of_finite_differences(scene, device):
    """Of the corners' x and y, two pixels' length apart: over a shorter way the pixels' own steps would show."""
    points, faces = (torch.tensor(part, device=device) for part in SCENES[scene])
    faces = faces.to(torch.int32)
    colors = torch.linspace(0.4, 1.0, len(faces), device=device)[:, None]
    if scene == "a square":
        colors[:] = 1.0  # a change of colour within a surface is no silhouette
    side = 96

    def loss(points):
        w = 1.5 + points[:, 2:]
        clip = torch.cat([points[:, :2] * w, points[:, 2:], w], 1)[None]
        return smooth_loss(drawn(clip, faces, (side, side), colors)[0])

    points.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(points), points)
    step = 2 * 2 / side
    found = torch.zeros_like(points)
    with torch.no_grad():
        for row in range(len(points)):
            for axis in (0, 1):
                move = torch.zeros_like(points)
                move[row, axis] = step
                found[row, axis] = (loss(points + move) - loss(points - move)) / (2 * step)
    cosine = torch.nn.functional.cosine_similarity(gradient[:, :2].flatten(), found[:, :2].flatten(), dim=0)
    ratio = gradient[:, :2].norm() / found[:, :2].norm()
    print(f"{scene}: cosine {cosine:.4f}, ratio of lengths {ratio:.3f}")
    assert cosine > 0.98 and 0.9 < ratio < 1.1


def test_gradients_in_float64_arithmetic(device):
    """Within one arrangement of pixels, the derivative is exact: small steps find the same."""
    clip = clip_of([[-0.713, -0.531], [0.622, -0.314], [-0.137, 0.666]], w=1.7).to(device).requires_grad_()
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    white = torch.ones(1, 1, device=device)
    (gradient,) = torch.autograd.grad(smooth_loss(drawn(clip, faces, (24, 24), white)[0]), clip)
    step = 2e-3
    for vertex in range(3):
        for axis in (0, 1, 3):
            move = torch.zeros_like(clip)
            move[0, vertex, axis] = step
            with torch.no_grad():
                pair = [smooth_loss(drawn(clip + way * move, faces, (24, 24), white)[0]) for way in (1, -1)]
            assert abs((pair[0] - pair[1]) / (2 * step) - gradient[0, vertex, axis]) < 2e-3
    assert (gradient[..., 2] == 0).all()


def test_a_triangle_reaching_behind_the_eye(device):
    """A floor whose near corners lie behind the camera: its far edge is blended, and has a gradient."""
    clip = torch.tensor([[[-9.0, 1, -1, -1], [9, 1, -1, -1], [9, 1, 4.9, 5], [-9, 1, 4.9, 5]]], device=device)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32, device=device)
    clip.requires_grad_()
    image, color = drawn(clip, faces, (33, 33), torch.ones(2, 1, device=device), background=0.0)
    rows = (image != color)[0, ..., 0].float().mean(1)
    assert rows.argmax() in (19, 20) and rows.max() > 0.9
    image.sum().backward()
    assert clip.grad.isfinite().all() and clip.grad[0, 2:, 1].sum() < 0  # the edge goes down, the floor gets smaller


def test_images_are_independent_and_may_share_corners(device):
    clip = torch.from_numpy(soup("large", 20, seed=6)).to(device)[None]
    faces = faces_of(clip[0]).to(device)
    both = torch.cat([clip, clip * torch.tensor([0.8, 1, 1, 1], device=device)])
    fragments = rasterize(both, faces, (40, 44))
    color = torch.rand(2, 40, 44, 2, device=device)
    together = antialias(color, fragments, both, faces, opposite_vertices(faces))
    for i in (0, 1):
        one = Fragments(*(part[i : i + 1] for part in fragments))
        assert torch.equal(antialias(color[i : i + 1], one, both[i : i + 1], faces)[0], together[i])
    same = rasterize(clip.expand(2, -1, -1), faces, (40, 44))
    assert torch.equal(antialias(color, same, clip, faces), antialias(color, same, clip.repeat(2, 1, 1), faces))


def test_the_neighbour_across_each_edge(device):
    tetrahedron = torch.tensor([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]], dtype=torch.int32, device=device)
    assert opposite_vertices(tetrahedron).tolist() == [[3, 3, 3], [2, 2, 2], [0, 0, 0], [1, 1, 1]]
    sphere = fs.procedural.sphere()
    faces = torch.from_numpy(sphere.faces).int().to(device)
    beyond = opposite_vertices(faces).cpu()
    for face, others in list(zip(faces.tolist(), beyond.tolist(), strict=True))[::37]:
        for i, other in enumerate(others):
            ends = {face[(i + 1) % 3], face[(i + 2) % 3]}
            assert other == -1 or any(ends | {other} == set(each) for each in faces.tolist())
    three = torch.tensor([[0, 1, 2], [0, 1, 3], [1, 0, 4]], dtype=torch.int32, device=device)
    assert opposite_vertices(three)[:, 2].tolist() == [3, 4, 3]
    assert opposite_vertices(three[:0]).shape == (0, 3)


def test_shading_and_edges_together_find_a_square(device):
    """A square seen in an image is found from a displaced one: the gradient is that of the silhouette alone."""
    faces = torch.tensor([[0, 1, 2], [2, 1, 3]], dtype=torch.int32, device=device)
    corners = torch.tensor([[-0.4, -0.4], [0.4, -0.4], [-0.4, 0.4], [0.4, 0.4]], device=device)
    ones = torch.ones(1, 4, 1, device=device)

    def draw(offset):
        clip = torch.cat([corners + offset, torch.zeros(4, 1, device=device), torch.ones(4, 1, device=device)], 1)[None]
        fragments = rasterize(clip.detach(), faces, (32, 32))
        return antialias(interpolate(ones, faces, fragments), fragments, clip, faces)

    truth = torch.tensor([0.13, -0.07], device=device)
    target = draw(truth)
    offset = torch.tensor([-0.2, 0.2], device=device, requires_grad=True)
    optimizer = torch.optim.Adam([offset], 0.03, betas=(0.7, 0.9))
    for _ in range(80):
        optimizer.zero_grad()
        (draw(offset) - target).square().mean().backward()
        optimizer.step()
    assert (offset.detach() - truth).abs().max() < 0.01


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"color": torch.zeros(1, 4, 4, 3, dtype=torch.float64)}, "`color` must be torch.float32"),
        ({"clip": torch.zeros(2, 3, 4)}, "B = 1 from `color`"),
        ({"opposite": torch.zeros(2, 3, dtype=torch.int32)}, r"`opposite` must have shape \[F, 3\]"),
    ],
)
def test_errors_say_what_to_do(change, says):
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    fragments = rasterize(torch.zeros(1, 3, 4), faces, (4, 4))
    arguments = {"color": torch.zeros(1, 4, 4, 3), "fragments": fragments, "clip": torch.zeros(1, 3, 4), "faces": faces}
    with pytest.raises((TypeError, ValueError), match=says):
        antialias(**arguments | change)
