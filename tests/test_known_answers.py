"""Answers of others: what they draw, as numbers, held against what is drawn here.

Each test names the file that its inputs and numbers come from; conventions are turned into ours (row 0 on top, +x
right, +y down, pixel centres at half-integers), the numbers are theirs.
"""

from __future__ import annotations

import pytest
import torch

import fastsynth as fs
from fastsynth.geometry import Pinhole, rotation_from_axis_angle

NEAR = 0.01


def grid(text: str) -> torch.Tensor:
    """Ids as they are written in a picture: a row a line, a dot for the background."""
    rows = [line.split() for line in text.strip().splitlines()]
    return torch.tensor([[-1 if cell == "." else int(cell) for cell in row] for row in rows], dtype=torch.int32)


def from_pytorch3d(vertices: torch.Tensor) -> torch.Tensor:
    """PyTorch3D's rasterizer takes x, y in NDC (+x left, +y up) and the depth z; clip space here is [.., 4]."""
    x, y, z = vertices.unbind(-1)
    return torch.stack([-x * z, -y * z, torch.full_like(z, -NEAR), z], -1)


def rasterize(clip, faces, size, device, **options):
    clip = torch.as_tensor(clip, dtype=torch.float32, device=device)
    faces = torch.tensor(faces, dtype=torch.int32, device=device)
    return fs.ops.Fragments(*(part[0].cpu() for part in fs.ops.rasterize(clip[None], faces, size, **options)))


# PyTorch3D, tests/test_rasterize_meshes.py (commit 9381c401) ---------------------------------------------------------

TWO_TOPOLOGIES = (
    grid("""
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . 0 . . . . .
    . . . 0 0 0 . . . .
    . . 0 0 0 0 . . . .
    . 0 0 0 0 0 . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    """),
    grid("""
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . 1 . . . .
    . . 2 2 1 1 1 2 . .
    . . . 1 1 1 1 1 . .
    . . . 1 1 1 1 1 1 .
    . . 1 1 1 2 . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    """),
)
DEPTH_OF_FACE = torch.tensor([0.1, 0.1, 0.5])


def test_two_topologies_in_one_batch(device):
    """``_simple_triangle_raster``: a mesh of one face and one of two, and the exact ids and depths of both."""
    one = torch.tensor([[-0.3, -0.4, 0.1], [0.0, 0.6, 0.1], [0.9, -0.4, 0.1]])
    two = torch.tensor(
        [[-0.9, -0.2, 0.1], [0.0, 0.6, 0.1], [0.7, -0.4, 0.1], [-0.7, 0.4, 0.5], [0.0, -0.6, 0.5], [0.7, 0.4, 0.5]]
    )
    clip = from_pytorch3d(torch.cat([one, two])).to(device).expand(2, 9, 4)
    faces = torch.tensor([[1, 0, 2], [4, 3, 5], [6, 7, 8]], dtype=torch.int32, device=device)
    ranges = torch.tensor([[0, 1], [1, 2]], dtype=torch.int32, device=device)
    fragments = fs.ops.rasterize(clip, faces, (10, 10), ranges=ranges)
    for image, expected in enumerate(TWO_TOPOLOGIES):
        ids, depth = fragments.triangle_id[image].cpu(), fragments.depth[image].cpu()
        assert torch.equal(ids, expected)
        wanted = torch.where(expected >= 0, DEPTH_OF_FACE[expected.clamp(min=0)], 0)
        torch.testing.assert_close(depth, wanted, rtol=1e-6, atol=0)


def test_the_second_layer_is_the_face_behind(device):
    """The same, second nearest face: without the nearest one, the other is seen where it was hidden."""
    two = torch.tensor([[-0.7, 0.4, 0.5], [0.0, -0.6, 0.5], [0.7, 0.4, 0.5]])
    ids = rasterize(from_pytorch3d(two), [[0, 1, 2]], (10, 10), device).triangle_id
    hidden = grid("""
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . 2 2 2 . . .
    . . . 2 2 2 2 . . .
    . . . 2 2 2 2 . . .
    . . . . 2 . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    """)
    assert torch.equal(ids >= 0, (TWO_TOPOLOGIES[1] == 2) | (hidden == 2))


def test_depth_is_correct_in_perspective(device):
    """``_test_perspective_correct``: depths of an 11 x 11 image, at the pixels that are inside without their blur."""
    vertices = torch.tensor([[-0.4, -0.4, 10.0], [0.4, -0.4, 10.0], [0.0, 0.4, 20.0]])
    fragments = rasterize(from_pytorch3d(vertices), [[0, 1, 2]], (11, 11), device)
    inside = {3: (5, 5, 19.1304), 4: (5, 5, 15.7143), 5: (4, 6, 13.3333), 6: (4, 6, 11.5789), 7: (3, 7, 10.2326)}
    assert (fragments.triangle_id >= 0).sum() == sum(last - first + 1 for first, last, _ in inside.values())
    for row, (first, last, depth) in inside.items():
        assert (fragments.triangle_id[row, first : last + 1] == 0).all()
        torch.testing.assert_close(
            fragments.depth[row, first : last + 1], torch.full((last - first + 1,), depth), rtol=0, atol=1e-4
        )
        w0, w1 = fragments.barycentric[row, first : last + 1].unbind(-1)
        assert ((10 * w0 + 10 * w1 + 20 * (1 - w0 - w1)) - depth).abs().max() < 1e-4


def test_nothing_is_seen_behind_the_camera(device):
    """``_test_behind_camera``: four triangles at negative depths."""
    vertices = torch.tensor(
        [
            [[-0.5, 0.0, -0.1], [0.0, 0.6, -0.1], [0.5, 0.0, -0.1]],
            [[-0.25, 0.0, -0.9], [0.25, 0.5, -0.9], [0.75, 0.0, -0.9]],
            [[-0.4, 0.0, -0.5], [0.6, 0.6, -0.5], [0.8, 0.0, -0.5]],
            [[-0.2, 0.0, -0.5], [0.3, 0.6, -0.5], [0.4, 0.0, -0.5]],
        ]
    ).view(12, 3)
    faces = [[1, 0, 2], [4, 3, 5], [7, 6, 8], [10, 9, 11]]
    fragments = rasterize(from_pytorch3d(vertices), faces, (16, 16), device)
    assert (fragments.triangle_id == -1).all() and (fragments.depth == 0).all()


def test_back_faces_are_culled(device):
    """``_test_back_face_culling``: a pyramid from the front, its front face 2 and its back face 3."""
    vertices = torch.tensor([[-0.5, 0.0, 0.5], [0.5, 0.0, 0.5], [0.5, 0.0, 1.5], [-0.5, 0.0, 1.5], [0.0, 1.0, 1.0]])
    faces = [[2, 1, 0], [3, 2, 0], [1, 0, 4], [2, 4, 3], [3, 4, 0], [1, 4, 2]]
    front = grid("""
    . . . . . . . . . .
    . . . . 2 2 . . . .
    . . . . 2 2 . . . .
    . . . 2 2 2 2 . . .
    . . . 2 2 2 2 . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    . . . . . . . . . .
    """)
    # Orthographic, as their settings are here: x and y are not divided by the depth.
    x, y, z = vertices.unbind(-1)
    clip = torch.stack([-x, -y, z - 1, torch.ones_like(z)], -1)
    assert torch.equal(rasterize(clip, faces, (10, 10), device).triangle_id, front)
    assert torch.equal(rasterize(clip, faces, (10, 10), device, cull="back").triangle_id, front)
    behind = rasterize(clip, faces, (10, 10), device, cull="front").triangle_id
    assert torch.equal(behind, torch.where(front == 2, 3, front))


def test_coincident_faces_are_seen_in_their_order(device):
    """``test_order_of_ties``: of a hundred faces in one place the first is seen, then the second, and so on."""
    # Their camera: 2.7 m away, 60 degrees of view; vertices -5 along each axis. They look at a quarter of the image.
    focal = 3**0.5
    view = torch.tensor([[5.0, 0.0, 2.7], [0.0, -5.0, 2.7], [0.0, 0.0, 7.7]])  # +x left, as looked at from +z
    clip = torch.stack([-focal * view[:, 0], -focal * view[:, 1], torch.full((3,), -1.0), view[:, 2]], -1)
    faces = torch.arange(3, dtype=torch.int32).expand(100, 3)
    for first in (0, 1, 57, 99):
        ids = rasterize(clip, faces[: 100 - first].tolist(), (28, 28), device).triangle_id
        assert set(ids.unique().tolist()) == {-1, 0} and (ids[14:, :14] == 0).all()


# PyTorch3D, tests/test_render_meshes_clipped.py, cases 1 to 4: the near plane is z = 0.01 ----------------------------

CLIPPED = {
    "1: all in front": ([[0, 0, 1], [1, 0, 1], [0, 1, 1]], [[[0, 0, 1], [1, 0, 1], [0, 1, 1]]]),
    "2: all behind": ([[-1, 0, -1], [0, 1, -1], [1, 0, -1]], []),
    "3: two corners behind": (
        [[-1, 0, -1], [0, 0, 1], [1, 0, -1]],
        [[[0.495, 0, 0.01], [-0.495, 0, 0.01], [0, 0, 1]]],
    ),
    "4: one corner behind": (
        [[0, 0, -1], [-1, 0, 1], [1, 0, 1]],
        [[[-0.505, 0, 0.01], [-1, 0, 1], [0.505, 0, 0.01]], [[0.505, 0, 0.01], [-1, 0, 1], [1, 0, 1]]],
    ),
}
#: Weights of the original corners at clipped ones (``barycentric_conversion``).
WEIGHTS = {
    "3: two corners behind": {(0.495, 0.01): (0, 0.505, 0.495), (-0.495, 0.01): (0.495, 0.505, 0), (0, 1): (0, 1, 0)},
    "4: one corner behind": {(-0.505, 0.01): (0.495, 0.505, 0), (0.505, 0.01): (0.495, 0, 0.505), (1, 1): (0, 0, 1)},
}


@pytest.mark.parametrize("case", CLIPPED)
def test_clipping_at_the_near_plane(case, device):
    """Their triangles stand edge-on, so they are looked at from above: the image's y is their depth, upward."""

    def clip_space(corners):
        x, y, z = torch.tensor(corners, dtype=torch.float32).view(-1, 3).unbind(-1)
        # x and y are projected already (w = 1); z_clip = -1 at their near plane. Their y tells nothing but in case 1.
        return torch.stack([0.9 * x, 0.9 * (1 - z - y), z - 0.01 - 1, torch.ones_like(x)], -1)

    size = (256, 256)
    original, expected = CLIPPED[case]
    fragments = rasterize(clip_space(original), [[0, 1, 2]], size, device)
    if not expected:
        assert (fragments.triangle_id == -1).all()
        return
    faces = torch.arange(3 * len(expected)).view(-1, 3).tolist()
    wanted = rasterize(clip_space(expected), faces, size, device).triangle_id >= 0
    different = (fragments.triangle_id >= 0) != wanted
    assert wanted.sum() > 5000 and different.sum() <= 0.001 * wanted.sum()
    for (x, z), (w0, w1, _) in WEIGHTS.get(case, {}).items():
        column, row = (0.9 * x + 1) * 128, (0.9 * (1 - z) + 1) * 128  # of the corner [pixels]
        rows, columns = wanted.nonzero().unbind(-1)
        nearest = ((columns + 0.5 - column) ** 2 + (rows + 0.5 - row) ** 2).argmin()
        weights = fragments.barycentric[rows[nearest], columns[nearest]]
        assert (weights - torch.tensor([w0, w1])).abs().max() < 0.02  # a pixel or so beside the corner


# OpenCV's projectPoints: PyTorch3D, tests/data/cv_project_points_precomputed.json -----------------------------------

# Rotation vector, translation, fx fy cx cy, points, and where OpenCV projects them.
PROJECTED = [
    (
        (-1.6336234, -1.0098048, 0.4160736),
        (1.626905, -1.5187958, -4.6009063),
        (-1.0406556, -4.6370989, 0.6160261, -2.2859802),
        [
            (0.7610377, 0.121675, 0.4438632),
            (0.3336743, 1.4940791, -0.2051583),
            (0.3130677, -0.8540957, -2.5529898),
            (0.6536186, 0.8644362, -0.742165),
            (2.2697546, -1.4543657, 0.0457585),
        ],
        [
            (1.0145014, -2.9284953),
            (1.0724146, -3.4080993),
            (1.7917063, -6.7793572),
            (1.2140849, -3.6559075),
            (1.4910298, -1.7436687),
        ],
    ),
    (
        (-1.6246987, 1.271732, 0.0264556),
        (-0.7416676, -0.9513922, 1.2411273),
        (-0.6674566, -0.4250565, 0.0366092, -0.1661673),
        [
            (0.9182028, -0.1588005, -0.9640634),
            (-1.9907788, 0.0897307, 0.1148539),
            (-0.5858152, 0.298772, 0.2222599),
            (0.435183, -0.0457481, 0.0498984),
            (-0.9355305, 0.2873877, 0.3604273),
        ],
        [
            (0.4141589, 0.5870938),
            (0.5208963, -0.2684058),
            (0.6192571, -0.0457759),
            (0.3620623, 0.3519971),
            (0.5966208, -0.1618695),
        ],
    ),
    (
        (0.952948, -0.8534384, -2.0235766),
        (-0.3351616, -1.6076185, 0.0039651),
        (0.6332697, 0.5719922, -0.0084798, 0.5328057),
        [
            (-0.3824862, 0.6916619, 0.353885),
            (1.0475853, -0.4238962, -3.5147681),
            (-1.3431567, 1.4255061, 0.228582),
            (-0.2576638, 0.0503707, -1.3802109),
            (-0.2616721, -0.1793797, -0.6927706),
        ],
        [
            (-0.1735197, -0.5026447),
            (-0.5086927, 1.2602939),
            (0.1995019, 0.1377832),
            (-1.0602558, 2.3228582),
            (-0.4811967, 2.6476893),
        ],
    ),
    (
        (-0.9637576, 1.6344478, 1.1377407),
        (-5.0736742, -15.0264648, 3.7663565),
        (0.0592345, 2.0469542, 1.0948929, -1.6769676),
        [
            (0.0815831, 1.2381695, 2.1837783),
            (0.1905641, -0.4981669, 0.0475124),
            (1.4483291, 0.4282211, -0.1707534),
            (-2.3547773, -0.4678065, -0.1294017),
            (0.9000515, -0.5156528, 0.5203996),
        ],
        [
            (1.0011881, -8.7962669),
            (1.0148904, -10.6624766),
            (0.9559355, -13.9861497),
            (1.0550145, -6.889409),
            (0.9903897, -12.9240756),
        ],
    ),
]


@pytest.mark.parametrize("number", range(len(PROJECTED)))
def test_opencv_projects_points_there(number):
    turn, shift, (fx, fy, cx, cy), points, expected = PROJECTED[number]
    axis = torch.tensor(turn, dtype=torch.float64)
    rotation = rotation_from_axis_angle(axis, axis.norm())
    matrix = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    camera = Pinhole.from_opencv(matrix, rotation, torch.tensor(shift, dtype=torch.float64), size=(19, 16))
    # OpenCV counts pixels from the centre of the first one, which is at (0.5, 0.5) here.
    projected = camera.project(torch.tensor([points]), (19, 16))[0] - 0.5
    torch.testing.assert_close(projected, torch.tensor(expected), rtol=1e-4, atol=1e-4)


# tf_mesh_renderer, mesh_renderer/kernels/rasterize_triangles_impl_test.cc and its PNGs (commit 7de13fc) --------------

TRIANGLE = [[-0.5, -0.5, 0.8, 1.0], [0.0, 0.5, 0.3, 1.0], [0.5, -0.5, 0.3, 1.0]]
CUBE = [
    [-2.60648608, -3.22707772, 6.85085106, 6.85714293],
    [-1.30324292, -0.992946863, 8.56856918, 8.5714283],
    [-1.30324292, 3.97178817, 7.70971, 7.71428585],
    [-2.60648608, 1.73765731, 5.991992, 6.0],
    [1.30324292, -3.97178817, 6.27827835, 6.28571415],
    [2.60648608, -1.73765731, 7.99599648, 8.0],
    [2.60648608, 3.22707772, 7.13713741, 7.14285707],
    [1.30324292, 0.992946863, 5.41941929, 5.4285717],
]
BOX = [[x, y, 0.0, w] for w in (2.0, -2.0) for x, y in ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))]
IN_BOX = [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7], [2, 3, 7], [2, 7, 6]]
IN_BOX += [[1, 0, 4], [1, 4, 5], [0, 3, 7], [0, 7, 4], [1, 2, 6], [1, 6, 5]]
OF_CUBE = [[0, 1, 2], [2, 3, 0], [3, 2, 6], [6, 7, 3], [7, 6, 5], [5, 4, 7]]
OF_CUBE += [[4, 5, 1], [1, 0, 4], [5, 6, 2], [2, 1, 5], [7, 4, 0], [0, 3, 7]]
# Clip-space corners, faces, pixels covered, and the weights of the three corners (0..255, cut off) at x, y.
PICTURES = {
    "Simple_Triangle": (
        TRIANGLE,
        [[0, 1, 2]],
        38400,
        {(190, 145): (217, 27, 10), (320, 145): (113, 27, 114), (450, 145): (9, 27, 217), (320, 240): (63, 128, 63)},
    ),
    "Perspective_Corrected_Triangle": (
        [[w * c for c in corner] for corner, w in zip(TRIANGLE, (0.2, 0.5, 2.0), strict=True)],
        [[0, 1, 2]],
        38400,
        {(190, 145): (241, 12, 1), (320, 145): (213, 20, 21), (450, 145): (59, 64, 130), (320, 335): (30, 221, 3)},
    ),
    "External_Triangle": (  # w < 0 at one corner
        [[-0.5, -0.5, 0.0, 1.0], [0.0, -0.5, 0.0, -1.0], [0.5, -0.5, 0.0, 1.0]],
        [[0, 1, 2]],
        48000,
        {(190, 50): (169, 46, 38), (320, 50): (103, 46, 104), (450, 50): (38, 46, 169), (320, 145): (0, 0, 0)},
    ),
    "Inside_Box": (
        BOX,
        IN_BOX,
        307200,
        {(60, 50): (206, 3, 45), (190, 50): (62, 146, 46), (320, 145): (127, 100, 27), (450, 240): (23, 103, 128)},
    ),
    "Simple_Tetrahedron": (
        [*TRIANGLE, [0.0, 0.0, 0.0, 1.0]],
        [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]],
        38400,
        {(190, 145): (206, 5, 43), (320, 145): (100, 100, 54), (450, 145): (7, 207, 39), (320, 335): (203, 0, 50)},
    ),
    "Barycentrics_Cube": (
        CUBE,
        OF_CUBE,
        56772,
        {(320, 145): (64, 105, 84), (190, 240): (87, 162, 4), (320, 240): (63, 21, 170), (320, 335): (107, 25, 121)},
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_barycentrics(name, device):
    corners, faces, covered, samples = PICTURES[name]
    fragments = rasterize(corners, faces, (480, 640), device)
    hit = fragments.triangle_id >= 0
    assert abs(int(hit.sum()) - covered) <= 0.001 * covered  # their own tolerance
    w0, w1 = fragments.barycentric.unbind(-1)
    weights = torch.stack([w0, w1, 1 - w0 - w1], -1) * hit[..., None] * 255
    for (x, y), expected in samples.items():
        assert (weights[y, x] - 0.5 - torch.tensor(expected)).abs().max() <= 1.0, (x, y, weights[y, x])


def test_a_pixel_on_an_edge_belongs_to_one_of_its_sides(device):
    """``WorksWhenPixelIsOnTriangleEdge``: theirs covers it in both windings; here too, as the edge is a left one."""
    corners = [[0.0, -1.0, 0.5, 1.0], [0.0, 1.0, 0.5, 1.0], [0.5, -1.0, 0.5, 1.0]]
    for face in ([0, 1, 2], [2, 1, 0]):
        assert rasterize(corners, [face], (480, 641), device).triangle_id[5, 320] == 0


def test_the_corners_of_the_image_are_covered(device):
    """``CoversEdgePixelsOfImage``."""
    corners = [[-1.0, -1.0, 0, 1], [1.0, -1.0, 0, 1], [1.0, 1.0, 0, 1], [-1.0, 1.0, 0, 1]]
    assert (rasterize(corners, [[0, 1, 2], [0, 2, 3]], (480, 640), device).triangle_id >= 0).all()


def test_a_degenerate_triangle_covers_nothing(device):
    """``PixelOnDegenerateTriangleIsNotInside``."""
    corners = [[-1.0, -1.0, 0, 1], [1.0, 1.0, 0, 1], [0.0, 0.0, 0, 1]]
    assert rasterize(corners, [[0, 1, 2]], (1, 1), device).triangle_id == -1


# Watertightness ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [[3, 2, 1], [3, 1, 2]])
def test_no_gap_along_a_diagonal(second, device):
    """DRTK issue 9: eight by eight pixels, their centres at integers; a diagonal of holes was left there."""
    x0, x1, y0, y1 = 0.5, 6.50006103515625, 0.49993896484375, 6.5
    corners = [[(x + 0.5) / 4 - 1, (y + 0.5) / 4 - 1, 0.0, 1.0] for x, y in ((x0, y0), (x0, y1), (x1, y0), (x1, y1))]
    ids = rasterize(corners, [[0, 1, 2], second], (8, 8), device).triangle_id
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[1:7, 1:7] = True
    assert torch.equal(ids >= 0, inside)
    assert set(ids[inside].tolist()) == {0, 1}


def test_a_square_with_corners_at_pixel_centres(device):
    """nvdiffrast issue 91: each of 7 x 7 centres is covered once, those on the right and the lower border by nobody."""
    x = 1 - 1 / 8
    corners = [[-x, -x, 0.0, 1.0], [x, -x, 0.0, 1.0], [-x, x, 0.0, 1.0], [x, x, 0.0, 1.0]]
    both = rasterize(corners, [[0, 1, 2], [2, 1, 3]], (8, 8), device).triangle_id
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[:7, :7] = True
    assert torch.equal(both >= 0, inside)
    alone = [rasterize(corners, [face], (8, 8), device).triangle_id >= 0 for face in ([0, 1, 2], [2, 1, 3])]
    assert torch.equal(alone[0].int() + alone[1].int(), inside.int())
