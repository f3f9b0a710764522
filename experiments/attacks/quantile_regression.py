"""A case is compared with what a model would make of a case like it that nobody trained on.

Bertran, Tang, Roth, Kearns, Morgenstern and Wu 2023, Scalable membership inference attacks via quantile regression
(NeurIPS). No shadow model is trained: on others' cases, of whom nobody trained on any, it is learned how well the
final model does on a case with such inputs and such a truth, as a Gaussian whose mean and deviation depend on the
case (their section 3, the Gaussian likelihood). A member lies high in its own distribution. So few cases allow no
network: both are ridge regressions on the inputs' main directions and the truth, the mean's penalty by generalised
cross-validation (Golub, Heath and Wahba 1979), the deviation from residuals of cases left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks._case_features import features_of
from experiments.attacks._ridge import ridge
from experiments.attacks.membership.lira import log_odds
from experiments.attacks.membership.pool import FINAL_MODEL, KNOWLEDGE, Pool, found, missing
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Floats, Target
from experiments.observation import Observation

FEWEST = 20
LEAST_SQUARE = 1e-8


@dataclass(frozen=True)
class QuantileRegression:
    """directions: of the inputs, so many at most are told apart by."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Bertran et al. 2023, Scalable membership inference attacks via quantile regression (NeurIPS)"
    )
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates", "population")
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 0.2
    called: ClassVar[str] = "comparing with what such a case usually gives"
    words: ClassVar[str] = "asks on which patients the final model does better than on strangers like them"

    directions: int = 16

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are how far a case's log-odds (lira.py) lie above their expected mean, in expected deviations."""
        if reason := missing(observed) or _too_few(observed):
            return Finding("quantile_regression", observed.observer, False, reason)
        budget, pool = Budget(budget_seconds), Pool.of(observed)
        seen = log_odds(Target.of(observed).losses(observed.final_model, pool.cases))
        features = features_of(pool.cases, self.directions)
        scores = deviations(features, seen, pool.others)
        settings = {"population_cases": int(pool.others.sum()), KNOWLEDGE: f"{FINAL_MODEL}, and strangers' cases"}
        return found("quantile_regression", self, observed, budget, pool.claims(scores), settings)


def deviations(features: Floats, seen: Floats, strangers: NDArray[np.bool_]) -> Floats:
    """(N,) how far each lies above what strangers let expect of it, in expected deviations."""
    means = ridge(features[strangers], seen[strangers], features)
    squares = np.log(np.maximum(means.left_out**2, LEAST_SQUARE))
    spread = ridge(features[strangers], squares, features).predictions
    scale = np.sqrt(np.mean(means.left_out**2 / np.exp(spread[strangers])))
    return np.asarray((seen - means.predictions) / np.maximum(scale * np.exp(spread / 2), LEAST_SQUARE))


def _too_few(observed: Observation) -> str:
    population = observed.access.population
    many = 0 if population is None else len(population)
    return "" if many >= FEWEST else f"of {many} strangers' cases nothing can be learned; it needs {FEWEST}"


attack: type[Attack] = QuantileRegression
