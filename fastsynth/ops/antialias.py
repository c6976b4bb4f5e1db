"""Smooth silhouettes of a drawn image, with a gradient of what is seen.

Where two neighbouring pixels show different triangles, the segment between their centres leaves the nearer triangle
through one of its edges. If that edge is a silhouette, it cuts the segment at a fraction ``t`` from the nearer pixel,
and so the nearer surface covers ``t - 1/2`` of the other pixel too, or leaves ``1/2 - t`` of its own: that much of one
colour is blended into the other. Laine et al., "Modular Primitives for High-Performance Differentiable Rendering",
2020, section 3.6. A pair side by side looks at edges nearer to upright, a pair one above the other at the rest.

Edges are handled without division by a corner's w, as lines ``e . (x, y, 1)`` in normalised device coordinates, so
that triangles reaching behind the eye work. Everything is gathered, pixel by pixel: no value depends on an order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth._expect import expect
from fastsynth.ops.rasterize import Fragments

# Step to each neighbour in x and y, and the number of the way back.
_STEPS = ((1, 0, 1), (-1, 0, 0), (0, 1, 3), (0, -1, 2))


def corner_values(values: Tensor, faces: Tensor, triangle_id: Tensor) -> Tensor:
    """Values at the three corners of the triangle of each pixel; those of face 0 on the background.

    Args:
        values: [B, V, C], or [1, V, C] for all images.
        faces: int32 [F, 3], F > 0.
        triangle_id: int32 [B, H, W].

    Returns:
        [B, H, W, 3, C].

    Example:
        >>> values, faces = torch.arange(4.0).view(1, 4, 1), torch.tensor([[3, 1, 2]], dtype=torch.int32)
        >>> corner_values(values, faces, torch.zeros(1, 1, 1, dtype=torch.int32)).flatten().tolist()
        [3.0, 1.0, 2.0]
    """
    corners = faces.index_select(0, triangle_id.clamp(min=0).flatten()).view(*triangle_id.shape, 3)
    return vertex_values(values, corners)


def vertex_values(values: Tensor, vertices: Tensor) -> Tensor:
    """Values at vertices: [B or 1, V, C], int [B, ...] -> [B, ..., C]. The gradient is added up on the spot."""
    vertices = vertices.long()
    if values.shape[0] > 1:
        first = torch.arange(len(vertices), device=values.device) * values.shape[1]
        vertices = vertices + first.view(-1, *(1,) * (vertices.ndim - 1))
    return values.flatten(0, 1).index_select(0, vertices.flatten()).unflatten(0, vertices.shape)


def without_z(clip: Tensor) -> Tensor:
    """Clip-space x, y and w: [..., 4] -> [..., 3]."""
    # Slices: a list of numbers as an index would be copied to the device, and the host would wait for it.
    return torch.cat([clip[..., :2], clip[..., 3:]], -1)


def opposite_vertices(faces: Tensor) -> Tensor:
    """The vertex beyond each edge of each triangle, by which a silhouette is recognised.

    Args:
        faces: int32 [F, 3].

    Returns:
        int32 [F, 3]: for the edge that does not touch corner i, the third vertex of a neighbouring face that has the
        same two vertices; -1 where there is none.

    Example:
        >>> opposite_vertices(torch.tensor([[0, 1, 2], [2, 1, 3]], dtype=torch.int32)).tolist()
        [[3, -1, -1], [-1, -1, 0]]
    """
    expect("opposite_vertices", faces=(faces, "F 3", torch.int32))
    if not len(faces):
        return faces
    a, b = faces.roll(-1, 1).long().flatten(), faces.roll(1, 1).long().flatten()
    key, order = (torch.minimum(a, b) * 2**31 + torch.maximum(a, b)).sort(stable=True)
    own = faces.flatten()[order]
    same = key[1:] == key[:-1]
    # Faces at one edge are sorted together; of more than two each has the next as its neighbour, the last the one
    # before.
    after = F.pad(torch.where(same, own[1:], -1), (0, 1), value=-1)
    before = F.pad(torch.where(same, own[:-1], -1), (1, 0), value=-1)
    beyond = torch.where(after >= 0, after, before)
    return torch.empty_like(beyond).scatter(0, order, beyond).view(-1, 3)


def antialias(
    color: Tensor, fragments: Fragments, clip: Tensor, faces: Tensor, opposite: Tensor | None = None
) -> Tensor:
    """Blends pixels across silhouettes, so that an image changes smoothly with the vertices.

    Apply it to what was shaded, background included, before anything else is done to the image. Only edges on which a
    surface ends or folds away are smoothed; faces that share vertices have a seamless edge, so give positions without
    duplicates. Nothing is blended where surfaces intersect, or where the one that ends is thinner than a pixel. A pixel
    is blended with at most four neighbours, and is never more or less than all of them.

    Args:
        color: What the pixels show, float32 [B, H, W, C].
        fragments: From :func:`rasterize`.
        clip: Clip-space corners, float32 [B, V, 4], or [1, V, 4] for all images.
        faces: Rows of ``clip``, int32 [F, 3].
        opposite: :func:`opposite_vertices` of ``faces``, if it is at hand: it saves a sort.

    Returns:
        float32 [B, H, W, C]. Differentiable in ``color`` and in ``clip`` (x, y and w). On CUDA the gradient of ``clip``
        is added up in any order, unless torch is told to be deterministic.

    Raises:
        TypeError, ValueError: a tensor of the wrong dtype, shape or device.

    Example:
        >>> import torch
        >>> from fastsynth.ops import rasterize
        >>> clip = torch.tensor([[[0.2, -9, 0, 1], [0.2, 9, 0, 1], [-9, 0, 0, 1]]])
        >>> faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
        >>> fragments = rasterize(clip, faces, (1, 4))
        >>> white = (fragments.triangle_id >= 0).float()[..., None]
        >>> [round(value, 3) for value in antialias(white, fragments, clip, faces).flatten().tolist()]
        [1.0, 1.0, 0.4, 0.0]
    """
    specs = {
        "color": (color, "B H W C", torch.float32),
        "triangle_id": (fragments.triangle_id, "B H W", torch.int32),
        "barycentric": (fragments.barycentric, "B H W 2", torch.float32),
        "clip": (clip, "A V 4", torch.float32),
        "faces": (faces, "F 3", torch.int32),
    }
    if opposite is not None:
        specs["opposite"] = (opposite, "F 3", torch.int32)
    sizes = expect("antialias", **specs)
    if sizes["A"] not in (1, sizes["B"]):
        raise ValueError(
            f"antialias(): `clip` must be [B, V, 4] or [1, V, 4] with B = {sizes['B']} from `color`, "
            f"but has {list(clip.shape)}."
        )
    if 0 in (*color.shape, len(faces)):
        return color
    if opposite is None:
        opposite = opposite_vertices(faces)
    ids = fragments.triangle_id
    corners = corner_values(clip, faces, ids)
    z = _z_over_w(corners.detach(), fragments)
    beyond = opposite.index_select(0, ids.clamp(min=0).flatten()).view(*ids.shape, 3)
    across = vertex_values(without_z(clip.detach()), beyond.clamp(min=0))
    cut = _cuts(without_z(corners), across, beyond < 0, ids)
    total = torch.zeros_like(z)
    changed = torch.zeros_like(color)
    for direction, (x, y, back) in enumerate(_STEPS):
        other_id, other_z = _from(ids, x, y, -1), _from(z, x, y, torch.inf)
        # Of two at one depth, the one to the left or above: each pair has to agree.
        nearer = (z < other_z) | ((z == other_z) & (x + y > 0))
        mine, theirs = cut[direction], _from(cut[back], x, y, 0.5)
        weight = torch.where(nearer, 0.5 - mine, theirs - 0.5).clamp(min=0)
        weight = torch.where((other_id != ids) & _inside(ids, x, y), weight, 0)
        total = total + weight
        changed = changed + weight[..., None] * (_from(color, x, y, 0) - color)
    return color + changed / total.clamp(min=1)[..., None]


def _from(image: Tensor, x: int, y: int, outside: float) -> Tensor:
    """Every pixel's neighbour at (x, y): [B, H, W, ...]."""
    rest = (0, 0) * (image.ndim - 3)
    padded = F.pad(image, (*rest, max(-x, 0), max(x, 0), max(-y, 0), max(y, 0)), value=outside)
    height, width = image.shape[1:3]
    return padded[:, max(y, 0) : max(y, 0) + height, max(x, 0) : max(x, 0) + width]


def _inside(ids: Tensor, x: int, y: int) -> Tensor:
    """Has the pixel a neighbour at (x, y)? bool [1, H, W]."""
    return _from(torch.ones_like(ids[:1], dtype=torch.bool), x, y, False)


def _z_over_w(corners: Tensor, fragments: Fragments) -> Tensor:
    """Depth by which the nearer of two pixels is told, [B, H, W]; infinite on the background."""
    first = fragments.barycentric.detach()
    weights = torch.cat([first, 1 - first.sum(-1, keepdim=True)], -1)
    z, w = (weights[..., None] * corners[..., 2:]).sum(-2).unbind(-1)
    return torch.where(fragments.triangle_id >= 0, z / torch.where(w == 0, 1, w), torch.inf)


def _cuts(corners: Tensor, beyond: Tensor, alone: Tensor, ids: Tensor) -> list[Tensor]:
    """Where the way to each neighbour crosses a silhouette of the pixel's own triangle.

    Args:
        corners: x, y, w of the triangles' corners, [B, H, W, 3, 3].
        beyond: x, y, w of the vertices across their edges, [B, H, W, 3, 3].
        alone: Has the edge no other face? bool [B, H, W, 3].
        ids: int32 [B, H, W].

    Returns:
        For each of the four steps a fraction [B, H, W], 0 to 1; one half, which changes nothing, where there is none.
    """
    height, width = ids.shape[1:]
    hit = (ids >= 0)[..., None, None]
    # Whatever face 0 may be, the background has nothing to do with it.
    corners = torch.where(hit, corners, 0.0)
    # Component by component, [B, H, W, 3] each: from one end c of the edges to the other.
    x, y, w = corners.unbind(-1)
    (c_x, c_y, c_w), (d_x, d_y, d_w) = ([part.roll(way, -1) for part in (x, y, w)] for way in (-1, 1))
    # A difference first: small triangles are far from the origin.
    d_x, d_y, d_w = d_x - c_x, d_y - c_y, d_w - c_w
    edge_x, edge_y, edge_w = c_y * d_w - c_w * d_y, c_w * d_x - c_x * d_w, c_x * d_y - c_y * d_x
    with torch.no_grad():
        turn = (edge_x * x + edge_y * y + edge_w * w).sign()  # the inside is positive from here on
        o_x, o_y, o_w = torch.where(hit, beyond, 0.0).unbind(-1)
        silhouette = alone | ((edge_x * o_x + edge_y * o_y + edge_w * o_w) * turn >= 0)
    # The edge's value at the pixel's centre, from the projection of one of its ends where it has one.
    centre_x = ((2 * torch.arange(width, device=ids.device).to(x) + 1) / width - 1)[:, None]
    centre_y = ((2 * torch.arange(height, device=ids.device).to(x) + 1) / height - 1)[:, None, None]
    ahead = c_w > 1e-6
    inverse = 1 / torch.where(ahead, c_w, 1)
    from_x = centre_x - torch.where(ahead, c_x * inverse, 0)
    from_y = centre_y - torch.where(ahead, c_y * inverse, 0)
    value = (edge_x * from_x + edge_y * from_y + torch.where(ahead, 0, edge_w)) * turn
    change_x, change_y = edge_x * (turn * (2 / width)), edge_y * (turn * (2 / height))
    upright = change_x.abs() >= change_y.abs()
    cuts = []
    for x_step, y_step, _ in _STEPS:
        loss = -(x_step * change_x + y_step * change_y)
        leaves = (value < loss) & (loss > 0)
        ways = torch.where(leaves, value / torch.where(leaves, loss, 1), 2.0).unbind(-1)
        marks = (silhouette & (upright if x_step else ~upright)).unbind(-1)
        at, counts = ways[0], marks[0]
        for way, mark in zip(ways[1:], marks[1:], strict=True):
            sooner = way < at
            at, counts = torch.where(sooner, way, at), torch.where(sooner, mark, counts)
        cuts.append(torch.where(counts & (at <= 1), at, 0.5).clamp(0, 1))
    return cuts
