"""The rival on a machine without a GPU, at its best: llvmpipe in two processes that draw in their own thread.

python benchmarks/rival.py --size 256 --seconds 5
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

PROCESSES = 2


def _serve(pipe: Connection, size: int, part: int, parts: int) -> None:
    """Draws its part of the images, round after round, for as long as it is told."""
    from peers.llvmpipe import Llvmpipe
    from peers.scenes import standard_scenes

    scenes = standard_scenes()
    assert scenes is not None
    peer = Llvmpipe(scenes, (size, size), threads=0)
    rows = range(part, scenes.images, parts)
    for row in rows:
        peer.draw(row)
    pipe.send("ready")
    while (seconds := pipe.recv()) > 0:
        begin, done = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            for row in rows:
                peer.draw(row)
            done += len(rows)
        pipe.send(done / (time.perf_counter() - begin))
    peer.release()


class Rival:
    """`rate(seconds)` gives images per second of all processes together."""

    def __init__(self, size: int, processes: int = PROCESSES):
        context = mp.get_context("spawn")
        self.pipes, self.workers = [], []
        for part in range(processes):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_serve, args=(theirs, size, part, processes), daemon=True)
            worker.start()
            self.pipes.append(ours)
            self.workers.append(worker)
        for pipe in self.pipes:
            assert pipe.recv() == "ready"

    def rate(self, seconds: float) -> float:
        """Images per second over this time."""
        for pipe in self.pipes:
            pipe.send(seconds)
        return sum(pipe.recv() for pipe in self.pipes)

    def close(self) -> None:
        """Ends the processes."""
        for pipe in self.pipes:
            pipe.send(0)
        for worker in self.workers:
            worker.join(10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    args = parser.parse_args()
    rival = Rival(args.size, args.processes)
    print(f"{args.size}: {rival.rate(args.seconds):.0f} images/s")
    rival.close()
