"""How a time is taken here, and what must stand beside it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, str]:
    """What a reader needs to know to compare two results."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in lines.items()}
        numbers = f"family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"
        cpu = f"{fields.get('model name', cpu)} ({numbers})"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    sources = ["git", "status", "--porcelain", "--", ":/", ":!/benchmarks/results", ":!/README.md"]  # not what we write
    changed = subprocess.run(sources, capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip() + ("+" if changed.stdout.strip() else ""),
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def rate(work: Callable[[], object], images: int, seconds: float) -> float:
    """Images per second of `work`, called for at least `seconds`."""
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        done += images
    return done / (time.perf_counter() - begin)


def alternate(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, float]]:
    """Rates of each side, measured in turns A B A B so that a drifting machine hurts all alike.

    Returns the median, least and largest rate of each, and of each one's ratio to the last, taken round by round.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            taken[name].append(measure())
    last = list(sides)[-1]

    def spread(values: list[float]) -> dict[str, float]:
        return {"median": round(median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}

    result = {name: spread(values) for name, values in taken.items()}
    for name in list(sides)[:-1]:
        result[f"{name} / {last}"] = spread([a / b for a, b in zip(taken[name], taken[last], strict=True)])
    return result


def save(name: str, results: object) -> Path:
    """Writes results with the machine and the commit under ``benchmarks/results``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    return path
