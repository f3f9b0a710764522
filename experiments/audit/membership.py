"""Membership attacks on a finished run, scored: who was trained on, hospital by hospital and over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from common.cases import Cases, SiteId, concatenate
from common.seeding import generator
from experiments.attacks._budget import Budget
from experiments.audit.candidates import MOST_PATIENTS, Candidates, Question, question_of
from experiments.audit.records import Trial
from experiments.audit.roc import area_interval, curve, rate_at, rate_without_false_alarm
from experiments.membership import lira, loss_threshold, rmia, server_rounds
from experiments.membership.shadows import MOST_SHADOWS, Shadows, train_shadows
from experiments.membership.target import Floats, Target
from experiments.observation import Observation

PATIENTS_IN_ALL, VALUES_IN_ALL = 1000, 1 << 24
"""At most so many patients are asked about, and fewer where their inputs are large, so that it takes seconds."""

SHARE_FOR_ROUNDS = 0.3
"""Of the seconds: for attacks on rounds; what is left is for shadow models."""

QUESTION = "Was this patient's data used in training?"
NO_TEST_PATIENTS = "the hospital keeps no patient for tests, so there is nobody to tell members from"
FINAL = "the final model"
SHADOWS = "the final model, and these cases among others to train {count} models of the same kind on halves of them"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Scored:
    """Scores of an attack by hospital, in the order of its candidates' cases."""

    attack: str
    source: str
    knowledge: str
    scores: Mapping[SiteId, Floats]
    seconds: float
    settings: Mapping[str, object] = field(default_factory=dict)


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
    in_all = min(PATIENTS_IN_ALL, VALUES_IN_ALL // max(1, prod(observed.shape.inputs)))
    most = max(10, min(MOST_PATIENTS, in_all // len(observed.sites)))
    asked = {site: question_of(observed.study, site, most) for site in observed.sites}
    questions = {site: question for site, question in asked.items() if question is not None}
    trials: list[Trial] = []
    if questions:
        found = attacks(observed, questions, seconds, progress, shadows)
        for scored in found:
            trials += _trials(observed, scored, questions, confidence, len(found))
    trials += [_impossible(observed, site) for site, question in asked.items() if question is None]
    return tuple(trials)


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


def _trials(
    observed: Observation, scored: Scored, questions: Mapping[SiteId, Question], confidence: float, attacks: int
) -> list[Trial]:
    by_site = {site: _parted(questions[site].candidates, scores) for site, scores in scored.scores.items()}
    if len(by_site) > 1:
        members, others = (np.concatenate([pair[kind] for pair in by_site.values()]) for kind in (0, 1))
        by_site[""] = (members, others)
    trials = []
    for site, pair in by_site.items():
        alone = each_confidence(confidence, attacks, len(questions), together=not site)
        trials.append(_trial(observed, scored, site, *pair, confidence, alone))
    return trials


def each_confidence(confidence: float, attacks: int, sites: int, together: bool) -> float:
    """Of one interval, so that those of all attacks on all hospitals, and on all together, hold at once."""
    families = 2 if sites > 1 else 1
    return 1 - (1 - confidence) / (families * attacks * (1 if together else sites))


def _parted(candidates: Candidates, scores: Floats) -> tuple[Floats, Floats]:
    patients = candidates.by_patient(scores)
    return patients[candidates.member], patients[~candidates.member]


def _trial(
    observed: Observation,
    scored: Scored,
    site: SiteId,
    members: Floats,
    others: Floats,
    confidence: float,
    alone: float,
) -> Trial:
    found = {
        "auc": area_interval(members, others, alone),
        "true_positive_rate_at_0.1_percent": rate_at(members, others, 0.001, confidence),
        "true_positive_rate_at_1_percent": rate_at(members, others, 0.01, confidence),
        "true_positive_rate_without_false_alarm": rate_without_false_alarm(members, others, confidence),
    }
    intervals = {name: interval for name, interval in found.items() if interval is not None}
    counts = {"members": float(len(members)), "others": float(len(others))}
    return Trial(
        attack=scored.attack,
        kind="membership",
        observer=observed.observer,
        site=site,
        question=QUESTION,
        knowledge=scored.knowledge,
        source=scored.source,
        seconds=scored.seconds,
        figures={name: interval.value for name, interval in intervals.items()} | counts,
        intervals=intervals,
        settings={**scored.settings, "confidence": confidence, "confidence_of_one_area": alone},
        curve=curve(members, others),
    )


def _impossible(observed: Observation, site: SiteId) -> Trial:
    return Trial(
        "loss_threshold",
        "membership",
        observed.observer,
        site,
        QUESTION,
        FINAL,
        loss_threshold.SOURCE,
        possible=False,
        reason=NO_TEST_PATIENTS,
    )
