"""The gradients of the drawn picture, against a slow float64 reference, to 1e-4 of their length."""

from __future__ import annotations

import functools

import pytest
import torch
from gradient_scenes import SCENES
from reference_picture_gradients import POSES, gradients, leaves_of, off_their_face
from test_compose import VARIANTS, make_batch

import fastsynth as fs

SIZE = (48, 64)
NEAR = 1e-4
ROUNDED = "float32: a place in a texture of 96 texels is known to 1e-4 of a texel, and these are random"
POLISHED = "float32: 1 - (n.h)^2 is a small difference of large numbers, and a polished surface hangs on it"


def waves(batch):
    """Smooth bright textures in place of random ones.

    A place in a texture of 96 texels is known to 1e-4 of a texel in float32, and random texels turn that into as much
    of a pose's gradient. It also keeps surfaces from being polished.
    """
    textures = batch.assets.textures
    for (width, height, *_), offsets in zip(textures.info.tolist(), textures.offsets.tolist(), strict=True):
        y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
        levels = [0.65 + 0.3 * torch.sin(2 * torch.pi * x + k) * torch.cos(2 * torch.pi * y) for k in range(4)]
        first = offsets[0]
        textures.texels[first : first + width * height] = torch.stack(levels, -1).mul(255).byte().view(-1, 4)
    return batch


def small(variant, **changes):
    """Two images of bumpy balls before a sheet."""
    fields = {"filter": "bilinear", **VARIANTS[variant], **changes}
    if "blur" in fields:
        fields["blur"] = torch.tensor([0.008, 0.004])  # at the limit it would have no gradient
    return make_batch(**fields)


def polished(shading):
    return waves(small("filmic", shading=shading, roughness=torch.full((2, 3), 0.05)))


BATCHES = {
    **{name: (lambda name=name: waves(small(name))) for name in VARIANTS if name != "bilinear"},
    **{name: (lambda it=it: it.batch.replace(blur=None)) for name, it in SCENES.items()},
    "mip levels": lambda: waves(small("lambert", filter="trilinear")),
    "polished ggx": lambda: polished("ggx"),
    "polished blinn_phong": lambda: polished("blinn_phong"),
    "dark texels": lambda: small("lambert"),
}
LOOKS_MISSED = {"polished blinn_phong": POLISHED}
POSES_MISSED = {"dark texels": ROUNDED}


def cells(missed):
    """All batches; those that are known to miss must do so."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=missed[name], strict=True) if name in missed else ())
        for name in BATCHES
    ]


@functools.cache
def errors(name):
    """Differences of the kernel's gradients from the reference's, in lengths of these, by parameter."""
    batch = BATCHES[name]()
    leaves = leaves_of(batch)
    drawn = batch.replace(**{key: value for key, value in leaves.items() if key != "texels"})
    frames = fs.render(drawn, SIZE, ("rgb", "triangle_id", "instance_id"), texels=leaves["texels"])
    ids = frames.triangle_id, frames.instance_id
    weights = torch.rand(frames.rgb.shape, generator=torch.Generator().manual_seed(1))
    weights = weights * ~off_their_face(batch, SIZE, ids)
    loss = (frames.rgb * weights).sum()
    given = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    found = {}
    for (field, wanted), mine in zip(gradients(batch, SIZE, ids, weights).items(), given, strict=True):
        if field in ("base_color", "texels"):  # alpha only cuts holes
            wanted, mine = wanted[..., :3], mine[..., :3]
        if wanted.any():
            found[field] = float((mine.double() - wanted).norm() / wanted.norm())
        else:
            assert not mine.any(), field
    return found


@pytest.mark.parametrize("name", cells(LOOKS_MISSED))
def test_of_looks(name):
    """Lights, materials, texels, backgrounds and the sensor."""
    found = {field: error for field, error in errors(name).items() if field not in POSES}
    assert {"ambient", "base_color", "exposure", "texels"} <= set(found)
    assert max(found.values()) < NEAR, found


@pytest.mark.parametrize("name", cells(POSES_MISSED))
def test_of_poses_and_cameras(name):
    """What a surface looks like where it is, and what its edges uncover."""
    found = {field: errors(name)[field] for field in POSES}
    assert max(found.values()) < NEAR, found


def test_every_parameter_is_reached():
    reached = set().union(*(errors(name) for name in ("ggx", "sensor")))
    assert reached == {*leaves_of(small("sensor", shading="ggx"))}
