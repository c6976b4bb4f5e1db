"""What a user of the command line names: a device, meshes, photographs."""

from __future__ import annotations

import json
from typing import Any

import torch

from fastsynth.ops._library import build_info

#: Said wherever CUDA kernels are missed.
NO_KERNELS = (
    "not built. Install a CUDA toolkit (nvcc), or `pip install fastsynth[cuda-build]`, and install fastsynth again "
    "from its source."
)


def build() -> dict[str, Any]:
    """What the extension was built with: `cuda`, `architectures`, `isa`, `isas`, `compiler`.

    Example:
        >>> "compiler" in build()
        True
    """
    return json.loads(build_info())


def device(name: str | None) -> torch.device:
    """The device of this name; without one, the GPU where there is one and its kernels were built.

    Raises:
        ValueError: the device is not to be had.

    Example:
        >>> device("cpu")
        device(type='cpu')
    """
    built = build()["cuda"]
    if name is None:
        return torch.device("cuda" if built and torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, but is {name!r}.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("--device is cuda, but torch finds no GPU here. Use --device cpu.")
    if name.startswith("cuda") and not built:
        raise ValueError(f"--device is cuda, but the CUDA kernels are {NO_KERNELS}")
    return torch.device(name)
