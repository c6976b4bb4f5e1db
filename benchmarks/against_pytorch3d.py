"""Our MeshRasterizer against PyTorch3D's own, on the CPU: what they see, its gradients, and how long it takes.

python benchmarks/against_pytorch3d.py     # writes benchmarks/results/pytorch3d.json; needs PyTorch3D
Ten meshes, each with a camera of its own. Where both see one face at a pixel, depths, weights and distances are
compared, and the gradients to the vertices of a random weighting of all of them. Then its shaders on top of either, and
three fits in the manner of its tutorials. Times alternate in one run.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from timing import alternate, rate, save
from torch import Tensor

import fastsynth as fs
from fastsynth.compat.pytorch3d import MeshRasterizer

PARTS = ("zbuf", "bary_coords", "dists")


def ten_meshes() -> dict[str, tuple[Tensor, Tensor]]:
    """Vertices [V, 3], within half a unit of the origin, and faces int64 [F, 3]."""
    p = fs.procedural
    meshes = [p.box(), p.sphere(), p.cylinder(), p.cone(), p.torus()]
    products = [mesh for mesh in p.product_meshes(variants=1, texture_size=64)]
    found = {}
    for mesh in [*meshes, *products]:
        points = torch.from_numpy(mesh.vertices).float()
        points = points - (points.amax(0) + points.amin(0)) / 2
        name = mesh.name if mesh.name not in found else f"{mesh.name}, packaged"
        found[name] = points / points.norm(dim=1).max() / 2, torch.from_numpy(mesh.faces).long()
    return found


def cameras_of(count: int):
    """PyTorch3D's, around the origin, as far away as fills two thirds of an image."""
    from pytorch3d.renderer import FoVPerspectiveCameras, look_at_view_transform

    elevation, azimuth = torch.linspace(-40, 65, count), torch.linspace(10, 340, count)
    R, T = look_at_view_transform(1.4, elevation, azimuth)
    return FoVPerspectiveCameras(R=R, T=T, fov=60.0)


def settings_of(size: int, layers: int, **others):
    """PyTorch3D's settings; without bins, as nothing else runs on a CPU."""
    from pytorch3d.renderer import RasterizationSettings

    return RasterizationSettings(image_size=size, faces_per_pixel=layers, bin_size=0, **others)


def both() -> dict[str, type]:
    """The two rasterizers."""
    from pytorch3d.renderer import MeshRasterizer as Theirs

    return {"fastsynth": MeshRasterizer, "PyTorch3D": Theirs}


def seen(rasterizer: type, points: Tensor, faces: Tensor, camera, settings):
    """Fragments and the vertices that they may be differentiated by."""
    from pytorch3d.structures import Meshes

    points = points.clone().requires_grad_()
    return rasterizer(camera, settings)(Meshes([points], [faces])), points


def agreement(points: Tensor, faces: Tensor, camera, settings) -> dict[str, float]:
    """Of one mesh: ids, values and gradients."""
    (ours, our_points), (theirs, their_points) = (seen(r, points, faces, camera, settings) for r in both().values())
    same = (ours.pix_to_face == theirs.pix_to_face) & (theirs.pix_to_face >= 0)
    drawn = (ours.pix_to_face >= 0) | (theirs.pix_to_face >= 0)
    found = {"faces": len(faces), "pixels": int(drawn.sum()), "ids equal": float(same.sum() / drawn.sum())}
    generator = torch.Generator().manual_seed(0)
    for part in PARTS:
        a, b = getattr(ours, part), getattr(theirs, part)
        there = same if a.ndim == 4 else same[..., None]
        found[f"{part}, largest difference"] = float(((a - b).detach().abs() * there).max())
        weight = torch.rand(a.shape, generator=generator) * there
        (of_ours,) = torch.autograd.grad((a * weight).sum(), our_points, retain_graph=True)
        (of_theirs,) = torch.autograd.grad((b * weight).sum(), their_points, retain_graph=True)
        # Vertex by vertex: at those of faces that are seen edge-on, PyTorch3D's gradient grows beyond all bounds.
        off = (of_ours - of_theirs).norm(dim=1)
        scale = of_theirs.norm(dim=1) + 1e-3 * of_theirs.norm(dim=1).median()
        found[f"{part}, gradients within 0.1 %"] = float((off <= 1e-3 * scale).float().mean())
        found[f"{part}, gradient, relative error"] = float(off.norm() / of_theirs.norm())
        found[f"{part}, gradient, longest, ours"] = float(of_ours.norm(dim=1).max())
        found[f"{part}, gradient, longest, PyTorch3D's"] = float(of_theirs.norm(dim=1).max())
    return {name: round(value, 8) for name, value in found.items()}


def batch_of_ten(meshes: dict[str, tuple[Tensor, Tensor]], colors: bool = False):
    """All of them as one batch; with grey vertices of all brightnesses."""
    from pytorch3d.renderer import TexturesVertex
    from pytorch3d.structures import Meshes

    points, faces = map(list, zip(*meshes.values(), strict=True))
    generator = torch.Generator().manual_seed(1)
    paint = TexturesVertex([torch.rand(len(p), 3, generator=generator) for p in points]) if colors else None
    return Meshes(points, faces, paint)


def work(rasterizer: type, meshes, cameras, settings, backward: bool) -> None:
    """What is timed: fragments of all ten, and the gradient to all vertices."""
    if not backward:
        with torch.no_grad():
            rasterizer(cameras, settings)(meshes)
        return
    offset = torch.zeros_like(meshes.verts_packed()).requires_grad_()
    fragments = rasterizer(cameras, settings)(meshes.offset_verts(offset))
    torch.autograd.grad(fragments.zbuf.sum() + fragments.bary_coords[..., 0].sum() + fragments.dists.sum(), offset)


def shaders(meshes, cameras, settings) -> dict[str, dict[str, float]]:
    """Pictures of ten painted meshes through PyTorch3D's shaders on top of either rasterizer, and their gradients."""
    from pytorch3d import renderer as r

    found = {}
    for shader in (r.SoftPhongShader, r.HardPhongShader, r.HardFlatShader, r.HardGouraudShader):
        images, gradients = [], []
        for rasterizer in both().values():
            offset = torch.zeros_like(meshes.verts_packed()).requires_grad_()
            draw = r.MeshRenderer(rasterizer(cameras, settings), shader(cameras=cameras))
            image = draw(meshes.offset_verts(offset))
            images.append(image.detach())
            gradients.append(torch.autograd.grad(image[..., :3].square().sum() + image[..., 3].sum(), offset)[0])
        off = (images[0] - images[1]).abs().amax(-1)
        found[shader.__name__] = {
            "pixels off by more than 1/255": round(float((off > 1 / 255).float().mean()), 6),
            "mean difference": round(float(off.mean()), 7),
            "gradients, cosine": round(float(torch.cosine_similarity(*(g.flatten() for g in gradients), 0)), 6),
        }
    return found


def fit_colors(rasterizer: type, meshes, steps: int, size: int) -> dict[str, float]:
    """Colours of the vertices of a sphere, from 12 views of a painted one."""
    from pytorch3d import renderer as r
    from pytorch3d.structures import Meshes

    points, faces = meshes["sphere"]
    R, T = r.look_at_view_transform(1.4, 20 * torch.sin(torch.arange(12.0)), torch.arange(12.0) * 30)
    cameras = r.FoVPerspectiveCameras(R=R, T=T)
    light = r.PointLights(location=[[0.0, 0.0, 3.0]])
    shader = r.SoftPhongShader(cameras=cameras, lights=light)
    draw = r.MeshRenderer(rasterizer(cameras, settings_of(size, 1)), shader)

    def pictures(colors: Tensor) -> Tensor:
        mesh = Meshes([points], [faces], r.TexturesVertex(colors[None]))
        return draw(mesh.extend(12))[..., :3]

    truth = 0.5 + 0.4 * torch.sin(12 * points)
    target = pictures(truth)
    guess = torch.full_like(truth, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([guess], 0.05)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (pictures(guess) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    error = (guess - truth).abs().mean()
    return {"loss, first": losses[0], "loss, last": losses[-1], "colours off by": float(error.detach())}


def fit_shape(rasterizer: type, meshes, steps: int, size: int) -> dict[str, float]:
    """A ball becomes a bottle: by blurred silhouettes from 8 sides, kept smooth as in the tutorial."""
    from pytorch3d import renderer as r
    from pytorch3d.loss import mesh_edge_loss, mesh_laplacian_smoothing
    from pytorch3d.structures import Meshes
    from pytorch3d.utils import ico_sphere

    sigma = 1e-4
    R, T = r.look_at_view_transform(1.4, 15 * torch.cos(torch.arange(8.0)), torch.arange(8.0) * 45)
    cameras = r.FoVPerspectiveCameras(R=R, T=T)
    blur = math.log(1 / 1e-4 - 1) * sigma
    shader = r.SoftSilhouetteShader(r.BlendParams(sigma=sigma))
    draw = r.MeshRenderer(rasterizer(cameras, settings_of(size, 20, blur_radius=blur)), shader)
    points, faces = meshes["bottle"]
    target = draw(Meshes([points], [faces]).extend(8))[..., 3]
    ball = ico_sphere(3)
    ball = ball.update_padded(0.3 * ball.verts_padded())
    offset = torch.zeros_like(ball.verts_packed()).requires_grad_()
    optimizer = torch.optim.Adam([offset], 0.01)

    def overlap(alpha: Tensor) -> float:
        mine, other = alpha.detach() > 0.5, target > 0.5
        return float((mine & other).sum() / (mine | other).sum())

    overlaps = []
    for _ in range(steps):
        optimizer.zero_grad()
        mesh = ball.offset_verts(offset)
        alpha = draw(mesh.extend(8))[..., 3]
        smooth = mesh_laplacian_smoothing(mesh, method="uniform") + mesh_edge_loss(mesh)
        ((alpha - target).square().mean() + 0.1 * smooth).backward()
        optimizer.step()
        overlaps.append(overlap(alpha))
    return {"overlap, first": overlaps[0], "overlap, last": overlaps[-1]}


def fit_camera(rasterizer: type, meshes, steps: int, size: int) -> dict[str, float]:
    """Where the camera is, from one blurred silhouette, as in the tutorial."""
    from pytorch3d import renderer as r
    from pytorch3d.structures import Meshes

    mesh = Meshes(*([part] for part in meshes["carton"]))
    camera = r.FoVPerspectiveCameras()
    blur = math.log(1 / 1e-4 - 1) * 1e-4
    shader = r.SoftSilhouetteShader(r.BlendParams(sigma=1e-4, gamma=1e-4))
    draw = r.MeshRenderer(rasterizer(camera, settings_of(size, 30, blur_radius=blur)), shader)

    def picture(place: Tensor) -> Tensor:
        R = r.look_at_rotation(place[None])
        return draw(mesh, R=R, T=-torch.bmm(R.mT, place[None, :, None])[..., 0])[..., 3]

    truth = torch.tensor([0.9, 0.7, 1.1])
    target = picture(truth).detach()
    place = torch.tensor([1.4, 1.0, 0.8]).requires_grad_()
    first = float((place - truth).norm())
    optimizer = torch.optim.Adam([place], 0.02)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.02 * 0.05 ** (step / steps)
        optimizer.zero_grad()
        (picture(place) - target).square().sum().backward()
        optimizer.step()
    return {"camera off by, first": first, "camera off by, last": float((place - truth).norm())}


FITS = {
    "colours of a sphere, 12 views": partial(fit_colors, steps=60, size=64),
    "shape of a bottle, 8 silhouettes": partial(fit_shape, steps=60, size=48),
    "place of the camera, 1 silhouette": partial(fit_camera, steps=100, size=64),
}


def main() -> None:
    """Compares, measures and writes down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="side of the compared images")
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 128], help="sides of the timed images")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if find_spec("pytorch3d") is None:
        raise SystemExit("against_pytorch3d.py: PyTorch3D is not installed; see https://pytorch3d.org.")
    meshes, cameras = ten_meshes(), cameras_of(10)
    results: dict[str, Any] = {}
    for layers, blur in ((1, 0.0), (3, 0.0), (20, 1e-3)):
        settings = settings_of(args.size, layers, blur_radius=blur)
        for number, (name, (points, faces)) in enumerate(meshes.items()):
            found = agreement(points, faces, cameras[number], settings)
            results[f"{name}, {layers} faces per pixel, blur {blur}"] = found
            print(name, layers, blur, found, flush=True)
    save("pytorch3d", results)
    results["shaders"] = shaders(batch_of_ten(meshes, colors=True), cameras, settings_of(args.size, 1))
    print(results["shaders"])
    for title, fit in FITS.items():
        results[title] = {}
        for name, rasterizer in both().items():
            torch.manual_seed(0)
            begin = time.perf_counter()
            fitted = {key: round(value, 6) for key, value in fit(rasterizer, meshes).items()}
            results[title][name] = {**fitted, "seconds": round(time.perf_counter() - begin, 1)}
        print(title, results[title], flush=True)
        save("pytorch3d", results)
    for size in args.sizes:
        settings, batch = settings_of(size, 1), batch_of_ten(meshes)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for title, backward in (("forward", False), ("forward and backward", True)):
                sides = {
                    name: partial(rate, partial(work, rasterizer, batch, cameras, settings, backward), 10, 1.0)
                    for name, rasterizer in both().items()
                }
                found = alternate(sides, args.rounds)
                results[f"images/s, {title}, {size} x {size}, {threads} threads"] = found
                print(size, threads, title, found)
    print(save("pytorch3d", results))


if __name__ == "__main__":
    main()
