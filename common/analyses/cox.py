"""Cox regression: hazard ratios, with Breslow's or Efron's ties, over risk sets or with each hospital a stratum."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _event_times as finding
from common.analyses import _preparation as preparing
from common.analyses._coefficients import Coefficients, demand_confidence, most_notable, p_text
from common.analyses._concordance import CONCORDANCE, Concordance, concordance, concordance_sums
from common.analyses._design import Design, array_of, words_of
from common.analyses._exact_algebra import exact_fractions, from_upper
from common.analyses._indicator import event_word
from common.analyses._newton import Climbed, Point, climbed
from common.analyses._partial_likelihood import (
    Partial,
    RiskSums,
    local_sums,
    partial_likelihood,
    proportionality,
    weighted_rows,
)
from common.analyses._preparation import Prepared
from common.analyses._survival_table import group_levels, group_of
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Cell, Figure, Series, Table
from common.asking.exact_sums import Integers, Total, counts, exact_sum, exact_sums_by, reals
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.study.spelling import unknown

TIES, SITE = ("efron", "breslow"), "site"
EVENTS, RISK_SETS, LOCAL = "events", "risk sets", "local"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Grid:
    """times: (T,) of events. strata: S words. events, leaving: (S, T) how many had it, and were last seen from each
    time on but before the next; event_sums: (S, T, p) standardised covariates of the former.
    """

    times: Values
    strata: tuple[str, ...]
    events: Values
    leaving: Values
    event_sums: Values


@dataclass(frozen=True)
class Cox:
    """time: from the start until the event or the last sight. event: a column of 0 and 1, or of words of which
    `event_is` is the event. covariates: columns, or two joined as `age:sex`; levels: of a column of words, as
    `sex=female|male`, the reference first.

    ties: efron or breslow. strata: `site`, and then each hospital compares its own patients alone and no times are
    asked for, or a column whose levels are known. width: of the time grid; 0: times as they are.
    """

    discloses: ClassVar[str] = (
        "At every time of an event on the grid, sums of the covariates of who had it then and who was last seen "
        "since: where that is one person, the covariates are that person's. With strata = site, one "
        "number for each pair of covariates in each of Newton's rounds, of all hospitals together."
    )
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
            grid = yield from self._grid(prepared, found.times, strata)
        climb, last = yield from self._climbed(prepared, grid)
        if not climb.converged:
            raise AnalysisError(_endless(prepared, climb))
        answer = self._answer(prepared, climb, grid, last)
        if grid is None:
            return answer
        told = {**prepared.tells(), "times": grid.times, "coefficients": climb.coefficients}
        spread = _spread_of_predictor(prepared, climb.coefficients)
        found = yield from concordance(spread, len(strata), len(grid.times), told)
        return _with_concordance(answer, found)

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
            return _event_sums(query, rows, followed, stratum, len(strata))
        coefficients = array_of(query.tells, "coefficients")
        predictor = preparing.linear_predictor(rows, coefficients)
        if query.step == CONCORDANCE:
            times = array_of(query.tells, "times")
            cell, later = _cells(times, followed.times, stratum)
            shape = (len(strata), len(times))
            return concordance_sums(predictor, array_of(query.tells, "edges"), cell, later, followed.events, shape)
        if query.step == LOCAL:
            sums = local_sums(rows, predictor, followed.times, followed.events)
            partial = partial_likelihood(sums, coefficients, self.ties == "efron")
            upper = partial.information[np.triu_indices(len(coefficients))]
            every = np.concatenate([[partial.log_likelihood], partial.score, upper])
            return {"partial": exact_sum(every[None])}
        return _risk_set_sums(query, weighted_rows(rows, predictor), followed, stratum, len(strata))

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

    def _grid(self, prepared: Prepared, times: Values, strata: tuple[str, ...]) -> Generator[Query, Total, _Grid]:
        shape, size = (len(strata), len(times)), len(prepared.names) - 1
        parts = {"events": counts(*shape), "leaving": counts(*shape), "event sums": reals(*shape, size)}
        total = yield Query(parts, {**prepared.tells(), "times": times}, EVENTS)
        events, leaving = (total.count(name).astype(np.float64) for name in ("events", "leaving"))
        return _Grid(times, strata, events, leaving, total["event sums"])

    def _climbed(
        self, prepared: Prepared, grid: _Grid | None
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
            last[:] = yield from self._partials(grid, coefficients, tells)
            return Point(
                coefficients,
                sum(one.log_likelihood for one in last),
                exact_fractions(np.sum([one.score for one in last], axis=0)),
                exact_fractions(np.sum([one.information for one in last], axis=0)),
            )

        climb = yield from climbed(evaluate, np.zeros(size))
        return climb, last

    def _partials(
        self, grid: _Grid, coefficients: Values, tells: Mapping[str, Told]
    ) -> Generator[Query, Total, list[Partial]]:
        size = len(coefficients)
        shape = (*grid.events.shape, 1 + size + size * (size + 1) // 2)
        parts = {"leaving": reals(*shape)}
        if self.ties == "efron":
            parts["tied"] = reals(*shape)
        total = yield Query(parts, {**tells, "times": grid.times}, RISK_SETS)
        leaving = np.flip(np.cumsum(np.flip(total.integers["leaving"], axis=1), axis=1), axis=1)
        at_risk = Total(parts, {"leaving": leaving})["leaving"]
        tied = total["tied"] if self.ties == "efron" else at_risk
        return [
            partial_likelihood(
                RiskSums(at_risk[s], tied[s], grid.events[s], grid.event_sums[s]), coefficients, self.ties == "efron"
            )
            for s in range(len(grid.strata))
        ]

    def _answer(self, prepared: Prepared, climb: Climbed, grid: _Grid | None, last: list[Partial]) -> Answer:
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
            "rows": prepared.rows,
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
        tables, figures = [coefficients.table(title), _tests_table(numbers)], [coefficients.forest(title)]
        words = [f"The covariates together tell of the hazard: {p_text(numbers['tests']['likelihood_ratio']['p'])}."]
        words += most_notable(coefficients, "hazard ratio")
        if grid is not None:
            more = _of_grid(prepared, grid, last, information)
            numbers |= more.numbers
            tables += more.tables
            figures += more.figures
            words += more.words
        else:
            words.append("Each hospital is a stratum; whether hazards are proportional is not looked at.")
        return Answer(numbers, tuple(tables), tuple(figures), (*words, *prepared.words()))


def _event_sums(
    query: Query, rows: Values, followed: finding.Followed, stratum: NDArray[np.int64], strata: int
) -> preparing.Sums:
    times = array_of(query.tells, "times")
    cell, later = _cells(times, followed.times, stratum)
    size, had = strata * len(times), followed.events & later
    return {
        "events": np.bincount(cell[had], minlength=size).reshape(strata, -1),
        "leaving": np.bincount(cell[later], minlength=size).reshape(strata, -1),
        "event sums": exact_sums_by(cell[had], rows[had], size).reshape(strata, len(times), -1),
    }


def _risk_set_sums(
    query: Query, shares: Values, followed: finding.Followed, stratum: NDArray[np.int64], strata: int
) -> preparing.Sums:
    times = array_of(query.tells, "times")
    cell, later = _cells(times, followed.times, stratum)
    size, had = strata * len(times), followed.events & later
    found: preparing.Sums = {
        "leaving": exact_sums_by(cell[later], shares[later], size).reshape(strata, len(times), -1)
    }
    if "tied" in query.parts:
        found["tied"] = exact_sums_by(cell[had], shares[had], size).reshape(strata, len(times), -1)
    return found


def _cells(times: Values, own: Values, stratum: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) which stratum and time each row left at or after; and whether there is such a time."""
    place = np.searchsorted(times, own, side="right") - 1
    return stratum * len(times) + place, place >= 0


def _of_grid(prepared: Prepared, grid: _Grid, last: list[Partial], information: Values) -> Answer:
    """What only the sums by time can tell: proportional hazards, the baseline, and whose covariates stand alone."""
    at_risk = np.flip(np.cumsum(np.flip(grid.leaving, axis=1), axis=1), axis=1)
    survival = [_before(grid.events[s], at_risk[s]) for s in range(len(grid.strata))]
    each, together = proportionality(
        [(one, 1 - survival[s], grid.event_sums[s]) for s, one in enumerate(last)], information
    )
    names, degrees = prepared.names[1:], len(each)
    rows: list[tuple[Cell, ...]] = [
        (name, value, float(stats.chi2.sf(value, 1))) for name, value in zip(names, each.tolist(), strict=True)
    ]
    rows.append(("all together", together, float(stats.chi2.sf(together, degrees))))
    note = "Against an effect that changes with 1 - Kaplan-Meier (Grambsch and Therneau 1994)."
    alone = int(np.count_nonzero(grid.leaving == 1))
    baseline = [np.exp(-np.cumsum(one.hazards)) for one in last]
    numbers = {
        "proportional_hazards": {str(name): {"chi_squared": value, "p": p} for name, value, p in rows},
        "times": grid.times.tolist(),
        "baseline_survival": {word: values.tolist() for word, values in zip(grid.strata, baseline, strict=True)},
        "left_alone": alone,
    }
    bad = [str(name) for name, _, p in rows[:-1] if isinstance(p, float) and p < 0.05]
    words = [f"The hazard ratio of {', '.join(bad)} is not the same at all times (p < 0.05)."] * bool(bad)
    words.append(
        f"At {alone} places of the time grid one person left alone: the sums there are that person's covariates."
    )
    figure = Figure(
        "steps",
        "Survival at the mean of all covariates",
        "time",
        "without the event",
        tuple(
            Series(word or "everybody", (0.0, *grid.times.tolist()), (1.0, *values.tolist()))
            for word, values in zip(grid.strata, baseline, strict=True)
        ),
    )
    table = Table("Are hazards proportional?", ("", "chi-squared", "p"), tuple(rows), note)
    return Answer(numbers, (table,), (figure,), tuple(words))


def _spread_of_predictor(prepared: Prepared, coefficients: Values) -> float:
    size = len(prepared.names)
    products = prepared.standard_products()[1:size, 1:size].astype(np.float64)
    return float(np.sqrt(max(coefficients @ products @ coefficients, 0.0) / prepared.rows))


def _with_concordance(answer: Answer, found: Concordance) -> Answer:
    numbers = {**answer.numbers, "concordance": asdict(found)}
    if found.middle is None:
        return replace(answer, numbers=numbers)
    said = (
        f"Of {found.pairs} pairs of which one had the event first, the model puts {100 * found.middle:.1f} % in "
        f"order (between {100 * found.low:.1f} and {100 * found.high:.1f} %, risks being counted in bins)."
    )
    return replace(answer, numbers=numbers, words=(*answer.words, said))


def _before(events: Values, at_risk: Values) -> Values:
    """Kaplan-Meier just before each time."""
    factors = 1 - events / np.where(at_risk > 0, at_risk, 1)
    return np.concatenate([[1.0], np.cumprod(factors)[:-1]])


def _tests_table(numbers: Mapping[str, Any]) -> Table:
    names = {"likelihood_ratio": "likelihood ratio", "wald": "Wald", "score": "score"}
    rows = tuple(
        (word, numbers["tests"][key]["statistic"], numbers["tests"][key]["p"]) for key, word in names.items()
    )
    return Table("Do the covariates tell of the hazard?", ("test", "chi-squared", "p"), rows)


def _endless(prepared: Prepared, climb: Climbed) -> str:
    if climb.useless is not None:
        return (
            f"covariate {prepared.names[1 + climb.useless]!r} tells nothing beyond the others of who has the "
            "event first among those at risk together: leave it out."
        )
    sizes = np.abs(climb.direction) / (np.max(np.abs(climb.direction), initial=0.0) or 1.0)
    named = [name for name, size in zip(prepared.names[1:], sizes, strict=True) if size > 1e-3]
    return (
        f"the hazard ratio of {', '.join(named)} is not finite: where it is high, or low, whoever is at "
        "risk never, or always first, has the event. Leave it out, or join levels."
    )


analysis: type[Analysis] = Cox
