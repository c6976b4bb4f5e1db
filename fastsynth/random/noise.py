"""Named uniform numbers: every draw is a pure function of a seed, an index and a name.

Number i of a stream is a 24-bit fraction from Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as
1, 2, 3", SC 2011). Key: SplitMix64's finalizer (Steele et al., "Fast Splittable Pseudorandom Number Generators",
OOPSLA 2014) of ``seed + 0x9E3779B97F4A7C15 * stream``, as two words; counter: ``i >> 2`` and the two words of the
index; word ``i & 3`` of the block, its upper 24 bits. ``stream`` is the first eight bytes of the name's BLAKE2b.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from fastsynth.random.decisions import Decisions


def stream_number(name: str) -> int:
    """The number of the stream of this name, as a signed 64-bit integer.

    Example:
        >>> stream_number("camera.distance") == stream_number("camera.distance") != stream_number("camera.roll")
        True
    """
    return _stream_number(name)


# What torch.compiler.assume_constant_result does, without its import of the compiler: a hash cannot be traced.
stream_number._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


@functools.lru_cache(maxsize=4096)
def _stream_number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode()).digest()[:8], "little", signed=True)


@dataclass(frozen=True)
class Noise:
    """The source of everything random in a batch of images.

    What is drawn for an image depends on the seed, the image's index and the name of the draw, and on nothing
    else: not on the batch around it, the device, or what else is drawn.

    Attributes:
        seed: Any integer; taken modulo 2^64.
        index: Which images, int64 [B].
        path: Prefix of the names of all draws.
        names: Names of the distributions and randomizers of a scene, filled in by `Scene`.
        aspect: Width over height of the images to be drawn. Not random; here because what fills an image, a
            photograph or a frustum, must know it.
        decisions: Where discrete draws are noted down, or made; see `Decisions`.

    Example:
        >>> noise = Noise(seed=0, index=torch.arange(3))
        >>> noise.uniform((2,), "spot").shape
        torch.Size([3, 2])
        >>> alone = Noise(seed=0, index=torch.tensor([2]))
        >>> bool((alone.uniform((2,), "spot") == noise.uniform((2,), "spot")[2:]).all())
        True
    """

    seed: int
    index: Tensor
    path: str = ""
    names: Mapping[nn.Module, str] = field(default_factory=dict, repr=False)
    aspect: float = 1.0
    decisions: Decisions | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the index."""
        if not isinstance(self.index, Tensor) or self.index.dtype != torch.int64 or self.index.ndim != 1:
            given = (
                f"{self.index.dtype} {list(self.index.shape)}" if isinstance(self.index, Tensor) else repr(self.index)
            )
            raise TypeError(f"Noise: `index` must be an int64 tensor [B], but is {given}. Use torch.arange(B).")

    @property
    def images(self) -> int:
        """B, the number of images."""
        return self.index.shape[0]

    def child(self, name: str) -> Noise:
        """The same noise with one more name in front of every draw.

        Example:
            >>> Noise(0, torch.arange(1)).child("camera").child("distance").path
            'camera.distance'
        """
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def of(self, module: nn.Module) -> Noise:
        """The noise of a distribution or a randomizer: under its path in the scene, or else its own name."""
        name = self.names.get(module) or getattr(module, "name", "")
        return self.child(name) if name else self

    def note(self, value: Tensor, name: str = "") -> None:
        """Write down what was drawn, [B, ...], for ``SceneBatch.params``: under the path, and `name` below it."""
        if self.decisions is not None:
            self.decisions.name(f"{self.path}.{name}" if self.path and name else self.path or name, value)

    def uniform(self, tail: int | tuple[int, ...] = (), stream: str = "") -> Tensor:
        """Uniform numbers in [0, 1), multiples of 2^-24: float32 [B, *tail].

        Args:
            tail: Axes after the first. Element i, counted in row-major order, does not depend on the sizes.
            stream: Name of the draw, below `path`.
        """
        tail = (tail,) if isinstance(tail, int) else tail
        name = f"{self.path}.{stream}" if self.path and stream else self.path or stream
        seed = (self.seed + 2**63) % 2**64 - 2**63
        flat = torch.ops.fastsynth.uniform(self.index, seed, stream_number(name), math.prod(tail))
        return flat.view(self.index.shape[0], *tail)
