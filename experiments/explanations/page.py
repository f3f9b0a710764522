"""`explain.html` and `explain.json`: what a run's model looks at, and what to distrust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.files.access import write
from common.files.json_files import write_json
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from server.reporting.markup import Child, Markup, tag
from server.reporting.page import document
from server.reporting.sections.layout import facts, section
from server.reporting.wording import capital, count, duration, score, score_name

PAGE, FIGURES = "explain.html", "explain.json"
SCHEMA = "wardround/explain/1"
PRIVATE = (
    "This page shows single cases of simulated hospitals. Of a real hospital no single case, and no map of one, ever "
    "leaves."
)
OF_OWN = (
    "This page shows somebody's own cases, and a map of a single case tells which case it was: it stays where those "
    "files may be, and none of it is sent anywhere."
)
FOOT = (
    "A map says what an answer rests on, not whether the answer is right, and not what causes an illness. This is a "
    "research tool, and no finding about a patient."
)
LACKING = "What could not be shown"


@dataclass(frozen=True, eq=False)
class Explanation:
    """sections: by the key of each, in the order of the page. lacking: why a section is missing, by its word.

    seconds: that it took.
    """

    subject: Subject
    sections: Mapping[str, Section]
    lacking: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def findings(self) -> list[str]:
        """Sentences for the head of the page."""
        found = [finding for one in self.sections.values() if (finding := one.finding())]
        inside = "What is inside this model: no case of its hospitals is here to be asked about."
        return found or [inside if self.subject.why_none else "What this model's answers rest on, case by case."]


def write_explanation(found: Explanation, folder: Path) -> Path:
    """Both files; the page's path."""
    write_json(folder, FIGURES, figures_of(found))
    return write(folder, PAGE, page_of(found))


def figures_of(found: Explanation) -> dict[str, Any]:
    """Everything that the page says, but for the pictures."""
    subject = found.subject
    return {
        "schema": SCHEMA,
        "title": subject.title,
        "run": subject.folder.name,
        "model_sha256": subject.trained.model_sha256,
        "explains": subject.answering.explains,
        "no_cases": subject.why_none,
        "own_cases": subject.own is not None,
        "not_used": {one.name: one.reason for one in subject.own.left_out} if subject.own else {},
        "findings": found.findings,
        "seconds": round(found.seconds, 1),
        "sections": {key: dict(one.facts()) for key, one in found.sections.items()},
        "lacking": dict(found.lacking),
    }


def page_of(found: Explanation) -> str:
    """The HTML."""
    subject, title = found.subject, f"What the model looks at: {found.subject.title}"
    head = tag(
        "header",
        tag("p", tag("span", "Explanations. What does the model look at, and should one believe it?", class_="kind"),
            class_="overline"),
        tag("h1", subject.title),
        *(tag("p", one, class_="finding") for one in found.findings),
        tag("p", subject.why_none or (OF_OWN if subject.own else PRIVATE), class_="banner warn"),
        _about(found),
    )  # fmt: skip
    words = {key: one.word for key, one in found.sections.items()}
    nav = tag("nav", *(tag("a", word, href=f"#{key}") for key, word in words.items()), aria_label="Sections")
    drawn = [one.markup() for one in found.sections.values()]
    return document(title, tag("main", head, nav, *drawn, _lacking(found), tag("footer", FOOT)))


def _about(found: Explanation) -> Markup:
    subject = found.subject
    network = getattr(getattr(subject.trained.task, "network", None), "name", "")
    headline = subject.run.about.headline
    final = subject.run.final.get("test") or subject.run.final.get("validation")
    reached = final.pooled.get(headline) if final else None
    pairs: list[tuple[str, Child]] = [
        ("Explained", capital(subject.answering.explains)),
        ("Model", f"task {subject.trained.entries['task'].name}{f', network {network}' if network else ''}"),
        ("How good it is", f"{score_name(headline)} {score(reached)}" if reached is not None else None),
        ("Hospitals", count(len(subject.run.roster.holdings), "hospital") if subject.run.roster.holdings else None),
        ("Remark", subject.trained.remark or None),
        ("This page took", duration(found.seconds)),
    ]
    return facts(pairs)


def _lacking(found: Explanation) -> Markup | None:
    own = found.subject.own
    pairs: list[tuple[str, Child]] = [(one.name, one.reason) for one in own.left_out] if own else []
    pairs += found.lacking.items()
    return section("lacking", LACKING, None, facts(pairs)) if pairs else None
