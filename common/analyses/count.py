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
        kinds = ("complete", "incomplete") if self.columns else ("rows",)
        parts = {kind: counts() for kind in kinds} | {"further": counts(most_by_first=0)}
        total = yield Query(parts, either=kinds)
        found = self._found(total, kinds)
        header: tuple[str, ...] = ("rows", "persons")
        if self.columns:
            header = (*header, "complete")
        table = Table("How many", header, (tuple(found[name] for name in header),))
        words = f"There are {found['rows']} rows of {found['persons']} persons."
        margin = margin_of(total, kinds[0], len(kinds))
        numbers = {name: found[name] for name in header} | numbers_of_noise(margin)
        return Answer(numbers, (table,), (), (words, *words_of_noise(margin)))

    def _found(self, total: Total, kinds: tuple[str, ...]) -> dict[str, int]:
        """Every row is complete or not, and of its person the first or a further one: one row, one count."""
        each = [max(int(total.count(kind)), 0) for kind in kinds]
        persons = max(sum(each) - max(int(total.count("further")), 0), 0)
        return {"rows": sum(each), "persons": persons, "complete": each[0]}

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Complete rows and others, and rows beyond each person's first."""
        complete = len(records.complete(*self.columns))
        further = {"further": np.array(len(records) - len(np.unique(records.persons)))}
        if not self.columns:
            return {"rows": np.array(complete), **further}
        return {"complete": np.array(complete), "incomplete": np.array(len(records) - complete), **further}


analysis: type[Analysis] = Count
