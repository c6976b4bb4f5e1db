"""A recipe of one's own, from meshes in a folder to a batch to train on: `python own_recipe.py MESHES PHOTOS`."""

from __future__ import annotations

import sys

import torch
from PIL import Image

import fastsynth as fs
from fastsynth.recipes import OFF, Numbers, Recipe, ours, paper

NUMBERS = {
    "size": ours((240, 320), "height and width"),
    "goods": ours((3, 9), "on the table"),
    "spot": ours(((-0.3, -0.2), (0.3, 0.2)), "where they stand [m]"),
    "distance": ours((0.7, 1.2), "of the camera [m]"),
    "elevation": ours((15.0, 50.0), "of the camera [degrees]"),
    "jitter": paper(0.1, "Tobin et al. 2017: the camera turns by up to 0.1 rad in each direction"),
    "lights": paper((1, 12), "Tremblay et al. 2018"),
    "noise": ours((0.0, 0.04)),
}


def goods_on_a_table(assets=None, photos=None, up="z", without=()):
    """Goods that stand on a table, before photographs."""
    n = Numbers(NUMBERS)
    if assets is None:
        assets = fs.procedural.products(variants=2, texture_size=64)
    goods = len(assets)
    table = fs.recipes.assets_polygons.block((-0.6, -0.4, -0.04), (0.6, 0.4, 0.0))
    table = fs.recipes.assets_polygons.polyhedron(table, "table", tile=0.5)
    every = fs.Assets.concatenate([assets, fs.pack([table])])
    turn = n["jitter"]
    return Recipe(
        "goods_on_a_table",
        1,
        "This page",
        n,
        n["size"],
        axes={
            "jitter": {"camera.1": OFF},
            "lights": {"light.0.count": 2},
            "noise": {"noise": OFF},
        },
        without=without,
        target_classes=assets.class_names,
        camera=[
            fs.Camera(
                fs.Uniform(*n["distance"]),
                elevation=fs.Uniform(*(fs.deg(a) for a in n["elevation"])),
                target=(0.0, 0.0, 0.08),
            ),
            fs.CameraJitter(*(fs.Uniform(-turn, turn) for _ in range(3))),
        ],
        objects=[
            fs.Objects(
                every,
                fs.Choice(range(n["goods"][0], n["goods"][1] + 1)),
                range(goods),
                fs.OnPlane(fs.Uniform(*n["spot"])),
                up=up,
                separate=True,
            ),
            fs.Setting(every, [goods]),
        ],
        light=[
            fs.PointLights(
                fs.Choice(range(n["lights"][0], n["lights"][1] + 1)),
                fs.Uniform((-2, -2, 0.5), (2, 2, 2.5)),
                fs.Uniform(0.05, 0.3),
                reach=2.0,
            ),
            fs.Ambient(fs.Uniform(0.2, 0.5)),
        ],
        background=fs.GradientBackground() if photos is None else fs.ImageBackground(photos),
        materials=fs.Only(fs.Materials(base_color=fs.Uniform((0.1, 0.1, 0.1), (0.9, 0.9, 0.9))), [goods]),
        noise=fs.effects.GaussianNoise(fs.Uniform(*n["noise"])),
    )


if __name__ == "__main__":
    meshes, photos = sys.argv[1:3] if len(sys.argv) > 2 else (None, None)
    assets = None if meshes is None else fs.load_assets(meshes)
    recipe = goods_on_a_table(assets, photos, up="z" if meshes is None else "y")  # glTF files stand along y
    for name, value, source, note in recipe.table():
        print(f"{name:10} {value:32} {source:6} {note}")

    dataset = fs.SyntheticDataset(recipe, length=10_000, size=(120, 160), min_visible=0.2)
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, collate_fn=fs.collate)
    images, targets = next(iter(loader))
    print(images.shape, targets[0]["boxes"].shape, [recipe.assets.class_names[k - 1] for k in targets[0]["labels"]])

    row = torch.cat([torch.cat(list(images[first : first + 4]), 2) for first in range(0, 16, 4)], 1)
    Image.fromarray((row * 255).byte().permute(1, 2, 0).numpy()).save("own_recipe.jpg", quality=88)
