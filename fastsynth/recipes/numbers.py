"""The numbers of a published system, each with whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What the marks mean.
SOURCES = {
    "paper": "stands in the paper",
    "code": "stands in the authors' public code, or in the named re-implementation",
    "memory": "recalled from the paper, not checked against it",
    "ours": "the paper is silent; our choice",
}


@dataclass(frozen=True)
class Number:
    """A value, whose it is, and what there is to say about it."""

    value: Any
    source: str
    note: str = ""


def paper(value: Any, note: str = "") -> Number:
    """A number that stands in the paper."""
    return Number(value, "paper", note)


def code(value: Any, note: str = "") -> Number:
    """A number of the authors' public code, or of the re-implementation that the note names."""
    return Number(value, "code", note)


def memory(value: Any, note: str = "") -> Number:
    """A number recalled from the paper and not checked."""
    return Number(value, "memory", note)


def ours(value: Any, note: str = "") -> Number:
    """A number that the paper does not give."""
    return Number(value, "ours", note)


class Numbers(Mapping[str, Any]):
    """The numbers of a recipe by name; reading one gives its value.

    Attributes:
        stated: Each with its source.
        used: Which were read so far: a test asks for all of them, so that no table says what no code does.

    Example:
        >>> numbers = Numbers({"cars": paper((1, 14), "at most 14 an image"), "distractors": ours((0, 20))})
        >>> numbers["cars"], numbers.stated["distractors"].source, sorted(numbers.used)
        ((1, 14), 'ours', ['cars'])
    """

    def __init__(self, stated: Mapping[str, Number]) -> None:
        self.stated = dict(stated)
        self.used: set[str] = set()
        for name, number in self.stated.items():
            if number.source not in SOURCES:
                raise ValueError(f"Numbers: the source of {name!r} must be one of {tuple(SOURCES)}.")

    def __getitem__(self, name: str) -> Any:
        value = self.stated[name].value
        self.used.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.stated)

    def __len__(self) -> int:
        return len(self.stated)
