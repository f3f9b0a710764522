"""Which sets of hospitals a coordinator can have sums of, over all rounds of a study: honest, or cheating."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from common.data.cases import SiteId
from common.study.study import Study
from common.sums.abilities import abilities, can
from common.sums.aggregation import Aggregation
from common.sums.aggregations._threshold import FEWEST_HOSPITALS
from common.sums.cohort import Cohort
from common.sums.cohorts import Cohorts

Sites = tuple[SiteId, ...]
MOST_ROUNDS = 200
MOST_GROUPS = 10
"""Of more groups in a round, only their union and what lacks one of them are looked at."""


def cohorts_of(study: Study, roster: Sequence[SiteId]) -> tuple[Cohort, ...]:
    """Each of the study's cohorts once, of at most so many rounds."""
    cohorts, numbers = Cohorts.of(study, roster), range(1, min(study.rounds, MOST_ROUNDS) + 1)
    return tuple({cohort.sites: cohort for cohort in map(cohorts.of_round, numbers)}.values())


def honestly_opened(cohorts: Sequence[Cohort]) -> tuple[Sites, ...]:
    """Sets that an honest coordinator opens where nobody is lost."""
    return tuple(cohort.sites for cohort in cohorts)


def openable(cohort: Cohort, fewest: int) -> tuple[Sites, ...]:
    """Sets of one round that hospitals help to open. fewest: that the aggregation itself opens a sum of.

    Where any set of enough may be opened: that of all, and each that lacks one.
    """
    least = max(fewest, cohort.least)
    if not cohort.groups:
        sets = (cohort.sites, *(tuple(one for one in cohort.sites if one != site) for site in cohort.sites))
    else:
        sets = tuple(tuple(sorted(site for group in chosen for site in group)) for chosen in _unions(cohort))
    return tuple(one for one in dict.fromkeys(sets) if len(one) >= least)


def _unions(cohort: Cohort) -> Iterator[tuple[Sites, ...]]:
    groups = cohort.groups
    sizes = range(1, len(groups) + 1) if len(groups) <= MOST_GROUPS else (len(groups) - 1, len(groups))
    return (chosen for size in sizes for chosen in combinations(groups, size))


def threshold_of(aggregation: Aggregation, hospitals: int) -> int:
    """How many shares open a mask in a round of so many; as many as a sum needs where there are no shares."""
    return abilities(aggregation).threshold_in(hospitals) if can(aggregation, "threshold_in") else FEWEST_HOSPITALS
