"""Agreement of two raters, or readings, of the same patients: Cohen's kappa, weighted or not, with its interval."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL
from common.analyses._tables import Crossed, crossed_part
from common.analyses._words import between, left_out, short
from common.analyses.cross_table import cross_tables
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.records import Records
from common.errors import AnalysisError, StudyError


@dataclass(frozen=True)
class Agreement:
    """first, second: columns of the same levels, in order. weights: none, or of how far apart two levels are.

    levels: as `grade=low|middle|high`, in order, where the study does not name them.

    Fleiss, Cohen and Everitt 1969, "Large sample standard errors of kappa and weighted kappa".
    """

    discloses: ClassVar[str] = "How many rows are in every pair of levels."
    without_noise: ClassVar[str] = "its intervals and p do not count noise; a cross table takes noise."
    first: str
    second: str
    levels: tuple[str, ...] = ()
    weights: Literal["none", "linear", "quadratic"] = "none"

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        crossed = Crossed.of(self.first, self.second, self.levels, public)
        if crossed.rows != crossed.columns:
            raise StudyError(
                f"{self.first!r} has levels {', '.join(crossed.rows)}; {self.second!r} {', '.join(crossed.columns)}: "
                "raters who agree use the same ones."
            )
        total = yield crossed.query
        table, missing = total.count("n"), int(total.count("left_out"))
        n = int(table.sum())
        if n == 0:
            raise AnalysisError(f"{self.first!r} and {self.second!r} are both known of no row.")
        agreed = int(np.trace(table))
        found = kappa(table, self.weights)
        if found is None:
            raise AnalysisError(f"{self.first!r} and {self.second!r} have one level in all rows: there is no kappa.")
        value, error = found
        half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
        numbers = {
            "n": n,
            "left_out": missing,
            "agreement": agreed / n,
            "kappa": value,
            "standard_error": error,
            "low": value - half,
            "high": value + half,
            "counts": table.tolist(),
        }
        header = ("n", "agreed", "share", "kappa", "95 % from", "to", "left out")
        row = (n, agreed, agreed / n, value, value - half, value + half, missing)
        words = (
            f"{self.first} and {self.second} agree in {agreed} of {n} rows; kappa is {short(value)}"
            f"{between(value - half, value + half)}.",
            *left_out(missing),
        )
        return Answer(numbers, (Table("Agreement", header, (row,)), cross_tables(crossed, table)[0]), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by both columns."""
        return crossed_part(records, self.first, self.second, query)


def kappa(table: NDArray[np.int64], weights: str) -> tuple[float, float] | None:
    """And its standard error; None where both are of one level alone."""
    n, size = int(table.sum()), len(table)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / max(size - 1, 1)
    agreeing = {"none": (apart == 0).astype(np.float64), "linear": 1 - apart, "quadratic": 1 - apart**2}[weights]
    shares = table / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = float((agreeing * shares).sum()), float(rows @ agreeing @ columns)
    if expected >= 1 - 1e-15:
        return None
    value = (observed - expected) / (1 - expected)
    means = np.add.outer(agreeing @ columns, rows @ agreeing)
    spread = float((shares * (agreeing - means * (1 - value)) ** 2).sum()) - (value - expected * (1 - value)) ** 2
    return value, sqrt(max(spread, 0.0) / n) / (1 - expected)


analysis: type[Analysis] = Agreement
