"""Rotations against SciPy's, cameras against OpenCV's projections and against each library's own formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fastsynth import geometry
from fastsynth.geometry import Pinhole

SIZE = (480, 640)
POINTS = torch.tensor([[0.2, -0.1, 0.3], [-0.35, 0.25, -0.15], [0.05, 0.4, 0.1]])
# cv2.Rodrigues and cv2.projectPoints of OpenCV 5.0.0 for rvec = (0.3, -0.5, 0.2), tvec = SHIFT, K, no distortion.
# There the centre of the top-left pixel is (0, 0).
SHIFT = np.array([0.1, -0.2, 2.0])
ROTATION = np.array(
    [
        [0.859533899, -0.260226714, -0.439867633],
        [0.114916954, 0.937032437, -0.329794338],
        [0.497991537, 0.232921164, 0.835315605],
    ]
)
QUATERNION = (0.952874853, 0.147636256, -0.246060426, 0.098424171)  # w x y z of the same rvec, SciPy
K = np.array([[610.0, 0.0, 330.25], [0.0, 595.0, 228.75], [0.0, 0.0, 1.0]])
SEEN = torch.tensor([[373.759025, 134.226591], [260.908090, 243.469513], [328.836728, 268.634517]])
HALF_PIXEL = torch.tensor([0.5, 0.5])
LEFT_UP = np.diag([-1.0, -1.0, 1.0])  # our camera frame from one with +x left, +y up, and back


def seen_by(camera, size=SIZE):
    return camera.project(POINTS[None], size)[0]


def test_opencv():
    camera = Pinhole.from_opencv(K, ROTATION, SHIFT, SIZE)
    torch.testing.assert_close(seen_by(camera), SEEN + HALF_PIXEL, atol=2e-4, rtol=0)
    column = Pinhole.from_opencv(K, ROTATION, SHIFT[:, None], SIZE)  # as cv2.solvePnP returns it
    torch.testing.assert_close(column.camera_from_world, camera.camera_from_world)


def test_opencv_with_the_origin_at_the_image_corner():
    camera = Pinhole.from_opencv(K, ROTATION, SHIFT, SIZE, pixel_center=0.5)
    torch.testing.assert_close(seen_by(camera), SEEN, atol=2e-4, rtol=0)


def test_intrinsics_fit_every_resolution():
    camera = Pinhole.from_opencv(K, ROTATION, SHIFT, SIZE)
    halved = (SEEN + HALF_PIXEL) / 2  # positions from the image corner scale with the image
    torch.testing.assert_close(seen_by(camera, (240, 320)), halved, atol=2e-4, rtol=0)


def test_data_model_formula():
    """The formula of docs/design/0002-data-model.md, written out."""
    camera = Pinhole.from_opencv(K, ROTATION, SHIFT, SIZE)
    (fx, s, cx), (_, fy, cy), _ = camera.intrinsics[0].tolist()
    x, y, z = (POINTS.double().numpy() @ ROTATION.T + SHIFT).T
    u, v = 320 + 480 * (fx * x / z + s * y / z + cx), 240 + 480 * (fy * y / z + cy)
    np.testing.assert_allclose(np.stack([u, v], -1), SEEN + HALF_PIXEL, atol=2e-4)


def test_pixels_and_back():
    camera = Pinhole.from_opencv(K, ROTATION, SHIFT, SIZE)
    corner = K + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    torch.testing.assert_close(camera.pixels(SIZE)[0], torch.tensor(corner).float())
    again = Pinhole.from_pixels(camera.pixels((120, 160)), camera.camera_from_world, (120, 160))
    torch.testing.assert_close(again.intrinsics, camera.intrinsics)


@pytest.mark.parametrize("intrinsics", [K, (610.0, 595.0, 330.25, 228.75)], ids=["matrix", "PINHOLE"])
def test_colmap(intrinsics):
    camera = Pinhole.from_colmap(intrinsics, QUATERNION, SHIFT, SIZE)
    torch.testing.assert_close(seen_by(camera), SEEN, atol=2e-4, rtol=0)


def test_colmap_simple_pinhole():
    camera = Pinhole.from_colmap((600.0, 300.0, 200.0), QUATERNION, SHIFT, SIZE)
    expected = torch.tensor([[600.0, 0, 300], [0, 600, 200], [0, 0, 1]])
    torch.testing.assert_close(camera.pixels(SIZE)[0], expected)
    with pytest.raises(ValueError, match="Undistort"):
        Pinhole.from_colmap((600.0, 600.0, 300.0, 200.0, 0.1), QUATERNION, SHIFT, SIZE)


def frustum(left, right, bottom, top, near, far):
    """Clip from eye: glFrustum, OpenGL 2.1 specification, section 2.11.2."""
    return np.array(
        [
            [2 * near / (right - left), 0, (right + left) / (right - left), 0],
            [0, 2 * near / (top - bottom), (top + bottom) / (top - bottom), 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )


def test_opengl():
    view = np.eye(4)
    view[:3, :3] = np.diag([1, -1, -1]) @ ROTATION
    view[:3, 3] = np.diag([1, -1, -1]) @ SHIFT
    projection = frustum(-0.06, 0.05, -0.03, 0.05, 0.1, 10)
    projection[0, 1] = 0.2  # a skew, which glFrustum has not
    clip = np.concatenate([POINTS, np.ones((3, 1))], 1) @ (projection @ view).T
    x, y = (clip[:, :2] / clip[:, 3:]).T
    height, width = SIZE
    window = np.stack([(x + 1) / 2 * width, height - (y + 1) / 2 * height], -1)  # origin moved from bottom to top
    camera = Pinhole.from_opengl(view, projection, SIZE)
    np.testing.assert_allclose(seen_by(camera), window, atol=2e-4)


def test_opengl_agrees_with_opencv():
    view = np.eye(4)
    view[:3] = np.diag([1, -1, -1]) @ np.concatenate([ROTATION, SHIFT[:, None]], 1)
    near, far = 0.1, 100.0
    left, right = (-0.5 - K[0, 2]) / K[0, 0], (639.5 - K[0, 2]) / K[0, 0]  # borders of the image at unit depth
    top, bottom = (-0.5 - K[1, 2]) / K[1, 1], (479.5 - K[1, 2]) / K[1, 1]
    projection = frustum(left * near, right * near, -bottom * near, -top * near, near, far)
    camera = Pinhole.from_opengl(view, projection, SIZE)
    torch.testing.assert_close(seen_by(camera), SEEN + HALF_PIXEL, atol=2e-4, rtol=0)


@pytest.mark.parametrize("size", [(480, 640), (640, 480)], ids=["landscape", "portrait"])
@pytest.mark.parametrize("in_ndc", [True, False], ids=["ndc", "screen"])
def test_pytorch3d(size, in_ndc):
    """PyTorch3D's documentation of cameras: row vectors, NDC spans [-1, 1] over the short side, +x left, +y up."""
    rotation, shift = (LEFT_UP @ ROTATION).T, LEFT_UP @ SHIFT
    height, width = size
    half = min(size) / 2
    eye = POINTS.double().numpy() @ rotation + shift
    if in_ndc:
        focal, point = np.array([2.2, 2.1]), np.array([0.1, -0.05])
        ndc = focal * eye[:, :2] / eye[:, 2:] + point
        screen = np.array([width, height]) / 2 - half * ndc
    else:
        focal, point = np.array([610.0, 595.0]), np.array([330.75, 229.25])
        screen = point - focal * eye[:, :2] / eye[:, 2:]
    camera = Pinhole.from_pytorch3d(rotation, shift, focal, point, size, in_ndc)
    np.testing.assert_allclose(seen_by(camera, size), screen, atol=2e-4)
    if not in_ndc:  # the same camera as OpenCV's, from the image corner
        torch.testing.assert_close(seen_by(camera, size), SEEN + HALF_PIXEL, atol=2e-4, rtol=0)


def test_pytorch3d_batches():
    rotation = torch.eye(3).repeat(4, 1, 1)
    focal = torch.tensor([1.0, 2.0, 3.0, 4.0])
    camera = Pinhole.from_pytorch3d(rotation, torch.zeros(4, 3), focal, (0, 0), (100, 100))
    torch.testing.assert_close(camera.intrinsics[:, 0, 0], focal / 2)
    torch.testing.assert_close(camera.intrinsics[:, 1, 1], focal / 2)


def test_look_at():
    camera = Pinhole.look_at(eye=(1.0, -2.0, 1.5), target=(0.2, 0.1, 0.0), fov=geometry.deg(50))
    assert camera.intrinsics.shape == (1, 3, 3)
    pose = camera.camera_from_world[0]
    torch.testing.assert_close(pose[:3, :3] @ pose[:3, :3].T, torch.eye(3))
    assert torch.linalg.det(pose[:3, :3]) > 0
    target, above, eye = torch.tensor([[0.2, 0.1, 0.0], [0.2, 0.1, 0.3], [1.0, -2.0, 1.5]])
    (u, v), (above_u, above_v) = camera.project(torch.stack([target, above])[None], SIZE)[0].tolist()
    assert (u, v) == pytest.approx((320, 240), abs=1e-3)
    assert above_u == pytest.approx(320, abs=1e-3) and above_v < v - 10
    assert geometry.transform_points(pose, eye).abs().max() < 1e-6
    # The top border of the image is half the field of view away from the axis.
    depth = (target - eye).norm()
    border = target - pose[1, :3] * depth * math.tan(math.radians(25))
    assert camera.project(border[None, None], SIZE)[0, 0, 1].item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (1, 0, 0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_look_along_up(up, sign):
    eye = torch.tensor(up).float() * sign * 2
    pose = geometry.look_at(eye, (0, 0, 0), up)
    torch.testing.assert_close(pose[:3, :3] @ pose[:3, :3].T, torch.eye(3))
    torch.testing.assert_close(pose[2, :3], -eye / 2)


def test_look_at_batches_and_gradients():
    eye = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).add(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda e: geometry.look_at(e, (0, 0, 0)), eye)
    assert Pinhole.look_at(eye, (0, 0, 0), fov=torch.full((5,), 0.7)).images == 5


def test_rotations_match_scipy():
    """scipy.spatial.transform.Rotation: from_rotvec, from_quat and from_euler("XYZ") (intrinsic) of SciPy."""
    torch.testing.assert_close(geometry.rotation_from_quaternion(QUATERNION), torch.tensor(ROTATION).float())
    axis_angle = geometry.rotation_from_axis_angle((0.5, 1.0, -1.0), 0.9)
    expected = [
        [0.663653305, 0.606304613, 0.438131266],
        [-0.438131266, 0.789783316, -0.429282317],
        [-0.606304613, 0.092935622, 0.789783316],
    ]
    torch.testing.assert_close(axis_angle, torch.tensor(expected))
    euler = [
        [0.34692945, -0.681632987, -0.644217687],
        [0.765047578, 0.603004399, -0.226026321],
        [0.542533096, -0.414441994, 0.73068165],
    ]
    torch.testing.assert_close(geometry.rotation_from_euler((0.3, -0.7, 1.1), "xyz"), torch.tensor(euler))
    with pytest.raises(ValueError, match="letters"):
        geometry.rotation_from_euler((0.3, -0.7, 1.1), "xyw")


def test_rotations_are_differentiable():
    generator = torch.Generator().manual_seed(1)
    angles = torch.randn(2, 3, generator=generator, dtype=torch.float64).requires_grad_()
    quaternion = torch.randn(2, 4, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(geometry.rotation_from_euler, angles)
    assert torch.autograd.gradcheck(geometry.rotation_from_quaternion, quaternion)
    assert torch.autograd.gradcheck(lambda a: geometry.rotation_from_axis_angle(a, a[..., 0]), angles)


def test_upright_turns_counter_clockwise():
    pose = geometry.upright(torch.tensor([[1.0, 2.0]]), torch.tensor([math.pi / 2]))
    moved = geometry.transform_points(pose, torch.tensor([[1.0, 0.0, 0.5]]))
    torch.testing.assert_close(moved, torch.tensor([[1.0, 3.0, 0.5]]))
    high = geometry.upright(torch.tensor([1.0, 2.0, 3.0]), torch.tensor(0.0))
    assert high[:3, 3].tolist() == [1, 2, 3]


def test_compose_and_invert():
    pose = geometry.affine(torch.tensor(ROTATION), torch.tensor(SHIFT))
    torch.testing.assert_close(
        geometry.compose(pose, geometry.invert_rigid(pose)), torch.eye(4).double(), atol=1e-8, rtol=0
    )
    moved = geometry.compose(geometry.translation((1, 0, 0)), geometry.scaling((1, 2, 3)))
    assert geometry.transform_points(moved, torch.ones(3)).tolist() == [2, 2, 3]


def test_wrong_shapes_say_so():
    with pytest.raises(ValueError, match="Flatten"):
        Pinhole.look_at(torch.zeros(2, 3, 3), torch.ones(2, 3, 3))
    with pytest.raises(ValueError, match=r"`camera_from_world` must have shape \[B, 4, 4\]"):
        Pinhole(torch.eye(3)[None], torch.eye(4).expand(2, 4, 4))
