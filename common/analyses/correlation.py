"""Correlation of columns, Pearson's or Spearman's by ranks, with 95 % intervals (Fisher 1921)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import atanh, sqrt, tanh
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._distinct_values import Ranked, ranked, value_counts
from common.analyses._doubles import bins_of
from common.analyses._moments import LEVEL
from common.analyses._words import between, chance, left_out, short
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Cell, Table
from common.asking.exact_sums import Exact, Integers, Total, counts, exact_products, exact_sum, reals
from common.asking.records import Records
from common.asking.relays import parts_for, queries_in, side_by_side
from common.errors import AnalysisError, StudyError

RANKING, COMPLETE = "ranking", "complete"


@dataclass(frozen=True)
class Correlation:
    """columns: two or more of numbers; of every two the correlation is found, in rows in which all are known.

    method: pearson, or spearman, which needs rounds that tell every column's distribution by itself.
    """

    columns: tuple[str, ...]
    method: Literal["pearson", "spearman"] = "pearson"
    discloses: ClassVar[str] = (
        "How many rows are complete, the sums of the columns, of their squares and products; Spearman's also how"
        " often every value of a column occurs, which hospitals learn too."
    )

    def __post_init__(self) -> None:
        if len(self.columns) < 2 or len(set(self.columns)) < len(self.columns):
            raise StudyError(
                f"correlation.columns must be two or more different columns; they are {list(self.columns)}."
            )

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round; for ranks before it as many as part all values, of all columns at once."""
        tells: dict[str, Told] = {}
        if self.method == "spearman":
            tells = yield from self._ranks()
        size = len(self.columns)
        parts = {"n": counts(), "left_out": counts(), "sums": reals(size), "products": reals(size, size)}
        total = yield Query(parts, tells)
        n, missing = int(total.count("n")), int(total.count("left_out"))
        if n < 3:
            raise AnalysisError(f"{' and '.join(self.columns)} are all known of {n} rows; at least 3 must be.")
        matrix = self._matrix(n, total.exact("sums"), total.exact("products"))
        pairs = [self._pair(a, b, matrix[a][b], n) for a, b in combinations(range(size), 2)]
        return self._answer(n, missing, matrix, pairs)

    def _ranks(self) -> Generator[Query, Total, dict[str, Told]]:
        """Where every column's values lie, and the rank of each."""
        total = yield Query({"n": counts(), "left_out": counts()}, {}, COMPLETE)
        n = int(total.count("n"))
        if n < 3:
            raise AnalysisError(f"{' and '.join(self.columns)} are all known of {n} rows; at least 3 must be.")
        found: dict[str, Ranked] = yield from side_by_side(
            {str(index): ranked((n,)) for index in range(len(self.columns))}, RANKING
        )
        uppers: dict[str, Told] = {f"upper {index}": one.upper for index, one in found.items()}
        return {**uppers, **{f"ranks {index}": one.midranks for index, one in found.items()}}

    def _matrix(self, n: int, sums: Exact, products: Exact) -> list[list[float]]:
        centred = products - np.multiply.outer(sums, sums) / Fraction(n)
        for index, name in enumerate(self.columns):
            if centred[index, index] <= 0:
                raise AnalysisError(f"column {name!r} does not vary: it correlates with nothing.")
        return [
            [
                1.0 if a == b else _ratio(centred[a, b], centred[a, a] * centred[b, b])
                for b in range(len(self.columns))
            ]
            for a in range(len(self.columns))
        ]

    def _pair(self, a: int, b: int, value: float, n: int) -> dict[str, Any]:
        low, high = interval(value, n)
        return {
            "first": self.columns[a],
            "second": self.columns[b],
            "correlation": value,
            "low": low,
            "high": high,
            "p_value": p_value(value, n),
        }

    def _answer(self, n: int, missing: int, matrix: list[list[float]], pairs: list[dict[str, Any]]) -> Answer:
        header = ("columns", "n", "left out", "correlation", "95 % from", "to", "p")
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                f"{one['first']}, {one['second']}",
                n,
                missing,
                *(one[key] for key in ("correlation", "low", "high", "p_value")),
            )
            for one in pairs
        )
        numbers: dict[str, Any] = {"n": n, "left_out": missing, "pairs": pairs, "matrix": matrix}
        title = "Pearson's correlation" if self.method == "pearson" else "Spearman's rank correlation"
        tables = [Table(title, header, rows)]
        if len(pairs) == 1:
            numbers |= {key: pairs[0][key] for key in ("correlation", "low", "high", "p_value")}
        else:
            rows_of: tuple[tuple[Cell, ...], ...] = tuple(
                (name, *values) for name, values in zip(self.columns, matrix, strict=True)
            )
            tables.append(Table("All correlations", ("", *self.columns), rows_of))
        words = tuple(
            f"{one['first']} and {one['second']} correlate by {short(one['correlation'])}"
            f"{between(one['low'], one['high'])}; {chance(one['p_value'])}."
            for one in pairs
        )
        return Answer(numbers, tuple(tables), (), (*words, *left_out(missing)))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Complete rows by value of every column, or their sums and products."""
        values = np.stack([records.numbers(name) for name in self.columns], axis=1)
        used = values[~np.isnan(values).any(axis=1)]
        left = {"n": np.array(len(used)), "left_out": np.array(len(values) - len(used))}
        if query.step == COMPLETE:
            return left
        if query.step == RANKING:
            group = np.zeros(len(used), dtype=np.int64)
            asked = queries_in(query).items()
            return parts_for({name: value_counts(used[:, int(name)], group, one) for name, one in asked})
        if self.method == "spearman":
            used = np.stack([_ranks_of(used[:, index], index, query) for index in range(len(self.columns))], axis=1)
        left_side = np.repeat(used[:, :, None], used.shape[1], axis=2)
        return {**left, "sums": exact_sum(used), "products": exact_products(left_side, left_side.transpose(0, 2, 1))}


def _ranks_of(values: NDArray[np.float64], index: int, query: Query) -> NDArray[np.float64]:
    upper, ranks = (np.asarray(query.tells[f"{name} {index}"], dtype=np.float64) for name in ("upper", "ranks"))
    return ranks[np.minimum(bins_of(values, upper), len(upper) - 1)]


def _ratio(covariance: Fraction, variances: Fraction) -> float:
    """The root of a fraction: neither overflows, nor is lost."""
    value = sqrt(covariance * covariance / variances)
    return min(value, 1.0) * (1 if covariance >= 0 else -1)


def interval(correlation: float, n: int) -> tuple[float | None, float | None]:
    """By Fisher's transformation; none of 3 rows, nor of a straight line."""
    if n < 4 or abs(correlation) >= 1:
        return None, None
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) / sqrt(n - 3)
    return tanh(atanh(correlation) - half), tanh(atanh(correlation) + half)


def p_value(correlation: float, n: int) -> float:
    """Of no correlation, both sides."""
    if abs(correlation) >= 1:
        return 0.0
    statistic = correlation * sqrt((n - 2) / ((1 - correlation) * (1 + correlation)))
    return float(2 * stats.t.sf(abs(statistic), n - 2))


analysis: type[Analysis] = Correlation
