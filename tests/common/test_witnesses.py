"""One set of survivors by a few signatures: the theorem's chance, and coordinators that tell some another set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from math import comb, log2

import numpy as np
import pytest
from scipy.stats import hypergeom

from common.data.cases import SiteId
from common.sums.abilities import readers_of
from common.sums.aggregations._chosen import Announced, chosen, drawn
from common.sums.aggregations._neighbourhood import Demand, Neighbourhood
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations._sparse_client import marked
from common.sums.aggregations._witnessed_sum import confirmed, with_signatures, witnesses_of
from common.sums.aggregations._witnesses import Witnesses, least_witnesses, missed_bits, one_set_bits
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from experiments.engines._loopback_exchange import InMemoryExchange, collect, random_updates

FEW = Witnesses(8, 6)
ALL = tuple(f"hospital-{place:02d}" for place in range(14))


@dataclass(frozen=True)
class Sparse(SecureAggregation):
    """Five of thirteen others share with a hospital, and eight witness for it: no promise, but all legs alike."""

    def graph_in(self, hospitals: int) -> Neighbourhood | None:
        return Neighbourhood(5, 3)

    def witnesses_in(self, hospitals: int) -> Witnesses | None:
        return FEW


@dataclass
class Played(InMemoryExchange):
    """cheats: what becomes of a leg's request to a hospital."""

    cheats: tuple[str, object] | None = None

    def ask(self, leg: str, requests: dict[SiteId, Payload]) -> dict[SiteId, Payload]:  # type: ignore[override]
        if self.cheats is not None and self.cheats[0] == leg:
            requests = {site: self.cheats[1](site, one) for site, one in requests.items()}  # type: ignore[operator]
        return super().ask(leg, requests)

    def refusals(self, leg: str) -> dict[SiteId, str]:
        return {site: reason for site, at, reason in self.refused if at == leg}

    def witnesses(self, site: SiteId) -> tuple[SiteId, ...]:
        data = self.replies("keys")[site].data
        assert data is not None
        return witnesses_of(Announced.from_bytes(data.tobytes()), ALL.index(site), ALL, FEW)

    def signatures(self, leg: str) -> dict[SiteId, bytes]:
        return {site: one.data.tobytes() for site, one in self.replies(leg).items() if one.data is not None}


def played(lost: dict[str, list[SiteId]] | None = None, cheats: tuple[str, object] | None = None) -> Played:
    updates = random_updates(len(ALL), 20, np.random.default_rng(5))
    done = Played(Sparse(), updates, lost=lost or {}, cheats=cheats)
    done.groups = tuple((site,) for site in ALL)
    return done


def test_where_noise_counts_on_who_signed_all_signatures_are_read() -> None:
    done = played()
    done.groups = ()
    assert collect(done).total is not None and not done.replies("confirm")
    done = played(cheats=("unmask", lambda site, one: replace(one, words=marked(ALL, set(ALL[:5]) | {site}))))
    done.groups = ()
    assert collect(done).total is None and not done.replies("unmask")


@pytest.mark.parametrize("leg", ["round", "survivors", "confirm", "unmask"])
def test_the_sum_is_the_same_whoever_is_lost_and_one_leg_more_is_asked(leg: str) -> None:
    done = played({leg: [ALL[4]]})
    opened = collect(done)
    there = [site for site in ALL if site != ALL[4] or leg != "round"]
    assert opened.total is not None and opened.sites == tuple(there)
    clear = sum(done.updates[site].vectors[0].astype(np.float64) for site in there)
    np.testing.assert_allclose(opened.total.vectors[0], clear, atol=14 * 9 * 2.0**-23)
    assert len({one.leg for one in done.crossed}) == 6


def test_of_two_sets_told_to_two_halves_neither_is_confirmed() -> None:
    told = {site: set(ALL) - ({ALL[13]} if place % 2 else set()) for place, site in enumerate(ALL)}
    done = played(cheats=("survivors", lambda site, one: replace(one, words=marked(ALL, told[site]))))
    assert collect(done).total is None
    assert "of this hospital's 8 witnesses signed these survivors" in done.refusals("confirm")[ALL[0]]
    assert not done.replies("confirm") and not done.replies("unmask")


def test_who_signed_has_not_confirmed() -> None:
    """Signatures on the survivors do not stand for those on having read them, and neither does a colluder's twice."""

    def unconfirmed(site: SiteId, request: Payload) -> Payload:
        assert request.data is not None
        words, signed = with_signatures(done.witnesses(site), done.signatures("survivors"))
        masked = request.data.tobytes()[-64 * (request.data.size // 64 - len(signed) // 64) :]
        return replace(request, words=words, data=np.frombuffer(signed + masked, np.uint8))

    def doubled(site: SiteId, request: Payload) -> Payload:
        witnesses, signed = done.witnesses(site), done.signatures("survivors")
        one = signed[witnesses[0]]
        return replace(request, data=np.frombuffer(one * len(witnesses), np.uint8))

    done = played(cheats=("unmask", unconfirmed))
    assert collect(done).total is None and not done.replies("unmask")
    assert all(reason.startswith("0 of this hospital's 8") for reason in done.refusals("unmask").values())
    done = played(cheats=("confirm", doubled))
    assert collect(done).total is None
    assert all(reason.startswith("1 of this hospital's 8") for reason in done.refusals("confirm").values())


def test_too_few_that_confirmed_open_nothing() -> None:
    def thinned(site: SiteId, request: Payload) -> Payload:
        assert request.data is not None
        some = done.witnesses(site)[:5]
        words, signed = marked(done.witnesses(site), some), [done.signatures("confirm")[one] for one in some]
        return replace(request, words=words, data=np.append(np.frombuffer(b"".join(signed), np.uint8), request.data))

    done = played(cheats=("unmask", thinned))
    assert collect(done).total is None and not done.replies("unmask")
    assert len(done.refusals("unmask")) == len(ALL)


@pytest.mark.parametrize("hostile", ["", "////", None])
def test_marks_that_are_none_are_refused(hostile: str | None) -> None:
    words = {} if hostile is None else {SITES: hostile}
    done = played(cheats=("confirm", lambda site, one: replace(one, words=words)))
    assert collect(done).total is None
    assert set(done.refusals("confirm").values()) == {"hospitals must be marked by one bit each, in base64."}


def at_least(least: int, others: int, of: int, count: int) -> Fraction:
    ways = sum(comb(of, hit) * comb(others - of, count - hit) for hit in range(least, count + 1))
    return Fraction(ways, comb(others, count))


def test_bits_are_those_of_the_theorems_in_exact_fractions() -> None:
    demand, found = Demand(120, 12, 8), Witnesses(40, 30)
    inside = at_least(30, 119, 12 + 54 - 1, 40)
    bound = min(
        comb(108, 54) * comb(54, z) * inside**z + 108 * at_least(30 - z + 1, 119, 12, 40) for z in range(1, 31)
    )
    assert one_set_bits(demand, found) == pytest.approx(-log2(bound), abs=1e-6)
    missed = 120 * at_least(11, 119, 8, 40)
    assert missed == 0 and missed_bits(demand, found) == np.inf
    assert missed_bits(replace(demand, lost=24), found) == pytest.approx(-log2(120 * at_least(11, 119, 24, 40)))


def test_a_set_that_half_signed_is_opened_in_one_of_the_two_ways_alone_that_the_theorem_counts() -> None:
    """Every half of eight honest hospitals, in 100 graphs of ten: many confirm, or few that a colluder helps much."""
    found, rng, colluding, opened = Witnesses(5, 3), np.random.default_rng(0), {8, 9}, 0
    for _ in range(100):
        own = [set(drawn(rng.bytes(32), place, 10, found.chosen)) for place in range(8)]
        for half in map(set, combinations(range(8), 4)):
            confirm = {place for place in half if len(own[place] & (half | colluding)) >= found.needed}
            if any(len(some & (confirm | colluding)) >= found.needed for some in own):
                opened += 1
                helped = max(len(some & colluding) for some in own)
                assert all(len(confirm) >= z or helped >= found.needed - z + 1 for z in range(1, 4))
    assert 0 < opened < 7000


@pytest.mark.parametrize("hospitals", [1000, 10_000])
def test_the_fewest_keep_both_promises_and_one_fewer_does_not(hospitals: int) -> None:
    demand = Demand.of(hospitals, 0, 0.1, 40, 30)
    found = least_witnesses(demand)
    assert found is not None
    assert one_set_bits(demand, found) >= 50
    missed = hypergeom.logsf(found.chosen - found.needed, hospitals - 1, demand.lost, found.chosen) / np.log(2)
    assert missed + log2(hospitals) <= -40
    fewer = Witnesses(found.chosen - 1, found.needed - 1)
    assert min(one_set_bits(demand, fewer), missed_bits(demand, Witnesses(fewer.chosen, found.needed))) < 50


def test_few_hospitals_and_a_threshold_of_ones_own_have_all_sign() -> None:
    auto = SecureAggregation(value_bits=16)
    assert auto.witnesses_in(100) is None and auto.witnesses_in(300) is None
    assert auto.witnesses_in(1000) == Witnesses(168, 119)
    assert replace(auto, threshold=800).witnesses_in(1000) is None
    assert replace(auto, neighbours="all").witnesses_in(1000) is None
    assert "once 119 of 168 witnesses that it draws agree" in readers_of(auto, 1000)


def test_those_that_a_hospital_shares_with_are_the_first_that_it_draws() -> None:
    choice = bytes(range(32))
    assert set(chosen(choice, 3, 100, 9)) < set(drawn(choice, 3, 100, 30))
    assert confirmed(b"one") != confirmed(b"other")
