"""What is compared of an image: statistics of fixed random filters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastsynth.random import Noise


class RandomFeatures(nn.Module):
    """A small convolutional network that nobody trained; of every layer, the mean and spread of each channel.

    Random filters tell textures and colours apart about as well as trained ones where only statistics are compared:
    Ustyuzhaninov et al., "Texture Synthesis Using Shallow Convolutional Networks with Random Filters", 2016. The
    weights are those of our own counter-based numbers, computed on the CPU: the same on every machine and device.

    Args:
        channels: Of each layer; every layer halves the image.
        seed: Of the weights.

    Example:
        >>> features = RandomFeatures()
        >>> features(torch.rand(4, 3, 32, 32)).shape
        torch.Size([4, 118])
    """

    def __init__(self, channels: tuple[int, ...] = (16, 20, 20), seed: int = 0) -> None:
        super().__init__()
        self.layers, before = len(channels), 3
        for layer, after in enumerate(channels):
            u = Noise(seed, torch.arange(after)).uniform((before, 3, 3), f"search.features.{layer}")
            weight = torch.special.ndtri(u.double().clamp(min=2.0**-25)) * (2 / (9 * before)) ** 0.5
            self.register_buffer(f"weight_{layer}", weight.float(), persistent=False)
            before = after

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1], float [B, 3, H, W], to features, float [B, 2 (3 + channels)].

        Raises:
            ValueError: not such images.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"RandomFeatures: `images` must be float [B, 3, H, W] in [0, 1], but are {images.dtype} "
                f"{list(images.shape)}."
            )
        x = images - 0.5
        pooled = [_pooled(x)]
        for layer in range(self.layers):
            weight = self.get_buffer(f"weight_{layer}").to(x)
            if min(x.shape[-2:]) > 1:
                x = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
                x = nn.functional.conv2d(x, weight, stride=2)
            else:
                x = nn.functional.conv2d(x, weight.mean((2, 3), keepdim=True))
            x = nn.functional.leaky_relu(x, 0.2)
            pooled.append(_pooled(x))
        return torch.cat(pooled, 1)


def _pooled(x: Tensor) -> Tensor:
    """Mean and standard deviation over the pixels: [B, C, H, W] -> [B, 2 C]."""
    mean = x.mean((2, 3))
    # An even image has no spread, and a square root no slope at 0.
    spread = ((x - mean[..., None, None]).square().mean((2, 3)) + 1e-8).sqrt()
    return torch.cat([mean, spread], 1)
