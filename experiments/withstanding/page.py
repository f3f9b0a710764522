"""`withstand.html` and `withstand.json`: how much a model loses when inputs come otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.files.access import write
from common.files.json_files import write_json
from experiments.explanations.section import Section
from experiments.withstanding.compared import Compared
from experiments.withstanding.withstood import Withstood
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


def write_withstood(found: Withstood, folder: Path, compared: Compared | None = None) -> Path:
    """Both files; the page's path. compared: with another run."""
    write_json(folder, FIGURES, figures_of(found, compared))
    return write(folder, PAGE, page_of(found, compared))


def figures_of(found: Withstood, compared: Compared | None = None) -> dict[str, Any]:
    """Everything that the page shows, as numbers and words."""
    return {
        "schema": SCHEMA,
        "title": found.title,
        "run": found.run,
        "cases": dict(found.cases),
        "findings": findings(found, compared),
        **{name: one.facts() for name, one in parts_of(found, compared).items()},
        "nothing_to_show": dict(found.failed),
    }


def findings(found: Withstood, compared: Compared | None) -> list[str]:
    """Sentences for the head of the page, first what stands beside."""
    return [*([compared.finding()] if compared else []), *found.findings]


def parts_of(found: Withstood, compared: Compared | None) -> dict[str, Section]:
    """Sections of the page, in their order."""
    beside: dict[str, Section] = {} if compared is None else {"beside": compared}
    return beside | dict(found.sections)


def page_of(found: Withstood, compared: Compared | None = None) -> str:
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
        *(tag("p", one, class_="finding") for one in findings(found, compared)),
        tag("p", tried, class_="quiet"),
    )
    parts = parts_of(found, compared)
    places = [tag("a", one.word, href=f"#{name}") for name, one in parts.items()]
    contents = tag("nav", *_spaced(places), aria_label="Sections") if len(places) > 1 else None
    drawn = [one.markup() for one in parts.values()]
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
