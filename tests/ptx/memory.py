"""Memory as a kernel sees it, with every access watched: bounds, alignment, what was never written, races."""

from __future__ import annotations

import bisect
import ctypes

import numpy as np

from ptx.parse import PtxError

MANY = -1  # more than one thread
WORD = 4  # [bytes] what races and writes are watched by


def _aligned(addresses: np.ndarray, size: int, what: str) -> None:
    if (addresses % size).any():
        raise PtxError(
            f"{what}: an access of {size} bytes at {int(addresses[addresses % size != 0][0]):#x} is not aligned"
        )


class Global:
    """The process's own memory, as far as it was shown to `watch`."""

    def __init__(self) -> None:
        self.spans: dict[int, tuple[int, bool, np.ndarray]] = {}  # start: bytes, writable, contents
        self.starts: list[int] = []
        self.held: dict[bytes, np.ndarray] = {}

    def hold(self, content: bytes) -> int:
        """Puts the parameters of a launch where a generic address reaches them, to be read; returns where."""
        if content not in self.held:
            space = np.zeros(len(content) + 64, np.uint8)
            skip = -space.ctypes.data % 64
            space[skip : skip + len(content)] = np.frombuffer(content, np.uint8)
            self.held[content] = space[skip : skip + len(content)]
        start = int(self.held[content].ctypes.data)
        self.watch(start, len(content), False)
        return start

    def watch(self, start: int, size: int, writable: bool) -> None:
        """Lets kernels at `size` bytes from address `start`."""
        if size == 0:
            return
        known = self.spans.get(start)
        if known and known[0] >= size:
            if writable and not known[1]:
                self.spans[start] = (known[0], True, known[2])
            return
        content = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(start))
        self.spans[start] = (size, writable or bool(known and known[1]), content)
        if not known:
            bisect.insort(self.starts, start)

    def pieces(self, addresses: np.ndarray, size: int, writes: bool, what: str):
        """For each allocation that lanes name: which lanes, its bytes, and their offsets in it."""
        _aligned(addresses, size, what)
        left = np.arange(len(addresses))
        while len(left):
            first = int(addresses[left[0]])
            k = bisect.bisect_right(self.starts, first) - 1
            start = self.starts[k] if k >= 0 else 0
            bytes_, writable, content = self.spans.get(start, (0, False, None))
            here = (addresses[left] >= start) & (addresses[left] <= start + bytes_ - size)
            if content is None or not here[0]:
                raise PtxError(f"{what}: {size} bytes at {first:#x} belong to no tensor that the kernel was given")
            if writes and not writable:
                raise PtxError(f"{what}: writes at {first:#x}, in a tensor that is only read")
            yield left[here], content, addresses[left[here]] - start
            left = left[~here]


class Local:
    """Memory of one thread each."""

    def __init__(self, size: int, lanes: int) -> None:
        self.size, self.content = size, np.zeros(size * lanes, np.uint8)

    def pieces(self, addresses: np.ndarray, lanes: np.ndarray, size: int, what: str):
        _aligned(addresses, size, what)
        if ((addresses < 0) | (addresses > self.size - size)).any():
            raise PtxError(f"{what}: leaves the thread's {self.size} bytes of local memory")
        yield np.arange(len(addresses)), self.content, lanes * self.size + addresses


class Shared:
    """Memory of a block. `epoch` counts its barriers: what two threads do between two of them must not meet."""

    def __init__(self, size: int) -> None:
        self.size, self.epoch = size, 0
        words = -(-size // WORD)
        self.content = np.zeros(words * WORD, np.uint8)
        self.written = np.zeros(words, bool)
        # By word: the thread that wrote or read it last, in which epoch, and how.
        self.writer, self.write_epoch = np.zeros(words, np.int32), np.full(words, -1)
        self.reader, self.read_epoch = np.zeros(words, np.int32), np.full(words, -1)
        self.write_atomic, self.read_atomic = np.zeros(words, bool), np.zeros(words, bool)

    def _words(self, addresses: np.ndarray, size: int, what: str) -> np.ndarray:
        _aligned(addresses, size, what)
        if ((addresses < 0) | (addresses > self.size - size)).any():
            raise PtxError(f"{what}: leaves the block's {self.size} bytes of shared memory")
        return (addresses // WORD)[:, None] + np.arange(-(-size // WORD))

    def read(self, addresses: np.ndarray, threads: np.ndarray, size: int, atomic: bool, what: str):
        """`atomic`: volatile reads, which may meet atomic writes."""
        words = self._words(addresses, size, what)
        if not self.written[words].all():
            at = int(words[~self.written[words]][0]) * WORD
            raise PtxError(f"{what}: reads shared memory that nobody wrote, at byte {at}")
        mine = threads[:, None]
        met = (self.write_epoch[words] == self.epoch) & (self.writer[words] != mine)
        if atomic:
            met &= ~self.write_atomic[words]
        if met.any():
            self._race(words[met][0], what, "written")
        fresh = self.read_epoch[words] != self.epoch
        self.reader[words] = np.where(fresh | (self.reader[words] == mine), mine, MANY)
        self.read_atomic[words] = atomic & (fresh | self.read_atomic[words])
        self.read_epoch[words] = self.epoch
        for word, count in zip(*np.unique(words, return_counts=True), strict=True):
            if count > 1:
                self.reader[word] = MANY
        yield np.arange(len(addresses)), self.content, addresses

    def write(self, addresses: np.ndarray, threads: np.ndarray, size: int, atomic: bool, what: str):
        words = self._words(addresses, size, what)
        mine = threads[:, None]
        met = (self.write_epoch[words] == self.epoch) & (self.writer[words] != mine)
        met_reader = (self.read_epoch[words] == self.epoch) & (self.reader[words] != mine)
        if atomic:
            met &= ~self.write_atomic[words]
            met_reader &= ~self.read_atomic[words]
        elif len(np.unique(words)) < words.size:
            self._race(words[0, 0], what, "written")
        if met.any():
            self._race(words[met][0], what, "written")
        if met_reader.any():
            self._race(words[met_reader][0], what, "read")
        self.written[words] = True
        # A plain write stays one, whatever atomic one of the same thread follows.
        self.write_atomic[words] = atomic & ((self.write_epoch[words] != self.epoch) | self.write_atomic[words])
        self.writer[words], self.write_epoch[words] = mine, self.epoch
        yield np.arange(len(addresses)), self.content, addresses

    def _race(self, word: int, what: str, how: str) -> None:
        raise PtxError(
            f"{what}: another thread has {how} byte {int(word) * WORD} of shared memory since the last barrier"
        )
