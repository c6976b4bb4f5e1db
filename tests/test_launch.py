"""How kernels are launched on CUDA: grid, block and shared memory within every card's limits, whatever the sizes."""

import dataclasses

import pytest
import torch
from test_compose import make_batch
from test_kernels import BUDGETS, OTHERS, SHARED_BYTES
from test_ops import CASES, run

import fastsynth as fs

# The same for compute capability 7.5 to 12.0: CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability". Parameters: 4 KB before CUDA 12.1.
MOST_THREADS, MOST_BLOCKS, REGISTERS, PARAMETERS, WARP = 1024, 2**31 - 1, 65536, 4096, 32


def nothing(launched):
    """No block is run: only how kernels would be launched is of interest."""
    return ()


def batch_of(images):
    """The first image's fields again and again."""
    batch = make_batch()
    fields = {
        f.name: getattr(batch, f.name)[:1].expand(images, *getattr(batch, f.name).shape[1:])
        for f in dataclasses.fields(batch)
        if isinstance(getattr(batch, f.name), torch.Tensor)
    }
    return dataclasses.replace(batch, **{k: v.contiguous() for k, v in fields.items()})


def assert_within_limits(launches):
    assert launches
    for each in launches:
        assert each.threads % WARP == 0 and each.threads <= MOST_THREADS, each
        assert 1 <= each.blocks <= MOST_BLOCKS and each.blocks == min(each.tiles, MOST_BLOCKS), each
        assert each.shared_bytes <= SHARED_BYTES, each
        assert each.threads * BUDGETS.get(each.kernel, OTHERS)[0] <= REGISTERS, each


@pytest.mark.parametrize("name", CASES)
def test_every_op(name, interpreter):
    with interpreter.running(choose=nothing) as launches:
        run(name)
    assert_within_limits(launches)


def test_parameters_fit(interpreter):
    assert max(kernel.param_bytes for kernel in interpreter.kernels.values()) <= PARAMETERS


@pytest.mark.parametrize(
    ("images", "size", "tiles"), [(65536, (64, 64), 65536), (1, (8192, 8192), 16384), (3, (65, 1), 6)]
)
def test_a_tile_for_every_64_pixels(images, size, tiles, interpreter):
    with interpreter.running(choose=nothing) as launches:
        fs.render(batch_of(images), size, ("instance_id", "boxes_2d_tight"))
    assert_within_limits(launches)
    by_kernel = {each.kernel: each for each in launches}
    assert by_kernel["Draw"].tiles == tiles
    instances = 3 * images
    assert by_kernel["Prepare"].tiles * by_kernel["Prepare"].threads >= instances


def test_more_numbers_than_31_bits_count(interpreter):
    """The last block, of memory that is never touched but there."""
    count = 2**31 // 3 + 4096  # the last block begins beyond 2^31
    with interpreter.running(choose=lambda launched: [0, launched.blocks - 1]) as launches:
        numbers = fs.ops.normal(torch.tensor([5, 6, 7]), count)
    assert_within_limits(launches)
    assert numbers.numel() > 2**31
    assert torch.equal(numbers[0, :64], fs.ops.normal(torch.tensor([5]), 64)[0])
    tail = numbers.view(-1)[-32:]
    assert (tail != 0).all() and tail.abs().max() < 7 and 0.5 < tail.std() < 1.6


def test_more_pixels_than_31_bits_count(interpreter):
    """The last tile of 33 pictures of 8192 x 8192."""
    batch = batch_of(33)

    def last(launched):
        return range(launched.blocks - 1 if launched.kernel == "Draw" else 0, launched.blocks)

    with interpreter.running(choose=last) as launches:
        ids = fs.render(batch, (8192, 8192), ("instance_id",)).instance_id
    assert ids.numel() > 2**31 and launches[-1].kernel == "Draw"
    expected = fs.render(batch[:1], (8192, 8192), ("instance_id",)).instance_id
    assert torch.equal(ids[-1, -64:, -64:], expected[-1, -64:, -64:])
