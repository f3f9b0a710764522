"""A case is compared with other cases: a member is one on which the model has learned more than it would anyway.

Zarifzadeh, Liu and Shokri 2024, Low-cost high-power membership inference attacks (ICML). The ratio of a case is
p(case | target) / p(case), the latter the mean over shadows, in half of which it was. The score is the share of
population cases whose ratio it exceeds `gamma` times (equations 2 to 5). It works with two shadows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.study.checks import positive
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.by_shadows import by_shadows
from experiments.attacks.membership.pool import Pool
from experiments.attacks.membership.shadows import MOST_SHADOWS, Shadows
from experiments.evidence.target_model import Floats
from experiments.observation import Observation

LARGEST_LOSS = 500.0


@dataclass(frozen=True)
class Rmia:
    """shadows: at most so many models are trained. gamma: how many times a ratio must be that of another case."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Zarifzadeh et al. 2024, Low-cost high-power membership inference attacks (ICML)"
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 2.0
    called: ClassVar[str] = "comparing with other people's cases (RMIA)"
    words: ClassVar[str] = "asks on which patients the final model has learned more than it would have anyway"

    shadows: int = MOST_SHADOWS
    gamma: float = 1.0

    def __post_init__(self) -> None:
        positive("attack", gamma=self.gamma)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are shares of the population. Shadows draw from the study's seed, so that all attacks share them."""

        def scored(losses: Floats, shadows: Shadows, pool: Pool) -> Floats:
            others = pool.others if pool.others.any() else np.ones(len(losses), np.bool_)
            return shares_beaten(losses, shadows.losses, others, self.gamma)

        return by_shadows("rmia", self, observed, budget_seconds, self.shadows, scored)


def shares_beaten(losses: Floats, by_shadow: Floats, population: NDArray[np.bool_], gamma: float = 1.0) -> Floats:
    """(N,) the share of the population that each case beats; of those that beat equally many, the higher ratio first.

    losses: (N,) of the target; by_shadow: (S, N). population: (N,) which of them to compare with.
    """
    ratios = np.exp(log_ratios(losses, by_shadow))
    beaten = (ratios[:, None] >= gamma * ratios[population][None]).mean(1)
    order = ratios.argsort(kind="stable").argsort(kind="stable")
    return np.asarray(beaten + order / (2.0 * len(losses) * max(1, int(population.sum()))))


def log_ratios(losses: Floats, by_shadow: Floats) -> Floats:
    """(N,) log of p = exp(-loss) under the target over the mean p under (S, N) shadows, held within +-500."""
    mean = np.logaddexp.reduce(-by_shadow, axis=0) - np.log(len(by_shadow))
    return np.asarray(np.clip(-losses - mean, -LARGEST_LOSS, LARGEST_LOSS))


attack: type[Attack] = Rmia
