"""Loads the extension library, which registers ``torch.ops.fastsynth``."""

from __future__ import annotations

import torch  # noqa: F401  (libtorch must be in the process before the extension)

try:
    from fastsynth import _C  # pyright: ignore[reportAttributeAccessIssue]
except ImportError as error:  # pragma: no cover - a broken installation
    raise ImportError(
        "fastsynth: the compiled extension could not be loaded "
        f"({error}). Build it with `pip install --no-build-isolation .`; it needs torch >= 2.13 and a C++20 compiler."
    ) from error

build_info = _C.build_info
