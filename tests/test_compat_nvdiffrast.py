"""nvdiffrast's interface: its documented conventions."""

from __future__ import annotations

import pytest
import torch
from test_no_sync import Watch
from test_rasterize import faces_of, soup
from torch._subclasses import FakeTensorMode

import fastsynth as fs
import fastsynth.compat.nvdiffrast as dr
from fastsynth.compat._pixels import seen, weights

CONTEXT = dr.RasterizeCudaContext()
TRI = torch.tensor([[0, 1, 2]], dtype=torch.int32)


def meshes(device, images=2):
    """Triangles in perspective, [B, V, 4] and [F, 3]."""
    clip = torch.stack([torch.from_numpy(soup("large", 12, seed=k)) for k in range(images)])
    return clip.to(device), faces_of(clip[0]).to(device)


def ids_of(rast):
    return rast[..., 3].int() - 1


def test_one_triangle(device):
    """Lower left half of the image, y up: weights, z/w, id + 1 and changes per pixel as they are documented."""
    pos = torch.tensor([[[-1.0, -1, 0.5, 1], [3, -1, 0.5, 1], [-1, 3, 0.5, 1]]], device=device)
    pos = pos * torch.tensor([1.0, 2.0, 3.0], device=device)[:, None]  # w differs: seen in perspective
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, resolution=[4, 8])
    assert rast.shape == rast_db.shape == (1, 4, 8, 4)
    x, y = (torch.arange(8) + 0.5) / 16, (torch.arange(4)[:, None] + 0.5) / 8
    inverse = [(1 - x - y), x / 2, y / 3]  # screen weights over w
    total = sum(inverse)
    expected = torch.stack([inverse[0] / total, inverse[1] / total], -1)
    torch.testing.assert_close(rast[0, ..., :2].cpu(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(rast[0, ..., 2].cpu(), torch.full((4, 8), 0.5))
    assert (rast[..., 3] == 1).all()
    # u = a / total, so du/dX = (a' - u total') / total.
    for corner, change in ((0, (-1 / 16, -1 / 8)), (1, (1 / 32, 0.0))):
        for axis, total_change in enumerate((-1 / 16 + 1 / 32, -1 / 8 + 1 / 24)):
            wanted = (change[axis] - expected[..., corner] * total_change) / total
            torch.testing.assert_close(rast_db[0, ..., 2 * corner + axis].cpu(), wanted, atol=1e-6, rtol=1e-4)


def test_row_0_is_the_bottom_and_the_background_is_0(device):
    pos = torch.tensor([[[-1.0, -1, 0, 1], [1, -1, 0, 1], [0, -0.5, 0, 1]]], device=device)
    tri = torch.tensor([[2, 0, 1]], dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (16, 16))
    seen = rast[0, ..., 3] > 0
    assert seen[:4].any() and not seen[4:].any()
    assert (rast[0][~seen] == 0).all() and (rast_db[0][~seen] == 0).all()


def test_contexts_take_their_arguments(device):
    pos, tri = meshes(device)
    dr.RasterizeCudaContext(device="cuda:0")
    context = dr.RasterizeGLContext(output_db=False, mode="manual", device=device)
    context.set_context()
    rast, rast_db = dr.rasterize(context, pos, tri, (8, 8), grad_db=False)
    context.release_context()
    assert rast_db.shape == (2, 8, 8, 0) and torch.equal(rast, dr.rasterize(CONTEXT, pos, tri, (8, 8))[0])
    with pytest.raises(ValueError, match="`mode` must be"):
        dr.RasterizeGLContext(mode="other")


def test_ranges_are_images_of_their_own(device):
    pos, tri = meshes(device)
    flat, offset = pos.flatten(0, 1), torch.cat([tri, tri + pos.shape[1]])
    ranges = torch.tensor([[0, 12], [12, 12], [5, 4]], dtype=torch.int32)
    rast, rast_db = dr.rasterize(CONTEXT, flat, offset, (40, 30), ranges=ranges)
    one, one_db = dr.rasterize(CONTEXT, pos, tri, (40, 30))
    one[1, ..., 3] += torch.where(one[1, ..., 3] > 0, 12, 0)
    assert torch.equal(rast[:2], one) and torch.equal(rast_db[:2], one_db)
    assert torch.equal(dr.rasterize(CONTEXT, pos, tri, (40, 30), ranges)[1], one_db)  # ignored, as documented
    part, _ = dr.rasterize(CONTEXT, pos[:1], tri[5:9], (40, 30))
    assert torch.equal(ids_of(rast)[2], torch.where(part[0, ..., 3] > 0, ids_of(part)[0] + 5, -1))
    attr = torch.rand(len(flat), 3, device=device)
    values, _ = dr.interpolate(attr, rast, offset)
    again, _ = dr.interpolate(attr.view(2, -1, 3)[:1], one[:1], tri)
    torch.testing.assert_close(values[:1], again)
    image = dr.antialias(values, rast, flat, offset, dr.antialias_construct_topology_hash(offset))
    torch.testing.assert_close(image[:1], dr.antialias(values[:1], one[:1], pos[:1], tri))


def test_ids_beyond_what_a_float_holds():
    """Beyond 2^24 an id is the bits of the float less 0x4a800000, so that neighbours stay apart."""
    ids = torch.tensor([-1, 0, 2**24 - 2, 2**24 - 1, 2**24, 2**24 + 1, 2**28 + 12345], dtype=torch.int32)
    coded = dr._encode(ids)
    assert coded[:4].tolist() == [0, 1, 2**24 - 1, 2**24]
    assert coded[4:].view(torch.int32).tolist() == [int(i) + 1 + 0x4A800000 for i in ids[4:]]
    rast = torch.zeros(1, 1, len(ids), 4)
    rast[0, 0, :, 3] = coded
    assert torch.equal(dr._decode(rast)[0, 0], ids)


@pytest.mark.parametrize("part", ["weights", "changes", "both"])
def test_gradients_of_the_positions(part, device):
    """Of a fixed weighting of all pixels' weights and changes; small steps flip no id."""
    pos = torch.tensor([[[-0.9, -0.8, 0, 1], [1.9, -1.2, 0, 2], [-0.3, 1.2, 0, 1.5]]], device=device)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    size = 12, 12
    cotangent = torch.rand(2, 1, *size, 4, device=device)
    cotangent[0, ..., 2:] = 0
    if part != "both":
        cotangent[0 if part == "changes" else 1] = 0
    cotangent[1] *= 10
    first = dr.rasterize(CONTEXT, pos, tri, size)[0][..., 3]

    def loss(pos):
        rast, rast_db = dr.rasterize(CONTEXT, pos, tri, size)
        inside = (first > 0) & (rast[..., :2].min(-1).values > 0.02) & (rast[..., :2].sum(-1) < 0.98)
        return ((rast * cotangent[0] + rast_db * cotangent[1]) * inside[..., None]).sum()

    pos.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(pos), pos)
    found = torch.zeros_like(pos)
    for vertex in range(3):
        for axis in range(4):
            move = torch.zeros_like(pos)
            move[0, vertex, axis] = 2e-3
            with torch.no_grad():
                found[0, vertex, axis] = (loss(pos + move) - loss(pos - move)) / 4e-3
    assert gradient[..., 2].abs().max() == 0
    torch.testing.assert_close(gradient, found, atol=0.01 * found.abs().max().item(), rtol=0)


def test_grad_db_can_be_left_out(device):
    pos, tri = meshes(device)
    rast, rast_db = dr.rasterize(CONTEXT, pos.requires_grad_(), tri, (8, 8), grad_db=False)
    assert rast.requires_grad and not rast_db.requires_grad
    assert dr.rasterize(CONTEXT, pos, tri, (8, 8))[1].requires_grad


def test_layers_are_peeled(device):
    pos, tri = meshes(device)
    with dr.DepthPeeler(CONTEXT, pos.requires_grad_(), tri, (24, 20)) as peeler:
        layers = [peeler.rasterize_next_layer() for _ in range(13)]
    first, first_db = dr.rasterize(CONTEXT, pos, tri, (24, 20))
    assert torch.equal(layers[0][0], first) and torch.equal(layers[0][1], first_db)
    stack = torch.stack([rast for rast, _ in layers])
    for near, far in zip(stack, stack[1:]):
        both = (near[..., 3] > 0) & (far[..., 3] > 0)
        assert (far[..., 2] >= near[..., 2] - 1e-5)[both].all()
        assert not ((near[..., 3] == 0) & (far[..., 3] > 0)).any()
    assert (stack[-1] == 0).all()
    for k in range(12):  # each triangle is somewhere exactly where it alone is seen
        alone = dr.rasterize(CONTEXT, pos, tri[k : k + 1], (24, 20))[0][..., 3] > 0
        assert torch.equal((stack[..., 3] == k + 1).sum(0), alone.long())
    layers[1][0][..., :2].sum().backward()
    assert pos.grad.abs().sum() > 0
    with pytest.raises(RuntimeError, match="inside its `with`"):
        peeler.rasterize_next_layer()


def test_attributes(device):
    pos, tri = meshes(device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (30, 40))
    attr = torch.rand(2, pos.shape[1], 5, device=device)
    out, empty = dr.interpolate(attr, rast, tri)
    fragments = fs.ops.Fragments(ids_of(rast), rast[..., :2].contiguous(), rast[..., 2].contiguous())
    torch.testing.assert_close(out, fs.ops.interpolate(attr, tri, fragments))
    assert empty.shape == (2, 30, 40, 0)
    _, every = dr.interpolate(attr, rast, tri, rast_db, "all")
    some, chosen = dr.interpolate(attr, rast, tri, rast_db=rast_db, diff_attrs=[3, 0])
    assert every.shape == (2, 30, 40, 10) and torch.equal(some, out)
    assert torch.equal(chosen, every[..., [6, 7, 0, 1]])
    shared, _ = dr.interpolate(attr[:1], rast, tri)
    torch.testing.assert_close(shared, dr.interpolate(attr[:1].expand(2, -1, -1), rast, tri)[0])


def test_changes_of_attributes_are_the_differences_of_neighbours(device):
    pos = torch.tensor([[[-1.0, -1, 0, 1], [6, -2, 0, 2], [-2, 6, 0, 2]]], device=device)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (64, 64))
    attr = torch.tensor([[[0.0, 1], [1, 3], [2, -1]]], device=device)
    out, change = dr.interpolate(attr, rast, tri, rast_db, "all")
    along_x, along_y = (out[:, 1:-1, 2:] - out[:, 1:-1, :-2]) / 2, (out[:, 2:, 1:-1] - out[:, :-2, 1:-1]) / 2
    expected = torch.stack([along_x, along_y], -1).flatten(-2)
    torch.testing.assert_close(change[:, 1:-1, 1:-1], expected, atol=2e-4, rtol=0.01)


@pytest.mark.parametrize("shared", [False, True])
def test_weights_by_triangle_are_those_by_pixel(shared, device):
    """What is made once for each triangle says what each pixel's own intersection says."""
    pos, tri = meshes(device)
    clip = pos[:1] if shared else pos
    ids = fs.ops.rasterize(pos, tri, (30, 40)).triangle_id
    if shared:
        ids[1] = ids[0]
    clip.requires_grad_()
    found, (corners, hit) = weights(clip, tri, ids), seen(clip, tri, ids)
    there = ids >= 0
    torch.testing.assert_close(found.first[there], hit.weights[..., 0][there], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.second[there], hit.weights[..., 1][there], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.second_x[there], hit.change_x[..., 0][there], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.first_y[there], -hit.change_y.sum(-1)[there], atol=1e-5, rtol=1e-4)
    z, w = (hit.weights[..., None] * corners[..., 2:]).sum(-2).unbind(-1)
    torch.testing.assert_close(found.depth[there], (z / w)[there], atol=1e-5, rtol=1e-5)
    for part in found[:-1]:
        assert part.isfinite().all()
    ours, theirs = (torch.autograd.grad(part[there].sum(), clip)[0] for part in (found.first, hit.weights[..., 0]))
    torch.testing.assert_close(ours, theirs, atol=1e-3 * theirs.abs().max().item(), rtol=0)


def test_the_gradient_of_positions_is_boosted(device):
    pos, tri = meshes(device)
    pos = pos.requires_grad_()
    rast, _ = dr.rasterize(CONTEXT, pos, tri, (30, 30))
    color = torch.rand(2, 30, 30, 3, device=device)
    one = dr.antialias(color, rast, pos, tri)
    three = dr.antialias(color, rast, pos, tri, pos_gradient_boost=3.0)
    assert torch.equal(one, three) and (one != color).any()
    grads = [torch.autograd.grad(image.square().sum(), pos)[0] for image in (one, three)]
    torch.testing.assert_close(3 * grads[0], grads[1], atol=1e-4, rtol=1e-4)


def test_nothing_waits_for_the_gpu():
    """On fake CUDA tensors: no shape hangs on a value, and nothing is copied back."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        pos = torch.rand(2, 9, 4, device="cuda", requires_grad=True)
        tri = torch.zeros(3, 3, dtype=torch.int32, device="cuda")
        tex = torch.rand(1, 8, 8, 3, device="cuda", requires_grad=True)
        sky = torch.rand(1, 6, 8, 8, 3, device="cuda", requires_grad=True)
        with Watch():
            rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (16, 16))
            at, change = dr.interpolate(pos, rast, tri, rast_db, "all")
            image = dr.texture(tex, at[..., :2], change[..., :4])
            image = image + dr.texture(sky, at[..., :3], change[..., :6], boundary_mode="cube")
            image = dr.antialias(image, rast, pos, tri)
            with dr.DepthPeeler(CONTEXT, pos, tri, (16, 16)) as peeler:
                image = image + peeler.rasterize_next_layer()[0][..., :3] + peeler.rasterize_next_layer()[0][..., :3]
        assert image.shape == (2, 16, 16, 3) and image.is_cuda


def test_nothing_to_draw(device):
    pos, tri = torch.ones(2, 3, 4, device=device), torch.zeros(0, 3, dtype=torch.int32, device=device)
    rast, rast_db = dr.rasterize(CONTEXT, pos, tri, (4, 5))
    assert rast.shape == rast_db.shape == (2, 4, 5, 4) and (rast == 0).all()
    out, change = dr.interpolate(torch.ones(2, 3, 2, device=device), rast, tri, rast_db, [1])
    assert out.shape == (2, 4, 5, 2) and change.shape == (2, 4, 5, 2)
    assert torch.equal(dr.antialias(out, rast, pos, tri), out)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dr.rasterize(CONTEXT, torch.zeros(3, 4), TRI, (4, 4)), "needs `ranges`"),
        (lambda: dr.rasterize(CONTEXT, torch.zeros(1, 3, 4), TRI.long(), (4, 4)), "`tri` must be torch.int32"),
        (lambda: dr.interpolate(torch.zeros(3, 3, 1), torch.zeros(1, 2, 2, 4), TRI), "must have 1 image or B = 1"),
        (
            lambda: dr.interpolate(torch.zeros(1, 3, 1), torch.zeros(1, 2, 2, 4), TRI, diff_attrs="all"),
            "needs `rast_db`",
        ),
        (lambda: dr.texture(torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 2), filter_mode="x"), "`filter_mode` must"),
        (lambda: dr.texture(torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 3)), r"`uv` must have shape \[B, H, W, 2\]"),
        (
            lambda: dr.texture(torch.zeros(1, 2, 2, 1), torch.zeros(1, 2, 2, 3), boundary_mode="cube"),
            r"`tex` must have shape \[A, 6, s, s, C\]",
        ),
    ],
)
def test_errors_say_what_to_do(call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call()
