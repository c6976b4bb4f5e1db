"""Search without gradients: proposals and their losses, for any optimizer of named numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from fastsynth.random import Learnable, Noise
from fastsynth.random.learnable import flat, numbers
from fastsynth.random.learned import assign, parameters_of


class Study:
    """The learned parameters of a scene as a flat dictionary of bounded numbers.

    Any optimizer drives it: ask for numbers or bring your own, set the scene to them, and tell the loss. Numbers need
    not keep the rules of a distribution: two bounds in the wrong order are swapped, weights divided by their sum.

    Args:
        scene: With something to learn; its ``within`` are the bounds. Where there is none, the bounds are two widths
            of the range to either side, four standard deviations for a mean, and a factor of eight for a standard
            deviation.
        objective: The scene to its loss; only for `evaluate`, `run` and `optuna`.
        seed: Of the proposals of `ask`.

    Attributes:
        bounds: Lowest and highest value by name, such as ``camera.distance.low``.
        trials: What was told: pairs of values and loss.

    Example:
        >>> import fastsynth as fs
        >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(distance=3.0))
        >>> study = Study(scene.learn("camera.distance", within=(1.0, 5.0)))
        >>> for _ in range(20):
        ...     values = study.ask()
        ...     study.tell(values, abs(values["camera.distance.value"] - 2))
        >>> abs(study.best["camera.distance.value"] - 2) < 0.5
        True
    """

    def __init__(self, scene: Learnable, objective: Callable[[Any], Any] | None = None, *, seed: int = 0) -> None:
        scene.learnable()  # says so where nothing is learned
        self.scene, self.objective, self.seed = scene, objective, seed
        self._start = dict(zip([name for name, *_ in flat(scene)], numbers(scene).tolist(), strict=True))
        boxes = {id(part): part.learned.box() for part in scene.learned().values()}
        self.bounds: dict[str, tuple[float, float]] = {}
        for name, part, parameter, place in flat(scene):
            low, high = boxes[id(part)][parameter]
            self.bounds[name] = (float(low[place]), float(high[place]))
        self.trials: list[tuple[dict[str, float], float]] = []
        self._asked = 0

    def ask(self) -> dict[str, float]:
        """Numbers to try: at first those of the scene, then evenly anywhere within the bounds."""
        trial, self._asked = self._asked, self._asked + 1
        if trial == 0:
            return dict(self._start)
        noise = Noise(self.seed, torch.tensor([trial])).uniform(len(self.bounds), "search.study")[0].tolist()
        return {name: low + u * (high - low) for (name, (low, high)), u in zip(self.bounds.items(), noise, strict=True)}

    def tell(self, values: Mapping[str, float], loss: Any) -> None:
        """Note down the loss of some numbers; what is not finite counts as infinite.

        Raises:
            ValueError: names that this study does not know, or lacks.
        """
        self._check(values)
        loss = float(loss)
        self.trials.append((dict(values), loss if math.isfinite(loss) else math.inf))

    @property
    def best(self) -> dict[str, float]:
        """The numbers of the smallest loss.

        Raises:
            RuntimeError: nothing was told yet.
        """
        if not self.trials:
            raise RuntimeError("Study.best: no trial was told yet. Call tell(values, loss) first.")
        return min(self.trials, key=lambda trial: trial[1])[0]

    def apply(self, values: Mapping[str, float] | None = None) -> None:
        """Set the scene to numbers, the best by default; what lies out of bounds is set to the bound.

        Raises:
            ValueError: names that this study does not know, or lacks.
        """
        values = self.best if values is None else values
        self._check(values)
        wanted: dict[int, tuple[Any, dict[str, torch.Tensor]]] = {}
        for name, part, parameter, place in flat(self.scene):
            if id(part) not in wanted:
                known = part.learned.parameters_of
                wanted[id(part)] = (part, {n: v.clone() for n, v in parameters_of(part).items() if n in known})
            low, high = self.bounds[name]
            wanted[id(part)][1][parameter][place] = min(max(float(values[name]), low), high)
        for part, tensors in wanted.values():
            assign(part, part.learned.legal(tensors))

    def evaluate(self, values: Mapping[str, float]) -> float:
        """Set the scene to numbers, ask the objective, and note the loss down."""
        if self.objective is None:
            raise RuntimeError("Study.evaluate(): this study has no objective. Make it by Study(scene, objective).")
        self.apply(values)
        with torch.no_grad():
            loss = float(self.objective(self.scene))
        self.tell(values, loss)
        return loss

    def run(self, trials: int) -> dict[str, float]:
        """Ask and evaluate this often, set the scene to the best numbers, and return these."""
        for _ in range(trials):
            self.evaluate(self.ask())
        self.apply()
        return self.best

    def optuna(self, trial: Any) -> float:
        """An objective for Optuna: ``optuna.create_study().optimize(study.optuna, n_trials=100)``."""
        return self.evaluate({name: trial.suggest_float(name, *bounds) for name, bounds in self.bounds.items()})

    def ray(self) -> dict[str, Any]:
        """The search space for Ray Tune, whose trials return ``{"loss": study.evaluate(config)}``.

        They run in processes of their own, each with a copy of this study, so that nothing is noted down here: set the
        scene to the best by ``study.apply(results.get_best_result("loss", "min").config)``.

        Raises:
            ImportError: without ray.
        """
        try:
            from ray import tune  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError('Study.ray() needs Ray Tune. Install it by `pip install "ray[tune]"`.') from None
        return {name: tune.uniform(*bounds) for name, bounds in self.bounds.items()}

    def _check(self, values: Mapping[str, float]) -> None:
        wrong = set(values) ^ set(self.bounds)
        if wrong:
            raise ValueError(
                f"Study: values must be given for {', '.join(self.bounds)}, and for nothing else, but "
                f"{', '.join(sorted(wrong))} is missing or unknown."
            )
