"""Datasets: image i is image i, whoever asks for it, and in whatever company."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, Subset
from torchdata.stateful_dataloader import StatefulDataLoader

import fastsynth as fs

SIZE = (24, 32)
LENGTH = 12
# torchdata 0.11 calls torch.set_vital, which torch 2.14 has deprecated.
torchdata_is_behind = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")


def scene(**others):
    parts = fs.procedural.primitives()
    return fs.Scene(
        objects=fs.Objects(parts, count=fs.Choice(range(1, 4)), rotation=fs.UniformRotation()),
        light=fs.DirectionalLight(intensity=fs.LogUniform(0.5, 2.0)),
        background=fs.GradientBackground(),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.3), noise=fs.Uniform(0.0, 0.02)),
        **others,
    )


def dataset(**options):
    options = {"size": SIZE, "annotations": ("boxes_2d_tight", "instance_mask", "depth"), **options}
    return fs.SyntheticDataset(options.pop("scene", None) or scene(), options.pop("length", LENGTH), **options)


@pytest.fixture(scope="module")
def expected():
    """Every image of the dataset, each drawn alone."""
    data = dataset()
    return [data[i] for i in range(LENGTH)]


def check(images, targets, expected):
    """Images and targets are those of their image_id, to the last bit."""
    assert len(images) == len(targets)
    for image, target in zip(images, targets, strict=True):
        wanted_image, wanted = expected[int(target["image_id"])]
        assert torch.equal(image, wanted_image)
        assert target.keys() == wanted.keys()
        for name, value in wanted.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(target[name], value), name
            else:
                assert target[name] == value, name
    return [int(target["image_id"]) for target in targets]


def test_targets(expected):
    for number, (image, target) in enumerate(expected):
        assert image.shape == (3, *SIZE) and image.dtype == torch.float32
        assert 0 <= image.min() and image.max() <= 1
        n = len(target["labels"])
        assert int(target["image_id"]) == number
        assert target["boxes"].shape == (n, 4) and target["boxes"].dtype == torch.float32
        assert target["labels"].dtype == torch.int64 and (target["labels"] >= 1).all()
        assert target["masks"].shape == (n, *SIZE) and target["depth"].shape == SIZE
        left, top, right, bottom = target["boxes"].unbind(-1)
        assert (left < right).all() and (top < bottom).all()
    assert sum(len(target["labels"]) for _, target in expected) > LENGTH // 2
    assert len({image.numpy().tobytes() for image, _ in expected}) == LENGTH


def test_a_batch_in_one_call(expected):
    batch = dataset().__getitems__([7, 0, 11, 7])
    assert len(batch) == 4
    images, targets = fs.collate(batch)
    assert images.shape == (4, 3, *SIZE)
    assert check(images, targets, expected) == [7, 0, 11, 7]
    assert check(*zip(*batch, strict=True), expected) == [7, 0, 11, 7]


def test_one_render_a_batch(monkeypatch):
    calls = []
    from fastsynth import dataset as module

    def counted(batch, *args, **kwargs):
        calls.append(batch.images)
        return render(batch, *args, **kwargs)

    render = module.render
    monkeypatch.setattr(module, "render", counted)
    list(DataLoader(dataset(), batch_size=5, collate_fn=fs.collate))
    assert calls == [5, 5, 2]


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (1, "spawn")])
def test_loaders(expected, batch_size, workers, start):
    if start == "spawn" and batch_size == 1:
        pytest.skip("a fresh interpreter is slow to start, and one batch size is enough to see that it works")
    order = torch.Generator().manual_seed(batch_size)
    loader = DataLoader(
        dataset(),
        batch_size,
        shuffle=True,
        generator=order,
        num_workers=workers,
        multiprocessing_context=start,
        collate_fn=fs.collate,
    )
    seen = [number for images, targets in loader for number in check(images, targets, expected)]
    assert sorted(seen) == list(range(LENGTH)) and seen != sorted(seen)


def test_another_randomizer_beside(expected):
    class Nothing(fs.Randomizer):
        def __init__(self):
            super().__init__()
            self.number = fs.Uniform(0.0, 1.0)

        def forward(self, batch, noise):
            self.number.sample(noise, 100)
            return batch

    check(*fs.collate(dataset(scene=scene(nothing=Nothing())).__getitems__(range(LENGTH))), expected)


def test_seeds_and_epochs_are_other_images(expected):
    data = dataset()
    data.set_epoch(2)
    image, target = data[3]
    assert int(target["image_id"]) == 2 * LENGTH + 3 and not torch.equal(image, expected[3][0])
    assert torch.equal(image, dataset(length=100)[2 * LENGTH + 3][0])
    assert not torch.equal(dataset(seed=1)[3][0], expected[3][0])


@pytest.mark.parametrize("index", [-1, LENGTH, 10**9])
def test_out_of_range(index):
    data = dataset()
    with pytest.raises(IndexError, match="out of range"):
        data[index]
    with pytest.raises(IndexError, match="out of range"):
        data.__getitems__([0, index])


def test_iteration_ends():
    assert len(list(dataset(length=3))) == 3


def test_persistent_workers_see_the_epoch():
    data = dataset(length=4)
    loader = DataLoader(data, 2, num_workers=1, persistent_workers=True, collate_fn=fs.collate)
    for epoch in range(2):
        data.set_epoch(epoch)
        numbers = [int(target["image_id"]) for _, targets in loader for target in targets]
        assert numbers == list(range(4 * epoch, 4 * epoch + 4))


def test_ranks_share_an_epoch(expected):
    seen = []
    for rank in range(2):
        sampler = DistributedSampler(dataset(), num_replicas=2, rank=rank, shuffle=True, seed=3)
        loader = DataLoader(dataset(), 4, sampler=sampler, collate_fn=fs.collate)
        seen += [number for images, targets in loader for number in check(images, targets, expected)]
    assert sorted(seen) == list(range(LENGTH))


def test_subsets(expected):
    loader = DataLoader(Subset(dataset(), [9, 2, 5]), batch_size=3, collate_fn=fs.collate)
    images, targets = next(iter(loader))
    assert check(images, targets, expected) == [9, 2, 5]


@torchdata_is_behind
@pytest.mark.parametrize("workers", [0, 2])
def test_exact_resume(expected, workers):
    def loader():
        torch.manual_seed(1)  # of the sampler's shuffle
        return StatefulDataLoader(dataset(), 3, shuffle=True, num_workers=workers, collate_fn=fs.collate)

    whole = [check(*batch, expected) for batch in loader()]
    first = loader()
    run = iter(first)
    before = [check(*next(run), expected) for _ in range(2)]
    state = pickle.loads(pickle.dumps(first.state_dict()))
    second = loader()
    second.load_state_dict(state)
    after = [check(*batch, expected) for batch in second]
    assert before + after == whole


def test_state():
    data, other = dataset(seed=4), dataset()
    data.set_epoch(3)
    other.load_state_dict(data.state_dict())
    assert torch.equal(data[1][0], other[1][0]) and other.epoch == 3


def test_transform():
    def flip(image, target):
        return image.flip(-1), {**target, "flipped": True}

    plain, flipped = dataset(), dataset(transform=flip)
    assert torch.equal(flipped[2][0], plain[2][0].flip(-1))
    images, targets = fs.collate(flipped.__getitems__([2, 3]))
    assert torch.equal(images[0], plain[2][0].flip(-1)) and targets[0]["flipped"]


def test_annotations_and_filters():
    plain = dataset(annotations=())[0][1]
    assert "masks" not in plain and "depth" not in plain
    with pytest.raises(ValueError, match="no annotation 'boxes'"):
        dataset(annotations=("boxes",))
    every = fs.collate(dataset(min_pixels=1).__getitems__(range(LENGTH)))[1]
    large = fs.collate(dataset(min_pixels=40).__getitems__(range(LENGTH)))[1]
    whole = fs.collate(dataset(min_visible=0.999).__getitems__(range(LENGTH)))[1]
    count = [sum(len(target["labels"]) for target in targets) for targets in (every, large, whole)]
    assert count[0] > count[1] > 0 and count[0] > count[2] > 0
    assert all((target["masks"].flatten(1).sum(1) >= 40).all() for target in large)


def test_what_the_border_cuts_off_can_be_left_out():
    near = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3), fs.Camera(distance=1.5))
    every, held = (
        fs.collate(dataset(scene=near, max_truncation=most).__getitems__(range(LENGTH)))[1] for most in (1.0, 0.4)
    )
    assert 0 < sum(len(target["boxes"]) for target in held) < sum(len(target["boxes"]) for target in every)
    assert all((target["truncation"] <= 0.4).all() for target in held)


def test_uint8():
    image = dataset(rgb_dtype=torch.uint8)[0][0]
    assert image.dtype == torch.uint8 and image.float().std() > 1


def test_a_gpu_scene_in_a_worker_says_so(monkeypatch):
    from fastsynth import dataset as module

    data = dataset(scene=scene().to("meta"))
    monkeypatch.setattr(module, "get_worker_info", lambda: SimpleNamespace(num_workers=1, id=0))
    with pytest.raises(RuntimeError, match="num_workers=0"):
        data[0]


@pytest.mark.cuda
def test_cuda_dataset():
    images, targets = next(iter(DataLoader(dataset(scene=scene().to("cuda")), 6, collate_fn=fs.collate)))
    assert images.device.type == "cuda" and targets[0]["boxes"].device.type == "cuda"
    with pytest.raises(RuntimeError, match="num_workers=0"):
        next(iter(DataLoader(dataset(scene=scene().to("cuda")), 6, collate_fn=fs.collate, num_workers=1)))


def test_stream_is_divided():
    seen = []
    for rank in range(2):
        stream = fs.SyntheticStream(scene(), batch_size=3, size=SIZE, rank=rank, ranks=2)
        batches = iter(DataLoader(stream, batch_size=None, num_workers=2))
        seen += [int(target["image_id"]) for _ in range(4) for target in next(batches)[1]]
        del batches
    assert sorted(seen) == list(range(24))


def test_stream_draws_the_images_of_the_dataset(expected):
    stream = fs.SyntheticStream(scene(), 4, size=SIZE, annotations=("instance_mask", "depth"))
    batches = iter(stream)
    for first in range(0, LENGTH, 4):
        assert check(*next(batches), expected) == list(range(first, first + 4))


def test_stream_resumes():
    stream = fs.SyntheticStream(scene(), 2, size=SIZE)
    batches = iter(stream)
    next(batches)
    state = stream.state_dict()
    expected, _ = next(batches)
    other = fs.SyntheticStream(scene(), 2, size=SIZE, seed=9)
    other.load_state_dict(state)
    assert torch.equal(next(iter(other))[0], expected)
    assert next(iter(other))[1][0]["image_id"] == 0  # only the next iteration goes on


@torchdata_is_behind
def test_stream_resumes_in_workers():
    def loader():
        return StatefulDataLoader(fs.SyntheticStream(scene(), 2, size=SIZE), batch_size=None, num_workers=2)

    first = loader()
    run = iter(first)
    for _ in range(3):
        next(run)
    state = first.state_dict()
    expected = [[int(t["image_id"]) for t in next(run)[1]] for _ in range(3)]
    second = loader()
    second.load_state_dict(state)
    resumed = iter(second)
    assert [[int(t["image_id"]) for t in next(resumed)[1]] for _ in range(3)] == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dataset(length=0), "at least 1"),
        (lambda: dataset().set_epoch(-1), "not be negative"),
        (lambda: fs.SyntheticStream(scene(), 2, size=SIZE, rank=0), "neither"),
        (lambda: fs.SyntheticStream(scene(), 2, size=SIZE, rank=2, ranks=2), r"\[0, 2\)"),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()
