"""The differentiable operators with arguments to differentiate by, and their gradients: what tests of them share."""

from __future__ import annotations

import copy

import torch
from test_rasterize import faces_of, soup

import fastsynth as fs

INT = torch.int32
OPS = torch.ops.fastsynth


def numbers(seed=0):
    return torch.Generator().manual_seed(seed)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=numbers(seed))


def triangles(kind="mixed", count=24, size=(30, 41)):
    """Two images of triangles of all sizes, their faces, and what is seen."""
    clip = torch.stack([torch.from_numpy(soup(kind, count, seed=seed, size=size)) for seed in (3, 4)])
    faces = faces_of(clip[0].numpy())
    return clip, faces, OPS.rasterize(clip, faces, torch.empty(0, 2, dtype=INT), *size, 0)


FACES = torch.tensor([[0, 1, 2], [2, 1, 3], [3, 0, 3]], dtype=INT)
IDS = torch.randint(-1, 3, (2, 9, 23), generator=numbers(), dtype=INT)
LEVELS = [rand(2, 5, 6, 2), rand(2, 2, 3, 2, seed=1), rand(2, 1, 1, 2, seed=2)]
UV, UV_DA = rand(2, 9, 23, 2) * 3 - 1, rand(2, 9, 23, 4, seed=1) * 0.4
NONE = torch.empty(0)
PICTURE = rand(2, 3, 11, 19)
DEVELOP = (rand(2, 3, 7, 9), rand(2) - 0.5, rand(2, 3, seed=1) + 0.5)
NOISE = (rand(2, 2, seed=2) * 0.1 + 0.02, torch.randn(2, 3, 7, 9, generator=numbers()))


def of(op, *arguments):
    return op, arguments


# Name: operator and its arguments; those that are float32 and not empty are differentiated.
CASES = {
    "transform": of("transform", rand(37, 3), rand(3, 4, 4)),
    "interpolate": of("interpolate", rand(2, 4, 3), FACES, IDS, rand(2, 9, 23, 2) / 2),
    "interpolate shared": of("interpolate", rand(1, 4, 5), FACES, IDS, rand(2, 9, 23, 2) - 0.5),
    "texture": of("texture", LEVELS[:1], UV, NONE, 0, False),
    "texture clamp": of("texture", [LEVELS[0][:1]], UV, NONE, 1, False),
    "texture mirror": of("texture", LEVELS[:1], UV, NONE, 2, False),
    "texture nearest": of("texture", LEVELS[:1], UV, NONE, 2, True),
    "texture trilinear": of("texture", LEVELS, UV, UV_DA, 0, False),
    "texture trilinear clamp": of("texture", [level[:1] for level in LEVELS], UV, UV_DA, 1, False),
    "texture trilinear mirror": of("texture", LEVELS, UV, UV_DA, 2, False),
    "texture trilinear nearest": of("texture", LEVELS, UV, UV_DA, 0, True),
    "blur": of("blur", PICTURE, torch.tensor([0.7, 2.5]), 6),
    "blur wide": of("blur", PICTURE[..., :3, :4].contiguous(), torch.tensor([4.0, 1.0]), 11),
    "blur not at all": of("blur", PICTURE, torch.tensor([0.0, 1.0]), 0),
    "convolve": of("convolve", PICTURE, rand(2, 5, 5, seed=3) - 0.3),
    "convolve sparse": of("convolve", PICTURE, rand(2, 7, 7, seed=3) * torch.eye(7).flip(0)),
    "convolve a pixel": of("convolve", PICTURE, rand(2, 1, 1, seed=3)),
    "poisson": of("poisson", PICTURE, PICTURE.flip(0), (rand(2, 11, 19, seed=4) < 0.6).int()),
    "poisson at the border": of("poisson", PICTURE, PICTURE.flip(0), torch.ones(2, 11, 19, dtype=INT).tril(3)),
    "poisson by cells": of("poisson", PICTURE, PICTURE.flip(0), (torch.arange(19) > 0).int().repeat(2, 11, 1)),
    "poisson nowhere": of("poisson", PICTURE, PICTURE.flip(0), torch.zeros(2, 11, 19, dtype=INT)),
    "develop": of("develop", *DEVELOP, NONE, NONE, 0, False),
    "develop filmic": of("develop", *DEVELOP, *NOISE, 1, False),
    "develop linear": of("develop", *DEVELOP, *NOISE, 2, False),
    "develop noise": of("develop", *DEVELOP, *NOISE, 0, False),
}
ONE_OF_EACH = ("transform", "interpolate", "texture trilinear", "blur", "convolve", "poisson", "develop noise")


def parts(arguments):
    """The tensors to differentiate by, in order: all floats but the drawn noise, which is the last of develop's."""
    flat = [t for a in arguments for t in (a if isinstance(a, list) else [a]) if isinstance(t, torch.Tensor)]
    return [t for t in flat if t.is_floating_point() and t.numel()]


def leaves(arguments):
    """The same arguments as fresh tensors that require a gradient."""
    made = copy.deepcopy(arguments)
    for t in parts(made):
        t.requires_grad_()
    return made


def as_double(arguments):
    if isinstance(arguments, list | tuple):
        return [as_double(each) for each in arguments]
    is_float = isinstance(arguments, torch.Tensor) and arguments.is_floating_point()
    return arguments.double() if is_float else arguments


def by(name, arguments):
    """Those of `parts` that the operator has a gradient by."""
    found = parts(arguments)
    return found[:-1] if name.startswith("develop") and len(found) > 4 else found


def gradients(name, seed=5):
    """Those of a random functional of the operator's output."""
    op, arguments = CASES[name]
    arguments = leaves(arguments)
    out = getattr(OPS, op)(*arguments)
    return torch.autograd.grad(out, by(name, arguments), rand(*out.shape, seed=seed) - 0.5, materialize_grads=True)


def rasterized(clip, faces, ids, given):
    """Gradient by clip of what is seen, weighed by `given`."""
    clip = clip.clone().requires_grad_()
    seen = fs.ops.rasterize(clip, faces, ids.shape[1:])
    assert not seen.triangle_id.requires_grad
    return torch.autograd.grad(seen[1:], clip, given)[0]


def same_bits(a, b):
    return all(torch.equal(x.view(INT), y.view(INT)) for x, y in zip(a, b, strict=True))
