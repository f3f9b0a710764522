"""Columns: the values of one name of many cases, in memory or in a mapped file, gathered when a batch needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from mmap import MADV_DONTNEED, mmap
from typing import Any, ClassVar, Protocol
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Rows = NDArray[np.integer]

RELEASE_AFTER_BYTES = 1 << 26
"""Of mapped files' pages at most about so many stay with the process; the system keeps others where it has room."""


@dataclass(eq=False)
class MappedFile:
    """A file of values of many cases, mapped. What was read of it is let go from time to time."""

    pages: mmap

    def __post_init__(self) -> None:
        _Resident.files.add(self)

    def note_read(self, size_bytes: int) -> None:
        """Say that so much was read; before all files' pages grow too many, they are given back, and stay on disk."""
        _Resident.size_bytes += size_bytes
        if _Resident.size_bytes > RELEASE_AFTER_BYTES:
            for file in list(_Resident.files):
                file.pages.madvise(MADV_DONTNEED)
            _Resident.size_bytes = 0


class _Resident:
    """What this process has read of mapped files since their pages were last given back."""

    files: ClassVar[WeakSet[MappedFile]] = WeakSet()
    size_bytes: ClassVar[int] = 0


class Column(Protocol):
    """N values, one a case."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of all values."""
        ...

    @property
    def item(self) -> tuple[int, ...]:
        """The shape of one case's value, 0 along every axis where cases differ."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> Column:
        """The column of these rows, in that order. Values that are large are not copied."""
        ...

    def gather(self, rows: Rows | slice = slice(None)) -> Values | tuple[Values, ...]:
        """Values of these rows: one array (n, *item), or one array a case where their shapes differ."""
        ...


@dataclass(frozen=True)
class Stacked:
    """Values of one shape: `values`, or those of its `rows`. file: what holds them, where that is not memory."""

    values: Values = field(repr=False)
    rows: Rows | None = field(default=None, repr=False)
    file: MappedFile | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """See Column."""
        return self.values.dtype

    @property
    def item(self) -> tuple[int, ...]:
        """See Column."""
        return tuple(self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def take(self, rows: Rows) -> Column:
        """See Column. Single numbers and words are copied, so that a part does not keep the whole."""
        if self.values.ndim == 1 and self.file is None:
            return Stacked(self.values[rows])
        return Stacked(self.values, rows if self.rows is None else self.rows[rows], self.file)

    def gather(self, rows: Rows | slice = slice(None)) -> Values:
        """See Column. A slice of all rows of what is in memory is a view; anything else is a copy."""
        found = self.values[rows if self.rows is None else self.rows[rows]]
        if self.file is None:
            return found
        self.file.note_read(found.nbytes)
        return np.array(found) if isinstance(rows, slice) else found


@dataclass(frozen=True)
class Ragged:
    """Values whose shapes differ: one array a case, of one dtype and number of axes."""

    values: tuple[Values, ...] = field(repr=False)
    file: MappedFile | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """See Column."""
        return self.values[0].dtype

    @property
    def item(self) -> tuple[int, ...]:
        """See Column."""
        shapes = [value.shape for value in self.values]
        return tuple(sizes[0] if len(set(sizes)) == 1 else 0 for sizes in zip(*shapes, strict=True))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> Column:
        """See Column."""
        if not len(rows):
            return Stacked(np.empty((0, *self.item), self.dtype))
        return Ragged(tuple(self.values[row] for row in rows.tolist()), self.file)

    def gather(self, rows: Rows | slice = slice(None)) -> tuple[Values, ...]:
        """See Column. Of a mapped file they are views: a patch cut from one reads that patch."""
        chosen = range(len(self.values))[rows] if isinstance(rows, slice) else rows.tolist()
        found = tuple(self.values[row] for row in chosen)
        if self.file is not None:
            self.file.note_read(sum(value.nbytes for value in found))
        return found


def column_of(values: Column | Values | Sequence[Values]) -> Column:
    """A column of an array, or of one array a case; a column as it is."""
    if isinstance(values, np.ndarray):
        return Stacked(values)
    if isinstance(values, (Stacked, Ragged)):
        return values
    arrays = tuple(np.asarray(value) for value in values)  # type: ignore[union-attr]
    if len({array.shape for array in arrays}) <= 1:
        return Stacked(np.stack(arrays) if arrays else np.empty(0, np.float32))
    return Ragged(arrays)


def joined(columns: Sequence[Column]) -> Column:
    """All values, in order; ragged where the columns' shapes differ."""
    items = {column.item for column in columns}
    if len(items) == 1 and all(isinstance(column, Stacked) for column in columns):
        return Stacked(np.concatenate([np.asarray(column.gather()) for column in columns]))
    return column_of([value for column in columns for value in column.gather()])
