"""How many hospitals have to collude with the coordinator until it reads a single update, and by what.

Three ways, of which the cheapest counts. *Differences*: a combination of opened sums that is over k hospitals is the
update of one of them once the other k - 1 tell what they sent; whole groups make k a group at least, and all of a
round where there is one group. *Shares*: as many as the threshold that keep the secret shares they are sent rebuild
any other hospital's masks; where hospitals share with neighbours of their own choice, fewer of these rebuild that
one's. *Two sets of survivors*: a coordinator that cheats tells honest hospitals two of them, of which the second has
the victim's group and the first has not, and colluders sign both; with threshold t and n hospitals 2 t - n colluders
are enough (Bonawitz et al. 2017, section 6.3, read the other way round). Hospitals sign whole groups only, so that
with one group there is no second set to sign.

Behind it stands which sets of hospitals a coordinator can have sums of, over all rounds: honest, or cheating.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from common.data.cases import SiteId
from common.privacy.abilities import colluding
from common.privacy.accounting import epsilon_of
from common.privacy.study_facts import facts_of, mechanism_of
from common.study.study import Study
from common.sums.abilities import abilities, can, keys_of
from common.sums.aggregation import Aggregation
from common.sums.aggregations._threshold import FEWEST_HOSPITALS
from common.sums.cohort import Cohort
from common.sums.cohorts import Cohorts, is_covered_by_noise
from experiments.evidence.recomputed_updates import aggregation_of
from experiments.evidence.told_apart import fewest_told_apart

Sites = tuple[SiteId, ...]
MOST_ROUNDS = 200
MOST_GROUPS = 10
"""Of more groups in a round, only their union and what lacks one of them are looked at."""


def opening_hospitals(study: Study, roster: Sequence[SiteId]) -> int:
    """Of a study of these hospitals: 0 where the coordinator alone is enough, keeping to the protocol.

    Raises StudyError for impossible settings.
    """
    aggregation = aggregation_of(study)
    if aggregation.reveals == "each" or keys_of(aggregation) is None:
        return 0
    if _is_shared(aggregation):
        return 1
    cohorts = cohorts_of(study, roster)
    by_differences = fewest_told_apart(honestly_opened(cohorts)) - 1
    return min([by_differences, *_by_shares(aggregation, cohorts)])


def opening_if_cheating(study: Study, roster: Sequence[SiteId]) -> int:
    """The same for a coordinator that cheats in any message."""
    aggregation, count = aggregation_of(study), opening_hospitals(study, roster)
    if count < 1 or _is_shared(aggregation):
        return 0
    cohorts = cohorts_of(study, roster)
    sets = {one: None for cohort in cohorts for one in openable(cohort, _threshold(aggregation, cohort))}
    return min([count, fewest_told_apart(sets) - 1, *_by_two_sets(aggregation, cohorts)])


def in_words(study: Study, roster: Sequence[SiteId]) -> str:
    """What each such number rests on, in a sentence that goes on after a semicolon."""
    aggregation, count = aggregation_of(study), opening_hospitals(study, roster)
    if aggregation.reveals == "each":
        return "no hospital has to help: the coordinator alone reads every single update"
    if keys_of(aggregation) is None:
        return "how many it takes is not known: the aggregation does not say who can open a single update (`keys`)"
    if _is_shared(aggregation):
        return "one hospital is enough, for it holds the key of all; what it would decrypt is not played here"
    cheating = opening_if_cheating(study, roster)
    if cheating == 0:
        return _of_differences(study, count)
    fewer = f", and {cheating} where the coordinator cheats, over two sums or sets of survivors" * (cheating < count)
    return _of_collusion(aggregation, cohorts_of(study, roster), count) + fewer


def _of_collusion(aggregation: Aggregation, cohorts: Sequence[Cohort], count: int) -> str:
    hospitals = min(len(cohort.sites) for cohort in cohorts)
    if count >= min(_by_shares(aggregation, cohorts), default=hospitals) < hospitals - 1:
        chosen = count < min(_threshold(aggregation, cohort) for cohort in cohorts)
        who = "of those that a hospital chose for a round" if chosen else f"of {hospitals} hospitals"
        rebuilt = "that one's" if chosen else "any other hospital's"
        return (
            f"{count} {who} are enough if they keep the secret shares that they are sent: with the coordinator these "
            f"rebuild {rebuilt} masks. Keys and shares are never drawn from the seed, so that is not played on the "
            "recorded run"
        )
    if count < hospitals - 1:
        return (
            f"{count} hospitals of one group are enough: the difference of two sums is that group's, and less what "
            "these sent it is the last one's"
        )
    return f"fewer than {count} of {hospitals} hospitals open no single update, not even with their secret shares"


def _of_differences(study: Study, count: int) -> str:
    who = "a coordinator that cheats" if count else "the coordinator"
    told = f"no hospital has to help {who}: the difference of two sums is a single hospital's update"
    if is_covered_by_noise(study):
        return f"{told}, under the noise that was promised, and the promise rests on epsilon alone"
    return f"{told}, since groups are switched off"


def paid_for(study: Study) -> int:
    """How many that collude with the coordinator a distributed noise is promised against; 0 without one."""
    mechanism = mechanism_of(study)
    return 0 if mechanism is None else colluding(mechanism)


def epsilon_of_one_share(study: Study, hospitals: int) -> float | None:
    """What is left of the promise where all others collude: one hospital's noise. None without distributed noise."""
    mechanism = mechanism_of(study)
    if mechanism is None or mechanism.place != "shares":
        return None
    facts = replace(facts_of(study, 1, 1, hospitals), reveals="each")
    return epsilon_of(mechanism.round_releases(facts) * study.rounds, mechanism.delta).epsilon


def _is_shared(aggregation: Aggregation) -> bool:
    return keys_of(aggregation) == "shared"


def _threshold(aggregation: Aggregation, cohort: Cohort) -> int:
    return threshold_of(aggregation, len(cohort.sites))


def _by_shares(aggregation: Aggregation, cohorts: Sequence[Cohort]) -> list[int]:
    if not can(aggregation, "threshold_in"):
        return []
    if can(aggregation, "shares_in"):
        return [abilities(aggregation).shares_in(len(cohort.sites)) for cohort in cohorts]
    return [_threshold(aggregation, cohort) for cohort in cohorts]


def _by_two_sets(aggregation: Aggregation, cohorts: Sequence[Cohort]) -> list[int]:
    """Of every cohort of which a part may be opened."""
    if not can(aggregation, "threshold_in"):
        return []
    return [
        2 * _threshold(aggregation, cohort) - len(cohort.sites)
        for cohort in cohorts
        if len(openable(cohort, _threshold(aggregation, cohort))) > 1
    ]


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
