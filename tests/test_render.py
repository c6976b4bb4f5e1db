"""The fused path draws the same picture as the composition of torch, and labels that agree with one another."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import fastsynth as fs
from fastsynth.types import OUTPUTS

LIGHTS = (
    fs.Ambient(0.2),
    fs.DirectionalLight(intensity=0.6),
    fs.PointLight(position=fs.Uniform((-1.0, -1.0, 0.5), (1.0, 1.0, 1.5)), intensity=0.5),
    fs.SpotLight(position=(0.0, -1.0, 1.0), intensity=0.8),
)


@pytest.fixture(scope="module")
def products():
    return fs.procedural.products(2, texture_size=64)


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    return fs.Textures.from_images([rng.integers(0, 256, (48, 64, 3), np.uint8)], wrap="clamp")


def scene_of(assets, count=6, **options):
    options.setdefault("light", list(LIGHTS))
    objects = fs.Objects(
        assets, count=count, position=fs.FrustumPosition(fs.Uniform(0.3, 0.8)), rotation=fs.UniformRotation()
    )
    return fs.Scene(objects, **options)


CASES = {
    "lambert": {},
    "blinn-phong": {"shading": "blinn_phong"},
    "ggx": {"shading": "ggx"},
    "filmic": {"tone": "filmic"},
    "linear": {"tone": "linear"},
    "sky": {"light": [fs.SkyAmbient(), fs.DirectionalLight()]},
    "gradient": {"background": fs.GradientBackground()},
    "photo": {"background": "photo"},
    "exposure": {"sensor": fs.Sensor(exposure=fs.Normal(0.0, 1.0), white_balance=(1.2, 1.0, 0.8))},
    "noise": {"sensor": fs.Sensor(noise=fs.Uniform(0.01, 0.05))},
    "blur": {"sensor": fs.Sensor(blur=fs.Uniform(0.0, 0.009), noise=0.02)},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("samples", [1, 4])
def test_fused_and_composed_pictures_agree(case, samples, products, photos, device):
    options = dict(CASES[case])
    if options.get("background") == "photo":
        options["background"] = fs.ImageBackground(photos)
    batch = scene_of(products, **options).sample(3, seed=1).to(device)
    size, grid = (40, 56), {1: 1, 4: 2}[samples]
    # Level of detail is chosen for the labels' size; the visibility for the composition is drawn at the samples'.
    batch = batch.replace(lod=0.0)
    seen = fs.render(batch, (size[0] * grid, size[1] * grid), ("triangle_id", "instance_id"))
    fused = fs.render(batch, size, ("rgb",), samples=samples).rgb
    composed = fs.compose(batch, size, seen.triangle_id, seen.instance_id)["rgb"]
    assert (fused - composed).abs().max() <= 1 / 255
    assert fused.std() > 0.02


def test_mip_filter_and_uint8_agree_too(products):
    batch = scene_of(products).sample(2, seed=5).replace(filter="bilinear")
    frames = fs.render(batch, (48, 48), ("rgb", "triangle_id", "instance_id"))
    composed = fs.compose(batch, (48, 48), frames.triangle_id, frames.instance_id)["rgb"]
    assert (frames.rgb - composed).abs().max() <= 1 / 255
    coded = fs.render(batch, (48, 48), ("rgb",), rgb_dtype=torch.uint8).rgb
    assert (coded.float() - frames.rgb * 255).abs().max() <= 0.501


def test_labels_agree_with_one_another(products):
    batch = scene_of(products, count=12).sample(8, seed=2)
    f = fs.render(batch, (70, 90), OUTPUTS)
    ids = f.instance_id
    for n in range(batch.instances):
        mask = ids == n
        assert torch.equal(mask.sum((1, 2)).int(), f.visible_pixels[:, n])
        assert torch.equal(f.amodal_masks[:, n].sum((1, 2)).int(), f.total_pixels[:, n])
        assert not (mask & ~f.amodal_masks[:, n]).any(), "what is seen would be seen if nothing stood before it"
        for b in range(len(ids)):
            box = f.boxes_2d_tight[b, n]
            if not mask[b].any():
                assert (box == 0).all()
                continue
            y, x = mask[b].nonzero().T
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            loose = f.boxes_2d_loose[b, n]
            assert (loose[:2] <= box[:2] + 1).all() and (loose[2:] >= box[2:] - 1).all()
    background = ids < 0
    for name in ("depth", "distance"):
        assert torch.equal(f.outputs[name] == 0, background)
    assert torch.equal(f.triangle_id < 0, background) and torch.equal(f.semantic_id < 0, background)
    assert ((f.normals.norm(dim=1) - 1).abs()[~background] < 1e-3).all()
    assert (f.distance >= f.depth).all()
    rows = batch.assets.mesh_class[batch.mesh_id.clamp(min=0).long()]
    image = torch.arange(len(ids))[:, None, None]
    assert torch.equal(f.semantic_id[~background], rows[image, ids.clamp(min=0).long()].int()[~background])
    reduced = fs.ops.boxes_of(fs.ops.reduce(ids, batch.instances))
    assert torch.equal(reduced[0], f.boxes_2d_tight) and torch.equal(reduced[1], f.visible_pixels)


def test_object_coordinates_lie_on_the_surface_and_project_back(products):
    batch = scene_of(products).sample(2, seed=3)
    f = fs.render(batch, (64, 64), ("object_coordinates", "instance_id", "depth", "distance"))
    b, y, x = (f.instance_id >= 0).nonzero().T
    n = f.instance_id[b, y, x].long()
    points = f.object_coordinates[b, :, y, x]
    camera = batch.camera_from_world[b] @ batch.world_from_object[b, n]
    inside = (camera[:, :3, :3] @ points[..., None]).squeeze(-1) + camera[:, :3, 3]
    torch.testing.assert_close(inside[:, 2], f.depth[b, y, x], atol=5e-5, rtol=1e-4)
    torch.testing.assert_close(inside.norm(dim=1), f.distance[b, y, x], atol=5e-5, rtol=1e-4)
    k = batch.intrinsics[b]
    u = 32 + 64 * (k[:, 0, 0] * inside[:, 0] / inside[:, 2] + k[:, 0, 2])
    # A corner is snapped to 1/256 pixel, which on a grazing face moves what is seen by more.
    assert ((u - (x + 0.5)).abs() < 0.05).float().mean() > 0.99


def test_an_image_is_the_same_alone_and_in_a_batch(products):
    batch = scene_of(products, sensor=fs.Sensor(noise=0.05, blur=0.004)).sample(9, seed=4)
    together = fs.render(batch, (50, 60), ("rgb", "depth", "triangle_id", "boxes_2d_loose"))
    alone = fs.render(batch[4:5], (50, 60), ("rgb", "depth", "triangle_id", "boxes_2d_loose"))
    for name, value in alone.outputs.items():
        assert torch.equal(value[0], together.outputs[name][4]), name


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (129, 65), (512, 512)])
def test_threads_change_nothing(size, products):
    batch = scene_of(products).sample(3, seed=6)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fs.render(batch, size, OUTPUTS)
        torch.set_num_threads(3)
        three = fs.render(batch, size, OUTPUTS)
    finally:
        torch.set_num_threads(threads)
    for name in OUTPUTS:
        assert torch.equal(one.outputs[name], three.outputs[name]), name


def test_level_of_detail_draws_fewer_faces_and_nearly_the_same(products):
    batch = scene_of(products).sample(4, seed=7)
    fine = fs.render(batch.replace(lod=0.0), (64, 64), ("instance_id", "triangle_id", "rgb"))
    coarse = fs.render(batch.replace(lod=0.25), (64, 64), ("instance_id", "triangle_id", "rgb"))
    assert len(coarse.triangle_id.unique()) < 0.9 * len(fine.triangle_id.unique())
    assert (fine.instance_id == coarse.instance_id).float().mean() > 0.99
    assert (fine.rgb - coarse.rgb).abs().mean() < 0.01


def square(material, **changes):
    plane = fs.procedural.plane(2.0)
    return fs.pack([fs.Mesh(plane.vertices, plane.faces, plane.normals, plane.uvs, materials=(material,))], **changes)


def facing(assets, pose=None, **fields):
    """The plane z = 0 seen from z = 3 (or from below with a flipped pose)."""
    camera = fs.Pinhole.look_at(eye=(0, 0, 3), target=(0, 0, 0), up=(0, 1, 0), fov=fs.deg(30))
    pose = torch.eye(4) if pose is None else pose
    return fs.SceneBatch(
        assets=assets,
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=pose.reshape(1, 1, 4, 4),
        **camera.fields(),
        **fields,
    )


def test_back_faces_are_culled_unless_double_sided():
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    for sided, pose, seen in ((False, None, True), (False, flip, False), (True, flip, True), (False, mirror, True)):
        frames = fs.render(facing(square(fs.Material(double_sided=sided)), pose), (16, 16), ("instance_id", "normals"))
        assert bool((frames.instance_id >= 0).any()) == seen
        if seen:
            torch.testing.assert_close(frames.normals[0, :, 8, 8], torch.tensor([0.0, 0.0, -1.0]))


def test_alpha_masks_cut_holes():
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:, :4] = 255
    material = fs.Material(base_texture=picture, alpha_cutoff=0.5, wrap="clamp")
    ids = fs.render(facing(square(material)), (32, 32), ("instance_id", "total_pixels"))
    assert (ids.instance_id[0, :, 4:15] == 0).all() and (ids.instance_id[0, :, 17:28] == -1).all()
    assert ids.total_pixels[0, 0] == (ids.instance_id >= 0).sum()


def test_textures_repeat_clamp_and_mirror():
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 4:] = 255
    plane = fs.procedural.plane(2.0)
    expected = {"repeat": [0, 1, 0, 1], "mirror": [0, 1, 1, 0], "clamp": [0, 1, 1, 1]}
    for wrap, columns in expected.items():
        material = fs.Material(base_texture=picture, wrap=wrap)
        mesh = fs.Mesh(plane.vertices, plane.faces, plane.normals, plane.uvs * [2, 1], materials=(material,))
        batch = facing(fs.pack([mesh]), tone="linear", ambient=None).replace(filter="bilinear")
        rgb = fs.render(batch, (64, 64), ("rgb",)).rgb[0, 0, 32]
        # The plane spans columns -7.6 to 71.6; quarters of it are 19.8 wide.
        assert [round(float(rgb[int(2 + 19.8 * i)] > 0.15)) for i in range(4)] == columns, wrap


def test_vertex_colours_tint():
    mesh = fs.procedural.plane(2.0)
    colors = np.array([[255, 0, 0, 255]] * 4, np.uint8)
    mesh = fs.Mesh(mesh.vertices, mesh.faces, mesh.normals, mesh.uvs, colors)
    rgb = fs.render(facing(fs.pack([mesh])), (8, 8), ("rgb",)).rgb[0, :, 4, 4]
    assert rgb[0] > 0.3 and rgb[1] == rgb[2] == 0


def test_camera_inside_a_box_sees_nothing_but_the_box():
    box = fs.procedural.box((2.0, 2.0, 2.0))
    assets = fs.pack(
        [fs.Mesh(box.vertices, box.faces, box.normals, box.uvs, materials=(fs.Material(double_sided=True),))]
    )
    camera = fs.Pinhole.look_at(eye=(0.3, -0.2, 0.1), target=(1, 0.4, 0.2), fov=fs.deg(100))
    batch = fs.SceneBatch(
        assets=assets,
        mesh_id=torch.zeros(1, 1, dtype=torch.int32),
        world_from_object=torch.eye(4).reshape(1, 1, 4, 4),
        **camera.fields(),
    )
    frames = fs.render(batch, (96, 128), ("instance_id", "depth", "object_coordinates"))
    assert (frames.instance_id == 0).all()
    assert (frames.object_coordinates.abs().amax(1) - 1).abs().max() < 1e-4, "every pixel lies on a wall"


def test_rgb_only_is_the_same_as_with_everything(products):
    batch = scene_of(products).sample(2, seed=8)
    everything = fs.render(batch, (40, 40), OUTPUTS)
    for name in OUTPUTS:
        alone = fs.render(batch, (40, 40), (name,))
        assert list(alone.outputs) == [name] and torch.equal(alone.outputs[name], everything.outputs[name])


def test_empty_scenes(products):
    batch = scene_of(products).sample(2, seed=0)
    empty = batch.replace(mesh_id=torch.full_like(batch.mesh_id, -1))
    frames = fs.render(empty, (16, 16), OUTPUTS)
    assert (frames.instance_id == -1).all() and (frames.boxes_2d_loose == 0).all()
    assert fs.render(batch[:0], (16, 16), OUTPUTS).rgb.shape == (0, 3, 16, 16)


def test_poses_that_are_not_finite_or_flat_draw_nothing(products):
    batch = scene_of(products, count=2).sample(2, seed=0)
    poses = batch.world_from_object.clone()
    poses[0, 0] = float("nan")
    poses[0, 1] = float("inf")
    poses[1, 0, :3, :3] = 0
    frames = fs.render(batch.replace(world_from_object=poses), (32, 32), OUTPUTS)
    assert (frames.instance_id[0] == -1).all() and not (frames.instance_id[1] == 0).any()
    assert frames.rgb.isfinite().all()


def test_errors_say_what_to_do(products):
    batch = scene_of(products, count=2).sample(1)
    with pytest.raises(ValueError, match="no output 'color'. Available: rgb"):
        fs.render(batch, (8, 8), ("color",))
    with pytest.raises(ValueError, match="`size` must be"):
        fs.render(batch, (0, 8))
    with pytest.raises(ValueError, match="`samples` must be 1, 4 or 16"):
        fs.render(batch, (8, 8), samples=2)
    with pytest.raises(AttributeError, match="`depth` was not drawn. Ask for it"):
        _ = fs.render(batch, (8, 8), ("rgb",)).depth
    assert fs.render(batch, (8, 8), ("instance_id",)).check() == 0
    with pytest.raises(RuntimeError, match="a mesh that the assets do not have"):
        fs.render(batch.replace(mesh_id=batch.mesh_id + 1000), (8, 8))
    with pytest.raises(ValueError, match="`intrinsics` must have shape"):
        batch.replace(intrinsics=torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="at most 16 lights"):
        batch.replace(**{k: getattr(batch, k)[:, :1].repeat_interleave(17, 1) for k in LIGHT_FIELDS})


LIGHT_FIELDS = ("light_kind", "light_position", "light_direction", "light_color", "light_cone")


def test_every_instruction_set_draws_the_same_bits():
    """All outputs of a scene, drawn by processes that run the kernels of a lesser machine."""
    build = json.loads(fs.ops.build_info())
    program = (
        "import hashlib, fastsynth as fs\n"
        "from fastsynth.types import OUTPUTS\n"
        "scene = fs.Scene(fs.Objects(fs.procedural.products(1, texture_size=32), count=6), shading='ggx',\n"
        "                 light=fs.DirectionalLight(), sensor=fs.Sensor(noise=0.02, blur=0.004))\n"
        "frames = fs.render(scene.sample(3, seed=1), (70, 90), OUTPUTS)\n"
        "for name, value in frames.outputs.items():\n"
        "    print(name, hashlib.sha256(value.numpy().tobytes()).hexdigest())\n"
    )
    drawn = {}
    for isa in build["isas"].split():
        environment = {**os.environ, "FASTSYNTH_ISA": isa}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        drawn[isa] = done.stdout
    assert len(drawn["base"].splitlines()) == len(OUTPUTS)
    assert len(set(drawn.values())) == 1, "\n".join(f"{isa}:\n{text}" for isa, text in drawn.items())
