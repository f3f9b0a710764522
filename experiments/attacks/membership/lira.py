"""A case is compared with what shadow models make of it when they were, and when they were not, trained on it.

Carlini, Chien, Nasr, Song, Terzis and Tramèr 2022, Membership inference attacks from first principles (S&P). The
statistic is log(p / (1 - p)) with p = exp(-loss), which is nearly Gaussian. Few shadows do not give a deviation for
each case (their section VI-C), many do: each case's variance is drawn towards the mean of all, as much as PRIOR
degrees of freedom weigh (Smyth 2004, Linear models and empirical Bayes methods, equation 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from experiments.evidence.target_model import Floats

SOURCE = "Carlini et al. 2022, Membership inference attacks from first principles (S&P)"
SMALLEST = 1e-7
FEWEST_ONLINE = 4
"""With two shadows no case has two losses of a kind, and nothing tells how much these vary."""
PRIOR = 16.0


def log_odds(losses: Floats) -> Floats:
    """log(p / (1 - p)) of p = exp(-loss); minus the loss where a task's losses can be negative."""
    if (losses < 0).any():
        return -losses
    bounded = np.clip(losses, SMALLEST, 500.0)
    return np.asarray(-bounded - np.log(-np.expm1(-bounded)))


def online(seen: Floats, inside: Sequence[Floats], outside: Sequence[Floats]) -> Floats:
    """(N,) log-likelihood of the target's statistic among shadows trained on the case, less that among the others.

    seen: (N,) of the target. inside, outside: of every case, by shadow. Algorithm 1, but that what training on
    a case changes is drawn towards the mean of all, as far as few shadows are unsure of it: chance turns its sign.
    """
    middle_in, spread_in = moments(inside)
    middle_out, spread_out = moments(outside)
    unsure = spread_in**2 / [len(one) for one in inside] + spread_out**2 / [len(one) for one in outside]
    gain, centre = _drawn_together(middle_in - middle_out, unsure), (middle_in + middle_out) / 2
    with_it = norm.logpdf(seen, centre + gain / 2, spread_in)
    return np.asarray(with_it - norm.logpdf(seen, centre - gain / 2, spread_out))


def _drawn_together(gains: Floats, unsure: Floats) -> Floats:
    """Gains of variance `unsure` towards their mean (James and Stein 1961); a case learned is never known less."""
    common = max(float(gains.mean()), 0.0)
    between = max(float(gains.var() - unsure.mean()), 0.0)
    return np.asarray(np.maximum(common + between / (between + unsure) * (gains - common), 0.0))


def offline(seen: Floats, outside: Sequence[Floats]) -> Floats:
    """(N,) how far the target's statistic lies above that of shadows that never saw the case, in deviations.

    It orders cases as equation 4's one-sided probability does, and does not saturate.
    """
    middle, spread = moments(outside)
    return np.asarray((seen - middle) / spread)


def moments(by_case: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(N,) means and deviations; of single shadows the deviation is that of all means."""
    means = np.array([one.mean() for one in by_case])
    squares = np.array([((one - one.mean()) ** 2).sum() for one in by_case])
    freedom = np.array([len(one) - 1 for one in by_case], np.float64)
    common = squares.sum() / freedom.sum() if freedom.any() else means.var()
    variances = (PRIOR * common + squares) / (PRIOR + freedom)
    return means, np.maximum(np.sqrt(variances), 1e-6)
