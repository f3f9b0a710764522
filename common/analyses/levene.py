"""Levene's test of equal variances in several groups, about their medians (Brown and Forsythe 1974) or means."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import moment_parts, moment_sums, moments_of
from common.analyses._order_statistics import bin_counts, values_at
from common.analyses._rank_tests import LEVELS, demand_rows
from common.analyses._words import chance, left_out
from common.analyses.anova import fisher
from common.analyses.quantiles import between, place
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.groups import codes, levels_of
from common.asking.records import Records
from common.asking.relays import parts_for, queries_in, side_by_side, telling
from common.errors import StudyError

MEDIANS, SPREAD = "medians", "spread"


@dataclass(frozen=True)
class Levene:
    """column: of numbers. group: a column of two levels or more, or site. centre: what is measured from.

    levels: as `ward=surgery|medicine`, where the study does not name them.
    """

    discloses: ClassVar[str] = (
        "Of each group, how many rows there are, the sums of their values and of those squared, also of their "
        "distances from the group's centre; of medians how many rows lie between cuts that close in on them."
    )
    without_noise: ClassVar[str] = (
        "its rounds close in on single values; private_quantile and quantile_tree take noise."
    )
    column: str
    group: str
    levels: tuple[str, ...] = ()
    centre: Literal["median", "mean"] = "median"

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round for means, as many as it takes for medians, and one for distances from them."""
        levels = levels_of(self.group, self.levels, public)
        if len(levels) < 2:
            raise StudyError(f"column {self.group!r} has one level, {levels[0]!r}; two or more are compared.")
        total = yield Query(moment_parts(len(levels)), {LEVELS: levels})
        groups, missing = moments_of(total), int(total.count("left_out"))
        n = tuple(one.n for one in groups)
        demand_rows(self.column, self.group, levels, n)
        centres = [float(one.mean) for one in groups]
        if self.centre == "median":
            centres = yield from telling(_medians(n), {LEVELS: levels})
        total = yield Query(moment_parts(len(levels)), {LEVELS: levels, "centres": np.array(centres)}, SPREAD)
        distances = moments_of(total)
        statistic, between_groups, within = fisher(f"distance of {self.column} from its {self.centre}", distances)
        p_value = float(stats.f.sf(statistic, between_groups, within))
        numbers = {
            "n": dict(zip(levels, n, strict=True)),
            "left_out": missing,
            "statistic": statistic,
            "degrees_of_freedom": [float(between_groups), within],
            "p_value": p_value,
            "standard_deviations": {level: one.deviation for level, one in zip(levels, groups, strict=True)},
        }
        rows = tuple(
            (level, one.n, one.deviation, float(far.mean))
            for level, one, far in zip(levels, groups, distances, strict=True)
        )
        header = (self.group, "n", "standard deviation", f"mean distance from the {self.centre}")
        test = ("W", "between groups", "within groups", "p", "left out")
        tables = (
            Table(f"Spread of {self.column} by {self.group}", header, rows),
            Table("Levene's test", test, ((statistic, between_groups, within, p_value, missing),)),
        )
        words = (f"Variances of {self.column} by {self.group}: {chance(p_value)}.", *left_out(missing))
        return Answer(numbers, tables, (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Moments of the groups, counts between cuts, or moments of distances."""
        levels = tuple(str(one) for one in query.tells[LEVELS])
        values, group = records.numbers(self.column), codes(records, self.group, levels)
        if query.step == MEDIANS:
            asked = queries_in(query).items()
            return parts_for({name: bin_counts(values[group == int(name)], one) for name, one in asked})
        if query.step == SPREAD:
            centres = np.asarray(query.tells["centres"], dtype=np.float64)
            values = np.abs(values - centres[group])  # of a row of no group, -1, which is left out
        return moment_sums(values, group, len(levels))


def _medians(n: tuple[int, ...]) -> Generator[Query, Total, list[float]]:
    places = [place(0.5, count, "linear") for count in n]
    found = yield from side_by_side(
        {str(index): values_at(one[:2], n[index]) for index, one in enumerate(places)}, MEDIANS
    )
    return [between(found[str(index)], *one) for index, one in enumerate(places)]


analysis: type[Analysis] = Levene
