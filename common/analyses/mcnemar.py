"""McNemar's test of two columns of two levels of the same patients, exact, with the difference of their shares."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL
from common.analyses._tables import Crossed, crossed_part
from common.analyses._words import between, chance, left_out, short
from common.analyses.cross_table import cross_tables
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.groups import two_of
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class McNemar:
    """first, second: columns of two levels, such as before and after; the second level is counted.

    levels: as `before=no|yes`, of each column whose levels the study does not name.

    The interval of the difference is that of Agresti and Min (2005), which adds a half to each of the four cells.
    """

    discloses: ClassVar[str] = "How many rows are in every pair of levels."
    without_noise: ClassVar[str] = "its intervals and p do not count noise; a cross table takes noise."
    first: str
    second: str
    levels: tuple[str, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        rows, columns = two_of(self.first, self.levels, public), two_of(self.second, self.levels, public)
        crossed = Crossed(self.first, self.second, rows, columns)
        total = yield crossed.query
        table, missing = total.count("n"), int(total.count("left_out"))
        n, gained, lost = int(table.sum()), int(table[0, 1]), int(table[1, 0])
        if n == 0:
            raise AnalysisError(f"{self.first!r} and {self.second!r} are both known of no row.")
        p_value = float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
        difference, half = (gained - lost) / (n + 2), _half(gained + 0.5, lost + 0.5, n + 2)
        numbers = {
            "n": n,
            "left_out": missing,
            "gained": gained,
            "lost": lost,
            "difference": (gained - lost) / n,
            "low": max(-1.0, difference - half),
            "high": min(1.0, difference + half),
            "p_value": p_value,
            "counts": table.tolist(),
        }
        header = ("n", f"only {self.second}", f"only {self.first}", "difference", "95 % from", "to", "p", "left out")
        row = tuple(
            numbers[key] for key in ("n", "gained", "lost", "difference", "low", "high", "p_value", "left_out")
        )
        words = (
            f"{self.second} is {columns[1]} more often than {self.first} is {rows[1]} by {short((gained - lost) / n)}"
            f"{between(max(-1.0, difference - half), min(1.0, difference + half))}; {chance(p_value)}.",
            *left_out(missing),
        )
        tables = Table("McNemar's test", header, (row,)), cross_tables(crossed, table)[0]
        return Answer(numbers, tables, (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by both columns."""
        return crossed_part(records, self.first, self.second, query)


def _half(gained: float, lost: float, n: float) -> float:
    error = sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    return float(stats.norm.ppf(0.5 + LEVEL / 2)) * error


analysis: type[Analysis] = McNemar
