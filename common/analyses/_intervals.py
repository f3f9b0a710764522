"""Intervals of shares."""

from __future__ import annotations

from math import sqrt

from scipy import stats

from common.analyses._moments import LEVEL


def wilson(count: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    centre = (count + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(count * (n - count) / n + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)
