"""The most exposed patients: who stands out in what all attacks on membership say together.

An attack that is no better than guessing over all patients may still be sure of a few. Every attack's scores of a
hospital's patients are brought to normal scores and added up (Stouffer 1949 of ranks), and those members count who
stand above everybody who was not trained on. By chance the first k of M members and N others are all members once in
C(M + N, k) / C(M, k) times; fewer than that are named to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from common.data.cases import SiteId
from experiments.audit.questions._joint_chance import Level, Parted
from experiments.audit.records import Trial

RANKS, PLACES, ATTACKS = "ranks", "places", "attacks_counted"
"""Settings of a trial: ranks of the hospital's patients, the highest the surest to be a member; who each is, by its
place among the hospital's persons in training, 0 of others; attacks of the whole audit, and one for all together."""


@dataclass(frozen=True)
class Exposed:
    """places: who is named, the most exposed first, by their place among the hospital's persons in training.

    above: by how many attacks alone each is placed above everybody who was not trained on. asked: members in all.
    chance: that so many are named where nothing leaked, over all that was tried.
    """

    site: SiteId
    places: tuple[int, ...]
    above: tuple[int, ...]
    asked: int
    chance: float


def exposed(site: SiteId, trials: Sequence[Trial], allowed: float, sites: int) -> Exposed | None:
    """Of one hospital; None where no attack asked about it. allowed: chance of a false alarm over all that was tried.

    sites: that were asked about.
    """
    own = [trial for trial in trials if trial.site == site and trial.possible and RANKS in trial.settings]
    if not own:
        return None
    ranks = np.array([trial.settings[RANKS] for trial in own], np.float64)
    places = np.array(own[0].settings[PLACES], np.int64)
    together = norm.ppf(ranks / (ranks.shape[1] + 1)).sum(0)
    parted = Parted(together[places > 0], together[places == 0])
    named = np.flatnonzero((places > 0) & (together > together[places == 0].max()))
    named = named[np.argsort(-together[named], kind="stable")]
    above = ((ranks > ranks[:, places == 0].max(1, keepdims=True)).sum(0))[named]
    level = Level(allowed, int(own[0].settings[ATTACKS]), sites)
    chance = level.jointly(parted.chance_of_named, site)
    return Exposed(site, tuple(places[named].tolist()), tuple(above.tolist()), int((places > 0).sum()), chance)


def ranked(scores: NDArray[np.float64]) -> list[float]:
    """(P,) as they are kept with a trial."""
    return [float(rank) for rank in rankdata(scores)]
