"""In the spirit of what nvdiffrast is shown with: shapes, poses and reflections found from images."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_compat_nvdiffrast import CONTEXT
from test_compat_nvdiffrast_texture import directions

import fastsynth as fs
import fastsynth.compat.nvdiffrast as dr
from fastsynth.geometry import rotation_from_axis_angle


@pytest.fixture
def one_thread():
    """So small an image is shared among threads at a loss."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cube(device):
    """Corners [8, 3], faces [12, 3] that share them, and for each face the number of its side [12]."""
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)], device=device)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [[s[i] for i in part] for s in sides for part in ((0, 1, 2), (0, 2, 3))]
    return corners, torch.tensor(faces, dtype=torch.int32, device=device), torch.arange(12, device=device) // 2


def to_clip(points, rotation, distance=4.0):
    """Points [V, 3] turned by each rotation [B, 3, 3], seen by OpenGL's camera: [B, V, 4]."""
    x, y, z = (points @ rotation.mT).unbind(-1)
    depth = distance - z
    return torch.stack([2 * x, 2 * y, (depth - 2.0) * 2 - depth, depth], -1)


def rotation(vector):
    """By the length of each vector [rad] about it, [B, 3, 3]."""
    angle = vector.norm(dim=-1)
    return rotation_from_axis_angle(vector / angle[..., None], angle)


def turns(count, generator):
    return rotation(torch.randn(count, 3, generator=generator) * 1.5)


def test_a_cube_is_found_in_small_images(device, one_thread):
    """Positions and colours of its corners, from images of 16 x 16 pixels."""
    generator = torch.Generator().manual_seed(3)
    corners, faces, _ = cube(device)
    colors = (corners + 1) / 2
    hash_ = dr.antialias_construct_topology_hash(faces)

    def draw(points, colors, turn):
        clip = to_clip(points, turn)
        rast, _ = dr.rasterize(CONTEXT, clip, faces, (16, 16))
        image, _ = dr.interpolate(colors[None], rast, faces)
        return dr.antialias(image, rast, clip, faces, hash_)

    points = (corners + 0.35 * torch.randn(8, 3, generator=generator).to(device)).requires_grad_()
    guess = torch.full((8, 3), 0.5, device=device, requires_grad=True)
    first = (points - corners).norm(dim=1).mean().item()
    optimizer = torch.optim.Adam([points, guess], 0.02)
    for step in range(150):
        turn = turns(8, generator).to(device)
        loss = (draw(points, guess, turn) - draw(corners, colors, turn)).square().mean()
        optimizer.param_groups[0]["lr"] = 0.02 * 0.1 ** (step / 150)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = (points - corners).norm(dim=1).mean().item()
    print(f"corners: {first:.3f} to {last:.4f}; colours off by {(guess - colors).abs().mean():.4f}")
    assert last < 0.1 * first and (guess - colors).abs().mean() < 0.08


def test_a_pose_is_found(device, one_thread):
    """The rotation of a cube with sides in six colours, from one image, 35 degrees away."""
    corners, faces, side = cube(device)
    palette = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]], device=device)
    color_faces = side.int()[:, None].expand(12, 3).contiguous()  # other indices than the positions'

    def draw(turn):
        clip = to_clip(corners, turn)
        rast, _ = dr.rasterize(CONTEXT, clip, faces, (48, 48))
        image, _ = dr.interpolate(palette[None], rast, color_faces)
        return dr.antialias(image, rast, clip, faces)

    truth = rotation(torch.tensor([[0.5, -0.4, 0.3]], device=device))
    target = draw(truth)
    turn = torch.tensor([[0.1, -0.05, 0.6]], device=device, requires_grad=True)

    def error(turn):
        return ((((rotation(turn) * truth).sum() - 1) / 2).clamp(-1, 1).acos() * 57.2958).item()

    first = error(turn)
    optimizer = torch.optim.Adam([turn], 0.03)
    for _ in range(100):
        optimizer.zero_grad()
        (draw(rotation(turn)) - target).square().mean().backward()
        optimizer.step()
    print(f"pose: {first:.1f} to {error(turn):.2f} degrees")
    assert first > 25 and error(turn) < 1.0


def test_an_environment_and_a_gloss_are_found(device, one_thread):
    """A sphere that mirrors a cube map and has a Phong highlight: both from images."""
    generator = torch.Generator().manual_seed(5)
    sphere = fs.procedural.sphere()
    points = torch.from_numpy(sphere.vertices).float().to(device)
    points = points / points.norm(dim=1, keepdim=True).amax()
    faces = torch.from_numpy(sphere.faces).int().to(device)
    normals = F.normalize(torch.from_numpy(sphere.normals).float().to(device), dim=1)
    light = F.normalize(torch.tensor([0.4, 0.6, 0.7], device=device), dim=0)

    def draw(sky, gloss, turn):
        clip = to_clip(points, turn, distance=4.0)
        rast, rast_db = dr.rasterize(CONTEXT, clip, faces, (32, 32))
        position = points @ turn.mT
        view = F.normalize(position - torch.tensor([0.0, 0, 4.0], device=device), dim=-1)
        normal = normals @ turn.mT
        mirrored = view - 2 * (view * normal).sum(-1, keepdim=True) * normal
        into_world = mirrored @ turn  # the sky turns with the sphere
        both, change = dr.interpolate(torch.cat([into_world, mirrored], -1), rast, faces, rast_db, [0, 1, 2])
        image = dr.texture(sky, both[..., :3], change, filter_mode="linear-mipmap-linear", boundary_mode="cube")
        shine = (F.normalize(both[..., 3:], dim=-1, eps=1e-6) * light).sum(-1, keepdim=True).clamp(min=1e-4)
        image = image + gloss[0] * shine ** (20 * gloss[1])
        return torch.where(rast[..., 3:] > 0, image, 0)

    at = F.normalize(directions(16, device), dim=-1)
    truth = 0.5 + 0.4 * torch.sin(5 * at)
    gloss = torch.tensor([0.8, 0.6], device=device)
    sky = torch.full_like(truth, 0.5).requires_grad_()
    guess = torch.tensor([0.3, 0.2], device=device, requires_grad=True)
    optimizer = torch.optim.Adam([sky, guess], 0.05)
    losses = []
    for _ in range(45):
        turn = turns(3, generator).to(device)
        with torch.no_grad():
            target = draw(truth, gloss, turn)
        loss = (draw(sky, guess, turn) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    first, last = losses[0], sum(losses[-5:]) / 5
    print(f"environment: loss {first:.4f} to {last:.6f}, gloss {guess.tolist()}")
    assert last < 0.02 * first and (guess - gloss).abs().max() < 0.1
