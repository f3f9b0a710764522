"""Poisson regression of counts or rates: rate ratios with their intervals, and whether counts spread too widely."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from common.analyses import _generalised as generalised
from common.analyses import _preparation as preparing
from common.analyses._coefficients import demand_confidence, most_notable, p_text
from common.analyses._design import Design, numbers_of
from common.analyses._generalised import BINS, Fitted
from common.analyses._preparation import Prepared
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

Values = NDArray[np.float64]
LARGEST = 26.0
"""Of a logarithm of what is expected: e^26 is beyond any count, and its square can still be added up."""
MOST = 2.0**36
"""Of a mean count, in which case a unit of its own, such as thousands, is in place."""
WIDE = 1.5
"""Dispersion from which the sandwich's errors are advised."""


class _Counts:
    """y is 0 or more."""

    def mean(self, eta: Values) -> Values:
        return np.asarray(np.exp(np.clip(eta, -LARGEST, LARGEST)))

    def weight(self, eta: Values) -> Values:
        return self.mean(eta)

    def log_likelihood(self, y: Values, eta: Values) -> Values:
        return np.asarray(y * eta - self.mean(eta) - gammaln(y + 1))

    def deviance(self, y: Values, eta: Values) -> Values:
        mean = self.mean(eta)
        return np.asarray(2 * (xlogy(y, y / mean) - (y - mean)))

    def against(self, y: Values, eta: Values, change: Values) -> NDArray[np.bool_]:
        if change is eta:
            return np.ones(len(y), dtype=np.bool_)
        return np.where(y > 0, np.abs(change), change) > generalised.AGAINST

    def bins(self, mean: Values) -> NDArray[np.int64]:
        """By powers of two, those about 1 in the middle."""
        return np.clip(np.floor(np.log2(mean)).astype(np.int64) + BINS // 2, 0, BINS - 1)


@dataclass(frozen=True)
class Poisson:
    """outcome: a column of counts. covariates: columns, or two joined as `age:sex`. exposure: a column of persons,
    days or the like that rates are per; offset: its logarithm, or another term whose coefficient is 1. robust:
    the sandwich's standard errors (HC0), which hold where counts spread more widely than Poisson's. levels: of a
    column of words, as `sex=female|male`, the reference first.

    confidence: of the intervals, as 0.95.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of the products of all pairs of columns, in each of Newton's rounds those weighted "
        "by predicted counts, and how many rows have a predicted count between two powers of 2."
    )
    outcome: str
    covariates: tuple[str, ...]
    exposure: str = ""
    offset: str = ""
    robust: bool = False
    levels: tuple[str, ...] = ()
    confidence: float = 0.95

    def __post_init__(self) -> None:
        demand_confidence(self.confidence)
        if self.exposure and self.offset:
            raise StudyError("a Poisson regression has an exposure or an offset, which is its logarithm; not both.")

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Two rounds to prepare, one for each of Newton's steps, and one for the fit."""
        prepared = yield from preparing.preparation(Design.of(self.covariates, public, self.levels), 4)
        start = self._start(prepared)
        preparing.demand_independent(prepared, rounded=True)
        fit = yield from generalised.fitted(prepared, start, self.outcome)
        return self._answer(prepared, fit)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, and what Newton's method needs."""
        design = Design.told(self.covariates, query.tells)
        y, exposure = numbers_of(records, self.outcome), self._exposure(records)
        known = design.known(records) & np.isfinite(y) & np.isfinite(exposure)
        kept, y, exposure = records.take(known), y[known], exposure[known]
        unfit, unexposed = y < 0, exposure <= 0
        if query.step in preparing.STEPS:
            good = np.where(unfit | unexposed, 0, 1)
            outcomes = np.stack([y * good, exposure * good, unfit, unexposed], axis=1).astype(np.float64)
            return preparing.preparation_sums(query, design, kept, outcomes, int(np.count_nonzero(~known)))
        offset = kept.numbers(self.offset) if self.offset else np.log(exposure)
        return generalised.sums_of_model(query, design, _Counts(), kept, y, offset)

    def _exposure(self, records: Records) -> Values:
        if self.exposure:
            return numbers_of(records, self.exposure)
        if self.offset:
            return np.asarray(np.exp(np.clip(numbers_of(records, self.offset), -60, 60)))
        return np.ones(len(records))

    def _start(self, prepared: Prepared) -> float:
        """The logarithm of the rate without covariates."""
        events, exposure, unfit, unexposed = (prepared.outcome_sum(place) for place in range(4))
        if unfit:
            raise AnalysisError(f"outcome {self.outcome!r} is below 0 in {unfit} of {prepared.rows} rows.")
        if unexposed:
            raise AnalysisError(f"exposure {self.exposure!r} is not above 0 in {unexposed} of {prepared.rows} rows.")
        if events > MOST * prepared.rows:
            raise AnalysisError(f"outcome {self.outcome!r} is beyond what can be counted: take a larger unit.")
        if not events:
            raise AnalysisError(f"outcome {self.outcome!r} is 0 in all of {prepared.rows} rows: there is no rate.")
        return log(events / exposure)

    def _answer(self, prepared: Prepared, fit: Fitted) -> Answer:
        coefficients = generalised.answered_coefficients(prepared, fit, self.robust, self.confidence, "rate ratio")
        degrees = prepared.rows - len(prepared.names)
        numbers: dict[str, Any] = {
            **generalised.fit_numbers(prepared, fit, coefficients),
            "events": float(prepared.outcome_sum(0)),
            "exposure": float(prepared.outcome_sum(1)),
            "dispersion": fit.pearson / degrees if degrees else None,
        }
        title = f"Poisson regression of {self.outcome} ({numbers['events']:g} in {prepared.rows} rows)"
        words = (*self._words(numbers), *most_notable(coefficients, "rate ratio"), *prepared.words())
        return Answer(numbers, (coefficients.table(title), _quality(numbers)), (coefficients.forest(title),), words)

    def _words(self, numbers: Mapping[str, Any]) -> tuple[str, ...]:
        p, dispersion = numbers["likelihood_ratio_p"], numbers["dispersion"]
        said = [] if p is None else [f"The covariates together tell of the outcome: {p_text(p)} (likelihood ratio)."]
        if dispersion is not None and dispersion > WIDE and not self.robust:
            said.append(f"Counts vary {dispersion:.1f} times as much as Poisson's do: take robust = true.")
        return tuple(said)


def _quality(numbers: Mapping[str, Any]) -> Table:
    names = ("likelihood_ratio", "likelihood_ratio_p", "deviance", "pearson", "dispersion", "aic", "bic")
    header = ("likelihood ratio", "p", "deviance", "Pearson's chi-squared", "dispersion", "AIC", "BIC")
    return Table("Fit", header, (tuple(numbers[name] for name in names),))


analysis: type[Analysis] = Poisson
