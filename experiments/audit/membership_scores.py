"""Scores of a membership attack as trials: areas, rates and curves, hospital by hospital and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.data.cases import SiteId
from experiments.attacks.membership.target import Floats
from experiments.audit.questions._roc import area_interval, curve, rate_at, rate_without_false_alarm
from experiments.audit.records import Interval, Trial
from experiments.evidence.membership_samples import Candidates, Question
from experiments.observation import Observation

QUESTION = "Was this patient's data used in training?"


@dataclass(frozen=True)
class Scored:
    """Scores of an attack by hospital, in the order of its candidates' cases."""

    attack: str
    source: str
    knowledge: str
    scores: Mapping[SiteId, Floats]
    seconds: float
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Parted:
    """Scores of patients, those who were trained on (members,) and those who were not (others,)."""

    members: Floats
    others: Floats

    def intervals(self, confidence: float, alone: float) -> dict[str, Interval]:
        """Of the area with confidence `alone`, of rates with `confidence`; without those that so few cannot show."""
        found = {
            "auc": area_interval(self.members, self.others, alone),
            "true_positive_rate_at_0.1_percent": rate_at(self.members, self.others, 0.001, confidence),
            "true_positive_rate_at_1_percent": rate_at(self.members, self.others, 0.01, confidence),
            "true_positive_rate_without_false_alarm": rate_without_false_alarm(self.members, self.others, confidence),
        }
        return {name: interval for name, interval in found.items() if interval is not None}

    @property
    def counts(self) -> dict[str, float]:
        """How many patients were asked about."""
        return {"members": float(len(self.members)), "others": float(len(self.others))}


def scored_trials(
    observed: Observation, scored: Scored, questions: Mapping[SiteId, Question], confidence: float, attacks: int
) -> list[Trial]:
    """One a hospital, and one of all together where there are several. confidence: as `membership_trials` has it."""
    by_site = {site: _parted(questions[site].candidates, scores) for site, scores in scored.scores.items()}
    if len(by_site) > 1:
        by_site[""] = _pooled(list(by_site.values()))
    trials = []
    for site, parted in by_site.items():
        alone = each_confidence(confidence, attacks, len(questions), together=not site)
        trials.append(_trial(observed, scored, site, parted, confidence, alone))
    return trials


def each_confidence(confidence: float, attacks: int, sites: int, together: bool) -> float:
    """Of one interval, so that those of all attacks on all hospitals, and on all together, hold at once."""
    families = 2 if sites > 1 else 1
    return 1 - (1 - confidence) / (families * attacks * (1 if together else sites))


def _parted(candidates: Candidates, scores: Floats) -> Parted:
    patients = candidates.by_patient(scores)
    return Parted(patients[candidates.member], patients[~candidates.member])


def _pooled(parted: Sequence[Parted]) -> Parted:
    return Parted(np.concatenate([one.members for one in parted]), np.concatenate([one.others for one in parted]))


def _trial(
    observed: Observation, scored: Scored, site: SiteId, parted: Parted, confidence: float, alone: float
) -> Trial:
    intervals = parted.intervals(confidence, alone)
    return Trial(
        scored.attack,
        "membership",
        observed.observer,
        site,
        QUESTION,
        scored.knowledge,
        scored.source,
        seconds=scored.seconds,
        figures={name: interval.value for name, interval in intervals.items()} | parted.counts,
        intervals=intervals,
        settings={**scored.settings, "confidence": confidence, "confidence_of_one_area": alone},
        curve=curve(parted.members, parted.others),
    )
