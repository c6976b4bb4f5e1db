"""A small detector for the demo: one stride, no anchors, learns in a minute.

Centres are found on a heatmap of each class, and every location near a centre answers with
the distances to the four sides of its box, weighted by how near it is.

Zhou, Wang, Krähenbühl, "Objects as Points", 2019; Liu et al., "Training-Time-Friendly
Network for Real-Time Object Detection", AAAI 2020.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Pixels of the image per location of the heatmap, along each axis.
STRIDE = 8
#: The Gaussian of an object's heatmap: its standard deviation as a fraction of the box's side.
SPREAD = 0.54 / 6


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.body(x)))


def _conv(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride, padding=(side - 1) // 2 if side % 2 else 0, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Detector(nn.Module):
    """Images in, heatmaps and boxes out.

    Args:
        classes: Number of classes.
        width: Channels at the finest level; the coarser two have 3/2 and 2 times as many.

    Example:
        >>> detector = Detector(classes=3).eval()
        >>> [found] = detector.detect(torch.zeros(1, 3, 64, 64))
        >>> found["boxes"].shape[-1], found["labels"].dtype
        (4, torch.int64)
    """

    def __init__(self, classes: int, width: int = 32):
        super().__init__()
        fine, middle, coarse = width, width * 3 // 2, width * 2
        self.stem = nn.Sequential(_conv(3, fine, side=4, stride=4), _conv(fine, fine, stride=2), _Block(fine))
        self.down = nn.ModuleList(
            [
                nn.Sequential(_conv(fine, middle, stride=2), _Block(middle)),
                nn.Sequential(_conv(middle, coarse, stride=2), _Block(coarse)),
            ]
        )
        self.up = nn.ModuleList([_conv(coarse, middle, side=1), _conv(middle, fine, side=1)])
        self.merge = nn.ModuleList([_conv(middle, middle), _conv(fine, fine)])
        self.heatmap = nn.Sequential(_conv(fine, fine), nn.Conv2d(fine, classes, 1))
        self.sides = nn.Sequential(_conv(fine, fine), nn.Conv2d(fine, 4, 1))
        # At the start every location says "background" with a probability of 0.99, so that the
        # many empty ones do not drown the first steps.
        nn.init.constant_(self.heatmap[-1].bias, -math.log(99.0))  # type: ignore[arg-type]
        nn.init.constant_(self.sides[-1].bias, 1.0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmap logits and boxes at every location.

        Args:
            images: float32 [B, 3, H, W] in [0, 1]; H and W multiples of 32.

        Returns:
            Logits, float32 [B, classes, H/8, W/8], and boxes, float32 [B, H/8, W/8, 4], xyxy [pixels].
        """
        fine = self.stem((images - 0.45) * 4.0)
        middle = self.down[0](fine)
        coarse = self.down[1](middle)
        middle = self.merge[0](middle + F.interpolate(self.up[0](coarse), scale_factor=2.0))
        fine = self.merge[1](fine + F.interpolate(self.up[1](middle), scale_factor=2.0))
        return self.heatmap(fine), self._boxes(self.sides(fine))

    def _boxes(self, sides: Tensor) -> Tensor:
        """Boxes xyxy [pixels] from the logarithms of the distances to their sides, [B, 4, h, w]."""
        distance = STRIDE * sides.clamp(max=5.0).exp().permute(0, 2, 3, 1)
        centre = _centres(sides.shape[-2], sides.shape[-1], sides.device)
        return torch.cat([centre - distance[..., :2], centre + distance[..., 2:]], -1)

    def loss(self, images: Tensor, targets: list[dict[str, Any]]) -> Tensor:
        """What training makes small: a focal loss on the heatmap and a generalized IoU on the boxes.

        Args:
            images: float32 [B, 3, H, W] in [0, 1].
            targets: One dict an image with `boxes`, float32 [n, 4], xyxy [pixels], and `labels`, int64 [n], 1-based.
        """
        logits, boxes = self(images)
        heat, wanted, weight = _assign(targets, logits)
        probability = logits.float().sigmoid().clamp(1e-4, 1 - 1e-4)
        centre = heat == 1.0
        found = -((1 - probability) ** 2) * probability.log() * centre
        empty = -((1 - heat) ** 4) * probability**2 * (1 - probability).log() * ~centre
        objects = centre.sum().clamp(min=1)
        fit = (1 - _generalized_iou(boxes, wanted)) * weight
        return (found + empty).sum() / objects + 5.0 * fit.sum() / weight.sum().clamp(min=1e-6)

    @torch.no_grad()
    def detect(self, images: Tensor, most: int = 30) -> list[dict[str, Tensor]]:
        """The `most` strongest detections of each image.

        Returns:
            One dict an image: `boxes` float32 [most, 4] xyxy [pixels], `labels` int64 [most] from 1, `scores`.
        """
        logits, boxes = self(images)
        score = logits.sigmoid()
        peaks = score * (score == F.max_pool2d(score, 3, stride=1, padding=1))
        locations = boxes.shape[1] * boxes.shape[2]
        top, index = peaks.flatten(1).topk(most)
        limit = boxes.new_tensor([images.shape[-1], images.shape[-2]]).repeat(2)
        chosen = boxes.flatten(1, 2).gather(1, (index % locations)[..., None].expand(-1, -1, 4))
        chosen = chosen.clamp(min=0).minimum(limit)
        return [
            {"boxes": box, "labels": label + 1, "scores": value}
            for box, label, value in zip(chosen, index // locations, top, strict=True)
        ]


def _centres(height: int, width: int, device: torch.device) -> Tensor:
    """Middles of the locations, float32 [h, w, 2], x y [pixels]."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return (torch.stack([x, y], -1) + 0.5) * STRIDE


def _assign(targets: list[dict[str, Any]], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the network ought to say at every location.

    Args:
        targets: As in :meth:`Detector.loss`.
        like: Heatmap logits, float32 [B, C, h, w].

    Returns:
        Heatmap [B, C, h, w], 1 at the centres; the box of each location [B, h, w, 4], xyxy [pixels]; and the weight of
        each location's box [B, h, w], 0 far from every centre.
    """
    images, classes, height, width = like.shape
    most = max([1, *(len(target["labels"]) for target in targets)])
    boxes = like.new_zeros(images, most, 4)
    labels = torch.zeros(images, most, dtype=torch.int64, device=like.device)  # 0 = no object
    for row, target in enumerate(targets):
        boxes[row, : len(target["boxes"])] = target["boxes"].to(like)
        labels[row, : len(target["labels"])] = target["labels"].to(like.device)

    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 / STRIDE
    limit = middle.new_tensor([width - 1, height - 1])
    cell = middle.floor().clamp(min=0).minimum(limit)  # [B, N, 2]
    extent = boxes[..., 2:] - boxes[..., :2]
    sigma = (extent * SPREAD / STRIDE * 2).clamp(min=0.3)  # [locations]
    y = torch.arange(height, device=like.device, dtype=like.dtype)
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    across = torch.exp(-((x - cell[..., :1]) ** 2) / (2 * sigma[..., :1] ** 2))  # [B, N, w]
    along = torch.exp(-((y - cell[..., 1:]) ** 2) / (2 * sigma[..., 1:] ** 2))  # [B, N, h]
    bump = along[..., :, None] * across[..., None, :] * (labels > 0)[..., None, None]  # [B, N, h, w]

    channel = labels[..., None, None].expand_as(bump)
    heat = like.new_zeros(images, classes + 1, height, width).scatter_reduce(1, channel, bump, "amax")[:, 1:]
    # Where objects overlap, the smaller one is the one that would be lost.
    area = extent.prod(-1)[..., None, None]
    near = bump > 0.1
    owner = torch.where(near, area, torch.inf).argmin(1)  # [B, h, w]
    wanted = boxes.gather(1, owner.flatten(1)[..., None].expand(-1, -1, 4)).view(images, height, width, 4)
    weight = (bump * near).gather(1, owner[:, None])[:, 0]
    return heat, wanted, weight


def _generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized intersection over union of boxes xyxy [..., 4] (Rezatofighi et al., CVPR 2019)."""
    area_a = (a[..., 2:] - a[..., :2]).prod(-1)
    area_b = (b[..., 2:] - b[..., :2]).prod(-1)
    common = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    union = area_a + area_b - common
    return common / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)
