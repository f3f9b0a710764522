"""What stands beside every epsilon: of an exchange, of k units that belong together, of one person in k hospitals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

from common.privacy.group_privacy import group_epsilon, several_hospitals_epsilon, substitution_epsilon
from common.privacy.release import Release

RELATED = (2, 3, 5)
"""How many related units, or hospitals with one person's data, are told of."""


@lru_cache(maxsize=256)
def exchanged(releases: tuple[Release, ...], delta: float) -> float | None:
    """Epsilon, at delta, where one unit's data are exchanged for another's; None: without bound."""
    return _bounded(substitution_epsilon(releases, delta))


@lru_cache(maxsize=256)
def together(releases: tuple[Release, ...], delta: float, k: int) -> float | None:
    """Epsilon, at delta, where k units are all there or all absent; None: without bound."""
    return _bounded(group_epsilon(releases, delta, k))


def in_hospitals(hospitals: Sequence[Sequence[Release]], delta: float) -> float | None:
    """Epsilon, at delta, of one unit in all of these, each with noise of its own: epsilons add up. None: no bound."""
    return _bounded(several_hospitals_epsilon(hospitals, delta))


def _bounded(epsilon: float) -> float | None:
    return epsilon if isfinite(epsilon) else None
