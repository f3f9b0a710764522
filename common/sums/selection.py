"""Which of many are drawn in a round: hospitals, or groups of them."""

from __future__ import annotations

from collections.abc import Iterable

from common.data.names import SiteId
from common.errors import TooFewHospitalsError
from common.seeding import entropy


def select(sites: Iterable[SiteId], fraction: float, seed: int, round_number: int) -> tuple[SiteId, ...]:
    """m = max(round(C K), 1) of the K sites at random, sorted: McMahan et al. 2017, Algorithm 1.

    fraction: C in [0, 1]; halves round to even. Every site draws a number from (seed, round, site), and the m
    lowest go, so neither the order of the sites nor who else takes part changes a draw. Raises
    TooFewHospitalsError where there is no site.
    """
    drawn = sorted(sites, key=lambda site: entropy(seed, round_number, site, "selection"))
    if not drawn:
        raise TooFewHospitalsError("there is no hospital to select from.")
    return tuple(sorted(drawn[: how_many(len(drawn), fraction)]))


def how_many(count: int, fraction: float) -> int:
    """m of `count`, at least 1; halves round to even."""
    return max(round(fraction * count), 1)
