"""Records: a hospital's rows in the columns that a statistician would ask for, as they were written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.study.spelling import unknown

Values = NDArray[np.float64] | NDArray[np.str_]


@dataclass(frozen=True)
class Records:
    """N rows of one hospital.

    columns: (N,) each; float64 where it is a number, with NaN where nothing was written down, else words with "".
    persons: (N,) words, one for each person; of one person there may be several rows. site: the hospital.
    least: persons who must have another value of a feature than most have; what fewer have is not told. 0: whatever.
    """

    columns: Mapping[str, Values]
    persons: NDArray[np.str_]
    site: str = ""
    least: int = 0

    def __len__(self) -> int:
        return len(self.persons)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers. Raises StudyError for an unknown name, or words."""
        values = self._column(name)
        if values.dtype != np.float64:
            raise StudyError(f"column {name!r} holds words, where numbers are needed.")
        return values.astype(np.float64, copy=False)

    def words(self, name: str) -> NDArray[np.str_]:
        """A column of words; numbers as they would be written, such as "1" and "2.5", and "" for none."""
        values = self._column(name)
        if values.dtype != np.float64:
            return values.astype(np.str_, copy=False)
        return np.array(["" if np.isnan(value) else f"{value:.15g}" for value in values.tolist()], dtype=np.str_)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Records:
        """The rows that a mask or indices choose."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, columns=columns, persons=self.persons[rows])

    def complete(self, *names: str) -> Records:
        """The rows in which none of these columns is missing."""
        kept = np.ones(len(self), dtype=np.bool_)
        for name in names:
            values = self._column(name)
            kept &= values != "" if values.dtype != np.float64 else ~np.isnan(values.astype(np.float64))
        return self.take(kept)

    @cached_property
    def one_a_person(self) -> Records:
        """The first row of every person, in order: what a promise to a person counts on."""
        _, first = np.unique(self.persons, return_index=True)
        return self.take(np.sort(first))

    def _column(self, name: str) -> Values:
        if name not in self.columns:
            raise unknown("column", name, self.columns)
        return self.columns[name]


def joined(parts: Sequence[Records], site: str) -> Records:
    """Rows of several parts, in the columns of the first, which all have. At least one part."""
    columns = {name: np.concatenate([one.columns[name] for one in parts]) for name in parts[0].columns}
    return Records(cast(Mapping[str, Values], columns), np.concatenate([one.persons for one in parts]), site)
