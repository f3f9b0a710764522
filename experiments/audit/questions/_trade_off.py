"""What a promise of noise leaves to be told: of guesses that a unit was there, how many can be right at most.

Dong, Roth and Su 2022, Gaussian Differential Privacy (JRSS B 84): a mechanism is f-DP if no test of "the unit was
there" against "it was not" has, at any rate of false alarms a, a power above 1 - f(a). For Poisson-sampled Gaussian
noise over many steps that curve follows from the distribution of losses by which epsilon is accounted: the power at a
is the least over epsilon of delta(epsilon) + e^epsilon a, and delta is worked out from above. So every curve here is
an upper bound of what such a mechanism gives away, concave, and made of straight pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.privacy.losses import composed, deltas_at, epsilon_at, gaussians, interval, renyi_epsilon
from common.privacy.release import Release
from common.privacy.variation import price, variation_of

Floats = NDArray[np.float64]
LEAST_DELTA = 1e-10
SLOPES, WIDER_CELLS = 801, 3
"""Straight pieces of a curve, and cells of losses beside those of accounting: fewer cost a little tightness (3e-4 of
epsilon), none costs truth."""


@dataclass(frozen=True)
class Roc:
    """false_alarms, power: (n,) corners, both rising from 0 to 1."""

    false_alarms: Floats
    power: Floats

    @classmethod
    def above(cls, epsilons: Floats, deltas: Floats) -> Roc:
        """The least of the lines delta + e^epsilon a. epsilons: (n,) rising."""
        slopes = np.exp(epsilons)
        crossings = (deltas[:-1] - deltas[1:]) / (slopes[1:] - slopes[:-1])
        power = deltas[:-1] + slopes[:-1] * crossings
        false_alarms = np.concatenate([[0.0], crossings[::-1], [1.0]])
        corners = np.concatenate([[deltas[-1]], power[::-1], [1.0]])
        return cls(
            np.maximum.accumulate(false_alarms.clip(0, 1)),
            np.maximum.accumulate(corners.clip(0, 1)).astype(np.float64),
        )

    def most_power(self, false_alarms: float) -> float:
        """At this rate of false alarms."""
        return float(np.interp(false_alarms, self.false_alarms, self.power))

    def least_false_alarms(self, power: float) -> float:
        """What this power costs."""
        return float(np.interp(power, self.power, self.false_alarms))

    def right_in(self, share: Floats) -> Floats:
        """Of the most suspicious share of all, half of whom were there: the most that were."""
        guessed = (self.false_alarms + self.power) / 2
        return np.asarray(np.interp(share, guessed, self.power) / (2 * share), np.float64).clip(0, 1)

    def right_out(self, share: Floats) -> Floats:
        """Of the least suspicious share: the most that were not there."""
        left = 1 - (self.false_alarms + self.power) / 2
        quiet = np.interp(share, left[::-1], (1 - self.false_alarms)[::-1])
        return np.asarray(quiet / (2 * share), np.float64).clip(0, 1)


@dataclass(frozen=True)
class TradeOff:
    """presence: of guesses that a unit was there. either: of guesses either way, the chances of those that are wrong
    added up, and of those that are right, where a unit is there with chance 1/2.

    losses: dp_accounting's distribution of them, for epsilon.
    """

    presence: Roc
    either: Roc
    losses: Any

    def epsilon(self, delta: float) -> float:
        """Of the mechanism as it is described; what its `variation` costs beside comes on top."""
        return epsilon_at(self.losses, delta)


@lru_cache(maxsize=512)
def trade_off(release: Release) -> TradeOff:
    """Of all steps of a release together."""
    merged = gaussians([release])
    by_renyi = renyi_epsilon(merged, LEAST_DELTA)
    losses = composed(merged, WIDER_CELLS * interval(merged, by_renyi))
    most = 1.1 * max(epsilon_at(losses, LEAST_DELTA), 1.0)
    epsilons = np.linspace(-most, most, SLOPES)
    extra = np.array([price(epsilon, variation_of([release])) for epsilon in epsilons])
    present, absent = (deltas_at(side, epsilons) + extra for side in (losses._pmf_remove, losses._pmf_add))
    return TradeOff(Roc.above(epsilons, present), Roc.above(epsilons, (present + absent) / 2), losses)
