"""Cross table of two columns of categories: patients in every pair of levels, and shares by row."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._noise import margin_of, numbers_of_noise, words_of_noise
from common.analyses._tables import Crossed, crossed_part, rows_of
from common.analyses._words import left_out
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Cell, Table
from common.asking.exact_sums import Total
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class CrossTable:
    """rows, columns: of categories. levels: `sex=female|male`, for columns whose levels nobody named before."""

    discloses: ClassVar[str] = "How many rows are in every pair of levels."
    rows: str
    columns: str
    levels: tuple[str, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        crossed = Crossed.of(self.rows, self.columns, self.levels, public)
        total = yield crossed.query
        table, missing = rows_of(total, "n"), int(rows_of(total, "left_out"))
        if table.sum() == 0:
            raise AnalysisError(
                f"{self.rows!r} and {self.columns!r} are in none of their levels together in any row."
            )
        numbers = {
            "n": int(table.sum()),
            "left_out": missing,
            "rows": list(crossed.rows),
            "columns": list(crossed.columns),
            "counts": table.tolist(),
        }
        margin = margin_of(total, "n")
        said = (*words_of_noise(margin), *left_out(missing))
        return Answer(numbers | numbers_of_noise(margin), cross_tables(crossed, table), (), said)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by both columns."""
        return crossed_part(records, self.rows, self.columns, query)


def cross_tables(crossed: Crossed, table: NDArray[np.int64]) -> tuple[Table, Table]:
    """The counts with their sums, and shares of each row."""
    header = (f"{crossed.first} / {crossed.second}", *crossed.columns, "all")
    sums: list[Cell] = [*(int(one) for one in table.sum(axis=0)), int(table.sum())]
    each: list[tuple[Cell, ...]] = [
        (level, *(int(one) for one in row), int(row.sum())) for level, row in zip(crossed.rows, table, strict=True)
    ]
    shares: list[tuple[Cell, ...]] = []
    for level, row in zip(crossed.rows, table, strict=True):
        n = int(row.sum())
        shares.append((level, *(int(one) / n if n else None for one in row), 1.0 if n else None))
    return (
        Table(f"{crossed.first} by {crossed.second}", header, (*each, ("all", *sums))),
        Table(f"{crossed.first} by {crossed.second}, shares of each row", header, tuple(shares)),
    )


analysis: type[Analysis] = CrossTable
