"""Patients by two columns of categories: how hospitals count them, and what follows from a table of two by two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._intervals import wilson
from common.analyses._moments import LEVEL
from common.asking.analysis import Public, Query
from common.asking.exact_sums import Total, counts
from common.asking.groups import codes, levels_of
from common.asking.records import Records

ROWS, COLUMNS = "rows", "columns"


def rows_of(total: Total, name: str) -> NDArray[np.int64]:
    """Counts of a sum; what noise took below 0 is 0."""
    return np.maximum(total.count(name), 0)


@dataclass(frozen=True)
class Crossed:
    """Two columns, and the levels of both. A row in which one is in none of its levels is left out."""

    first: str
    second: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, first: str, second: str, named: tuple[str, ...], public: Public) -> Crossed:
        """Raises StudyError where nobody named the levels."""
        return cls(first, second, levels_of(first, named, public), levels_of(second, named, public))

    @property
    def query(self) -> Query:
        """One round."""
        parts = {"n": counts(len(self.rows), len(self.columns)), "left_out": counts()}
        return Query(parts, {ROWS: self.rows, COLUMNS: self.columns}, either=tuple(parts))


def crossed_part(records: Records, first: str, second: str, query: Query) -> Mapping[str, NDArray[np.integer]]:
    """A hospital's part of `Crossed.query`."""
    rows, columns = (tuple(str(one) for one in query.tells[name]) for name in (ROWS, COLUMNS))
    place, other = codes(records, first, rows), codes(records, second, columns)
    used = (place >= 0) & (other >= 0)
    found = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(found, (place[used], other[used]), 1)
    return {"n": found, "left_out": np.array(np.sum(~used))}


@dataclass(frozen=True)
class Effect:
    """A measure of a table of two by two with its interval; None where an empty cell leaves none."""

    value: float | None
    low: float | None
    high: float | None


def odds_ratio(table: NDArray[np.int64]) -> Effect:
    """Of the second column in the second row against the first row; interval by Woolf (1955)."""
    (a, b), (c, d) = table.tolist()
    if min(a, b, c, d) == 0:
        return Effect(None, None, None)
    return _on_logs(a * d / (b * c), sqrt(1 / a + 1 / b + 1 / c + 1 / d))


def risk_ratio(table: NDArray[np.int64]) -> Effect:
    """Of the second column in the second row against the first row; interval by Katz et al. (1978)."""
    (a, b), (c, d) = table.tolist()
    if min(b, d) == 0:
        return Effect(None, None, None)
    first, second = a + b, c + d
    return _on_logs((d / second) / (b / first), sqrt(1 / d - 1 / second + 1 / b - 1 / first))


def risk_difference(table: NDArray[np.int64]) -> Effect:
    """The same as a difference; interval by Newcombe (1998, method 10), from Wilson's."""
    (a, b), (c, d) = table.tolist()
    if a + b == 0 or c + d == 0:
        return Effect(None, None, None)
    first, second = b / (a + b), d / (c + d)
    (low_1, high_1), (low_2, high_2) = wilson(b, a + b), wilson(d, c + d)
    difference = second - first
    below, above = (
        sqrt((second - low_2) ** 2 + (high_1 - first) ** 2),
        sqrt((high_2 - second) ** 2 + (first - low_1) ** 2),
    )
    return Effect(difference, difference - below, difference + above)


def _on_logs(value: float, error: float) -> Effect:
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
    return Effect(value, exp(log(value) - half), exp(log(value) + half))
