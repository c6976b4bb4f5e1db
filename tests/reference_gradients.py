"""The plain operators once more, slow and obvious: in float64, in torch alone, so that autograd differentiates them."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def transform(vertices, matrices):
    return F.pad(vertices, (0, 1), value=1.0) @ matrices.transpose(1, 2)


def corners_of(values, faces, triangle_id):
    """The values of each pixel's three corners, [B, H, W, 3, C], and whether there is a triangle, [B, H, W]."""
    hit = triangle_id >= 0
    corners = faces.long()[triangle_id.clamp(min=0).long()]
    image = torch.arange(len(triangle_id))[:, None, None, None]
    return values.expand(len(triangle_id), -1, -1)[image, corners], hit


def interpolate(attributes, faces, triangle_id, barycentric):
    corners, hit = corners_of(attributes, faces, triangle_id)
    weights = torch.cat([barycentric, 1 - barycentric.sum(-1, keepdim=True)], -1)
    return torch.where(hit[..., None], (corners * weights[..., None]).sum(-2), 0)


def rasterize(clip, faces, triangle_id):
    """Barycentrics and depth of what is seen, by Cramer's rule."""
    _, h, w = triangle_id.shape
    corners, hit = corners_of(clip[..., [0, 1, 3]], faces, triangle_id)
    corners = torch.where(hit[..., None, None], corners, torch.eye(3, dtype=clip.dtype) + 1)
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    ray = torch.stack([2 * x / w - 1, 2 * y / h - 1, torch.ones_like(x)], -1).to(clip.dtype)
    share = torch.linalg.solve(corners.transpose(-1, -2), ray.expand(*corners.shape[:3], 3)[..., None])[..., 0]
    raw = share / share.sum(-1, keepdim=True)
    w1, w2 = raw[..., 1].clamp(0, 1), raw[..., 2].clamp(0, 1)
    total = (w1 + w2).clamp(min=1)
    w1, w2 = w1 / total, w2 / total
    depth = torch.minimum(
        torch.maximum(1 / share.sum(-1), corners[..., 2].amin(-1).clamp(min=1e-18)), corners[..., 2].amax(-1)
    )
    return torch.where(hit[..., None], torch.stack([1 - w1 - w2, w1], -1), 0), torch.where(hit, depth, 0)


def wrapped(i, n, wrap):
    if wrap == 0:
        return i % n
    if wrap == 2:
        i = i % (2 * n)
        return torch.where(i < n, i, 2 * n - 1 - i)
    return i.clamp(0, n - 1)


def level_value(level, uv, wrap, nearest):
    h, w, _ = level.shape[1:]
    image = torch.arange(len(uv))[:, None, None] if len(level) > 1 else 0
    at = uv * torch.tensor([w, h]) - (0 if nearest else 0.5)
    corner = at.detach().floor()
    part = at - corner
    column, row = corner.long().unbind(-1)

    def texel(dx, dy):
        return level[image, wrapped(row + dy, h, wrap), wrapped(column + dx, w, wrap)]

    if nearest:
        return texel(0, 0)
    px, py = part[..., :1], part[..., 1:]
    return (texel(0, 0) * (1 - px) + texel(1, 0) * px) * (1 - py) + (texel(0, 1) * (1 - px) + texel(1, 1) * px) * py


def texture(levels, uv, uv_da, wrap, nearest):
    values = [level_value(level, uv, wrap, nearest) for level in levels]
    if len(levels) == 1 or not uv_da.numel():
        return values[0]
    h, w = levels[0].shape[1:3]
    moved = uv_da.unflatten(-1, (2, 2)) * torch.tensor([w, h])[:, None]
    lod = 0.5 * moved.square().sum(-2).amax(-1).clamp(min=1e-12).log2()
    lod = lod.clamp(0, len(levels) - 1)
    lower = lod.detach().floor().long()
    part, stack = (lod - lower)[..., None], torch.stack(values)
    pick = torch.meshgrid(*map(torch.arange, lower.shape), indexing="ij")
    upper = (lower + 1).clamp(max=len(levels) - 1)
    return stack[(lower, *pick)] * (1 - part) + stack[(upper, *pick)] * part


def blur(image, sigma, radius):
    t = torch.arange(-radius, radius + 1, dtype=image.dtype)
    out = []
    for picture, s in zip(image, sigma.clamp(min=1e-3), strict=True):
        weights = torch.exp(-0.5 * (t / s) ** 2)
        weights = weights / weights.sum()
        padded = F.pad(picture[:, None], (radius,) * 4, mode="replicate")
        rows = F.conv2d(padded, weights[None, None, None, :])
        out.append(F.conv2d(rows, weights[None, None, :, None])[:, 0])
    return torch.stack(out)


def convolve(image, kernel):
    """Valid: the picture has the margin already."""
    pairs = zip(image, kernel, strict=True)
    return torch.stack([F.conv2d(picture[:, None], k.flip(0, 1)[None, None])[:, 0] for picture, k in pairs])


def poisson(source, target, mask):
    """The linear system of all pixels, solved directly: outside the mask a pixel is the target's."""
    images, _, h, w = source.shape
    number = torch.arange(h * w).view(h, w)
    out = []
    for k in range(images):
        inside = mask[k].flatten() != 0
        matrix = torch.eye(h * w, dtype=source.dtype)
        gradient = torch.zeros(h * w, h * w, dtype=source.dtype)  # of the source, to the right side
        for p in torch.nonzero(inside).flatten().tolist():
            y, x = divmod(p, w)
            beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            near = [int(number[v, u]) for v, u in beside if 0 <= v < h and 0 <= u < w]
            matrix[p, p] = gradient[p, p] = len(near)
            matrix[p, near] = gradient[p, near] = -1
        right = source[k].flatten(1) @ gradient.T + torch.where(inside, 0, target[k].flatten(1))
        out.append(torch.linalg.solve(matrix, right.T).T.view(-1, h, w))
    return torch.stack(out)


def develop(linear, exposure, white_balance, noise, normal, tone):
    light = linear * (exposure.exp2()[:, None] * white_balance)[..., None, None]
    if noise.numel():
        shot, read = noise[:, 0, None, None, None], noise[:, 1, None, None, None]
        light = light + normal * (shot**2 * light.clamp(min=0) + read**2).sqrt()
    if tone == 1:
        x = light.clamp(min=0)
        light = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    x = light.clamp(0, 1)
    if tone == 2:
        return x
    return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
