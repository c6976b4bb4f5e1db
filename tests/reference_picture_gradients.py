"""Gradients of a drawn picture by everything that can be learned, slow and in float64: what is shown at a pixel by
autograd through `fs.compose`, what is shown beside it by tests/reference_edges.py. Only the ids come from the kernel.
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from reference_edges import edges, shown
from test_compose import doubled
from torch import Tensor

from fastsynth import surface
from fastsynth.compose import compose

POSES = ("world_from_object", "intrinsics", "camera_from_world")
LIGHTS = ("light_position", "light_direction", "light_color", "light_cone", "ambient")
LOOKS = ("base_color", "metallic", "roughness", "background_color", "photo_crop")
SENSOR = ("exposure", "white_balance", "blur", "noise")
FIELDS = (*POSES, *LIGHTS, *LOOKS, *SENSOR)


def leaves_of(batch) -> dict[str, Tensor]:
    """What can be learned of a batch, as fresh tensors that require a gradient."""
    found = {name: getattr(batch, name) for name in FIELDS if getattr(batch, name) is not None}
    found["texels"] = batch.assets.textures.texels.to(batch.exposure.dtype) / 255
    return {name: value.detach().clone().requires_grad_() for name, value in found.items()}


GRAZING, THIN = 3.0, 0.5  # tangent of the angle to the picture; change of a corner's weight per pixel


@contextmanager
def held_at_grazing(batch, size: tuple[int, int]):
    """What a surface looks like moves less with its point where thin faces turn away: csrc/kernels/look_backward.h."""
    exact = surface.intersect

    def held(corners: Tensor, ndc: Tensor, ndc_per_pixel: tuple[float, float]):
        hit = exact(corners, ndc, ndc_per_pixel)
        with torch.no_grad():
            plane = torch.linalg.solve(corners, torch.ones_like(corners[..., 0]))
            inverse = (plane[..., :2] * ndc).sum(-1) + plane[..., 2]
            breadth = inverse / (batch.intrinsics[:, 1, 1] * size[0])[:, None, None]
            tangent = (plane[..., :2] * torch.tensor(ndc_per_pixel).to(plane)).norm(dim=-1) / breadth
            change = torch.stack([hit.change_x, hit.change_y])
            change = torch.cat([change, change.sum(-1, keepdim=True)], -1).norm(dim=0).amax(-1)
            share = torch.maximum(GRAZING / tangent, THIN / change).clamp(max=1)[..., None]
        weights = hit.weights.detach()
        return hit._replace(weights=weights + share * (hit.weights - weights))

    surface.intersect = held
    try:
        yield
    finally:
        surface.intersect = exact


def gradients(batch, size: tuple[int, int], ids: tuple[Tensor, Tensor], weights: Tensor) -> dict[str, Tensor]:
    """Of the sum of the picture times `weights`, by the names of :func:`leaves_of`, float64."""
    exact = doubled(batch)
    leaves = leaves_of(exact)
    texels = leaves["texels"]
    for name in FIELDS:
        if name in leaves:
            setattr(exact, name, leaves[name])
    # Blur and noise come after the edges, which are those of the linear picture then.
    linear = exact.blur is not None or exact.noise is not None
    with held_at_grazing(exact, size):
        drawn = compose(exact, size, *ids, ("rgb", "radiance"), texels=texels if len(texels) else None)
    loss = (drawn["rgb"] * weights.double()).sum()
    picture = drawn["radiance" if linear else "rgb"]
    (grad,) = torch.autograd.grad(loss, picture, retain_graph=True)
    loss = loss + edges(exact, shown(exact, size, *ids), picture, grad)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def off_their_face(batch, size: tuple[int, int], ids: tuple[Tensor, Tensor]) -> Tensor:
    """Pixels next to one whose centre lies outside the face it shows, or such a one: bool [B, 1, H, W].

    The rasterizer snaps corners to 1/256 pixel. There the weights of the corners are held to [0, 1], which `compose`
    takes for a part of the function.
    """
    outside = shown(doubled(batch), size, *ids).outside[:, None].float()
    return torch.nn.functional.max_pool2d(outside, 3, 1, 1) > 0
