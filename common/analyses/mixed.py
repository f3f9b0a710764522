"""Mixed-effects regression: a random intercept for each hospital, person or group, by REML or maximum likelihood."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, pi, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _preparation as preparing
from common.analyses._coefficients import Coefficients, demand_confidence, most_notable, p_text
from common.analyses._design import Design, array_of, numbers_of
from common.analyses._exact_algebra import (
    exact_product,
    from_upper,
    inverse,
    log_determinant,
)
from common.analyses._group_sums import sums_by
from common.analyses._preparation import OUTCOME_SCALES, Prepared
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Exact, Integers, Total, counts, exact_sum, reals
from common.asking.records import Records
from common.errors import AnalysisError
from common.study.spelling import unknown

METHODS = ("reml", "ml")
PERSON = "person"
GROUPS, PROFILE = "groups", "profile"
GRID = np.concatenate([[0.0], 4.0 ** np.arange(-8, 9)])
"""Ratios of the variance between groups to that within, among which the maximum is looked for first."""
MOST_ROUNDS = 40
ENOUGH = 1e-12
"""Of the ratio."""


@dataclass(frozen=True)
class _Profile:
    """The best fit with a ratio of variances. deviance: -2 log-likelihood; slope: its derivative by the ratio."""

    ratio: float
    deviance: float
    slope: float
    coefficients: Exact
    inverse: Exact
    variance: float


@dataclass(frozen=True)
class Mixed:
    """outcome: a column of numbers. covariates: columns, or two joined as `age:sex`.

    group: of what each has an intercept of its own: the hospital where nothing is said, `person`, or a column of
    words, such as wards, whose groups each lie within one hospital. method: reml or ml. levels: of a column of
    words, as `sex=female|male`, the reference first. confidence: of the intervals, as 0.95.
    """

    discloses: ClassVar[str] = (
        "For some ratios of variances, sums over groups of products of column sums, each divided by what depends on "
        "the group's size; with exact sums at twice as many ratios as there are hospitals, each hospital's size and "
        "column means follow from them."
    )
    outcome: str
    covariates: tuple[str, ...]
    group: str = ""
    method: str = "reml"
    levels: tuple[str, ...] = ()
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        demand_confidence(self.confidence)

    @property
    def whole_hospitals(self) -> bool:
        """A person's rows make a group that needs no other; a hospital's or a ward's are of several persons."""
        return self.group != PERSON

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Two rounds to prepare, one to count groups and over a grid of ratios, and one for each further ratio."""
        prepared = yield from preparing.preparation(Design.of(self.covariates, public, self.levels), 1)
        preparing.demand_independent(prepared, rounded=True)
        degrees = prepared.rows - len(prepared.names)
        if degrees < 2:
            raise AnalysisError(f"{prepared.rows} complete rows cannot tell of {len(prepared.names)} coefficients.")
        total = yield Query({"groups": counts(), "repeated": counts()}, prepared.tells(), GROUPS)
        groups, repeated = int(total.count("groups")), int(total.count("repeated"))
        if groups < 2 or not repeated:
            raise AnalysisError(
                f"{groups} groups, {repeated} of them with two rows or more, cannot tell a variance between groups "
                "from one within."
            )
        if not self._residual(prepared):
            raise AnalysisError(f"the covariates give {self.outcome!r} without any error: there is no variance.")
        best, none, rounds = yield from self._best(prepared)
        return self._answer(prepared, best, none, groups, rounds)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, products, and sums over groups."""
        design = Design.told(self.covariates, query.tells)
        known = design.known(records) & np.isfinite(numbers_of(records, self.outcome))
        kept = records.take(known)
        outcome = kept.numbers(self.outcome)
        if query.step in preparing.STEPS:
            return preparing.preparation_sums(query, design, kept, outcome[:, None], int(np.count_nonzero(~known)))
        group, groups = self._groups(kept)
        sizes = np.bincount(group, minlength=groups)
        if query.step == GROUPS:
            return {"groups": np.array(groups), "repeated": np.array(np.count_nonzero(sizes > 1))}
        rows = preparing.standardised(design, query.tells, kept)
        centre = array_of(query.tells, "centre of outcome")[0]
        left = outcome / array_of(query.tells, OUTCOME_SCALES)[0] - centre
        columns = np.concatenate([rows, left[:, None]], axis=1)
        sums = sums_by(group, columns, groups)
        return {"profile": exact_sum(_shares(sums, sizes.astype(np.float64), array_of(query.tells, "ratios")))}

    def _groups(self, kept: Records) -> tuple[NDArray[np.int64], int]:
        """(N,) which group each row is of, and how many there are."""
        if not self.group:
            return np.zeros(len(kept), dtype=np.int64), int(len(kept) > 0)
        own = self.group == PERSON and PERSON not in kept.columns
        names, group = np.unique(kept.persons if own else kept.words(self.group), return_inverse=True)
        return group.astype(np.int64), len(names)

    def _residual(self, prepared: Prepared) -> bool:
        size = len(prepared.names)
        left = _least(prepared.products[:size, :size], prepared.products[:size, size], prepared.products[size, size])
        return bool(left > Fraction(preparing.EXACT_TOLERANCE) * prepared.products[size, size])

    def _best(self, prepared: Prepared) -> Generator[Query, Total, tuple[_Profile, _Profile, int]]:
        """The ratio of least deviance, and no variance between groups at all."""
        size = len(prepared.names) + 1
        constants = prepared.standard_products()

        def profiles(ratios: NDArray[np.float64]) -> Generator[Query, Total, list[_Profile]]:
            part = reals(len(ratios), 2 + size * (size + 1))
            centre = np.array([float(prepared.products[0, size - 1] / prepared.rows)])
            tells = {**prepared.tells(), "ratios": ratios, "centre of outcome": centre}
            total = yield Query({"profile": part}, tells, PROFILE)
            return [
                self._profile(prepared, constants, ratio, row)
                for ratio, row in zip(ratios.tolist(), total.exact("profile"), strict=True)
            ]

        found = yield from profiles(GRID)
        place = int(np.argmin([one.deviance for one in found]))
        low, high = found[max(place - 1, 0)], found[min(place + 1, len(found) - 1)]
        if place == len(found) - 1:
            raise AnalysisError("the variance within groups is too small beside that between them to be told.")
        best, before, rounds = found[place], low, 1
        if place == 0 and best.slope >= 0:
            return best, found[0], rounds
        low, high, before = (best, high, high) if best.slope < 0 else (low, best, low)
        while rounds < MOST_ROUNDS:
            guess = _root(before, best, low, high)
            if abs(guess - best.ratio) <= ENOUGH * best.ratio:
                break
            before = best
            (best,) = yield from profiles(np.array([guess]))
            low, high = (best, high) if best.slope < 0 else (low, best)
            rounds += 1
        return best, found[0], rounds

    def _profile(self, prepared: Prepared, constants: Exact, ratio: float, sums: Exact) -> _Profile:
        size, rows = len(prepared.names), prepared.rows
        width = size + 1
        half = width * (width + 1) // 2
        taken, changes = from_upper(sums[2 : 2 + half], width), from_upper(sums[2 + half :], width)
        whole = constants - taken
        inverted = inverse(whole[:size, :size])
        coefficients = exact_product(inverted, whole[:size, size:])
        left = whole[size, size] - exact_product(coefficients.T, whole[:size, size:])[0, 0]
        degrees = rows - size if self.method == "reml" else rows
        against = np.concatenate([-coefficients[:, 0], [Fraction(1)]])
        falls = exact_product(exact_product(against[None], changes), against[:, None])[0, 0]
        variance = left / degrees
        deviance = degrees * (log(2 * pi) + log(float(variance)) + 1) + float(sums[0])
        slope = float(sums[1]) - float(falls / variance)
        if self.method == "reml":
            deviance += log_determinant(whole[:size, :size])
            slope -= float(np.trace(exact_product(inverted, changes[:size, :size])))
        return _Profile(ratio, deviance, slope, coefficients, inverted, float(variance))

    def _answer(self, prepared: Prepared, best: _Profile, none: _Profile, groups: int, rounds: int) -> Answer:
        scale, size = prepared.outcome_scales[0], len(prepared.names)
        to_raw = prepared.to_raw()
        centred = best.coefficients[:, 0].copy()
        centred[0] += Fraction(float(prepared.products[0, size] / prepared.rows))
        estimates = exact_product(to_raw, centred[:, None])[:, 0].astype(np.float64) * scale
        covariance = exact_product(exact_product(to_raw, best.inverse), to_raw.T).astype(np.float64)
        covariance *= best.variance * scale**2
        coefficients = Coefficients(prepared.names, estimates, covariance, self.confidence)
        within = best.variance * scale**2
        statistic = max(none.deviance - best.deviance, 0.0)
        shift = _of_scales(prepared, self.method)
        numbers: dict[str, Any] = {
            "n": prepared.rows,
            "missing": prepared.missing,
            "groups": groups,
            "method": self.method,
            "coefficients": coefficients.numbers(),
            "covariance": covariance.tolist(),
            "variance_between": best.ratio * within,
            "variance_within": within,
            "correlation_within": best.ratio / (1 + best.ratio),
            "log_likelihood": -best.deviance / 2 - shift,
            "log_likelihood_without": -none.deviance / 2 - shift,
            "likelihood_ratio": statistic,
            "likelihood_ratio_p": float(stats.chi2.sf(statistic, 1)) / 2 if statistic > 0 else 1.0,
            "ratios_asked": rounds - 1 + len(GRID),
        }
        what = {"": "hospital", PERSON: "person"}.get(self.group, self.group)
        title = f"Mixed-effects regression of {self.outcome} ({prepared.rows} rows, an intercept for each {what})"
        words = (*self._words(numbers, what), *most_notable(coefficients, "change of the mean"), *prepared.words())
        tables = (coefficients.table(title), _variances(numbers, what))
        return Answer(numbers, tables, (coefficients.forest(title),), words)

    def _words(self, numbers: Mapping[str, Any], what: str) -> tuple[str, ...]:
        share, p = 100 * numbers["correlation_within"], p_text(numbers["likelihood_ratio_p"])
        said = [f"{share:.1f} % of the variance that is left lies between {what}s ({p})."]
        if not self.group and numbers["ratios_asked"] >= 2 * numbers["groups"]:
            said.append(
                f"Sums at {numbers['ratios_asked']} ratios tell of {numbers['groups']} hospitals: who reads them all "
                "can compute each one's size and column means."
            )
        return tuple(said)


def _shares(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], ratios: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(G, R, 2 + 2 k (k + 1) / 2): of each group and ratio, log(1 + ratio n), its derivative, and the products of its
    column sums times ratio / (1 + ratio n), then times the derivative of that.
    """
    grown = 1 + ratios[None, :] * sizes[:, None]
    products = preparing.upper_of_rows(sums)[:, None, :]
    heads = np.stack([np.log(grown), sizes[:, None] / grown], axis=2)
    return np.concatenate([heads, products * (ratios / grown)[:, :, None], products / (grown**2)[:, :, None]], axis=2)


def _least(products: Exact, right: Exact, square: Fraction) -> Fraction:
    inverted = inverse(products)
    return Fraction(square - exact_product(exact_product(right[None], inverted), right[:, None])[0, 0])


def _root(before: _Profile, best: _Profile, low: _Profile, high: _Profile) -> float:
    """Where the derivative by the ratio's logarithm would vanish were it straight; else between low and high."""
    if low.ratio == 0:
        return high.ratio / 4
    slopes = before.slope * before.ratio, best.slope * best.ratio
    if before.ratio > 0 and slopes[0] != slopes[1]:
        step = slopes[1] * log(best.ratio / before.ratio) / (slopes[1] - slopes[0])
        guess = best.ratio * exp(-min(max(step, -50.0), 50.0))
        if low.ratio <= guess <= high.ratio:
            return guess
    return sqrt(low.ratio * high.ratio)


def _of_scales(prepared: Prepared, method: str) -> float:
    """What the outcome's unit, and with REML the columns', add to the log-likelihood."""
    size, rows = len(prepared.names), prepared.rows
    if method == "ml":
        return rows * log(prepared.outcome_scales[0])
    spreads = prepared.spreads * np.array(prepared.design.column_scales)
    return (rows - size) * log(prepared.outcome_scales[0]) + float(np.sum(np.log(spreads)))


def _variances(numbers: Mapping[str, Any], what: str) -> Table:
    between, within = numbers["variance_between"], numbers["variance_within"]
    rows = ((f"between {what}s", between, sqrt(between)), ("within", within, sqrt(within)))
    note = f"Correlation of two rows of one {what}: {numbers['correlation_within']:.3f}."
    return Table("Variances", ("", "variance", "standard deviation"), rows, note)


analysis: type[Analysis] = Mixed
