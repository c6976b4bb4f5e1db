"""Boxes that are a little wrong, as people draw them."""

from __future__ import annotations

from torch import Tensor

from fastsynth.random import Noise


def jitter_boxes(boxes: Tensor, amount: float, noise: Noise, size: tuple[int, int] | None = None) -> Tensor:
    """Moves each side of each box by a random part of the box: noise of labels, not of pictures.

    (Tremblay et al., "Training Deep Networks with Synthetic Data: Bridging the Reality Gap by Domain Randomization",
    2018, name it among their augmentations and give no amount.)

    Args:
        boxes: x0 y0 x1 y1 [pixels], float32 or int64 [B, N, 4].
        amount: Largest move of a side, as part of the box's width or height, in [0, 0.5).
        noise: Source of randomness; its index has B images.
        size: Height and width [pixels], to which boxes are held; None = they may reach beyond.

    Returns:
        float32 [B, N, 4]; empty boxes stay as they are.

    Example:
        >>> import torch
        >>> boxes, noise = torch.tensor([[[10.0, 10.0, 30.0, 50.0]]]), Noise(0, torch.arange(1))
        >>> bool(((jitter_boxes(boxes, 0.1, noise) - boxes).abs() <= torch.tensor([2.0, 4.0, 2.0, 4.0])).all())
        True
    """
    if not 0 <= amount < 0.5:
        raise ValueError(f"jitter_boxes(): `amount` must lie in [0, 0.5), so that no box turns over, but is {amount}.")
    boxes = boxes.float()
    side = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    moved = boxes + amount * side * (2 * noise.uniform(tuple(boxes.shape[1:]), "box_jitter") - 1)
    if size is not None:
        height, width = size
        x, y = moved[..., 0::2].clamp(0, width), moved[..., 1::2].clamp(0, height)
        moved[..., 0::2], moved[..., 1::2] = x, y
    return moved
