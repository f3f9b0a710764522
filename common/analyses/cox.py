"""Cox regression: hazard ratios, with Breslow's or Efron's ties, over risk sets or with each hospital a stratum."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _event_times as finding
from common.analyses import _preparation as preparing
from common.analyses._coefficients import Coefficients, demand_confidence, most_notable, p_text
from common.analyses._concordance import CONCORDANCE, concordance, concordance_sums
from common.analyses._cox_answer import endless, of_grid, tests_table, with_concordance
from common.analyses._design import Design, array_of, words_of
from common.analyses._exact_algebra import exact_fractions, from_upper
from common.analyses._indicator import demand_event, event_word
from common.analyses._newton import Climbed, Point, climbed
from common.analyses._partial_likelihood import (
    Partial,
    local_sums,
    partial_likelihood,
    weighted_rows,
)
from common.analyses._preparation import Prepared
from common.analyses._risk_sets import EVENTS, Grid, cells, event_sums, grid_of, partials, risk_set_sums
from common.analyses._survival_table import group_levels, group_of
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Total, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.study.spelling import unknown

TIES, SITE = ("efron", "breslow"), "site"
LOCAL = "local"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Cox:
    """time: from the start until the event or the last sight. event: a column of 0 and 1, or of words of which
    `event_is` is the event. covariates: columns, or two joined as `age:sex`; levels: of a column of words, as
    `sex=female|male`, the reference first.

    ties: efron or breslow. strata: `site`, and then each hospital compares its own patients alone and no times are
    asked for, or a column whose levels are known. width: of the time grid; 0: times as they are. event_is: of an
    event in words, the one that counts. confidence: of the intervals, as 0.95.
    """

    discloses: ClassVar[str] = (
        "At every time of an event on the grid, sums of the covariates of who had it then and who was last seen "
        "since: where that is one person, the covariates are that person's. With strata = site, one "
        "number for each pair of covariates in each of Newton's rounds, of all hospitals together."
    )
    of_hospitals: ClassVar[bool] = False
    time: str
    event: str
    covariates: tuple[str, ...]
    ties: str = "efron"
    strata: str = ""
    width: float = 0.0
    event_is: str = ""
    levels: tuple[str, ...] = ()
    confidence: float = 0.95

    def __post_init__(self) -> None:
        finding.demand_width(self.width)
        demand_confidence(self.confidence)
        demand_event(self.event_is)
        if self.ties not in TIES:
            raise unknown("way with ties", self.ties, TIES)
        if not self.covariates:
            raise StudyError("a Cox regression needs a covariate; without one, ask for kaplan_meier.")

    @property
    def whole_hospitals(self) -> bool:
        """Where each is a stratum."""
        return self.strata == SITE

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Two rounds to prepare, some to find the times of events, one for each of Newton's steps."""
        design = Design.of(self.covariates, public, self.levels)
        strata = ("",) if self.strata == SITE else group_levels(self.strata, self.levels, public)
        told: dict[str, Told] = {
            "event": (event_word(self.event, self.event_is, public),),
            "width": np.array([self.width]),
            "strata": strata,
        }
        prepared = yield from preparing.preparation(design, 1, told, counts_unfit=True)
        self._demand_events(prepared)
        preparing.demand_independent(prepared, rounded=True)
        grid = None
        if self.strata != SITE:
            found = yield from finding.event_times(self.width, {**told, **prepared.tells()})
            grid = yield from grid_of(found.times, strata, len(prepared.names) - 1, prepared.tells())
        climb, last = yield from self._climbed(prepared, grid)
        if not climb.converged:
            raise AnalysisError(endless(prepared, climb))
        answer = self._answer(prepared, climb, grid, last)
        if grid is None:
            return answer
        told = {**prepared.tells(), "times": grid.times, "coefficients": climb.coefficients}
        spread = _spread_of_predictor(prepared, climb.coefficients)
        agreed = yield from concordance(spread, len(strata), len(grid.times), told)
        return with_concordance(answer, agreed)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, counts of events between times, and sums over who left when."""
        design = Design.told(self.covariates, query.tells)
        strata = words_of(query.tells, "strata")
        stratum = group_of(records, "" if self.strata == SITE else self.strata, strata)
        followed = finding.followed(records, self.time, self.event, query, design.known(records) & (stratum >= 0))
        kept, stratum = records.take(followed.keep), stratum[followed.keep]
        if query.step in preparing.STEPS:
            return self._preparation_sums(query, design, kept, followed)
        if query.step in finding.STEPS:
            return finding.event_times_sums(query, followed)
        rows = preparing.standardised(design, query.tells, kept)[:, 1:]
        if query.step == EVENTS:
            return event_sums(query, rows, followed, stratum, len(strata))
        coefficients = array_of(query.tells, "coefficients")
        predictor = preparing.linear_predictor(rows, coefficients)
        if query.step == CONCORDANCE:
            times = array_of(query.tells, "times")
            cell, later = cells(times, followed.times, stratum)
            shape = (len(strata), len(times))
            return concordance_sums(predictor, array_of(query.tells, "edges"), cell, later, followed.events, shape)
        if query.step == LOCAL:
            sums = local_sums(rows, predictor, followed.times, followed.events)
            partial = partial_likelihood(sums, coefficients, self.ties == "efron")
            upper = partial.information[np.triu_indices(len(coefficients))]
            every = np.concatenate([[partial.log_likelihood], partial.score, upper])
            return {"partial": exact_sum(every[None])}
        return risk_set_sums(query, weighted_rows(rows, predictor), followed, stratum, len(strata))

    def _preparation_sums(
        self, query: Query, design: Design, kept: Records, followed: finding.Followed
    ) -> preparing.Sums:
        sums = preparing.preparation_sums(
            query, design, kept, followed.events.astype(np.float64)[:, None], followed.missing
        )
        return {**sums, "unfit": np.array(followed.unfit)} if "unfit" in query.parts else sums

    def _demand_events(self, prepared: Prepared) -> None:
        events = int(prepared.outcome_sum(0))
        if not events:
            raise AnalysisError(f"nobody of {prepared.rows} had the event: there is no hazard.")

    def _climbed(
        self, prepared: Prepared, grid: Grid | None
    ) -> Generator[Query, Total, tuple[Climbed, list[Partial]]]:
        """The maximum, and the partial likelihoods of the strata at the last coefficients asked about."""
        size = len(prepared.names) - 1
        last: list[Partial] = []

        def evaluate(coefficients: Values) -> Generator[Query, Total, Point]:
            tells = {**prepared.tells(), "coefficients": coefficients}
            if grid is None:
                total = yield Query({"partial": reals(1 + size + size * (size + 1) // 2)}, tells, LOCAL)
                exact = total.exact("partial")
                information = from_upper(exact[1 + size :], size)
                return Point(coefficients, float(exact[0]), exact[1 : 1 + size], information)
            last[:] = yield from partials(grid, coefficients, self.ties == "efron", prepared.tells())
            return Point(
                coefficients,
                sum(one.log_likelihood for one in last),
                exact_fractions(np.sum([one.score for one in last], axis=0)),
                exact_fractions(np.sum([one.information for one in last], axis=0)),
            )

        climb = yield from climbed(evaluate, np.zeros(size))
        return climb, last

    def _answer(self, prepared: Prepared, climb: Climbed, grid: Grid | None, last: list[Partial]) -> Answer:
        scales = prepared.spreads[1:] * np.array(prepared.design.column_scales[1:])
        information = climb.last.information.astype(np.float64)
        covariance = np.linalg.inv(information) / scales[:, None] / scales[None, :]
        estimates = climb.coefficients / scales
        coefficients = Coefficients(prepared.names[1:], estimates, covariance, self.confidence, ratio="hazard ratio")
        events, degrees = int(prepared.outcome_sum(0)), len(estimates)
        first = climb.first.score.astype(np.float64)
        tests = {
            "likelihood_ratio": 2 * (climb.last.log_likelihood - climb.first.log_likelihood),
            "wald": float(climb.coefficients @ information @ climb.coefficients),
            "score": float(first @ np.linalg.solve(climb.first.information.astype(np.float64), first)),
        }
        numbers: dict[str, Any] = {
            "n": prepared.rows,
            "missing": prepared.missing,
            "events": events,
            "ties": self.ties,
            "coefficients": coefficients.numbers(),
            "covariance": covariance.tolist(),
            "log_likelihood": climb.last.log_likelihood,
            "null_log_likelihood": climb.first.log_likelihood,
            "tests": {name: {"statistic": v, "p": float(stats.chi2.sf(v, degrees))} for name, v in tests.items()},
            "aic": 2 * degrees - 2 * climb.last.log_likelihood,
        }
        title = f"Cox regression ({events} events in {prepared.rows} persons)"
        tables, figures = [coefficients.table(title), tests_table(numbers)], [coefficients.forest(title)]
        words = [f"The covariates together tell of the hazard: {p_text(numbers['tests']['likelihood_ratio']['p'])}."]
        words += most_notable(coefficients, "hazard ratio")
        if grid is not None:
            more = of_grid(prepared, grid, last, information)
            numbers |= more.numbers
            tables += more.tables
            figures += more.figures
            words += more.words
        else:
            words.append("Each hospital is a stratum; whether hazards are proportional is not looked at.")
        return Answer(numbers, tuple(tables), tuple(figures), (*words, *prepared.words()))


def _spread_of_predictor(prepared: Prepared, coefficients: Values) -> float:
    size = len(prepared.names)
    products = prepared.standard_products()[1:size, 1:size].astype(np.float64)
    return float(np.sqrt(abs(float(coefficients @ products @ coefficients)) / prepared.rows))


analysis: type[Analysis] = Cox
