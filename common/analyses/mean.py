"""Mean and standard deviation of a column, with a 95 % interval (Student's t)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_products, reals
from common.asking.records import Records
from common.errors import AnalysisError

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """column: of numbers; rows in which it is missing are counted and left out."""

    discloses: ClassVar[str] = "How many rows there are, and the sum of their values and of those squared."
    column: str

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round: how many, their sum and the sum of their squares."""
        total = yield Query({"present": counts(), "missing": counts(), "powers": reals(2)})
        n, missing = int(total.count("present")), int(total.count("missing"))
        if n < 2:
            raise AnalysisError(f"column {self.column!r} is known of {n} rows; a mean with an interval needs 2.")
        first, second = total.exact("powers")
        mean, variance = float(first / n), float((second - first * first / n) / (n - 1))
        half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * sqrt(variance / n)
        numbers: dict[str, Any] = {
            "n": n,
            "missing": missing,
            "mean": mean,
            "variance": variance,
            "standard_deviation": sqrt(variance),
            "low": mean - half,
            "high": mean + half,
        }
        row = (self.column, n, missing, mean, mean - half, mean + half, sqrt(variance))
        header = ("column", "n", "missing", "mean", "95 % from", "to", "standard deviation")
        return Answer(numbers, (Table(f"Mean of {self.column}", header, (row,)),))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Rows with and without a value, and the first two powers of their values."""
        values = records.numbers(self.column)
        present = values[~np.isnan(values)]
        return {
            "present": np.array(len(present)),
            "missing": np.array(len(values) - len(present)),
            "powers": exact_products(
                np.stack([np.ones_like(present), present], axis=1), np.stack([present, present], axis=1)
            ),
        }


analysis: type[Analysis] = Mean
