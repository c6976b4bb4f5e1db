"""How an object meets what is behind it: feathered edges, gradient-domain blending, blurred outlines, motion.

Pure functions of pictures [B, 3, H, W] and masks [B, H, W]; colours of the object and of the backdrop are weighed
premultiplied by what they cover, so that neither bleeds into the other. Differentiable in pictures and kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastsynth.effects.kernels import gaussian_kernel
from fastsynth.ops.convolve import convolve
from fastsynth.ops.poisson import poisson


def spread(image: Tensor, mask: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """What a mask holds of a picture, convolved: the colours times their cover [B, 3, H, W], and the cover [B, 1, H, W].

    Args:
        image: float32 [B, 3, H, W].
        mask: bool [B, H, W].
        kernel: float32 [B, K, K], normalised.
    """
    cover = mask[:, None].to(image.dtype)
    both = convolve(torch.cat([image * cover, cover], 1), kernel)
    return both[:, :3], both[:, 3:]


def feathered(image: Tensor, backdrop: Tensor, mask: Tensor, kernel: Tensor) -> Tensor:
    """The object over the backdrop with a blurred mask for its opacity.

    Inside the mask the object keeps its own colours; outside it has those of its pixels nearby, as far as the kernel
    carries them.

    Args:
        image: The picture with the object, float32 [B, 3, H, W].
        backdrop: The picture without, float32 [B, 3, H, W].
        mask: The object's pixels, bool [B, H, W].
        kernel: What the mask is blurred with, float32 [B, K, K].

    Returns:
        float32 [B, 3, H, W].

    Example:
        >>> from fastsynth.effects.kernels import box_kernel
        >>> mask = torch.tensor([[[False, False, True, True]]])
        >>> white, black = torch.ones(1, 3, 1, 4), torch.zeros(1, 3, 1, 4)
        >>> feathered(white, black, mask, box_kernel(1, 3))[0, 0, 0].mul(3).tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    color, opacity = spread(image, mask, kernel)
    own = torch.where(mask[:, None], image * opacity, color)
    return own + (1 - opacity) * backdrop


def moved(image: Tensor, backdrop: Tensor, mask: Tensor, kernel: Tensor) -> Tensor:
    """The object convolved together with its mask and laid over the backdrop: motion while the shutter is open.

    Args and returns as of :func:`feathered`.

    Example:
        >>> from fastsynth.effects.kernels import box_kernel
        >>> mask = torch.tensor([[[False, False, True, False, False]]])
        >>> grey, black = torch.full((1, 3, 1, 5), 0.75), torch.zeros(1, 3, 1, 5)
        >>> moved(grey, black, mask, box_kernel(1, 3))[0, 0, 0].tolist()
        [0.0, 0.25, 0.25, 0.25, 0.0]
    """
    color, opacity = spread(image, mask, kernel)
    return color + (1 - opacity) * backdrop


def cloned(image: Tensor, backdrop: Tensor, mask: Tensor, around: Tensor) -> Tensor:
    """The object blended into the backdrop by its gradients, see :func:`fastsynth.ops.poisson`, in [0, 1].

    A photograph of the object goes on beyond its mask, and its differences across the mask's edge count: it is taken
    to have one colour there. What the backdrop differs from that colour around the object is added to the object.

    Args:
        image: The picture with the object, float32 [B, 3, H, W].
        backdrop: The picture without, float32 [B, 3, H, W].
        mask: The object's pixels, bool [B, H, W].
        around: The colour around the object in its photograph, float32 [B, 3].

    Returns:
        float32 [B, 3, H, W].

    Example:
        >>> mask = torch.zeros(1, 6, 6).bool()
        >>> mask[:, 2:4, 2:4] = True
        >>> half, dark = torch.full((1, 3, 6, 6), 0.5), torch.full((1, 3, 6, 6), 0.25)
        >>> shown = cloned(half, dark, mask, torch.full((1, 3), 0.625))[0, 0, 2]
        >>> [round(x, 3) for x in shown.tolist()]
        [0.25, 0.25, 0.125, 0.125, 0.25, 0.25]
    """
    source = torch.where(mask[:, None], image, around[:, :, None, None])
    return poisson(source, backdrop, mask).clamp(0, 1)


def outline_blurred(image: Tensor, mask: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """The picture blurred along the object's outline and nowhere else.

    With m the blurred mask, the blurred picture has the weight ``4 m (1 - m)``: 1 on the outline, and fading with the
    blur itself to either side.

    Args:
        image: float32 [B, 3, H, W].
        mask: The object's pixels, bool [B, H, W].
        sigma: Standard deviation [pixels], float32 [B]; 0 leaves the picture as it is.
        radius: Half width of the kernel [pixels].

    Returns:
        float32 [B, 3, H, W], differentiable in the picture and in sigma.

    Example:
        >>> mask = torch.arange(9).ge(4).expand(1, 9, 9)
        >>> step = mask[:, None].float().expand(1, 3, 9, 9)
        >>> [round(x, 2) for x in outline_blurred(step, mask, torch.ones(1), 3)[0, 0, 4].tolist()]
        [0.0, 0.0, 0.01, 0.25, 0.75, 0.99, 1.0, 1.0, 1.0]
    """
    kernel = gaussian_kernel(sigma, sigma, torch.zeros_like(sigma), radius)
    both = convolve(torch.cat([image, mask[:, None].to(image.dtype)], 1), kernel)
    soft = both[:, 3:]
    return image + 4 * soft * (1 - soft) * (both[:, :3] - image)
