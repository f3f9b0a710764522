"""Newton's method where every evaluation is a round: halved steps, and an eye on what never ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from common.analyses._exact_algebra import SingularError, residuals, solved
from common.asking.analysis import Query
from common.asking.exact_sums import Exact, Total

MOST_ROUNDS = 60
ENOUGH = 1e-10
"""Largest change of a coefficient of standardised columns after which the next one is below rounding."""
LONG, STILL_MOVING = 20, 1e-3
"""After so many steps, one of this size or more will not end: every finite maximum is close by then."""
NOTHING = 1e-11
"""Of the largest second derivative: less is left by rounding, columns being standardised."""
FIRST_STEP = 5.0
"""Of one coefficient of a standardised column; a longer step is shortened."""


@dataclass(frozen=True)
class Point:
    """The log-likelihood at coefficients, (p,) its derivatives, and (p, p) the negative of its second ones.

    separated: whether these coefficients prove that there is no finite maximum.
    """

    coefficients: NDArray[np.float64]
    log_likelihood: float
    score: Exact
    information: Exact
    separated: bool = False


@dataclass(frozen=True)
class Climbed:
    """first: where it began. direction: of the last step. converged: whether there is a maximum, close to `last`."""

    first: Point
    last: Point
    coefficients: NDArray[np.float64]
    direction: NDArray[np.float64]
    converged: bool
    rounds: int
    useless: int | None = None
    """A coefficient of which the likelihood says nothing, given those before it, where the climb began."""


Evaluate = Callable[[NDArray[np.float64]], Generator[Query, Total, Point]]


def climbed(evaluate: Evaluate, start: NDArray[np.float64]) -> Generator[Query, Total, Climbed]:
    """To the maximum from `start`, one round an evaluation."""
    point = first = yield from evaluate(start)
    direction = np.zeros_like(start)
    useless = _useless(point.information)
    if useless is not None:
        return Climbed(first, point, start, direction, False, 1, useless)
    for rounds in range(1, MOST_ROUNDS):
        try:
            direction = solved(point.information, point.score[:, None])[:, 0].astype(np.float64)
        except SingularError:
            return Climbed(first, point, point.coefficients, direction, False, rounds)
        largest = float(np.max(np.abs(direction), initial=0.0))
        if largest <= ENOUGH:
            return Climbed(first, point, point.coefficients + direction, direction, True, rounds)
        if point.separated or (rounds >= LONG and largest >= STILL_MOVING):
            return Climbed(first, point, point.coefficients, direction, False, rounds)
        step = direction * min(1.0, FIRST_STEP / largest)
        following = yield from evaluate(point.coefficients + step)
        while following.log_likelihood < point.log_likelihood - rounding_of(point) and np.max(np.abs(step)) > ENOUGH:
            step = step / 2
            following = yield from evaluate(point.coefficients + step)
        point = following
    return Climbed(first, point, point.coefficients, direction, False, MOST_ROUNDS)


def rounding_of(point: Point) -> float:
    """By how much a log-likelihood may be off, each row's part being rounded."""
    return 1e-12 * (1 + abs(point.log_likelihood))


def _useless(information: Exact) -> int | None:
    left = residuals(information)
    limit = Fraction(NOTHING) * max(np.diag(information), default=Fraction(0))
    for j in range(len(information)):
        if j >= len(left) or left[j] <= limit:
            return j
    return None
