"""Verdicts on findings that no attack made: what the rules of a few questions say of them, one promise given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from common.study.audit_settings import Audit
from experiments.attack import Attack
from experiments.audit.cast import Cast, cast_of
from experiments.audit.conduct import Attacked, attacked
from experiments.audit.records import Claim, Power, Report, Trial, Verdict
from experiments.audit.run import Run
from experiments.audit.verdict import verdicts

QUESTIONS = ("differences", "reconstruction", "labels")
CHEATS = "the coordinator cheats, and no check of a hospital sees it:"
CASELESS = SimpleNamespace(views=(), couples=False, optimised={})
"""A task whose single cases have a loss."""


@cache
def our_cast() -> Cast:
    return cast_of(())


def cast_for(questions: Iterable[str] = QUESTIONS, attacks: Iterable[str] = ()) -> Cast:
    """Ours, of these questions alone; of these attacks where they are named."""
    ours = our_cast()
    own: dict[str, Attack] = {name: ours.attacks[name] for name in attacks}
    return replace(ours, questions={name: ours.questions[name] for name in questions}, attacks=own or ours.attacks)


def run_for(claim: Claim, audit: Audit, task: Any = CASELESS) -> Run:
    """A run of which nothing is known but what was promised and agreed on."""
    study = SimpleNamespace(audit=audit, build_task=lambda: task, privacy=None)
    return cast(Run, SimpleNamespace(claim=claim, study=study, observed=SimpleNamespace(sites=("a",))))


def judged(
    claim: Claim,
    trials: Sequence[Trial],
    sites: Sequence[str] = ("a",),
    audit: Audit | None = None,
    power: Sequence[Power] = (),
    cast: Cast | None = None,
) -> tuple[Verdict, ...]:
    """A verdict a hospital."""
    return verdicts(sites, trials, run_for(claim, audit or Audit()), cast or cast_for(), power)


def report_of(claim: Claim, *trials: Trial, sites: Sequence[str] = ("a",)) -> Report:
    """A report that says nothing but this."""
    found = judged(claim, trials, sites)
    return Report("", "", "", "", 0, 0, {}, claim, trials, found, (), (), (), "")


def found_by(run: Run, *attacks: str) -> Attacked:
    """What these attacks of ours find in a run, by the audit's own loop."""
    questions = dict.fromkeys(cast_of(()).question_of(name) for name in attacks)
    return attacked(run, cast_for(questions, attacks))
