"""How many rows and persons there are, and in how many rows given columns are all known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._noise import margin_of, numbers_of_noise, words_of_noise
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total, counts
from common.asking.records import Records


@dataclass(frozen=True)
class Count:
    """columns: rows in which all of them are known are counted beside all rows.

    A person whom two hospitals know is counted at each of them.
    """

    discloses: ClassVar[str] = "How many rows and how many persons there are, and how many rows are complete."
    columns: tuple[str, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        parts = {"complete": counts(), "further": counts(most_by_first=0)}
        if self.columns:
            parts["incomplete"] = counts()
        total = yield Query(parts, either=("complete", "incomplete") if self.columns else ())
        found = self._found(total)
        header: tuple[str, ...] = ("rows", "persons")
        if self.columns:
            header = (*header, "complete")
        table = Table("How many", header, (tuple(found[name] for name in header),))
        words = f"There are {found['rows']} rows of {found['persons']} persons."
        margin = margin_of(total, "complete", 2 if self.columns else 1)
        numbers = {name: found[name] for name in header} | numbers_of_noise(margin)
        return Answer(numbers, (table,), (), (words, *words_of_noise(margin)))

    def _found(self, total: Total) -> dict[str, int]:
        """Every row is complete or not, and of its person the first or a further one: one row, one count."""
        complete, further = max(int(total.count("complete")), 0), max(int(total.count("further")), 0)
        rows = complete + (max(int(total.count("incomplete")), 0) if self.columns else 0)
        return {"rows": rows, "persons": max(rows - further, 0), "complete": complete}

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Complete rows and others, and rows beyond each person's first."""
        complete = len(records.complete(*self.columns))
        found = {
            "complete": np.array(complete),
            "further": np.array(len(records) - len(np.unique(records.persons))),
        }
        return found | ({"incomplete": np.array(len(records) - complete)} if self.columns else {})


analysis: type[Analysis] = Count
