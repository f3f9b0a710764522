"""Of a table: cases chosen by a rule, and which of their values spoke for and against the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.explanations.methods import Mapped, MapsOf, Method
from experiments.explanations.pool import Pool
from experiments.explanations.verdicts import Verdicts, badge
from server.reporting.charts.bars import bar, legend, row
from server.reporting.markup import Markup, tag
from server.reporting.sections.layout import beside, facts, numbers, section
from server.reporting.wording import difference, plain

KEY = "maps"
MOST_COLUMNS = 6


@dataclass(frozen=True, eq=False)
class Rows:
    """names: of the columns."""

    pool: Pool
    mapped: Mapped
    verdicts: Verdicts
    names: tuple[str, ...]

    @property
    def word(self) -> str:
        """In the contents."""
        return "Cases"

    def finding(self) -> str:
        """None: columns have one."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """Of every case its answer and what each column was given."""
        return {
            "explains": self.pool.answering.explains,
            "rule": self.pool.rule,
            "cases_held": self.pool.held,
            "cases_read": len(self.pool.told),
            "cases": [self._fact(one) for one in self.mapped.cases],
            "refused": dict(self.mapped.refused),
        }

    def markup(self) -> Markup:
        """A chart a case."""
        lede = f"What in a case spoke for {self.pool.answering.explains}, and what against it. {self.pool.picked}"
        keys = legend([("speaks for the answer", "map-for"), ("speaks against it", "map-against")])
        cards = [self._card(one) for one in self.mapped.cases]
        return section(KEY, "Single cases", lede, keys, beside(*cards), *self._end())

    def _card(self, one: MapsOf) -> Markup:
        told, place = self.pool.told[one.chosen.place], one.chosen.place
        truth = f"truth: {told.truth}" if told.truth else ""
        verdict = {True: tag("span", "right", class_="badge good"), False: tag("span", "wrong", class_="badge bad")}
        right = verdict.get(told.right) if told.right is not None else None
        words = ", ".join(part for part in (one.chosen.why, truth, self.pool.sites[place]) if part)
        head = tag("div", tag("b", told.answer, " ", right), tag("span", words), class_="card-head")
        made = [method for method in self.verdicts.ordered(self.mapped.methods) if method.name in one.maps]
        charts = [self._chart(one, method, place) for method in made]
        rest = numbers(f"{len(charts) - 1} more methods", *charts[1:]) if len(charts) > 1 else None
        return tag("div", head, *charts[:1], rest, class_="figure explained")

    def _chart(self, one: MapsOf, method: Method, place: int) -> Markup:
        values, case = one.maps[method.name].flatten().tolist(), self.pool.inputs[place].tolist()
        order = sorted(range(len(values)), key=lambda k: -abs(values[k]))[:MOST_COLUMNS]
        top = max((abs(value) for value in values), default=0.0) or 1.0
        rows = [
            row(
                self.names[k],
                bar(abs(values[k]) / top, difference(values[k]), "map-for" if values[k] >= 0 else "map-against"),
                note=plain(float(f"{case[k]:.3g}")),
            )
            for k in order
        ]
        said = tag("p", f"{method.title}: ", badge(self.verdicts.of(method), one.remark(method.name)), class_="note")
        return tag("div", said, tag("div", *rows, class_="rows"))

    def _end(self) -> list[Markup]:
        lacking = {method.title: self.mapped.refused[method.name] for method in self.mapped.methods
                   if method.name in self.mapped.refused}  # fmt: skip
        said = [
            (one.title, one.meaning)
            for one in self.verdicts.ordered(self.mapped.methods)
            if one.name not in self.mapped.refused
        ]
        note = "Beside a column's name: the case's value as the network is shown it, on the study's scale."
        parts = [tag("p", note, class_="note"), numbers("What each method does", facts(list(said)))]
        return (
            [*parts, numbers("Methods that have no map of this model", facts(list(lacking.items())))]
            if lacking
            else parts
        )

    def _fact(self, one: MapsOf) -> dict[str, Any]:
        told, place = self.pool.told[one.chosen.place], one.chosen.place
        given = {
            name: dict(zip(self.names, found.flatten().tolist(), strict=True)) for name, found in one.maps.items()
        }
        return {"why": one.chosen.why, "hospital": self.pool.sites[place], "answer": told.answer,
                "truth": told.truth, "right": told.right, "sure": told.sure, "columns": given,
                "sum_off_by": dict(one.gaps)}  # fmt: skip
