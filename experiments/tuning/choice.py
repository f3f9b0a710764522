"""The candidate with the best validation score; or the simplest of those that are within a standard error of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import StudyError
from common.metrics.intervals import NORMAL_95
from common.study.stopping import LOWER_IS_BETTER


@dataclass(frozen=True)
class Score:
    """Of all hospitals' validation patients together. low, high: its 95 % interval, where it is known."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def standard_error(self) -> float | None:
        """What half the interval is of the normal's quantile; None where there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / (2 * NORMAL_95)


def is_lower_better(name: str) -> bool:
    """Whether less of this score is better."""
    return name.startswith(LOWER_IS_BETTER)


def choose(scores: Sequence[Score], lower: bool, one_standard_error: bool = False) -> int:
    """The place of the chosen one; of equals the first.

    one_standard_error: the last listed of those that are not worse than the best by more than its standard error
    (Breiman et al. 1984, Classification and regression trees, section 3.4.3): list the values so that the simplest
    model is last. Raises StudyError where no candidate has a score, or the best has no interval.
    """
    known = [(place, one.value) for place, one in enumerate(scores) if one.value is not None]
    if not known:
        raise StudyError("no candidate has a validation score: give the study split.validation, such as 0.2.")
    sign = -1.0 if lower else 1.0
    best, value = max(known, key=lambda pair: sign * pair[1])
    if not one_standard_error:
        return best
    error = scores[best].standard_error
    if error is None:
        raise StudyError("the rule of one standard error needs the interval of the best score, and it has none.")
    return max(place for place, one in known if sign * (value - one) <= error)
