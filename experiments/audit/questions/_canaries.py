"""How attacks with canaries are scored: the canary test's light, bounds beside it, and faults that are planted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from common.errors import StudyError
from common.privacy.accounting import epsilon_of
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Finding
from experiments.attacks.canaries.claim import CanaryScores
from experiments.audit.questions._canary_results import bounds_of, chance_of
from experiments.audit.records import Interval, Reason, Trial
from experiments.audit.run import Run
from experiments.evidence.audited_training import training_of, why_not
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.planted import CONSTANT, DOUBLE_CLIP, HALF_NOISE, LAYER_LEFT_OUT, NO_NOISE, faults_of
from experiments.question import Attempt, Plant

NAME = "canary test"
ASKED = "Does the training give away more of single cases than was promised?"
ALARM = 0.001
"""How often a run that keeps its promise gets a red light from all hospitals' canaries together, at most."""
CHANCE, LEVEL = "chance_if_as_promised", "level"
LOWER_BOUND = "epsilon_lower_bound"
ANY_MECHANISM, OWN_NOISE = "epsilon_lower_bound_any_mechanism", "epsilon_lower_bound_own_noise"
SPENT = "epsilon_claimed_for_audited_steps"
PLANTED = (NO_NOISE, HALF_NOISE, DOUBLE_CLIP, CONSTANT, LAYER_LEFT_OUT)
"""Faults that can give single units away more than is claimed; batches of a fixed size alone, and a step that the
auditor does not see, cannot."""
PLANTED_ATTACK, PLANTED_REPEATS = "gradient_canaries", 5
PLANTED_PART, LEAST_PLANTED_STEPS, MOST_PLANTED_STEPS = 7, 150, 600
"""All of these steps are made, whatever the seconds: half the noise is seen in a part of them, and no slow machine
makes a test weaker."""
FEWEST = 10
"""Of canaries that say anything."""
MEND = "Do not rely on this run's promise: noise or clipping is not what was claimed. Find the defect and run again."
RED = (
    "Of {canaries:.0f} {what} planted in training, more are told apart than the promised noise allows ({name}): by "
    "chance in fewer than 1 of {times:.0f} audits"
)
TOO_FEW = "So few steps are not powerful enough to tell: planted faults are looked for in more of them."
MEASURE = "Measure again with more time."
GREEN = "Of {canaries:.0f} {what} planted in training, no more are told apart than the promised noise allows ({name})"


def is_of(trial: Trial) -> bool:
    """Whether the trial is of canaries."""
    return CHANCE in trial.figures


def scored(attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
    """A trial a hospital. Of a planted fault only the light is asked for, so there are no bounds."""
    trial = attempt.trial(ASKED, finding)
    if not finding.possible:
        return (trial,)
    claims = [claim for claim in finding.claims if isinstance(claim, CanaryScores)]
    for claim in claims:
        _check(claim)
    confidence = run.study.audit.confidence
    alone = 1 - (1 - confidence) / max(attempt.tries, 1)
    level = ALARM / (len(run.observed.sites) + 1)
    found = [_of_claim(trial, claim, level) for claim in claims]
    if attempt.adversary:
        found = [_bounded(one, claim, alone) for one, claim in zip(found, claims, strict=True)]
    return [replace(one, settings={**one.settings, "confidence": confidence}) for one in found]


def _check(claim: CanaryScores) -> None:
    """Raises StudyError for scores that cannot be put in order: what released them is no number either."""
    told = (claim.scores, claim.included)
    if any(one.ndim != 1 or len(one) != len(claim.scores) for one in told) or claim.included.dtype != np.bool_:
        raise StudyError("its scores and coins are not one of each for every canary")
    if len(claim.scores) < FEWEST or not np.isfinite(claim.scores).all():
        raise StudyError(
            f"{len(claim.scores)} scores, of which {int((~np.isfinite(claim.scores)).sum())} are no numbers, "
            "tell nothing: what was released was no number either, or too little"
        )


def _of_claim(trial: Trial, claim: CanaryScores, level: float) -> Trial:
    figures = {
        CHANCE: chance_of(claim.promised, claim.scores, claim.included, claim.apart),
        "canaries": float(len(claim.scores)),
        "included": float(claim.included.sum()),
        "steps": float(claim.promised.steps),
        "steps_of_study": float(claim.whole.steps),
        "epsilon_claimed": epsilon_of([claim.whole], claim.delta).epsilon,
        SPENT: epsilon_of([claim.promised], claim.delta).epsilon,
    }
    told = {LEVEL: level, "delta": claim.delta, "beside_the_hospitals_own_cases": claim.beside_own}
    return replace(trial, site=claim.site, figures={**trial.figures, **figures}, settings={**trial.settings, **told})


def _bounded(trial: Trial, claim: CanaryScores, confidence: float) -> Trial:
    bounds = bounds_of(claim.promised, claim.scores, claim.included, claim.delta, confidence, claim.apart)
    found = bounds.any_mechanism
    figures = {
        LOWER_BOUND: bounds.same_trade_off,
        ANY_MECHANISM: found.lower_bound,
        "guesses": float(found.guesses),
        "correct": float(found.correct),
        "epsilon_estimate": found.estimate,
    }
    if bounds.own_noise is not None:
        figures[OWN_NOISE] = bounds.own_noise
    intervals = {"epsilon_estimate": Interval(found.estimate, found.estimate_low, found.estimate_high)}
    settings = {**trial.settings, "confidence_of_one_bound": confidence}
    return replace(trial, figures={**trial.figures, **figures}, intervals=intervals, settings=settings)


def reasons(trial: Trial) -> Iterator[Reason]:
    """Red where so many right guesses are all but impossible under the claim, else green."""
    chance = trial.figures[CHANCE]
    if chance < float(trial.settings[LEVEL]):
        times = min(1 / max(chance, 1e-9), 1e9)
        yield "red", _told(RED, trial, times), MEND
    elif is_of_fewer_steps(trial):
        yield "amber", f"{_told(GREEN, trial, 0.0)} {TOO_FEW}", MEASURE
    else:
        yield "green", _told(GREEN, trial, 0.0), ""


def is_of_fewer_steps(trial: Trial) -> bool:
    """Whether fewer noisy steps were looked at than planted faults are shown in: their power is not this trial's."""
    figures = trial.figures
    return trial.attack == PLANTED_ATTACK and figures["steps"] < planted_steps(int(figures["steps_of_study"]))


def _told(words: str, trial: Trial, times: float) -> str:
    is_test = trial.attack == PLANTED_ATTACK
    name, what = (NAME, "signals") if is_test else (trial.attack, "odd cases")
    return words.format(name=name, what=what, times=times, canaries=trial.figures["canaries"]) + _part(trial)


def _part(trial: Trial) -> str:
    """How much of the promise was measured, with the bounds beside the light."""
    figures = trial.figures
    some = figures["steps"] < figures["steps_of_study"]
    steps = f" in {figures['steps']:.0f} of {figures['steps_of_study']:.0f} noisy steps" if some else ""
    if LOWER_BOUND not in figures:
        return f"{steps}."
    return (
        f"{steps}. Epsilon is at least {figures[LOWER_BOUND]:.2f} if the noise is of the promised kind, of whatever "
        f"size, and {figures[SPENT]:.3g} may be spent"
        f"{' on these' if some else ''}."
    )


def planted_steps(steps: int) -> int:
    """Of a study's so many, those in which planted faults are looked for."""
    return min(steps, max(LEAST_PLANTED_STEPS, min(steps // PLANTED_PART, MOST_PLANTED_STEPS)))


def plants(run: Run) -> Iterator[Plant]:
    """Faults of the mechanism's own code, in a part of its steps and on canaries alone, which is quick."""
    if why_not(run.study) or not run.observed.sites:
        return
    site = run.observed.sites[0]
    hospital = hospital_of(run.study, site)
    steps = planted_steps(training_of(hospital).steps)
    can = {fault.name for fault in faults_of(hospital)}
    for fault in (one for one in PLANTED if one.name in can):
        for repeat in range(PLANTED_REPEATS):
            training = training_of(hospital, fault, repeat + 1, steps)
            view = View(replace(run.observed, access=Access(training={site: training})), site)
            yield Plant(fault.name, view, attacks=(PLANTED_ATTACK,))
