"""Median of a column and its quartiles, exact, with a 95 % interval that assumes no distribution."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._words import between, rows, short
from common.analyses.quantiles import Quantiles
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.records import Records

QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Median:
    """column: of numbers; missing values are counted and left out. resolution: found to within it; 0: exactly."""

    discloses: ClassVar[str] = Quantiles.discloses
    without_noise: ClassVar[str] = Quantiles.without_noise
    column: str
    resolution: float = 0.0

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """As quantiles, of which it is three."""
        found = (yield from self._quantiles.ask(public)).numbers
        first, middle, third = (found["quantiles"][f"{share:g}"] for share in QUARTILES)
        numbers = {
            "n": found["n"],
            "missing": found["missing"],
            "median": middle["value"],
            "low": middle["low"],
            "high": middle["high"],
            "first_quartile": first["value"],
            "third_quartile": third["value"],
        }
        header = ("column", "n", "missing", "median", "95 % from", "to", "first quartile", "third quartile")
        row = (self.column, *numbers.values())
        note = f"Within {self.resolution:g}." if self.resolution else ""
        said = f"Median {self.column} is {short(middle['value'])}{between(middle['low'], middle['high'])}"
        quarters = f"half lie between {short(first['value'])} and {short(third['value'])}"
        words = (f"{said}, of {rows(found['n'])}; {quarters}.",)
        return Answer(numbers, (Table(f"Median of {self.column}", header, (row,), note),), (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """As quantiles."""
        return self._quantiles.summarise(records, query)

    @property
    def _quantiles(self) -> Quantiles:
        return Quantiles(self.column, QUARTILES, resolution=self.resolution)


analysis: type[Analysis] = Median
