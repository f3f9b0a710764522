"""Mean and standard deviation of a column, with a 95 % interval (Student's t)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._moments import moment_parts, moment_sums, moments_of
from common.analyses._words import between, left_out, rows, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class Mean:
    """column: of numbers; rows in which it is missing are counted and left out."""

    discloses: ClassVar[str] = "How many rows there are, and the sum of their values and of those squared."
    column: str

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round: how many, their sum and the sum of their squares."""
        total = yield Query(moment_parts(1))
        (found,), missing = moments_of(total), int(total.count("left_out"))
        if found.n < 2:
            raise AnalysisError(
                f"column {self.column!r} is known of {found.n} rows; a mean with an interval needs 2."
            )
        low, high = found.interval
        numbers = {
            "n": found.n,
            "missing": missing,
            "mean": float(found.mean),
            "variance": float(found.variance),
            "standard_deviation": found.deviation,
            "low": low,
            "high": high,
        }
        row = (self.column, found.n, missing, numbers["mean"], low, high, found.deviation)
        header = ("column", "n", "missing", "mean", "95 % from", "to", "standard deviation")
        words = f"Mean {self.column} is {short(float(found.mean))}{between(low, high)}, of {rows(found.n)}."
        table = Table(f"Mean of {self.column}", header, (row,))
        return Answer(numbers, (table,), (), (words, *left_out(missing)))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Rows with and without a value, and the first two powers of their values."""
        return moment_sums(records.numbers(self.column), np.zeros(len(records), np.int64), 1)


analysis: type[Analysis] = Mean
