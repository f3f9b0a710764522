"""What it costs that a mechanism runs only nearly as described: a distance in total variation, charged to delta.

Let M be what runs, and I the mechanism as described, on any data at most t apart in total variation. If I keeps
(epsilon, d), then for neighbours D and E and any event

    P[M(D)] <= P[I(D)] + t <= e^epsilon P[I(E)] + d + t <= e^epsilon P[M(E)] + d + (1 + e^epsilon) t,

so M keeps (epsilon, d + (1 + e^epsilon) t). Distances of several steps add up. Of delta a share is set aside for the
last term, and epsilon is that of I at what is left: the first of SHARES that is large enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp, inf, log, log1p

from common.privacy.release import Release

SHARES = (0.01, 0.1, 0.5, 0.9)
"""Of delta. Mechanisms are set up so that the first, 1 in 100, is enough for all that they planned to do."""

LEAST_CHARGE = SHARES[0]
_LARGEST_EXPONENT = 700.0


def variation_of(releases: Iterable[Release]) -> float:
    """The total variation of all steps together, at most."""
    return sum(release.variation * release.steps for release in releases)


def price(epsilon: float, variation: float) -> float:
    """What it takes of delta: (1 + e^epsilon) times the variation."""
    if not variation:
        return 0.0
    return (1 + exp(epsilon)) * variation if epsilon < _LARGEST_EXPONENT else inf


def charged(epsilon_at: Callable[[float], float], delta: float, variation: float) -> float:
    """Epsilon at `delta` where the steps described keep epsilon_at(their delta); infinite if no share suffices."""
    if not variation:
        return epsilon_at(delta)
    for share in SHARES:
        epsilon = epsilon_at(delta * (1 - share))
        if price(epsilon, variation) <= share * delta:
            return epsilon
    return inf


def affordable(epsilon: float, delta: float) -> float:
    """The variation that LEAST_CHARGE of delta pays for; 0 where epsilon is beyond all use.

    A millionth less than exactly so much, for sums of steps that round upwards.
    """
    exponent = log(LEAST_CHARGE * delta * (1 - 1e-6)) - epsilon - log1p(exp(-epsilon))
    return exp(exponent) if exponent > -_LARGEST_EXPONENT else 0.0
