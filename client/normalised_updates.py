"""Hospital halves of FedNova and q-FedAvg: a change that is weighed, and the number by which the server divides.

Both are sums like any other update; the number travels as a mean weighed by cases, in the same sum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from client.training import DIVERGED
from common.errors import HospitalError
from common.learning.client_work import CURVATURE, REACH, Training
from common.sums.mean import LARGEST_UNITS, UNITS_PER_ONE, Mean
from common.sums.update import Update

SMALLEST_LOSS = 1e-10
"""Added to a loss before a power is taken of it: that of 0 to q - 1 is infinite. As Flower has it."""
WEIGHT_UNIT = 1024.0
"""Means are weighed by cases over this: a mean holds 4 million in all, and these are steps times cases."""


def normalised(update: Update, steps: int, training: Training, proximal_mu: float) -> Update:
    """FedNova: the change over |a_k|, and |a_k| beside it."""
    far = reach(steps, training.momentum, training.learning_rate * proximal_mu)
    return _weighed(update, 1 / far, REACH, far)


def reach(steps: int, momentum: float, pull: float) -> float:
    """|a_k|_1: how many gradients the change is the sum of (Wang et al. 2020, FedNova, section 4).

    After `steps` of v <- momentum v + g + pull / rate (x - x_0); x <- x - rate v, of gradients that are all 1: the
    paper's closed forms where only one of momentum and pull is there, worked out step by step, so for both too.
    pull: the rate times mu.
    """
    moved = velocity = 0.0
    for _ in range(steps):
        velocity = momentum * velocity + 1 - pull * moved
        moved += velocity
    if not np.isfinite(moved) or moved <= 0:
        raise HospitalError("local steps overshoot: lower training.learning_rate or strategy.proximal_mu.")
    return moved


def fair(update: Update, loss_before: float, q: float, learning_rate: float) -> Update:
    """q-FedAvg: the change times F^q, and h_k / L beside it (Li et al. 2020, algorithm 2), L = 1 / learning_rate.

    h_k = q F^(q-1) |L dw|^2 + L F^q, with F the mean loss of the received model. Raises HospitalError where it is
    below 0: there is no such power of it.
    """
    if loss_before < 0:
        raise HospitalError("q-FedAvg weighs by powers of the loss, and the task's can be below 0.")
    loss = loss_before + SMALLEST_LOSS
    change = update.vectors[0].astype(np.float64) / update.weight
    curvature = q * loss ** (q - 1) * float(change @ change) / learning_rate + loss**q
    return _weighed(update, loss**q, CURVATURE, curvature)


def _weighed(update: Update, factor: float, name: str, beside: float) -> Update:
    vector, units = update.vectors[0].astype(np.float64) * factor, update.weight / WEIGHT_UNIT * UNITS_PER_ONE
    if not (beside * units <= LARGEST_UNITS and np.abs(vector).max(initial=0.0) <= np.finfo(np.float32).max):
        raise HospitalError(DIVERGED)
    mean = Mean(round(beside * units), round(units))
    return replace(update, vectors=(vector.astype(np.float32),), statistics={**update.statistics, name: mean})
