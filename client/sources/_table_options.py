"""What a study's options of a table may hold, checked before any table is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from client.sources._table_columns import Scale
from common.errors import StudyError
from common.study.options import build


def words_of(option: str, given: Mapping[str, Any], least: int = 1) -> dict[str, tuple[str, ...]]:
    """`{ sex = ["f", "m"] }` as tuples of words. Numbers may stand for words. Raises StudyError."""
    found = {}
    for column, values in _columns(option, given).items():
        listed = list(values) if isinstance(values, (list, tuple)) else None
        if listed is None or len(listed) < least or not all(isinstance(one, (str, int, float)) for one in listed):
            raise StudyError(
                f"source.{option}.{column} must be a list of at least {least} words, such as "
                f'{option} = {{ {column} = ["a", "b"] }}; it is {values!r}.'
            )
        words = tuple(_word(one) for one in listed)
        if len(set(words)) < len(words):
            raise StudyError(f"source.{option}.{column} names a word twice: {list(words)}.")
        found[column] = words
    return found


def numbers_of(option: str, given: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """`{ temperature = [-9] }` as tuples of numbers. Raises StudyError."""
    found = {}
    for column, values in _columns(option, given).items():
        listed = list(values) if isinstance(values, (list, tuple)) else [values]
        found[column] = tuple(_number(f"{option}.{column}", one) for one in listed)
    return found


def constants_of(option: str, given: Mapping[str, Any]) -> dict[str, float]:
    """`{ age = 60 }` as numbers. Raises StudyError."""
    return {column: _number(f"{option}.{column}", value) for column, value in _columns(option, given).items()}


def scales_of(given: Any) -> dict[str, Scale]:
    """`{ age = { center = 60, spread = 12 } }` as scales; none of "none" and "hospital". Raises StudyError."""
    if isinstance(given, str):
        return {}
    found = {}
    for column, table in _columns("scaling", given).items():
        if not isinstance(table, Mapping):
            raise StudyError(
                f"source.scaling.{column} must be a table such as {{ center = 60, spread = 12 }} or "
                f"{{ low = 0, high = 100 }}; it is {table!r}."
            )
        found[column] = build(Scale, table, f"source.scaling.{column}")
    return found


def units_of(given: Mapping[str, Any]) -> dict[str, str]:
    """`{ weight = "kg" }`. Raises StudyError."""
    for column, unit in _columns("units", given).items():
        if not isinstance(unit, str) or not unit.strip():
            raise StudyError(f"source.units.{column} must be a word such as 'kg'; it is {unit!r}.")
    return {column: str(unit).strip() for column, unit in given.items()}


def _columns(option: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise StudyError(f"source.{option} must be a table of columns; it is {given!r}.")
    return given


def _word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise StudyError(f"source.{where} must be a number; it is {value!r}.")
    return float(value)
