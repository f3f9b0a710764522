"""New rows of tables without a target, read cell by cell as in training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from client.new_cases import Learned, NewCase, columns_digest
from client.sources._persons import PERSON_COLUMNS
from client.sources._table_cases import convention_cells, inputs_of
from client.sources._table_columns import Feature, Number, Reading, UnusableError, text_of
from client.sources._table_files import Row, Rows
from client.sources._table_layout import refuse_absent
from client.sources._table_numbers import found_convention
from common.data.cases import Quarantined
from common.errors import SourceError


@dataclass(frozen=True)
class NewRows:
    """features: what is read of every row. finds_marks: whether the file's numbers show how they are written.

    person: the column that names whose a row is, as far as a table has it; "" for one of the usual names.
    """

    features: tuple[Feature, ...]
    reading: Reading
    finds_marks: bool
    person: str

    def case(self, name: str, rows: Rows, learned: Learned) -> NewCase:
        """All rows that can be used as one case of many parts. Raises SourceError where columns are not there."""
        refuse_absent([one.column for one in self.features], rows.columns, rows.name)
        demand_learned(self.features, learned)
        reading = self._reading_of(rows) if self.finds_marks and rows.delimiter else self.reading
        inputs: list[tuple[float, ...]] = []
        parts: list[str] = []
        left_out = [_of_other_length(row, rows) for row in rows.broken]
        places = {one.column: rows.place(one.column) for one in self.features}
        for row in rows.rows:
            try:
                cells = {column: row.cells[place] for column, place in places.items()}
                inputs.append(inputs_of(cells, self.features, reading))
                parts.append(self._part(row, rows))
            except UnusableError as error:
                left_out.append(Quarantined(f"{rows.name} line {row.line}", str(error)))
        if not inputs:
            reason = f". {left_out[0].name}: {left_out[0].reason}" if left_out else ""
            raise SourceError(f"has no row that can be used{reason}")
        width = learned.shape.inputs[0]
        if len(inputs[0]) != width:
            raise SourceError(f"makes {len(inputs[0])} inputs of a row, and the network learned on {width}")
        return NewCase(name, np.array(inputs, np.float32), tuple(parts), left_out=tuple(left_out))

    def _reading_of(self, rows: Rows) -> Reading:
        numeric = [one.column for one in self.features if isinstance(one, Number)]
        cells = convention_cells(rows, numeric, self.reading)
        return replace(self.reading, convention=found_convention(cells, rows.delimiter, rows.name))

    def _part(self, row: Row, rows: Rows) -> str:
        columns = [self.person] if self.person else [one for one in rows.columns if one.casefold() in PERSON_COLUMNS]
        named = [text_of(row.cells[rows.place(one)]) for one in columns if one in rows.columns]
        return " ".join(filter(None, (f"line {row.line}", *named)))


def found_learned(rows: Rows, used: Collection[str], learned: Learned) -> tuple[str, ...]:
    """Which columns a study learned from that does not name them: all but those with another use, if they are those.

    The run keeps a digest of their names; it must be of these. Raises SourceError.
    """
    usual = {one for one in rows.columns if one.casefold() in PERSON_COLUMNS}
    names = tuple(sorted(one for one in rows.columns if one and one not in {*used, *usual}))
    if not learned.columns:
        raise SourceError(
            "cannot be read as in training: the study does not name its columns (source.features), and the run does "
            "not say which they were"
        )
    return names


def demand_learned(features: Sequence[Feature], learned: Learned) -> None:
    """Raise SourceError unless the inputs' names are those that were learned on, as far as that is known."""
    names = tuple(one for feature in features for one in feature.names)
    if learned.columns and columns_digest(names) != learned.columns:
        raise SourceError(
            f"has other columns than the network learned on ({len(names)} inputs: {', '.join(names[:8])}"
            f"{', ...' * (len(names) > 8)}): leave out columns that the study's tables had not, and spell all others "
            "as they are spelled there. Where a study names them (source.features), a table may have more"
        )


def _of_other_length(row: Row, rows: Rows) -> Quarantined:
    return Quarantined(
        f"{rows.name} line {row.line}", f"it has {len(row.cells)} cells, and the header {len(rows.columns)}"
    )
