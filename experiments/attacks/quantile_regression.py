"""A case is compared with what a model would make of a case like it that nobody trained on.

Bertran, Tang, Roth, Kearns, Morgenstern and Wu 2023, Scalable membership inference attacks via quantile regression
(NeurIPS). No shadow model is trained: on others' cases, of whom nobody trained on any, it is learned how well the
final model does on a case with such inputs and such a truth, as a Gaussian whose mean and deviation depend on the case
(their section 3, the Gaussian likelihood). A member lies high in its own distribution. So few cases allow no network:
both are ridge regressions on the inputs' main directions and the truth, the mean's penalty by generalised
cross-validation (Golub, Heath and Wahba 1979), the deviation from residuals of cases left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.lira import log_odds
from experiments.attacks.membership.pool import FINAL_MODEL, KNOWLEDGE, Pool, found, missing
from experiments.attacks.membership.target import Floats, Target
from experiments.evidence.budget import Budget
from experiments.observation import Observation

FEWEST = 20
VALUES = 1024
"""Of an input."""
PENALTIES = np.logspace(-3, 5, 33)
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


def features_of(cases: Cases, directions: int) -> Floats:
    """(N, F): of the inputs' main directions, in deviations; of the truth, each class' share or its mean; products."""
    inputs = np.stack([_sampled(case.reshape(-1)) for case in cases.pieces("inputs")])
    centred = inputs - inputs.mean(0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(directions, int((lengths > 1e-9 * max(lengths[0], 1e-30)).sum()))
    main = left[:, :kept] * np.sqrt(len(cases))
    truth = _truth(cases)
    products = (main[:, :, None] * truth[:, None, :]).reshape(len(cases), -1)
    return np.hstack([main, truth, products])


def _sampled(values: NDArray[np.floating]) -> Floats:
    """So many at most, evenly spread; cases may differ in size."""
    return np.asarray(values[np.linspace(0, len(values) - 1, VALUES).round().astype(int)], np.float64)


def _truth(cases: Cases) -> Floats:
    """(N, C) share of each class in a case's truth, or (N, 1) its mean where it is real numbers."""
    found = []
    for index in range(len(cases)):
        values = np.asarray(cases.columns["targets"].gather(slice(index, index + 1))[0]).reshape(-1)
        if cases.classes:
            found.append(np.bincount(values.astype(np.int64), minlength=len(cases.classes)) / max(1, len(values)))
        else:
            found.append(np.array([values.astype(np.float64).mean() if len(values) else 0.0]))
    return np.asarray(found) - np.mean(found, axis=0)


def deviations(features: Floats, seen: Floats, strangers: NDArray[np.bool_]) -> Floats:
    """(N,) how far each lies above what strangers let expect of it, in expected deviations."""
    mean, left_out = _ridge(features, seen, strangers)
    squares = np.log(np.maximum(left_out**2, LEAST_SQUARE))
    spread, _ = _ridge(features, squares, strangers, learned_from=squares)
    scale = np.sqrt(np.mean(left_out**2 / np.exp(spread[strangers])))
    return np.asarray((seen - mean) / np.maximum(scale * np.exp(spread / 2), LEAST_SQUARE))


def _ridge(
    features: Floats, values: Floats, rows: NDArray[np.bool_], learned_from: Floats | None = None
) -> tuple[Floats, Floats]:
    """Predictions (N,) of all, and residuals (R,) of `rows` left out one by one; the penalty by cross-validation.

    learned_from: (R,) the values of `rows`, where not those of `values`.
    """
    known = values[rows] if learned_from is None else learned_from
    centre, middle = features[rows].mean(0), known.mean()
    left, lengths, right = np.linalg.svd(features[rows] - centre, full_matrices=False)
    turned = left.T @ (known - middle)
    best: tuple[float, Floats, Floats] | None = None
    for penalty in PENALTIES:
        shrunk = lengths**2 / (lengths**2 + penalty)
        hat = 1 / len(known) + (left**2 * shrunk).sum(1)
        residuals = known - middle - left @ (shrunk * turned)
        validated = float(np.mean(residuals**2) / max(1 - hat.mean(), 1e-6) ** 2)
        if best is None or validated < best[0]:
            weights = right.T @ (lengths / (lengths**2 + penalty) * turned)
            best = validated, weights, residuals / np.maximum(1 - hat, 1e-6)
    assert best is not None
    return (features - centre) @ best[1] + middle, best[2]


def _too_few(observed: Observation) -> str:
    population = observed.access.population
    many = 0 if population is None else len(population)
    return "" if many >= FEWEST else f"of {many} strangers' cases nothing can be learned; it needs {FEWEST}"


attack: type[Attack] = QuantileRegression
