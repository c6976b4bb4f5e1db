"""No step of a batch waits for the GPU: shown on fake CUDA tensors, which need none, and by the compiler.

Three things make the host wait: a value that it reads, a shape that depends on values, and a copy that is not left to
the stream. `FakeTensorMode` has shapes but no values, so the first two are errors in it; `Watch` sees the third. What
the kernels themselves do inside is not seen here: ``test_streams.py`` asks that of a real GPU.
"""

from __future__ import annotations

import contextlib
import functools

import pytest
import torch
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import fastsynth as fs
from fastsynth import random, randomizers
from fastsynth.types import OUTPUTS

aten = torch.ops.aten
SIZE = HEIGHT, WIDTH = 24, 32
IMAGES = 3
EVERY_TARGET = {"min_visible": 0.1, "padded": True}


class Wait(AssertionError):
    """The host would wait for the GPU."""


class Watch(TorchDispatchMode):
    """Raises `Wait` at every copy between host and GPU that waits.

    To the host: all of them, since the host is about to read. From the host: those without ``non_blocking=True``. With
    it, a copy from ordinary memory of up to 64 KB, such as a batch's indices, is staged at once and waits for nothing
    (CUDA programming guide, "Asynchronous concurrent execution").
    """

    from_host = 0  # copies that were allowed
    # They read a result back inside, without showing it in their shapes.
    READ_BACK = (aten._linalg_check_errors.default,)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        given, out = kinds(args, kwargs), kinds(made)
        if ("cuda" in given and "cpu" in out) or func in self.READ_BACK:
            raise Wait(f"{func}: a copy to the host")
        if func is aten._to_copy.default:
            blocks = "cpu" in given and "cuda" in out and not kwargs.get("non_blocking")
        elif func is aten.copy_.default:
            blocks = "cpu" in kinds(args[1]) and "cuda" in out and not (args[2:] or [kwargs.get("non_blocking")])[0]
        else:
            blocks = False
        if blocks:
            raise Wait(f"{func}: a copy from the host that waits")
        if func in (aten._to_copy.default, aten.copy_.default):
            self.from_host += "cpu" in given and "cuda" in out
        return made


def kinds(*tree):
    """Kinds of device of all tensors in it."""
    return {leaf.device.type for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)}


@contextlib.contextmanager
def fake_gpu(scene):
    """The scene on a GPU that is not there, watched."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        scene = scene.to("cuda")
        mode.allow_non_fake_inputs = False
        with Watch() as scene.watch:
            yield scene


def photos():
    return fs.Textures.from_images([torch.full((8, 6 + row, 3), 60 * row, dtype=torch.uint8) for row in range(3)])


def crowd():
    parts, frustum = fs.procedural.primitives(), fs.FrustumPosition(depth=fs.Uniform(2.0, 5.0), margin=0.1)
    separate = {"separate": True, "position": frustum, "rotation": fs.UniformRotation()}
    return fs.Scene(
        [
            fs.Objects(parts, count=fs.Choice(range(1, 4)), **separate),
            fs.Objects(
                parts, position=fs.Normal((0, 0, 0), 1.0), scale=fs.Triangular(0.5, 1.0, 2.0), layer=fs.Choice([0, 2])
            ),
        ],
        fs.Camera(roll=fs.Normal(0.0, 0.1), fov=fs.Uniform(0.6, 0.9)),
        [
            fs.DirectionalLight(intensity=fs.LogUniform(0.5, 2.0), probability=0.5),
            fs.PointLight(position=fs.UniformSphere(), intensity=fs.LogNormal(0.0, 0.2)),
            fs.SpotLight(position=(0, 0, 3), angle=fs.TruncatedNormal(0.5, 0.1, 0.3, 0.7), intensity=9.0),
            fs.Ambient(fs.Uniform(0.1, 0.3)),
            fs.SkyAmbient(),
        ],
        fs.ImageBackground(photos(), probability=0.7),
        fs.Materials(fs.Uniform(0.2, 1.0), fs.Uniform(0, 1), fs.Uniform(0.2, 0.9), photos(), probability=0.5),
        fs.Sensor(
            fs.Normal(0.0, 0.3), fs.Normal(0.0, 0.1), blur=fs.Uniform(0.0, 0.01), noise=fs.Uniform(0, (0.02, 0.01))
        ),
        shading="ggx",
        tone="filmic",
    )


@functools.cache
def products():
    return fs.procedural.products()


def wider(assets):
    """A linear model of the first mesh."""
    vertices = assets.vertices[: assets.meshlets[0, 1]].cpu()
    return fs.ShapeBasis(vertices, vertices[None] * torch.tensor([1.0, 0.0, 0.0]), [0.1])


def table():
    plane = fs.OnPlane(fs.Uniform((-0.5, -0.5), (0.5, 0.5)))
    return fs.Scene(
        fs.Objects(products(), count=4, position=plane, up="y", scale=fs.Uniform((1, 1, 1), (1, 1, 2))),
        fs.CameraPose(fs.Pinhole.look_at(eye=(0, -1, 0.5), target=(0, 0, 0), fov=fs.deg(40))),
        fs.DirectionalLight(),
        [fs.ColorBackground(), fs.GradientBackground()],
        fs.Materials(textures=fs.ProceduralTextures(pool=5), probability=0.5, hue=fs.Uniform(-0.5, 0.5)),
        sensor=fs.Sensor(noise=fs.Uniform(0.0, 0.02)),
        shading="blinn_phong",
        filter="bilinear",
        soft=fs.Deform([fs.Lattice(size=3), fs.Twist(), fs.Dent()], level=2),
        shape=fs.Deform(wider(products()), [0], normals="area"),
        turn=fs.augment.RandomAffine(fs.Uniform(-0.2, 0.2), fs.LogUniform(0.8, 1.2), (0.1, 0.0), horizontal_flip=0.5),
        crop=fs.augment.RandomCrop(),
    )


def plain():
    parts = fs.procedural.primitives()
    weather = random.Table({"clear": {"ev": 0.0}, "dull": {"ev": [-2.0, -1.0]}})
    return fs.Scene(
        [fs.Objects(parts), fs.Setting(parts, [5], present=fs.Choice([0, 1]))],
        [fs.AimedCamera(eye=fs.Uniform((2, -3, 1), (3, -2, 2))), fs.CameraJitter(roll=fs.Uniform(-0.1, 0.1))],
        fs.PointLights(fs.Choice([1, 2]), fs.Uniform((-1, -1, 1), (1, 1, 2)), directional=0.5),
        materials=[
            fs.Materials(textures=fs.ProceduralTextures()),
            fs.Only(fs.Materials(base_color=fs.Uniform(0.5, 1.0)), [0, 1]),
        ],
        sensor=fs.Sensor(weather["ev"]),
    )


def sky():
    lamp = {"position": fs.Uniform((-1, -1, 2), (1, 1, 3)), "shadow": fs.Uniform(0.0, 0.1)}
    scene = fs.Scene(
        fs.Objects(fs.procedural.primitives(), count=2),
        light=[
            fs.EnvironmentLight(skies(), exposure=fs.Normal(0.0, 0.5)),
            fs.DirectionalLight(probability=0.5, shadow=True),
            fs.PointLight(position=(0, 0, 2)),
            fs.SpotLight(**lamp),
        ],
        shading="ggx",
    )
    return scene


@functools.cache
def skies():
    return fs.procedural.environments(2, height=16)


def packed():
    parts, order = fs.procedural.primitives(lod=False), fs.schedule.Nested((2, 3), scale=2, turn=2, kind=2)
    kind, turn = order.choice("kind", [0, 3]), order.choice("turn", fs.schedule.views()[:2, 0])
    ball = fs.schedule.Stratified([0.0, 1.0], [2, 1])
    return fs.Scene(
        [
            fs.Packed(parts, order.count(), kind, fs.FrustumPosition(order.choice("scale", [6.0, 8.0])), turn, tries=4),
            fs.Limits(rows=16),
            fs.Occluders(parts, fs.schedule.Ledger(parts, [1, 2]), layer=2),
            fs.Clutter(parts, passes=2, models=9, rows=12),
        ],
        light=fs.PointLight((0, 0, 3), fs.schedule.Rare([1.0, 9.0], [0.9, 0.1]), color=ball),
    )


def fisheye():
    lens = fs.Lens("fisheye", fs.Normal((0.02, 0.0, 0.0, 0.0), 0.01), angle=1.7)
    return fs.Scene(
        fs.Objects(fs.procedural.primitives(), count=2, position=fs.FrustumPosition(fs.Uniform(2.0, 5.0))),
        fs.Camera(fov=3.0, lens=lens),
        fs.DirectionalLight(),
        fs.GradientBackground(),
    )


def wide_angle():
    lens = fs.Lens("radial_tangential", fs.Normal((-0.2, 0.05, 0.0, 0.0), 0.01))
    return fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(fov=1.2, lens=lens))


SCENES = {
    "sky": sky,
    "crowd": crowd,
    "table": table,
    "plain": plain,
    "packed": packed,
    "fisheye": fisheye,
    "wide_angle": wide_angle,
}
scenes = pytest.mark.parametrize("make", SCENES.values(), ids=SCENES)


def shapes(tensors):
    return {name: (tuple(value.shape), value.dtype) for name, value in tensors.items()}


def test_the_scenes_hold_every_randomizer_and_distribution():
    held = {type(module).__name__ for make in SCENES.values() for module in make().modules()}
    public = [*random.__all__, *fs.augment.__all__]
    wanted = set(randomizers.__all__) | {name for name in public if name[0].isupper()}
    abstract = {"Decisions", "Deformer", "Distribution", "Learnable", "Noise", "Placement", "RandomWarp", "Table"}
    assert wanted - held == abstract


@scenes
def test_sampling_does_not_wait(make):
    expected = make().sample(IMAGES, aspect=WIDTH / HEIGHT).tensors()
    for images in (lambda: IMAGES, lambda: [4, 0, 9], lambda: torch.arange(3), lambda: torch.arange(3, device="cuda")):
        with fake_gpu(make()) as scene:
            drawn = scene.sample(images(), aspect=WIDTH / HEIGHT).tensors()
        assert kinds(drawn) == {"cuda"} and all(isinstance(value, FakeTensor) for value in drawn.values())
        assert shapes(drawn) == shapes(expected)


@scenes
@pytest.mark.parametrize("samples", [1, 4])
def test_drawing_does_not_wait(make, samples):
    options = {"outputs": OUTPUTS, "samples": samples, "rgb_dtype": torch.uint8}
    expected = fs.render(make().sample(IMAGES), SIZE, **options).outputs
    with fake_gpu(make()) as scene:
        drawn = fs.render(scene.sample(IMAGES), SIZE, **options).outputs
    assert kinds(drawn) == {"cuda"} and shapes(drawn) == shapes(expected) and set(drawn) == set(OUTPUTS)


@scenes
def test_padded_targets_do_not_wait(make):
    def targets(scene):
        frames = fs.render(scene.sample(IMAGES), SIZE, OUTPUTS)
        points = frames.batch.assets.mesh_bounds[:, None, :3].expand(-1, 2, 3)
        return frames.targets(keypoints=points, **EVERY_TARGET)

    with fake_gpu(make()) as scene:
        padded = targets(scene)
    assert kinds(padded) == {"cuda"} and shapes(padded) == shapes(targets(make()))


@scenes
def test_the_whole_step_of_a_stream_does_not_wait(make):
    def first(scene):
        options = {"annotations": ("instance_mask", *OUTPUTS), "samples": 4, "min_visible": 0.1, "padded": True}
        images, targets = next(iter(fs.SyntheticStream(scene, IMAGES, size=SIZE, **options)))
        return {"images": images, **targets}

    with fake_gpu(make()) as scene:
        drawn = first(scene)
    assert kinds(drawn) == {"cuda"} and shapes(drawn) == shapes(first(make()))


def test_the_whole_step_of_a_dataset_does_not_wait():
    data = fs.SyntheticDataset(crowd(), 8, size=SIZE, annotations=("instance_mask", "depth"), padded=True)
    expected = fs.collate(data.__getitems__([5, 2]))
    with fake_gpu(data.scene):
        drawn = fs.collate(
            data._drawer.draw([5, 2])
        )  # below the epoch, host memory that fake tensors cannot be read in
    assert kinds(drawn) == {"cuda"} and shapes({"": drawn[0], **drawn[1]}) == shapes({"": expected[0], **expected[1]})


@scenes
def test_the_captured_step_copies_nothing_from_the_host(make):
    """A graph would copy again from memory of the host that is long given away."""
    data = fs.SyntheticDataset(make(), 8, size=SIZE, annotations=("instance_mask", *OUTPUTS), padded=True)
    with fake_gpu(data.scene) as scene:
        data._drawer.step(torch.zeros(IMAGES, dtype=torch.int64, device="cuda"))
        assert scene.watch.from_host == 0
        data._drawer.draw([5, 2])
        assert scene.watch.from_host == 1  # the indices


def warped(scene):
    """Everything drawn, turned and resampled to another size."""
    frames = fs.render(scene.sample(IMAGES), SIZE, OUTPUTS)
    angle = frames.batch.exposure + 0.3
    box = frames.batch.photo_crop * 20 + 1
    turn = fs.augment.affine(angle, horizontal_flip=angle > 0)
    return fs.augment.warp_frames(frames, fs.geometry.multiply(fs.augment.crop(box, SIZE, (20, 20)), turn), (20, 20))


@scenes
def test_warping_does_not_wait(make):
    expected = warped(make()).outputs
    with fake_gpu(make()) as scene:
        new = warped(scene)
    assert kinds(new.outputs, new.batch.tensors()) == {"cuda"} and shapes(new.outputs) == shapes(expected)


def test_labels_in_space_do_not_wait():
    with fake_gpu(crowd()) as scene:
        frames = fs.render(scene.sample(IMAGES), SIZE, OUTPUTS)
        made = (
            *(fs.annotate.boxes_3d(frames.batch, SIZE), fs.annotate.poses_6d(frames.batch)),
            *(fs.annotate.amodal(frames), fs.annotate.instance_mask(frames), fs.annotate.semantic_mask(frames)),
        )
    assert kinds(made) == {"cuda"}


def test_listed_targets_wait_at_their_one_copy():
    with fake_gpu(plain()) as scene:
        frames = fs.render(scene.sample(IMAGES), SIZE)
        with pytest.raises(Wait, match="to the host"):
            frames.targets(masks=False)


PLANTED = {
    "item": (lambda x: x.sum().item(), DataDependentOutputException),
    "bool": (lambda x: 1 if x.any() else 0, DataDependentOutputException),
    "tolist": (lambda x: x.tolist(), DataDependentOutputException),
    "equal": (lambda x: torch.equal(x, x + 1), DataDependentOutputException),
    "mask": (lambda x: x[x > 0], DynamicOutputShapeException),
    "nonzero": (lambda x: x.nonzero(), DynamicOutputShapeException),
    "cpu": (lambda x: x.cpu(), Wait),
    "cpu, not blocking": (lambda x: x.to("cpu", non_blocking=True), Wait),
    "copy to the host": (lambda x: torch.zeros(x.shape).copy_(x), Wait),
    "copy from the host": (lambda x: torch.ones(3).to(x.device), Wait),
    "copy into": (lambda x: x.copy_(torch.zeros(x.shape)), Wait),
    "tensor": (lambda x: torch.tensor([1.0, 2.0], device=x.device), Wait),
    "inverse": (lambda x: torch.linalg.inv(x[0]), Wait),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_wait_is_seen(planted):
    class Waits(fs.Randomizer):
        def forward(self, batch, noise):
            act(batch.camera_from_world)
            return batch

    act, error = PLANTED[planted]
    with fake_gpu(fs.Scene(fs.Objects(fs.procedural.primitives()), waits=Waits())) as scene:
        with pytest.raises(error):
            scene.sample(IMAGES)


def test_a_copy_left_to_the_stream_is_no_wait():
    with fake_gpu(plain()):
        assert torch.tensor([1, 2]).to("cuda", non_blocking=True).is_cuda


# Whether there are graph breaks is decided before any backend: "aot_eager" is the cheapest that also runs the fakes and
# the functional form of our operators, and adds the values to what can be compared.
compiled = {"fullgraph": True, "backend": "aot_eager"}


@scenes
def test_sampling_compiles_whole(make):
    torch.compiler.reset()
    scene = make()

    def sample(index):
        return scene.sample(index, seed=3, aspect=WIDTH / HEIGHT).tensors()

    check(sample, torch.tensor([4, 0, 9]))


@scenes
def test_drawing_compiles_whole(make):
    torch.compiler.reset()
    check(lambda batch: fs.render(batch, SIZE, OUTPUTS, samples=4).outputs, make().sample(IMAGES))


@scenes
def test_padded_targets_compile_whole(make):
    torch.compiler.reset()
    frames = fs.render(make().sample(IMAGES), SIZE, OUTPUTS)
    check(lambda frames: frames.targets(**EVERY_TARGET), frames)


def test_warping_compiles_whole():
    torch.compiler.reset()
    frames, turn = fs.render(crowd().sample(IMAGES), SIZE, OUTPUTS), fs.augment.affine(torch.tensor([0.0, 0.4, 3.0]))
    check(lambda frames: fs.augment.warp_frames(frames, turn, (20, 20)).outputs, frames)


def test_the_whole_step_compiles_whole():
    torch.compiler.reset()
    data = fs.SyntheticDataset(crowd(), 8, size=SIZE, annotations=("instance_mask", "depth"), padded=True)

    def step(index):
        images, targets = data._drawer.step(index)
        return {"images": images, **targets}

    check(step, torch.tensor([4, 0, 7]))


def check(step, given):
    """Compiled as one graph, the step gives the same bits."""
    got, expected = torch.compile(step, **compiled)(given), step(given)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(got[name], value), name


def test_a_planted_graph_break_is_seen():
    with pytest.raises(torch._dynamo.exc.Unsupported, match="Data-dependent branching"):
        torch.compile(lambda x: x + 1 if x.any() else x, **compiled)(torch.ones(2))
