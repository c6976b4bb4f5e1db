"""Stand-ins for photographs of objects with masks, and of places: products as a turntable's camera sees them."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy import ndimage

from fastsynth import procedural
from fastsynth.assets import Assets
from fastsynth.cutouts import cutout
from fastsynth.pack import pack
from fastsynth.random import Choice, UniformRotation
from fastsynth.randomizers import Ambient, Camera, ColorBackground, DirectionalLight, Objects, Sensor
from fastsynth.render import render
from fastsynth.scene import Scene
from fastsynth.textures import Textures


@functools.cache
def product_cutouts(
    instances: int, classes: int, extra: int, views: int, side: int, pixel: float, jitter: int, around: float
) -> Assets:
    """Cut-outs of products, photographed before a grey wall.

    Args:
        instances: Products to be found.
        classes: Of these, taken in turn.
        extra: Products of the class "distractor".
        views: Of each product, any side of it.
        side: Of a photograph [pixels].
        pixel: Side of a pixel [m].
        jitter: Masks are wrong by up to so many pixels, too small or too large; they show the wall then.
        around: Grey of the wall, a display value.
    """
    products = instances + extra
    variants = (products + 4) // 5
    meshes = procedural.product_meshes(variants)
    order = [meshes[k % 5 * variants + k // 5] for k in range(products)]
    wall = ((around + 0.055) / 1.055) ** 2.4
    objects = Objects(pack(order), choice=Choice(range(products)), rotation=UniformRotation(), position=(0.0, 0.0, 0.0))
    scene = Scene(
        objects,
        Camera(distance=0.5, elevation=0.3, azimuth=0.0, fov=0.55),
        [Ambient(0.35), DirectionalLight(intensity=0.65)],
        ColorBackground(wall),
        sensor=Sensor(noise=0.003),
    )
    photographs = products * views
    batch = scene.sample(photographs)
    rows = torch.arange(photographs, dtype=torch.int32)[:, None] % products
    low, high = batch.assets.mesh_bounds[rows.long()].split(3, -1)
    # Each fills the same part of its photograph, about its middle.
    fill = 0.24 / (high - low).square().sum(-1).sqrt()
    world = batch.world_from_object.clone()
    world[..., :3, :3] *= fill[..., None, None]
    world[..., :3, 3] = -(world[..., :3, :3] @ ((low + high) / 2)[..., None])[..., 0]
    frames = render(
        batch.replace(mesh_id=rows, world_from_object=world), (side, side), ("rgb", "instance_id"), samples=4
    )
    pictures = (frames.rgb.movedim(1, -1).numpy() * 255 + 0.5).astype(np.uint8)
    made = []
    for k, (picture, ids) in enumerate(zip(pictures, frames.instance_id.numpy(), strict=True)):
        mask, wrong = ids >= 0, k * 2654435761 % 4294967296 % (2 * jitter + 1) - jitter
        if wrong:
            mask = (ndimage.binary_dilation if wrong > 0 else ndimage.binary_erosion)(mask, iterations=abs(wrong))
        made.append(cutout(picture, mask, name=f"product_{k % products:02d}_{k // products}", pixel=pixel))
    which = [k % products for k in range(photographs)]
    return pack(made, ["distractor" if k >= instances else f"class_{k % classes:02d}" for k in which], lod=False)


@functools.cache
def places(count: int, side: int = 160) -> Textures:
    """Pictures of shelves and tables full of things that are no product: bands of colour, boxes, and light from a side."""
    pictures = []
    for k in range(count):
        rng = np.random.default_rng([7, k])
        y, x = np.mgrid[:side, : side * 4 // 3] / side
        picture = rng.uniform(0.25, 0.8, 3) * np.ones((*y.shape, 3))
        for _ in range(rng.integers(25, 60)):
            left, top = rng.uniform(-0.1, 1.3), rng.uniform(-0.1, 1.0)
            width, height = rng.uniform(0.03, 0.4), rng.uniform(0.03, 0.3)
            slope = rng.normal(0, 0.15)
            inside = (np.abs(x - left + slope * (y - top)) < width / 2) & (
                np.abs(y - top - slope * (x - left)) < height / 2
            )
            shade = 1 + rng.normal(0, 0.4) * (x - left) + rng.normal(0, 0.4) * (y - top)
            picture = np.where(inside[..., None], rng.uniform(0.05, 0.95, 3) * shade[..., None], picture)
        light = 1 + rng.normal(0, 0.3) * (x - 0.6) + rng.normal(0, 0.3) * (y - 0.5)
        picture = ndimage.gaussian_filter(picture * light[..., None], (0.8, 0.8, 0)) + rng.normal(
            0, 0.01, picture.shape
        )
        pictures.append((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    return Textures.from_images(pictures, "clamp")
