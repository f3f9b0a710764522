"""`withstand.html` and `withstand.json`: how much a model loses when inputs come otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files.access import write
from common.files.json_files import write_json
from experiments.explanations.section import Section
from server.reporting.markup import Child, Markup, tag
from server.reporting.page import document
from server.reporting.sections.layout import facts, section
from server.reporting.wording import count

PAGE, FIGURES = "withstand.html", "withstand.json"
SCHEMA = "wardround/withstand/1"
WORDS = {
    "intent": "Changes on purpose",
    "example": "Examples",
    "hiding": "Hiding",
    "artefacts": "Artefacts",
    "training": "Training",
}
LIMITS = (
    "A model that withstands all of this may still be wrong: it is tried on the study's own test cases, on changes "
    "that somebody thought of, and on attacks that are known today.",
    "A score that falls under an attack does not say that anybody attacks. Whoever can change an image on its way to "
    "the model, or choose what is measured, is a question for the hospital's network and not for the model.",
    "What is robust is not therefore fair, private or right: each is a question of its own, with a page of its own.",
)


@dataclass(frozen=True)
class Withstood:
    """sections: by the name of their file, in order. failed: why one has nothing to show, by the same names.

    cases: that were changed, by hospital.
    """

    title: str
    run: str
    sections: Mapping[str, Section]
    failed: Mapping[str, str]
    cases: Mapping[str, int]

    @property
    def findings(self) -> list[str]:
        """Sentences for the head of the page."""
        return [finding for one in self.sections.values() if (finding := one.finding())]


def write_withstood(found: Withstood, folder: Path) -> Path:
    """Both files; the page's path."""
    write_json(folder, FIGURES, figures_of(found))
    return write(folder, PAGE, page_of(found))


def figures_of(found: Withstood) -> dict[str, Any]:
    """Everything that the page shows, as numbers and words."""
    return {
        "schema": SCHEMA,
        "title": found.title,
        "run": found.run,
        "cases": dict(found.cases),
        "findings": found.findings,
        **{name: one.facts() for name, one in found.sections.items()},
        "nothing_to_show": dict(found.failed),
    }


def page_of(found: Withstood) -> str:
    """The HTML."""
    title = f"What the model withstands: {found.title}"
    kind = tag("span", "Robustness. What if inputs come otherwise, by accident or on purpose?", class_="kind")
    tried = (
        f"{count(sum(found.cases.values()), 'test case')} of {count(len(found.cases), 'hospital')}, simulated here."
    )
    head = tag(
        "header",
        tag("p", kind, class_="overline"),
        tag("h1", found.title),
        *(tag("p", one, class_="finding") for one in found.findings),
        tag("p", tried, class_="quiet"),
    )
    places = [tag("a", one.word, href=f"#{name}") for name, one in found.sections.items()]
    contents = tag("nav", *_spaced(places), aria_label="Sections") if len(places) > 1 else None
    drawn = [one.markup() for one in found.sections.values()]
    limits = section("limits", "What this does not tell", None, tag("ul", *(tag("li", one) for one in LIMITS)))
    return document(title, tag("main", head, contents, *drawn, _lacking(found), limits))


def _lacking(found: Withstood) -> Markup | None:
    if not found.failed:
        return None
    pairs: list[tuple[str, Child]] = [(WORDS.get(name, name), why) for name, why in found.failed.items()]
    return section("lacking", "What could not be shown", None, facts(pairs))


def _spaced(places: list[Markup]) -> list[Markup | str]:
    found: list[Markup | str] = []
    for place in places:
        found += [place, " "]
    return found
