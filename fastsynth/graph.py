"""A step captured once in a CUDA graph and replayed for every batch: one launch in place of a thousand.

A replay runs the kernels of the capture on the memory of the capture, so that everything a step reads must stay where
it was: the indices are copied into a tensor that the graph owns, and the results are copied out of those it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

WARM_UPS = 3  # first calls allocate and load kernels, which a capture must not


class Backend(Protocol):
    """What a capture needs of a device; tests put a stand-in in its place."""

    def warm_up(self, device: torch.device, step: Callable[[], Any]) -> None:
        """Run `step` as the capture will, but without recording."""

    def capture(self, device: torch.device, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Run `step` once, recording: what replays it, and the tensors that every replay writes."""
        ...


class Cuda:
    """Capture in a `torch.cuda.CUDAGraph`."""

    def warm_up(self, device: torch.device, step: Callable[[], Any]) -> None:
        """Run `step` on a side stream, as a capture does; the current stream goes on when it is done."""
        with torch.cuda.device(device):
            here, side = torch.cuda.current_stream(), torch.cuda.Stream()
            side.wait_stream(here)
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    step()
            here.wait_stream(side)

    def capture(self, device: torch.device, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Record `step` in a graph with memory of its own."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device):
            # A stream of this device, as torch's own is of the first device that captured. Only this thread's calls
            # must fit a capture: a loader may pin memory in another meanwhile.
            with torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
                out = step()
        return graph.replay, out


class _Capture(NamedTuple):
    key: Hashable
    static: Tensor  # the indices that every replay reads
    replay: Callable[[], None]
    out: Any  # the tensors that every replay writes


class Graphed:
    """A step of indices that waits for nothing, replayed from a graph where its batch has the size of the graph's.

    The graph is captured at the first call, and anew when a batch is larger or the key has changed. A smaller batch,
    such as the last of an epoch, runs without it. Calls must come from one stream.

    Args:
        step: From indices int64 [B] on the device to tensors, in any nesting of dicts, lists and tuples.
        backend: What captures.

    Example:
        >>> class Eager:
        ...     def warm_up(self, device, step):
        ...         step()
        ...
        ...     def capture(self, device, step):
        ...         out = step()
        ...         return lambda: out.copy_(step()), out
        >>> double = Graphed(lambda index: 2 * index, Eager())
        >>> double(torch.tensor([1, 2])).tolist(), double(torch.tensor([3, 4])).tolist()
        ([2, 4], [6, 8])
    """

    def __init__(self, step: Callable[[Tensor], Any], backend: Backend | None = None) -> None:
        self.step, self.backend = step, backend or Cuda()
        self._held: _Capture | None = None

    def __call__(self, index: Tensor, key: Hashable = None) -> Any:
        """The step's tensors for these indices; copies, which later calls leave alone.

        Args:
            index: int64 [B] on the device.
            key: All that the step depends on beside the indices and the contents of tensors.
        """
        held = self._held
        if held is None or held.key != key or held.static.shape[0] < index.shape[0]:
            self._held = held = None  # give the memory of the last graph back first
            self._held = held = self._capture(index, key)
        if index.shape[0] < held.static.shape[0]:
            return self.step(index)
        held.static.copy_(index)
        held.replay()
        return tree_map(_copy, held.out)

    def _capture(self, index: Tensor, key: Hashable) -> _Capture:
        static = index.clone()
        self.backend.warm_up(index.device, lambda: self.step(static))
        return _Capture(key, static, *self.backend.capture(index.device, lambda: self.step(static)))


def _copy(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) else leaf
