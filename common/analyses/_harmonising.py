"""What a hospital does by itself to harmonise its features: location and scale of each scanner, by empirical Bayes.

Johnson, Li and Rabinovic 2007, "Adjusting batch effects in microarray expression data using empirical Bayes methods",
section 3; the priors are taken over the features of one scanner, so that no other hospital is needed for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import Design, array_of
from common.analyses._group_sums import means_by, sums_by
from common.analyses._preparation import linear_predictor, standardised
from common.asking.analysis import Told
from common.asking.records import Records

MOST_STEPS, ENOUGH = 1000, 1e-12
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Standard:
    """features as all hospitals have them together. centres, spreads: (F,). slopes: (p - 1, F) of the covariates."""

    centres: Values
    spreads: Values
    slopes: Values

    @classmethod
    def told(cls, tells: Mapping[str, Told]) -> Standard:
        """As a hospital hears of it."""
        centres = array_of(tells, "centres of features")
        return cls(
            centres, array_of(tells, "spreads of features"), array_of(tells, "slopes").reshape(-1, len(centres))
        )

    def tells(self) -> dict[str, Told]:
        """What a hospital must know to harmonise."""
        return {
            "centres of features": self.centres,
            "spreads of features": self.spreads,
            "slopes": self.slopes.ravel(),
        }

    def expected(self, rows: Values) -> Values:
        """(N, F) by the covariates alone. rows: (N, p) standardised, the intercept first."""
        terms = [linear_predictor(rows[:, 1:], slopes) for slopes in self.slopes.T]
        return np.asarray(self.centres + np.stack(terms, axis=1))


@dataclass(frozen=True)
class Corrections:
    """(G, F) of each scanner: what is subtracted from standardised features, and by which spread they are divided."""

    shifts: Values
    scales: Values


def scanner_of(records: Records, scanner: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(N,) which scanner each row is of, and their names: the hospital is one where no column says otherwise."""
    if not scanner:
        return np.zeros(len(records), dtype=np.int64), (records.site,) if len(records) else ()
    names, places = np.unique(records.words(scanner), return_inverse=True)
    return places.astype(np.int64), tuple(names.tolist())


def corrections(values: Values, groups: NDArray[np.int64], size: int, empirical_bayes: bool) -> Corrections:
    """Of (N, F) standardised features of scanners with 2 rows or more each."""
    shifts = means_by(groups, values, size)
    counted = np.bincount(groups, minlength=size).astype(np.float64)
    squares = sums_by(groups, (values - shifts[groups]) ** 2, size)
    variances = squares / (counted[:, None] - 1)
    if not size or not empirical_bayes or values.shape[1] < 2:
        return Corrections(shifts, np.sqrt(variances))
    found = [_posterior(shifts[g], variances[g], squares[g], counted[g]) for g in range(size)]
    return Corrections(np.stack([one for one, _ in found]), np.sqrt(np.stack([one for _, one in found])))


def harmonised(
    values: Values, expected: Values, standard: Standard, groups: NDArray[np.int64], found: Corrections
) -> Values:
    """(N, F) features as they would be from a scanner like all others. values: as written."""
    standing = (values - expected) / standard.spreads
    scales = np.where(found.scales > 0, found.scales, 1)[groups]
    return np.asarray((standing - found.shifts[groups]) / scales * standard.spreads + expected)


def standard_rows(records: Records, design: Design, tells: Mapping[str, Told], standard: Standard) -> Values:
    """(N, F) what the covariates let expect."""
    return standard.expected(standardised(design, tells, records))


def _posterior(shifts: Values, variances: Values, squares: Values, rows: float) -> tuple[Values, Values]:
    """Equations (3.1): shifts have a normal prior, variances an inverse gamma one, by the moments of features."""
    mean, spread = shifts.mean(), shifts.var(ddof=1)
    middle, wide = variances.mean(), variances.var(ddof=1)
    if wide <= 0:
        return (rows * spread * shifts + middle * mean) / (rows * spread + middle), variances
    shape, rate = (2 * wide + middle**2) / wide, (middle * wide + middle**3) / wide
    shift, variance = shifts, variances
    for _ in range(MOST_STEPS):
        following = (rows * spread * shifts + variance * mean) / (rows * spread + variance)
        left = squares + rows * (shifts - following) ** 2
        wider = (left / 2 + rate) / (rows / 2 + shape - 1)
        moved = max(np.max(np.abs(following - shift)), np.max(np.abs(wider - variance) / wider))
        shift, variance = following, wider
        if moved <= ENOUGH:
            break
    return shift, variance
