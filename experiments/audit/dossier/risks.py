"""The table of risks: what is feared, how severe, how likely before this study's measures and with them, and why.

Likelihoods follow from what was found by one rule, which stands on the page: nobody's numbers are invented. Severity
is a question's own suggestion, and the officer's to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files.json_files import read_json
from common.study.study import Study
from experiments.audit.dossier.prices import MATRIX, matrix_beside
from experiments.audit.dossier.sheet import Risk
from experiments.audit.records import WORST, Light, Report
from experiments.catalogue import QUESTIONS

LEVELS = ("negligible", "limited", "significant", "maximum")
LIKELIHOOD: Mapping[Light, str] = {"red": "maximum", "amber": "significant", "green": "limited"}
RULE = (
    "Likelihood: maximum where it was done here; significant where something pointed to it, or could not be ruled out "
    "with the power there was; limited where nothing that was tried did it; negligible where, beside that, a promised "
    "epsilon bounds every attack."
)
UNJUDGED = "not judged"


@dataclass(frozen=True)
class Asked:
    """A question, as far as the dossier needs it."""

    name: str
    title: str
    feared: str
    severity: str
    bears_on: tuple[str, ...]
    entry: Any


def asked(report: Report) -> list[Asked]:
    """Those of ours, and others of this audit, in the order of the page."""
    there = dict.fromkeys(QUESTIONS.names())
    found = [QUESTIONS.load(name) for name in there]
    both = sorted(zip(there, found, strict=True), key=lambda pair: getattr(pair[1], "place", 0))
    return [_of(name, entry) for name, entry in both]


def _of(name: str, entry: Any) -> Asked:
    title = str(getattr(entry, "title", name))
    feared = str(getattr(entry, "feared", "")) or title
    severity = str(getattr(entry, "severity", UNJUDGED))
    return Asked(name, title, feared, severity, tuple(getattr(entry, "bears_on", ())), entry())


def risks(report: Report, study: Study, run: Path) -> Iterator[Risk]:
    """One for each question that was asked and says what is feared."""
    without = _without_measures(run, report.study)
    bare = report.claim.reveals == "each" and not report.claim.epsilon
    for one in asked(report):
        light = light_of(report, one.name)
        if light is None or not hasattr(type(one.entry), "feared"):
            continue
        after = _likelihood(light, report)
        because = _because(light, one, report)
        before, why = (after, "This study has no measure against it.") if bare else _before(one.name, without, study)
        yield Risk(one.title, one.feared, one.severity, before, why, after, because)


def light_of(report: Report, question: str) -> Light | None:
    """The worst of any hospital; None where it was not tried."""
    found = [one.lights[question] for one in report.verdicts if question in one.lights]
    return max(found, key=WORST.index) if found else None


def _likelihood(light: Light, report: Report) -> str:
    if light == "green" and report.claim.epsilon and report.claim.binds_coordinator:
        return "negligible"
    return LIKELIHOOD[light]


def _because(light: Light, one: Asked, report: Report) -> str:
    own = [trial for trial in report.trials if trial.kind == one.name and trial.possible]
    said = str(one.entry.answer(own)) if own else "Nothing of this kind could be tried."
    return f"{said}{_power(one.name, report)}"


def _power(question: str, report: Report) -> str:
    """How many planted faults would have been seen."""
    own = [one for one in report.power if one.question == question]
    if not own:
        return ""
    return f" Planted faults were seen in {sum(one.seen for one in own)} of {sum(one.of for one in own)} tries."


def _before(question: str, without: Mapping[str, Any] | None, study: Study) -> tuple[str, str]:
    if without is None:
        return UNJUDGED, "Not measured here; the comparison of protections (--matrix) measures it."
    light = without.get("lights", {}).get(question) if isinstance(without.get("lights"), Mapping) else None
    if light not in LIKELIHOOD:
        return UNJUDGED, "The comparison of protections does not say."
    return LIKELIHOOD[light], f"As measured with {without.get('protection')!s}, in the comparison of protections."


def _without_measures(run: Path, study: str) -> Mapping[str, Any] | None:
    """The first row of the comparison: the study with nothing that protects."""
    folder = matrix_beside(run, study)
    rows = None if folder is None else read_json(folder, MATRIX)
    return rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], Mapping) else None


def placed(found: Sequence[Risk]) -> Mapping[tuple[str, str], tuple[list[int], list[int]]]:
    """Numbers of the risks in each cell, by severity and likelihood: before the measures, and with them."""
    cells: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for number, one in enumerate(found, 1):
        cells.setdefault((one.severity, one.before), ([], []))[0].append(number)
        cells.setdefault((one.severity, one.after), ([], []))[1].append(number)
    return cells
