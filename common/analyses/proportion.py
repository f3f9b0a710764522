"""Share of patients in every level of a column, with 95 % intervals (Wilson 1927; Clopper and Pearson 1934)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._intervals import wilson
from common.analyses._moments import LEVEL
from common.analyses._noise import IN_INTERVALS, margin_of, noisy_wilson, numbers_of_noise, spread_of, words_of_noise
from common.analyses._tables import rows_of
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Cell, Figure, Series, Table
from common.asking.exact_sums import Total, counts
from common.asking.groups import codes, levels_of
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class Proportion:
    """column: of categories. levels: `sex=female|male`, where nobody named them before.

    Rows in which nothing was written down, or a word that nobody named, are counted and left out.
    """

    discloses: ClassVar[str] = "How many rows are in each level of the column."
    column: str
    levels: tuple[str, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        levels = levels_of(self.column, self.levels, public)
        parts = {"n": counts(len(levels)), "missing": counts()}
        total = yield Query(parts, {"levels": levels}, either=tuple(parts))
        each, missing = [int(one) for one in rows_of(total, "n")], int(rows_of(total, "missing"))
        n = sum(each)
        if n == 0:
            raise AnalysisError(f"column {self.column!r} is in none of its levels ({', '.join(levels)}) in any row.")
        shares = {level: _share(count, n) for level, count in zip(levels, each, strict=True)}
        if margin := margin_of(total, "n"):
            shares = {level: one | _with_noise(total, at) for at, (level, one) in enumerate(shares.items())}
        header = (self.column, "n", "of", "share", "95 % from", "to", "exact from", "to (exact)")
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (level, one["n"], n, *list(one.values())[1:]) for level, one in shares.items()
        )
        note = f"{missing} rows left out: nothing, or no level that was named." if missing else ""
        series = Series(
            self.column,
            levels,
            tuple(one["share"] for one in shares.values()),
            tuple(one["low"] for one in shares.values()),
            tuple(one["high"] for one in shares.values()),
        )
        figure = Figure("points", f"Share by {self.column}", self.column, "share of patients", (series,))
        table = Table(f"Share by {self.column}", header, rows, note)
        numbers: dict[str, Any] = {"n": n, "missing": missing, "levels": shares}
        said = tuple(
            f"{self.column} {level}: {one['share'] or 0:.1%}"
            f" (95 % from {one['low'] or 0:.1%} to {one['high'] or 0:.1%})."
            for level, one in shares.items()
        )
        words = (*said, *words_of_noise(margin), *((IN_INTERVALS,) if margin else ()))
        return Answer(numbers | numbers_of_noise(margin), (table,), (figure,), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by level, and those in none."""
        levels = tuple(str(one) for one in query.tells["levels"])
        group = codes(records, self.column, levels)
        return {"n": np.bincount(group[group >= 0], minlength=len(levels)), "missing": np.array(np.sum(group < 0))}


def _with_noise(total: Total, at: int) -> dict[str, float | None]:
    """Wilson's interval, noise allowed for; there is no exact one."""
    each = total["n"]
    low, high = noisy_wilson(float(each[at]), float(each.sum()), len(each), spread_of(total, "n"))
    return {"low": low, "high": high, "exact_low": None, "exact_high": None}


def _share(count: int, n: int) -> dict[str, float | None]:
    low, high = wilson(count, n)
    exact = exact_interval(count, n)
    return {"n": count, "share": count / n, "low": low, "high": high, "exact_low": exact[0], "exact_high": exact[1]}


def exact_interval(count: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson's: its cover is never less than 95 %."""
    tail = 0.5 - LEVEL / 2
    low = 0.0 if count == 0 else float(stats.beta.ppf(tail, count, n - count + 1))
    high = 1.0 if count == n else float(stats.beta.ppf(1 - tail, count + 1, n - count))
    return low, high


analysis: type[Analysis] = Proportion
