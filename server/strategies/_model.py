"""The last line of every strategy's step: the model, moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.errors import DivergedError
from common.sums.update import Sum, Vector

VALUES_A_BLOCK = 1 << 16


def moved(parameters: Vector, change: Sum) -> Vector:
    """`parameters` + `change`, added in float64 and rounded once: (P,) float32.

    Raises DivergedError where the result is not finite in float32, so that a diverged model is never sent out.
    """
    return moved_by(parameters, lambda part: change[part])


def moved_by(parameters: Vector, change: Callable[[slice], Sum]) -> Vector:
    """As `moved`. change: a part of it; of a large model there is never a whole in float64."""
    after, diverged = np.empty(parameters.shape, np.float32), 0
    largest = np.finfo(np.float32).max
    for start in range(0, parameters.size, VALUES_A_BLOCK):
        part = slice(start, start + VALUES_A_BLOCK)
        exact = np.add(parameters[part], change(part), dtype=np.float64)
        if not (-largest <= exact.min() and exact.max() <= largest):
            diverged += int(np.sum(~(np.abs(exact) <= largest)))
        else:
            after[part] = exact
    if diverged:
        raise DivergedError(
            f"the model diverged: {diverged} of {parameters.size} parameters are no longer finite. "
            "Lower strategy.learning_rate or training.learning_rate."
        )
    return after
