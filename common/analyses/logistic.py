"""Logistic regression: odds ratios of an outcome that happened or not, with their intervals."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.analyses import _generalised as generalised
from common.analyses import _preparation as preparing
from common.analyses._coefficients import demand_confidence, most_notable, p_text
from common.analyses._design import Design, words_of
from common.analyses._generalised import BINS, Fitted
from common.analyses._indicator import demand_event, event_word, happened
from common.analyses._preparation import Prepared
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.errors import AnalysisError

Values = NDArray[np.float64]


class _Binomial:
    """y is 0 or 1."""

    def mean(self, eta: Values) -> Values:
        return np.asarray(expit(eta))

    def weight(self, eta: Values) -> Values:
        return np.asarray(expit(eta) * expit(-eta))

    def log_likelihood(self, y: Values, eta: Values) -> Values:
        return np.asarray(-np.logaddexp(0, np.where(y > 0.5, -eta, eta)))

    def deviance(self, y: Values, eta: Values) -> Values:
        return -2 * self.log_likelihood(y, eta)

    def against(self, y: Values, eta: Values, change: Values) -> NDArray[np.bool_]:
        towards = np.where(y > 0.5, change, -change)
        return towards <= 0 if change is eta else towards < -generalised.AGAINST

    def bins(self, mean: Values) -> NDArray[np.int64]:
        return np.minimum((mean * BINS).astype(np.int64), BINS - 1)


@dataclass(frozen=True)
class Logistic:
    """outcome: a column of 0 and 1, or of words of which `event_is` is the one asked about (else the second of two
    public levels), or of numbers and `event_is = ">0"`. covariates: columns, or two joined as `age:sex`. robust: the
    sandwich's standard errors (HC0). levels: of a column of words, as `sex=female|male`, the reference first.

    event_is: of an outcome in words, the one that counts. confidence: of the intervals, as 0.95.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of the products of all pairs of columns, in each of Newton's rounds those weighted "
        "by predicted risk, and how many rows and events have a predicted risk in each tenth."
    )
    outcome: str
    covariates: tuple[str, ...]
    event_is: str = ""
    robust: bool = False
    levels: tuple[str, ...] = ()
    confidence: float = 0.95

    def __post_init__(self) -> None:
        demand_confidence(self.confidence)
        demand_event(self.event_is)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Two rounds to prepare, one for each of Newton's steps, and one for fit and calibration."""
        design = Design.of(self.covariates, public, self.levels)
        word = event_word(self.outcome, self.event_is, public)
        prepared = yield from preparing.preparation(design, 2, {"event": (word,)})
        odds = self._odds(prepared)
        preparing.demand_independent(prepared, rounded=True)
        fit = yield from generalised.fitted(prepared, log(odds), self.outcome)
        return self._answer(prepared, fit)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, and what Newton's method needs."""
        design = Design.told(self.covariates, query.tells)
        y = happened(records, self.outcome, "".join(words_of(query.tells, "event")))
        known = design.known(records) & np.isfinite(y)
        kept, y = records.take(known), y[known]
        if query.step in preparing.STEPS:
            odd = ((y != 0) & (y != 1)).astype(np.float64)
            outcomes = np.stack([np.where(odd > 0, 0, y), odd], axis=1)
            return preparing.preparation_sums(query, design, kept, outcomes, int(np.count_nonzero(~known)))
        return generalised.sums_of_model(query, design, _Binomial(), kept, y, np.zeros(len(y)))

    def _odds(self, prepared: Prepared) -> float:
        """Of the event among all rows."""
        events, odd, rows = int(prepared.outcome_sum(0)), int(prepared.outcome_sum(1)), prepared.rows
        if odd:
            raise AnalysisError(
                f"outcome {self.outcome!r} is neither 0 nor 1 in {odd} of {rows} rows: say which word is the event."
            )
        if events in {0, rows}:
            raise AnalysisError(
                f"outcome {self.outcome!r} happened in {events} of {rows} rows: nothing tells them apart."
            )
        return events / (rows - events)

    def _answer(self, prepared: Prepared, fit: Fitted) -> Answer:
        coefficients = generalised.answered_coefficients(prepared, fit, self.robust, self.confidence, "odds ratio")
        events = int(prepared.outcome_sum(0))
        numbers: dict[str, Any] = {
            **generalised.fit_numbers(prepared, fit, coefficients),
            "events": events,
            "brier": fit.squared_error / prepared.rows,
            "pseudo_r_squared": 1 - fit.log_likelihood / fit.null_log_likelihood,
            "calibration": {
                _bin(place): {"n": int(n), "events": int(came), "predicted": predicted / n}
                for place, (n, came, predicted) in enumerate(fit.calibration.tolist())
                if n
            },
        }
        title = f"Logistic regression of {self.outcome} ({events} events in {prepared.rows} rows)"
        words = (
            *self._words(numbers, len(prepared.names)),
            *most_notable(coefficients, "odds ratio"),
            *prepared.words(),
        )
        tables = (coefficients.table(title), _quality(numbers), _calibration(fit.calibration))
        return Answer(numbers, tables, (coefficients.forest(title), _calibration_figure(fit.calibration)), words)

    def _words(self, numbers: Mapping[str, Any], size: int) -> tuple[str, ...]:
        p, each = numbers["likelihood_ratio_p"], min(numbers["events"], numbers["n"] - numbers["events"])
        said = [] if p is None else [f"The covariates together tell of the outcome: {p_text(p)} (likelihood ratio)."]
        if size > 1 and each < 10 * (size - 1):
            said.append(
                f"Only {each} rows of the rarer outcome for {size - 1} coefficients: ten of each are the rule."
            )
        return tuple(said)


def _quality(numbers: Mapping[str, Any]) -> Table:
    names = ("likelihood_ratio", "likelihood_ratio_p", "deviance", "aic", "bic", "pseudo_r_squared", "brier")
    header = ("likelihood ratio", "p", "deviance", "AIC", "BIC", "McFadden's R²", "Brier score")
    return Table("Fit", header, (tuple(numbers[name] for name in names),))


def _bin(place: int) -> str:
    return f"{place / BINS:g} to {(place + 1) / BINS:g}"


def _calibration(bins: Values) -> Table:
    rows = tuple(
        (_bin(place), int(n), int(events), predicted / n, events / n)
        for place, (n, events, predicted) in enumerate(bins.tolist())
        if n
    )
    return Table("Calibration", ("predicted risk", "n", "events", "mean predicted", "observed"), rows)


def _calibration_figure(bins: Values) -> Figure:
    filled = [(_bin(place), *row) for place, row in enumerate(bins.tolist()) if row[0]]
    x = tuple(name for name, *_ in filled)
    series = (
        Series("observed", x, tuple(came / n for _, n, came, _ in filled)),
        Series("predicted", x, tuple(predicted / n for _, n, _, predicted in filled)),
    )
    return Figure("bars", "Calibration", "predicted risk", "share of events", series)


analysis: type[Analysis] = Logistic
