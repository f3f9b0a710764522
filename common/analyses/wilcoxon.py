"""Wilcoxon signed-rank test of two columns of the same patients (Wilcoxon 1945; SciPy's methods)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._distinct_values import STEP, ranked, value_counts
from common.analyses._rank_tests import NO_NOISE
from common.analyses._words import chance, left_out
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total, counts
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class Wilcoxon:
    """first, second: of numbers, such as before and after. Pairs of which one is missing are counted and left out.

    edges: of bins of absolute differences, in which they count as tied; none: exact ranks.
    """

    discloses: ClassVar[str] = (
        "How often every absolute difference occurs, of pairs that rise and of those that fall; with `edges`, how "
        "many lie between them."
    )
    without_noise: ClassVar[str] = NO_NOISE
    first: str
    second: str
    edges: tuple[float, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round for how many pairs rise and fall, one for bins, or as many as part all differences."""
        total = yield Query({"signs": counts(2), "equal": counts(), "left_out": counts()})
        down, up = (int(one) for one in total.count("signs"))
        equal, missing = int(total.count("equal")), int(total.count("left_out"))
        if down + up == 0:
            raise AnalysisError(f"in {equal} pairs of {self.first!r} and {self.second!r} none differs.")
        found = yield from ranked((down, up), self.edges)
        signed = np.concatenate([-1 - found.sample(0), 1 + found.sample(1), np.zeros(equal)])
        tested = stats.wilcoxon(signed)
        statistic, p_value = float(tested.statistic), float(tested.pvalue)
        numbers = {
            "n": down + up + equal,
            "left_out": missing,
            "higher": up,
            "lower": down,
            "equal": equal,
            "statistic": statistic,
            "p_value": p_value,
        }
        header = (f"{self.first} above {self.second}", "below", "equal", "left out", "W", "p")
        table = Table("Wilcoxon signed-rank test", header, ((up, down, equal, missing, statistic, p_value),))
        words = (
            f"{self.first} is above {self.second} in {up} of {down + up + equal} patients, and below in {down}; "
            f"{chance(p_value)}.",
            *left_out(missing),
        )
        return Answer(numbers, (table,), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Pairs by sign, or by sign and absolute difference."""
        differences = records.numbers(self.first) - records.numbers(self.second)
        group = np.where(differences > 0, 1, 0)
        if query.step == STEP:
            return value_counts(np.abs(differences), np.where(differences == 0, -1, group), query)
        signed = group[~np.isnan(differences) & (differences != 0)]
        return {
            "signs": np.bincount(signed, minlength=2),
            "equal": np.sum(differences == 0),
            "left_out": np.sum(np.isnan(differences)),
        }


analysis: type[Analysis] = Wilcoxon
