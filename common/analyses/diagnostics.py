"""Diagnostic accuracy of a test of two results: sensitivity, specificity, predictive values and likelihood ratios."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from math import exp, log, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL
from common.analyses._tables import Crossed, Effect, crossed_part
from common.analyses._words import between, left_out, short
from common.analyses.cross_table import cross_tables
from common.analyses.proportion import wilson
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.groups import two_of
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class Diagnostics:
    """test, truth: columns of two levels, the second of which is positive; levels: `test=negative|positive`.

    Intervals are Wilson's; of likelihood ratios those of Simel, Samsa and Matchar (1991).
    """

    discloses: ClassVar[str] = "How many rows are in every pair of the test's result and the truth."
    test: str
    truth: str
    levels: tuple[str, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        rows, columns = two_of(self.test, self.levels, public), two_of(self.truth, self.levels, public)
        crossed = Crossed(self.test, self.truth, rows, columns)
        total = yield crossed.query
        table, missing = total.count("n"), int(total.count("left_out"))
        if min(table.sum(axis=0)) == 0:
            raise AnalysisError(
                f"{self.test!r} is known of nobody in whom {self.truth!r} is one of {', '.join(columns)}."
            )
        found = measures_of(table)
        numbers: dict[str, Any] = {
            "n": int(table.sum()),
            "left_out": missing,
            "counts": table.tolist(),
            **{name: asdict(one) for name, one in found.items()},
        }
        shown = tuple((name.replace("_", " "), one.value, one.low, one.high) for name, one in found.items())
        note = (
            f"Positive: {self.test} = {rows[1]}, {self.truth} = {columns[1]}. {' '.join(left_out(missing))}".strip()
        )
        measured = Table("Accuracy", ("measure", "value", "95 % from", "to"), shown, note)
        words = tuple(
            f"{name.capitalize()} is {short(found[name].value or 0.0)}{between(found[name].low, found[name].high)}."
            for name in ("sensitivity", "specificity")
        )
        return Answer(numbers, (measured, cross_tables(crossed, table)[0]), (), (*words, *left_out(missing)))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by both columns."""
        return crossed_part(records, self.test, self.truth, query)


def measures_of(table: NDArray[np.int64]) -> dict[str, Effect]:
    """table: rows by test and truth, negative first."""
    (right_negative, missed), (false_alarm, hit) = table.tolist()
    sick, healthy = missed + hit, right_negative + false_alarm
    sensitivity, specificity = share(hit, sick), share(right_negative, healthy)
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "positive_predictive_value": share(hit, hit + false_alarm),
        "negative_predictive_value": share(right_negative, right_negative + missed),
        "accuracy": share(hit + right_negative, sick + healthy),
        "prevalence": share(sick, sick + healthy),
        "positive_likelihood_ratio": likelihood_ratio(hit, sick, false_alarm, healthy),
        "negative_likelihood_ratio": likelihood_ratio(missed, sick, right_negative, healthy),
    }


def share(count: int, n: int) -> Effect:
    """With Wilson's interval; None of nobody."""
    return Effect(None, None, None) if n == 0 else Effect(count / n, *wilson(count, n))


def likelihood_ratio(sick: int, of_sick: int, healthy: int, of_healthy: int) -> Effect:
    """The share among the sick over that among the healthy."""
    if healthy == 0:
        return Effect(None, None, None)
    value = (sick / of_sick) / (healthy / of_healthy)
    if sick == 0:
        return Effect(value, None, None)
    error = sqrt(1 / sick - 1 / of_sick + 1 / healthy - 1 / of_healthy)
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
    return Effect(value, exp(log(value) - half), exp(log(value) + half))


analysis: type[Analysis] = Diagnostics
