"""What holds distributions, and lets their parameters be learned, written down and set by their paths."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastsynth.random import learned
from fastsynth.random.distribution import Constant, Distribution, as_buffer

_WILD = frozenset("*?[")


class Learnable(nn.Module):
    """A module that knows the distributions within it by their paths, such as ``camera.distance``.

    `Scene` is one; so is any module of yours that derives from this class.

    Example:
        >>> import fastsynth as fs
        >>> class Pair(fs.random.Learnable):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.near, self.far = fs.Uniform(0.0, 1.0), fs.Normal(5.0, 1.0)
        >>> pair = Pair()
        >>> len(pair.learn("f*").learnable()), sorted(pair.to_json())
        (2, ['far', 'near'])
    """

    def distributions(self) -> dict[str, Distribution]:
        """Every distribution by its path, in the order of the parts that hold them."""
        return {path: part for path, part in self.named_modules() if path and isinstance(part, Distribution)}

    def learn(self, *patterns: str, within: tuple[Any, Any] | None = None) -> Any:
        """Make parameters of distributions trainable.

        The parameters become functions of free numbers that an optimizer may change as it likes: bounds stay in order,
        a standard deviation above 0, weights of a `Choice` above 0. Each free number starts at 0, and 1 is about one
        width of the distribution as it is now, so that one learning rate suits them all. Draws use the same
        uniform numbers as before, and until something is learned no image changes by a bit.

        What is learned of each: both bounds of `Uniform` and `LogUniform`; mean and standard deviation of `Normal`,
        `LogNormal` and, between its fixed bounds, `TruncatedNormal`; all three of `Triangular`; the weights of a
        `Choice` but for those that are 0; the value of a `Constant`; of a distribution of yours, all floating-point
        buffers. A `Choice` gets its gradient from `fastsynth.search.score_function`, everything else from `backward`.

        Args:
            *patterns: Paths of distributions, or patterns such as ``"light.*"``. A pattern takes what is random and not
                learned yet; a `Constant` is learned only where its own path is given, and what is learned already
                starts anew where its own path is given.
            within: Lowest and highest value: numbers, or vectors for distributions of vectors. Bounds, means, modes
                and constants stay between them; of a `LogNormal`, its median.

        Returns:
            This module.

        Raises:
            ValueError: a pattern that fits nothing, nothing to be learned, or limits that do not hold what is there.

        Example:
            >>> import fastsynth as fs
            >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(distance=fs.Uniform(2.0, 3.0)))
            >>> scene = scene.learn("camera.distance", within=(0.2, 6.0))
            >>> scene.camera.distance.high.requires_grad
            True
        """
        limits = None
        if within is not None:
            low, high = (as_buffer(limit) for limit in within)
            if not bool((low < high).all()):
                raise ValueError(f"learn(): `within` must be a lower and a higher limit, but is {within!r}.")
            limits = low, high
        for path, distribution in self.matching(patterns).items():
            learned.freeze(distribution)
            device = next(distribution.buffers()).device
            try:
                learned.learn(distribution, limits and (limits[0].to(device), limits[1].to(device)))
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"{path}: {error}") from None
        return self

    def matching(self, patterns: tuple[str, ...]) -> dict[str, Distribution]:
        """The distributions that these patterns mean."""
        found: dict[str, Distribution] = {}
        every = self.distributions()
        teachable = {path: part for path, part in every.items() if learned.is_learned(part) or learned.buffers_of(part)}
        for pattern in patterns:
            if pattern in teachable:
                found[pattern] = teachable[pattern]
                continue
            fitting = {path: part for path, part in teachable.items() if fnmatch.fnmatchcase(path, pattern)}
            if pattern in every or not (fitting and _WILD & set(pattern)):
                what = "has no parameters to learn" if pattern in every else "is no distribution and fits none"
                raise ValueError(f"learn(): {pattern!r} {what}.{_suggest(pattern, teachable)}")
            found |= {
                path: part
                for path, part in fitting.items()
                if not isinstance(part, Constant) and not learned.is_learned(part)
            }
            if all(isinstance(part, Constant) for part in fitting.values()):
                raise ValueError(
                    f"learn(): {pattern!r} fits constants only: {', '.join(fitting)}. A constant is learned where its "
                    "own path is given."
                )
        if not patterns:
            raise ValueError(f"learn(): say what to learn.{_suggest('', teachable)}")
        return found

    def learned(self) -> dict[str, Distribution]:
        """The distributions that are being learned, by their paths."""
        return {path: part for path, part in self.distributions().items() if learned.is_learned(part)}

    def learnable(self) -> list[nn.Parameter]:
        """The free numbers of all that is learned, for an optimizer.

        Raises:
            RuntimeError: nothing is learned.
        """
        found = list(self.named_learnable().values())
        if not found:
            raise RuntimeError('learnable(): nothing is being learned. Call learn("path of a distribution") first.')
        return found

    def named_learnable(self) -> dict[str, nn.Parameter]:
        """The same by name, such as ``camera.distance.width``."""
        return {
            f"{path}.{name}": coordinate
            for path, part in self.learned().items()
            for name, coordinate in part.learned.named_parameters()
        }

    def freeze(self, *patterns: str) -> Any:
        """Make what was learned fixed, as it is now; all of it, or what the patterns fit.

        Returns:
            This module.
        """
        for path, distribution in self.learned().items():
            if not patterns or any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
                learned.freeze(distribution)
        return self

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The parameters of every distribution by its path, as plain numbers and lists; exact.

        Example:
            >>> import fastsynth as fs
            >>> scene = fs.Scene(fs.Objects(fs.procedural.primitives()), fs.Camera(distance=fs.Uniform(2.0, 3.0)))
            >>> scene.to_json()["camera.distance"]
            {'type': 'Uniform', 'low': 2.0, 'high': 3.0}
        """
        return {
            path: {
                "type": _kind(part),
                **{name: value.tolist() for name, value in learned.parameters_of(part).items()},
            }
            for path, part in self.distributions().items()
        }

    def load_json(self, given: Mapping[str, Mapping[str, Any]] | str | Path) -> Any:
        """Set parameters as `to_json` wrote them: of the paths and parameters that are given, all or none.

        What is being learned starts anew from there.

        Args:
            given: What `to_json` returned, or a JSON file of it.

        Returns:
            This module.

        Raises:
            ValueError: an unknown path or parameter, another kind of distribution, a wrong shape, or parameters that
                break a rule. Nothing is changed then.
        """
        entries: Mapping[str, Any] = (
            json.loads(Path(given).read_text(encoding="utf-8")) if isinstance(given, str | Path) else given
        )
        every = self.distributions()
        checked: list[tuple[str, Distribution, dict[str, Tensor]]] = []
        for path, entry in entries.items():
            if path not in every:
                raise ValueError(f"load_json(): there is no distribution {path!r}.{_suggest(path, every)}")
            checked.append((path, every[path], _read(path, every[path], entry)))
        before = [(part, {n: v.clone() for n, v in learned.parameters_of(part).items()}) for _, part, _ in checked]
        for path, part, values in checked:
            try:
                learned.assign(part, values)
            except ValueError as error:
                for part, values in before:
                    learned.assign(part, values)
                raise ValueError(f"load_json(): {path!r}: {error}") from None
        return self


def flat(module: Learnable) -> Iterator[tuple[str, Distribution, str, tuple[int, ...]]]:
    """Every number that is learned: its name, the distribution, the parameter and the place in it.

    Names are those of parameters, with a place where there are several: ``camera.target.low[2]``.
    """
    for path, part in module.learned().items():
        for parameter, value in learned.parameters_of(part).items():
            if parameter in part.learned.parameters_of:
                for place in itertools.product(*map(range, value.shape)):
                    index = f"[{','.join(map(str, place))}]" if place else ""
                    yield f"{path}.{parameter}{index}", part, parameter, place


def numbers(module: Learnable) -> Tensor:
    """The values of all that is learned, float32 [P], in the order of `flat`; without gradient."""
    return torch.cat(
        [
            value.flatten()
            for part in module.learned().values()
            for name, value in learned.parameters_of(part).items()
            if name in part.learned.parameters_of
        ]
    )


def _kind(distribution: Distribution) -> str:
    return (type(distribution).__mro__[2] if learned.is_learned(distribution) else type(distribution)).__name__


def _read(path: str, part: Distribution, entry: Any) -> dict[str, Tensor]:
    """The parameters of an entry as tensors, once they fit the distribution."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"load_json(): {path!r} must be a mapping of parameters, but is a {type(entry).__name__}.")
    if entry.get("type", _kind(part)) != _kind(part):
        raise ValueError(
            f"load_json(): {path!r} is a {_kind(part)} here, but a {entry['type']} in what was given. Make the scene "
            "with the same distributions."
        )
    have, values = learned.parameters_of(part), {}
    for name, given in entry.items():
        if name == "type":
            continue
        if name not in have:
            raise ValueError(
                f"load_json(): {path!r} has no parameter {name!r}. Available: {', '.join(have) or 'none'}."
            )
        value = torch.tensor(given, dtype=have[name].dtype, device=have[name].device)
        if value.shape != have[name].shape:
            raise ValueError(
                f"load_json(): `{name}` of {path!r} must have shape {list(have[name].shape)}, but has "
                f"{list(value.shape)}."
            )
        values[name] = value
    return values


def _suggest(name: str, every: Mapping[str, Any]) -> str:
    """What might have been meant, and what there is."""
    close = difflib.get_close_matches(name, every, 1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Available: {', '.join(every) or 'none'}."
