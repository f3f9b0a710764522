"""Linear regression by least squares, with classical and robust (HC0 to HC3) standard errors."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import log, pi
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _preparation as preparing
from common.analyses._coefficients import Coefficients, demand_confidence, most_notable, p_text
from common.analyses._design import Design, array_of, numbers_of
from common.analyses._exact_algebra import exact_fractions, exact_product, from_upper, inverse
from common.analyses._preparation import OUTCOME_SCALES, Prepared
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Exact, Integers, Total, counts, reals
from common.asking.records import Records
from common.errors import AnalysisError
from common.study.spelling import unknown

ERRORS = ("classical", "hc0", "hc1", "hc2", "hc3")
RESIDUALS = "residuals"
FULL_LEVERAGE = 1 - 1e-10


@dataclass(frozen=True)
class _Fit:
    """Least squares without rounding, in units of the outcome's scale and of the design's columns' scales."""

    coefficients: Exact
    inverse: Exact
    left: Fraction
    about_mean: Fraction


@dataclass(frozen=True)
class Linear:
    """outcome: a column of numbers. covariates: columns, or two joined as `age:sex`.

    errors: classical, or robust against unequal variances: hc0, hc1, hc2, hc3 (MacKinnon and White 1985); hc3 is
    the safe one with few rows. levels: of a column of words, as `sex=female|male`, the reference first. confidence:
    of the intervals, as 0.95.
    """

    discloses: ClassVar[str] = (
        "Sums over all hospitals of the products of all pairs of columns, of which means, variances and correlations "
        "follow, and with robust errors of squared residuals times such products."
    )
    outcome: str
    covariates: tuple[str, ...]
    errors: str = "classical"
    levels: tuple[str, ...] = ()
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.errors not in ERRORS:
            raise unknown("kind of standard errors", self.errors, ERRORS)
        demand_confidence(self.confidence)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Two rounds; three with robust errors."""
        prepared = yield from preparing.preparation(Design.of(self.covariates, public, self.levels), 1)
        preparing.demand_independent(prepared, rounded=self.errors != "classical")
        fit = _least_squares(prepared)
        degrees = prepared.rows - len(prepared.names)
        if degrees < 1:
            raise AnalysisError(
                f"{prepared.rows} complete rows cannot tell of {len(prepared.names)} coefficients and their errors."
            )
        covariance = fit.inverse * (fit.left / degrees)
        note = ""
        if self.errors != "classical":
            robust, full = yield from self._robust(prepared, fit)
            if full and self.errors in {"hc2", "hc3"}:
                note = (
                    f"{full} rows are fitted exactly, being alone in what they tell; "
                    f"{self.errors} has no answer there, so that errors are classical."
                )
            else:
                covariance = robust * (Fraction(prepared.rows, degrees) if self.errors == "hc1" else 1)
        return self._answer(prepared, fit, covariance, note)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, or squared residuals times products."""
        design = Design.told(self.covariates, query.tells)
        known = design.known(records) & np.isfinite(numbers_of(records, self.outcome))
        kept = records.take(known)
        outcome = kept.numbers(self.outcome)
        if query.step in preparing.STEPS:
            return preparing.preparation_sums(query, design, kept, outcome[:, None], int(np.count_nonzero(~known)))
        rows = preparing.standardised(design, query.tells, kept)
        coefficients = array_of(query.tells, "coefficients")
        left = outcome / array_of(query.tells, OUTCOME_SCALES)[0] - coefficients[0]
        left -= preparing.linear_predictor(rows[:, 1:], coefficients[1:])
        lever, usable = _leverage(rows, query), np.ones(len(rows), dtype=np.bool_)
        if self.errors in {"hc2", "hc3"}:
            usable = lever < FULL_LEVERAGE
            left = left / np.where(usable, 1 - lever, 1) ** (0.5 if self.errors == "hc2" else 1)
        return {
            "meat": preparing.upper_weighted(rows[usable], left[usable] ** 2),
            "full": np.array(np.count_nonzero(~usable)),
        }

    def _robust(self, prepared: Prepared, fit: _Fit) -> Generator[Query, Total, tuple[Exact, int]]:
        """The sandwich, and how many rows had a leverage of 1."""
        size = len(prepared.names)
        to_scaled = _to_scaled(prepared)
        from_scaled = inverse_triangular(to_scaled)
        coefficients = exact_product(from_scaled, fit.coefficients)
        bread = exact_product(exact_product(from_scaled, fit.inverse), from_scaled.T)
        lower = np.linalg.cholesky(bread.astype(np.float64))
        tells = {
            **prepared.tells(),
            "coefficients": coefficients.astype(np.float64)[:, 0],
            "root of inverse": lower.ravel(),
        }
        total = yield Query({"meat": reals(size * (size + 1) // 2), "full": counts()}, tells, RESIDUALS)
        meat = from_upper(total.exact("meat"), size)
        middle = exact_product(exact_product(bread, meat), bread)
        return exact_product(exact_product(to_scaled, middle), to_scaled.T), int(total.count("full"))

    def _answer(self, prepared: Prepared, fit: _Fit, covariance: Exact, note: str) -> Answer:
        scales = _raw_scales(prepared)
        size, rows = len(prepared.names), prepared.rows
        estimates = (fit.coefficients[:, 0] * scales).astype(np.float64)
        raw = (covariance * scales[:, None] * scales[None, :]).astype(np.float64)
        coefficients = Coefficients(prepared.names, estimates, raw, self.confidence, rows - size)
        numbers = {
            "n": rows,
            "missing": prepared.missing,
            "coefficients": coefficients.numbers(),
            "covariance": raw.tolist(),
            "errors": "classical" if note else self.errors,
            **_quality(fit, rows, size, Fraction(prepared.outcome_scales[0])),
        }
        title = f"Linear regression of {self.outcome} ({rows} rows)"
        quality = _quality_table(numbers)
        words = (*_fit_words(numbers), *most_notable(coefficients, "change of the mean"), *prepared.words())
        if note:
            words = (note, *words)
        return Answer(numbers, (coefficients.table(title, note), quality), (coefficients.forest(title),), words)


def inverse_triangular(matrix: Exact) -> Exact:
    """Of a matrix with entries in its diagonal and its first row alone."""
    found = matrix.copy()
    for j in range(len(matrix)):
        found[j, j] = 1 / matrix[j, j]
    for j in range(1, len(matrix)):
        found[0, j] = -matrix[0, j] / (matrix[0, 0] * matrix[j, j])
    return found


def _least_squares(prepared: Prepared) -> _Fit:
    size = len(prepared.names)
    products, right = prepared.products[:size, :size], prepared.products[:size, size:]
    inverted = inverse(products)
    coefficients = exact_product(inverted, right)
    square, total = prepared.products[size, size], prepared.products[0, size]
    left = square - exact_product(coefficients.T, right)[0, 0]
    return _Fit(coefficients, inverted, max(left, Fraction(0)), square - total**2 / prepared.rows)


def _raw_scales(prepared: Prepared) -> Exact:
    """(p,) what coefficients of scaled columns and outcome are multiplied by for the columns as written."""
    outcome = Fraction(prepared.outcome_scales[0])
    return np.asarray(outcome / exact_fractions(np.array(prepared.design.column_scales)))


def _to_scaled(prepared: Prepared) -> Exact:
    """As `Prepared.to_raw`, for the scaled columns."""
    matrix = prepared.to_raw()
    return np.asarray(matrix * exact_fractions(np.array(prepared.design.column_scales))[:, None])


def _leverage(rows: NDArray[np.float64], query: Query) -> NDArray[np.float64]:
    size = rows.shape[1]
    root = array_of(query.tells, "root of inverse").reshape(size, size)
    parts = [preparing.linear_predictor(rows, root[:, k]) ** 2 for k in range(size)]
    return np.asarray(np.add.reduce(parts, axis=0))


def _quality(fit: _Fit, rows: int, size: int, scale: Fraction) -> dict[str, Any]:
    """R squared, F, likelihood. Without a spread of the outcome there is no R squared."""
    degrees, left = rows - size, float(fit.left * scale**2)
    explained = fit.about_mean - fit.left
    found: dict[str, Any] = {
        "degrees_of_freedom": degrees,
        "residual_sum_of_squares": left,
        "residual_standard_error": (left / degrees) ** 0.5,
        "r_squared": None,
        "adjusted_r_squared": None,
        "f": None,
        "f_p": None,
        "log_likelihood": None,
        "aic": None,
        "bic": None,
    }
    if fit.about_mean > 0:
        found["r_squared"] = float(explained / fit.about_mean)
        found["adjusted_r_squared"] = float(1 - (fit.left / fit.about_mean) * Fraction(rows - 1, degrees))
    if fit.left > 0:
        likelihood = -rows / 2 * (log(2 * pi) + log(left / rows) + 1)
        found |= {
            "log_likelihood": likelihood,
            "aic": 2 * size - 2 * likelihood,
            "bic": size * log(rows) - 2 * likelihood,
        }
    if fit.left > 0 and size > 1:
        f = float(explained / (size - 1) / (fit.left / degrees))
        found |= {"f": f, "f_p": float(stats.f.sf(f, size - 1, degrees))}
    return found


def _quality_table(numbers: Mapping[str, Any]) -> Table:
    names = ("r_squared", "adjusted_r_squared", "f", "f_p", "residual_standard_error", "aic", "bic")
    header = ("R²", "adjusted R²", "F", "p of F", "residual standard error", "AIC", "BIC")
    return Table("Fit", header, (tuple(numbers[name] for name in names),))


def _fit_words(numbers: Mapping[str, Any]) -> tuple[str, ...]:
    if numbers["r_squared"] is None:
        return ("The outcome is the same in every row.",)
    if numbers["f"] is None:
        return (f"The covariates explain {100 * numbers['r_squared']:.1f} % of the outcome's variance.",)
    share, p = 100 * numbers["r_squared"], p_text(numbers["f_p"])
    return (f"The covariates explain {share:.1f} % of the outcome's variance ({p}).",)


analysis: type[Analysis] = Linear
