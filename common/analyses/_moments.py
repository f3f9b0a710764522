"""Mean and variance of a column in each of some groups, exact until the last step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.asking.exact_sums import Integers, Part, Total, counts, exact_products, reals

LEVEL = 0.95
"""Of all intervals."""


@dataclass(frozen=True)
class Moments:
    """n values, their mean, and the sum of their squared distances from it."""

    n: int
    mean: Fraction
    squares: Fraction

    @classmethod
    def of(cls, n: int, first: Fraction, second: Fraction) -> Moments:
        """first, second: sums of the values and of their squares."""
        return cls(n, first / n, second - first * first / n) if n else cls(0, Fraction(0), Fraction(0))

    @property
    def variance(self) -> Fraction:
        """That of the population they come from, estimated; 0 of fewer than two values."""
        return self.squares / (self.n - 1) if self.n > 1 else Fraction(0)

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return sqrt(self.variance)

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """Of the mean, by Student's t; not known of fewer than two values."""
        if self.n < 2:
            return None, None
        half = t_quantile(self.n - 1) * sqrt(self.variance / self.n)
        return float(self.mean) - half, float(self.mean) + half


def t_quantile(freedom: float) -> float:
    """By how many standard errors an interval goes to each side."""
    return float(stats.t.ppf(0.5 + LEVEL / 2, freedom))


def moment_parts(groups: int) -> dict[str, Part]:
    """Of a query for `moments_of`."""
    return {"n": counts(groups), "left_out": counts(), "powers": reals(groups, 2)}


def moment_sums(
    values: NDArray[np.float64], group: NDArray[np.int64], groups: int
) -> Mapping[str, NDArray[np.integer] | Integers]:
    """A hospital's part: of rows whose value is missing, or whose group is -1, how many there are."""
    used = ~np.isnan(values) & (group >= 0)
    chosen = [values[used & (group == index)] for index in range(groups)]
    return {
        "n": np.array([len(one) for one in chosen]),
        "left_out": np.array(len(values) - int(used.sum())),
        "powers": np.stack([_powers(one) for one in chosen]),
    }


def moments_of(total: Total) -> tuple[Moments, ...]:
    """One for each group."""
    n = total.count("n")
    return tuple(
        Moments.of(int(count), *powers)
        for count, powers in zip(n.tolist(), total.exact("powers").tolist(), strict=True)
    )


def _powers(values: NDArray[np.float64]) -> Integers:
    ones = np.ones_like(values)
    return exact_products(np.stack([ones, values], axis=1), np.stack([values, values], axis=1))
