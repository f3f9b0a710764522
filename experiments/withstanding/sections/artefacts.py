"""What scanners and patients do by themselves: the score of every hospital as an artefact grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.errors import StudyError
from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.corrupting import SEVERITIES, Curve, are_images, curve, span_of
from experiments.withstanding.scored import scored_all
from experiments.withstanding.sections._scores import distances, scores_of
from experiments.withstanding.shown import cases_shown, task_of
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import MINUS, NOTHING, count, score, score_name

KEY, TITLE = "artefacts", "When a scanner or a patient does something else"
LEDE = (
    "Each artefact is added to every hospital's test images, from none to as bad as a radiologist would still send, "
    "and the model is scored again. A line that stays flat is a model that does not mind. Nobody meant any harm here."
)
MEANING = (
    "Lost is which share of the score without the artefact goes, on average over the four severities; below 0 it has "
    "risen, as happens by chance where a hospital has few cases. A model is "
    "only tried on images with computed artefacts: what a real scanner does is seen on that scanner's images alone."
)
MOST_LINES = 6
WORTH_NAMING = 0.01


@dataclass(frozen=True)
class Artefacts:
    """curves: the worst first. left: artefacts for which no second was left."""

    curves: tuple[Curve, ...]
    left: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """In the contents."""
        return "Artefacts"

    def facts(self) -> Mapping[str, Any]:
        """Every score, and the share that is lost."""
        return {
            "severities": list(SEVERITIES),
            "curves": [
                {**asdict(one), "lost": {site: one.lost(site) for site in one.rows}, "mean_lost": one.mean_lost}
                for one in self.curves
            ],
            "untried": list(self.left),
        }

    def finding(self) -> str:
        """The worst artefact and the hospital that loses most by it."""
        worst = self.curves[0]
        if worst.mean_lost is None or worst.worst is None:
            return "No hospital has a score above 0 that could be lost, so that nothing can be said."
        if worst.mean_lost < WORTH_NAMING:
            tried = count(len(self.curves), "artefact")
            return f"None of {tried} costs more than {share(WORTH_NAMING)} of the score on average."
        lost = worst.lost(worst.worst)
        assert lost is not None
        return (
            f"Most is lost by {worst.corruption.replace('_', ' ')}: {share(worst.mean_lost)} of the "
            f"{score_name(worst.score)} on average over severities, and {share(lost)} at {worst.worst}, where it "
            "is worst."
        )

    def markup(self) -> Markup:
        """A small chart for each artefact, and one table of what is lost."""
        sites = list(self.curves[0].rows)
        head = ("Artefact", *(["All"] if len(sites) > 1 else []), *sites)
        rows = [
            [
                one.corruption.replace("_", " "),
                *([share(one.mean_lost)] if len(sites) > 1 else []),
                *(share(one.lost(site)) for site in sites),
            ]
            for one in self.curves
        ]
        said = [tag("p", f"Not tried, for want of time: {', '.join(self.left)}.", class_="note")] * bool(self.left)
        charts = beside(
            *(
                figure(f"{one.corruption.replace('_', ' ')}: {score_name(one.score)}", _chart(one), note=one.source)
                for one in self.curves
            )
        )
        behind = numbers("Scores at every severity", *(_numbers(one) for one in self.curves))
        lost = figure("Share of the score that is lost", table(head, rows), note=MEANING)
        return section(KEY, TITLE, LEDE, charts, lost, behind, *said)


def make(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None where inputs are no images, or the cases are not here."""
    tests = cases_shown(subject, asked.cases)
    if not tests or not all(are_images(cases) for cases in tests.values()):
        return None
    if not asked.entries:
        raise StudyError("no corruption is asked for: name one with --corruption.")
    task, network, span = task_of(subject), subject.trained.network, span_of(tests)
    clean = scored_all(task, network, tests)
    found: list[Curve] = []
    left: list[str] = []
    for entry in asked.entries:
        if found and clock.left <= 0:
            left.append(entry.name)
            continue
        clock.say(f"Adding {entry.name.replace('_', ' ')}")
        found.append(curve(entry, task, network, tests, clean, span, asked.seed))
    return Artefacts(tuple(sorted(found, key=lambda one: -(one.mean_lost or 0.0))), tuple(left))


def _chart(one: Curve) -> Markup:
    few = len(one.rows) <= MOST_LINES
    lines = [
        Line(site if few else "", tuple(zip(SEVERITIES, row, strict=True)), "quiet") for site, row in one.rows.items()
    ]
    whole = [Line("all", tuple(zip(SEVERITIES, one.mean, strict=True)), "everybody")] if len(lines) > 1 else []
    names = {0.0: "none", 0.5: "half", 1.0: "worst"}
    return line_chart(
        [*lines, *whole],
        describe=f"{score_name(one.score)} by severity of {one.corruption}",
        x_word="severity",
        words=score,
        x_names=names,
    )


def _numbers(one: Curve) -> Markup:
    head = tuple(f"{severity:g}" for severity in SEVERITIES)
    name = one.corruption.replace("_", " ")
    return figure(f"{name}: {score_name(one.score)}", scores_of(one.rows, head), *distances(one.beside, head))


def share(value: float | None) -> str:
    """Of a score that is lost, in whole percent, with a true minus."""
    return NOTHING if value is None else f"{100 * value:.0f} %".replace("-0 ", "0 ").replace("-", MINUS)
