"""Scenes: randomizers that fill a `SceneBatch`, one after another.

A randomizer is a function of a batch and of named noise, written as a module so that its distributions have a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastsynth.assets import Assets, Textures
from fastsynth.environments import Environments
from fastsynth.random import Decisions, Distribution, Learnable, Noise
from fastsynth.types import Frames, SceneBatch


class Parts(nn.Module):
    """A module that names the distributions it holds by their attributes, and takes its assets along to a device."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Distribution) and not value.name:
            value.name = name  # for use outside a scene; a scene's own names go before it
        super().__setattr__(name, value)

    def _apply(self, fn: Any, recurse: bool = True) -> Parts:
        super()._apply(fn, recurse)
        for name, value in list(vars(self).items()):
            if isinstance(value, Assets | Textures | Environments):
                device = fn(torch.empty(0, dtype=torch.int32, device=value.device)).device
                if device != value.device:
                    setattr(self, name, value.to(device))
        return self


class Randomizer(Parts):
    """A random change to a batch: subclass it, hold distributions as attributes, and write `forward`.

    `forward` returns a new batch and draws only from the noise it is given, so that an image stays the same whatever
    else is in the scene. It must not wait for the device (no ``.item()``, no shape that depends on a value).

    Attributes:
        assets: Meshes that this randomizer places, or None.

    Example:
        >>> import fastsynth as fs
        >>> class Dusk(fs.Randomizer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.darkness = fs.Uniform(1.0, 3.0)
        ...
        ...     def forward(self, batch, noise):
        ...         return batch.replace(exposure=batch.exposure - self.darkness.sample(noise))
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), dusk=Dusk())
        >>> bool((scene.sample(4).exposure <= -1).all())
        True
    """

    assets: Assets | None = None

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """The batch, changed.

        Args:
            batch: What the randomizers before this one have made.
            noise: Source of randomness; give it to ``distribution.sample(noise, shape)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, batch, noise) -> SceneBatch.")

    def extend(self, assets: Assets) -> Assets:
        """What this randomizer adds to the scene's assets, once, when the scene is made.

        What it wants to know of them in `forward` it keeps with them, by `Assets.keeping`: it may be in other scenes.
        """
        return assets


_Many = Randomizer | Sequence[Randomizer] | None


class Scene(Randomizer, Learnable):
    """Randomizers in a fixed order: camera, objects, light, background, materials, sensor, then any others.

    The place of a distribution in the scene, such as ``camera.distance``, is its key in the ``state_dict`` and
    the name of its random stream: a value drawn for image 7 of seed 0 stays what it is when other parts of the scene
    are added, taken out or changed.

    Args:
        objects: One or several `Objects`; all place meshes of the same assets.
        camera: `Camera` or `CameraPose`; by default a `Camera` that frames meshes of any size.
        light: One or several lights; without any, white light from everywhere.
        background: `ColorBackground`, `GradientBackground` or `ImageBackground`; black by default.
        materials: `Materials`; each mesh's own by default.
        sensor: `Sensor`; without one the picture is developed as it is.
        shading: "lambert", "blinn_phong" or "ggx".
        tone: "srgb", "filmic" or "linear".
        lod: Largest projected error of a level of detail [pixels]; 0 draws every mesh in full.
        near: Nothing closer to the camera along its axis is drawn [m].
        filter: Of textures: "trilinear" or "bilinear".
        shadow_size: Texels along the side of a shadow map, for lights that cast shadows.
        **others: Further randomizers, applied last, in the order given; the keyword is the name.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(
        ...     objects=fs.Objects(fs.procedural.primitives(), count=3),
        ...     camera=fs.Camera(distance=fs.Uniform(2.0, 4.0)),
        ... )
        >>> batch = scene.sample(8, seed=1)
        >>> batch.images, batch.instances
        (8, 3)
        >>> sorted(scene.state_dict())[:2]
        ['camera.azimuth.high', 'camera.azimuth.low']
    """

    def __init__(
        self,
        objects: _Many = None,
        camera: Randomizer | None = None,
        light: _Many = None,
        background: Randomizer | None = None,
        materials: _Many = None,
        sensor: Randomizer | None = None,
        *,
        shading: str = "lambert",
        tone: str = "srgb",
        lod: float = 0.25,
        near: float = 0.01,
        filter: str = "trilinear",
        shadow_size: int = 1024,
        **others: Randomizer,
    ) -> None:
        super().__init__()
        if camera is None:
            from fastsynth.randomizers import Camera  # the layer above: only a default at call time

            camera = Camera()
        self.camera = _one_or_list("camera", camera)
        self.objects = _one_or_list("objects", objects)
        self.light = _one_or_list("light", light)
        self.background = _one_or_list("background", background)
        self.materials = _one_or_list("materials", materials)
        self.sensor = _one_or_list("sensor", sensor)
        for name, randomizer in others.items():
            if hasattr(self, name):
                raise ValueError(f"Scene: a randomizer cannot be called {name!r}, which means something else already.")
            setattr(self, name, _one_or_list(name, randomizer))
        self.shading, self.tone, self.filter = shading, tone, filter
        self.lod, self.near, self.shadow_size = lod, near, shadow_size

        held = [randomizer.assets for randomizer in self._steps() if randomizer.assets is not None]
        if not held:
            raise ValueError("Scene: there is nothing to draw. Give objects=fs.Objects(assets, ...).")
        if any(assets is not held[0] for assets in held):
            raise ValueError(
                "Scene: all objects must place meshes of the same assets, but these hold different ones. Make them one "
                "by Assets.concatenate([...]), and give each Objects its part by choice=range(first row, last row + 1)."
            )
        assets = held[0]
        for randomizer in self._steps():
            assets = randomizer.extend(assets)
        self.assets: Assets = assets  # pyright: ignore[reportIncompatibleVariableOverride]
        self.to(self.device)

    @property
    def device(self) -> torch.device:
        """Where samples are made and drawn: the device of the assets."""
        return self.assets.device

    #: Classes that are targets of detection; None = all. Objects of others are drawn alone.
    target_classes: Sequence[str] | None = None

    #: Outputs of `render` that `labels` reads.
    label_outputs: tuple[str, ...] = ()

    def labels(self, frames: Frames) -> dict[str, Tensor]:
        """What a scene labels beside what `render` draws: tensors [B, ...] that datasets put into their targets.

        Args:
            frames: Drawn with `label_outputs` among their outputs.
        """
        return {}

    def _steps(self) -> Iterable[Randomizer]:
        """The randomizers in the order in which they run."""
        for child in self.children():
            yield from child if isinstance(child, nn.ModuleList) else (child,)  # type: ignore[misc]

    def forward(self, batch: SceneBatch, noise: Noise) -> SceneBatch:
        """Every randomizer in turn."""
        for randomizer in self._steps():
            batch = randomizer(batch, noise)
        return batch

    def sample(
        self,
        images: int | Sequence[int] | Tensor,
        seed: int = 0,
        *,
        aspect: float = 1.0,
        decisions: Decisions | None = None,
    ) -> SceneBatch:
        """Draw scenes.

        Args:
            images: How many, for images 0 to B - 1; or which ones: their indices, int64 [B]. Image i of a seed is the
                same in every batch.
            seed: Any integer.
            aspect: Width over height of the images to be drawn, for what fills an image.
            decisions: Where to note down what each `Choice` chose, or to say what it shall choose.

        Returns:
            B scenes on the device of the scene, with every value that a distribution gave in ``params``.

        Example:
            >>> import fastsynth as fs
            >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()))
            >>> whole, one = scene.sample(10), scene.sample([7])
            >>> bool((whole.world_from_object[7:8] == one.world_from_object).all())
            True
        """
        device = self.device
        if isinstance(images, Tensor):
            index = images.to(device, non_blocking=images.device.type == "cpu")
        elif isinstance(images, int):
            index = torch.arange(images, device=device)
        else:
            index = torch.tensor(list(images), dtype=torch.int64).to(device, non_blocking=True)
        names: dict[nn.Module, str] = {module: path for path, module in self.named_modules() if path}
        decisions = Decisions() if decisions is None else decisions
        noise = Noise(seed, index, names=names, aspect=aspect, decisions=decisions)
        identity = torch.eye(4, device=device).expand(noise.images, 4, 4)
        batch = SceneBatch(
            assets=self.assets,
            mesh_id=torch.empty(noise.images, 0, dtype=torch.int32, device=device),
            world_from_object=identity.new_empty(noise.images, 0, 4, 4),
            intrinsics=identity[:, :3, :3],
            camera_from_world=identity,
            shading=self.shading,
            tone=self.tone,
            filter=self.filter,
            lod=self.lod,
            near=self.near,
            shadow_size=self.shadow_size,
        )
        return self(batch, noise).replace(params=decisions.named)

    def log_prob(self, images: int | Sequence[int] | Tensor, seed: int = 0, *, aspect: float = 1.0) -> Tensor:
        """Logarithms of the probability of what each `Choice` that is learned chose, for the images of `sample`.

        Nothing has to be kept of the sample: the same images of the same seed choose the same again.

        Args:
            images: As of `sample`.
            seed: As of `sample`.
            aspect: As of `sample`.

        Returns:
            float32 [B], differentiable in the weights.

        Example:
            >>> import fastsynth as fs
            >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives(), choice=fs.Choice([0, 1])))
            >>> scene.learn("objects.choice").log_prob(2).tolist()
            [-0.6931471824645996, -0.6931471824645996]
        """
        decisions = Decisions()
        with torch.no_grad():
            batch = self.sample(images, seed, aspect=aspect, decisions=decisions)
        return decisions.log_prob(batch.images).to(batch.device)


def _one_or_list(name: str, given: Any) -> nn.Module | None:
    """A randomizer, or a list of randomizers as a module."""
    parts = list(given) if isinstance(given, list | tuple) else [given]
    for part in parts:
        if part is not None and not isinstance(part, Randomizer):
            raise TypeError(
                f"Scene: `{name}` must be a randomizer or a list of them, but holds a {type(part).__name__}."
            )
    return nn.ModuleList(parts) if isinstance(given, list | tuple) else given
