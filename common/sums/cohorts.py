"""Who is asked in a round, and whose sums may be opened: functions of the approved study, computed on both sides.

Where sums are revealed without noise, the hospitals of a study are divided into fixed groups, and every opened set,
of evaluation too, is a union of whole groups. Every linear combination of opened sums, over any number of rounds, is
then constant on groups, so that none tells fewer than a group apart (So et al. 2021, "Securing secure aggregation:
mitigating multi-round privacy leakage in federated learning"). Where noise covers what the difference of two sums
would tell, sums of any hospitals may be opened, so long as there are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import ceil
from typing import cast

from common.data.names import SiteId
from common.errors import StudyError, TooFewHospitalsError
from common.privacy.mechanism import Mechanism
from common.privacy.noise_coverage import covers
from common.seeding import entropy
from common.study.catalogue import AGGREGATIONS, MECHANISMS
from common.study.federation import Federation
from common.study.held_out import LEAST_SCORED, TEST, TRAIN, VALIDATION, demand_trainers, sites_in
from common.study.schedule import final_round
from common.study.study import Study
from common.sums.abilities import abilities, can, colluding_of
from common.sums.cohort import Cohort, Groups
from common.sums.exchange import Reveals

SELECTIONS_KEPT = 4
LEAST_IN_SUM = 3
"""The sum of two tells each of them the other's update."""


@dataclass(frozen=True)
class Cohorts:
    """The cohorts of all rounds of a study. roster: its hospitals, sorted. groups: () where single ones are drawn.

    evaluates: the share of hospitals that score; final_round: the number that scoring the last model goes by. trains,
    scored, between: those that train, that score the last model, and that score between rounds; all of them, unless
    hospitals are held out (`common.study.held_out`). parts: of those that score, validation and test apart where
    hospitals are held out, for each part's scores are its own sum; scored_groups: the groups of every part.
    """

    roster: tuple[SiteId, ...]
    groups: Groups
    final_groups: Groups
    least: int
    fraction: float
    seed: int
    rounds: int
    is_covered: bool
    trains: tuple[SiteId, ...]
    scored: tuple[SiteId, ...]
    between: tuple[SiteId, ...]
    parts: tuple[tuple[SiteId, ...], ...]
    scored_groups: tuple[Groups, ...] = ()
    evaluates: float = 1.0
    final_round: int = 0

    @classmethod
    def of(cls, study: Study, roster: Iterable[SiteId]) -> Cohorts:
        """Raises StudyError where the study's numbers do not fit its hospitals."""
        sites = tuple(sorted(roster))
        held = partial(sites_in, study.split, study.seed, sites)
        scored = held(VALIDATION, TEST)
        trains = held(TRAIN) if study.rounds else scored
        demand_trainers(study.split, len(sites), len(trains))
        least = least_in_sum(study, len(trains))
        is_grouped = reveals(study) == "sum" and study.federation.groups == "whole"
        grouped = _grouped(study, sites, least) if is_grouped else ()
        apart = is_grouped and study.split.is_by_hospital
        parts = tuple(filter(None, map(held, (VALIDATION, TEST)))) if study.split.is_by_hospital else (scored,)
        covered = is_covered_by_noise(study)
        found = cls(
            sites,
            () if covered else _grouped(study, trains, least) if apart else grouped,
            grouped,
            least,
            study.federation.client_fraction,
            study.seed,
            study.rounds,
            covered,
            trains,
            scored,
            held(study.federation.evaluate_split),
            parts,
            tuple(_grouped(study, part, LEAST_IN_SUM) for part in parts) if apart else (grouped,) * bool(grouped),
            study.federation.evaluate_fraction,
            final_round(study),
        )
        if trains and least > found.smallest:
            raise StudyError(_too_few(study, found))
        found.demand_scores(study)
        return found

    def demand_scores(self, study: Study) -> None:
        """Raise StudyError where the scores of a sum would be of too few hospitals."""
        share, many = self.evaluates, len(self.scored)
        scoring = len(self.of_round(self.final_round).sites) if self.scored else 0
        least = self._least_scored
        if reveals(study) == "sum" and scoring < min(least, many):
            raise StudyError(
                f"federation.evaluate_fraction = {share:g} of {many} hospitals are {scoring}, and a sum of "
                f"scores is of {least} or more (federation.least_in_sum): raise it."
            )
        if study.split.is_by_hospital:
            self._demand_parts(study)

    def _demand_parts(self, study: Study) -> None:
        """Each part's scores are told by themselves: of one or two hospitals they would be one patient's."""
        if reveals(study) == "sum" and not self.scored_groups and self.scored:
            raise StudyError(
                "federation.groups = 'off' lets sums of any hospitals be opened, and with split.unit = 'hospital' "
                "the score in one may be a single patient's: leave federation.groups out."
            )
        for part in (*self.parts, self.between):
            if part and how_many(len(part), self.evaluates) < LEAST_SCORED and not self.scored_groups:
                raise StudyError(
                    f"federation.evaluate_fraction = {self.evaluates:g} of {len(part)} hospitals that are scored "
                    f"together are fewer than {LEAST_SCORED}, whose score would be single patients': raise it."
                )

    def of_round(self, number: int) -> Cohort:
        """Those of round `number`; after the last, everybody, to evaluate. Raises TooFewHospitalsError of none."""
        if number > self.rounds:
            return self._after_the_rounds(number)
        if not self.groups:
            return Cohort(select(self.trains, self.fraction, self.seed, number), self.least, (), self.is_covered)
        return _of_groups(self.groups, self.fraction, self.seed, number, self.least)

    def _after_the_rounds(self, number: int) -> Cohort:
        if number != self.final_round:
            return Cohort(self.roster, min(self.least, len(self.roster)), self.final_groups)
        least = min(self._least_scored, len(self.scored))
        if self.evaluates == 1 or not self.scored:
            return Cohort(self.scored, least, tuple(sorted(group for part in self.scored_groups for group in part)))
        if not self.scored_groups:
            return Cohort(self.scoring(number), least, ())
        drawn = [_of_groups(part, self.evaluates, self.seed, number, least) for part in self.scored_groups]
        sites = tuple(sorted(site for one in drawn for site in one.sites))
        return Cohort(sites, least, tuple(group for one in drawn for group in one.groups))

    @property
    def _least_scored(self) -> int:
        """Fewest hospitals whose scores are opened as a sum."""
        return self.least if self.scored == self.roster else LEAST_IN_SUM

    def scoring(self, number: int) -> tuple[SiteId, ...]:
        """Those that score in a round, where each is asked alone; whoever trains in it, besides."""
        parts = (self.between,) if number <= self.rounds else self.parts
        drawn = (select(part, self.evaluates, self.seed, number) for part in parts if part)
        return tuple(sorted(site for part in drawn for site in part))

    @property
    def smallest(self) -> int:
        """Hospitals of the smallest round there can be."""
        sizes = sorted(len(group) for group in self.groups) if self.groups else [1] * len(self.trains)
        return sum(sizes[: how_many(len(sizes), self.fraction)])

    @property
    def effective_fraction(self) -> float:
        """The share of those that train that rounds ask on average, over the first 1,000 rounds."""
        numbers = range(1, min(max(self.rounds, 1), 1000) + 1)
        return sum(len(self.of_round(number).sites) for number in numbers) / (len(numbers) * len(self.trains))


def _of_groups(groups: Groups, fraction: float, seed: int, number: int, least: int) -> Cohort:
    """Whole groups, drawn by the names of their first hospitals."""
    named = {group[0]: group for group in groups}
    drawn = tuple(named[first] for first in select(tuple(named), fraction, seed, number))
    return Cohort(tuple(sorted(site for group in drawn for site in group)), least, drawn)


def _too_few(study: Study, cohorts: Cohorts) -> str:
    hospitals = len(cohorts.trains)
    few = f"a round may ask as few as {cohorts.smallest} of {hospitals} hospitals"
    said = f"federation.least_in_sum = {cohorts.least}, and {few}"
    if cohorts.least > LEAST_IN_SUM or reveals(study) == "each":
        return f"{said}: lower it or raise federation.client_fraction."
    if hospitals >= LEAST_IN_SUM:
        return f"{said}, whose sum hides neither of two from the other: raise federation.client_fraction."
    return (
        f"{said}, whose sum would hide nobody from the other. Add hospitals, {LEAST_IN_SUM} or more in all, or write "
        'aggregation = "plain" (whoever coordinates then reads every single update).'
    )


def reveals(study: Study) -> Reveals:
    """What the coordinator learns: every single update, or only their sum."""
    return cast(Reveals, AGGREGATIONS.load(study.aggregation.name).reveals)


def least_in_sum(study: Study, hospitals: int) -> int:
    """Fewest hospitals of a sum, in a study of so many. Raises StudyError where too few were asked for."""
    wanted = study.federation.least_in_sum
    if reveals(study) == "each":
        return wanted or 1
    if wanted is None:
        return max(LEAST_IN_SUM, ceil(2 * how_many(hospitals, study.federation.client_fraction) / 3))
    if wanted < LEAST_IN_SUM:
        raise StudyError(
            f"federation.least_in_sum must be {LEAST_IN_SUM} or more where only sums are revealed, since the sum of "
            f"two tells each the other's update; it is {wanted}."
        )
    return wanted


def noise_shares(study: Study, hospitals: int) -> int:
    """How many shares of distributed noise a promise counts on. Raises StudyError where a sum may be of fewer."""
    least = least_in_sum(study, hospitals)
    wanted = study.federation.noise_shares
    if wanted is not None and wanted > least:
        raise StudyError(
            f"federation.noise_shares may be at most the fewest hospitals in a sum, {least}; it is {wanted}."
        )
    return wanted or least


def noise_shares_in_sum(study: Study, hospitals: int) -> int:
    """Of `noise_shares`, those that are in every sum of a round of training, whatever a coordinator does."""
    counted, aggregation = noise_shares(study, hospitals), AGGREGATIONS.build(study.aggregation)
    if reveals(study) != "sum" or not can(aggregation, "surely_in"):
        return counted
    asked = how_many(hospitals, study.federation.client_fraction)
    return min(counted, abilities(aggregation).surely_in(asked, min(asked, least_in_sum(study, hospitals))))


def is_covered_by_noise(study: Study) -> bool:
    """Whether the promise covers what the difference of two sums would tell, so that dropouts are survived.

    Noise that bounds nothing covers nothing, whatever it is called.
    """
    return study.privacy is not None and covers(cast(Mechanism, MECHANISMS.build(study.privacy)))


def hospitals_at_start(study: Study, expected: int) -> int:
    """How many must be there before the first round. expected: 0 where nobody said."""
    return study.federation.hospitals_at_start or len(study.federation.roster) or expected or 1


def groups_of(federation: Federation, sites: Sequence[SiteId], size: int) -> Groups:
    """Every hospital in one group of at least `size`, as even as can be; fewer than twice as many are one group.

    Groups that the roster names stand as they are; the others are dealt out by a draw of each name, the same for
    every seed: a hospital has one group over all studies. Raises StudyError where a named group, or those left over,
    are too few.
    """
    named: dict[str, list[SiteId]] = {}
    for entry in federation.roster:
        if entry.group:
            named.setdefault(entry.group, []).append(entry.name)
    inside = {site for group in named.values() for site in group}
    free = sorted((site for site in sites if site not in inside), key=lambda site: entropy(0, site, "group"))
    many = max(len(free) // size, 1) if free else 0
    dealt = [free[start::many] for start in range(many)]
    for group in (*named.values(), *(dealt if named or many > 1 else ())):
        if len(group) < size:
            raise StudyError(
                f"a group of {len(group)} hospitals ({', '.join(sorted(group))}) is too small: a sum needs {size} "
                "(federation.least_in_sum and those that may collude). Wait for more, or name no groups."
            )
    return tuple(sorted(tuple(sorted(group)) for group in (*named.values(), *dealt)))


def _grouped(study: Study, sites: Sequence[SiteId], least: int) -> Groups:
    colluding = colluding_of(AGGREGATIONS.build(study.aggregation))
    return groups_of(study.federation, sites, least + colluding)


def select(sites: Iterable[SiteId], fraction: float, seed: int, round_number: int) -> tuple[SiteId, ...]:
    """m = max(round(C K), 1) of the K sites at random, sorted: McMahan et al. 2017, Algorithm 1.

    fraction: C in [0, 1]; halves round to even. Every site draws a number from (seed, round, site), and the m
    lowest go, so neither the order of the sites nor who else takes part changes a draw. Raises
    TooFewHospitalsError where there is no site.
    """
    among = tuple(sites)
    if not among:
        raise TooFewHospitalsError("there is no hospital to select from.")
    return _selected(among, fraction, seed, round_number)


@lru_cache(maxsize=SELECTIONS_KEPT)
def _selected(sites: tuple[SiteId, ...], fraction: float, seed: int, round_number: int) -> tuple[SiteId, ...]:
    """Kept: where thousands of hospitals share a process, each of them looks whether it was drawn."""
    drawn = sorted(sites, key=lambda site: entropy(seed, round_number, site, "selection"))
    return tuple(sorted(drawn[: how_many(len(drawn), fraction)]))


def how_many(count: int, fraction: float) -> int:
    """m of `count`, at least 1; halves round to even."""
    return max(round(fraction * count), 1)
