"""`matrix.html`: a column a protection; the best reconstruction, membership and epsilon below each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.audit.records import WORST, Rebuilt, Report
from experiments.audit.report.words import LIGHTS, overall
from server.reporting.markup import Markup, tag
from server.reporting.page import document
from server.reporting.sections.layout import section


@dataclass(frozen=True)
class Column:
    """One protection's audit, and where its own report lies."""

    name: str
    report: Report
    link: str


def matrix_page(title: str, columns: Sequence[Column]) -> str:
    """The HTML."""
    head = tag(
        "header",
        tag("p", tag("span", "Privacy audit, protection by protection", class_="kind"), class_="overline"),
        tag("h1", title),
        tag("p", _finding(columns), class_="finding"),
    )
    body = section(
        "matrix",
        "What each protection buys",
        "The same study, the same attackers, the same time for each. The picture is the best that any attack on what "
        "the coordinator saw came up with, beside the patient's own.",
        tag("div", _table(columns), class_="scroll matrix"),
        tag("p", NOTE, class_="note"),
    )
    return document(f"{title}, protections compared", tag("main", head, body))


NOTE = (
    "Similarity: of structure (SSIM; of tables correlation), brightness and contrast being set right; 1 is the "
    "same. Membership: the chance that the best attack ranks a patient of the study above another; 0.5 is guessing. "
    "If the coordinator cheats: what models made to copy cases bring back from hospitals that check what comes. "
    "Measured epsilon is a lower bound and must not exceed the promised one; its relation (zero-out, or "
    "one patient added or removed) is said in each report. An attack that fails is no proof."
)


def _finding(columns: Sequence[Column]) -> str:
    lights = {light: [c.name for c in columns if overall(c.report) == light] for light in reversed(WORST)}
    parts = [f"{LIGHTS[light][0]}: {', '.join(names)}" for light, names in lights.items() if names]
    return ". ".join(parts) + "."


def _table(columns: Sequence[Column]) -> Markup:
    rows: list[tuple[str, list[Markup | str]]] = [
        ("Verdict", [_verdict(column) for column in columns]),
        ("Best rebuilt", [_pictures(column.report) for column in columns]),
        ("Similarity", [_similarity(column.report) for column in columns]),
        ("The right patient?", [_place(column.report) for column in columns]),
        ("Membership, area", [_area(column.report) for column in columns]),
        ("If the coordinator cheats", [_cheated(column.report) for column in columns]),
        ("Epsilon promised", [_promised(column.report) for column in columns]),
        ("Epsilon measured", [_measured(column.report) for column in columns]),
    ]
    head = tag("tr", tag("th", ""), *(tag("th", tag("a", column.name, href=column.link)) for column in columns))
    body = [tag("tr", tag("th", name), *(tag("td", cell) for cell in cells)) for name, cells in rows]
    return tag("table", tag("thead", head), tag("tbody", *body))


def _verdict(column: Column) -> Markup:
    word, look, sign = LIGHTS[overall(column.report)]
    return tag("span", f"{sign} {word}", class_=f"badge {look}")


def _best(report: Report) -> Rebuilt | None:
    shown = [one for trial in report.trials if trial.honest for one in trial.rebuilt]
    return max(shown, key=lambda one: (one.identifies, one.tells, one.ssim), default=None)


def _pictures(report: Report) -> Markup | str:
    best = _best(report)
    if best is None or not best.original:
        return "nothing to show"
    images = [
        tag("img", src=source, alt=word, width=72)
        for source, word in ((best.original, "the patient's own"), (best.rebuilt, "rebuilt"))
    ]
    return tag("figure", *images)


def _similarity(report: Report) -> str:
    best = _best(report)
    return "–" if best is None else f"{best.ssim:.2f} (others {best.decoy:.2f})"


def _place(report: Report) -> str:
    best = _best(report)
    if best is None:
        return "–"
    if best.identifies:
        return f"yes, of {best.among}"
    return f"no, number {best.rank} of {best.among}" if best.rank > 1 else f"not clearly, of {best.among}"


def _area(report: Report) -> str:
    own = [trial for trial in report.trials if trial.kind == "membership" and not trial.site]
    found = [trial.intervals["auc"] for trial in own if "auc" in trial.intervals]
    best = max(found, key=lambda one: one.low, default=None)
    return "–" if best is None else f"{best.value:.2f} ({best.low:.2f} to {best.high:.2f})"


def _cheated(report: Report) -> str:
    """Of its models that hospitals with their lists answer to."""
    played = [trial for trial in report.trials if trial.observer == "cheating" and trial.possible and trial.rebuilt]
    answered = [trial for trial in played if not trial.refused]
    if not played:
        return "not tried"
    back = any(one.identifies for trial in answered for one in trial.rebuilt)
    return "patients come back" if back else "nothing comes back" if answered else "refused"


def _promised(report: Report) -> str:
    return f"{max(report.claim.epsilon.values()):.3g}" if report.claim.epsilon else "none"


def _measured(report: Report) -> str:
    bounds = [t.figures["epsilon_lower_bound"] for t in report.trials if "epsilon_lower_bound" in t.figures]
    return f"at least {max(bounds):.2f}" if bounds else "–"
