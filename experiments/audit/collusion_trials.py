"""Inversion on what colluding hospitals opened, as trials of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from common.seeding import generator
from common.study.options import Entry
from experiments.attack import Attack
from experiments.audit.collusion import Collusion
from experiments.audit.inversion_trials import Plan, trial_of
from experiments.audit.records import Opening, Trial
from experiments.catalogue import ATTACKS
from experiments.evidence.ground_truth import Truth, all_cases
from server.reporting.wording import count

ON_ONE, ON_SEVERAL = ("analytic", "bottleneck", "matching"), ("analytic",)
"""Attacks, quickest first, by whether one hospital's update is left or a sum."""
QUESTION = (
    "Can a patient's data be rebuilt from what is left of a sum, if other hospitals collude with the coordinator?"
)


def collusion_trials(
    played: Sequence[Collusion], seconds: float, advance: Callable[[str], None], pictures: bool = True
) -> list[Trial]:
    """Each attack has an equal share of what others left of the seconds."""
    chosen = [(one, name) for one in played for name in (ON_ONE if len(one.opening.left) < 2 else ON_SEVERAL)]
    everybody = all_cases(played[0].observed.study, played[0].observed.sites)
    trials, left = [], seconds
    for index, (one, name) in enumerate(chosen):
        advance(f"{name}, {len(one.opening.colluders)} hospitals colluding")
        trial = _trial(one, name, left / (len(chosen) - index), everybody, pictures, len(chosen))
        left = max(left - trial.seconds, 0.0)
        trials.append(trial)
    return trials


def _trial(one: Collusion, name: str, seconds: float, everybody: Truth, pictures: bool, tries: int) -> Trial:
    attack, opening = cast(Attack, ATTACKS.build(Entry(name))), one.opening
    site = opening.left[0] if len(opening.left) == 1 else ""
    rng = generator(one.observed.study.seed, "audit", "colluding", name, *opening.left)
    finding = attack.run(one.observed, rng, seconds)
    if opening.reason:
        finding = replace(finding, possible=False, reason=opening.reason)
    trial = trial_of(Plan(name, site, one.observed), attack, finding, everybody, pictures, tries)
    settings = {**trial.settings, "round": opening.round, "colluders": [*opening.colluders], "left": [*opening.left]}
    figures = {**_figures(opening), **trial.figures} if trial.possible else {}
    return replace(trial, question=QUESTION, knowledge=_knowledge(opening), settings=settings, figures=figures)


def _figures(opening: Opening) -> dict[str, float]:
    return {
        "colluding_hospitals": float(len(opening.colluders)),
        "largest_error_of_opening": opening.largest_error,
        "stated_error_of_opening": opening.stated_error,
        "largest_value_of_opening": opening.largest_value,
    }


def _knowledge(opening: Opening) -> str:
    return (
        f"the models sent out, a sum of updates, what {count(len(opening.colluders), 'colluding hospital')} put into "
        "it, every setting of the study"
    )
