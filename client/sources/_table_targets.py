"""What a row of a table says is to be learned: a class, a number, or a time and whether it ended in an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from client.sources._table_columns import Reading, UnusableError, matching, text_of
from client.sources._table_parquet import Cell
from common.data.columns import Values

NO_EVENT = ("0", "false", "no", "alive", "censored")
EVENT = ("1", "true", "yes", "dead", "event")


class Target(Protocol):
    """How what is to be learned is read from a row."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in the table."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes; () of numbers."""
        ...

    def value(self, row: Mapping[str, Cell], reading: Reading) -> tuple[float, ...]:
        """Of one row. Raises UnusableError."""
        ...

    def array(self, values: Sequence[tuple[float, ...]]) -> Values:
        """The values of all rows as a column of cases."""
        ...


@dataclass(frozen=True)
class Class:
    """(N,) int64 indices of classes."""

    column: str
    classes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The label's."""
        return (self.column,)

    def value(self, row: Mapping[str, Cell], reading: Reading) -> tuple[float, ...]:
        """The class of a row."""
        cell = row[self.column]
        found = matching(cell, self.classes)
        if found is not None:
            return (float(found),)
        if reading.is_missing(cell, self.column):
            raise UnusableError(f"column {self.column!r} names no class")
        raise UnusableError(
            f"column {self.column!r} holds {text_of(cell)[:40]!r}, no class of source.classes: "
            f"{', '.join(self.classes[:20])}"
        )

    def array(self, values: Sequence[tuple[float, ...]]) -> Values:
        """(N,) int64."""
        return np.array(values, dtype=np.int64).reshape(-1)


@dataclass(frozen=True)
class Quantity:
    """(N,) float32 numbers, as the table has them."""

    column: str
    classes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The label's."""
        return (self.column,)

    def value(self, row: Mapping[str, Cell], reading: Reading) -> tuple[float, ...]:
        """The number of a row."""
        if reading.is_missing(row[self.column], self.column):
            raise UnusableError(f"column {self.column!r} has no value")
        return (reading.number(row[self.column], self.column),)

    def array(self, values: Sequence[tuple[float, ...]]) -> Values:
        """(N,) float32."""
        return np.array(values, dtype=np.float32).reshape(-1)


@dataclass(frozen=True)
class Survival:
    """(N, 2) float32: the time a person was observed, and 1 where it ended in the event, 0 where it was censored.

    words: how a table writes 0 and 1; () takes these, false and true, no and yes, alive and dead, censored and event.
    """

    time: str
    event: str
    words: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The time's and the event's."""
        return self.time, self.event

    def value(self, row: Mapping[str, Cell], reading: Reading) -> tuple[float, ...]:
        """Time and event of a row."""
        if reading.is_missing(row[self.time], self.time):
            raise UnusableError(f"column {self.time!r} has no value")
        time = reading.number(row[self.time], self.time)
        if time < 0:
            raise UnusableError(f"column {self.time!r} holds {time:g}: a time under observation is 0 or more")
        return time, self.event_of(row[self.event])

    def event_of(self, cell: Cell) -> float:
        """1 for the event, 0 for none. Raises UnusableError."""
        never, ever = (self.words[:1], self.words[1:]) if self.words else (NO_EVENT, EVENT)
        for value, words in ((0.0, never), (1.0, ever)):
            if matching(cell, words) is not None:
                return value
        raise UnusableError(
            f"column {self.event!r} holds {text_of(cell)[:40]!r}: write 0 where nothing happened and 1 for the "
            "event, or name the two words in source.events"
        )

    def array(self, values: Sequence[tuple[float, ...]]) -> Values:
        """(N, 2) float32."""
        return np.array(values, dtype=np.float32).reshape(-1, 2)
