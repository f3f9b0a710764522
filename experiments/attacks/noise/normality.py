"""How odd would these numbers be, were they independent draws of a standard normal distribution?

Every function returns a chance under that claim, exact but for float64: by the chi-squared, beta and Kolmogorov's own
distributions, and by a union bound where a largest value is asked for. Matrices are (N, P): a row a sum, a column a
coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.noisy_sums import Floats

MOST_VECTORS = 1500
"""Of which all pairs are compared."""
MOST_DRAWS = 100_000
"""Whose shape is compared with the normal one's."""
LEAST_LENGTH = 4
POWER = 0.9


def of_size(noise: Floats) -> float:
    """Two-sided: the sum of squares is chi-squared."""
    from scipy.stats import chi2

    total = float((noise**2).sum())
    return _two_sided(float(chi2.cdf(total, noise.size)), float(chi2.sf(total, noise.size)))


def of_size_by_part(noise: Floats, parts: Sequence[slice]) -> float:
    """The oddest part of the coordinates, times the number of parts."""
    return _least([of_size(noise[:, part]) for part in parts])


def of_shape(noise: Floats) -> float:
    """Kolmogorov and Smirnov's distance from the normal distribution."""
    from scipy.stats import kstest

    return float(kstest(noise.reshape(-1)[:MOST_DRAWS], "norm").pvalue)


def of_constant_part(noise: Floats) -> float:
    """The rows' sum over the root of their number is normal again, unless something is the same in all of them."""
    return of_size(noise.sum(axis=0, keepdims=True) / np.sqrt(len(noise)))


def of_common_part(noise: Floats) -> float:
    """The same along a row, for what is the same in every coordinate."""
    return of_constant_part(noise.T)


def of_largest_similarity(rows: Floats) -> float:
    """The likest pair of rows: the cosine of two independent ones, squared, is Beta(1/2, (P - 1) / 2)."""
    from scipy.stats import beta

    chosen = rows[:MOST_VECTORS]
    lengths = np.linalg.norm(chosen, axis=1)
    chosen, length = chosen[lengths > 0], rows.shape[1]
    if len(chosen) < 2 or length < LEAST_LENGTH:
        return 1.0
    unit = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    cosines = unit @ unit.T
    largest = float(np.abs(cosines[np.triu_indices(len(unit), 1)]).max())
    pairs = len(unit) * (len(unit) - 1) / 2
    return min(1.0, pairs * float(beta.sf(min(largest**2, 1.0), 0.5, (length - 1) / 2)))


def of_share_of(noise: Floats, sums: Floats) -> float:
    """Two-sided: along the sums that they are on, in deviations too, independent draws are normal."""
    from scipy.stats import norm

    length = float(np.sqrt((sums**2).sum()))
    if not length:
        return 1.0
    return 2 * float(norm.sf(abs(float((noise * sums).sum())) / length))


def resolved(values: int, level: float) -> float:
    """By what share a deviation must be too small for `of_size` to find it in nine of ten cases, at that level."""
    from scipy.stats import chi2

    low = chi2.ppf(level / 2, values)
    return float(1 - np.sqrt(low / chi2.ppf(POWER, values)))


def _two_sided(below: float, above: float) -> float:
    return min(1.0, 2 * min(below, above))


def _least(chances: Sequence[float]) -> float:
    return min(1.0, len(chances) * min(chances)) if chances else 1.0
