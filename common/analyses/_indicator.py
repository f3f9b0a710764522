"""A column that says whether something happened: 0 and 1, or words of which one is the event."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import numbers_of
from common.asking.analysis import Public
from common.asking.records import Records
from common.errors import StudyError

COMPARED = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}
"""By what an event may be told from a number: `event_is = ">0"`. The longer sign is looked for first."""


def demand_event(event_is: str) -> None:
    """Raise StudyError for a comparison without a number."""
    compared = next((sign for sign in COMPARED if event_is.startswith(sign)), None)
    if compared is None:
        return
    try:
        number = float(event_is.removeprefix(compared))
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise StudyError(f"event_is compares with a number, such as '>0'; not {event_is!r}.")


def event_word(column: str, event_is: str, public: Public) -> str:
    """The word that is the event: the one named, or the second of two public levels; "" for a column of 0 and 1."""
    levels = public.levels.get(column, ())
    if event_is or len(levels) != 2 or set(levels) <= {"0", "1"}:
        return event_is
    return levels[1]


def happened(records: Records, column: str, event: str) -> NDArray[np.float64]:
    """(N,) 1 where it did, 0 where not, NaN where it is not known; another number where it is neither."""
    compared = next((sign for sign in COMPARED if event.startswith(sign)), None)
    if compared:
        values = numbers_of(records, column)
        came = COMPARED[compared](values, float(event.removeprefix(compared)))
        return np.where(np.isfinite(values), came.astype(np.float64), np.nan)
    if event:
        words = records.words(column)
        return np.where(words == "", np.nan, (words == event).astype(np.float64))
    if column in records.columns and records.columns[column].dtype != np.float64:
        return _of_digits(records.words(column), column)
    return records.numbers(column)


def _of_digits(words: NDArray[np.str_], column: str) -> NDArray[np.float64]:
    """A study may declare 0 and 1 as the words that a column holds: then 1 is the event all the same."""
    if not np.isin(words, ("0", "1", "")).all():
        raise StudyError(f"column {column!r} holds words: say which one is the event, such as event_is = 'yes'.")
    return np.where(words == "", np.nan, (words == "1").astype(np.float64))
