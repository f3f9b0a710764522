"""A person's cases are asked about together, since what one leaves in a model may be too little to tell.

What one scan leaves may be too little, what ten leave need not be (Kandpal, Pillutla, Oprea,
Kairouz, Choquette-Choo and Xu 2024, User inference attacks on large language models, EMNLP; of hospitals' subjects
Suri, Kanani, Marathe and Peterson 2022, Subject membership inference attacks in federated learning). The statistic is
the mean log-odds of a person's cases, compared as in LiRA with what shadow models make of it that were, and were not,
trained on that person. A person's cases are alike, so that no deviation is worked out from that of single cases: it
is taken over persons of as many cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.by_shadows import by_shadows
from experiments.attacks.membership.lira import FEWEST_ONLINE, log_odds, online
from experiments.attacks.membership.pool import Pool, missing
from experiments.attacks.membership.shadows import MOST_SHADOWS, Shadows
from experiments.evidence.target_model import Floats
from experiments.observation import Observation

SINGLE = "no person has more than one case, so that asking about a person is asking about a case"


@dataclass(frozen=True)
class UserLevel:
    """shadows: at most so many models are trained."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Kandpal et al. 2024, User inference attacks on large language models (EMNLP)"
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 1.0
    called: ClassVar[str] = "putting all cases of a patient together"
    words: ClassVar[str] = "compares the final model with models trained with and without all cases of a patient"

    shadows: int = MOST_SHADOWS

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """All cases of a person have its score. Shadows draw from the study's seed: all attacks share them."""
        if reason := missing(observed) or _all_single(observed):
            return Finding("user_level", observed.observer, False, reason)
        return by_shadows("user_level", self, observed, budget_seconds, self.shadows, by_person, FEWEST_ONLINE)


def by_person(losses: Floats, shadows: Shadows, pool: Pool) -> Floats:
    """(N,) log-likelihood ratio of each case's person."""
    counts = np.bincount(pool.persons)
    seen = _means(log_odds(losses), pool.persons, counts)
    by_shadow = np.stack([_means(log_odds(one), pool.persons, counts) for one in shadows.losses])
    first = np.unique(pool.persons, return_index=True)[1]
    included = shadows.included[:, first]
    scores = np.zeros(len(counts))
    for many in np.unique(counts):
        alike = np.flatnonzero(counts == many)
        inside = [by_shadow[included[:, person], person] for person in alike]
        outside = [by_shadow[~included[:, person], person] for person in alike]
        scores[alike] = online(seen[alike], inside, outside)
    return np.asarray(scores[pool.persons])


def _means(values: Floats, persons: np.ndarray, counts: np.ndarray) -> Floats:
    return np.asarray(np.bincount(persons, values) / counts)


def _all_single(observed: Observation) -> str:
    several = any(len(np.unique(cases.patients)) < len(cases) for cases in observed.access.candidates.values())
    return "" if several else SINGLE


attack: type[Attack] = UserLevel
