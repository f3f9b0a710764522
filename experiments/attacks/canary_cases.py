"""Plants odd cases among a hospital's and tells from the model alone, before and after training, which were let in.

Images (or rows) of pure noise with a wrong label each: nothing but having been trained on them makes a model do well
on one. A fair coin says which of them are patients of the hospital. The score of one is by how much training has
raised its log-odds (see experiments/attacks/membership/lira.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from common.data.cases import Cases, SiteId
from common.errors import StudyError, first_line
from common.learning.abilities import no_case_loss
from common.study.checks import positive
from experiments.access import Need, PrivateTraining, Signals
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.canaries.claim import CanaryScores
from experiments.attacks.membership.lira import log_odds
from experiments.evidence.budget import Budget, WorkClock
from experiments.observation import Observation

NOT_HANDED = "it takes private training that can be done again, which only a simulation has"
NOTHING = Signals(np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True)
class CanaryCases:
    """canaries: cases of noise, each let in by a fair coin."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Steinke, Nasr and Jagielski 2023, Privacy auditing with one (1) training run (NeurIPS)"
    question: ClassVar[str] = "epsilon"
    needs: ClassVar[tuple[Need, ...]] = ("training",)
    called: ClassVar[str] = "planted cases"
    words: ClassVar[str] = (
        "plants odd cases among a hospital's in a training done again and counts how many the model gives away"
    )
    per: ClassVar[Per] = "site"
    share: ClassVar[float] = 0.4
    elsewhere: ClassVar[float] = 0.0

    canaries: int = 200

    def __post_init__(self) -> None:
        positive("attack", canaries=self.canaries)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Every hospital's private training, for its part of the seconds."""
        training, budget = observed.access.training, Budget(budget_seconds)
        reason = no_case_loss(observed.study.build_task()) if training else NOT_HANDED
        if reason:
            return Finding("canary_cases", observed.observer, False, reason, settings=asdict(self))
        share = budget_seconds / len(training)
        try:
            claims = tuple(self._claim(site, training[site], rng, share) for site in sorted(training))
        except StudyError as error:  # where a promise is of hospitals, no case can be put in
            return Finding("canary_cases", observed.observer, False, first_line(error), settings=asdict(self))
        settings, seconds = asdict(self), budget.spent
        return Finding("canary_cases", observed.observer, True, seconds=seconds, settings=settings, claims=claims)

    def _claim(
        self, site: SiteId, training: PrivateTraining, rng: np.random.Generator, seconds: float
    ) -> CanaryScores:
        budget, canaries = Budget(seconds, WorkClock()), canary_cases(training.cases, self.canaries, rng)
        included = rng.random(self.canaries) < 0.5
        private, taken = training.begun(canaries.take(np.flatnonzero(included))), 0
        before = private.losses(canaries)
        while taken < training.steps and (not taken or budget.left):
            private.step(NOTHING)
            taken += 1
        return CanaryScores(
            site,
            log_odds(private.losses(canaries)) - log_odds(before),
            included,
            promised=training.promised(taken),
            whole=training.promised(training.steps),
            delta=training.delta,
            apart=False,
        )


def canary_cases(cases: Cases, count: int, rng: np.random.Generator) -> Cases:
    """Noise with the mean and deviation of the hospital's inputs, truth of some case with its classes exchanged.

    Each is a patient of its own. Tasks without classes have nothing to exchange.
    """
    like = cases.take(rng.integers(0, len(cases), count))
    inputs = rng.normal(cases.inputs.mean(), cases.inputs.std() + 1e-6, like.inputs.shape).astype(np.float32)
    kinds = max(2, len(cases.classes))
    shifts = rng.integers(1, kinds, count).reshape(-1, *(1,) * (like.targets.ndim - 1))
    targets = like.targets
    if len(cases.classes) > 1:
        targets = ((targets + shifts) % kinds).astype(targets.dtype)
    patients = np.array([f"canary {number}" for number in range(count)])
    return like.with_columns(inputs=inputs, targets=targets, patients=patients)


attack: type[Attack] = CanaryCases
