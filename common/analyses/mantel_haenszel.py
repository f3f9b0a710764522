"""Odds ratio of two columns within strata, such as hospitals (Mantel and Haenszel 1959), with its test."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL
from common.analyses._tables import odds_ratio
from common.analyses._words import between, chance, left_out, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Cell, Table
from common.asking.exact_sums import Total, counts
from common.asking.groups import codes, levels_of, two_of
from common.asking.records import Records
from common.errors import AnalysisError

ROWS, COLUMNS, STRATA = "rows", "columns", "strata"


@dataclass(frozen=True)
class MantelHaenszel:
    """rows, columns: of two levels each, such as a treatment and an outcome. strata: a column of levels, or site.

    levels: as `arm=a|b`, of each column whose levels the study does not name.

    The interval is that of Robins, Breslow and Greenland (1986); the test is Cochran's, without correction.
    """

    discloses: ClassVar[str] = "How many rows are in every pair of levels in every stratum."
    without_noise: ClassVar[str] = "its intervals and p do not count noise; a cross table takes noise."
    rows: str
    columns: str
    strata: str
    levels: tuple[str, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        rows, columns = two_of(self.rows, self.levels, public), two_of(self.columns, self.levels, public)
        strata = levels_of(self.strata, self.levels, public)
        parts = {"n": counts(len(strata), 2, 2), "left_out": counts()}
        total = yield Query(parts, {ROWS: rows, COLUMNS: columns, STRATA: strata})
        tables, missing = total.count("n"), int(total.count("left_out"))
        found = pooled_odds(tables)
        if found is None:
            raise AnalysisError(
                f"no stratum by {self.strata!r} compares {self.rows!r} and {self.columns!r}: one has one level."
            )
        each: list[dict[str, Any]] = [
            {"stratum": level, "n": int(one.sum()), "counts": one.tolist(), "odds_ratio": odds_ratio(one).value}
            for level, one in zip(strata, tables, strict=True)
        ]
        numbers = {"n": int(tables.sum()), "left_out": missing, **found, "strata": each}
        shown: tuple[tuple[Cell, ...], ...] = tuple((one["stratum"], one["n"], one["odds_ratio"]) for one in each)
        keys = ("odds_ratio", "low", "high", "statistic", "p_value", "crude_odds_ratio")
        row = (*(found[key] for key in keys), missing)
        header = ("odds ratio", "95 % from", "to", "chi-squared", "p", "crude odds ratio", "left out")
        times = "not known how many times" if found["odds_ratio"] is None else f"{short(found['odds_ratio'])} times"
        words = (
            f"Within {self.strata}, the odds of {self.columns} = {columns[1]} are {times} as high where "
            f"{self.rows} is {rows[1]}{between(found['low'], found['high'])}; {chance(found['p_value'] or 0.0)}.",
            *left_out(missing),
        )
        tables_shown = (
            Table("Mantel-Haenszel", header, (row,)),
            Table("Strata", (self.strata, "n", "odds ratio"), shown),
        )
        return Answer(numbers, tables_shown, (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by stratum and both columns."""
        told = {name: tuple(str(one) for one in query.tells[name]) for name in (STRATA, ROWS, COLUMNS)}
        named = {STRATA: self.strata, ROWS: self.rows, COLUMNS: self.columns}
        place = np.stack([codes(records, named[name], levels) for name, levels in told.items()])
        used = (place >= 0).all(axis=0)
        found = np.zeros((len(told[STRATA]), 2, 2), dtype=np.int64)
        np.add.at(found, tuple(place[:, used]), 1)
        return {"n": found, "left_out": np.array(int(np.sum(~used)))}


def pooled_odds(tables: NDArray[np.int64]) -> dict[str, float | None] | None:
    """The common odds ratio with its interval and test, and that of all rows; None where no stratum says anything."""
    n = tables.sum(axis=(1, 2))
    held = tables[n > 0].astype(np.float64)
    a, b, c, d = held[:, 0, 0], held[:, 0, 1], held[:, 1, 0], held[:, 1, 1]
    size = a + b + c + d
    with_one = size > 1
    spread = ((a + b) * (c + d) * (a + c) * (b + d))[with_one] / (size**2 * (size - 1))[with_one]
    if not spread.sum() > 0:
        return None
    statistic = float((a - (a + b) * (a + c) / size).sum() ** 2 / spread.sum())
    found: dict[str, float | None] = {
        "statistic": statistic,
        "p_value": float(stats.chi2.sf(statistic, 1)),
        "crude_odds_ratio": odds_ratio(tables.sum(axis=0)).value,
    }
    for_it, against = float((a * d / size).sum()), float((b * c / size).sum())
    if for_it == 0 or against == 0:
        return {"odds_ratio": None, "low": None, "high": None, **found}
    share, rest = (a + d) / size, (b + c) / size
    variance = float((share * a * d / size).sum()) / (2 * for_it**2)
    variance += float((share * b * c / size + rest * a * d / size).sum()) / (2 * for_it * against)
    variance += float((rest * b * c / size).sum()) / (2 * against**2)
    value, half = for_it / against, float(stats.norm.ppf(0.5 + LEVEL / 2)) * sqrt(variance)
    return {"odds_ratio": value, "low": exp(log(value) - half), "high": exp(log(value) + half), **found}


analysis: type[Analysis] = MantelHaenszel
