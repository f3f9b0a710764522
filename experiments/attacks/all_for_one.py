"""Models of the other hospitals are shadow models that cost nothing: they never trained on this hospital's patients.

Zhu et al. 2025, FedMIA: an effective membership inference attack exploiting the "all for
one" principle in federated learning (CVPR). A case's measure under its own hospital's update is compared with that
under each other hospital's of the same round. Both of their measures are taken, the loss of the model after a
hospital's local steps and the cosine of the case's gradient with the hospital's update, and added up over rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.data.cases import Cases, SiteId
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.lira import log_odds
from experiments.attacks.membership.pool import by_hospital
from experiments.attacks.membership.rounds import Move, local_models, moves_of, read_of_rounds, spread
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Floats, Target, standardised
from experiments.observation import Observation

FEWEST_OTHERS = 2
LEAST_DEVIATION = 1e-9


@dataclass(frozen=True)
class AllForOne:
    """rounds: so many are looked at, evenly spread."""

    sees: ClassVar[Sees] = "each"
    source: ClassVar[str] = (
        "Zhu et al. 2025, FedMIA: an effective membership inference attack exploiting all for one (CVPR)"
    )
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    called: ClassVar[str] = "comparing a hospital's update with the others'"
    words: ClassVar[str] = "compares what a hospital's update says of a patient with what the others' updates say"

    rounds: int = 8

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are sums over measures of the standardised mean deviation from the other hospitals."""
        if len({one.site for one in observed.singles}) <= FEWEST_OTHERS:
            reason = "sees no single updates of three hospitals, of which two stand for models that never saw a case"
            return Finding("all_for_one", observed.observer, False, reason)

        def scored(site: SiteId, cases: Cases, budget: Budget) -> Floats | None:
            return self._scores(observed, site, cases, budget)

        return by_hospital("all_for_one", self, observed, budget_seconds, scored, read_of_rounds(observed))

    def _scores(self, observed: Observation, site: SiteId, cases: Cases, budget: Budget) -> Floats | None:
        target = Target.of(observed)
        moves = {other: {move.round: move for move in moves_of(observed, other)} for other in observed.sites}
        models = {other: local_models(observed, other) for other in observed.sites}

        def cosine(other: SiteId, number: int) -> Floats | None:
            move: Move | None = moves[other].get(number)
            return None if move is None else target.cosines(move.parameters, cases, move.descent)

        def odds(other: SiteId, number: int) -> Floats | None:
            model = models[other].get(number)
            return None if model is None else log_odds(target.losses(model, cases))

        found: Mapping[Callable[[SiteId, int], Floats | None], list[Floats]] = {odds: [], cosine: []}
        for number in spread(sorted(moves.get(site, {})), self.rounds):
            if found[cosine] and budget.left == 0:
                break
            for measure in found:
                deviation = _beyond_others(site, [one for one in observed.sites if one != site], number, measure)
                found[measure].extend([] if deviation is None else [deviation])
        parts = [standardised(np.mean(kept, axis=0)) for kept in found.values() if kept]
        return np.sum(parts, axis=0) if parts else None


def _beyond_others(
    site: SiteId, others: list[SiteId], number: int, measure: Callable[[SiteId, int], Floats | None]
) -> Floats | None:
    """(N,) how far the hospital's measure lies above the others', in deviations, which are drawn to their mean."""
    own = measure(site, number)
    theirs = [one for other in others if (one := measure(other, number)) is not None]
    if own is None or len(theirs) < FEWEST_OTHERS:
        return None
    spread_of = np.var(theirs, axis=0, ddof=1)
    return np.asarray((own - np.mean(theirs, axis=0)) / np.sqrt(spread_of + spread_of.mean() + LEAST_DEVIATION))


attack: type[Attack] = AllForOne
