"""The prediction of `benchmarks/model.py`, on counts that can be reckoned by hand."""

import importlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ptx.record import Launched


@pytest.fixture
def model(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("model")


def test_blocks_at_once(model):
    h100, rtx = model.DEVICES
    launched = Launched("Draw", 1, 1, 256, 48576)
    assert model.blocks_at_once(h100, launched, 128) == 2  # 65536 registers / (128 x 256)
    assert model.blocks_at_once(h100, launched, 32) == 4  # 228 KiB / (48,576 + 1,024 B)
    assert model.blocks_at_once(rtx, launched, 32) == 2  # 100 KiB
    assert model.blocks_at_once(rtx, Launched("Small", 1, 1, 64, 1), 16) == 24  # 1536 threads
    assert model.blocks_at_once(h100, Launched("Tiny", 1, 1, 32, 1), 16) == 32


def test_times(model):
    device = model.Device("hand", 90, 2, 1e6, 3.2e8, 3.2e8, 140, 228 * 1024, 2048)  # a cycle is 1 us
    traffic = Counter(
        {
            **{"global read sectors": 40, "global read sectors new to the block": 10, "global write sectors": 20},
            **{"global read sectors new to the launch": 10, "shared reads": 3, "shared conflicts": 5},
        }
    )
    phases = [
        (7, np.array([[100, 20, 2, 1, 0], [100, 10, 0, 0, 0]])),
        (0, np.array([[4, 4, 0, 0, 0], [2, 2, 0, 0, 0]])),
    ]
    program = SimpleNamespace(traffic=traffic, phases=phases)
    found = model.times(device, program, Launched("K", 1, 1, 64, 0), 32, images=2)
    wait = 20 * 4 + 2 * (40 + (140 - 40) / 4) + 29 + 4 * 4  # a quarter of the sectors come from the second cache
    assert found == pytest.approx(
        {
            "memory": 30 * 32 / 3.2e8 * 1e6 / 2,
            "L2": 30 * 32 / 3.2e8 * 1e6 / 2,
            "L1": 60 * 32 / 128 / 2 / 2,
            "shared": 8 / 2 / 2,
            "instructions": 206 / 4 / 2 / 2,
            "waiting": wait / 32 / 2 / 2,
        }
    )
