"""Log-rank test whether survival differs between groups, also weighted, and stratified by site or by a column."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _event_times as finding
from common.analyses._coefficients import p_text
from common.analyses._design import words_of
from common.analyses._indicator import demand_event, event_word
from common.analyses._survival_table import (
    SurvivalTable,
    disclosure,
    group_levels,
    group_of,
    leaving_sums,
    survival_table,
    told_groups,
)
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError
from common.study.spelling import unknown

WEIGHTS = ("logrank", "wilcoxon", "tarone-ware", "peto")
SITE, BY_SITE = "site", "by site"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Tested:
    """(G,) observed and expected, weighted; (G, G) the variance of their difference."""

    sizes: NDArray[np.int64]
    events: NDArray[np.int64]
    observed: Values
    expected: Values
    variance: Values


@dataclass(frozen=True)
class Logrank:
    """time, event: as of a survival curve. group: a column of which the levels are known.

    weights: logrank, all times alike; wilcoxon (Gehan), by how many are at risk; tarone-ware, by the root of that;
    peto, by the survival of all together. strata: `site`, and then each hospital compares its own patients alone
    and no times are asked for, or a column whose levels are known. width: of the time grid; 0: times as they are.
    event_is: of an event in words, the one that counts. levels: as `arm=a|b`, where the study does not name them.
    """

    discloses: ClassVar[str] = (
        "By group, at every time of an event on the grid, how many had it and how many were last seen since the time "
        "before; with strata = site, sums over hospitals of observed and expected events alone."
    )
    without_noise: ClassVar[str] = "its rounds close in on single times, and its intervals do not count noise."
    time: str
    event: str
    group: str
    weights: str = "logrank"
    strata: str = ""
    width: float = 0.0
    event_is: str = ""
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        finding.demand_width(self.width)
        demand_event(self.event_is)
        if self.weights not in WEIGHTS:
            raise unknown("weights", self.weights, WEIGHTS)

    @property
    def whole_hospitals(self) -> bool:
        """Where each is a stratum."""
        return self.strata == SITE

    @property
    def of_hospitals(self) -> bool:
        """Not where hospitals are strata: those compare their own patients, and sums alone are told."""
        return self.group == SITE

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round where each hospital is a stratum, else those of a survival curve."""
        groups = group_levels(self.group, self.levels, public)
        told: dict[str, Told] = {"event": (event_word(self.event, self.event_is, public),), "groups": groups}
        told["width"] = np.array([self.width])
        if self.strata == SITE:
            return (yield from self._by_site(groups, told))
        strata = group_levels(self.strata, self.levels, public)
        told["strata"] = strata
        found = yield from finding.event_times(self.width, told)
        cells = tuple(f"{stratum} {group}" for stratum in strata for group in groups)
        table = yield from survival_table(found.times, cells, told)
        size = len(groups)
        tested = [
            tested_table(
                table.events[i : i + size], table.at_risk[i : i + size], table.sizes[i : i + size], self.weights
            )
            for i in range(0, len(cells), size)
        ]
        shown, figure, alone = disclosure(table, self.width)
        answer = self._answer(groups, _together(tested), found.missing, {"disclosure": alone, "strata": len(strata)})
        return Answer(answer.numbers, (*answer.tables, shown), (figure,), answer.words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Counts of events between times, of who left when, or this hospital's own test."""
        groups, strata = told_groups(query), words_of(query.tells, "strata") or ("",)
        group = group_of(records, self.group, groups)
        stratum = group_of(records, "" if self.strata == SITE else self.strata, strata)
        found = finding.followed(records, self.time, self.event, query, (group >= 0) & (stratum >= 0))
        if query.step in finding.STEPS:
            return finding.event_times_sums(query, found)
        cell = (stratum * len(groups) + group)[found.keep]
        if query.step != BY_SITE:
            return leaving_sums(query, found, cell, len(groups) * len(strata))
        times = np.unique(found.times[found.events])
        own = leaving_sums(Query(query.parts, {**query.tells, "times": times}), found, cell, len(groups))
        events, censored = (np.asarray(own[name]).astype(np.int64) for name in ("events", "censored"))
        table = SurvivalTable(times, groups, events, censored, events.sum(axis=1))
        tested = tested_table(events, table.at_risk, table.sizes, self.weights)
        return {
            "missing": np.array(found.missing),
            "unfit": np.array(found.unfit),
            "sizes": tested.sizes,
            "events": tested.events,
            "tests": exact_sum(np.concatenate([[tested.observed], [tested.expected], tested.variance])[None]),
        }

    def _by_site(self, groups: tuple[str, ...], told: Mapping[str, Told]) -> Generator[Query, Total, Answer]:
        size = len(groups)
        parts = {
            "missing": counts(),
            "unfit": counts(),
            "sizes": counts(size),
            "events": counts(size),
            "tests": reals(size + 2, size),
        }
        total = yield Query(parts, told, BY_SITE)
        if total.count("unfit"):
            raise AnalysisError(
                f"{total.count('unfit')} rows have a time below 0, or an event that is neither 0 nor 1."
            )
        tests = total["tests"]
        tested = _Tested(total.count("sizes"), total.count("events"), tests[0], tests[1], tests[2:])
        return self._answer(groups, tested, int(total.count("missing")), {"strata": SITE})

    def _answer(self, groups: tuple[str, ...], tested: _Tested, missing: int, more: Mapping[str, Any]) -> Answer:
        there = np.flatnonzero(tested.sizes > 0)
        if len(there) < 2:
            raise AnalysisError(
                f"a comparison needs two groups of {self.group!r}; somebody is in {len(there)} of them."
            )
        if not tested.events.sum():
            raise AnalysisError(f"nobody of {int(tested.sizes.sum())} had the event: nothing can differ.")
        difference = (tested.observed - tested.expected)[there]
        statistic, degrees = _statistic(difference, tested.variance[np.ix_(there, there)])
        p = float(stats.chi2.sf(statistic, degrees)) if degrees else 1.0
        rows = tuple(
            (f"{self.group}={groups[g]}", int(tested.sizes[g]), int(tested.events[g]), float(tested.expected[g]))
            for g in there.tolist()
        )
        numbers = {
            "n": int(tested.sizes.sum()),
            "missing": missing,
            "statistic": statistic,
            "degrees_of_freedom": degrees,
            "p": p,
            "weights": self.weights,
            "groups": {
                f"{self.group}={groups[g]}": {
                    "n": int(tested.sizes[g]),
                    "events": int(tested.events[g]),
                    "observed": float(tested.observed[g]),
                    "expected": float(tested.expected[g]),
                }
                for g in there.tolist()
            },
            **more,
        }
        differ = "differs" if p < 0.05 else "is not shown to differ"
        test = f"{p_text(p)}, chi-squared {statistic:.2f} on {degrees}"
        words = [f"Survival {differ} between groups of {self.group} ({test})."]
        words += [f"{missing} rows are left out: a time, event or group is missing."] * (missing > 0)
        table = Table(f"Log-rank test by {self.group}", ("", "n", "events", "expected (weighted)"), rows)
        return Answer(numbers, (table,), (), tuple(words))


def tested_table(
    events: NDArray[np.int64], at_risk: NDArray[np.int64], sizes: NDArray[np.int64], weights: str
) -> _Tested:
    """One stratum: (G, T) events, at risk. Mantel 1966; Gehan 1965; Tarone and Ware 1977; Peto and Peto 1972."""
    risk, came = at_risk.astype(np.float64), events.astype(np.float64)
    all_risk, all_came = risk.sum(axis=0), came.sum(axis=0)
    used = all_risk > 0
    risk, came, all_risk, all_came = risk[:, used], came[:, used], all_risk[used], all_came[used]
    weight = _weights(all_risk, all_came, weights)
    share = risk / all_risk
    spread = np.where(all_risk > 1, all_came * (all_risk - all_came) / np.where(all_risk > 1, all_risk - 1, 1), 0)
    size = len(events)
    variance = np.zeros((size, size))
    for g in range(size):
        for h in range(size):
            variance[g, h] = np.sum(weight**2 * spread * share[g] * ((g == h) - share[h]))
    expected = (weight * all_came * share).sum(axis=1)
    return _Tested(sizes, events.sum(axis=1), (weight * came).sum(axis=1), expected, variance)


def _weights(risk: Values, came: Values, kind: str) -> Values:
    if kind == "wilcoxon":
        return risk
    if kind == "tarone-ware":
        return np.sqrt(risk)
    if kind == "peto":
        return np.multiply.accumulate(1 - came / (risk + 1))
    return np.ones_like(risk)


def _together(tested: list[_Tested]) -> _Tested:
    def added(name: str) -> Any:
        return np.sum([getattr(one, name) for one in tested], axis=0)

    return _Tested(added("sizes"), added("events"), added("observed"), added("expected"), added("variance"))


def _statistic(difference: Values, variance: Values) -> tuple[float, int]:
    """Groups in which nothing can differ, as all alone at risk, take no degree of freedom."""
    scale = float(np.max(np.diag(variance), initial=0.0))
    rank = int(np.linalg.matrix_rank(variance / scale, tol=1e-10, hermitian=True)) if scale > 0 else 0
    return float(
        difference @ np.linalg.pinv(variance, rcond=1e-10, hermitian=True) @ difference
    ) if rank else 0.0, rank


analysis: type[Analysis] = Logrank
