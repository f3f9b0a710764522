"""Quality of the data: of every column what is missing, out of range, or no level; persons with several rows."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total, counts
from common.asking.groups import parsed
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

KINDS = ("missing", "numbers", "words", "below", "above", "undeclared")
"""Of a column, how many rows are each; the last three are of rows that are numbers, or words."""


@dataclass(frozen=True)
class DataQuality:
    """columns: of any kind. ranges: `age=0:110`, what a number can be. levels: `sex=female|male`, what a word can be.

    Levels that were named before hold as well. Where one hospital holds numbers and another words, both are
    counted. By site it says it of every hospital.
    """

    discloses: ClassVar[str] = (
        "Of every column, how many rows are missing, beyond what is possible, or in each declared level; how many "
        "rows are complete, and how many persons there are."
    )
    columns: tuple[str, ...]
    ranges: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise StudyError(
                f"data_quality.columns must be one or more different columns; they are {list(self.columns)}."
            )
        for text in self.ranges:
            parsed_range(text)
        for text in self.levels:
            parsed(text)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        named = {**public.levels, **dict(parsed(text) for text in self.levels)}
        levels = {name: tuple(named[name]) for name in self.columns if name in named}
        tells: dict[str, Told] = {f"levels of {name}": words for name, words in levels.items()}
        parts = {"rows": counts(), "complete": counts(), "persons": counts()}
        size = len(self.columns)
        parts |= {"kinds": counts(size, len(KINDS), most_by_one=3.0 * size)}
        parts |= {f"levels of {name}": counts(len(words)) for name, words in levels.items()}
        total = yield Query(parts, tells)
        rows, persons = int(total.count("rows")), int(total.count("persons"))
        if rows == 0:
            raise AnalysisError("there is not a single row at any hospital.")
        kinds = {name: _kinds(one) for name, one in zip(self.columns, total.count("kinds").tolist(), strict=True)}
        for name, words in levels.items():
            found = total.count(f"levels of {name}").tolist()
            kinds[name]["levels"] = {word: int(count) for word, count in zip(words, found, strict=True)}
        numbers = {
            "rows": rows,
            "persons": persons,
            "rows_beyond_one_a_person": rows - persons,
            "complete": int(total.count("complete")),
            "columns": kinds,
        }
        return Answer(numbers, self._tables(rows, kinds), (), self._words(numbers, kinds))

    def _tables(self, rows: int, kinds: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
        header = (
            "column",
            "known",
            "missing",
            "share missing",
            "below range",
            "above range",
            "in no level",
            "levels unused",
        )
        each = tuple(
            (
                name,
                rows - one["missing"],
                one["missing"],
                one["missing"] / rows,
                one["below"],
                one["above"],
                one["undeclared"],
                ", ".join(word for word, count in one.get("levels", {}).items() if count == 0),
            )
            for name, one in kinds.items()
        )
        return (Table("Quality of columns", header, each),)

    def _words(self, numbers: Mapping[str, Any], kinds: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        rows, complete, more = (numbers[key] for key in ("rows", "complete", "rows_beyond_one_a_person"))
        mixed = [name for name, one in kinds.items() if one["numbers"] and one["words"]]
        said = [f"Of {rows} rows {complete} are complete in {', '.join(self.columns)}."]
        if more:
            said.append(f"There are {numbers['persons']} persons: {more} rows are a person's second or later.")
        said += [f"Column {name} holds numbers at one hospital and words at another." for name in mixed]
        return tuple(said)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by what they are, in every column."""
        ranges = dict(parsed_range(text) for text in self.ranges)
        told = {name: tuple(str(one) for one in words) for name, words in query.tells.items()}
        named = {name: told.get(f"levels of {name}", ()) for name in self.columns}
        kinds = [_of_column(records, name, ranges.get(name), named[name]) for name in self.columns]
        found: dict[str, NDArray[np.integer]] = {
            "rows": np.array(len(records)),
            "persons": np.array(len(np.unique(records.persons))),
            "complete": np.array(len(records.complete(*self.columns))),
            "kinds": np.array(kinds),
        }
        for name, words in named.items():
            if words:
                values = records.words(name)
                found[f"levels of {name}"] = np.array([np.sum(values == word) for word in words])
        return found


def parsed_range(text: str) -> tuple[str, tuple[float, float]]:
    """`age=0:110`. Raises StudyError for anything else."""
    name, equals, limits = text.partition("=")
    low, colon, high = limits.partition(":")
    try:
        found = float(low or "-inf"), float(high or "inf")
    except ValueError:
        found = (1.0, 0.0)
    if not (name.strip() and equals and colon and found[0] <= found[1]):
        raise StudyError(f"a range is written as age=0:110, age=0: or age=:110; not {text!r}.")
    return name.strip(), found


def _of_column(records: Records, name: str, limits: tuple[float, float] | None, levels: tuple[str, ...]) -> list[int]:
    """As KINDS."""
    words = records.words(name)
    missing = int(np.sum(words == ""))
    undeclared = int(np.sum((words != "") & ~np.isin(words, levels))) if levels else 0
    if records.columns[name].dtype != np.float64:
        return [missing, 0, len(words) - missing, 0, 0, undeclared]
    low, high = limits or (-np.inf, np.inf)
    values = records.numbers(name)
    return [missing, len(words) - missing, 0, int(np.sum(values < low)), int(np.sum(values > high)), undeclared]


def _kinds(found: list[int]) -> dict[str, Any]:
    return dict(zip(KINDS, map(int, found), strict=True))


analysis: type[Analysis] = DataQuality
