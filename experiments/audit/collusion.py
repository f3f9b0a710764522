"""Hospitals that collude with the coordinator, played: they say what they sent, and what is left of a sum is read.

The auditor plays the colluders: only their hospitals are opened again before the attacks. The others' are opened
afterwards, to measure how exactly their update was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.data.cases import SiteId
from common.errors import StudyError
from common.sums.aggregations._agreement import read_agreement
from common.sums.update import Update
from experiments.audit.records import Claim, Opening
from experiments.evidence.observing import without
from experiments.evidence.recomputed_updates import Orders, computed_update, error_bound, own_updates
from experiments.observation import Observation, Summed

SYSTEM = "operating system"
NO_SUM = "no sum of two or more hospitals was made in this run"
SECRET = (
    "what the colluders sent has noise of the operating system, which they know and the auditor cannot draw again"
)


@dataclass(frozen=True)
class Collusion:
    """One group of colluders. observed: what they and the coordinator then read; opening: how exactly."""

    observed: Observation
    opening: Opening


def collusions(observed: Observation, orders: Orders, claim: Claim) -> tuple[Collusion, ...]:
    """All hospitals against the one of the fewest cases, in its first round; then as few as the protocol bears.

    observed: the coordinator's view. Where nothing can be played, one that says why.
    """
    chosen = _round_of_the_smallest(observed)
    reason = NO_SUM if chosen is None else SECRET if claim.noise_source == SYSTEM else ""
    if chosen is None or reason:
        return (_impossible(observed, reason),)
    one, victim = chosen
    others = sorted((site for site in one.sites if site != victim), key=lambda site: (-observed.cases[site], site))
    try:
        own = own_updates(observed.study, orders, others, [one.round])
        groups = dict.fromkeys((len(others), min(claim.opening_hospitals, len(others))))
        return tuple(_played(observed, orders, one, own, others[:count]) for count in groups if count)
    except StudyError as error:
        return (_impossible(observed, str(error).rstrip(".")),)


def hospitals_asked(observed: Observation, orders: Orders) -> int:
    """How many hospitals agreed on the sum that is attacked; all of them where none was made."""
    chosen = _round_of_the_smallest(observed)
    if chosen is None or observed.singles:
        return len(observed.sites)
    return len(read_agreement(orders[chosen[0].round, chosen[1]]).sites)


def _round_of_the_smallest(observed: Observation) -> tuple[Summed, SiteId] | None:
    """The first sum that has the hospital of the fewest cases in it, and that hospital."""
    sums = [one for one in observed.sums if len(one.sites) > 1]
    inside = {site for one in sums for site in one.sites}
    if not inside:
        return None
    victim = min(inside, key=lambda site: (observed.cases[site], site))
    return next(one for one in sums if victim in one.sites), victim


def _played(
    observed: Observation,
    orders: Orders,
    one: Summed,
    own: Mapping[tuple[int, SiteId], Update],
    colluders: Sequence[SiteId],
) -> Collusion:
    told = {(number, site): update for (number, site), update in own.items() if site in colluders}
    seen = without(replace(observed, singles=(), sums=(one,)), told)
    read = seen.sums[0].update if seen.sums else seen.singles[0].update
    left = tuple(site for site in one.sites if site not in colluders)
    largest = max(float(np.abs(vector).max()) for vector in one.update.vectors)
    stated = error_bound(observed.study, orders[one.round, left[0]], len(one.sites), len(left), largest)
    true = [computed_update(observed.study, orders, site, one.round) for site in left]
    return Collusion(seen, Opening(one.round, tuple(sorted(colluders)), left, *_measured(read, true, stated)))


def _measured(read: Update, true: Sequence[Update], stated: float) -> tuple[float, float, float]:
    """The largest error of any number, the stated one, and the largest number."""
    sums = [
        np.sum([update.vectors[k].astype(np.float64) for update in true], axis=0) for k in range(len(read.vectors))
    ]
    error = max(float(np.abs(a - b).max()) for a, b in zip(read.vectors, sums, strict=True))
    return error, stated, max(float(np.abs(vector).max()) for vector in sums)


def _impossible(observed: Observation, reason: str) -> Collusion:
    nothing = replace(observed, observer="colluding", singles=(), sums=())
    return Collusion(nothing, Opening(0, (), (), 0.0, 0.0, 0.0, reason))
