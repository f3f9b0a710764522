"""Quasi-identifiers: the columns by which somebody might be found, and the ordered values that each may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Branches
from common.errors import StudyError

Codes: TypeAlias = NDArray[np.int64]
UNKNOWN = "unknown"


@dataclass(frozen=True)
class NumberDomain:
    """A column of numbers. values: ascending; what lies between two is taken for the lower one.

    step: of a public grid, beyond whose ends there may be more; 0 where the values are all that there are. dates:
    whether the numbers are days, as `datetime.date.toordinal` counts them.
    """

    name: str
    values: tuple[float, ...]
    step: float = 0.0
    dates: bool = False

    def __post_init__(self) -> None:
        if not self.values or any(b <= a for a, b in zip(self.values, self.values[1:], strict=False)):
            raise StudyError(f"the values of {self.name!r} must ascend, and be one at least.")

    @classmethod
    def grid(cls, name: str, low: float, high: float, step: float) -> NumberDomain:
        """low, low + step, ... up to high. Raises StudyError where that is no grid, or one of more than a million."""
        if not (np.isfinite([low, high, step]).all() and step > 0 and low <= high and (high - low) / step < 1e6):
            raise StudyError(f"column {name!r} needs a grid from low to high by step; it is {low}, {high}, {step}.")
        return cls(name, tuple((low + step * np.arange(int((high - low) / step + 1e-9) + 1)).tolist()), step)

    def __len__(self) -> int:
        return len(self.values) + 1

    def codes(self, column: NDArray[np.float64]) -> Codes:
        """(N,): 0 where nothing is written down, else 1 + the value's place. Beyond the grid is its nearest end."""
        places = np.clip(np.searchsorted(np.array(self.values), column, side="right"), 1, len(self.values))
        return np.where(np.isnan(column), 0, places).astype(np.int64)

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """(len,) where on a scale from 0 to 1 each code lies; unknown lies with the lowest."""
        values = np.array(self.values)
        width = values[-1] - values[0]
        return np.concatenate([[0.0], (values - values[0]) / width if width else np.zeros(len(values))])

    def width(self, low: Codes, high: Codes) -> NDArray[np.float64]:
        """Share of the whole range from code low to code high; all of it where unknown and known are mixed."""
        mixed = (low == 0) & (high > 0)
        span = (self.places[high] - self.places[low]) * (1 - self._cell) + self._cell * (high > 0)
        return np.where(mixed, 1.0, span)

    @property
    def _is_whole(self) -> bool:
        """Whether it is a grid of whole numbers, of which each is a value and no range."""
        return self.step == 1 and float(self.values[0]).is_integer()

    @property
    def _cell(self) -> float:
        """Share of the whole range that one value of the grid stands for."""
        return 0.0 if not self.step or self._is_whole else 1 / len(self.values)

    def says(self, low: int, high: int) -> str:
        """As it is released: a value, or a range."""
        if high == 0:
            return UNKNOWN
        text = self._open(max(low, 1), high) if self.step else self._spans(max(low, 1), high)
        return text if low > 0 else f"{UNKNOWN} or {text}"

    def _spans(self, low: int, high: int) -> str:
        first, last = self._written(self.values[low - 1]), self._written(self.values[high - 1])
        return first if first == last else f"{first} to {last}"

    def _open(self, low: int, high: int) -> str:
        """A value of a grid stands for all up to the next, and its ends for all beyond them."""
        lowest, highest = low == 1, high == len(self.values)
        if lowest and highest:
            return "any"
        if highest:
            return f"{self.values[low - 1]:.15g} or more"
        if self._is_whole:
            return f"{self.values[high - 1]:.15g} or less" if lowest else self._spans(low, high)
        below = f"below {self.values[high]:.15g}"
        return below if lowest else f"{self.values[low - 1]:.15g} to {below}"

    def _written(self, value: float) -> str:
        return date.fromordinal(int(value)).isoformat() if self.dates else f"{value:.15g}"


@dataclass(frozen=True)
class WordDomain:
    """A column of words. hierarchy: of some words the group that stands for them, of groups their own, up to one.

    Leaves are ordered so that those of a group lie together; a group is released by its name. Without a hierarchy
    words are released as sets.
    """

    name: str
    words: tuple[str, ...]
    hierarchy: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(set(self.words)) < len(self.words) or not self.words:
            raise StudyError(f"the words of {self.name!r} must be one at least, and each but once.")
        for word in self.words:
            self._chain(word)

    def __len__(self) -> int:
        return len(self.words) + 1

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """The words, those of each group together."""
        return tuple(sorted(self.words, key=lambda word: self._chain(word)[::-1])) if self.hierarchy else self.words

    def codes(self, column: NDArray[np.str_]) -> Codes:
        """(N,): 0 where nothing is written down, or a word that is none of these, else 1 + the word's place."""
        place = {word: index + 1 for index, word in enumerate(self.ordered)}
        return np.array([place.get(word, 0) for word in column.tolist()], dtype=np.int64)

    def width(self, low: Codes, high: Codes) -> NDArray[np.float64]:
        """How many other words it may be, as a share of all others (Xu et al. 2006, normalised certainty penalty)."""
        return (high - low) / max(len(self.words) - 1, 1) if len(self.words) > 1 else (high - low).astype(np.float64)

    def says(self, low: int, high: int) -> str:
        """As it is released: a word, a group of the hierarchy, or a set."""
        words = ((UNKNOWN, *self.ordered))[low : high + 1]
        group = self._group(words) if self.hierarchy and len(words) > 1 and low > 0 else None
        return group or (words[0] if len(words) == 1 else "{" + ", ".join(words) + "}")

    def widened(self, low: int, high: int) -> tuple[int, int]:
        """The codes of the smallest group of the hierarchy that holds these; of all words where none does."""
        if not self.hierarchy or low == high:
            return low, high
        if low == 0:
            return 0, len(self.ordered)
        chain = self._chain(self.ordered[low - 1])
        for group in chain[1:]:
            inside = [code for code, word in enumerate(self.ordered, 1) if group in self._chain(word)]
            if inside[0] <= low and high <= inside[-1]:
                return inside[0], inside[-1]
        return 1, len(self.ordered)

    def groups(self, low: int, high: int) -> tuple[tuple[int, int], ...]:
        """How a range of codes parts into what lies one step down the hierarchy; () where that is no range of it."""
        if high == 0:
            return ((0, 0),)
        words = self.ordered[max(low, 1) - 1 : high]
        chains = [self._chain(word)[::-1] for word in words]
        depth = 0
        while all(len(chain) > depth for chain in chains) and len({chain[depth] for chain in chains}) == 1:
            depth += 1
        heads = [chain[min(depth, len(chain) - 1)] for chain in chains]
        starts = [index for index in range(len(heads)) if index == 0 or heads[index] != heads[index - 1]]
        first = max(low, 1)
        ranges = [(first + a, first + b - 1) for a, b in zip(starts, [*starts[1:], len(heads)], strict=True)]
        return ((0, 0), *ranges) if low == 0 else tuple(ranges)

    @property
    def branches(self) -> Branches:
        """Of the tree of codes: edges so long that two words are as far apart as the group is high that holds both.

        A height is a share of the whole tree's; what is unknown hangs from the top.
        """
        chains = [(UNKNOWN,), *(self._chain(word) for word in self.ordered)]
        top = max(len(chain) for chain in chains)
        height: dict[str, int] = {}
        for chain in chains:
            for at, node in enumerate(chain):
                height[node] = max(height.get(node, 0), at)
        below: dict[str, list[int]] = {}
        for code, chain in enumerate(chains):
            for node in chain:
                below.setdefault(node, []).append(code)
        single = len(below[chains[1][-1]]) == len(self.words)
        whole = max(height.values()) if single else top
        lengths = {
            node: ((height[self.hierarchy[node]] if node in self.hierarchy else whole) - height[node])
            / (2 * max(whole, 1))
            for node in below
        }
        return tuple((lengths[node], tuple(codes)) for node, codes in below.items() if lengths[node] > 0)

    def _chain(self, word: str) -> tuple[str, ...]:
        """The word, its group, that one's group, and so on."""
        chain = [word]
        while chain[-1] in self.hierarchy:
            chain.append(self.hierarchy[chain[-1]])
            if len(chain) > len(self.hierarchy) + 1:
                raise StudyError(f"the hierarchy of {self.name!r} goes round in a circle at {word!r}.")
        return tuple(chain)

    def _group(self, words: Sequence[str]) -> str | None:
        """The lowest group that holds just these words."""
        for group in self._chain(words[0])[1:]:
            if {word for word in self.ordered if group in self._chain(word)} == set(words):
                return group
        return None


Domain: TypeAlias = NumberDomain | WordDomain
