"""All cases that an attack on membership is handed, as one pool, and its scores as claims hospital by hospital."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases, SiteId, concatenate
from common.learning.abilities import no_case_loss
from experiments.attack import Finding, Membership
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Floats
from experiments.observation import Observation

FINAL_MODEL = "the final model"
KNOWLEDGE = "knowledge"
"""Setting of a finding: what it used, in words, where that is less than all that was seen."""


@dataclass(frozen=True)
class Pool:
    """cases: (N,) of the candidates, hospital by hospital, then of the population.

    persons: (N,) number of the person of every case. parts: where each hospital's candidates lie. others: (N,) which
    are of the population.
    """

    cases: Cases
    persons: NDArray[np.int64]
    parts: dict[SiteId, slice]
    others: NDArray[np.bool_]

    @classmethod
    def of(cls, observed: Observation) -> Pool:
        """Of what the attack is handed; there must be candidates."""
        candidates, population = observed.access.candidates, observed.access.population
        parts, start = {}, 0
        for site, cases in candidates.items():
            parts[site] = slice(start, start + len(cases))
            start += len(cases)
        both = [*candidates.values(), *([population] if population is not None else [])]
        pool = concatenate(both)
        persons = np.unique(pool.patients, return_inverse=True)[1].reshape(-1)
        return cls(pool, persons, parts, np.arange(len(pool)) >= start)

    def claims(self, scores: Floats) -> tuple[Membership, ...]:
        """Every hospital's part of the scores, (N,) of the pool or of the candidates alone."""
        return tuple(Membership(scores[part], site) for site, part in self.parts.items())


def missing(observed: Observation, by_loss: bool = True) -> str:
    """Why nobody can be asked about; empty where somebody can."""
    if not observed.access.candidates:
        return "no hospital keeps patients for tests, so there is nobody to tell members from"
    return no_case_loss(observed.study.build_task()) if by_loss else ""


def by_hospital(
    name: str,
    attack: Any,
    observed: Observation,
    seconds: float,
    scored: Callable[[SiteId, Cases, Budget], Floats | None],
    knowledge: str,
    by_loss: bool = True,
) -> Finding:
    """The finding of an attack that asks about one hospital's candidates after the other, each with its share.

    by_loss: whether it asks for the loss of one case.
    """
    if reason := missing(observed, by_loss):
        return Finding(name, observed.observer, False, reason)
    budget, claims, candidates = Budget(seconds), [], observed.access.candidates
    for place, (site, cases) in enumerate(candidates.items()):
        scores = scored(site, cases, budget.part(1 / (len(candidates) - place)))
        claims += [] if scores is None else [Membership(scores, site)]
    if not claims:
        return Finding(name, observed.observer, False, "sees no two models that training lies between")
    return found(name, attack, observed, budget, tuple(claims), {KNOWLEDGE: knowledge})


def found(
    name: str,
    attack: Any,
    observed: Observation,
    budget: Budget,
    claims: tuple[Membership, ...],
    settings: dict[str, Any],
) -> Finding:
    """A finding with all that one needs to do it again."""
    return Finding(
        name,
        observed.observer,
        True,
        seconds=budget.spent,
        settings={**asdict(attack), **settings},
        claims=claims,
    )
