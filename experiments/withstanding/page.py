"""`withstand.html` and `withstand.json`: how much a model loses when inputs come otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files.access import write
from common.files.json_files import write_json
from experiments.explanations.section import Section
from server.reporting.markup import Markup, tag
from server.reporting.page import document
from server.reporting.sections.layout import section

PAGE, FIGURES = "withstand.html", "withstand.json"
SCHEMA = "wardround/withstand/1"
LIMITS = (
    "A model that withstands all of this may still be wrong: it is tried on the study's own test cases, on changes "
    "that somebody thought of, and on attacks that are known today.",
    "A score that falls under an attack does not say that anybody attacks. Whoever can change an image on its way to "
    "the model, or choose what is measured, is a question for the hospital's network and not for the model.",
    "What is robust is not therefore fair, private or right: each is a question of its own, with a page of its own.",
)


@dataclass(frozen=True)
class Withstood:
    """sections: by the name of their file, in order. failed: why one has nothing to show, by the same names."""

    title: str
    run: str
    sections: Mapping[str, Section]
    failed: Mapping[str, str]


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
        **{name: one.facts() for name, one in found.sections.items()},
        "nothing_to_show": dict(found.failed),
    }


def page_of(found: Withstood) -> str:
    """The HTML."""
    title = f"What the model withstands: {found.title}"
    places = [tag("a", one.word, href=f"#{name}") for name, one in found.sections.items()]
    contents = tag("nav", *_spaced(places)) if len(places) > 1 else None
    head = tag("header", tag("h1", title), contents)
    lacking = [section(name, name.capitalize(), None, tag("p", why)) for name, why in found.failed.items()]
    limits = section("limits", "What this does not tell", None, tag("ul", *(tag("li", one) for one in LIMITS)))
    return document(title, tag("main", head, *(one.markup() for one in found.sections.values()), *lacking, limits))


def _spaced(places: list[Markup]) -> list[Markup | str]:
    found: list[Markup | str] = []
    for place in places:
        found += [place, " "]
    return found
