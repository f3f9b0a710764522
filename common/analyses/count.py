"""How many rows and persons there are, and in how many rows given columns are all known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

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
        total = yield Query({"rows": counts(), "persons": counts(), "complete": counts()})
        found = {name: int(total.count(name)) for name in ("rows", "persons", "complete")}
        header: tuple[str, ...] = ("rows", "persons")
        if self.columns:
            header = (*header, "complete")
        table = Table("How many", header, (tuple(found[name] for name in header),))
        words = f"There are {found['rows']} rows of {found['persons']} persons."
        return Answer({name: found[name] for name in header}, (table,), (), (words,))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows, persons, and complete rows."""
        return {
            "rows": np.array(len(records)),
            "persons": np.array(len(np.unique(records.persons))),
            "complete": np.array(len(records.complete(*self.columns))),
        }


analysis: type[Analysis] = Count
