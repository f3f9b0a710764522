"""A row of a table before and after it was changed to mislead: every column's value, and by how much it moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from server.reporting.markup import Markup, table
from server.reporting.sections.layout import figure
from server.reporting.wording import count, difference, score

MOST_COLUMNS = 12
HEAD = ("Column", "Before", "After", "Moved by, in its standard deviations")
NOTE = "Values as the network is shown them. {others}"


@dataclass(frozen=True)
class RowExample:
    """Of one case. columns: names. row, changed: (F,) values. spread: (F,) one standard deviation of each column.

    before, after: the model's answer in words. truth: "" where none is known.
    """

    site: SiteId
    size: str
    columns: tuple[str, ...]
    row: NDArray[np.float64]
    changed: NDArray[np.float64]
    spread: NDArray[np.float64]
    before: str
    after: str
    truth: str

    @property
    def deviations(self) -> NDArray[np.float64]:
        """(F,) by how many standard deviations each column moved; 0 of one that is the same in every row."""
        change = self.changed - self.row
        return np.divide(change, self.spread, out=np.zeros_like(change), where=self.spread > 0)

    def facts(self) -> dict[str, Any]:
        """Every column's move."""
        return {"moved_deviations": dict(zip(self.columns, self.deviations.tolist(), strict=True))}

    def markup(self) -> Markup:
        """The columns that moved most."""
        moved = self.deviations
        order = np.argsort(-np.abs(moved), kind="stable")[:MOST_COLUMNS]
        rows = [
            [self.columns[k], score(float(self.row[k])), score(float(self.changed[k])), difference(float(moved[k]))]
            for k in sorted(order.tolist())
        ]
        left = len(self.columns) - len(rows)
        others = f"{count(left, 'column')} not shown moved no further than these." if left else ""
        truth = f" (truth: {self.truth})" if self.truth else ""
        title = f"{self.site}: “{self.before}”{truth} becomes “{self.after}”"
        return figure(title, table(HEAD, rows), note=NOTE.format(others=others).strip())
