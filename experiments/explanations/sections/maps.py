"""What the model looks at: cases chosen by a rule, each with its maps, and what each map was found to be worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from experiments.explanations.methods import Mapped, MapsOf, Method
from experiments.explanations.pictures import grey_picture, heaviest_slice, overlay, shown, sliced, strip, tinted
from experiments.explanations.pool import Pool
from experiments.explanations.verdicts import Verdicts, badge
from server.reporting.charts.bars import legend
from server.reporting.markup import Child, Markup, tag
from server.reporting.sections.layout import beside, facts, numbers, section
from server.reporting.wording import count

KEY = "maps"
CROWDED = 2
"""Pictures beside the case's own that are seen at once; the others are a click away."""
TOP = 0.1
"""Share of a case's values: how much of a map lies in so many of them says how gathered it is."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Of images and volumes."""

    pool: Pool
    mapped: Mapped
    verdicts: Verdicts

    @property
    def word(self) -> str:
        """In the contents."""
        return "Maps"

    def finding(self) -> str:
        """Where all answers are one: then there is nothing to tell apart, whatever maps show."""
        answers = {one.answered for one in self.pool.told if one.answered}
        if len(answers) != 1:
            return ""
        return (
            f"Of {count(len(self.pool.told), 'case')} that it was asked about, the model answers {answers.pop()} to "
            "all. What it looks at then explains little: it does not tell cases apart."
        )

    def facts(self) -> Mapping[str, Any]:
        """Of every case its answer and how gathered each map is; the maps themselves are in the page alone."""
        return {
            "explains": self.pool.answering.explains,
            "rule": self.pool.rule,
            "cases_held": self.pool.held,
            "cases_read": len(self.pool.told),
            "cases": [self._fact(one) for one in self.mapped.cases],
            "refused": dict(self.mapped.refused),
            "seconds_a_case": {name: round(seconds, 4) for name, seconds in self.mapped.seconds.items()},
        }

    def markup(self) -> Markup:
        """Cards, one a case."""
        lede = (
            f"Each map colours what in a case speaks for {self.pool.answering.explains}. {self.pool.picked} "
            f"{self._read()}"
        )
        return section(
            KEY,
            "What does it look at?",
            lede,
            self._legend(),
            self._shortly(),
            beside(*map(self._card, self.mapped.cases)),
            *self._end(),
        )

    def _read(self) -> str:
        read = f"The model was asked about {count(len(self.pool.told), 'case')} of {self.pool.held:,}."
        few = len(self.mapped.cases)
        short = (
            f" {few} of {self.mapped.wanted} fitted into the seconds (--seconds)." if few < self.mapped.wanted else ""
        )
        return read + short

    def _legend(self) -> Markup:
        keys = [("speaks for the answer", "map-for"), ("speaks against it", "map-against")]
        if any(not one.signed for one in self._made()):
            keys.append(("matters, whichever way", "map-either"))
        return legend(keys)

    def _shortly(self) -> Markup:
        """What is seen at once."""
        seen = "; ".join(f"{one.title}: {_small(one.meaning)}" for one in self._made()[:CROWDED])
        return tag("p", f"{seen}.", class_="note")

    def _card(self, one: MapsOf) -> Markup:
        told, place = self.pool.told[one.chosen.place], one.chosen.place
        truth = f"truth: {told.truth}" if told.truth else ""
        verdict = {True: tag("span", "right", class_="badge good"), False: tag("span", "wrong", class_="badge bad")}
        head = tag(
            "div",
            tag("b", f"{told.answer}", " ", verdict.get(told.right) if told.right is not None else None),
            tag("span", ", ".join(part for part in (one.chosen.why, truth, self.pool.sites[place]) if part)),
            class_="card-head",
        )
        image, level = self.pool.inputs[place], self._level(one)
        made = [method for method in self._made() if method.name in one.maps]
        figures = [self._figure(image, one, method, level) for method in made]
        note = "" if level is None else f"slice {level + 1} of {image.shape[-1]}"
        first = shown(
            grey_picture(sliced(image, level)), "the case", note or None, f"case of {self.pool.sites[place]}"
        )
        if one.region is not None:
            region = sliced(one.region[None], level)[0]
            figures.insert(
                0, shown(tinted(sliced(image, level), region), "what is explained", "its outline, in green")
            )
        more = figures[CROWDED:]
        rest = numbers(f"{len(more)} more maps of this case", strip(more, large=True)) if more else None
        return tag("div", head, strip([first, *figures[:CROWDED]], large=True), rest, class_="figure explained")

    def _figure(self, image: Tensor, one: MapsOf, method: Method, level: int | None) -> Markup:
        pixels = overlay(sliced(image, level), sliced(one.maps[method.name], level), method.signed)
        said = badge(self.verdicts.of(method), one.remark(method.name))
        return shown(pixels, method.title, said, f"map by {method.title}")

    def _level(self, one: MapsOf) -> int | None:
        """The same slice for all maps of a volume: the heaviest of the first method."""
        return next((heaviest_slice(found) for found in one.maps.values()), None)

    def _end(self) -> list[Child]:
        meanings: list[tuple[str, Child]] = [(one.title, one.meaning) for one in self._made()]
        lacking: list[tuple[str, Child]] = [(self._title(name), why) for name, why in self.mapped.refused.items()]
        return [
            numbers("What each method does", facts(meanings)),
            numbers("Methods that have no map of this model", facts(lacking)) if lacking else None,
        ]

    def _made(self) -> list[Method]:
        return [one for one in self.verdicts.ordered(self.mapped.methods) if one.name not in self.mapped.refused]

    def _title(self, name: str) -> str:
        return next(one.title for one in self.mapped.methods if one.name == name)

    def _fact(self, one: MapsOf) -> dict[str, Any]:
        told, place = self.pool.told[one.chosen.place], one.chosen.place
        return {
            "why": one.chosen.why,
            "hospital": self.pool.sites[place],
            "answer": told.answer,
            "truth": told.truth,
            "right": told.right,
            "sure": told.sure,
            "sum_off_by": dict(one.gaps),
            "in_the_strongest_tenth": {name: gathered(found) for name, found in one.maps.items()},
        }


def _small(meaning: str) -> str:
    return (meaning[:1].lower() + meaning[1:]).rstrip(".")


def gathered(found: Tensor) -> float | None:
    """The share of a map's size that lies in the tenth of values where it is largest; None of an empty map."""
    sizes = np.sort(found.abs().double().numpy().ravel())[::-1]
    total = float(sizes.sum())
    return float(sizes[: max(1, round(TOP * len(sizes)))].sum() / total) if total > 0 else None
