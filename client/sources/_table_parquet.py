"""A Parquet file as columns' names and rows of cells: numbers stay numbers, dates become words.

What a file says of its size is its writer's word, and a value that a million rows share is in it once: columns of
words are kept as such until it is known how much they unpack to.
"""

from __future__ import annotations

import math
from typing import Any, BinaryIO

from common.errors import SourceError
from common.extras import needed_by

PARQUET_ENDINGS = (".parquet", ".pq")
MOST_CELLS = 20_000_000
MOST_BYTES = 1 << 31
LONGEST_WORD_BYTES = 1 << 19
"""As long a cell as text tables may have."""

Cell = str | float
"""A word, "" where there is nothing; or a number of a typed column."""


def read_parquet(file: BinaryIO, name: str) -> tuple[list[str], list[tuple[Cell, ...]]]:
    """Raises SourceError where it is no Parquet, unpacks to too much, or a column holds no plain values."""
    with needed_by("a Parquet table"):
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

    try:
        found = ParquetFile(file)
        about, schema = found.metadata, found.schema_arrow
        unpacked = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        if about.num_rows * len(schema) > MOST_CELLS or unpacked > MOST_BYTES:
            raise SourceError(f"{name} holds {about.num_rows} rows of {len(schema)} columns: too many to read.")
        words = [field.name for field in schema if _is_plain(field, name) and _is_word(field.type)]
        table = ParquetFile(file, read_dictionary=words).read()
        _demand_room(table, name)
        columns = [_cells(column.to_pylist()) for column in table]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{name} is not a readable Parquet table.") from error
    return list(table.column_names), list(zip(*columns, strict=True))


def _is_plain(field: Any, name: str) -> bool:
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    plain = (types.is_primitive, types.is_null, types.is_decimal, _is_word)
    if not any(is_kind(kind) for is_kind in plain):
        raise SourceError(
            f"column {field.name!r} of {name} holds lists, tables or bytes: a cell must be a word or a number."
        )
    return True


def _is_word(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _demand_room(table: Any, name: str) -> None:
    """Raise SourceError where the words of all rows, each written out, are too many, or one is too long."""
    import pyarrow.compute as pc
    from pyarrow import types

    total = 0
    for chunk in (chunk for column in table for chunk in column.chunks):
        if not (types.is_dictionary(chunk.type) and _is_word(chunk.type.value_type)):
            continue
        lengths = pc.binary_length(chunk.dictionary)
        total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
        if total > MOST_BYTES or (pc.max(lengths).as_py() or 0) > LONGEST_WORD_BYTES:
            raise SourceError(f"{name} unpacks to too much: a word of it, or all of them, are too long to read.")


def _cells(values: list[Any]) -> list[Cell]:
    return [_cell(value) for value in values]


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (bool, int, float)):
        return "" if isinstance(value, float) and math.isnan(value) else value
    return str(value)
