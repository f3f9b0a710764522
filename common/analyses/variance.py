"""Variance and standard deviation of a column, with 95 % intervals (chi-squared, for values that are normal)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL, moment_parts, moment_sums, moments_of
from common.analyses._words import between, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class Variance:
    """column: of numbers; rows in which it is missing are counted and left out."""

    discloses: ClassVar[str] = "How many rows there are, and the sum of their values and of those squared."
    column: str

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        total = yield Query(moment_parts(1))
        (found,), missing = moments_of(total), int(total.count("left_out"))
        if found.n < 2:
            raise AnalysisError(f"column {self.column!r} is known of {found.n} rows; a variance needs 2.")
        variance, freedom = float(found.variance), found.n - 1
        high, low = (freedom * variance / float(stats.chi2.ppf(tail, freedom)) for tail in _TAILS)
        numbers = {
            "n": found.n,
            "missing": missing,
            "variance": variance,
            "low": low,
            "high": high,
            "standard_deviation": sqrt(variance),
            "standard_deviation_low": sqrt(low),
            "standard_deviation_high": sqrt(high),
        }
        header = ("quantity", "n", "missing", "value", "95 % from", "to")
        rows = (
            (f"variance of {self.column}", found.n, missing, variance, low, high),
            (f"standard deviation of {self.column}", found.n, missing, sqrt(variance), sqrt(low), sqrt(high)),
        )
        edges = between(sqrt(low), sqrt(high))
        words = (f"The standard deviation of {self.column} is {short(sqrt(variance))}{edges}, of {found.n} rows.",)
        return Answer(numbers, (Table(f"Spread of {self.column}", header, rows),), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Rows with and without a value, and the first two powers of their values."""
        return moment_sums(records.numbers(self.column), np.zeros(len(records), np.int64), 1)


_TAILS = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
analysis: type[Analysis] = Variance
