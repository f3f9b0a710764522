"""How likely each canary was in training, from what was released along it in every step.

In one step a canary that is sampled with chance q adds 1 to what is released along it, in units of the clip norm, and
noise of some deviation s; one that is not in the training set adds nothing. The step's likelihood ratio at x is
1 - q + q exp((2 x - 1) / (2 s^2)), and the score is the sum of its logarithms (Neyman and Pearson 1933: no other
score tells more, if the noise is normal and drawn anew).

Nothing is read of how much noise there was: s comes from places beside the canaries, where nobody has a gradient, and
so does whatever all places share in a step. Where these places show that noise is repeated from step to step, the
middle of what a place releases over all steps is taken out; and a place whose values spread unlike those of others
gets a deviation of its own. So noise that is there and hides nothing is seen through. Whatever the noise, a score is
a function of what was released along its own canary, and of places without any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Received = NDArray[np.float32]

RARELY = 0.25
"""Up to this chance the middle of a canary's steps is one in which it had no part."""
ENOUGH_STEPS = 32
"""Fewer have no middle that is known well enough."""
LEAST_DEVIATION = 1e-3
"""In clip norms: of no noise at all the ratio would be infinite."""
UNLIKE_OTHERS = (0.6, 1.6)
REPEATED = 2.0
"""Of places' means over all steps, how many times the variance that fresh noise would give them."""
MIDDLE_SPREAD = 0.6744897501960817
"""Median of a normal draw's distance from its middle, in deviations."""


def likelihood_ratios(along: Received, beside: Received, sampling_rate: float) -> Floats:
    """(m,) log-likelihood ratios of having been in the training set.

    along: (T, m) released along each canary in each step, less what others put there, in clip norms. beside: (T, F)
    the same at places without a canary; F of 2 or more.
    """
    shared = beside.mean(axis=1, keepdims=True)
    values, others = along - shared, beside - shared
    ratios = np.ones(along.shape[1], np.float32)
    if sampling_rate <= RARELY and len(along) >= ENOUGH_STEPS:
        if len(others) * others.mean(axis=0).var() > REPEATED * others.var():
            values, others = values - np.median(values, axis=0), others - np.median(others, axis=0)
        ratios = _unlike_others(values, others)
    deviation = np.maximum(others.std(axis=1, keepdims=True) * ratios, LEAST_DEVIATION)
    return _ratios(values, deviation, sampling_rate)


def _unlike_others(values: Received, others: Received) -> Received:
    """(m,) of each place's spread over the others', 1 unless it is far from that."""
    spread = np.median(np.abs(values), axis=0) / MIDDLE_SPREAD
    usual = max(float(np.median(np.abs(others), axis=0).mean()) / MIDDLE_SPREAD, LEAST_DEVIATION)
    ratios, (low, high) = spread / usual, UNLIKE_OTHERS
    return np.where((ratios < low) | (ratios > high), ratios, 1).astype(np.float32)


def _ratios(values: Received, deviation: Received, rate: float) -> Floats:
    exponents = (2 * values - 1) / (2 * deviation**2)
    if rate < 1:
        exponents = np.logaddexp(np.float32(np.log1p(-rate)), np.float32(np.log(rate)) + exponents)
    return np.asarray(exponents.sum(axis=0, dtype=np.float64), np.float64)
