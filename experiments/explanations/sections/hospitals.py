"""At which hospital: maps summed over many cases of each, and whether one of them has a mark of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.analyses.attribution_maps import NEVER_SEEN
from common.errors import AnalysisError, StudyError
from experiments.explanations.by_hospital import Told, answered_by, asked_here, has_classes
from experiments.explanations.clock import Clock
from experiments.explanations.pictures import grid
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import numbers, section
from server.reporting.values import items, number, text
from server.reporting.wording import NOTHING, capital, percent

KEY = "hospitals"
MOST_HOSPITALS, MOST_CLASSES = 12, 6
FOUND = (
    "The place may be a burnt-in letter, a frame, a device that only the ill patients there carry: something that is "
    "not the illness. Look at the images there, and train without it."
)
ASK = (
    'maps of real hospitals are summed as a question that they approve: [[analyses]] name = "attribution_maps", '
    "epsilon = 4, in a study with [start] model = this run; then name its folder with --by-hospital "
    "(docs/explanations.md)"
)


@dataclass(frozen=True, eq=False)
class Hospitals:
    """told: the answer's numbers. here: whether it was asked of simulated hospitals."""

    told: Told
    here: bool

    @property
    def word(self) -> str:
        """In the contents."""
        return "Hospitals"

    def finding(self) -> str:
        """The hospital, the place, and what becomes of the answers without it."""
        return " ".join(map(self._sentence, self._found()[:2]))

    def facts(self) -> Mapping[str, Any]:
        """The answer as it is."""
        return dict(self.told)

    def markup(self) -> Markup:
        """A grid for every hospital and class."""
        lede = (
            "Of every hospital the maps of many cases are summed, place by place, and only the sums are seen; no map "
            "of a case leaves a hospital. Bright places draw much of what the model looks at. Where one hospital's "
            "picture differs from all others', the model may have learned something that only that hospital's "
            "images carry."
        )
        words = [str(one) for one in self.told.get("words", ())]
        found = self._found()
        look = "banner bad" if found else "banner good"
        said = [tag("p", " ".join([*map(self._sentence, found), FOUND]), class_=look)] if found else []
        if not found and words:
            if NEVER_SEEN in words:
                look = "banner warn"
            said = [tag("p", " ".join([words[0], *(one for one in words if one == NEVER_SEEN)]), class_=look)]
        limits = [tag("p", one, class_="note") for one in words[1:] if "is not seen" in one and one != NEVER_SEEN]
        return section(
            KEY, "At which hospital does it look where?", lede, *said, self._grids(), *limits, self._numbers()
        )

    def _found(self) -> list[Mapping[str, Any]]:
        return [one for one in items(self.told.get("found")) if isinstance(one, dict)]

    def _sentence(self, one: Mapping[str, Any]) -> str:
        share, others, right, without = (
            _percent(one.get(name)) for name in ("share", "others", "right", "right_filled")
        )
        return (
            f"At {text(one.get('hospital'))}, in cases of {text(one.get('class'))}, the model looks at one place "
            f"({text(one.get('place'))}) with {share} of its map, elsewhere with {others}. With that place covered "
            f"it answers {without} of these cases right; as they are, {right}."
        )

    def _grids(self) -> Markup:
        sites, classes = (list(map(text, items(self.told[name]))) for name in ("hospitals", "classes"))
        shown_sites, shown_classes = sites[:MOST_HOSPITALS], classes[:MOST_CLASSES]
        side, shares = int(self.told["side"]), self._shares(len(sites), len(classes))
        framed = {
            (text(one.get("hospital")), text(one.get("class"))): number(one.get("block")) for one in self._found()
        }
        top = float(np.nanmax(shares)) if np.isfinite(shares).any() else 1.0
        rows = []
        for label, name in enumerate(shown_classes):
            cells: list[Child] = [name]
            for place, site in enumerate(shown_sites):
                values = shares[place, label]
                block = framed.get((site, name))
                alt = f"where the model looks in {name} at {site}"
                cells.append(
                    grid(values.reshape(side, side) / top, None if block is None else int(block), alt)
                    if np.isfinite(values).all()
                    else tag("span", "too few cases", class_="quiet")
                )
            rows.append(cells)
        left = len(sites) - len(shown_sites)
        more = tag("p", f"{left} more hospitals are in explain.json.", class_="note") if left > 0 else None
        return tag("div", table(["", *shown_sites], rows, words=1 + len(shown_sites)), more, class_="grids")

    def _shares(self, sites: int, classes: int) -> NDArray[np.float64]:
        """(hospitals, classes, blocks); NaN where nothing is known."""
        flat = [
            [np.nan if (value := number(one)) is None else value for one in items(cell)]
            for site in items(self.told["shares"]) for cell in items(site)
        ]  # fmt: skip
        return np.array(flat, np.float64).reshape(sites, classes, -1)

    def _numbers(self) -> Markup:
        sites, classes = (list(map(text, items(self.told[name]))) for name in ("hospitals", "classes"))
        cases = [[number(one) for one in items(row)] for row in items(self.told.get("cases"))]
        rows = [
            [site, *(NOTHING if place >= len(cases) or label >= len(cases[place]) or cases[place][label] is None
                     else f"{cases[place][label]:,.0f}" for label in range(len(classes)))]
            for place, site in enumerate(sites)
        ]  # fmt: skip
        return numbers("How many cases were summed", table(["Hospital", *classes], rows))


def hospitals(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """Of images of one class each. Raises StudyError that says how real hospitals are asked."""
    if asked.answers is not None:
        return Hospitals(answered_by(asked.answers), here=False)
    sides = len(subject.trained.learned.shape.inputs) - 1
    if not has_classes(subject.answering) or sides != 2:
        return None
    pool = subject.pool
    if pool is None:
        raise StudyError(f"{capital(ASK)}.")
    if pool.targets.ndim != 1:
        return None
    try:
        return Hospitals(asked_here(pool, subject.trained.task, subject.trained.classes, clock), here=True)
    except AnalysisError as error:
        raise AnalysisError(f"{capital(str(error))}") from error


def _percent(value: object) -> str:
    found = number(value)
    return NOTHING if found is None else percent(found)


make: Make = hospitals
