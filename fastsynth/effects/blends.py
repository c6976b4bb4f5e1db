"""Effects on how objects meet their backdrop, and on their motion."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastsynth.canvas import Canvas
from fastsynth.effects import blending
from fastsynth.effects.effect import Effect
from fastsynth.effects.grain import SCOPES
from fastsynth.effects.kernels import box_kernel, delta_kernel, gaussian_kernel, line_kernel
from fastsynth.ops.convolve import MAX_RADIUS, convolve
from fastsynth.ops.poisson import poisson
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.types import SceneBatch

#: What `Blend` can do, in the order of its numbers.
BLENDS = ("none", "gaussian", "box", "poisson", "motion")
_GAUSSIAN, _BOX, _POISSON, _MOTION = 1, 2, 3, 4


class Blend(Effect):
    """One of several blends for each image, as of cut and paste (Dwibedi, Misra and Hebert, ICCV 2017).

    "gaussian" and "box" feather the objects' mask, "poisson" solves for the objects' gradients, "motion" is a straight
    motion blur of the whole picture. Objects that cover each other are blended with the backdrop together.

    Args:
        kind: Names out of `BLENDS` to choose from evenly, one name, or a `Choice` of their numbers.
        gaussian: Standard deviation and half width of the Gaussian that blurs the mask [pixels].
        box: Side of the box that blurs the mask [pixels], odd.
        length: Of the motion [pixels].
        angle: Its direction [rad]; any by default.
        begin: Where the motion begins, in lengths from the pixel; see :func:`fastsynth.effects.line_kernel`.
        radius: Half width of the motion's kernel [pixels]; longer motions are cut off.
        around: Colour around the objects in their photographs, r g b or a grey, for "poisson".

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), blend=fs.effects.Blend())
        >>> batch = scene.sample(4)
        >>> batch.params["blend.kind"].shape, fs.render(batch, (32, 32)).rgb.shape
        (torch.Size([4]), torch.Size([4, 3, 32, 32]))
    """

    needs = ("instance_id",)

    def __init__(
        self,
        kind: str | Sequence[str] | Choice = BLENDS,
        gaussian: tuple[float, int] = (2.0, 2),
        box: int = 3,
        length: Any = None,
        angle: Any = None,
        begin: Any = -0.5,
        radius: int = 9,
        around: Any = 0.5,
    ) -> None:
        super().__init__()
        if not isinstance(kind, Choice):
            names = [kind] if isinstance(kind, str) else list(kind)
            for name in names:
                if name not in BLENDS:
                    raise ValueError(f"Blend: `kind` must be names out of {BLENDS}, but holds {name!r}.")
            kind = Choice([BLENDS.index(name) for name in names])
        self.kind: Distribution = kind
        length = Choice([3.0, 5.0, 7.0, 9.0]) if length is None else length
        self.length: Distribution = as_distribution(length, "Blend: `length`", [()])
        self.angle: Distribution = _angle(angle, "Blend: `angle`", 2 * math.pi)
        self.begin: Distribution = as_distribution(begin, "Blend: `begin`", [()])
        self.around: Distribution = as_distribution(around, "Blend: `around`", [(), (3,)])
        sigma, reach = gaussian
        if box % 2 != 1 or not 0 < box <= 2 * MAX_RADIUS + 1:
            raise ValueError(f"Blend: `box` must be an odd number of pixels, but is {box}.")
        half = max(reach, box // 2)
        radius = max(_radius("Blend", radius), half)
        kernels = delta_kernel(len(BLENDS), 2 * half + 1)
        kernels[_GAUSSIAN] = _inside(_cut_gaussian(float(sigma), reach), half)
        kernels[_BOX] = _inside(box_kernel(1, box)[0], half)
        self.register_buffer("kernels", kernels, persistent=False)
        self.change = functools.partial(_blend, radius=radius)  # type: ignore[assignment]

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Kind, the kernel of the mask, and the motion."""
        kind = self.kind.sample(noise).long()
        stroke = self.length.sample(noise), self.angle.sample(noise), self.begin.sample(noise)
        values = dict(zip(("length", "angle", "begin"), stroke, strict=True))
        around = self.around.sample(noise)
        if self.around.event == ():
            around = around[:, None].expand(-1, 3)
        return self.as_kind(kind) | values | {"around": around}

    def as_kind(self, kind: Tensor) -> dict[str, Tensor]:
        """The values that a kind decides, for kinds int64 [B]."""
        return {"kind": kind, "kernel": self.kernels[kind]}  # type: ignore[index]


def _blend(
    image: Tensor,
    canvas: Canvas,
    kind: Tensor,
    kernel: Tensor,
    length: Tensor,
    angle: Tensor,
    begin: Tensor,
    around: Tensor,
    *,
    radius: int,
) -> Tensor:
    """All kinds by one convolution: of the whole picture, of the objects alone, or of nothing.

    What a kernel does not hold of the picture the backdrop fills; a kernel of one pixel costs little, and neither does
    an empty mask for Poisson's equation.
    """
    keeps = (kind == 0) | (kind == _MOTION)  # nothing of the backdrop enters
    mask, backdrop = (canvas.instance_id >= 0)[:, None], canvas.backdrop(wanted=~keeps)
    whole, solves = keeps[:, None, None, None], (kind == _POISSON)[:, None, None, None]
    spread = line_kernel(torch.where(kind == _MOTION, length, 0.0), angle, radius, begin)
    margin = radius - kernel.shape[1] // 2
    small = torch.nn.functional.pad(kernel, (margin,) * 4)
    spread = torch.where(kind[:, None, None] == _MOTION, spread, small)
    taken = ((mask | whole) & ~solves).to(image.dtype)
    color, opacity = convolve(torch.cat([image * taken, taken], 1), spread).split([3, 1], 1)
    color = torch.where(mask & ~(whole | solves), image * opacity, color)
    blended = torch.addcmul(color, 1 - opacity, backdrop)
    source = torch.where(mask, image, around[:, :, None, None])
    return poisson(source, blended, (mask & solves)[:, 0]).clamp(0, 1)


class BoundaryBlur(Effect):
    """A Gaussian blur along the objects' outline, after they were put into the picture.

    Args:
        sigma: Standard deviation [pixels].
        radius: Half width of the kernel [pixels]; 3 sigma keep 99 % of the weight.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), edge=fs.effects.BoundaryBlur(fs.Uniform(0, 2), 6))
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    needs = ("instance_id",)

    def __init__(self, sigma: Any, radius: int) -> None:
        super().__init__()
        self.sigma: Distribution = as_distribution(sigma, "BoundaryBlur: `sigma`", [()])
        self.change = functools.partial(_blur_outline, radius=_radius("BoundaryBlur", radius))  # type: ignore[assignment]

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """The width."""
        return {"sigma": self.sigma.sample(noise)}


def _blur_outline(image: Tensor, canvas: Canvas, sigma: Tensor, *, radius: int) -> Tensor:
    return blending.outline_blurred(image, canvas.instance_id >= 0, sigma, radius)


class MotionBlur(Effect):
    """An oriented Gaussian, of the objects or of the whole picture.

    Of the objects: they are blurred together with their mask and laid over the picture without them.

    Args:
        sigma_u: Standard deviation along the motion [pixels].
        sigma_v: Across it [pixels].
        angle: Direction of the motion [rad], from x (right) towards y (down); any by default.
        scope: "object" or "frame".
        radius: Half width of the kernel [pixels]; what reaches beyond is cut off.

    Example:
        >>> import fastsynth as fs
        >>> motion = fs.effects.MotionBlur(fs.Uniform(0.0, 3.0), 0.5)
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), motion=motion)
        >>> fs.render(scene.sample(2), (32, 32)).rgb.shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self, sigma_u: Any, sigma_v: Any = 0.0, angle: Any = None, scope: str = "object", radius: int = 9
    ) -> None:
        super().__init__()
        if scope not in SCOPES:
            raise ValueError(f"MotionBlur: `scope` must be one of {SCOPES}, but is {scope!r}.")
        self.sigma_u: Distribution = as_distribution(sigma_u, "MotionBlur: `sigma_u`", [()])
        self.sigma_v: Distribution = as_distribution(sigma_v, "MotionBlur: `sigma_v`", [()])
        self.angle: Distribution = _angle(angle, "MotionBlur: `angle`", math.pi)
        self.needs = ("instance_id",) if scope == "object" else ()  # type: ignore[misc]
        change = _move_objects if scope == "object" else _move_frame
        self.change = functools.partial(change, radius=_radius("MotionBlur", radius))  # type: ignore[assignment]

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """Both widths and the direction."""
        names = ("sigma_u", "sigma_v", "angle")
        return {name: getattr(self, name).sample(noise) for name in names}


def _move_objects(image: Tensor, canvas: Canvas, sigma_u: Tensor, sigma_v: Tensor, angle: Tensor, *, radius: int):
    kernel = gaussian_kernel(sigma_u, sigma_v, angle, radius)
    return blending.moved(image, canvas.backdrop(), canvas.instance_id >= 0, kernel)


def _move_frame(image: Tensor, canvas: Canvas, sigma_u: Tensor, sigma_v: Tensor, angle: Tensor, *, radius: int):
    return convolve(image, gaussian_kernel(sigma_u, sigma_v, angle, radius))


def _angle(angle: Any, where: str, turn: float) -> Distribution:
    from fastsynth.random import Uniform

    return Uniform(0.0, turn) if angle is None else as_distribution(angle, where, [()])


def _radius(effect: str, radius: int) -> int:
    if not 0 <= radius <= MAX_RADIUS:
        raise ValueError(f"{effect}: `radius` must be 0 to {MAX_RADIUS} pixels, but is {radius}.")
    return int(radius)


def _cut_gaussian(sigma: float, reach: int) -> Tensor:
    """A Gaussian of a square of (2 reach + 1)^2 pixels, its corners included: [K, K]."""
    line = torch.arange(-reach, reach + 1).float()
    weights = (-0.5 * (line / max(sigma, 1e-3)) ** 2).exp()
    kernel = weights[:, None] * weights
    return kernel / kernel.sum()


def _inside(kernel: Tensor, half: int) -> Tensor:
    """A kernel in the middle of a larger one."""
    out = kernel.new_zeros(2 * half + 1, 2 * half + 1)
    margin = half - kernel.shape[0] // 2
    out[margin : margin + kernel.shape[0], margin : margin + kernel.shape[0]] = kernel
    return out
