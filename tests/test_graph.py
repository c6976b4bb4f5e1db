"""Steps captured once and replayed: the bookkeeping on any machine, the graph itself where there is a GPU."""

from __future__ import annotations

import pytest
import torch
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader

import fastsynth as fs
from fastsynth.graph import Graphed

SIZE = (24, 32)
LENGTH = 12


class StandIn:
    """Captures by remembering the step: a replay runs it again and, like a graph, writes over what it wrote before."""

    def __init__(self):
        self.events = []

    def warm_up(self, device, step):
        self.events.append(f"warm up {len(step()['index'])}")

    def capture(self, device, step):
        out = step()
        size = len(out["index"])
        self.events.append(f"capture {size}")

        def replay():
            self.events.append(f"replay {size}")
            new = step()
            for name, value in out.items():
                value.copy_(new[name])

        return replay, out


class Squares:
    """A step that counts its calls and answers with the very tensor it was given, as image numbers are."""

    def __init__(self):
        self.calls = 0

    def __call__(self, index):
        self.calls += 1
        return {"index": index, "square": index * index}


def graphed():
    backend, step = StandIn(), Squares()
    return Graphed(step, backend), backend.events, step


def test_captured_once_and_replayed():
    run, events, _ = graphed()
    for first in (0, 3, 6):
        out = run(torch.arange(first, first + 3))
        assert out["square"].tolist() == [i * i for i in range(first, first + 3)]
    assert events == ["warm up 3", "capture 3"] + ["replay 3"] * 3


def test_what_is_given_out_is_left_alone():
    run, _, _ = graphed()
    first = run(torch.tensor([1, 2]))
    run(torch.tensor([8, 9]))
    assert first["square"].tolist() == [1, 4] and first["index"].tolist() == [1, 2]


def test_the_given_indices_are_left_alone():
    run, _, _ = graphed()
    index = torch.tensor([1, 2])
    run(index)
    run(torch.tensor([8, 9]))
    assert index.tolist() == [1, 2]


def test_a_smaller_batch_runs_without_the_graph():
    run, events, step = graphed()
    run(torch.arange(4))
    calls, before = step.calls, list(events)
    assert run(torch.tensor([5]))["square"].tolist() == [25]
    assert events == before and step.calls == calls + 1
    run(torch.arange(4))
    assert events == [*before, "replay 4"]


def test_a_larger_batch_captures_anew():
    run, events, _ = graphed()
    run(torch.arange(1))
    assert run(torch.arange(4))["square"].tolist() == [0, 1, 4, 9]
    assert events == ["warm up 1", "capture 1", "replay 1", "warm up 4", "capture 4", "replay 4"]


def test_another_key_captures_anew():
    run, events, _ = graphed()
    for key in ("a", "a", "b"):
        run(torch.arange(2), key)
    assert events.count("capture 2") == 2 and events.count("replay 2") == 3


def test_a_failed_capture_leaves_nothing_behind():
    run, events, _ = graphed()
    run(torch.arange(2))
    capture = run.backend.capture
    run.backend.capture = lambda device, step: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(torch.arange(2), "other key")
    run.backend.capture = capture
    assert run(torch.arange(2), "other key")["square"].tolist() == [0, 1]


def scene():
    return fs.Scene(
        objects=fs.Objects(fs.procedural.primitives(), count=fs.Choice(range(1, 4)), rotation=fs.UniformRotation()),
        light=fs.DirectionalLight(intensity=fs.LogUniform(0.5, 2.0)),
        sensor=fs.Sensor(exposure=fs.Normal(0.0, 0.3), blur=fs.Uniform(0.0, 0.01), noise=fs.Uniform(0.0, 0.02)),
    )


def dataset(**options):
    options = {"size": SIZE, "annotations": ("instance_mask", "depth"), "padded": True, **options}
    return fs.SyntheticDataset(options.pop("scene", None) or scene(), LENGTH, **options)


def listed(images, targets):
    """Padded targets of a batch as one dict an image."""
    return [(image, {name: value[row] for name, value in targets.items()}) for row, image in enumerate(images)]


def same(pairs, expected):
    for (image, target), (wanted_image, wanted) in zip(pairs, expected, strict=True):
        assert torch.equal(image, wanted_image) and target.keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.equal(target[name], value), name
    return True


def test_padded_batches_hold_the_targets():
    images, padded = fs.collate(dataset().__getitems__(range(LENGTH)))
    plain = fs.collate(dataset(padded=False).__getitems__(range(LENGTH)))
    assert torch.equal(images, plain[0]) and padded["boxes"].shape == (LENGTH, 3, 4)
    for row, target in enumerate(plain[1]):
        valid = padded["valid"][row]
        for name in ("boxes", "labels", "masks", "area", "instance"):
            assert torch.equal(padded[name][row][valid], target[name]), name
        assert torch.equal(padded["depth"][row], target["depth"]) and padded["image_id"][row] == target["image_id"]


def test_padded_images_are_those_of_the_batch():
    data = dataset()
    batch = data.__getitems__([7, 0])
    assert len(batch) == 2 and same([data[7], data[0]], [batch[0], batch[1]])
    stream = fs.SyntheticStream(scene(), 3, size=SIZE, annotations=("instance_mask", "depth"), padded=True)
    for batches in (DataLoader(data, 3, collate_fn=fs.collate), DataLoader(stream, batch_size=None)):
        assert same(listed(*next(iter(batches))), [data[i] for i in range(3)])


def test_a_dataset_replays_its_batches():
    """Everything but the graph: the scene is on the CPU, and the stand-in replays it."""
    data, plain = dataset(), dataset()
    backend = BatchStandIn()
    data._drawer.graph = Graphed(data._drawer.step, backend)
    loader = DataLoader(data, 5, collate_fn=fs.collate)
    got = [pair for batch in loader for pair in listed(*batch)]
    assert same(got, [plain[i] for i in range(LENGTH)])
    assert backend.replays == 2  # the last batch, of two, is drawn without
    data.set_epoch(1)
    plain.set_epoch(1)
    assert same(listed(*fs.collate(data.__getitems__(range(5)))), [plain[i] for i in range(5)])
    assert (backend.captures, backend.replays) == (1, 3)
    data.load_state_dict({"seed": 9, "epoch": 0})  # a seed is a number in the graph
    assert same(listed(*fs.collate(data.__getitems__(range(5)))), [dataset(seed=9)[i] for i in range(5)])
    assert backend.captures == 2


class BatchStandIn:
    """As `StandIn`, for images and targets."""

    captures = replays = 0

    def warm_up(self, device, step):
        step()

    def capture(self, device, step):
        self.captures += 1
        images, targets = out = tree_map_only(torch.Tensor, torch.clone, step())

        def replay():
            self.replays += 1
            new_images, new_targets = step()
            images.copy_(new_images)
            for name, value in new_targets.items():
                targets[name].copy_(value)

        return replay, out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": True}, r'`graph=True` needs a CUDA scene, but this one lives on cpu. Move it by scene.to\("cuda"\)'),
        ({"graph": True, "padded": False}, "Ask for `padded=True` too"),
        ({"transform": lambda image, target: (image, target)}, "`transform` takes the objects of one image"),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        dataset(**options)
    with pytest.raises(ValueError, match=message):
        fs.SyntheticStream(scene(), 2, size=SIZE, **{"padded": True, **options})


@pytest.mark.cuda
def test_a_graph_draws_the_images_of_the_dataset():
    there = scene().to("cuda")
    plain = dataset(scene=there)
    data = dataset(scene=there, graph=True)
    loader = DataLoader(data, 5, collate_fn=fs.collate)
    for _ in range(2):  # of the second epoch nothing is captured
        kept = [pair for batch in loader for pair in listed(*batch)]  # all at once: none is written over
        assert same(kept, [plain[i] for i in range(LENGTH)])


@pytest.mark.cuda
def test_a_replayed_batch_waits_for_nothing():
    data = dataset(scene=scene().to("cuda"), graph=True)
    data.__getitems__(range(4))
    torch.cuda.set_sync_debug_mode("error")
    try:
        images, targets = fs.collate(data.__getitems__(range(4, 8)))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert images.is_cuda and targets["valid"].is_cuda


@pytest.mark.cuda
def test_a_graph_sees_bounds_that_change_in_place():
    there = scene().to("cuda")
    data = dataset(scene=there, graph=True)
    before = data.__getitems__(range(4)).images
    there.light.intensity.low.fill_(4.0)
    there.light.intensity.high.fill_(4.0)
    after = data.__getitems__(range(4)).images
    assert not torch.equal(before, after) and torch.equal(after, dataset(scene=there).__getitems__(range(4)).images)


@pytest.mark.cuda
def test_a_graph_is_captured_and_replayed_on_a_stream_of_the_callers():
    there = scene().to("cuda")
    expected = dataset(scene=there).__getitems__(range(4)).images
    data, stream = dataset(scene=there, graph=True), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            images = data.__getitems__(range(4)).images
    stream.synchronize()
    assert torch.equal(images, expected)
