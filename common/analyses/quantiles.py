"""Quantiles of a column, the exact ones, by rounds of counts; with 95 % intervals that assume no distribution."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL
from common.analyses._order_statistics import STEP, bin_counts, values_at
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total, counts
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

Method = Literal[
    "linear",
    "lower",
    "higher",
    "midpoint",
    "nearest",
    "inverted_cdf",
    "averaged_inverted_cdf",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "median_unbiased",
    "normal_unbiased",
]
_PLACES = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
"""alpha and beta of Hyndman and Fan 1996, as NumPy names them."""


@dataclass(frozen=True)
class Quantiles:
    """column: of numbers; missing values are counted and left out. at: shares, such as 0.25 for the first quartile.

    method: what lies between two values, by NumPy's names. resolution: quantiles are found to within it, and no
    nearer; 0 for the exact ones, which are values of patients.
    """

    discloses: ClassVar[str] = (
        "How many rows lie between cuts that close in on each quantile; exact ones are values of single patients, "
        "where a resolution keeps them within it."
    )
    column: str
    at: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
    method: Method = "linear"
    resolution: float = 0.0

    def __post_init__(self) -> None:
        if not self.at or not all(0 <= share <= 1 for share in self.at):
            raise StudyError(f"quantiles.at holds shares from 0 to 1; it is {list(self.at)}.")
        if not 0 <= self.resolution < float("inf"):
            raise StudyError(f"quantiles.resolution must be 0 or more; it is {self.resolution}.")

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round for how many there are, and as many as it takes; all quantiles share them."""
        total = yield Query({"n": counts(), "missing": counts()})
        n, missing = int(total.count("n")), int(total.count("missing"))
        if n == 0:
            raise AnalysisError(f"column {self.column!r} has no value at any hospital.")
        places = {share: place(share, n, self.method) for share in self.at}
        limits = {share: ranks_of_interval(share, n) for share in self.at}
        ranks = {rank for low, high, _ in places.values() for rank in (low, high)}
        ranks |= {rank for pair in limits.values() for rank in pair if rank is not None}
        values = yield from values_at(ranks, n, self.resolution)
        found = {
            f"{share:g}": {
                "value": between(values, *places[share]),
                "low": None if limits[share][0] is None else values[limits[share][0] or 0],
                "high": None if limits[share][1] is None else values[limits[share][1] or 0],
            }
            for share in self.at
        }
        return self._answer(n, missing, found)

    def _answer(self, n: int, missing: int, found: dict[str, dict[str, float | None]]) -> Answer:
        rows = tuple(
            (_named(share), n, missing, one["value"], one["low"], one["high"]) for share, one in found.items()
        )
        header = ("quantile", "n", "missing", self.column, "95 % from", "to")
        note = "No interval where there are too few rows for one." if None in (one[4] for one in rows) else ""
        if self.resolution:
            note = f"Within {self.resolution:g}. {note}".strip()
        table = Table(f"Quantiles of {self.column}", header, rows, note)
        return Answer({"n": n, "missing": missing, "quantiles": found}, (table,))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows with and without a value, or how many lie between cuts."""
        values = records.numbers(self.column)
        if query.step == STEP:
            return bin_counts(values, query)
        return {"n": np.sum(~np.isnan(values)), "missing": np.sum(np.isnan(values))}


def place(share: float, n: int, method: str) -> tuple[int, int, float]:
    """Ranks of the two values that a quantile lies between, and how far from the first to the second."""
    if method in _PLACES:
        alpha, beta = _PLACES[method]
        return _parted(min(max(n * share + alpha + share * (1 - alpha - beta) - 1, 0.0), n - 1.0))
    if method in ("inverted_cdf", "averaged_inverted_cdf"):
        low = max(ceil(n * share) - 1, 0)
        halves = method == "averaged_inverted_cdf" and n * share == floor(n * share)
        return (low, min(low + (share > 0), n - 1), 0.5) if halves else (low, low, 0.0)
    low, high, between_them = _parted((n - 1) * share)
    chosen = {"lower": (low, low), "higher": (high, high), "midpoint": (low, high)}
    if method == "nearest":
        nearest = int(np.rint((n - 1) * share))
        return nearest, nearest, 0.0
    return (*chosen[method], 0.5 if between_them else 0.0)


def ranks_of_interval(share: float, n: int) -> tuple[int | None, int | None]:
    """Ranks of two values between which the quantile lies, with a chance of 95 % at least, by the binomial.

    None where that needs more rows than there are.
    """
    if not 0 < share < 1:
        return None, None
    tail = 0.5 - LEVEL / 2
    low, high = int(stats.binom.ppf(tail, n, share)) - 1, int(stats.binom.ppf(1 - tail, n, share))
    return low if low >= 0 else None, high if high < n else None


def between(values: Mapping[int, float], low: int, high: int, share: float) -> float:
    """From the value at one rank to that at another, the share of the way."""
    first, last = values[low], values[high]
    return first + (last - first) * share if share < 0.5 else last - (last - first) * (1 - share)


def _parted(index: float) -> tuple[int, int, float]:
    low = floor(index)
    return low, ceil(index), index - low


def _named(share: str) -> str:
    return {"0.25": "first quartile", "0.5": "median", "0.75": "third quartile"}.get(
        share, f"{float(share) * 100:g} %"
    )


analysis: type[Analysis] = Quantiles
