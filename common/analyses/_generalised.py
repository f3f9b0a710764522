"""Generalised linear models by sums: logistic and Poisson regression, which differ in one family of functions."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _preparation as preparing
from common.analyses._coefficients import Coefficients
from common.analyses._design import INTERCEPT, Design, array_of
from common.analyses._exact_algebra import exact_fractions, exact_product, from_upper, inverse
from common.analyses._newton import Climbed, Point, climbed
from common.analyses._preparation import Prepared, Sums
from common.asking.analysis import Query
from common.asking.exact_sums import Exact, Total, counts, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError

NEWTON, SEPARATION, FIT = "newton", "separation", "fit"
BINS = 10
"""Of predictions, in the table that holds them beside what happened."""
AGAINST = 1e-4
"""A change of a row's linear predictor that is none, where the direction's largest coefficient is 1."""

FARTHEST, LEAST_WEIGHT = 2.0**38, 1e-12
"""Of a residual and of a variance: what rows other than those fitted may have can be added up all the same."""

Values = NDArray[np.float64]


class Family(Protocol):
    """Of one row each: y, the outcome, and eta, its linear predictor with the offset."""

    def mean(self, eta: Values) -> Values:
        """What is expected of y."""
        ...

    def weight(self, eta: Values) -> Values:
        """The derivative of `mean`, which is the variance of y as well: links are canonical."""
        ...

    def log_likelihood(self, y: Values, eta: Values) -> Values:
        """With all constants."""
        ...

    def deviance(self, y: Values, eta: Values) -> Values:
        """Twice what the likelihood of a perfect fit is above it."""
        ...

    def against(self, y: Values, eta: Values, change: Values) -> NDArray[np.bool_]:
        """Rows whose likelihood falls, in the end, as eta moves on and on by `change`."""
        ...

    def bins(self, mean: Values) -> NDArray[np.int64]:
        """Which of BINS a prediction belongs to."""
        ...


@dataclass(frozen=True)
class Fitted:
    """coefficients: of columns as written. robust: its sandwich (HC0). calibration: (BINS, 3) rows, y, prediction."""

    coefficients: Values
    covariance: Values
    robust: Values
    log_likelihood: float
    null_log_likelihood: float
    deviance: float
    pearson: float
    squared_error: float
    calibration: Values
    rounds: int


def fitted(prepared: Prepared, intercept: float, outcome: str) -> Generator[Query, Total, Fitted]:
    """All rounds after the preparation. intercept: of the model without covariates, where it begins.

    Raises AnalysisError where a combination of covariates separates the outcomes.
    """
    size = len(prepared.names)

    def evaluate(coefficients: Values) -> Generator[Query, Total, Point]:
        parts = {
            "log likelihood": reals(),
            "score": reals(size),
            "information": reals(size * (size + 1) // 2),
            "against": counts(),
        }
        total = yield Query(parts, {**prepared.tells(), "coefficients": coefficients}, NEWTON)
        return Point(
            coefficients,
            float(total["log likelihood"]),
            total.exact("score"),
            from_upper(total.exact("information"), size),
            int(total.count("against")) == 0 and size > 1,
        )

    start = np.zeros(size)
    start[0] = intercept
    climb = yield from climbed(evaluate, start)
    if not climb.converged:
        raise AnalysisError((yield from _why_not(prepared, climb, outcome)))
    return (yield from _fit(prepared, climb))


def sums_of_model(query: Query, design: Design, family: Family, kept: Records, y: Values, offset: Values) -> Sums:
    """The hospital's half of those rounds. kept: complete rows."""
    rows = preparing.standardised(design, query.tells, kept)
    eta = preparing.linear_predictor(rows, array_of(query.tells, "coefficients")) + offset
    if query.step == SEPARATION:
        change = preparing.linear_predictor(rows, array_of(query.tells, "direction"))
        return {"against": np.array(np.count_nonzero(family.against(y, eta, change)))}
    left, weight = y - family.mean(eta), family.weight(eta)
    if query.step == NEWTON:
        return {
            "log likelihood": exact_sum(family.log_likelihood(y, eta)),
            "score": exact_sum(rows * left[:, None]),
            "information": preparing.upper_weighted(rows, weight),
            "against": np.array(np.count_nonzero(family.against(y, eta, eta))),
        }
    return _fit_sums(rows, y, eta, family)


def _fit_sums(rows: Values, y: Values, eta: Values, family: Family) -> Sums:
    mean = family.mean(eta)
    left, bins = np.clip(y - mean, -FARTHEST, FARTHEST), family.bins(mean)
    inside = (bins[:, None] == np.arange(BINS)).astype(np.float64)
    return {
        "meat": preparing.upper_weighted(rows, left**2),
        "fit": exact_sum(
            np.stack(
                [family.deviance(y, eta), left**2 / np.maximum(family.weight(eta), LEAST_WEIGHT), left**2], axis=1
            )
        ),
        "in bins": np.count_nonzero(inside, axis=0),
        "of bins": exact_sum(np.stack([inside * y[:, None], inside * mean[:, None]], axis=2)),
    }


def _fit(prepared: Prepared, climb: Climbed) -> Generator[Query, Total, Fitted]:
    size = len(prepared.names)
    parts = {
        "meat": reals(size * (size + 1) // 2),
        "fit": reals(3),
        "in bins": counts(BINS),
        "of bins": reals(BINS, 2),
    }
    total = yield Query(parts, {**prepared.tells(), "coefficients": climb.coefficients}, FIT)
    bread, to_raw = inverse(climb.last.information), prepared.to_raw()
    meat = from_upper(total.exact("meat"), size)
    deviance, pearson, squares = total["fit"].tolist()
    return Fitted(
        raw_coefficients(prepared, climb.coefficients),
        between(to_raw, bread),
        between(to_raw, exact_product(exact_product(bread, meat), bread)),
        climb.last.log_likelihood,
        climb.first.log_likelihood,
        deviance,
        pearson,
        squares,
        np.concatenate([total.count("in bins")[:, None].astype(np.float64), total["of bins"]], axis=1),
        climb.rounds + 4,
    )


def raw_coefficients(prepared: Prepared, coefficients: Values) -> Values:
    """Of columns as written."""
    return exact_product(prepared.to_raw(), exact_fractions(coefficients)).astype(np.float64)


def between(outer: Exact, inner: Exact) -> Values:
    """outer inner outer', rounded once."""
    return exact_product(exact_product(outer, inner), outer.T).astype(np.float64)


def likelihood_numbers(fit: Fitted, rows: int, size: int) -> dict[str, Any]:
    """What both families report of the whole."""
    ratio = 2 * (fit.log_likelihood - fit.null_log_likelihood)
    return {
        "log_likelihood": fit.log_likelihood,
        "null_log_likelihood": fit.null_log_likelihood,
        "likelihood_ratio": ratio,
        "likelihood_ratio_p": float(stats.chi2.sf(ratio, size - 1)) if size > 1 else None,
        "deviance": fit.deviance,
        "pearson": fit.pearson,
        "degrees_of_freedom": rows - size,
        "aic": 2 * size - 2 * fit.log_likelihood,
        "bic": size * float(np.log(rows)) - 2 * fit.log_likelihood,
    }


def answered_coefficients(
    prepared: Prepared, fit: Fitted, robust: bool, confidence: float, ratio: str
) -> Coefficients:
    """The normal distribution's intervals and tests."""
    return Coefficients(
        prepared.names, fit.coefficients, fit.robust if robust else fit.covariance, confidence, ratio=ratio
    )


def fit_numbers(prepared: Prepared, fit: Fitted, coefficients: Coefficients) -> Mapping[str, Any]:
    """All that both families answer."""
    return {
        "n": prepared.rows,
        "missing": prepared.missing,
        "coefficients": coefficients.numbers(),
        "covariance": coefficients.covariance.tolist(),
        **likelihood_numbers(fit, prepared.rows, len(prepared.names)),
    }


def _why_not(prepared: Prepared, climb: Climbed, outcome: str) -> Generator[Query, Total, str]:
    """What keeps the likelihood from a maximum."""
    direction = climb.coefficients - climb.first.coefficients if climb.last.separated else climb.direction
    largest = float(np.max(np.abs(direction), initial=0.0)) or 1.0
    named = [
        name
        for name, size in zip(prepared.names, np.abs(direction) / largest, strict=True)
        if name != INTERCEPT and size > 1e-3
    ]
    told = f"{', '.join(named)}: leave it out, join levels, or ask for fewer covariates."
    if climb.last.separated:
        return f"outcome {outcome!r} is predicted without a single error, so that no coefficient is finite, by {told}"
    tells = {**prepared.tells(), "coefficients": climb.coefficients, "direction": direction / largest}
    total = yield Query({"against": counts()}, tells, SEPARATION)
    if int(total.count("against")) == 0:
        return f"outcome {outcome!r} is separated, so that the coefficient is not finite, by {told}"
    return f"Newton's method did not converge in {climb.rounds} steps; too many covariates for {prepared.rows} rows?"
