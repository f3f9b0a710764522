"""Checks whose call is their message: `positive("training", learning_rate=0.1)`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from common.errors import StudyError
from common.spelling import unknown


def positive(where: str, **values: float | None) -> None:
    """Raise StudyError unless every value is None or a finite number above zero."""
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise StudyError(f"{where}.{name} must be above zero; it is {value!r}.")


def non_negative(where: str, **values: float | None) -> None:
    """Raise StudyError unless every value is None or a finite number of at least zero."""
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise StudyError(f"{where}.{name} must be zero or more; it is {value!r}.")


def between(where: str, low: float, high: float, **values: float) -> None:
    """Raise StudyError unless every value lies in [low, high]."""
    for name, value in values.items():
        if not low <= value <= high:
            raise StudyError(f"{where}.{name} must lie between {low} and {high}; it is {value!r}.")


def one_of(where: str, choices: Iterable[str], **values: str) -> None:
    """Raise UnknownNameError, naming the nearest choice, unless every value is one of the choices."""
    known = list(choices)
    for name, value in values.items():
        if value not in known:
            raise unknown(f"{where}.{name}", value, known)
