"""Of a table: which columns the answers move with, which way, and what that does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from client.source import Source
from client.source_abilities import input_names
from experiments.explanations.clock import Clock
from experiments.explanations.columns import DRAWS, Column, columns_of
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.charts.bars import bar, legend, row
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import NOTHING, count, difference, listed, score

KEY = "columns"
MOST_DRAWN, NAMED = 25, 3
SPREAD = (
    "The mean over cases. A spread is the column's standard deviation among these cases, so that columns of any unit "
    "compare."
)
MIXED = f"How far the answer moves where each case is given the column of another one, the mean of {DRAWS} draws."
LIKE = 0.6
"""Correlation from which two columns can stand in for each other."""


@dataclass(frozen=True)
class Columns:
    """of: what answer moves, in words. columns: in the table's order. cases: how many were asked about."""

    of: str
    columns: tuple[Column, ...]
    cases: int

    @property
    def word(self) -> str:
        """In the contents."""
        return "Columns"

    def finding(self) -> str:
        """The columns that move most, and which way."""
        ways = [f"{one.name} ({'up' if one.slope > 0 else 'down'})" for one in self._ordered()[:NAMED]]
        return f"What moves {self.of} most: {listed(ways)}."

    def facts(self) -> Mapping[str, Any]:
        """Everything."""
        return {"of": self.of, "cases": self.cases, "columns": [asdict(one) for one in self.columns]}

    def markup(self) -> Markup:
        """Two charts beside each other, and the numbers."""
        lede = (
            f"Asked about {count(self.cases, 'test case')} of all hospitals: how far does {self.of} move when one "
            "column changes and all others stay? That is how sensitive the model is. It is not what causes the "
            "illness, and not what a treatment would change."
        )
        keys = legend([("more of it: the answer goes up", "map-for"), ("more of it: it goes down", "map-against")])
        return section(
            KEY,
            "Which columns does it listen to?",
            lede,
            beside(
                figure("One spread more of a column", keys, self._slopes(), note=SPREAD),
                figure("A column mixed up between cases", self._mixed(), note=MIXED),
            ),
            self._alike(),
            numbers("As numbers", self._table()),
        )  # fmt: skip

    def _ordered(self) -> list[Column]:
        return sorted(self.columns, key=lambda one: -abs(one.slope))[:MOST_DRAWN]

    def _slopes(self) -> Markup:
        top = max(abs(one.slope) for one in self.columns) or 1.0
        rows = [
            row(
                one.name,
                bar(abs(one.slope) / top, difference(one.slope), "map-for" if one.slope >= 0 else "map-against"),
            )
            for one in self._ordered()
        ]
        return tag("div", *rows, class_="rows")

    def _mixed(self) -> Markup:
        top = max(one.moved for one in self.columns) or 1.0
        ordered = sorted(self.columns, key=lambda one: -one.moved)[:MOST_DRAWN]
        return tag(
            "div",
            *(row(one.name, bar(one.moved / top, score(one.moved), "federated")) for one in ordered),
            class_="rows",
        )

    def _alike(self) -> Markup | None:
        pairs = {frozenset((one.name, one.alike[0])): one for one in self.columns
                 if one.alike and abs(one.alike[1]) >= LIKE}  # fmt: skip
        if not pairs:
            return None
        said = "; ".join(
            f"{one.name} and {one.alike[0]} ({one.alike[1]:+.2f})" for one in pairs.values() if one.alike
        )
        words = (
            f"These go along with each other: {said}. A model can lean on either of such two and answer alike; that "
            "one of them ranks low does not say that it means nothing."
        )
        return tag("p", words, class_="note")

    def _table(self) -> Markup:
        rows = [
            [
                one.name, difference(one.slope), score(one.size),
                f"{score(one.moved)} ± {score(one.moved_deviation)}",
                f"{one.alike[0]} ({one.alike[1]:+.2f})" if one.alike else NOTHING,
            ]
            for one in self.columns
        ]  # fmt: skip
        head = ["Column", "One spread more", "Its size, case by case", "Mixed up", "Goes along with"]
        return table(head, rows)


def columns(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """Of tables alone."""
    pool = subject.pool
    if pool is None or not pool.is_table:
        return None
    clock.say("Columns of the table")
    aim = pool.answering.one_answer(pool.inputs)
    names = names_of(subject.trained.source, pool.inputs.shape[1])
    return Columns(aim.words, columns_of(pool.inputs, aim, pool.answering, names, asked.seed), len(pool.inputs))


def names_of(source: Source, width: int) -> tuple[str, ...]:
    """Of the columns as the network is shown them, numbered where the source does not say."""
    names = input_names(source)
    return names if names is not None and len(names) == width else tuple(f"column {k}" for k in range(1, width + 1))


make: Make = columns
