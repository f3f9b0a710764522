"""Columns that only questions read: what a study's option `asked` says each holds, and their cells as that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from client.sources._persons import NOBODY
from client.sources._table_columns import matching
from client.sources._table_layout import seems_to_name_persons
from client.sources._table_numbers import Convention, doubtful
from common.asking.records import Values
from common.data.names import in_one_form
from common.errors import StudyError
from common.study.spelling import unknown

NUMBER: Literal["number"] = "number"
WORDS: Literal["words"] = "words"
Kind = tuple[str, ...] | Literal["number", "words"]
"""What a column holds: numbers, any words, or one of these words, all of them public."""
EXAMPLE = 'asked = { age = "number", ward = "words", sex = ["f", "m"] }'


def asked_columns(given: Mapping[str, Any]) -> dict[str, Kind]:
    """The option's columns, in one form, and what each holds. Raises StudyError.

    A column that is called as those are that name persons is refused: no question may read whose a row is.
    """
    found: dict[str, Kind] = {}
    for column, kind in given.items():
        if seems_to_name_persons(column):
            raise StudyError(
                f"source.asked names the column {column!r}, which seems to name persons: no question may read it. "
                "Call it otherwise if it does not."
            )
        found[in_one_form(column)] = _kind(column, kind)
    return found


def levels_of(kinds: Mapping[str, Kind]) -> dict[str, tuple[str, ...]]:
    """The words of the columns that hold only some."""
    return {column: kind for column, kind in kinds.items() if isinstance(kind, tuple)}


def typed(words: Iterable[str], kind: Kind) -> Values:
    """A column's cells as written, as what it holds; a cell that is nothing of the kind is missing."""
    cells = [in_one_form(word) for word in words]
    if kind == NUMBER:
        return np.array([_number(cell) for cell in cells], dtype=np.float64)
    if kind == WORDS:
        return _words("" if cell.casefold() in NOBODY else cell for cell in cells)
    return _words(level_of(cell, kind) for cell in cells)


def numbers_of(cells: Iterable[Any], read: Callable[[Any], float]) -> NDArray[np.float64]:
    """float64; NaN where `read` raises ValueError."""
    found = []
    for cell in cells:
        try:
            found.append(read(cell))
        except ValueError:
            found.append(np.nan)
    return np.array(found, dtype=np.float64)


def level_of(cell: Any, levels: Sequence[str]) -> str:
    """The level that a cell is, as the study writes it; "" for none of them."""
    found = matching(cell, levels)
    return "" if found is None else levels[found]


def _words(found: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(found), dtype=np.str_)


def _kind(column: str, kind: Any) -> Kind:
    if isinstance(kind, str):
        if kind not in (NUMBER, WORDS):
            raise unknown(f"kind of column {column!r} in source.asked", kind, (NUMBER, WORDS))
        return cast(Kind, kind)
    if not isinstance(kind, list | tuple) or len(kind) < 2 or not all(isinstance(one, str | int) for one in kind):
        raise StudyError(
            f"source.asked.{column} must be 'number', 'words' or a list of two words or more: {EXAMPLE}; "
            f"it is {kind!r}."
        )
    levels = tuple(in_one_form(str(one)) for one in kind)
    if len(set(levels)) < len(levels) or "" in levels:
        raise StudyError(f"source.asked.{column} must name different words; it is {list(levels)}.")
    return levels


def _number(cell: str) -> float:
    """By the mark that it is written with; NaN for what is no number, or one that can be read in two ways."""
    if cell.casefold() in NOBODY:
        return np.nan
    comma = "," in cell and "." not in cell and not doubtful(cell)
    value = Convention("," if comma else ".").number(cell)
    return np.nan if value is None else value
