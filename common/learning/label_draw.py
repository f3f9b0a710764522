"""Which persons' labels are used where a study learns from a share of them: class by class, and by a public rule.

Within a hospital the persons of each class are ranked by SHA-256 of (seed, draw, name), and the first of them are
taken: share times their number, rounded down or up by a number in [0, 1) that hospital, class and draw decide. So the
expected number is the share exactly, however few of a class a hospital has; a larger share of the same draw takes
the same persons and more; and labels of all hospitals together are what each draws by itself. A hospital that would
be left with nobody takes its first.

Where one person may not decide who else is there (an independent split, as privacy for persons needs), each is taken
by its own number alone, whatever its class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import floor

import numpy as np
from numpy.typing import NDArray

_WORDS = 2**64


@dataclass(frozen=True)
class LabelDraw:
    """share: of persons, above 0 and at most 1. draw: its number; draws of other numbers take other persons."""

    share: float
    draw: int
    seed: int

    def persons(
        self, persons: NDArray[np.str_], strata: Sequence[str] | NDArray[np.str_], site: str
    ) -> frozenset[str]:
        """Those whose labels are used. persons, strata: (N,) of every case; of several strata of a person the rarest
        counts, that of the fewest cases here, and of equally rare ones the first by name."""
        of_person = _strata(persons, strata)
        ranked = sorted(of_person, key=self._rank)
        taken: set[str] = set()
        for stratum in sorted(set(of_person.values())):
            own = [person for person in ranked if of_person[person] == stratum]
            taken |= set(own[: floor(self.share * len(own) + self._number("rounding", site, stratum))])
        return frozenset(taken or ranked[:1])

    def alone(self, persons: NDArray[np.str_]) -> frozenset[str]:
        """The same share, every person by itself."""
        return frozenset(person for person in set(persons.tolist()) if self._number("person", person) < self.share)

    def _rank(self, person: str) -> tuple[float, str]:
        return self._number("person", person), person

    def _number(self, *words: str) -> float:
        """In [0, 1)."""
        text = "\x1f".join(("labels", str(self.seed), str(self.draw), *words))
        return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / _WORDS


def _strata(persons: NDArray[np.str_], strata: Sequence[str] | NDArray[np.str_]) -> dict[str, str]:
    words, counts = np.unique(np.asarray(strata, np.str_), return_counts=True)
    rarity = {word: (count, word) for word, count in zip(words.tolist(), counts.tolist(), strict=True)}
    found: dict[str, str] = {}
    for person, stratum in zip(persons.tolist(), np.asarray(strata, np.str_).tolist(), strict=True):
        found[person] = min(found.get(person, stratum), stratum, key=rarity.__getitem__)
    return found
