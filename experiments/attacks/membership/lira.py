"""A case is compared with what shadow models make of it when they were, and when they were not, trained on it.

Carlini, Chien, Nasr, Song, Terzis and Tramèr 2022, Membership inference attacks from first principles (S&P). The
statistic is log(p / (1 - p)) with p = exp(-loss), which is nearly Gaussian. Deviations are pooled over all cases,
since few shadows do not give one for each (their section VI-C).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from experiments.attacks.membership.shadows import Shadows
from experiments.attacks.membership.target import Floats

SOURCE = "Carlini et al. 2022, Membership inference attacks from first principles (S&P)"
SMALLEST = 1e-7
FEWEST_ONLINE = 4
"""With two shadows no case has two losses of a kind, and nothing tells how much these vary."""


def log_odds(losses: Floats) -> Floats:
    """log(p / (1 - p)) of p = exp(-loss); minus the loss where a task's losses can be negative."""
    if (losses < 0).any():
        return -losses
    bounded = np.clip(losses, SMALLEST, 500.0)
    return np.asarray(-bounded - np.log(-np.expm1(-bounded)))


def lira_online(losses: Floats, shadows: Shadows) -> Floats:
    """(N,) log-likelihood of the target's statistic among shadows trained on the case, less that among the others.

    losses: (N,) of the target, for the cases of the shadows' pool. Algorithm 1.
    """
    inside, inside_spread = _moments(shadows.inside)
    outside, outside_spread = _moments(shadows.outside)
    seen = log_odds(losses)
    with_it = norm.logpdf(seen, inside, inside_spread)
    return np.asarray(with_it - norm.logpdf(seen, outside, outside_spread))


def lira_offline(losses: Floats, shadows: Shadows) -> Floats:
    """(N,) how far the target's statistic lies above that of shadows that never saw the case, in deviations.

    It orders cases as equation 4's one-sided probability does, and does not saturate.
    """
    outside, spread = _moments(shadows.outside)
    return np.asarray((log_odds(losses) - outside) / spread)


def _moments(by_case: list[Floats]) -> tuple[Floats, float]:
    """Mean of every case, and one deviation for all; of single shadows, that over cases."""
    statistics = [log_odds(losses) for losses in by_case]
    means = np.array([one.mean() for one in statistics])
    freedom = sum(len(one) - 1 for one in statistics)
    squares = float(sum(((one - one.mean()) ** 2).sum() for one in statistics))
    spread = np.sqrt(squares / freedom) if freedom else means.std()
    return means, max(float(spread), 1e-6)
