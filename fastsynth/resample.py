"""Maps of pixels taken from a picture that is drawn already: labels from the nearest pixel, colours interpolated."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: What a label says where nothing was taken; 0 for all others.
OUTSIDE = {"instance_id": -1, "triangle_id": -1, "semantic_id": -1, "material_id": -1}


class Nearest:
    """The pixels of an old picture in which places lie.

    Calling it takes from a map of the old picture, [B, ..., H, W], what each of the places shows.

    Args:
        x: Columns, corner convention, float [B, H', W'] [pixels].
        y: Rows, likewise.
        size: Height and width of the old picture.
        inside: Which places show anything, bool [B, H', W']; those within the old picture by default.

    Example:
        >>> take = Nearest(torch.tensor([[[1.5, 9.0]]]), torch.tensor([[[0.5, 0.5]]]), (1, 2))
        >>> take(torch.tensor([[[3, 4]]]), outside=-1).tolist()
        [[[4, -1]]]
    """

    def __init__(self, x: Tensor, y: Tensor, size: tuple[int, int], inside: Tensor | None = None) -> None:
        height, width = size
        if inside is None:
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        self.inside = inside
        image = torch.arange(x.shape[0], device=x.device)[:, None, None]
        column, row = x.long().clamp_(0, width - 1), y.long().clamp_(0, height - 1)
        self.index = ((image * height + row) * width + column).flatten()

    def __call__(self, value: Tensor, outside: int = 0) -> Tensor:
        """What the places show, [B, ..., H', W'], or `outside` where they show nothing."""
        if value.ndim > 3:
            if not value.shape[1]:  # masks of no slots
                return value.new_empty(*value.shape[:2], *self.inside.shape[1:])
            return torch.stack([self(channel, outside) for channel in value.unbind(1)], 1)
        shown = value.flatten().index_select(0, self.index).view(self.inside.shape)
        return torch.where(self.inside, shown, outside)


def bilinear(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear interpolation; the border pixel is repeated outside.

    Args:
        image: float [B, C, H, W].
        x: Columns, corner convention, float [B, H', W'] [pixels].
        y: Rows, likewise.

    Returns:
        float [B, C, H', W']. Differentiable in all three.

    Example:
        >>> bilinear(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[1.0]]]), torch.tensor([[[0.5]]])).item()
        0.5
    """
    height, width = image.shape[2:]
    return sampled(image, torch.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1))


def sampled(image: Tensor, place: Tensor) -> Tensor:
    """`grid_sample`, bilinear, with the border repeated outside, for places that may be no numbers: the first corner.

    torch's own way back of such a place reads and writes outside the picture.

    Args:
        image: float [B, C, H, W].
        place: x and y, in [-1, 1] from edge to edge, float [B, H', W', 2].

    Returns:
        float [B, C, H', W']. Differentiable in both.

    Example:
        >>> sampled(torch.tensor([[[[0.5, 1.0]]]]), torch.full((1, 1, 1, 2), float("nan"))).item()
        0.5
    """
    return F.grid_sample(image, place.nan_to_num(-1.0), "bilinear", "border", align_corners=False)
