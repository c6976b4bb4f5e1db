"""Drawing rates of both workloads by pytest-benchmark.

pytest benchmarks/test_throughput.py --benchmark-json=out.json
"""

from __future__ import annotations

import pytest
import torch
from workloads import OUTPUTS, own, own_scene, standard

import fastsynth as fs

SIZES = (128, 256, 512)


@pytest.mark.parametrize("lod", [False, True], ids=["fine", "lod"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("workload", ["standard", "own"])
def test_draw(benchmark, workload, size, threads, lod):
    batch = (standard if workload == "standard" else own)(lod)
    if batch is None:
        pytest.skip("the standard workload is not beside the repository")
    draw = lambda: fs.render(batch, (size, size), OUTPUTS, rgb_dtype=torch.uint8)  # noqa: E731
    reference = fs.render(batch[:2], (size, size), ("instance_id",)).instance_id
    assert torch.equal(draw().instance_id[:2], reference) and (reference >= 0).any()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        benchmark.extra_info["images"] = batch.images
        benchmark.pedantic(draw, rounds=5, warmup_rounds=1)
    finally:
        torch.set_num_threads(before)
    benchmark.extra_info["images_per_s"] = batch.images / benchmark.stats.stats.median


@pytest.mark.parametrize("size", SIZES)
def test_dataset_step(benchmark, size):
    dataset = fs.SyntheticDataset(own_scene(), length=1 << 30, size=(size, size), annotations=("boxes_2d_tight",))
    images, targets = fs.collate(dataset.__getitems__(list(range(64))))
    assert images.shape == (64, 3, size, size) and len(targets) == 64
    benchmark.extra_info["images"] = 64
    benchmark.pedantic(lambda: dataset.__getitems__(list(range(64))), rounds=5, warmup_rounds=1)
    benchmark.extra_info["images_per_s"] = 64 / benchmark.stats.stats.median
