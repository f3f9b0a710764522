"""Exact intervals for how many of n persons have an answer, of whom each one's answer was randomised.

Of T persons who have it each says so with chance `if_true`, of the others with chance `if_false`, so that Y, the
number that says so, is the sum of two binomials and its law is known for every T: what is unknown is T alone, these
persons are no sample. Its deviation is sqrt(p (1 - p) n) / (p - q) at most, where an interval for a binomial of all
n answers would count how persons differ as chance as well, and be twice as wide at epsilon 3.

*Exact*: T is inside unless its test rejects Y at 1 - level. A test accepts the likeliest numbers (Sterne 1954), as
few as make `level`, and what lies between the outermost T that accept Y is inside: it covers at least `level`
whatever T is. *Mid-p*: counts half of the chance of Y itself in each tail (Lancaster 1961); it covers `level` on
average, nearly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError

Floats = NDArray[np.float64]
MOST_BY_STERNE = 1200
"""Persons. Beyond, steps between numbers are small beside the deviation, and tails of equal chance do as well."""

FARTHEST = 12.0
"""Deviations: beyond lies less than 1e-30."""


@dataclass(frozen=True)
class Share:
    """Of persons who have the answer: the estimate, which noise can carry below 0, and two intervals of one level."""

    estimate: float
    low: float
    high: float
    mid_p_low: float
    mid_p_high: float


def share_of(said: int, persons: int, if_true: float, if_false: float, level: float = 0.95) -> Share:
    """said: how many of `persons` were heard to have the answer. Raises StudyError where answers say nothing."""
    if not 0 <= if_false < if_true <= 1:
        raise StudyError(f"answers must be likelier where they are true: {if_true!r} must be above {if_false!r}.")
    if not 0 <= said <= persons or persons < 1:
        raise StudyError(f"{said} of {persons} persons is no count.")
    found = (said - persons * if_false) / (persons * (if_true - if_false))
    if persons <= MOST_BY_STERNE:
        low, high = (int(one[said]) for one in _sterne(persons, if_true, if_false, level))
    else:
        low, high = _tails(said, persons, if_true, if_false, level, 1.0)
    mid_low, mid_high = _tails(said, persons, if_true, if_false, level, 0.5)
    return Share(found, *(count / persons for count in (low, high, mid_low, mid_high)))


def chances(true: int, persons: int, if_true: float, if_false: float) -> Floats:
    """(persons + 1,) chances of each number of persons who say so, where `true` of them have the answer."""
    (law,) = _transformed(np.array([true]), persons, if_true, if_false)
    return np.asarray(law, np.float64)


def _transformed(true: NDArray[np.int64], persons: int, if_true: float, if_false: float) -> Floats:
    size = 1 << persons.bit_length()
    turns = np.exp(2j * np.pi * np.arange(size) / size)
    yes, no = np.log(1 - if_true + if_true * turns + 0j), np.log(1 - if_false + if_false * turns + 0j)
    powers: NDArray[np.complex128] = np.exp(true[:, None] * yes + (persons - true[:, None]) * no)
    laws: Floats = np.maximum(np.fft.fft(powers, axis=1).real[:, : persons + 1] / size, 0.0)
    return laws


@lru_cache(maxsize=32)
def _sterne(persons: int, if_true: float, if_false: float, level: float) -> tuple[NDArray[np.int64], ...]:
    """(persons + 1,) each: the least and the largest number true that accepts each number said."""
    least, most = np.full(persons + 1, persons), np.zeros(persons + 1, np.int64)
    for first in range(0, persons + 1, 128):
        true = np.arange(first, min(first + 128, persons + 1))
        laws = _transformed(true, persons, if_true, if_false)
        for number, law in zip(true.tolist(), laws, strict=True):
            order = np.argsort(-law, kind="stable")
            enough = int(np.searchsorted(np.cumsum(law[order]), level - 1e-12)) + 1
            accepted = order[:enough]
            least[accepted] = np.minimum(least[accepted], number)
            most[accepted] = np.maximum(most[accepted], number)
    return np.minimum(least, most), np.maximum(least, most)


def _tails(said: int, persons: int, if_true: float, if_false: float, level: float, weight: float) -> tuple[int, int]:
    """By bisection: the least and the largest T neither of whose tails at `said` is below (1 - level) / 2.

    weight: of the chance of `said` itself.
    """
    allowed = (1 - level) / 2

    def upper(true: int) -> float:
        above, at = _above(said, true, persons, if_true, if_false)
        return above + weight * at

    def lower(true: int) -> float:
        above, at = _above(said, true, persons, if_true, if_false)
        return max(1 - above - at, 0.0) + weight * at

    low, high = 0, persons
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if upper(middle) >= allowed else (middle + 1, high)
    least = low
    low, high = 0, persons
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if lower(middle) >= allowed else (low, middle - 1)
    return min(least, low), max(least, low)


def _above(said: int, true: int, persons: int, if_true: float, if_false: float) -> tuple[float, float]:
    """Chances of more than `said`, and of just so many."""
    from scipy.stats import binom

    centre, reach = true * if_true, FARTHEST * (true * if_true * (1 - if_true)) ** 0.5 + 1
    of_true = np.arange(max(0, int(centre - reach)), min(true, int(centre + reach) + 1) + 1)
    law, rest = binom.pmf(of_true, true, if_true), said - of_true
    others = persons - true
    return float(law @ binom.sf(rest, others, if_false)), float(law @ binom.pmf(rest, others, if_false))
