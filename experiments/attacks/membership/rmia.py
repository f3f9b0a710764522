"""A case is compared with other cases: on which has the model learned more than it would have anyway?

Zarifzadeh, Liu and Shokri 2024, Low-cost high-power membership inference attacks (ICML). The ratio of a case is
p(case | target) / p(case), the latter the mean over shadows, in half of which it was. The score is the share of
population cases whose ratio it exceeds `gamma` times (equations 2 to 5). It works with two shadows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.attacks.membership.shadows import Shadows
from experiments.attacks.membership.target import Floats

SOURCE = "Zarifzadeh et al. 2024, Low-cost high-power membership inference attacks (ICML)"
GAMMA = 1.0
LARGEST_LOSS = 500.0


def rmia(losses: Floats, shadows: Shadows, population: NDArray[np.bool_], gamma: float = GAMMA) -> Floats:
    """(N,) the share of the population that each case beats; of those that beat equally many, the higher ratio first.

    losses: (N,) of the target, for the cases of the shadows' pool. population: (N,) which of them to compare with.
    """
    ratios = np.exp(log_ratios(losses, shadows.losses))
    beaten = (ratios[:, None] >= gamma * ratios[population][None]).mean(1)
    order = ratios.argsort(kind="stable").argsort(kind="stable")
    return np.asarray(beaten + order / (2.0 * len(losses) * max(1, int(population.sum()))))


def log_ratios(losses: Floats, by_shadow: Floats) -> Floats:
    """(N,) log of p = exp(-loss) under the target over the mean p under (S, N) shadows, held within +-500."""
    mean = np.logaddexp.reduce(-by_shadow, axis=0) - np.log(len(by_shadow))
    return np.asarray(np.clip(-losses - mean, -LARGEST_LOSS, LARGEST_LOSS))
