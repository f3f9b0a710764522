"""Any analysis in every group of patients: all groups in the same rounds, each as if it were asked alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.asking.abilities import (
    SITE,
    encoder_read,
    label_draw_of,
    least_hospitals_of,
    maps_read,
    most_rounds_of,
    of_hospitals,
    whole_hospitals,
    without_noise_of,
)
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Cell, Figure, Series, Table
from common.asking.exact_sums import Integers, Part, Total, counts
from common.asking.groups import codes, levels_of
from common.asking.maps import MapReading
from common.asking.records import Records
from common.errors import AnalysisError
from common.learning.label_draw import LabelDraw

STEP, LEVELS, STEPS = "grouped", "levels", "steps"
UNGROUPED = "of no group"
SHAPE, TOLD = "shape", "told"
INTERVAL = "95 % from"
"""A table's column: behind the estimate, and before the interval's other end."""


@dataclass(frozen=True)
class Grouped:
    """by: a column of categories, or `site` for hospitals. levels: `sex=female|male`, where nobody named them before.

    It may be grouped again: Grouped(Grouped(Mean("age"), "sex"), "site").
    """

    analysis: Analysis
    by: str
    levels: tuple[str, ...] = ()

    @property
    def discloses(self) -> str:
        """Of each group what the analysis discloses."""
        own = self.analysis.discloses
        return f"Of each group by {self.by}: {own[:1].lower()}{own[1:]}"

    @property
    def of_hospitals(self) -> bool:
        """Where hospitals are the groups, or the analysis tells of them."""
        return self.by == SITE or of_hospitals(self.analysis)

    @property
    def least_hospitals(self) -> int:
        """As the analysis says."""
        return least_hospitals_of(self.analysis)

    @property
    def most_rounds(self) -> int:
        """As the analysis says: groups share their rounds."""
        return most_rounds_of(self.analysis)

    @property
    def encoder(self) -> str:
        """As the analysis says."""
        return encoder_read(self.analysis)

    @property
    def maps(self) -> MapReading | None:
        """As the analysis says."""
        return maps_read(self.analysis)

    @property
    def label_draw(self) -> LabelDraw | None:
        """As the analysis says."""
        return label_draw_of(self.analysis)

    @property
    def whole_hospitals(self) -> bool:
        """As the analysis says."""
        return whole_hospitals(self.analysis)

    @property
    def without_noise(self) -> str:
        """As the analysis says."""
        return without_noise_of(self.analysis)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """As many rounds as the slowest group takes. A group that cannot be answered is said to be so."""
        levels = levels_of(self.by, self.levels, public)
        groups = [_Group(level, self.analysis.ask(self._public(public, level))) for level in levels]
        ungrouped: int | None = None
        while asking := {str(index): one.query for index, one in enumerate(groups) if one.query is not None}:
            query = stacked(asking, levels, first=ungrouped is None)
            total = yield query
            if ungrouped is None:
                ungrouped = int(total.count(UNGROUPED))
            for name, own in unstacked(total, asking).items():
                groups[int(name)].go_on(own)
        return self._answer(groups, ungrouped or 0)

    def _public(self, public: Public, level: str) -> Public:
        return replace(public, sites=(level,)) if self.by == SITE else public

    def _answer(self, groups: list[_Group], ungrouped: int) -> Answer:
        answers = {one.level: one.answer for one in groups if one.answer is not None}
        refused = {one.level: one.refused for one in groups if one.answer is None}
        if not answers:
            said = next(iter(refused.values()), "there is no group.")
            raise AnalysisError(f"no group by {self.by!r} has an answer; the first: {said}")
        numbers: dict[str, Any] = {
            "by": self.by,
            "groups": {one.level: None if one.answer is None else one.answer.numbers for one in groups},
            "refused": refused,
            "of_no_group": ungrouped,
        }
        words = [f"{self.by} {level}: {word}" for level, one in answers.items() for word in one.words]
        words += [f"{self.by} {level} has no answer: {text}" for level, text in refused.items()]
        if ungrouped:
            words.append(f"{ungrouped} rows are of no group by {self.by}.")
        tables = tuple(_joined(answers, lambda one: one.tables, _same_table, self._table))
        figures = tuple(_joined(answers, lambda one: one.figures, _same_figure, self._figure))
        return Answer(numbers, tables, figures or self._drawn(answers), tuple(words))

    def _drawn(self, answers: Mapping[str, Answer]) -> tuple[Figure, ...]:
        """Groups beside each other, where the first table of each is one estimate with its interval."""
        rows = {level: one.tables[0].rows[0] for level, one in answers.items() if one.tables and one.tables[0].rows}
        tables = [one.tables[0] for one in answers.values() if one.tables]
        alike = len({table.header for table in tables}) == 1 and all(len(table.rows) == 1 for table in tables)
        if not alike or INTERVAL not in tables[0].header[2:-1]:
            return ()
        place, title = tables[0].header.index(INTERVAL), tables[0].title
        y, low, high = (tuple(_known(row[at]) for row in rows.values()) for at in (place - 1, place, place + 1))
        name = tables[0].header[place - 1]
        series = Series(name, tuple(rows), y, low, high)
        return (Figure("points", f"{title}, by {self.by}", self.by, name, (series,)),)

    def _table(self, several: list[tuple[str, Table]]) -> Table:
        first = several[0][1]
        rows = tuple((level, *row) for level, table in several for row in table.rows)
        note = " ".join(dict.fromkeys(table.note for _, table in several if table.note))
        persons = tuple(
            (0, *row)
            for _, table in several
            for row in table.persons or ((0,) * len(table.header),) * len(table.rows)
        )
        shown = persons if any(map(any, persons)) else ()
        return Table(f"{first.title}, by {self.by}", (self.by, *first.header), rows, note, shown)

    def _figure(self, several: list[tuple[str, Figure]]) -> Figure:
        first = several[0][1]
        series = tuple(
            replace(one, name=f"{level}: {one.name}") for level, figure in several for one in figure.series
        )
        return replace(first, title=f"{first.title}, by {self.by}", series=series)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Of each group that is asked about, its part."""
        group = codes(records, self.by, tuple(str(one) for one in query.tells[LEVELS]))
        found: dict[str, list[NDArray[Any]]] = {name: [] for name in query.parts}
        for name, own in queries_of(query).items():
            for part, values in self.analysis.summarise(records.take(group == int(name)), own).items():
                found[f"{own.parts[part].kind} {part}"].append(np.asarray(values).ravel())
        if UNGROUPED in query.parts:
            found[UNGROUPED] = [np.array([np.sum(group < 0)])]
        return {name: np.concatenate(several).reshape(query.parts[name].shape) for name, several in found.items()}


class _Group:
    """One group's conversation as far as it went."""

    def __init__(self, level: str, asked: Generator[Query, Total, Answer]) -> None:
        self.level, self.refused = level, ""
        self.answer: Answer | None = None
        self._asked = asked
        self.query: Query | None = None
        self.go_on(None)

    def go_on(self, total: Total | None) -> None:
        """With the sum that was asked for."""
        self.query, asked = None, self._asked
        try:
            self.query = next(asked) if total is None else asked.send(total)
        except StopIteration as end:
            self.answer = end.value
        except AnalysisError as error:
            self.refused = str(error)


def _known(cell: Cell) -> float | None:
    return None if cell is None or isinstance(cell, str) else float(cell)


def stacked(queries: Mapping[str, Query], levels: tuple[str, ...], first: bool) -> Query:
    """One query of several groups: parts of one name and kind one behind the other.

    A row is in one group alone, so that it changes what is stacked by no more than the largest of the parts.
    """
    parts: dict[str, Part] = {UNGROUPED: counts()} if first else {}
    tells: dict[str, Told] = {LEVELS: levels, STEPS: tuple(f"{name} {one.step}" for name, one in queries.items())}
    for name, query in queries.items():
        for part, one in query.parts.items():
            key = f"{one.kind} {part}"
            parts[key] = _behind(parts.get(key), one)
            tells[f"{SHAPE} {name} {key}"] = np.array(one.shape, dtype=np.float64)
        tells |= {f"{TOLD} {name} {told}": value for told, value in query.tells.items()}
    return Query(parts, tells, STEP, _either(queries.values(), parts))


def _either(queries: Collection[Query], parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Stacked parts of which one row changes one only: those of which that is true in every group, or any one.

    A row of no group changes no group's parts, and a row of a group does not change how many are in none.
    """
    own = [key for key in parts if key != UNGROUPED]
    shared = [key for key in own if all(_is_either(query, *key.split(" ", 1)) for query in queries)]
    return (*([UNGROUPED] if UNGROUPED in parts else []), *(shared or own[:1]))


def _is_either(query: Query, kind: str, name: str) -> bool:
    return name in query.either or name not in query.parts or query.parts[name].kind != kind


def queries_of(query: Query) -> dict[str, Query]:
    """What was stacked, without what a row can change: hospitals have no use for it."""
    found = {}
    for name, step in (str(one).split(" ", 1) for one in query.tells[STEPS]):
        shapes = _after(f"{SHAPE} {name} ", query.tells)
        parts = {}
        for key, shape in shapes.items():
            kind, part = key.split(" ", 1)
            assert kind in ("counts", "reals")
            size = tuple(int(one) for one in shape)
            parts[part] = Part(size, "counts" if kind == "counts" else "reals")
        found[name] = Query(parts, _after(f"{TOLD} {name} ", query.tells), step)
    return found


def unstacked(total: Total, queries: Mapping[str, Query]) -> dict[str, Total]:
    """The total of each group."""
    places: dict[str, int] = {}
    found = {}
    for name, query in queries.items():
        own, noise = {}, {}
        for part, one in query.parts.items():
            key = f"{one.kind} {part}"
            start = places.get(key, 0)
            places[key] = start + one.size
            if key in total.noise:
                noise[part] = total.noise[key]
            own[part] = total.integers[key][start : start + one.size].reshape(one.shape)
        found[name] = Total(query.parts, own, noise)
    return found


def _behind(before: Part | None, one: Part) -> Part:
    if before is None:
        return Part((one.size,), one.kind, one.most_by_one, one.most_by_first)
    bounds = (before.most_by_one, one.most_by_one)
    known = [bound for bound in bounds if bound is not None]
    of_first = [most for most in (before.most_by_first, one.most_by_first) if most is not None]
    most, most_of_first = (max(of) if len(of) == 2 else None for of in (known, of_first))
    return Part((before.size + one.size,), one.kind, most, most_of_first)


def _after(prefix: str, tells: Mapping[str, Told]) -> dict[str, Told]:
    return {name.removeprefix(prefix): told for name, told in tells.items() if name.startswith(prefix)}


def _same_table(one: Table) -> tuple[Any, ...]:
    return one.title, one.header


def _same_figure(one: Figure) -> tuple[Any, ...]:
    return one.kind, one.title, one.x_label, one.y_label


def _joined(
    answers: Mapping[str, Answer],
    chosen: Callable[[Answer], tuple[Any, ...]],
    same: Callable[[Any], tuple[Any, ...]],
    made: Callable[[list[tuple[str, Any]]], Any],
) -> Iterator[Any]:
    """Groups' tables, or figures, that are alike as one."""
    every = [(level, one) for level, answer in answers.items() for one in chosen(answer)]
    order = list(dict.fromkeys(same(one) for _, one in every))
    every.sort(key=lambda pair: order.index(same(pair[1])))
    for _, several in groupby(every, key=lambda pair: same(pair[1])):
        yield made(list(several))
