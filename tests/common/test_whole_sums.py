"""Whoever is named as a survivor is in the sum: the theorem's chance, and coordinators that name who is not there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, combinations
from math import comb, log2

import numpy as np
import pytest

from common.data.cases import SiteId
from common.errors import StudyError, WireError
from common.sums.abilities import demand_cohort
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.aggregations._chosen import chosen
from common.sums.aggregations._neighbourhood import Demand, Neighbourhood
from common.sums.aggregations._sparse_client import marked
from common.sums.aggregations._whole_sums import whole_bits
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.cohort import Cohort
from common.sums.exchange import Payload
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates

HOSPITALS, COLLUDING, GROUPS = 9, 1, ((0, 1, 2), (3, 4, 5), (6, 7, 8))
HONEST = set(range(HOSPITALS - COLLUDING))


@dataclass(frozen=True)
class Sparse(SecureAggregation):
    """Five others each, whatever that promises."""

    def graph_in(self, hospitals: int) -> Neighbourhood | None:
        return Neighbourhood(5, 3)

    def _demand(self, hospitals: int) -> Demand:
        return Demand(hospitals, 1, 4, secrecy_bits=-99)


@dataclass
class Pretending(InMemoryExchange):
    """A coordinator that names everybody whatever they answered."""

    named: set[str] = field(default_factory=lambda: {"round", "survivors"})

    def ask(self, leg: str, requests: dict[SiteId, Payload]) -> dict[SiteId, Payload]:  # type: ignore[override]
        everybody = marked(self.cohort.sites, self.cohort.sites) if leg in self.named else {}
        return super().ask(
            leg, {site: replace(one, words={**one.words, **everybody}) for site, one in requests.items()}
        )


def test_a_hospital_that_announced_nothing_is_not_written_down_as_part_of_a_sum() -> None:
    """Else the sum with it, opened of the same set at the same model in another run, would tell its update."""
    updates = random_updates(14, 20, np.random.default_rng(5))
    absent = "hospital-03"
    played = Pretending(Sparse(), updates, lost={"keys": [absent]})
    assert collect(played).total is None
    assert {reason for _, leg, reason in played.refused if leg == "round"} == {
        "a hospital that this one chose announced no keys, and is named as if it had."
    }
    honest = InMemoryExchange(Sparse(), updates, lost={"keys": [absent]})
    assert collect(honest).sites == tuple(site for site in sorted(updates) if site != absent)


def avoid(absent: int, choosing: int) -> Fraction:
    return Fraction(comb(HOSPITALS - 1 - absent, choosing), comb(HOSPITALS - 1, choosing))


def test_bits_are_those_of_the_theorem_in_exact_fractions() -> None:
    """Of eight honest hospitals up to three others than the five there; of nine, seven or six must be there."""
    for fewest, most in ((7, 0), (6, 1)):
        bound = sum(
            comb(3, lost) * comb(8, absent) * avoid(absent, 4) ** max(9 - 3 * lost - 1 - absent, 5)
            for lost in range(most + 1)
            for absent in range(1, 5)
        )
        demand, graph = Demand(HOSPITALS, COLLUDING, 1), Neighbourhood(4, 3)
        assert whole_bits(demand, graph, (3, 3, 3), fewest) == pytest.approx(-log2(bound), abs=1e-9)


def test_sums_that_lack_somebody_named_are_no_more_likely_than_the_theorem_says() -> None:
    """Every part of every choice of lost groups, of 400 graphs."""
    rng, draws, failing = np.random.default_rng(2), 400, 0
    for _ in range(draws):
        picks = {own: set(chosen(rng.bytes(32), own, HOSPITALS, 4)) for own in HONEST}
        failing += any(_lacks(picks, HONEST - set(lost)) for lost in ((), *GROUPS))
    bound = 2 ** -whole_bits(Demand(HOSPITALS, COLLUDING, 1), Neighbourhood(4, 3), (3, 3, 3), 6)
    assert 0 < failing / draws <= bound


def _lacks(picks: dict[int, set[int]], named: set[int]) -> bool:
    """Whether a part of more than half of the honest ones chose nobody of the others that are named."""
    sizes = range(len(HONEST) // 2 + 1, len(named))
    parts = chain.from_iterable(combinations(named, size) for size in sizes)
    return any(not any(picks[own] & (named - set(part)) for own in part) for part in parts)


def test_many_small_groups_are_refused_before_anybody_is_asked_and_by_every_hospital() -> None:
    sites = tuple(f"hospital-{place:03d}" for place in range(200))
    small = Cohort(sites, 3, tuple(sites[start : start + 4] for start in range(0, 200, 4)))
    words = "in 50 groups could be opened without one that is named"
    with pytest.raises(StudyError, match=words):
        demand_cohort(SecureAggregation(value_bits=16), small)
    for fine in (replace(small, groups=(sites,)), replace(small, groups=())):
        demand_cohort(SecureAggregation(value_bits=16), fine)
    demand_cohort(SecureAggregation(value_bits=16, neighbours="all"), small)
    updates = random_updates(200, 2, np.random.default_rng(0))
    played = InMemoryExchange(SecureAggregation(value_bits=16), dict(zip(sites, updates.values(), strict=True)))
    played.groups = small.groups
    agreement = Agreement.of(sites, expected_of(played.updates))
    with pytest.raises(WireError, match=words):
        played.aggregation.answer("keys", with_agreement(Payload(), agreement), played.local(sites[0]))
