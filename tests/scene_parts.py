"""What tests of scenes put into them."""

from __future__ import annotations

import torch

import fastsynth as fs

PARTS = fs.procedural.primitives()


def photos(*sizes):
    """Grey photographs of these heights and widths."""
    return fs.Textures.from_images([torch.full((*size, 3), 128, dtype=torch.uint8) for size in sizes])
