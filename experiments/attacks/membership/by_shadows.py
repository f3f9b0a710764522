"""What all attacks with shadow models do: train them, look at the final model, claim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experiments.attack import Finding
from experiments.attacks.membership.pool import KNOWLEDGE, Pool, found, missing
from experiments.attacks.membership.shadows import Shadows, settings_of, shadows_of
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Floats, Target
from experiments.observation import Observation

USED = "the final model, and these cases among others to train {count} models of the same kind on halves of them"


def by_shadows(
    name: str,
    attack: Any,
    observed: Observation,
    seconds: float,
    most: int,
    scored: Callable[[Floats, Shadows, Pool], Floats],
    fewest: int = 2,
) -> Finding:
    """The finding of scores that are made of the target's losses (N,) of the pool, and of the shadows'.

    fewest: shadows that it needs.
    """
    if reason := missing(observed):
        return Finding(name, observed.observer, False, reason)
    budget = Budget(seconds)
    pool, shadows = shadows_of(observed, seconds, most)
    if len(shadows) < fewest:
        reason = f"its seconds sufficed for {len(shadows)} shadow models, and it needs {fewest}"
        return Finding(name, observed.observer, False, reason, budget.spent)
    losses = Target.of(observed).losses(observed.final_model, pool.cases)
    scores = scored(losses, shadows, pool)
    settings = {**settings_of(pool, shadows), KNOWLEDGE: USED.format(count=len(shadows))}
    return found(name, attack, observed, budget, pool.claims(scores), settings)
