"""The last line of every strategy's step: the model, moved."""

from __future__ import annotations

import numpy as np

from common.errors import DivergedError
from common.sums.update import Sum, Vector


def moved(parameters: Vector, change: Sum) -> Vector:
    """`parameters` + `change`, added in float64 and rounded once: (P,) float32.

    Raises DivergedError where the result is not finite in float32, so that a diverged model is never sent out.
    """
    exact = np.add(parameters, change, dtype=np.float64)
    largest = np.finfo(np.float32).max
    if not (-largest <= exact.min(initial=0.0) and exact.max(initial=0.0) <= largest):
        count = int(np.sum(~(np.abs(exact) <= largest)))
        raise DivergedError(
            f"the model diverged: {count} of {exact.size} parameters are no longer finite. "
            "Lower strategy.learning_rate or training.learning_rate."
        )
    return exact.astype(np.float32)
