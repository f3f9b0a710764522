"""Canaries as cases: what an auditor measures who may only put cases into the data and see the model that comes out.

Images (or rows) of pure noise with a wrong label each: nothing but having been trained on them makes a model do well
on one. A fair coin says which of them are patients of the hospital. The score of one is by how much training has
raised its log-odds (see experiments/attacks/membership/lira.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.data.cases import Cases, concatenate
from experiments.attacks.membership.lira import log_odds
from experiments.audit.questions._epsilon_bounds import Floats, Measured, measured_epsilon

Trained = Callable[[Cases, Cases], tuple[Floats, Floats]]
"""Trains on the first cases; losses (m,) of the second before, and after."""


def audit_cases(
    trained: Trained,
    cases: Cases,
    count: int,
    delta: float,
    confidence: float,
    rng: np.random.Generator,
) -> Measured:
    """Train once on the hospital's cases and those canaries that the coins choose; say how much that gave away."""
    canaries = canary_cases(cases, count, rng)
    included = rng.random(count) < 0.5
    before, after = trained(concatenate([cases, canaries.take(np.flatnonzero(included))]), canaries)
    return measured_epsilon(log_odds(after) - log_odds(before), included, delta, confidence)


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
