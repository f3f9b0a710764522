"""An analysis of your own: a question to hospitals that is no model. Here the share of patients beyond a limit."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.asking import Analysis, Answer, Public, Query, Records, Table, Total, counts
from common.errors import AnalysisError


@dataclass(frozen=True)
class Mine:
    """column: of numbers. limit: those above it are counted.

    An option without a default is a word on the command line; the others have `--option limit=70`.
    """

    discloses: ClassVar[str] = "How many rows have a value, and how many of those lie above the limit."
    column: str
    limit: float = 60.0

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """The server's half: each `yield` is a round, and gives the sum over all hospitals."""
        total = yield Query({"present": counts(), "above": counts()})
        present, above = int(total.count("present")), int(total.count("above"))
        if present == 0:
            raise AnalysisError(f"column {self.column!r} has no value at any hospital.")
        row = (self.column, present, above, above / present)
        table = Table(f"{self.column} above {self.limit:g}", ("column", "n", "above", "share"), (row,))
        return Answer({"n": present, "above": above, "share": above / present}, (table,))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """The hospital's half: its part of every sum. Real numbers: `common.asking.exact_sum(rows)`."""
        values = records.numbers(self.column)
        return {"present": np.sum(~np.isnan(values)), "above": np.sum(values > self.limit)}


test_options = {"analysis": {"column": "age"}}
"""For `wardround test`, whose small tables have the columns of `wardround.testing.records.tiny_records`."""
analysis: type[Analysis] = Mine
