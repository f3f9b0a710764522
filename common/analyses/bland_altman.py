"""Limits of agreement of two measurements of the same patients (Bland and Altman 1986), with their intervals."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL, t_quantile
from common.analyses._words import left_out, short
from common.analyses.paired_ttest import PairedTTest
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records


@dataclass(frozen=True)
class BlandAltman:
    """first, second: of numbers. Patients of whom one of the two is missing are counted and left out.

    95 % of differences lie within the limits, where they are normal.
    """

    discloses: ClassVar[str] = PairedTTest.discloses
    first: str
    second: str

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        paired = (yield from PairedTTest(self.first, self.second).ask(public)).numbers
        n, bias, deviation = paired["n"], paired["difference"], paired["standard_deviation"]
        z = float(stats.norm.ppf(0.5 + LEVEL / 2))
        half = t_quantile(n - 1) * deviation * sqrt(1 / n + z**2 / (2 * (n - 1)))
        limits = bias - z * deviation, bias + z * deviation
        numbers = {
            "n": n,
            "left_out": paired["left_out"],
            "bias": {"value": bias, "low": paired["low"], "high": paired["high"]},
            "lower_limit": {"value": limits[0], "low": limits[0] - half, "high": limits[0] + half},
            "upper_limit": {"value": limits[1], "low": limits[1] - half, "high": limits[1] + half},
        }
        rows = (
            ("bias", bias, paired["low"], paired["high"]),
            ("lower limit", limits[0], limits[0] - half, limits[0] + half),
            ("upper limit", limits[1], limits[1] - half, limits[1] + half),
        )
        table = Table(f"{self.first} less {self.second}, of {n}", ("", "value", "95 % from", "to"), rows)
        words = (
            f"{self.first} less {self.second} is {short(bias)} in the mean, and in 95 % of patients between "
            f"{short(limits[0])} and {short(limits[1])}.",
            *left_out(paired["left_out"]),
        )
        return Answer(numbers, (table,), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """As the paired t test."""
        return PairedTTest(self.first, self.second).summarise(records, query)


analysis: type[Analysis] = BlandAltman
