"""A run's verdict on collapse, from its rounds and its final evaluation."""

from __future__ import annotations

from server.collapse import Look, Verdict, verdict
from server.reporting.records import Run


def collapse_of(run: Run) -> Verdict:
    """Of a task that is not watched: of no look."""
    if not run.about.watched:
        return Verdict((), ())
    evaluations = [one.evaluation for one in run.rounds if one.evaluation is not None]
    split = evaluations[-1].split if evaluations else "validation"
    looks = [Look(one.of_round, one.pooled, one.sites) for one in evaluations if one.split == split]
    if split in run.final:
        looks.append(Look(run.model_round, run.final[split].pooled, run.final[split].sites))
    cases = {one.site: one.cases.get(split, 0) for one in run.roster.holdings}
    return verdict(run.about.watched, looks, cases)
