"""A coordinator that names hospitals in a sum, by a sparse graph of pairs, that are not in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from common.data.cases import SiteId
from common.seeding import generator
from common.sums.aggregations import _sparse_server
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._key_agreement import SIGNATURE_BYTES
from common.sums.aggregations._neighbourhood import Demand, least_neighbourhood, most_left_out
from common.sums.aggregations._ring import Ring
from common.sums.aggregations._sparse_client import marked
from common.sums.aggregations._sparse_server import Shared
from common.sums.cohort import Groups
from common.sums.exchange import Collected, Payload
from experiments.engines._loopback_exchange import collect, expected_of
from tests.common.test_sparse_masks import (
    ALL,
    VICTIM,
    Cheat,
    Cheating,
    clear_sum,
    data,
    exchange,
    graph_of,
    refusals,
    shown,
    with_data,
)

SMALL_GROUPS = (ALL[:5], ALL[5:9], ALL[9:])


def naming_all(
    absent: tuple[SiteId, ...], groups: Groups = (), fewest: int = 1, leg: str = "keys", **cheats: Cheat
) -> tuple[Cheating, Collected]:
    """A round that `absent` are never asked in, from a leg on, and counted as there in all that is signed."""

    def named(site: SiteId, request: Payload) -> Payload:
        return replace(request, words={**request.words, **marked(ALL, ALL)})

    played = exchange({leg: list(absent)})
    played.cheats = {"round": named, "survivors": named, **cheats}
    played.groups, played.fewest = groups, fewest
    requests = {site: Payload(words={"study": "{}"}) for site in ALL}
    expected = expected_of(played.updates)  # the coordinator's own, by which no group must be whole
    return played, played.aggregation.collect(played, requests, frozenset(requests), expected)


def test_nobody_masks_where_one_that_it_chose_is_named_and_announced_nothing() -> None:
    """Where any may be lost as well: of thousands not all that are named sign, and noise counts on who is named."""
    played, opened = naming_all((VICTIM,))
    assert opened.total is None
    reason = "a hospital that this one chose announced no keys, and is named as if it had."
    assert refusals(played, "round") == dict.fromkeys(who_chose(played, VICTIM), reason)


def who_chose(played: Cheating, named: SiteId) -> list[SiteId]:
    """Who chose a hospital."""
    return [site for site, some in graph_of(played).chosen.items() if named in some]


@pytest.mark.parametrize("groups", [(ALL,), SMALL_GROUPS], ids=["one group", "several"])
def test_a_group_that_is_whole_in_name_alone_is_not_opened(groups: Groups) -> None:
    """The sum of all at the same model, less this one, would be the victim's update."""
    played, opened = naming_all((VICTIM,), groups)
    assert opened.total is None
    graph, group = graph_of(played), next(group for group in groups if VICTIM in group)
    mates = {site for site in group[1:] if len(groups) > 1 or VICTIM in graph.chosen[site]}
    assert set(refusals(played, "shares")) >= mates


def test_with_several_groups_all_of_one_have_masks_in_common() -> None:
    """Whoever chose a hospital may all be of other groups, and be called lost with them."""
    played = exchange()
    played.groups = SMALL_GROUPS
    opened = collect(played)
    assert opened.total is not None
    np.testing.assert_array_equal(opened.total.vectors[0], clear_sum(played, ALL)[0])
    graph = replace(graph_of(played), groups=SMALL_GROUPS)
    mates = {site: set(group) - {site} for group in SMALL_GROUPS for site in group}
    assert any(others - {*graph.chosen[site], *graph.choosing[site]} for site, others in mates.items())
    assert all(set(graph.neighbours(site)) >= others for site, others in mates.items())
    played = exchange(shares=lambda site, request: graph_of(played).shown_to(site))
    played.groups = SMALL_GROUPS
    assert collect(played).total is None
    assert "of the hospitals that this one chose, some are not shown." in refusals(played, "shares").values()


def test_a_sum_of_fewer_than_must_be_there_is_not_opened_by_naming_more() -> None:
    """A promise counts on so many shares of noise; a sum of ten may have those of ten alone."""

    def forged(site: SiteId, request: Payload) -> Payload:
        return with_data(replace(request, words=marked(ALL, ALL)), bytes(2 * SIGNATURE_BYTES) + data(request))

    played, opened = naming_all(ALL[:2], fewest=13, leg="survivors", unmask=forged)
    assert opened.total is None
    assert set(refusals(played, "unmask").values()) == {"12 hospitals signed these survivors; 13 must."}
    assert naming_all(ALL[:2], fewest=12, leg="survivors", unmask=forged)[1].total is not None


def test_a_hospital_that_is_named_is_left_out_once_all_that_chose_it_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other side of what `most_left_out` counts: no word of the victim's is in the sum that it signed."""
    first = exchange()
    collect(first)
    victim = min(ALL, key=lambda site: len(who_chose(first, site)))
    choosing = who_chose(first, victim)

    def hidden(site: SiteId, request: Payload) -> Payload:
        graph = graph_of(played)
        near = {*graph.chosen[site], *graph.choosing[site]}
        return shown(graph, site, sorted(near - {victim} if victim not in graph.chosen[site] else near))

    def others(shares: Mapping[SiteId, Shared]) -> dict[SiteId, Shared]:
        return {site: one for site, one in shares.items() if site != victim}

    class Omitting(_sparse_server._Round):
        def _orders(self, requests, agreement, graph, shares):
            untold = replace(shares[victim], encrypted=defaultdict(bytes))
            return super()._orders(requests, agreement, graph, {**shares, victim: untold})

        def _accept(self, accept, site, reply):
            words = super()._accept(accept, site, reply)
            return np.zeros_like(words) if site == victim else words

        def _opened(self, graph, agreeing, shares, surviving):
            return super()._opened(graph, agreeing, others(shares), surviving)

        def _take_masks_from(self, total, graph, session, shares, surviving, opened):
            super()._take_masks_from(total, graph, session, others(shares), surviving, opened)

    monkeypatch.setattr(_sparse_server, "_Round", Omitting)
    played = exchange({"shares": choosing}, shares=hidden)
    aggregation, expected = played.aggregation, expected_of(played.updates)
    agreement = Agreement.of(ALL, expected)
    codec, ring = aggregation.codec_in(len(ALL)), Ring.holding(aggregation.bits_in(len(ALL)), len(ALL))
    opened = _sparse_server.open_sparse_sum(
        aggregation.sums_in(len(ALL)),
        played,
        {site: Payload(words={"study": "{}"}) for site in ALL},
        agreement,
        expected.cohort,
        lambda site, reply: ring.unpack(reply.data, codec.length(agreement)),
    )
    assert opened is not None and victim in opened.sites and victim in opened.signatures
    there = [site for site in ALL if site not in {victim, *choosing}]
    words = sum(codec.encode(played.updates[site], agreement, played.local(site).rng) for site in there)
    np.testing.assert_array_equal(ring.residues(opened.total), ring.residues(words))


@pytest.mark.parametrize("signing", [667, 900])
def test_a_coordinator_leaves_out_no_more_shares_of_noise_than_are_counted_off(signing: int) -> None:
    """Greedy: again and again whom the fewest chose that are neither lost, nor collude, nor left out."""
    demand = Demand.of(1000, 0, 0.1, 40, 30)
    graph = least_neighbourhood(demand)
    assert graph is not None
    rng = generator(1, "left out")
    choosing: list[set[int]] = [set() for _ in range(1000)]
    for site in range(100, 1000):  # a hundred that collude choose nobody
        for other in rng.choice(999, graph.chosen, replace=False):
            choosing[other + (other >= site)].add(site)
    lost: set[int] = set()
    out: set[int] = set()
    while True:
        there = [site for site in range(100, 1000) if site not in lost | out]
        best = min(there, key=lambda site: len(choosing[site] - lost - out))
        if len(lost | choosing[best] - out) > 1000 - signing:
            break
        lost |= choosing[best] - out
        out.add(best)
    assert 0 < len(out) <= most_left_out(demand, graph, signing)
