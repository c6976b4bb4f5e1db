"""The fixed workloads that every benchmark draws."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from peers.scenes import Scenes, standard_scenes  # noqa: E402

import fastsynth as fs  # noqa: E402
from fastsynth.types import SH_CONSTANT  # noqa: E402

#: What is drawn and read back by both sides: uint8 colour, depth, ids; ours adds the boxes.
OUTPUTS = ("rgb", "depth", "instance_id", "boxes_2d_tight")


def batch_of(scenes: Scenes, lod: bool) -> fs.SceneBatch:
    """A peer's scenes as ours."""
    meshes = [
        fs.Mesh(
            m.vertices,
            m.faces,
            m.normals,
            m.uvs,
            materials=(fs.Material((*m.color, 1.0), base_texture=m.texture),),
            name=f"mesh{k}",
        )
        for k, m in enumerate(scenes.meshes)
    ]
    images = scenes.images
    ambient = torch.zeros(images, 9, 3)
    ambient[:, 0] = torch.from_numpy(scenes.ambient.copy())[:, None] / SH_CONSTANT
    return fs.SceneBatch(
        assets=fs.pack(meshes),
        mesh_id=torch.from_numpy(scenes.mesh_id.copy()),
        world_from_object=torch.from_numpy(scenes.camera_from_object.copy()).float(),
        intrinsics=torch.from_numpy(scenes.intrinsics.copy()).float(),
        camera_from_world=torch.eye(4).repeat(images, 1, 1),
        light_kind=torch.ones(images, 1, dtype=torch.int32),
        light_direction=-torch.from_numpy(scenes.to_light.copy()).float()[:, None],
        light_color=torch.from_numpy(scenes.diffuse.copy()).float()[:, None, None].repeat(1, 1, 3),
        ambient=ambient,
        background_color=torch.from_numpy(scenes.background.copy()).float()[:, None].repeat(1, 2, 1),
        near=scenes.near,
        tone="srgb" if scenes.srgb else "linear",
        filter="bilinear",  # as the rival does
        lod=0.25 if lod else 0.0,
    )


def standard(lod: bool = False) -> fs.SceneBatch | None:
    """64 images of 8 textured objects, 23,000 triangles each; None where the file is not there."""
    scenes = standard_scenes()
    return None if scenes is None else batch_of(scenes, lod)


def own_scene() -> fs.Scene:
    """Procedural products, 8 an image, so that the benchmark runs anywhere."""
    objects = fs.Objects(
        fs.procedural.products(8),
        count=8,
        position=fs.FrustumPosition(fs.Uniform(0.4, 1.0)),
        rotation=fs.UniformRotation(),
    )
    return fs.Scene(
        objects,
        light=[fs.Ambient(0.3), fs.DirectionalLight(intensity=0.7)],
        background=fs.GradientBackground(),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.3)),
    )


def own(lod: bool = False) -> fs.SceneBatch:
    """64 images of our own scene."""
    return own_scene().sample(64, seed=0).replace(lod=0.25 if lod else 0.0)
