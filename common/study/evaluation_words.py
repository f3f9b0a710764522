"""Which model a study begins from or scores, and what leaves of its scores, in sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from common.study.own_weights import brings_weights, digest_of_weights, network_of, tasks_of
from common.study.study import Study

CURVES = ("auc", "decision", "calibration", "confusion")
"""Scores that are counts of cases by bin or by class, and say more of single cases than a mean does."""


def model_facts(study: Study) -> Sequence[str]:
    """The same words stand in `wardround check` and in what a hospital is told before it approves."""
    return (*_start(study), *_network(study), *_alone(study), *_scores(study))


def _start(study: Study) -> Sequence[str]:
    if study.start is None:
        return ()
    start = study.start
    part = f"of its part {start.part!r} the parameters" if start.part else "its parameters"
    part += f" {', '.join(start.only)}" * bool(start.only) + f" but {', '.join(start.fresh)}" * bool(start.fresh)
    known = start.sha256 or "not said: a simulation fills it in"
    rest = ", and all others from the seed" if start.part or start.only or start.fresh else ""
    return (
        f"It begins from a model of the coordinator's, {start.model!r}: {part}{rest}. SHA-256 of what is taken "
        f"of it: {known}. Each hospital refuses any other. What it learned of those it was trained on is in it.",
    )


def _network(study: Study) -> Sequence[str]:
    network = network_of(study.task)
    if network is not None and network.name == "auto":
        return (
            "Its network configures itself: at the start hospitals are asked, by sums alone, what their images are "
            "like (analysis 'fingerprint'), and spacing, patch, levels, batch and normalisation follow. wardround "
            "plan STUDY says them beforehand.",
        )
    if network is None or not brings_weights(study.task):
        return ()
    digest = digest_of_weights(study.task) or "not said: a simulation takes the file as it is"
    return (
        f"Its network is a file, {network.options.get('file')!r}, which each hospital installs and runs itself. "
        f"SHA-256 of it: {digest}. Each hospital refuses any other.",
    )


def _alone(study: Study) -> Sequence[str]:
    return () if study.rounds else ("Nothing is trained: the model is scored once, and scores alone leave.",)


def _scores(study: Study) -> Sequence[str]:
    named = [name for name in tasks_of(study.task)[-1].options.get("scores", ()) if name in CURVES]
    said = []
    if named:
        said.append(
            f"Beside means, scores leave as counts of cases by bin of the model's answer or by class "
            f"({', '.join(named)}): of few cases a bin tells more than a mean does."
        )
    if study.federation.final_intervals:
        said.append(
            "With the final scores leave sums over patients of their squares, for confidence intervals, and how many "
            "patients were scored."
        )
    return (*said, *_subgroups(study))


def _subgroups(study: Study) -> Sequence[str]:
    if not study.report.subgroups:
        return ()
    named = "; ".join(f"{one.column} ({', '.join(one.cells)})" for one in study.report.groupings)
    return (
        f"With the final scores leave scores of groups of test persons by {named}, and how many persons each holds. "
        f"No hospital tells of a group of fewer than {study.report.least_cell} of its persons (least_cell), nor "
        "what would give one away by sums and differences of all groups of this study. Of a group that one hospital "
        "alone has, or that only one may tell of, that is its own score.",
    )
