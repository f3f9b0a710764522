"""The table of risks: what is feared, how severe, how likely before this study's measures and with them, and why.

Likelihoods follow from what was found by one rule, which stands on the page: nobody's numbers are invented. Severity
is a question's own suggestion, and the officer's to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files.json_files import read_json
from experiments.audit.cast import cast_of_report
from experiments.audit.dossier.prices import MATRIX, matrix_beside
from experiments.audit.dossier.sheet import Risk
from experiments.audit.records import WORST, Light, Report
from experiments.audit.report.words import answer, plainly

LEVELS = ("negligible", "limited", "significant", "maximum")
LIKELIHOOD: Mapping[Light, str] = {"red": "maximum", "amber": "significant", "green": "limited"}
RULE = (
    "Likelihood: maximum where it was done here; significant where something pointed to it, where it was done under "
    "a condition only, or where the power did not suffice to rule it out; limited where nothing that was tried did "
    "it; negligible where, beside that, an epsilon that was shown to be kept bounds every attack."
)
UNJUDGED = "not judged"


def risks(report: Report, run: Path) -> Iterator[Risk]:
    """One for each question that was asked and says what is feared."""
    without = _without_measures(run, report.study)
    bare = report.claim.reveals == "each" and not report.claim.epsilon
    for name, question in cast_of_report(report).in_order():
        light, feared = light_of(report, name), getattr(question, "feared", "")
        if light is None or not feared:
            continue
        after = _likelihood(light, report)
        before, why = (after, "This study has no measure against it.") if bare else _before(name, without)
        severity = getattr(question, "severity", UNJUDGED)
        yield Risk(
            question.title, feared, severity, before, why, after, f"{answered(report, name)}{_power(name, report)}"
        )


def light_of(report: Report, question: str) -> Light | None:
    """The worst of any hospital, amber where it was got at under a condition only; None where it was not tried."""
    found: list[Light] = [one.lights[question] for one in report.verdicts if question in one.lights]
    found += ["amber" for one in report.verdicts for about, _ in one.conditional if about == question]
    return max(found, key=WORST.index) if found else None


def is_doubted(report: Report) -> bool:
    """Whether the promised epsilon is weak, or was not shown to be kept by tests that would have seen a fault."""
    lights = [light_of(report, question) for question in {one.question for one in report.power}]
    return not lights or any(light != "green" for light in lights)


def _likelihood(light: Light, report: Report) -> str:
    if light == "green" and report.claim.epsilon and report.claim.binds_coordinator and not is_doubted(report):
        return "negligible"
    return LIKELIHOOD[light]


def answered(report: Report, question: str) -> str:
    """What all its attempts came to, in its own words, with no name of code in them."""
    cast = cast_of_report(report)
    return plainly(answer(question, report, cast), cast)


def _power(question: str, report: Report) -> str:
    """How many planted faults would have been seen."""
    own = [one for one in report.power if one.question == question]
    if not own:
        return ""
    return f" Planted faults were seen in {sum(one.seen for one in own)} of {sum(one.of for one in own)} tries."


def _before(question: str, without: Mapping[str, Any] | None) -> tuple[str, str]:
    if without is None:
        return UNJUDGED, "Not measured here; a comparison of protections would."
    lights = without.get("lights")
    light: Any = lights.get(question) if isinstance(lights, Mapping) else None
    likelihood = next((LIKELIHOOD[one] for one in WORST if one == light), None)
    if likelihood is None:
        return UNJUDGED, "The comparison of protections does not say."
    return likelihood, f"As measured with {without.get('protection')!s}, in the comparison of protections."


def _without_measures(run: Path, study: str) -> Mapping[str, Any] | None:
    """The row of the comparison that others are priced against: the study's training, with nothing that protects."""
    folder = matrix_beside(run, study)
    found = None if folder is None else read_json(folder, MATRIX)
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    bare = next((row["priced_against"] for row in rows if row.get("priced_against")), None)
    return next((row for row in rows if row.get("protection") == bare), rows[0] if rows else None)


def placed(found: Sequence[Risk]) -> Mapping[tuple[str, str], tuple[list[int], list[int]]]:
    """Numbers of the risks in each cell, by severity and likelihood: before the measures, and with them."""
    cells: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for number, one in enumerate(found, 1):
        cells.setdefault((one.severity, one.before), ([], []))[0].append(number)
        cells.setdefault((one.severity, one.after), ([], []))[1].append(number)
    return cells
