"""A Parquet file as columns' names and rows of cells: numbers stay numbers, dates become words."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

from common.errors import SourceError

PARQUET_ENDINGS = (".parquet", ".pq")
MOST_CELLS = 20_000_000
MOST_BYTES = 1 << 31

Cell = str | float
"""A word, "" where there is nothing; or a number of a typed column."""


def read_parquet(file: BinaryIO, name: str) -> tuple[list[str], list[tuple[Cell, ...]]]:
    """Raises SourceError where it is no Parquet, unpacks to too much, or a column holds no plain values."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        found = ParquetFile(file)
        about = found.metadata
        unpacked = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        if about.num_rows * about.num_columns > MOST_CELLS or unpacked > MOST_BYTES:
            raise SourceError(f"{name} holds {about.num_rows} rows of {about.num_columns} columns: too many to read.")
        table = found.read()
        columns = [
            _cells(column.to_pylist(), label, name) for label, column in zip(table.column_names, table, strict=True)
        ]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{name} is not a readable Parquet table.") from error
    return list(table.column_names), list(zip(*columns, strict=True))


def _cells(values: list[Any], column: str, name: str) -> list[Cell]:
    if any(isinstance(value, (list, dict, bytes)) for value in values):
        raise SourceError(
            f"column {column!r} of {name} holds lists, tables or bytes: a cell must be a word or a number."
        )
    return [_cell(value) for value in values]


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (bool, int, float)):
        return "" if isinstance(value, float) and math.isnan(value) else value
    return str(value)
