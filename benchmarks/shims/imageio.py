"""What nvdiffrast's samples ask of imageio, without a video codec: of a film the last picture is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def imsave(path: str, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3]."""
    Image.fromarray(image).save(path)


class _Writer:
    def __init__(self, path: str):
        self.path, self.last = Path(path).with_suffix(".png"), None

    def append_data(self, image: np.ndarray) -> None:
        self.last = image

    def close(self) -> None:
        if self.last is not None:
            imsave(str(self.path), self.last)


def get_writer(path: str, **options: object) -> _Writer:
    """A film of which only the last picture is written."""
    del options
    return _Writer(path)
