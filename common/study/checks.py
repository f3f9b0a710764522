"""Checks whose call is their message: `positive("training", learning_rate=0.1)`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from common.errors import StudyError
from common.study.spelling import unknown

WIDEST, DEEPEST = 1 << 20, 24
"""Channels of one layer of a network; levels, each of which halves its image."""


def positive(where: str, **values: float | None) -> None:
    """Raise StudyError unless every value is None or a finite number above zero."""
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise StudyError(f"{where}.{name} must be above zero; it is {value!r}.")


def sized(where: str, most: int, **values: int) -> None:
    """Raise StudyError unless every value is above zero and at most `most`: more is never built."""
    positive(where, **values)
    for name, value in values.items():
        if value > most:
            raise StudyError(f"{where}.{name} must be at most {most}; it is {value!r}.")


def non_negative(where: str, **values: float | None) -> None:
    """Raise StudyError unless every value is None or a finite number of at least zero."""
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise StudyError(f"{where}.{name} must be zero or more; it is {value!r}.")


def probability(where: str, **values: float | None) -> None:
    """Raise StudyError unless every value is None, or above zero and below one."""
    for name, value in values.items():
        if value is not None and not 0 < value < 1:
            raise StudyError(f"{where}.{name} must be above zero and below one; it is {value!r}.")


def between(where: str, low: float, high: float, **values: float) -> None:
    """Raise StudyError unless every value lies in [low, high]."""
    for name, value in values.items():
        if not low <= value <= high:
            raise StudyError(f"{where}.{name} must lie between {low} and {high}; it is {value!r}.")


def listed(where: str, least: int = 1, most: int | None = None, **lists: Sequence[object] | None) -> None:
    """Raise StudyError unless every list is None or has `least` to `most` entries, none of them twice or blank."""
    for name, values in lists.items():
        if values is None:
            continue
        _demand_length(f"{where}.{name}", values, least, most)
        twice = [value for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise StudyError(f"{where}.{name} lists {twice[0]!r} more than once.")
        if any(isinstance(value, str) and not value.strip() for value in values):
            raise StudyError(f"{where}.{name} lists a blank word.")


def each(where: str, low: int, high: int, least: int = 1, most: int | None = None, **lists: Sequence[int]) -> None:
    """Raise StudyError unless every list has `least` to `most` numbers from `low` to `high`; one may come twice."""
    for name, values in lists.items():
        _demand_length(f"{where}.{name}", values, least, most)
        for index, value in enumerate(values):
            between(where, low, high, **{f"{name}[{index}]": value})


def _demand_length(place: str, values: Sequence[object], least: int, most: int | None) -> None:
    if len(values) < least or (most is not None and len(values) > most):
        many = f"{least} or more" if most is None else f"{least} to {most}" if least != most else f"{least}"
        raise StudyError(f"{place} must list {many}; it lists {len(values)}: {list(values)!r}.")


def one_of(where: str, choices: Iterable[str], **values: str) -> None:
    """Raise UnknownNameError, naming the nearest choice, unless every value is one of the choices."""
    known = list(choices)
    for name, value in values.items():
        if value not in known:
            raise unknown(f"{where}.{name}", value, known)
