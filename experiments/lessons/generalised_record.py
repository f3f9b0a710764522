"""A record that becomes [Male, 1950-1960]: names are left out, and years widened until enough persons look alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import StudyError
from experiments.lessons.party import Party

WIDTHS = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Record:
    """One patient of the example."""

    name: str
    sex: str
    born: int
    diagnosis: str

    def shown(self, width: int) -> str:
        """What is let out of sex and year of birth, the year as one of `width` years."""
        first = self.born // width * width
        return f"[{self.sex}, {self.born}]" if width == 1 else f"[{self.sex}, {first}-{first + width}]"


RECORDS = (
    Record("John Miller", "Male", 1954, "infarction"),
    Record("Peter Hall", "Male", 1951, "asthma"),
    Record("Ann Reed", "Female", 1962, "infarction"),
    Record("Mary Cole", "Female", 1967, "diabetes"),
    Record("Paul Young", "Male", 1958, "infarction"),
    Record("Ruth Bell", "Female", 1969, "asthma"),
)


def generalised(k: int, records: Sequence[Record] = RECORDS) -> tuple[int, list[Party]]:
    """The narrowest years in which every record looks like k or more, and who saw what.

    Raises StudyError where none does.
    """
    width = next((one for one in WIDTHS if _least(records, one) >= k), None)
    if width is None:
        raise StudyError(f"no width of years makes groups of {k} of these {len(records)} records.")
    hospital, reader = Party("The hospital"), Party("Whoever reads the table")
    alike = Counter(record.shown(width) for record in records)
    for record in records:
        shown = record.shown(width)
        hospital.sees(f"{record.name}, {record.sex}, {record.born}, {record.diagnosis}", f"becomes {shown}")
        reader.sees(shown, f"{record.diagnosis}, one of {alike[shown]} who look alike")
    diagnoses = {shown: {one.diagnosis for one in records if one.shown(width) == shown} for shown in alike}
    for shown, found in diagnoses.items():
        if len(found) == 1:
            reader.sees(shown, f"all of them have {found.pop()}: a group that looks alike can still tell")
    return width, [hospital, reader]


def _least(records: Sequence[Record], width: int) -> int:
    return min(Counter(record.shown(width) for record in records).values())
