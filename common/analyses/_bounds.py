"""Public bounds of a column: what a private answer of it needs, and what is done to values beyond them."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from common.asking.records import Records
from common.errors import StudyError


def bounds_of(analysis: str, low: float | None, high: float | None) -> tuple[float, float]:
    """Raise StudyError where there are none, or none between which anything lies."""
    if low is None or high is None:
        raise StudyError(
            f"analysis {analysis!r} needs low and high: between which a value can be, known without looking at any."
        )
    if not (isfinite(low) and isfinite(high) and low < high and isfinite(high - low)):
        raise StudyError(f"analysis {analysis!r} needs low < high, both finite; they are {low!r} and {high!r}.")
    return float(low), float(high)


def clamped(records: Records, column: str, low: float, high: float) -> NDArray[np.float64]:
    """The known values, those beyond a bound moved to it."""
    values = records.numbers(column)
    return np.clip(values[~np.isnan(values)], low, high)


def missing(records: Records, column: str) -> int:
    """In how many rows it is not known."""
    return int(np.isnan(records.numbers(column)).sum())
