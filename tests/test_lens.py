"""The models of lenses: against OpenCV, against a slow reference, and against themselves backwards."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lens_cases import FISHEYE, LENSES, RADIAL, directions_of, land, padded

import fastsynth as fs
from fastsynth import lens
from fastsynth.lens import Lenses

pytestmark = pytest.mark.usefixtures("one_thread")
every = pytest.mark.parametrize("name", LENSES)
# Written down once from OpenCV 5.0.0: cv2.fisheye.projectPoints and cv2.projectPoints of points 2 m away at 0, 20, 45,
# 70 and 85 degrees from the axis (the latter up to 45), each at 0, 100 and 215 degrees around it.
K = [[300.0, 0.0, 320.5], [0.0, 310.0, 240.25], [0.0, 0.0, 1.0]]
# fmt: off
OPENCV_FISHEYE = [[320.5, 240.25], [320.5, 240.25], [320.5, 240.25], [426.1957, 240.25], [302.1461, 347.8097], [233.9191, 177.6046], [565.542, 240.25], [277.9489, 489.6132], [119.7734, 95.0147], [714.8377, 240.25], [252.024, 641.5418], [-2.5226, 6.5277], [805.8082, 240.25], [236.2271, 734.1164], [-77.0412, -47.39]]  # noqa: E501
OPENCV_RADIAL = [[320.5, 240.25], [320.5, 240.25], [320.5, 240.25], [425.7854, 240.2993], [302.0942, 347.7671], [233.9758, 177.7438], [570.6975, 240.622], [276.1241, 497.6905], [113.4407, 91.1737]]  # noqa: E501
# fmt: on


def rays(*angles: float) -> torch.Tensor:
    made = []
    for theta in np.deg2rad(angles):
        for phi in np.deg2rad([0.0, 100.0, 215.0]):
            made.append([math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)])
    return torch.tensor(made, dtype=torch.float64)[None]


def of(name: str, dtype=torch.float64) -> Lenses:
    model, k, angle = LENSES[name]
    return Lenses(model, torch.tensor([padded(k)], dtype=dtype), math.radians(angle))


@pytest.mark.parametrize(
    ("model", "k", "angles", "pixels"),
    [
        ("fisheye", (0.08, -0.03, 0.01, -0.002), (0, 20, 45, 70, 85), OPENCV_FISHEYE),
        ("radial_tangential", RADIAL, (0, 20, 45), OPENCV_RADIAL),
    ],
)
def test_points_land_where_opencv_says(model, k, angles, pixels):
    size = (480, 640)
    camera = fs.Pinhole.from_pixels(torch.tensor(K).double(), torch.eye(4), size)
    glass = Lenses(model, torch.tensor([padded(k)], dtype=torch.float64))
    given = torch.tensor(pixels, dtype=torch.float64)
    found, inside = lens.project(2 * rays(*angles), camera.intrinsics.double(), glass, size)
    assert inside.all()
    torch.testing.assert_close(found[0], given, atol=2e-4, rtol=0)
    back = lens.unproject(given[None], camera.intrinsics.double(), glass, size)[0]
    torch.testing.assert_close(back, rays(*angles), atol=2e-6, rtol=0)


def test_points_land_where_this_opencv_says():
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3)) * (1, 1, 0.3) + (0, 0, 1.5)
    points = points[points[:, 2] > 0.8 * np.hypot(points[:, 0], points[:, 1])]
    for model, k in (("fisheye", FISHEYE), ("radial_tangential", RADIAL)):
        call = cv2.fisheye.projectPoints if model == "fisheye" else cv2.projectPoints
        zero = np.zeros(3)
        given = call(points[:, None], *((zero, zero, np.array(K), np.array(k))))[0][:, 0]
        found = land(points, model, k) @ np.array(K)[:2, :2].T + np.array(K)[:2, 2]
        np.testing.assert_allclose(found, given, atol=1e-6)


@every
def test_a_dense_grid_lands_where_the_reference_says(name):
    model, k, angle = LENSES[name]
    outer = min(85.0, angle - 0.5)
    theta, phi = np.meshgrid(np.deg2rad(np.linspace(0, outer, 60)), np.linspace(0, 2 * np.pi, 48))
    directions = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    directions *= np.random.default_rng(1).uniform(0.1, 10, (*theta.shape, 1))
    expected = land(directions, model, k)
    for dtype, error in ((torch.float64, 1e-12), (torch.float32, 3e-6)):
        found, inside = lens.distort(torch.tensor(directions, dtype=dtype)[None], of(name, dtype))
        assert inside.all()
        np.testing.assert_allclose(found[0].double().numpy(), expected, atol=error)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_back_and_forth_is_the_same_pixel(name, dtype):
    glass, size = of(name, dtype), (96, 128)
    focal = 0.5 / glass.radius(glass.limit()).item()
    intrinsics = torch.tensor([[[focal, 0.01, 0.02], [0, 1.1 * focal, -0.03], [0, 0, 1]]], dtype=dtype)
    x, y = torch.meshgrid(torch.arange(128) + 0.5, torch.arange(96) + 0.5, indexing="xy")
    pixels = torch.stack([x, y], -1)[None].to(dtype)
    directions, inside = lens.unproject(pixels, intrinsics, glass, size)
    assert inside.float().mean() > 0.4
    again, there = lens.project(directions, intrinsics, glass, size)
    bound = 1e-4 if dtype == torch.float32 else 1e-10
    inner = inside & ((again - pixels).norm(dim=-1) < 1)
    assert (inner == inside).all() and (again - pixels).norm(dim=-1)[inside].max() < bound
    assert (~there & inside).sum() <= 2  # on the very edge of the circle
    length = torch.linalg.vector_norm(directions, dim=-1)
    torch.testing.assert_close(length, torch.ones_like(length), atol=1e-6, rtol=0)


@every
def test_the_inverse_is_that_of_the_reference(name):
    model, k, angle = LENSES[name]
    rng = np.random.default_rng(2)
    places = rng.uniform(-0.9, 0.9, (500, 2)) * float(of(name).radius(of(name).limit()))
    expected, inside = directions_of(places, model, k, math.radians(angle))
    found, seen = lens.undistort(torch.tensor(places)[None], of(name))
    both = inside & seen[0].numpy()
    # The reference takes the circle of the radial part alone, the tangential part moves its edge.
    assert both.mean() > 0.4 and (inside != seen[0].numpy()).mean() < 0.02
    np.testing.assert_allclose(found[0].numpy()[both], expected[both], atol=1e-8)


@every
def test_the_table_of_a_picture_holds_the_inverse(name):
    glass = of(name, torch.float32)
    edge = glass.radius(glass.limit()).item()
    line = torch.linspace(-1.1 * edge, 1.1 * edge, 101)
    x, y = (part[None].contiguous() for part in torch.meshgrid(line, line, indexing="xy"))
    (u, v, w), inside = lens.see((x, y), glass)
    seen = torch.stack([u, v, w], -1)
    seen = seen / torch.linalg.vector_norm(seen, dim=-1, keepdim=True)
    exact, there = lens.undistort(torch.stack([x, y], -1).double(), of(name))
    assert (inside != there).float().mean() < 2e-3
    both = inside & there & (exact[..., 2] > math.cos(math.radians(LENSES[name][2] - 0.5)))
    assert (seen.double() - exact)[both].abs().max() < 2e-6


def test_a_lens_ends_where_its_radius_stops_growing():
    folded = Lenses("fisheye", torch.tensor([padded((-0.2,))]).double(), math.pi / 2)
    limit = folded.limit().item()
    assert limit == pytest.approx(math.sqrt(1 / 0.6), abs=1e-6)  # 1 = 3 k1 theta^2
    directions = torch.tensor([[[math.sin(a), 0.0, math.cos(a)] for a in (limit - 0.01, limit + 0.01)]]).double()
    places, inside = lens.distort(directions, folded)
    assert inside.tolist() == [[True, False]]
    edge = folded.radius(folded.limit()).item()
    assert places[0, 1].tolist() == pytest.approx([edge, 0.0])
    assert lens.undistort(torch.tensor([[[edge + 0.01, 0.0]]]).double(), folded)[1].tolist() == [[False]]
    pole = Lenses("radial_tangential", torch.tensor([[0.0, 0, 0, 0, 0, -0.5, 0, 0]]).double(), math.radians(80))
    assert pole.limit().item() == pytest.approx(math.sqrt(2), abs=1e-4)  # the denominator is 0 there


@every
@pytest.mark.parametrize("way", ["distort", "undistort", "see"])
def test_gradients_are_those_of_differences(name, way):
    glass = of(name)
    inner = 0.8 * glass.radius(glass.limit()).item()
    generator = torch.Generator().manual_seed(0)
    places = (torch.rand(1, 7, 2, generator=generator, dtype=torch.float64) - 0.5) * (2 * inner / math.sqrt(2))
    k = glass.distortion.clone().requires_grad_()
    if glass.model == "equidistant":
        glass = glass._replace(model="fisheye")

    def work(k, given):
        made = glass._replace(distortion=k)
        if way == "distort":
            return lens.distort(given, made)[0]
        if way == "undistort":
            return lens.undistort(given, made)[0]
        u, v, w = lens.see((given[..., 0][:, None], given[..., 1][:, None]), made)[0]
        return torch.stack([u / w, v / w] if glass.radial else [u, v], -1)

    given = lens.undistort(places, glass)[0] if way == "distort" else places
    # The table is not smooth in its entries: its gradient is that of the exact inverse.
    if way == "see":
        exact = [value.requires_grad_() for value in (k.detach().clone(), given.clone())]
        table = [value.detach().clone().requires_grad_() for value in exact]
        weights = torch.rand(1, 1, 7, 2, generator=generator, dtype=torch.float64)
        (work(*table) * weights).sum().backward()
        u, v, w = lens.undistort(exact[1][:, None], glass._replace(distortion=exact[0]))[0].unbind(-1)
        same = torch.stack([u / w, v / w] if glass.radial else [u, v], -1)
        (same * weights).sum().backward()
        for a, b in zip(table, exact, strict=True):
            torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4)
    else:
        assert torch.autograd.gradcheck(work, (k, given.requires_grad_()), atol=1e-6)


def test_wrong_lenses_are_refused():
    eye = torch.eye(3)[None]
    with pytest.raises(ValueError, match="one of .*, but is 'brown'"):
        lens.project(torch.ones(1, 3), eye, Lenses("brown", torch.zeros(1, 8)), (4, 4))
    with pytest.raises(ValueError, match="`distortion` must have shape \\[B, 8\\]"):
        lens.unproject(torch.ones(1, 2), eye, Lenses("fisheye", torch.zeros(1, 4)), (4, 4))
    with pytest.raises(ValueError, match="Lens: `model`"):
        fs.Lens("brown")
    with pytest.raises(ValueError, match="Lens: `angle`"):
        fs.Lens("fisheye", angle=3.0)
    with pytest.raises(ValueError, match="has no coefficients"):
        fs.Lens("equidistant", (0.0,) * 4)
    with pytest.raises(ValueError, match="Lens: `distortion` must be of shape \\[4\\] or"):
        fs.Lens("fisheye", (0.0, 0.0))
