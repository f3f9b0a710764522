"""A column that says whether something happened: 0 and 1, or words of which one is the event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Public
from common.asking.records import Records
from common.errors import StudyError


def event_word(column: str, event_is: str, public: Public) -> str:
    """The word that is the event: the one named, or the second of two public levels; "" for a column of 0 and 1."""
    levels = public.levels.get(column, ())
    if event_is or len(levels) != 2 or set(levels) <= {"0", "1"}:
        return event_is
    return levels[1]


def happened(records: Records, column: str, event: str) -> NDArray[np.float64]:
    """(N,) 1 where it did, 0 where not, NaN where it is not known; another number where it is neither."""
    if event:
        words = records.words(column)
        return np.where(words == "", np.nan, (words == event).astype(np.float64))
    if column in records.columns and records.columns[column].dtype != np.float64:
        raise StudyError(f"column {column!r} holds words: say which one is the event, such as event_is = 'yes'.")
    return records.numbers(column)
