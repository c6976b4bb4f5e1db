"""Surfaces and lights to linear radiance, in differentiable torch: the readable twin of ``csrc/core/light.h``.

A light's colour E is the radiance that a white diffuse surface facing it reflects (its irradiance / pi). n is the
normal, l the unit vector to the light, v to the eye, h = unit(l + v); A(n) the ambient light's harmonics, not below 0::

    E_i = color                                 directional, l = -direction
        = color / d^2                           point, d = distance, at least 1e-4 m
        = color / d^2 * smoothstep(outer, inner, -direction . l)                              spot

    "lambert":      base * (A + sum_i E_i max(0, n.l))
    others:         A * (diffuse + F0 * (1 - roughness / 2)) + sum_i E_i max(0, n.l) * (diffuse + specular)
        diffuse   = (1 - metallic) * base
        F0        = 0.04 + (base - 0.04) * metallic
        roughness = max(roughness, 0.045),  a = roughness^2 (Burley 2012)
    "blinn_phong":  specular = F0 * (s + 8) / 8 * max(0, n.h)^s,   s = 2 / a^2 - 2
    "ggx":          specular = F * pi D * V
        pi D      = a^2 / ((n.h)^2 (a^2 - 1) + 1)^2
        V         = 0.5 / (n.l sqrt((n.v)^2 (1 - a^2) + a^2) + n.v sqrt((n.l)^2 (1 - a^2) + a^2))
        F         = F0 + (1 - F0) * (1 - v.h)^5,   n.v at least 1e-4

What of a light arrives past shadows is a factor of E_i, and a constant to all gradients: see ``fastsynth/shadow.py``.

Where an image has a panorama, its glossy models mirror it in place of the term of F0 with A: see
``fastsynth/environment.py``. Without one, the ambient term of the glossy models has no reflected direction: a rough
surface gives back half of F0, a polished one all of it. Normalised Blinn-Phong: Akenine-Moeller et al., "Real-Time
Rendering", 3rd ed., 7.6. Trowbridge-Reitz distribution: Walter et al., "Microfacet Models for Refraction through Rough
Surfaces", 2007. Height-correlated Smith visibility: Heitz, "Understanding the Masking-Shadowing Function", 2014.
Fresnel: Schlick 1994. Roughness and the 0.04 of dielectrics: Burley, "Physically-Based Shading at Disney", 2012;
Karis, "Real Shading in UE4", 2013. Harmonics: Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance
Environment Maps", 2001.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastsynth import environment
from fastsynth.geometry import spherical_harmonics
from fastsynth.shadow import ShadowMaps, lit_part
from fastsynth.surface import dot, unit
from fastsynth.types import SceneBatch

_OFF, _DIRECTIONAL, _SPOT = 0, 1, 3  # kinds of light of the data model


class Surface(NamedTuple):
    """Points to be lit, all in the world's frame; the leading axis is the image."""

    position: Tensor  #: [m] [B, ..., 3]
    normal: Tensor  #: unit, on the side that is seen [B, ..., 3]
    to_eye: Tensor  #: unit; not read by "lambert" [B, ..., 3]
    base: Tensor  #: linear base colour [B, ..., 3]
    metallic: Tensor  #: [B, ..., 1]
    roughness: Tensor  #: [B, ..., 1]


def shade(
    surface: Surface, lights: SceneBatch, shading: str, shadows: ShadowMaps | None = None, panorama: bool = False
) -> Tensor:
    """Linear radiance of surfaces under the lights of their images.

    Args:
        surface: What is lit.
        lights: Holds ``light_*`` and ``ambient`` of the B images.
        shading: "lambert", "blinn_phong" or "ggx".
        shadows: From :func:`fastsynth.shadow.shadow_maps`; None = no shadows.
        panorama: Mirror the panoramas of ``lights``, which then holds ``environment*``, too.

    Returns:
        [B, ..., 3]. Differentiable in the surface, the lights and the ambient light.
    """
    lit = _Lit(surface, shading)
    axes = surface.normal.ndim - 2

    def spread(values: Tensor) -> Tensor:  # [B, C] -> [B, 1, ..., C]
        return values.view(values.shape[0], *[1] * axes, *values.shape[1:])

    harmonics = spherical_harmonics(surface.normal)
    ambient = (harmonics[..., None] * spread(lights.ambient)).sum(-2).clamp(min=0)
    radiance = ambient * lit.ambient
    if panorama and shading != "lambert":
        away = 2 * dot(surface.normal, surface.to_eye) * surface.normal - surface.to_eye
        away = away + (surface.normal - away) * lit.rough * lit.rough  # a rough lobe lies nearer to the normal
        factor, added = environment.reflectance(lights, lit.n_v, lit.rough).split(1, -1)
        mirrored = environment.radiance(lights, away, lit.rough) * (lit.f0 * factor + added)
        there = spread(environment.has_panorama(lights)[:, None])
        radiance = torch.where(there, ambient * lit.diffuse + mirrored, radiance)
    for i in range(lights.light_kind.shape[1]):
        kind = spread(lights.light_kind[:, i, None])
        axis = spread(lights.light_direction[:, i])
        offset = spread(lights.light_position[:, i]) - surface.position
        square = dot(offset, offset).clamp(min=1e-8)
        to_light = torch.where(kind == _DIRECTIONAL, -axis, offset * square.rsqrt())
        inner, outer = spread(lights.light_cone[:, i]).split(1, -1)
        part = ((-dot(axis, to_light) - outer) / (inner - outer).clamp(min=1e-6)).clamp(0, 1)
        strength = torch.where(kind == _SPOT, part * part * (3 - 2 * part), 1)
        strength = torch.where(kind == _DIRECTIONAL, 1, strength / square) * (kind != _OFF)
        if shadows is not None:
            strength = strength * lit_part(shadows, i, surface.position.detach(), surface.normal.detach())
        cosine = dot(surface.normal, to_light).clamp(min=0)
        factor = 1.0 if lights.light_gloss is None else spread(lights.light_gloss[:, i, None])
        radiance = radiance + spread(lights.light_color[:, i]) * strength * cosine * lit.reflected(
            to_light, cosine, factor
        )
    return radiance


class _Lit:
    """What of a surface does not depend on the light."""

    def __init__(self, surface: Surface, shading: str) -> None:
        self.surface, self.shading = surface, shading
        base, metallic = surface.base, surface.metallic
        if shading == "lambert":
            self.diffuse = self.ambient = base
            return
        self.diffuse = base * (1 - metallic)
        self.f0 = 0.04 + (base - 0.04) * metallic
        self.rough = rough = surface.roughness.clamp(min=0.045)
        self.squared = (rough * rough) ** 2  # alpha^2
        self.n_v = dot(surface.normal, surface.to_eye).clamp(min=1e-4)
        self.ambient = self.diffuse + self.f0 * (1 - 0.5 * rough)

    def reflected(self, to_light: Tensor, n_l: Tensor, factor: Tensor | float) -> Tensor:
        """Radiance for a light of 1 that arrives head-on, `factor` of what is mirrored: [B, ..., 3]."""
        if self.shading == "lambert":
            return self.diffuse
        normal, to_eye, a2 = self.surface.normal, self.surface.to_eye, self.squared
        half = unit(to_light + to_eye)
        n_h = dot(normal, half).clamp(min=0)
        if self.shading == "blinn_phong":
            exponent = 2 / a2 - 2
            lobe = torch.where(n_h > 1e-30, n_h.clamp(min=1e-30) ** exponent, 0)
            return self.diffuse + self.f0 * ((exponent + 8) / 8 * lobe * factor)
        distribution = a2 / (n_h * n_h * (a2 - 1) + 1) ** 2  # times pi
        shadowed = n_l * (self.n_v**2 * (1 - a2) + a2).sqrt() + self.n_v * (n_l * n_l * (1 - a2) + a2).sqrt()
        fresnel = self.f0 + (1 - self.f0) * (1 - dot(to_eye, half).clamp(min=0)) ** 5
        return self.diffuse + fresnel * (distribution * 0.5 / shadowed.clamp(min=1e-6) * factor)
