"""Forward and backward against DRTK, on the standard workload without textures, alternated in one run.

python benchmarks/against_drtk.py     # writes benchmarks/results/drtk.json; needs github.com/facebookresearch/DRTK
Both draw the same 16 images and bring the gradient of one sum of all pixels back to the poses; DRTK is timed once more
to the vertices on the screen only, which is the least it can do. Before anything is timed the ids and the pictures are
compared, and the gradients of both with finite differences of pictures of 1024 x 1024 pixels.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from drtk_peer import Drtk
from timing import alternate, rate, save
from torch import Tensor
from workloads import batch_of, standard_scenes

import fastsynth as fs

IMAGES = 16
LARGE = 1024  # side of the pictures whose changes are the truth


def smooth(size: int) -> Tensor:
    """By how much each pixel counts in the sum: waves, float32 [1, 3, H, W]."""
    at = torch.arange(size) / size
    x, y = at[None], at[:, None]
    return torch.stack([torch.sin(5 * x + 3 * y), torch.cos(7 * x - 2 * y), torch.sin(4 * y - 6 * x)])[None] / size


def gradient(batch: fs.SceneBatch, size: int, cotangent: Tensor) -> Tensor:
    """Ours, to the poses, [B, N, 4, 4]."""
    pose = batch.world_from_object.clone().requires_grad_()
    rgb = fs.render(batch.replace(world_from_object=pose), (size, size), ("rgb",)).rgb
    return torch.autograd.grad((rgb * cotangent).sum(), pose)[0]


def differences(batch: fs.SceneBatch) -> Tensor:
    """By how much the sum changes with each object's place, by central differences of large pictures, [B, N, 3]."""
    weight, pose, found = smooth(LARGE) / LARGE, batch.world_from_object, []

    def total(moved: Tensor) -> Tensor:
        rgb = fs.render(batch.replace(world_from_object=moved), (LARGE, LARGE), ("rgb",)).rgb
        return (rgb * weight).double().sum((1, 2, 3))

    for slot in range(pose.shape[1]):
        for axis in range(3):
            step = torch.zeros_like(pose)
            step[:, slot, axis, 3] = 0.002 * pose[:, slot, 2, 3]  # a pixel or two of the large picture
            found.append((total(pose + step) - total(pose - step)) / (2 * step[:, slot, axis, 3]))
    return torch.stack(found, 1).float().unflatten(1, (-1, 3))


def cosines(a: Tensor, b: Tensor) -> dict[str, float]:
    """Of the gradients of each object, [B, N, n], and of all in one, where the longest count most."""
    seen = b.norm(dim=-1) > 1e-3 * b.norm(dim=-1).max()
    each = torch.cosine_similarity(a, b, -1)[seen]
    part = {"median": each.median(), "tenth part below": each.quantile(0.1), "mean": each.mean()}
    part["of all in one"] = torch.cosine_similarity(a.flatten(), b.flatten(), 0)
    return {name: round(float(value), 4) for name, value in part.items()}


def check(batch: fs.SceneBatch, peer: Drtk, truth: Tensor) -> dict[str, object]:
    """How well both agree; raises where they do not draw the same, or one does not know how the picture changes."""
    size = peer.size
    ours = fs.render(batch, (size, size), ("rgb", "instance_id"))
    rgb, slots = peer.picture()
    same = ours.instance_id == slots
    off = (ours.rgb - rgb).abs().amax(1)[same]
    weight = smooth(size) / size
    a, b = gradient(batch, size, weight), peer.to_poses(weight)
    found: dict[str, Any] = {
        "ids equal": float(same.float().mean()),
        "picture, mean difference where ids are equal": float(off.mean()),
        "gradients of an object, ours and DRTK's": cosines(a[..., :3, :].flatten(2), b[..., :3, :].flatten(2)),
        "gradients of a place, ours and finite differences": cosines(a[..., :3, 3], truth),
        "gradients of a place, DRTK's and finite differences": cosines(b[..., :3, 3], truth),
    }
    print(size, found, flush=True)
    if found["ids equal"] < 0.999 or found["picture, mean difference where ids are equal"] > 0.001:
        raise SystemExit(f"against_drtk.py: the two do not draw the same at {size}: nothing is timed.")
    if min(each["median"] for name, each in found.items() if "finite" in name) < 0.95:
        raise SystemExit(f"against_drtk.py: a gradient at {size} is not that of the picture: nothing is timed.")
    return found


def main() -> None:
    """Measures and writes down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()
    if find_spec("drtk") is None:
        raise SystemExit("against_drtk.py: DRTK is not installed; see https://github.com/facebookresearch/DRTK.")
    scenes = standard_scenes()
    if scenes is None:
        raise SystemExit("against_drtk.py: the standard workload is not beside the repository (../shared/data).")
    scenes = replace(scenes, meshes=[replace(mesh, texture=None) for mesh in scenes.meshes])
    batch = batch_of(scenes, lod=False)[:IMAGES]
    results, truth, path = {}, differences(batch), None
    for size in args.sizes:
        peer, cotangent = Drtk(scenes, IMAGES, size), smooth(size) / size
        results[str(size)] = {"agreement": check(batch, peer, truth)}
        sides = {
            "fastsynth": lambda size=size, w=cotangent: gradient(batch, size, w),
            "DRTK, vertices only": lambda peer=peer, w=cotangent: peer.to_vertices(w),
            "DRTK": lambda peer=peer, w=cotangent: peer.to_poses(w),
        }
        for threads in args.threads:
            torch.set_num_threads(threads)
            timed = {name: lambda work=work: rate(work, IMAGES, args.seconds) for name, work in sides.items()}
            results[str(size)][f"{threads} threads"] = alternate(timed, args.rounds)
            print(size, threads, results[str(size)][f"{threads} threads"], flush=True)
        path = save("drtk", results)
    print(path)


if __name__ == "__main__":
    main()
