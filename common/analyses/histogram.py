"""Histogram of a column: patients between edges that were given, or that quantiles lay out."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._distinct_values import checked_edges
from common.analyses._doubles import demand_finite
from common.analyses._noise import margin_of, numbers_of_noise, words_of_noise
from common.analyses._order_statistics import STEP, bin_counts, values_at
from common.analyses._tables import rows_of
from common.analyses._words import left_out
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Total, counts
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

MOST_BINS = 10_000
MIDDLE = 0.98
"""Of the rows, how many lie within edges that nobody gave."""
BINS = "bins"


@dataclass(frozen=True)
class Histogram:
    """column: of numbers. edges: ascending; or low and high, with so many bins between. The last has its upper edge.

    Where neither is given, round edges are laid over the middle 98 % of the rows, found by rounds of counts. low
    and high: the ends; both, or neither. bins: how many, of one width; without ends about as many.
    """

    discloses: ClassVar[str] = "How many rows lie in every bin; without edges also within what the middle 98 % lie."
    column: str
    edges: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    bins: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= MOST_BINS or len(self.edges) == 1 or len(self.edges) > MOST_BINS:
            raise StudyError(f"a histogram has 1 to {MOST_BINS} bins, and one edge more than bins.")
        checked_edges(self.edges)
        if (self.low is None) != (self.high is None):
            raise StudyError("histogram.low and histogram.high are given together, or neither.")
        low, high = self.low or 0.0, 1.0 if self.high is None else self.high
        if not (isfinite(low) and isfinite(high) and (low < high or self.low is None)):
            raise StudyError(f"histogram.low must be below histogram.high; they are {self.low} and {self.high}.")

    @property
    def without_noise(self) -> str:
        """Where edges must be found."""
        return (
            "" if self.edges or self.low is not None else "without edges there is none: give edges, or low and high."
        )

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round; where no edges are given, those of two quantiles before it."""
        edges = np.array(self.edges)
        if not self.edges and self.low is not None and self.high is not None:
            edges = np.linspace(self.low, self.high, self.bins + 1)
        elif not self.edges:
            edges = yield from self._laid_out()
        parts = {"bins": counts(len(edges) - 1), "outside": counts(2), "missing": counts()}
        total = yield Query(parts, {"edges": edges}, BINS, either=tuple(parts))
        return self._answer(edges, total)

    def _laid_out(self) -> Generator[Query, Total, NDArray[np.float64]]:
        total = yield Query({"n": counts(), "missing": counts()})
        n = int(total.count("n"))
        if n == 0:
            raise AnalysisError(f"column {self.column!r} has no value at any hospital.")
        ranks = floor((1 - MIDDLE) / 2 * (n - 1)), ceil((1 + MIDDLE) / 2 * (n - 1))
        found = yield from values_at(ranks, n)
        return round_edges(found[ranks[0]], found[ranks[1]], self.bins)

    def _answer(self, edges: NDArray[np.float64], total: Total) -> Answer:
        each, (below, above) = rows_of(total, "bins"), rows_of(total, "outside")
        missing = int(rows_of(total, "missing"))
        n = int(each.sum() + below + above)
        if n == 0:
            raise AnalysisError(f"column {self.column!r} has no value at any hospital.")
        numbers: dict[str, Any] = {
            "n": n,
            "missing": missing,
            "edges": edges.tolist(),
            "counts": each.tolist(),
            "below": int(below),
            "above": int(above),
        }
        names = tuple(f"{low:g} to {high:g}" for low, high in zip(edges.tolist(), edges[1:].tolist(), strict=False))
        rows = [(name, int(count), int(count) / n) for name, count in zip(names, each, strict=True)]
        if below or above:
            rows = [("below", int(below), int(below) / n), *rows, ("above", int(above), int(above) / n)]
        margin, drawn = margin_of(total, "bins"), tuple(float(one) for one in each)
        low, high = (tuple(max(0.0, one + off) for one in drawn) if margin else () for off in (-margin, margin))
        series = Series(self.column, names, drawn, low, high)
        figure = Figure("bars", f"{self.column} of {n} rows", self.column, "rows", (series,))
        table = self._table(rows, margin)
        said = (*words_of_noise(margin), *left_out(missing))
        return Answer(numbers | numbers_of_noise(margin), (table,), (figure,), said)

    def _table(self, rows: list[tuple[str, int, float]], margin: float) -> Table:
        title = f"Histogram of {self.column}"
        if not margin:
            return Table(title, (self.column, "n", "share"), tuple(rows))
        shown = tuple((name, n, max(0, n - ceil(margin)), n + ceil(margin), share) for name, n, share in rows)
        return Table(title, (self.column, "n", "95 % from", "to", "share"), shown)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by bin, below and above; or on the way to edges, between cuts."""
        values = records.numbers(self.column)
        demand_finite(values)
        if query.step == STEP:
            return bin_counts(values, query)
        present = values[~np.isnan(values)]
        if query.step != BINS:
            return {"n": np.array(len(present)), "missing": np.sum(np.isnan(values))}
        edges = np.asarray(query.tells["edges"], dtype=np.float64)
        return {
            "bins": np.histogram(present, edges)[0],
            "outside": np.array([np.sum(present < edges[0]), np.sum(present > edges[-1])]),
            "missing": np.sum(np.isnan(values)),
        }


def round_edges(low: float, high: float, bins: int) -> NDArray[np.float64]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten, about so many, over all of the range."""
    if low == high:
        half = max(0.5, abs(low) / 10)
        return np.array([low - half, low + half])
    width = high / bins - low / bins
    power = 10.0 ** floor(log10(width))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= width * (1 - 1e-9))
    edges = np.round(np.arange(floor(low / step), ceil(high / step) + 1) * step, 2 - floor(log10(step)))
    return np.asarray(edges if len(edges) > 1 and np.all(np.diff(edges) > 0) else [low, high], dtype=np.float64)


analysis: type[Analysis] = Histogram
