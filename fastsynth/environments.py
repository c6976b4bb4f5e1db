"""Panoramas of light: what is made of them once, so that a lookup is a few texels.

A panorama is equirectangular: row 0 looks up (+z), the middle column along +x, the one a quarter to its left along +y.
Three things are made of it:

- its diffuse light, as real spherical harmonics up to order 2 (Ramamoorthi and Hanrahan 2001): ``harmonics``;
- a square map of all directions on the octahedron (Praun and Hoppe, "Spherical Parametrization and Remeshing", 2003;
  Cigolle et al., "A Survey of Efficient Representations for Independent Unit Vectors", 2014), with a border of a texel;
- the same as rough surfaces mirror it, for eight steps of roughness and for the lobes of "ggx" and "blinn_phong", seen
  head-on, and tables of how much is mirrored at an angle: the split sum of Karis, "Real Shading in Unreal Engine 4",
  2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fastsynth._expect import dense, expect
from fastsynth.geometry import spherical_harmonics
from fastsynth.resample import sampled

LEVELS = 9  # roughness 0, 1/8, ..., 1
TABLE = 32  # entries along a side of a table of reflectance
MODELS = ("ggx", "blinn_phong")
LEAST_SIDE, MOST_SIDE = 32, 1024


@dataclass(frozen=True)
class Environments:
    """E panoramas, ready to be looked up.

    Make them by :meth:`from_panoramas`, :func:`fastsynth.load_environments` or
    :func:`fastsynth.procedural.environments`.

    Example:
        >>> grey = Environments.from_panoramas(torch.full((1, 16, 32, 3), 0.5))
        >>> len(grey), round(float(grey.harmonics[0, 0, 0] * 0.28209479), 3)
        (1, 0.5)
    """

    texels: Tensor  #: all levels of each, linear, float32 [E, T, 4]
    harmonics: Tensor  #: what a white diffuse surface reflects, as `SceneBatch.ambient`, float32 [E, 9, 3]
    reflectance: Tensor  #: of each model by n.v and roughness: factor of F0, what is added, float32 [2, 32, 32, 4]
    side: int  #: texels along the side of level 0

    def __post_init__(self) -> None:
        expect(
            "Environments",
            texels=(self.texels, "E T 4", torch.float32),
            harmonics=(self.harmonics, "E 9 3", torch.float32),
            reflectance=(self.reflectance, f"2 {TABLE} {TABLE} 4", torch.float32),
        )
        dense(self, ("texels", "harmonics", "reflectance"))
        wanted = sum((side + 2) ** 2 for _, side in _places(self.side))
        if self.texels.shape[1] != wanted:
            raise ValueError(
                f"Environments: `texels` must hold T = {wanted} texels for a side of {self.side}, but has shape "
                f"{list(self.texels.shape)}."
            )

    def __len__(self) -> int:
        """How many there are."""
        return self.texels.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.texels.device

    def to(self, device: torch.device | str) -> Environments:
        """The same on another device."""
        return Environments(self.texels.to(device), self.harmonics.to(device), self.reflectance.to(device), self.side)

    @staticmethod
    def from_panoramas(panoramas: Tensor, side: int | None = None) -> Environments:
        """From equirectangular pictures.

        Args:
            panoramas: Linear radiance, not negative, float32 [E, H, 2 H, 3].
            side: Texels along the side of the map of all directions, a power of two in [32, 1024]; None = as fine as
                the pictures.

        Raises:
            TypeError, ValueError: a wrong dtype or shape, no picture, or a radiance that is negative or not finite.
        """
        sizes = expect("Environments.from_panoramas", panoramas=(panoramas, "E H W 3", torch.float32))
        height = sizes["H"]
        if sizes["W"] != 2 * height or height < 2 or sizes["E"] < 1:
            raise ValueError(
                f"Environments.from_panoramas(): `panoramas` must have shape [E, H, 2 H, 3], H >= 2 and E >= 1, but "
                f"has {list(panoramas.shape)}. Scale the pictures to twice their height."
            )
        if not bool(((panoramas >= 0) & panoramas.isfinite()).all()):
            raise ValueError("Environments.from_panoramas(): `panoramas` must be finite and not negative. Clamp them.")
        if side is None:
            side = min(max(1 << math.ceil(math.log2(2 * height)), LEAST_SIDE), MOST_SIDE)
        if not LEAST_SIDE <= side <= MOST_SIDE or side & (side - 1):
            raise ValueError(
                f"Environments.from_panoramas(): `side` must be a power of two in [{LEAST_SIDE}, {MOST_SIDE}], but is "
                f"{side}."
            )
        pictures = panoramas.movedim(-1, 1)
        finest = lookup_panorama(pictures, octahedral_directions(side, panoramas.device))
        levels = [_bordered(finest)]
        for model, level_side, level in ((m, s, k) for m in MODELS for k, s in enumerate(_sides(side)) if k):
            levels.append(_bordered(_mirrored(finest, level_side, level / (LEVELS - 1), model)))
        texels = F.pad(torch.cat([level.flatten(2) for level in levels], 2).mT, (0, 1))
        tables = torch.stack([_reflectance(model) for model in MODELS]).to(panoramas.device)
        return Environments(texels.contiguous(), _diffuse(panoramas), tables, side)


def _sides(side: int) -> list[int]:
    """Of the levels of one model; csrc/ops/draw_lit.h."""
    return [side] + [max(min(side // 2, 64) >> level, 16) for level in range(LEVELS - 1)]


def _places(side: int) -> list[tuple[tuple[int, int], int]]:
    """(Model, level) and side of everything stored, in order: level 0 once, then the others of each model."""
    sides = _sides(side)
    return [((0, 0), side)] + [((model, level), sides[level]) for model in (0, 1) for level in range(1, LEVELS)]


def level_places(side: int, model: int) -> tuple[list[int], list[int]]:
    """First texels and sides of a model's levels."""
    firsts, sides, first = [], [], 0
    for (owner, level), level_side in _places(side):
        if level == 0 or owner == model:
            firsts.append(first)
            sides.append(level_side)
        first += (level_side + 2) ** 2
    return firsts, sides


def octahedral_directions(side: int, device: torch.device | str = "cpu", border: int = 0) -> Tensor:
    """Unit vectors at the texel centres of a square map of all directions: float32 [side, side, 3]."""
    at = (torch.arange(-border, side + border, device=device) + 0.5) / side * 2 - 1
    b, a = torch.meshgrid(at, at, indexing="ij")
    z = 1 - a.abs() - b.abs()
    x = torch.where(z < 0, (1 - b.abs()) * torch.where(a < 0, -1.0, 1.0), a)
    y = torch.where(z < 0, (1 - a.abs()) * torch.where(b < 0, -1.0, 1.0), b)
    return F.normalize(torch.stack([x, y, z], -1), dim=-1)


def lookup_panorama(pictures: Tensor, directions: Tensor) -> Tensor:
    """Equirectangular pictures between their pixels: [E, C, H, 2 H], [..., 3] -> [E, C, ...]."""
    shape = directions.shape[:-1]
    x, y, z = directions.reshape(-1, 3).unbind(-1)
    height, width = pictures.shape[-2:]
    across = (0.5 - torch.atan2(y, x) / (2 * math.pi)) * width
    down = (0.5 - torch.asin(z.clamp(-1, 1)) / math.pi) * height
    around = F.pad(pictures, (1, 1, 0, 0), mode="circular")
    grid = torch.stack([(across + 1) / (width + 2) * 2 - 1, down / height * 2 - 1], -1)
    grid = grid.expand(len(pictures), 1, -1, -1)
    found = sampled(around, grid)
    return found[:, :, 0].unflatten(-1, shape)


def _bordered(level: Tensor) -> Tensor:
    """A map of all directions with the texels that lie beyond its borders: [E, C, s, s] -> [E, C, s + 2, s + 2]."""
    rows = torch.cat([level[..., :1, :].flip(-1), level, level[..., -1:, :].flip(-1)], -2)
    inner = rows[..., 1:-1, :]
    left, right = inner[..., :1].flip(-2), inner[..., -1:].flip(-2)
    corners = [level[..., -1, -1], level[..., -1, 0], level[..., 0, -1], level[..., 0, 0]]
    left = torch.cat([corners[0][..., None, None], left, corners[2][..., None, None]], -2)
    right = torch.cat([corners[1][..., None, None], right, corners[3][..., None, None]], -2)
    return torch.cat([left, rows, right], -1)


def _solid_angle(side: int, device: torch.device) -> Tensor:
    """Of the texels of a map of all directions, [side, side]: da db / |p|^3 for p on the octahedron."""
    at = (torch.arange(side, device=device) + 0.5) / side * 2 - 1
    b, a = torch.meshgrid(at.abs(), at.abs(), indexing="ij")
    z = 1 - a - b
    x, y = torch.where(z < 0, 1 - b, a), torch.where(z < 0, 1 - a, b)
    return (2 / side) ** 2 * (x * x + y * y + z * z) ** -1.5


def _mirrored(finest: Tensor, side: int, roughness: float, model: str) -> Tensor:
    """What surfaces of a roughness mirror head-on, by direction: [E, 3, S, S] -> [E, 3, side, side]."""
    device, fine = finest.device, finest.shape[-1]
    pooled = min(max(side, 64), fine)
    weight = _solid_angle(fine, device)
    step = fine // pooled
    solid = F.avg_pool2d(weight[None], step)[0]
    source = (F.avg_pool2d(finest * weight, step) / solid).flatten(2)  # [E, 3, P]
    to, solid = octahedral_directions(pooled, device).flatten(0, 1), solid.flatten()
    alpha_2 = max(roughness, 0.045) ** 4
    mirrored = []
    for directions in octahedral_directions(side, device).flatten(0, 1).split(max(1, (1 << 21) // len(to))):
        cosine = directions @ to.T
        half = ((1 + cosine) / 2).clamp(min=0)  # (n.h)^2, as n = v
        if model == "ggx":
            lobe = 1 / (half * (alpha_2 - 1) + 1) ** 2
        else:
            lobe = half ** (1 / alpha_2 - 1)  # (n.h)^s, s = 2 / alpha^2 - 2
        lobe = torch.where(lobe > 1e-20, lobe, 0)  # what is smaller changes nothing, and denormals are slow
        lobe = lobe * cosine.clamp(min=0) * solid
        lobe = lobe / lobe.sum(1, keepdim=True).clamp(min=1e-30)
        mirrored.append(source @ lobe.T)
    return torch.cat(mirrored, 2).unflatten(2, (side, side))


def _diffuse(panoramas: Tensor) -> Tensor:
    """What a white diffuse surface reflects, as spherical harmonics: [E, H, 2 H, 3] -> [E, 9, 3]."""
    height, width = panoramas.shape[1:3]
    device = panoramas.device
    up = (0.5 - (torch.arange(height, device=device).double() + 0.5) / height) * math.pi
    around = (0.5 - (torch.arange(width, device=device).double() + 0.5) / width) * 2 * math.pi
    up, around = torch.meshgrid(up, around, indexing="ij")
    direction = torch.stack([up.cos() * around.cos(), up.cos() * around.sin(), up.sin()], -1)
    edges = ((0.5 - torch.arange(height + 1, device=device).double() / height) * math.pi).sin()
    solid = ((edges[:-1] - edges[1:]) * 2 * math.pi / width)[:, None, None]
    basis = (spherical_harmonics(direction) * solid).flatten(0, 1)
    # The cosine's own coefficients over pi: 1, 2 / 3, 1 / 4 of the orders.
    cosine = basis.new_tensor([1.0] + [2 / 3] * 3 + [0.25] * 5)
    return torch.einsum("pk,epc->ekc", basis * cosine, panoramas.double().flatten(1, 2)).float()


def _reflectance(model: str, samples: int = 1024) -> Tensor:
    """How much a glossy surface mirrors of even light: ``F0 * factor + added``, float32 [32, 32, 4].

    By n.v along a row, by roughness from row to row. Half vectors are drawn by the lobe itself, and evenly
    (Hammersley): the estimator of Karis 2013 with the lobes of ``fastsynth/shading.py``.
    """
    at = (torch.arange(TABLE).double() + 0.5) / TABLE
    rough, n_v = (x[..., None] for x in torch.meshgrid(at.clamp(min=0.045), at, indexing="ij"))
    i = torch.arange(samples)
    first, second = (i.double() + 0.5) / samples, _reversed_bits(i)
    turn = 2 * math.pi * first
    alpha_2 = rough**4
    power = 2 / alpha_2 - 2
    if model == "ggx":
        n_h = ((1 - second) / (1 + (alpha_2 - 1) * second)).sqrt()
    else:
        n_h = (1 - second) ** (1 / (power + 1))
    view = (1 - n_v * n_v).sqrt()
    v_h = (1 - n_h * n_h).clamp(min=0).sqrt() * turn.cos() * view + n_h * n_v
    n_l = (2 * v_h * n_h - n_v).clamp(min=0)
    v_h = v_h.clamp(min=0)
    if model == "ggx":
        visibility = 0.5 / (
            n_l * (n_v * n_v * (1 - alpha_2) + alpha_2).sqrt() + n_v * (n_l * n_l * (1 - alpha_2) + alpha_2).sqrt()
        ).clamp(min=1e-9)
        part = visibility * 4 * n_l * v_h / n_h.clamp(min=1e-9)
        fresnel = (1 - v_h) ** 5
        factor, added = (part * (1 - fresnel)).mean(-1), (part * fresnel).mean(-1)
    else:
        factor = ((power + 8) / (power + 1) * v_h * n_l).mean(-1)
        added = torch.zeros_like(factor)
    return torch.stack([factor, added, torch.zeros_like(factor), torch.zeros_like(factor)], -1).float()


def _reversed_bits(i: Tensor) -> Tensor:
    """Radical inverse in base 2 of whole numbers below 2^16: in [0, 1)."""
    bits = torch.arange(16)
    return ((i[:, None] >> bits & 1) * 2.0 ** -(bits + 1).double()).sum(1)
