"""Hinterstoisser et al., "An Annotation Saved is an Annotation Earned": every pose in turn, before models."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fastsynth import labels, procedural
from fastsynth.assets import Assets, Material, Mesh
from fastsynth.effects import GaussianNoise
from fastsynth.geometry import deg
from fastsynth.pack import pack
from fastsynth.random import Choice, Constant, LogUniform, Uniform, UniformRotation
from fastsynth.randomizers import (
    Ambient,
    Camera,
    Clutter,
    FrustumPosition,
    ImageBackground,
    Limits,
    Materials,
    Occluders,
    Only,
    Packed,
    PointLights,
    Sensor,
)
from fastsynth.randomizers.packing import areas
from fastsynth.recipes.numbers import Numbers, code, memory, ours, paper
from fastsynth.recipes.recipe import Recipe
from fastsynth.schedule import Nested, area_linear, views
from fastsynth.textures import Textures

SOURCE = (
    "Hinterstoisser, Pauly, Heibel, Marek, Bokeloh: An Annotation Saved is an Annotation Earned: Using Fully Synthetic "
    "Training for Object Detection, ICCV workshops 2019"
)

NUMBERS = {
    "size": paper((720, 960), "height and width, of the benchmark"),
    "targets": paper(64, "retail objects, each a class; stood in for by drawn products"),
    "pool": ours(45, "models of the background where none are given; the paper has 15,000"),
    "background_scale": paper((0.9, 1.5), "size of a background model over that of the objects"),
    "scales": code(4, "SynthDet: steps from the largest to the smallest"),
    "smallest": code(
        0.5, "SynthDet: size at the last scale over that at the first; areas in between are linear (paper)"
    ),
    "largest": ours(0.45, "diameter of a typical object at the first scale, in image heights"),
    "view_level": code(0, "Blender re-implementation: 12 views, the icosahedron itself"),
    "in_plane": code(8, "Blender re-implementation"),
    "per_image": paper(20, "objects at most: its best; as many as find room"),
    "room": ours(0.42, "part of a picture that its objects come to: 9 at the first scale, as in the paper"),
    "tries": memory(100, "places for each object"),
    "truncation": paper(0.5),
    "overlap": paper(0.3),
    "occluder_scale": code((0.2, 0.3), "SynthDet: size of an occluder over that of the object"),
    "occluder_probability": code(0.8, "Blender re-implementation"),
    "lights": ours((1, 3), "point lights; their number varies in the paper"),
    "light_place": ours((1.5, 1.0), "how far lights are to the sides and behind the camera, in object distances"),
    "light_color": code((0.1, 1.0), "SynthDet: of each channel"),
    "light_intensity": ours((1.0, 4.0), "on a white surface at the distance of the objects"),
    "ambient": ours((0.15, 0.45)),
    "hue": ours((0.0, 1.0), "turns of background and occluders: at random in the paper, up to 180 degrees in SynthDet"),
    "noise": code((0.0, 0.02), "SynthDet: white noise on display values"),
    "blur": ours((0.0, 0.0033), "standard deviation in image heights: a third of SynthDet's largest kernel, 0.01"),
    "fov": ours((38.0, 42.0), "vertical field of view, degrees; paper: the focal length varies"),
    "passes": ours(4, "of the search for uncovered pixels"),
}


@functools.lru_cache(maxsize=2)
def targets(count: int = 64, texture_size: int = 128) -> Assets:
    """Products that stand in for the paper's retail objects, each a class.

    Example:
        >>> targets(3, 32).class_names
        ('product 0', 'product 1', 'product 2')
    """
    kinds = 5
    meshes = procedural.product_meshes(-(-count // kinds), seed=0, texture_size=texture_size)
    variants = len(meshes) // kinds
    mixed = [meshes[kind * variants + variant] for variant in range(variants) for kind in range(kinds)][:count]
    return pack(mixed, [f"product {row}" for row in range(count)])


@functools.lru_cache(maxsize=2)
def pool(count: int = 45, texture_size: int = 64) -> Assets:
    """Models that stand in for the paper's background: other products, and plain bodies with drawn patterns."""
    rng = np.random.default_rng(1)
    products = procedural.product_meshes(max(1, count // 15), seed=1, texture_size=texture_size)[: count // 3]
    bodies: list[Mesh] = list(products)
    for row in range(count - len(products)):
        long, wide = rng.uniform(0.4, 1.0, 2)
        body = [
            procedural.box((1.0, wide, long)),
            procedural.sphere(0.5, rings=10),
            procedural.cylinder(0.5 * wide, 1.0, around=16),
            procedural.cone(0.5, long, around=16),
            procedural.cylinder(0.5, 0.4 * wide, around=20),
        ][row % 5]
        picture = labels.pattern(rng, texture_size, row // 5)
        material = Material(base_texture=picture, roughness=0.6)
        bodies.append(
            Mesh(body.vertices, body.faces, body.normals, body.uvs, materials=(material,), name=f"body {row}")
        )
    return pack(bodies).unlabelled()


def annotation_saved(
    assets: Assets | None = None,
    background: Assets | None = None,
    photos: str | Path | Sequence[str | Path] | Textures | None = None,
    *,
    order: str = "curriculum",
    per_image: int | Sequence[int] | None = None,
    background_scale: tuple[float, float] | None = None,
    view_level: int | None = None,
    in_plane: int | None = None,
    rows: int = 64,
    without: Sequence[str] = (),
) -> Recipe:
    """The recipe of Hinterstoisser et al. 2019: a curriculum of every object in every pose, before cluttered models.

    Image i holds the next objects of the curriculum, as many as find room by what is seen of them: for each scale from
    near to far, for each view of an icosphere, for each turn in the picture, for each object. `recipe.schedule` says
    how many images a pass has. Objects are packed at random places within the limits of overlap and truncation; behind
    them are models from another set, as many as it takes to cover every pixel; small models hide parts of them. All
    three layers share noise and blur.

    Args:
        assets: Targets, each mesh a class of its own or not; by default 64 drawn products.
        background: Models of background and occluders, without labels; by default drawn ones.
        photos: Behind the objects, as of `ImageBackground`, in place of models: an arm of the paper's ablation.
        order: "curriculum", or "random" for objects, poses and distances that are drawn independently of one another.
        per_image: Objects an image, whatever room they need: one number, or one for each scale.
        background_scale: Size of background models over that of the objects.
        view_level: Subdivisions of the icosahedron: 12, 42, 162 views for 0, 1, 2.
        in_plane: Turns in the picture.
        rows: Height at which overlap and truncation are held to the pixel, even [pixels].
        without: Axes that are off: "light_color", "light_place", "blur", "noise", "hue", "focal_length",
            "occluders".

    Returns:
        The recipe; `schedule` is its `Nested`.

    Example:
        >>> import fastsynth as fs
        >>> parts = fs.procedural.products(variants=1, texture_size=32)
        >>> recipe = annotation_saved(parts, fs.procedural.primitives())
        >>> recipe.schedule.cells == 4 * 12 * 8 * 5
        True
        >>> frames = fs.render(recipe.sample(2, aspect=64 / 48), (48, 64), ("instance_id",))
        >>> bool((frames.instance_id >= 0).all())
        True
    """
    stated = dict(NUMBERS)
    given = {
        "per_image": per_image, "background_scale": background_scale, "view_level": view_level, "in_plane": in_plane
    }  # fmt: skip
    stated |= {name: ours(value, "as asked for") for name, value in given.items() if value is not None}
    n = Numbers(stated)
    if order not in ("curriculum", "random"):
        raise ValueError(f'annotation_saved(): `order` must be "curriculum" or "random", but is {order!r}.')
    front = targets(n["targets"]) if assets is None else assets
    back = (pool(n["pool"]) if background is None else background).unlabelled()
    one = Assets.concatenate([front, back.to(front.device)])
    rows_front, rows_back = range(len(front)), range(len(front), len(one))

    low, high = front.mesh_bounds[:, :3], front.mesh_bounds[:, 3:]
    radius = float((high - low).norm(dim=-1).median()) / 2
    narrow, wide = (deg(angle) for angle in n["fov"])
    focal = 0.5 / float(np.tan((narrow + wide) / 4))
    near = 2 * radius * focal / n["largest"]
    distances = area_linear(near, n["smallest"] ** 2, n["scales"], radius)
    # The camera stands in the origin and looks along y; z is up.
    table = views(n["view_level"], n["in_plane"], frame=[[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    counts, share = n["per_image"], None
    if per_image is None:
        # Turns in the picture change nothing of how much is seen.
        seen = areas(front, views(n["view_level"])[:, 0]).cpu()[:, None].expand(-1, table.shape[1], -1)
        picture = n["room"] * (n["size"][1] / n["size"][0]) / focal**2  # at a distance of 1 m [m^2]
        share = torch.cat([seen.flatten() / (picture * distance**2) for distance in distances])
    schedule = Nested(counts, share, scale=n["scales"], view=table.shape[0], in_plane=table.shape[1], object=len(front))
    if order == "curriculum":
        which, turn = schedule.choice("object", rows_front), schedule.choice(("view", "in_plane"), table.flatten(0, 1))
        away, count = schedule.choice("scale", distances), schedule.count()
    else:
        which, turn = Choice(rows_front), UniformRotation()
        away, count = (
            Uniform(distances[0], distances[-1]),
            Constant(max(counts) if not isinstance(counts, int) else counts),
        )

    side, behind = n["light_place"]
    middle = float(np.mean(distances))
    few, many = n["lights"]
    lights = PointLights(
        Choice(range(few, many + 1)),
        Uniform((-side * middle, -behind * middle, -side * middle), (side * middle, 0.3 * middle, side * middle)),
        LogUniform(*n["light_intensity"]),
        Uniform((n["light_color"][0],) * 3, (n["light_color"][1],) * 3),
        reach=middle,
    )
    clutter = Clutter(one, rows_back, Uniform(*n["background_scale"]), passes=n["passes"], depth=1.0, gap=0.25)
    recipe = Recipe(
        "annotation_saved",
        3,
        SOURCE,
        n,
        n["size"],
        {
            "light_color": {"light.1.color": (1.0, 1.0, 1.0)},
            "light_place": {"light.1.position": (0.0, 0.0, side * middle)},
            "blur": {"sensor.blur": 0.0},
            "noise": {"noise.sigma": 0.0},
            "hue": {"materials.part.hue": 0.0},
            "focal_length": {"camera.fov": (narrow + wide) / 2},
            "occluders": {"objects.2.probability": 0.0},
        },
        without,
        camera=Camera(distance=0.0, azimuth=-np.pi / 2, elevation=0.0, fov=Uniform(narrow, wide)),
        objects=[
            Packed(
                one,
                count,
                which,
                FrustumPosition(away, margin=-0.05),
                turn,
                layer=1,
                overlap=n["overlap"],
                truncation=n["truncation"],
                tries=n["tries"],
            ),
            Limits(n["overlap"], n["truncation"], rows=rows),
            Occluders(one, rows_back, Uniform(*n["occluder_scale"]), n["occluder_probability"], layer=2),
            *([clutter] if photos is None else []),
        ],
        light=[Ambient(Uniform(*n["ambient"])), lights],
        background=None if photos is None else ImageBackground(photos),
        materials=Only(Materials(hue=Uniform(*(2 * np.pi * turn for turn in n["hue"]))), rows_back),
        sensor=Sensor(blur=Uniform(*n["blur"]), blur_limit=n["blur"][1]),
        noise=GaussianNoise(Uniform(*n["noise"])),
        shading="blinn_phong",
    )
    recipe.schedule = schedule  # pyright: ignore[reportAttributeAccessIssue]
    return recipe
