"""Chi-squared test of two columns of categories (Pearson 1900); of two by two also Fisher's, odds and risks."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._tables import Crossed, crossed_part, odds_ratio, risk_difference, risk_ratio
from common.analyses._words import between, chance, left_out, short
from common.analyses.cross_table import cross_tables
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.records import Records
from common.errors import AnalysisError

FEW = 5
"""Expected patients of a cell below which the chi-squared test is doubtful (Cochran 1954)."""


@dataclass(frozen=True)
class ChiSquared:
    """rows, columns: of categories. levels: `sex=female|male`, for columns whose levels nobody named before.

    correction: Yates's, of a table of two by two. Levels in which nobody is are left out of the test.
    """

    discloses: ClassVar[str] = "How many rows are in every pair of levels."
    rows: str
    columns: str
    levels: tuple[str, ...] = ()
    correction: bool = True

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        crossed = Crossed.of(self.rows, self.columns, self.levels, public)
        total = yield crossed.query
        table, missing = total.count("n"), int(total.count("left_out"))
        held = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        if min(held.shape) < 2:
            raise AnalysisError(f"{self.rows!r} or {self.columns!r} has one level, in all rows where both are known.")
        tested = stats.chi2_contingency(held, correction=self.correction)
        n, statistic = int(held.sum()), float(tested.statistic)
        least = float(tested.expected_freq.min())
        plain = float(stats.chi2_contingency(held, correction=False).statistic)
        numbers: dict[str, Any] = {
            "n": n,
            "left_out": missing,
            "rows": list(crossed.rows),
            "columns": list(crossed.columns),
            "counts": table.tolist(),
            "statistic": statistic,
            "degrees_of_freedom": int(tested.dof),
            "p_value": float(tested.pvalue),
            "cramers_v": sqrt(plain / (n * (min(held.shape) - 1))),
            "least_expected": least,
        }
        header = ("chi-squared", "degrees of freedom", "p", "Cramer's V", "least expected", "n", "left out")
        keys = ("statistic", "degrees_of_freedom", "p_value", "cramers_v", "least_expected", "n", "left_out")
        note = "A cell with fewer than 5 expected makes the test doubtful." if least < FEW else ""
        tables = [*cross_tables(crossed, table)]
        tables.append(Table("Chi-squared test", header, (tuple(numbers[key] for key in keys),), note))
        words = [f"{self.rows} and {self.columns}: {chance(numbers['p_value'])} by the chi-squared test."]
        if table.shape == held.shape == (2, 2):
            numbers |= self._two_by_two(table)
            tables.append(effects_table(numbers))
            words.append(self._said(crossed, numbers))
        return Answer(numbers, tuple(tables), (), (*words, *left_out(missing)))

    def _two_by_two(self, table: NDArray[np.int64]) -> dict[str, Any]:
        return {
            "fisher_p_value": float(stats.fisher_exact(table).pvalue),
            "odds_ratio": asdict(odds_ratio(table)),
            "risk_ratio": asdict(risk_ratio(table)),
            "risk_difference": asdict(risk_difference(table)),
        }

    def _said(self, crossed: Crossed, numbers: Mapping[str, Any]) -> str:
        effect = numbers["risk_difference"]
        return (
            f"{crossed.second} is {crossed.columns[1]} more often where {crossed.first} is {crossed.rows[1]} than "
            f"where it is {crossed.rows[0]}, by {short(effect['value'])}{between(effect['low'], effect['high'])}; "
            f"Fisher's exact test {chance(numbers['fisher_p_value'])}."
        )

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by both columns."""
        return crossed_part(records, self.rows, self.columns, query)


def effects_table(numbers: Mapping[str, Any]) -> Table:
    """Odds ratio, risk ratio and risk difference."""
    rows = tuple(
        (key.replace("_", " "), *numbers[key].values()) for key in ("odds_ratio", "risk_ratio", "risk_difference")
    )
    note = f"Of the last row against the first. Fisher's exact test: {chance(numbers['fisher_p_value'])}."
    return Table("How strong", ("measure", "value", "95 % from", "to"), rows, note)


analysis: type[Analysis] = ChiSquared
