"""Events per unit of time at risk, with an exact 95 % interval (Garwood 1936)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL
from common.analyses._words import between, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class Rate:
    """events: how many there were in a row, such as 0 or 1. time: at risk, above 0.

    Rows in which one is missing, negative, or events are no whole number, are counted and left out. per: time that
    the rate is of, such as 1000 for events in 1,000 patient days.
    """

    discloses: ClassVar[str] = "How many rows there are, how many events, and the sum of the time at risk."
    events: str
    time: str
    per: float = 1.0

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        total = yield Query({"n": counts(), "left_out": counts(), "sums": reals(2)})
        events, time = total.exact("sums")
        if time == 0:
            raise AnalysisError(
                f"nobody was at risk: {self.time!r} is above 0 in no row in which {self.events!r} is known."
            )
        tail, happened, at_risk = 0.5 - LEVEL / 2, float(events), float(time)
        low = float(stats.chi2.ppf(tail, 2 * happened)) / 2 if happened else 0.0
        high = float(stats.chi2.ppf(1 - tail, 2 * happened + 2)) / 2
        numbers = {
            "n": int(total.count("n")),
            "left_out": int(total.count("left_out")),
            "events": int(events),
            "time": at_risk,
            "rate": self.per * happened / at_risk,
            "low": self.per * low / at_risk,
            "high": self.per * high / at_risk,
        }
        header = ("events", "time at risk", f"rate per {self.per:g}", "95 % from", "to", "n", "left out")
        row = tuple(numbers[name] for name in ("events", "time", "rate", "low", "high", "n", "left_out"))
        edges = between(float(numbers["low"]), float(numbers["high"]))
        rate = f"{short(float(numbers['rate']))} in {self.per:g} of {self.time}"
        words = (f"{int(events)} {self.events} in {short(at_risk)} of {self.time}: {rate}{edges}.",)
        return Answer(numbers, (Table(f"{self.events} per {self.time}", header, (row,)),), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Rows that count, those that do not, and the sums of both columns."""
        pairs = np.stack([records.numbers(self.events), records.numbers(self.time)], axis=1)
        used = (pairs[:, 0] >= 0) & (pairs[:, 0] == np.floor(pairs[:, 0])) & (pairs[:, 1] > 0)
        return {"n": np.sum(used), "left_out": np.sum(~used), "sums": exact_sum(pairs[used])}


analysis: type[Analysis] = Rate
