"""What no attack can exceed: the chance to name one unit out of N that a private mechanism was run on.

Let an adversary know everything but one unit z, drawn from a prior, and let kappa be the best chance to be right
about z without looking: 1 / N where N units are equally likely. Let P be what the mechanism lets out with z, and Q
what it lets out without. Whatever the attack, the outputs that it answers with z are a rejection region of the test
of Q against P: on average over z its chance under Q is at most kappa, and its chance under P is the success. So the
success is at most the blow-up

    B(kappa) = sup { P(E) : Q(E) <= kappa } = 1 - T(Q, P)(kappa),

T being the trade-off function; B is concave in kappa, so that averaging over z cannot exceed it (Hayes, Mahloujifar
and Balle 2023, "Bounding training data reconstruction in DP-SGD", theorem 2; Kaissis, Hayes, Ziller and Rueckert
2023, "Bounding data reconstruction attacks with the hypothesis testing interpretation of differential privacy").
"Right" may be any relation with such a prior: the very patient, or a picture near enough.

By duality B(kappa) = inf over real epsilon of e^epsilon kappa + delta(epsilon), delta being the hockey-stick
divergence of P from Q (Dong, Roth and Su 2022, proposition 2.12). Every epsilon gives a bound, so a grid of them can
only be too high. Composition and Poisson sampling are in delta already: it is that of the pessimistic privacy loss
distribution of all releases, of adding or of removing a unit, whichever is larger.

For one Gaussian of noise multiplier s this is Phi(Phi^-1(kappa) + 1 / s), to which the tests hold it. What runs only
nearly as described, t apart in total variation, costs B(kappa + t) + t.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any

import numpy as np

from common.errors import StudyError
from common.privacy.losses import (
    ORDERS,
    composed,
    deltas_at,
    gaussians,
    interval,
    is_beyond,
    renyi,
    renyi_epsilon,
)
from common.privacy.release import Release
from common.privacy.variation import variation_of

POINTS = 801
"""Of the grid of epsilons, refined once around the best."""
LARGEST_EXPONENT = 700.0
FINE_DELTA = 1e-6
"""The grid reaches as far as epsilon at this delta: beyond, delta hardly falls, and e^epsilon kappa grows."""


def success_bound(releases: Sequence[Release], prior: float) -> float:
    """`success_bounds` of one prior."""
    return success_bounds(releases, [prior])[0]


def success_bounds(releases: Sequence[Release], priors: Sequence[float]) -> list[float]:
    """The largest chance of success that any attack on all `releases` has; never below the truth.

    Args:
        releases: all that is let out.
        priors: kappa, the best chance without them, one or more.

    Returns:
        One chance a prior.

    Raises:
        StudyError: for a prior that is no chance.
    """
    for prior in priors:
        if not 0 <= prior <= 1:
            raise StudyError(f"a prior is a chance between 0 and 1; it is {prior!r}.")
    releases = tuple(releases)
    merged, variation = gaussians(releases), variation_of(releases)
    raised = [min(1.0, prior + variation) for prior in priors]
    found = _blown_up(merged, raised) if merged else raised
    return [max(prior, min(1.0, one + variation)) for prior, one in zip(priors, found, strict=True)]


def _blown_up(merged: tuple[Release, ...], priors: Sequence[float]) -> list[float]:
    """Of the releases as described, by both accountants: the smaller holds."""
    furthest = renyi_epsilon(merged, FINE_DELTA)
    by_renyi = [_by_renyi(merged, prior) for prior in priors]
    if is_beyond(merged, furthest):
        return by_renyi
    losses, reach = composed(merged, interval(merged, furthest)), min(furthest, LARGEST_EXPONENT)
    return [min(one, _by_losses(losses, prior, reach)) for one, prior in zip(by_renyi, priors, strict=True)]


def _by_losses(losses: Any, prior: float, reach: float) -> float:
    """The dual on a grid of epsilons, and once more between the neighbours of the best."""

    def least(low: float, high: float) -> tuple[float, float, float]:
        epsilons = np.linspace(low, high, POINTS)
        removing, adding = (deltas_at(side, epsilons) for side in (losses._pmf_remove, losses._pmf_add))
        bounds = np.exp(epsilons) * prior + np.maximum(removing, adding)
        best, step = int(bounds.argmin()), (high - low) / (POINTS - 1)
        return float(bounds[best]), epsilons[best] - step, epsilons[best] + step

    coarse, low, high = least(-reach, reach)
    fine, _, _ = least(low, high)
    return min(coarse, fine)


def _by_renyi(merged: tuple[Release, ...], prior: float) -> float:
    """P(E) <= (Q(E) e^D)^((a - 1) / a), D the Renyi divergence of order a (Mironov 2017, proposition 10)."""
    if prior == 0:
        return 1.0
    divergences = sum(
        (release.steps * renyi(release.noise_multiplier, release.sampling_rate) for release in merged),
        start=np.zeros(len(ORDERS)),
    )
    orders = np.array(ORDERS)
    least = float(np.min((np.log(prior) + divergences) * (orders - 1) / orders))
    return exp(least) if least < 0 else 1.0
