"""What keeps a whole table from being used, told by column: all of them at once, each with the line that mends it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from client.sources._table_columns import Feature, Number, Reading, UnusableError, text_of
from client.sources._table_parquet import Cell

MOST_LEVELS = 8
LONGEST_WORD = 40


def faults_by_column(rows: Sequence[tuple[Sequence[Cell], Reading]], features: Sequence[Feature]) -> list[str]:
    """One sentence for each feature that some row cannot be used for, what spoils most rows first.

    rows: the cells of every row in the order of `features`, and how they are read.
    """
    found = []
    for place, feature in enumerate(features):
        failed: list[tuple[Cell, str]] = []
        for cells, reading in rows:
            try:
                feature.values(cells[place], reading)
            except UnusableError as error:
                failed.append((cells[place], str(error)))
        if failed:
            column = [cells[place] for cells, _ in rows]
            found.append((len(failed), f"{_in_rows(len(failed), len(rows))} {_told(feature, column, failed)}"))
    return [text for _, text in sorted(found, key=lambda one: -one[0])]


def _in_rows(failed: int, rows: int) -> str:
    return "in every row" if failed == rows else f"in {failed} of {rows} rows"


def _told(feature: Feature, column: Sequence[Cell], failed: Sequence[tuple[Cell, str]]) -> str:
    words = sorted({text_of(cell)[:LONGEST_WORD] for cell in column if cell != ""})
    if not isinstance(feature, Number) or len(failed) < len(column) or failed[0][0] == "":
        return failed[0][1]
    if len(words) <= MOST_LEVELS:
        levels = json.dumps(words, ensure_ascii=False)
        return f"column {feature.column!r} holds words: write source.categorical.{key_of(feature.column)} = {levels}"
    if len(words) == len(column):
        ignored = json.dumps([feature.column], ensure_ascii=False)
        return f"column {feature.column!r} holds another word, such as {words[0]!r}: write source.ignore = {ignored}"
    return failed[0][1]


def key_of(column: str) -> str:
    """A column's name as a key of TOML, in quotes where it needs them."""
    bare = column.isascii() and column.replace("_", "").replace("-", "").isalnum()
    return column if bare else json.dumps(column, ensure_ascii=False)
