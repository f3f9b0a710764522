"""Mean and standard deviation of a column between public bounds: the mean that noise can be added to."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._bounds import bounds_of, clamped, missing
from common.analyses._noise import IN_INTERVALS
from common.analyses._words import between, rows, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_sum, reals
from common.asking.noise_law import NoiseLaw
from common.asking.records import Records
from common.errors import AnalysisError

LEVEL = 0.95
FIRST, SECOND = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.0, 1.0])
"""What a Bernstein sum adds to the sum of values in [0, 1], and to that of their squares."""


@dataclass(frozen=True)
class BoundedMean:
    """column: of numbers; rows in which it is missing are counted and left out. low, high: what values are cut to.

    A value u in [0, 1] adds (1 - u)^2, 2 u (1 - u) and u^2 to three sums, Bernstein's polynomials: their sum is the
    number of rows, and mean and variance follow. A row adds 1 to all three together, whatever its value, so that
    number, mean and variance have noise for one number; noise for a number and a sum apart is sqrt(2) times as much.
    """

    discloses: ClassVar[str] = (
        "How many rows there are, and the sum of their values, cut to bounds, and of the squares."
    )
    column: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        bounds_of("bounded_mean", self.low, self.high)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        low, high = bounds_of("bounded_mean", self.low, self.high)
        parts = {"powers": reals(3, most_by_one=1.0), "missing": counts()}
        total = yield Query(parts, either=("powers", "missing"))
        sums, noise = total["powers"], total.noise.get("powers")
        n, first, second = float(sums.sum()), float(sums @ FIRST), float(sums @ SECOND)
        if n < (1.5 if noise is None else 1.0):
            raise AnalysisError(
                f"column {self.column!r} is known of {max(n, 0):.0f} rows; a mean with an interval needs 2."
            )
        mean = min(max(first / n, 0.0), 1.0)
        spread, most_spread = max(second - n * mean * mean, 0.0), n * mean * (1 - mean)
        spread = min(spread, most_spread)
        doubt = sqrt(noise.variance * float(np.sum((SECOND - 2 * mean * FIRST + mean**2) ** 2))) if noise else 0.0
        # Where noise hides the spread it is as often too small as too large, and an interval must not rely on it.
        least, most = _interval(n, first, min(spread + doubt, most_spread), noise)
        variance = spread / max(n - 1, 1.0) * (high - low) ** 2
        numbers: dict[str, Any] = {
            "n": round(n),
            "missing": max(0, int(total.count("missing"))),
            "mean": low + mean * (high - low),
            "variance": variance,
            "standard_deviation": sqrt(variance),
            "low": low + least * (high - low),
            "high": low + most * (high - low),
        }
        names = ("n", "missing", "mean", "low", "high", "standard_deviation")
        header = ("column", "n", "missing", "mean", "95 % from", "to", "standard deviation")
        note = f"Values are cut to {low:g} and {high:g}."
        row = (self.column, *(numbers[name] for name in names))
        edges = between(float(numbers["low"]), float(numbers["high"]))
        said = f"Mean {self.column} is {short(float(numbers['mean']))}{edges}, of {rows(round(n))}."
        words = (said, *((IN_INTERVALS,) if noise else ()))
        return Answer(numbers, (Table(f"Mean of {self.column}", header, (row,), note),), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Rows without a value, and Bernstein's polynomials of the others'."""
        low, high = bounds_of("bounded_mean", self.low, self.high)
        share = (clamped(records, self.column, low, high) - low) / (high - low)
        # Each is a whole number of 2**-50: they add up to 1 exactly, whatever rounding does to a product.
        square, middle = _whole(share * share), _whole(2 * share * (1 - share))
        powers = np.stack([1.0 - middle - square, middle, square], axis=1)
        return {"powers": exact_sum(np.maximum(powers, 0.0)), "missing": np.array(missing(records, self.column))}


def _whole(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.floor(values * 2.0**50) * 2.0**-50


def _interval(n: float, first: float, spread: float, noise: NoiseLaw | None) -> tuple[float, float]:
    """Where the mean of a population is, as these rows are a sample of it and noise was added (Fieller 1954).

    A mean m is inside unless first - m n is farther from 0 than sampling and noise explain, which also holds where
    n itself is little but noise; then nothing is known.
    """
    from scipy import stats

    variance, fourth = (0.0, 0.0) if noise is None else (noise.variance, noise.fourth_cumulant)
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    center = min(max(first / n, 0.0), 1.0)
    weights = FIRST - center
    whole = spread * n / max(n - 1, 1.0) + variance * float(weights @ weights)
    excess = fourth * float(np.sum(weights**4)) / whole**2 if whole else 0.0
    student = float(stats.t.ppf(0.5 + LEVEL / 2, max(n - 1, 1.0))) / z
    wide = (student * (z + (z**3 - 3 * z) * excess / 24)) ** 2
    a = n * n - wide * variance * 3
    b = -2 * (first * n - wide * variance * float(FIRST.sum()))
    c = first * first - wide * (spread * n / max(n - 1, 1.0) + variance * float(FIRST @ FIRST))
    if a <= 0:
        return 0.0, 1.0
    root = sqrt(max(b * b - 4 * a * c, 0.0))
    return max((-b - root) / (2 * a), 0.0), min((-b + root) / (2 * a), 1.0)


analysis: type[Analysis] = BoundedMean
