"""Membership attacks on a finished run, scored: who was trained on, hospital by hospital and over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases, SiteId, concatenate
from common.learning.abilities import no_case_loss
from common.seeding import generator
from experiments.attacks.membership import lira, loss_threshold, rmia, server_rounds
from experiments.attacks.membership.shadows import MOST_SHADOWS, Shadows, train_shadows
from experiments.attacks.membership.target import Floats, Target
from experiments.audit.membership_scores import QUESTION, Scored, scored_trials
from experiments.audit.records import Trial
from experiments.evidence.budget import Budget
from experiments.evidence.membership_samples import MOST_PATIENTS, Question, question_of
from experiments.observation import Observation

PATIENTS_IN_ALL, VALUES_IN_ALL = 1000, 1 << 24
"""At most so many patients are asked about, and fewer where their inputs are large, so that it takes seconds."""

SHARE_FOR_ROUNDS = 0.3
"""Of the seconds: for attacks on rounds; what is left is for shadow models."""

NO_TEST_PATIENTS = "the hospital keeps no patient for tests, so there is nobody to tell members from"
FINAL = "the final model"
SHADOWS = "the final model, and these cases among others to train {count} models of the same kind on halves of them"

Progress = Callable[[str], None]


def membership_trials(
    observed: Observation,
    confidence: float,
    seconds: float,
    progress: Progress = lambda _: None,
    shadows: int = MOST_SHADOWS,
) -> tuple[Trial, ...]:
    """Every attack on every hospital, and on all of them together where there are several.

    Takes about `seconds`, or less where it gets as far as `shadows` models; then it can be repeated exactly. The
    hospitals are opened for the cases to ask about and for which of them were trained on. confidence: that all
    intervals of an area hold at once (Bonferroni), half of what is left for all hospitals together; those of rates
    hold each alone.
    """
    if reason := no_case_loss(observed.study.build_task()):
        return tuple(_impossible(observed, site, reason) for site in observed.sites)
    questions = _questions(observed)
    found = attacks(observed, questions, seconds, progress, shadows) if questions else []
    trials = [
        trial for scored in found for trial in scored_trials(observed, scored, questions, confidence, len(found))
    ]
    return (*trials, *(_impossible(observed, site) for site in observed.sites if site not in questions))


def _questions(observed: Observation) -> dict[SiteId, Question]:
    """Whom to ask about, of every hospital that keeps patients for tests."""
    in_all = min(PATIENTS_IN_ALL, VALUES_IN_ALL // max(1, prod(observed.shape.inputs)))
    most = max(10, min(MOST_PATIENTS, in_all // len(observed.sites)))
    asked = {site: question_of(observed.study, site, most, observed.sites) for site in observed.sites}
    return {site: question for site, question in asked.items() if question is not None}


def attacks(
    observed: Observation,
    questions: Mapping[SiteId, Question],
    seconds: float,
    progress: Progress,
    shadows: int = MOST_SHADOWS,
) -> list[Scored]:
    """Scores of all attacks. They get the candidates without the answers."""
    cases = {site: question.candidates.cases for site, question in questions.items()}
    found = []
    for name, attack in (
        ("loss_threshold", _by_threshold),
        ("losses_over_rounds", _by_losses),
        ("gradient_cosines", _by_cosines),
    ):
        progress(name)
        scored = attack(observed, cases, seconds * SHARE_FOR_ROUNDS / 2)
        found += [] if scored is None else [scored]
    progress("shadow models")
    return found + _by_shadows(observed, questions, seconds * (1 - SHARE_FOR_ROUNDS), shadows)


def _by_threshold(observed: Observation, cases: Mapping[SiteId, Cases], seconds: float) -> Scored:
    begun = perf_counter()
    scores = {site: loss_threshold.loss_threshold(observed, own) for site, own in cases.items()}
    return Scored("loss_threshold", loss_threshold.SOURCE, FINAL, scores, perf_counter() - begun)


def _by_losses(observed: Observation, cases: Mapping[SiteId, Cases], seconds: float) -> Scored | None:
    if len(observed.models) < 2:
        return None
    budget = Budget(seconds)
    scores = {
        site: server_rounds.losses_over_rounds(observed, site, own, budget.part(1 / (len(cases) - place)))
        for place, (site, own) in enumerate(cases.items())
    }
    return Scored("losses_over_rounds", server_rounds.LOSSES_SOURCE, _read(observed), scores, budget.spent)


def _by_cosines(observed: Observation, cases: Mapping[SiteId, Cases], seconds: float) -> Scored | None:
    budget = Budget(seconds)
    scores = {}
    for place, (site, own) in enumerate(cases.items()):
        each = server_rounds.gradient_cosines(observed, site, own, budget.part(1 / (len(cases) - place)))
        if each is not None:
            scores[site] = each
    if not scores:
        return None
    return Scored("gradient_cosines", server_rounds.COSINE_SOURCE, _read(observed), scores, budget.spent)


def _read(observed: Observation) -> str:
    if observed.singles:
        return "the models of all rounds and every hospital's single updates"
    if observed.sums:
        return "the models of all rounds and sums of all hospitals' updates"
    return "the models of all rounds"


def _by_shadows(
    observed: Observation, questions: Mapping[SiteId, Question], seconds: float, most: int
) -> list[Scored]:
    """One set of shadow models serves all hospitals and attacks."""
    begun = perf_counter()
    asked = [question.candidates.cases for question in questions.values()]
    others = [question.population for question in questions.values() if len(question.population)]
    pool = concatenate([*asked, *others])
    rng = generator(observed.study.seed, "shadow models")
    shadows = train_shadows(observed, pool, rng, seconds, most)
    losses = Target.of(observed).losses(observed.final_model, pool)
    end = sum(len(cases) for cases in asked)
    population = np.arange(len(pool)) >= (end if others else 0)
    spent = perf_counter() - begun
    settings = {"shadows": len(shadows), "shadow_rounds": shadows.rounds, "pool_cases": len(pool)}
    return [
        Scored(name, source, SHADOWS.format(count=len(shadows)), _cut(scores, questions), spent, settings)
        for name, source, scores in _shadow_scores(losses, shadows, population)
    ]


def _shadow_scores(losses: Floats, shadows: Shadows, population: NDArray[np.bool_]) -> list[tuple[str, str, Floats]]:
    online = [("lira_online", lira.SOURCE, lira.lira_online(losses, shadows))]
    return [
        *(online if len(shadows) >= lira.FEWEST_ONLINE else []),
        ("lira_offline", lira.SOURCE, lira.lira_offline(losses, shadows)),
        ("rmia", rmia.SOURCE, rmia.rmia(losses, shadows, population)),
    ]


def _cut(scores: Floats, questions: Mapping[SiteId, Question]) -> dict[SiteId, Floats]:
    """Every hospital's part of the pool's scores."""
    found, start = {}, 0
    for site, question in questions.items():
        found[site] = scores[start : start + len(question.candidates.cases)]
        start += len(question.candidates.cases)
    return found


def _impossible(observed: Observation, site: SiteId, reason: str = NO_TEST_PATIENTS) -> Trial:
    return Trial(
        "loss_threshold",
        "membership",
        observed.observer,
        site,
        QUESTION,
        FINAL,
        loss_threshold.SOURCE,
        possible=False,
        reason=reason,
    )
