"""The iris as it is seen through the cornea."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastsynth.canvas import Canvas
from fastsynth.effects.effect import Effect
from fastsynth.geometry import multiply, normalize
from fastsynth.geometry.refraction import dilated, fresnel, refracted_place
from fastsynth.random import Choice, Distribution, Noise, as_distribution
from fastsynth.resample import sampled
from fastsynth.types import SceneBatch


class Eye(NamedTuple):
    """An eyeball about the origin of its mesh that looks along -y: a sphere and the cornea, a part of a second one."""

    radius: float = 0.012  #: of the sphere [m]
    limbus: float = 0.0059  #: of the circle in which cornea and sphere meet [m]
    cornea: float = 0.0078  #: radius of the cornea's sphere [m]
    depth: float = 0.0005  #: of the plane of the iris behind that of the limbus [m]
    pupil: float = 0.33  #: radius of the pupil in the textures, in radii of the iris

    @property
    def limbus_at(self) -> float:
        """Of the limbus' plane from the centre [m]."""
        return math.sqrt(self.radius**2 - self.limbus**2)

    @property
    def cornea_at(self) -> float:
        """Of the centre of the cornea's sphere from the eyeball's [m]."""
        return self.limbus_at - math.sqrt(self.cornea**2 - self.limbus**2)


#: A grown-up's.
HUMAN = Eye()


class RefractiveEye(Effect):
    """Draws iris and pupil into the eyeball of a slot, where a refracted ray from the camera meets them.

    The view ray meets the cornea's sphere, is bent by Snell's law, and goes on to the plane of the iris, whose texture
    is looked up there and stretched along the radius to the size of the pupil. What is found is lit by all lights
    (Lambert, without shadows) and added to the drawn picture, weighed by what the cornea lets through; so the mesh must
    be black there but for what shines on its surface. Around the limbus it goes over into the sclera's colour. The
    gradient of the picture reaches `ior`, `pupil` and `iris`, but not the pose.

    After the description of UnityEyes' shader: Wood et al., "Learning an Appearance-Based Gaze Estimator from One
    Million Synthesised Images", ETRA 2016.

    Args:
        textures: Irises, linear colour, the middle in the middle and the rim at the border, float32 [T, 3, S, S].
        slot: Of the eyeball; its pose is rigid.
        ior: Index of refraction.
        pupil: Radius of the pupil over that in the texture.
        iris: Radius of iris and limbus, in the eye's.
        texture: A `Choice` of rows of `textures`; evenly by default.
        sclera: Linear colour around the limbus, r g b.
        eye: Measures.
    """

    stage = "light"
    needs = ("object_coordinates", "normals", "instance_id")
    textures: Tensor
    shape: Tensor
    sclera: Tensor

    def __init__(
        self,
        textures: Tensor,
        slot: int = 0,
        ior: Any = 1.3,
        pupil: Any = 1.0,
        iris: Any = 1.0,
        texture: Any = None,
        sclera: tuple[float, float, float] = (0.72, 0.66, 0.62),
        eye: Eye = HUMAN,
    ) -> None:
        super().__init__()
        if textures.ndim != 4 or textures.shape[1] != 3 or textures.shape[2] != textures.shape[3]:
            raise ValueError(f"RefractiveEye: `textures` must be [T, 3, S, S], but is {list(textures.shape)}.")
        self.register_buffer("textures", textures.detach().clone().float(), persistent=False)
        numbers = (eye.limbus_at, eye.cornea_at, eye.cornea, eye.limbus, eye.depth, eye.pupil)
        self.register_buffer("shape", torch.tensor(numbers), persistent=False)
        self.register_buffer("sclera", torch.tensor(sclera), persistent=False)
        self.slot = slot
        self.ior: Distribution = as_distribution(ior, "RefractiveEye: `ior`", [()])
        self.pupil: Distribution = as_distribution(pupil, "RefractiveEye: `pupil`", [()])
        self.iris: Distribution = as_distribution(iris, "RefractiveEye: `iris`", [()])
        texture = Choice(range(textures.shape[0])) if texture is None else texture
        self.texture: Distribution = as_distribution(texture, "RefractiveEye: `texture`", [()])

    def sample(self, batch: SceneBatch, noise: Noise) -> dict[str, Tensor]:
        """See `Effect.sample`."""
        if not 0 <= self.slot < batch.instances:
            raise ValueError(
                f"RefractiveEye: `slot` must be one of the scene's {batch.instances}, from 0 on, but is {self.slot}."
            )
        slot = torch.full_like(batch.mesh_id[:, 0], self.slot)
        return {
            "slot": slot,
            "pose": batch.world_from_object[:, self.slot],
            "ior": self.ior.sample(noise),
            "pupil": self.pupil.sample(noise),
            "iris": self.iris.sample(noise),
            "picture": self.textures[self.texture.sample(noise).long()],
            "shape": self.shape.expand(batch.images, -1),
            "sclera": self.sclera.expand(batch.images, -1),
        }

    @staticmethod
    def change(  # type: ignore[override]
        image: Tensor,
        canvas: Canvas,
        slot: Tensor,
        pose: Tensor,
        ior: Tensor,
        pupil: Tensor,
        iris: Tensor,
        picture: Tensor,
        shape: Tensor,
        sclera: Tensor,
    ) -> Tensor:
        """See `Effect.change`."""
        batch = canvas.batch
        pixel = lambda value: value[:, None, None]  # noqa: E731
        limbus_at, cornea_at, cornea, limbus, depth, rest = (pixel(value) for value in shape.unbind(-1))
        own = canvas.instance_id == pixel(slot)
        object_from_world = pose[:, :3, :3].mT
        camera = -multiply(batch.camera_from_world[:, :3, :3].mT, batch.camera_from_world[:, :3, 3:])[..., 0]
        eye = multiply(object_from_world, (camera - pose[:, :3, 3])[..., None])[..., 0]
        place = canvas.object_coordinates.permute(0, 2, 3, 1)
        place = torch.where(own[..., None], place, 0)
        ray = normalize(place - pixel(eye))

        # The cornea itself rather than its triangles.
        axis = pixel(torch.zeros_like(eye))
        axis[..., 1] = -1.0
        centre = axis * cornea_at[..., None]
        away = pixel(eye) - centre
        along = (away * ray).sum(-1)
        square = along * along - (away * away).sum(-1) + cornea * cornea
        meets = own & (square > 0)
        surface = pixel(eye) + ray * (-along - torch.where(meets, square, 1).sqrt())[..., None]
        surface = torch.where(meets[..., None], surface, centre + axis * cornea[..., None])
        normal = (surface - centre) / cornea[..., None]

        size = pixel(iris) * limbus
        seen = refracted_place(surface, ray, normal, pixel(ior), axis * (limbus_at - depth)[..., None], axis)
        across, down = seen[..., 0] / size, -seen[..., 2] / size  # rows of the texture run down
        radius = (across * across + down * down).clamp(min=1e-12).sqrt()
        limit = (rest * pixel(pupil)).clamp(0.1, 0.85)
        stretch = dilated(radius, rest, limit) / radius
        read = torch.stack([across * stretch, down * stretch], -1)
        albedo = sampled(picture, read)

        # Iris within the limbus, sclera around it: only as far as the mesh is black.
        out = (surface[..., 0] ** 2 + surface[..., 2] ** 2).clamp(min=1e-16).sqrt()
        front = -surface[..., 1] > limbus_at - 0.4 * limbus
        white = smoothstep(0.86, 1.02, out / size)
        black = 1 - smoothstep(*BLACK, (place[..., 0] ** 2 + place[..., 2] ** 2).clamp(min=1e-16).sqrt() / limbus)
        black = black * (own & (place[..., 1] < 0))
        white = torch.where(meets & front, white, 1)
        normals = canvas.normals.permute(0, 2, 3, 1)
        outward = multiply(batch.camera_from_world[:, None, None, :3, :3].mT, normals[..., None])[..., 0]
        flat = -pixel(pose[:, :3, 1])
        here = pose[:, :3, 3]
        through = 1 - fresnel((-(ray * normal).sum(-1)).clamp(0, 1), pixel(ior))
        behind = albedo.permute(0, 2, 3, 1) * irradiance(batch, flat, here) * through[..., None]
        around = pixel(sclera) * irradiance(batch, outward, here)
        light = black[..., None] * (white[..., None] * around + (1 - white[..., None]) * behind)
        return image + light.permute(0, 3, 1, 2)


#: Between these radii, in radii of the limbus, the mesh's colour goes from black to the sclera's.
BLACK = (1.02, 1.2)


def smoothstep(low: float, high: float, x: Any) -> Any:
    """0 below `low`, 1 above `high`, smooth between.

    Example:
        >>> smoothstep(0.0, 2.0, torch.tensor([-1.0, 1.0, 3.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    t = (x - low) / (high - low)
    t = t.clamp(0, 1) if isinstance(t, Tensor) else t.clip(0, 1)
    return t * t * (3 - 2 * t)


def irradiance(batch: SceneBatch, normal: Tensor, place: Tensor) -> Tensor:
    """What a white diffuse surface reflects: ambient light and all lights, a spot light as if it were a point light.

    Args:
        batch: B images.
        normal: Unit normals, world, float32 [B, H, W, 3]; fast where each component lies together.
        place: Where the surface is, for lights that are near, float32 [B, 3] [m].

    Returns:
        Linear, float32 [B, H, W, 3].
    """
    normal = normal.movedim(-1, 1)  # pixels last: channels are then added a picture at a time
    x, y, z = normal.split(1, 1)
    # Real spherical harmonics in the order of the data model.
    terms = (
        *(0.48860251 * y, 0.48860251 * z, 0.48860251 * x, 1.09254843 * x * y, 1.09254843 * y * z),
        *(0.31539157 * (3 * z * z - 1), 1.09254843 * x * z, 0.54627422 * (x * x - y * y)),
    )
    first, *weights = batch.ambient[..., None, None].unbind(1)
    total = (0.28209479 * first).expand_as(normal)
    for term, weight in zip(terms, weights, strict=True):
        total = total + term * weight
    total = total.clamp(min=0)
    for light in range(batch.light_kind.shape[1]):
        kind = batch.light_kind[:, light, None]
        to = batch.light_position[:, light] - place
        square = (to * to).sum(-1, keepdim=True).clamp(min=1e-12)
        near = kind >= 2
        direction = torch.where(near, to / square.sqrt(), -batch.light_direction[:, light])
        strength = torch.where(near, 1 / square, (kind == 1).float()) * batch.light_color[:, light]
        cosine = (normal * direction[..., None, None]).sum(1, keepdim=True).clamp(min=0)
        total = total + cosine * strength[..., None, None]
    return total.movedim(1, -1)
