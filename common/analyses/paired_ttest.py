"""Paired t test of two columns of the same patients, such as before and after, with a 95 % interval."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import Moments
from common.analyses._words import between, chance, left_out, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_products, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class PairedTTest:
    """first, second: of numbers. Patients of whom one of the two is missing are counted and left out."""

    discloses: ClassVar[str] = (
        "How many pairs there are, and the sums of their values, of those squared and multiplied."
    )
    first: str
    second: str

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        total = yield Query({"n": counts(), "left_out": counts(), "sums": reals(2), "products": reals(3)})
        n, missing = int(total.count("n")), int(total.count("left_out"))
        if n < 2:
            raise AnalysisError(f"{self.first!r} and {self.second!r} are both known of {n} rows; at least 2 must be.")
        sums, (squares, products, others) = total.exact("sums"), total.exact("products")
        found = Moments.of(n, sums[0] - sums[1], squares - 2 * products + others)
        if found.variance == 0:
            raise AnalysisError(
                f"{self.first!r} and {self.second!r} differ by the same in all rows: nothing to test."
            )
        difference, statistic = float(found.mean), float(found.mean) / sqrt(found.variance / n)
        low, high = found.interval
        p_value = float(2 * stats.t.sf(abs(statistic), n - 1))
        numbers = {
            "n": n,
            "left_out": missing,
            "means": {self.first: float(sums[0] / n), self.second: float(sums[1] / n)},
            "difference": difference,
            "low": low,
            "high": high,
            "standard_deviation": found.deviation,
            "statistic": statistic,
            "degrees_of_freedom": n - 1,
            "p_value": p_value,
        }
        header = (
            f"{self.first} less {self.second}",
            "95 % from",
            "to",
            "t",
            "degrees of freedom",
            "p",
            "n",
            "left out",
        )
        row = (difference, low, high, statistic, n - 1, p_value, n, missing)
        words = (
            f"{self.first} less {self.second} is {short(difference)} in the mean of {n} pairs{between(low, high)}; "
            f"{chance(p_value)}.",
            *left_out(missing),
        )
        return Answer(numbers, (Table("Paired t test", header, (row,)),), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Pairs, and the sums of both columns, of their squares and of their products."""
        pairs = np.stack([records.numbers(self.first), records.numbers(self.second)], axis=1)
        used = pairs[~np.isnan(pairs).any(axis=1)]
        return {
            "n": np.array(len(used)),
            "left_out": np.array(len(pairs) - len(used)),
            "sums": exact_sum(used),
            "products": exact_products(used[:, [0, 0, 1]], used[:, [0, 1, 1]]),
        }


analysis: type[Analysis] = PairedTTest
