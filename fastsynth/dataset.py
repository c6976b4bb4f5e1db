"""Datasets that are never written to disk: labelled images drawn as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from fastsynth import annotate
from fastsynth.graph import Graphed
from fastsynth.render import render
from fastsynth.scene import Scene
from fastsynth.schedule import Ledger
from fastsynth.types import OUTPUTS, Frames

Target = dict[str, Any]

# What a detection target is made of; everything else that is asked for goes into the target under its own name.
_ALWAYS = ("rgb", "boxes_2d_tight", "visible_pixels")
_MASKS = "instance_mask"
_PARAMS = "params"


class Batch(Sequence[tuple[Tensor, Target]]):
    """Images and targets that were drawn together; a sequence of pairs, as a `DataLoader` expects of a batch.

    Attributes:
        images: float32 or uint8 [B, 3, H, W].
        targets: One dict an image; or one of tensors [B, ...], where they are padded.
    """

    def __init__(self, images: Tensor, targets: list[Target] | Target) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(self.targets, dict):
            return self.images[row], {name: value[row] for name, value in self.targets.items()}
        return self.images[row], self.targets[row]


def collate(batch: Sequence[tuple[Tensor, Target]]) -> tuple[Tensor, Any]:
    """Images [B, 3, H, W] and targets: of a batch as it was drawn; or of pairs that were drawn alone, as a list.

    Example:
        >>> images, targets = collate([(torch.zeros(3, 2, 2), {"labels": torch.ones(1)})] * 4)
        >>> images.shape, len(targets)
        (torch.Size([4, 3, 2, 2]), 4)
    """
    if isinstance(batch, Batch):
        return batch.images, batch.targets
    images, targets = zip(*batch, strict=True)
    return torch.stack(images), list(targets)


class _Drawer:
    """What a dataset and a stream share: from indices to a batch."""

    def __init__(
        self,
        scene: Scene,
        size: tuple[int, int],
        annotations: Sequence[str],
        seed: int,
        transform: Callable[[Tensor, Target], tuple[Tensor, Target]] | None,
        min_visible: float,
        min_pixels: int,
        max_truncation: float,
        samples: int,
        rgb_dtype: torch.dtype,
        padded: bool,
        graph: bool,
    ) -> None:
        for name in annotations:
            if name not in (*OUTPUTS, _MASKS, _PARAMS):
                raise ValueError(
                    f"SyntheticDataset: there is no annotation {name!r}. Available: "
                    f"{', '.join((*OUTPUTS, _MASKS, _PARAMS))}."
                )
        if padded and transform is not None:
            raise ValueError(
                "SyntheticDataset: `transform` takes the objects of one image, but `padded` targets hold those of a "
                "batch. Leave one of them out, and transform the batch where it is used."
            )
        if graph and not padded:
            raise ValueError(
                "SyntheticDataset: `graph=True` needs targets whose shapes do not depend on what is seen. "
                "Ask for `padded=True` too."
            )
        if graph and scene.device.type != "cuda":
            raise ValueError(
                f"SyntheticDataset: `graph=True` needs a CUDA scene, but this one lives on {scene.device}. "
                'Move it by scene.to("cuda"), or leave `graph` out.'
            )
        self.scene, self.seed, self.transform = scene, seed, transform
        self.padded, self.graph = padded, Graphed(self.step) if graph else None
        self.size = (int(size[0]), int(size[1]))
        self.masks, self.params = _MASKS in annotations, _PARAMS in annotations
        self.extra = tuple(name for name in annotations if name not in (*_ALWAYS, _MASKS, _PARAMS))
        self.ledgers = [part for part in scene.modules() if isinstance(part, Ledger)]
        self.filter: dict[str, Any] = {
            "min_visible": min_visible, "min_pixels": min_pixels, "max_truncation": max_truncation
        }  # fmt: skip
        needed = [*_ALWAYS, *self.extra, *scene.label_outputs]
        if self.masks:
            needed.append("instance_id")
        if min_visible > 0:
            needed.append("total_pixels")
        if max_truncation < 1:
            needed.append("boxes_2d_loose")
        self.outputs = tuple(dict.fromkeys(needed))
        self.options: dict[str, Any] = {"samples": samples, "rgb_dtype": rgb_dtype}

    def draw(self, index: list[int]) -> Batch:
        """Images and targets of these indices."""
        device = self.scene.device
        if device.type != "cpu" and get_worker_info() is not None:
            raise RuntimeError(
                f"SyntheticDataset: this scene lives on {device} and cannot be drawn in a DataLoader worker process.\n"
                "Rendering is already asynchronous on the GPU; use DataLoader(..., num_workers=0)."
            )
        numbers = torch.tensor(index, dtype=torch.int64).to(device, non_blocking=True)
        if self.padded:
            images, targets = self.graph(numbers, (self.seed, device)) if self.graph else self.step(numbers)
            return Batch(images, targets)
        frames, targets = self._drawn(numbers)
        more = self._more(frames)
        for row, target in enumerate(targets):
            target.update(_row(more, row))
        images = frames.rgb
        if self.transform is not None:
            pairs = [self.transform(image, target) for image, target in zip(images, targets, strict=True)]
            images, targets = collate(pairs)
        return Batch(images, targets)

    def step(self, index: Tensor) -> tuple[Tensor, Target]:
        """Images and padded targets of the images of these numbers, int64 [B] on the device: waits for nothing."""
        frames, targets = self._drawn(index)
        return frames.rgb, {**targets, **self._more(frames)}

    def _more(self, frames: Frames) -> Target:
        """What targets hold beside those of detection: outputs under their names, and the scene's own labels."""
        more: Target = {name: getattr(frames, name) for name in self.extra} | self.scene.labels(frames)
        return {**more, _PARAMS: dict(frames.batch.params)} if self.params else more

    @torch.no_grad()
    def _drawn(self, index: Tensor) -> tuple[Frames, Any]:
        height, width = self.size
        batch = self.scene.sample(index, self.seed, aspect=width / height)
        frames = render(batch, self.size, self.outputs, **self.options)
        options = {"masks": self.masks, "padded": self.padded, **self.filter}
        classes = self.scene.target_classes
        for ledger in self.ledgers:
            ledger.count(batch.mesh_id, annotate.kept(frames, classes=classes, **self.filter))
        return frames, annotate.targets(frames, image_ids=index, classes=classes, **options)


def _row(tensors: Target, row: int) -> Target:
    """What belongs to one image."""
    return {name: _row(value, row) if isinstance(value, dict) else value[row] for name, value in tensors.items()}


class SyntheticDataset(Dataset[tuple[Tensor, Target]]):
    """Labelled images of a scene, drawn when they are asked for: ``dataset[i]`` is an image and its target.

    Image i of a seed and an epoch is the same in every batch, order, number of workers and process. A `DataLoader`
    gets its whole batch drawn in one call; give it ``collate_fn=fs.collate``. A scene on the GPU is drawn in the
    process itself (``num_workers=0``); a scene on the CPU works with any number of workers.

    Args:
        scene: What to draw.
        length: Images in an epoch.
        seed: Any integer.
        size: Height and width [pixels].
        annotations: What the targets hold beside boxes and labels: "instance_mask" for ``masks`` [n, H, W], or names
            of outputs of `render`, such as "depth", which keep their name; or "params" for what was drawn at random, a
            dict of the paths in the scene.
        transform: Called with each image and target; returns both.
        min_visible: Least part of an object's pixels that must be seen for it to be in the target, in [0, 1].
        min_pixels: Least number of its pixels that must be seen.
        max_truncation: Largest part of it that the border may cut off, see :func:`fastsynth.annotate.truncation`.
        samples: Samples a pixel of the images: 1, 4 or 16.
        rgb_dtype: torch.float32 for [0, 1] or torch.uint8 for 0..255.
        padded: Give the targets of a batch as one dict of tensors with a row for each of the N slots and ``valid``
            bool [B, N], see :func:`fastsynth.annotate.targets`. Nothing then waits for the GPU; as a list, targets wait
            once a batch, for the numbers of their objects. Not with `transform`.
        graph: Capture the step of a batch in a CUDA graph at the first batch, and replay it for those of the same
            size; needs `padded`. What is given out are copies. A smaller batch is drawn without the graph, and a
            larger one captures anew. Values of the scene's buffers, such as bounds of distributions, may change in
            place; everything else of the scene stays as it was at the capture.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3))
        >>> dataset = fs.SyntheticDataset(scene, length=1000, size=(48, 64))
        >>> image, target = dataset[7]
        >>> image.shape, sorted(target)[:3]
        (torch.Size([3, 48, 64]), ['area', 'boxes', 'image_id'])
        >>> loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True, collate_fn=fs.collate)
        >>> images, targets = next(iter(loader))
        >>> images.shape, len(targets)
        (torch.Size([16, 3, 48, 64]), 16)
    """

    def __init__(
        self,
        scene: Scene,
        length: int,
        *,
        seed: int = 0,
        size: tuple[int, int],
        annotations: Sequence[str] = ("boxes_2d_tight",),
        transform: Callable[[Tensor, Target], tuple[Tensor, Target]] | None = None,
        min_visible: float = 0.0,
        min_pixels: int = 1,
        max_truncation: float = 1.0,
        samples: int = 1,
        rgb_dtype: torch.dtype = torch.float32,
        padded: bool = False,
        graph: bool = False,
    ) -> None:
        if length < 1:
            raise ValueError(f"SyntheticDataset: `length` must be at least 1, but is {length}.")
        self._drawer = _Drawer(
            *(scene, size, annotations, seed, transform, min_visible, min_pixels, max_truncation),
            *(samples, rgb_dtype, padded, graph),
        )
        self.length = length
        # In shared memory, so that workers that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def scene(self) -> Scene:
        """What is drawn."""
        return self._drawer.scene

    @property
    def epoch(self) -> int:
        """Which images are drawn: epoch e holds the images of indices e * length on."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw other images from here on; epoch 0 is the first."""
        if epoch < 0:
            raise ValueError(f"SyntheticDataset.set_epoch(): `epoch` must not be negative, but is {epoch}.")
        self._epoch.fill_(epoch)

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint must hold to go on with the same images."""
        return {"seed": self._drawer.seed, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was taken."""
        self._drawer.seed = state["seed"]
        self.set_epoch(state["epoch"])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The images of these indices in one call; torch's `DataLoader` asks for its batches here."""
        first = self.epoch * self.length
        rows = []
        for index in map(int, indices):
            if not 0 <= index < self.length:
                raise IndexError(
                    f"SyntheticDataset: index {index} is out of range; there are {self.length} images, from 0."
                )
            rows.append(first + index)
        return self._drawer.draw(rows)


class SyntheticStream(IterableDataset[tuple[Tensor, Any]]):
    """Batches without end, divided among workers and ranks so that none is drawn twice.

    Give it to a `DataLoader` with ``batch_size=None``. Batch b holds the images of indices b * batch_size on. Each
    iteration begins with the first batch, or where a loaded state says.

    Args:
        scene: What to draw.
        batch_size: Images in a batch.
        rank: Number of this process; by default that of ``torch.distributed``, where it is in use.
        ranks: Number of processes.
        seed: As of `SyntheticDataset`, like all that follow.
        size: Height and width [pixels].
        annotations: What the targets hold beside boxes and labels.
        transform: Called with each image and target.
        min_visible: Least part of an object that must be seen.
        min_pixels: Least number of its pixels that must be seen.
        max_truncation: Largest part of it that the border may cut off.
        samples: Samples a pixel of the images.
        rgb_dtype: torch.float32 or torch.uint8.
        padded: Give one dict a batch.
        graph: Replay batches from a CUDA graph.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), count=3))
        >>> stream = fs.SyntheticStream(scene, batch_size=4, size=(48, 64))
        >>> images, targets = next(iter(torch.utils.data.DataLoader(stream, batch_size=None)))
        >>> images.shape, len(targets)
        (torch.Size([4, 3, 48, 64]), 4)
    """

    def __init__(
        self,
        scene: Scene,
        batch_size: int,
        *,
        rank: int | None = None,
        ranks: int | None = None,
        seed: int = 0,
        size: tuple[int, int],
        annotations: Sequence[str] = ("boxes_2d_tight",),
        transform: Callable[[Tensor, Target], tuple[Tensor, Target]] | None = None,
        min_visible: float = 0.0,
        min_pixels: int = 1,
        max_truncation: float = 1.0,
        samples: int = 1,
        rgb_dtype: torch.dtype = torch.float32,
        padded: bool = False,
        graph: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"SyntheticStream: `batch_size` must be at least 1, but is {batch_size}.")
        if (rank is None) != (ranks is None):
            raise ValueError("SyntheticStream: give both `rank` and `ranks`, or neither.")
        self._drawer = _Drawer(
            *(scene, size, annotations, seed, transform, min_visible, min_pixels, max_truncation),
            *(samples, rgb_dtype, padded, graph),
        )
        self.batch_size = batch_size
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = rank if rank is not None else torch.distributed.get_rank() if shared else 0
        self.ranks = ranks if ranks is not None else torch.distributed.get_world_size() if shared else 1
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"SyntheticStream: `rank` must lie in [0, {self.ranks}), but is {self.rank}.")
        self._drawn = self._start = 0  # batches by this worker: so far, and before the next iteration

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint must hold to go on with the next batch."""
        return {"seed": self._drawer.seed, "drawn": self._drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was taken."""
        self._drawer.seed = state["seed"]
        self._drawn = self._start = state["drawn"]

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker is not None else (1, 0)
        self._drawn, self._start = self._start, 0
        while True:
            batch = (self._drawn * workers + number) * self.ranks + self.rank
            first = batch * self.batch_size
            self._drawn += 1
            yield collate(self._drawer.draw(list(range(first, first + self.batch_size))))
