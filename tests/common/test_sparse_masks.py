"""`secagg` by a sparse graph of pairs: the same sum whoever is lost, and what a cheating server meets there."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.cases import SiteId
from common.errors import StudyError, WireError
from common.sums.aggregations import _shamir
from common.sums.aggregations._agreement import Agreement, with_agreement
from common.sums.aggregations._chosen import ANNOUNCED_BYTES, Announced, Tree, demand_leaf
from common.sums.aggregations._neighbourhood import Neighbourhood
from common.sums.aggregations._secagg_client import NO_SHARE
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations._sparse_client import PLACE_BYTES, SIGNED, marked
from common.sums.aggregations._sparse_server import Graph
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from common.sums.wide import WideForm
from experiments.engines._loopback_exchange import (
    InMemoryExchange,
    collect,
    collect_numbers,
    expected_of,
    random_updates,
)

GRAPH = Neighbourhood(5, 3)
ALL = tuple(f"hospital-{place:02d}" for place in range(14))
VICTIM = ALL[0]
LENGTH = 20
LEGS = ("keys", "shares", "round", "survivors", "unmask")
Cheat = Callable[[SiteId, Payload], Payload]


@dataclass(frozen=True)
class Sparse(SecureAggregation):
    """Five of thirteen others, of which three: what so few hospitals cannot be promised, but all legs alike."""

    def graph_in(self, hospitals: int) -> Neighbourhood | None:
        return GRAPH


@dataclass
class Cheating(InMemoryExchange):
    """cheats: what becomes of a leg's request to a hospital."""

    cheats: Mapping[str, Cheat] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        cheat = self.cheats.get(leg)
        changed = requests if cheat is None else {site: cheat(site, one) for site, one in requests.items()}
        return super().ask(leg, changed)


def exchange(lost: Mapping[str, list[SiteId]] | None = None, number: int = 1, **cheats: Cheat) -> Cheating:
    updates = random_updates(len(ALL), LENGTH, np.random.default_rng(5))
    return Cheating(Sparse(), updates, number, lost=lost or {}, cheats=cheats)


def data(payload: Payload | None) -> bytes:
    assert payload is not None and payload.data is not None
    return payload.data.tobytes()


def with_data(payload: Payload, raw: bytes) -> Payload:
    return replace(payload, data=np.frombuffer(raw, np.uint8))


def graph_of(played: InMemoryExchange) -> Graph:
    announced = {site: Announced.from_bytes(data(reply)) for site, reply in played.replies("keys").items()}
    return Graph(ALL, announced, GRAPH.chosen)


def refusals(played: InMemoryExchange, leg: str) -> dict[SiteId, str]:
    return {site: reason for site, at, reason in played.refused if at == leg}


def given_for(played: InMemoryExchange, victim: SiteId) -> dict[SiteId, bytes]:
    """The shares that hospitals gave of the victim's, but for those that are none."""
    graph, shared = graph_of(played), played.replies("shares")
    found: dict[SiteId, bytes] = {}
    for site, reply in played.replies("unmask").items():
        senders = [other for other in graph.choosing[site] if other in shared]
        raw, size = data(reply), _shamir.SHARE_BYTES
        if victim in senders:
            share = raw[senders.index(victim) * size : (senders.index(victim) + 1) * size]
            found |= {site: share} if share != NO_SHARE else {}
    return found


def clear_sum(played: InMemoryExchange, sites: tuple[SiteId, ...]) -> list[np.ndarray]:
    """Python's own integers, added one by one: the words of those hospitals, never masked."""
    codec = Sparse().codec_in(2)
    agreement = Agreement.of(frozenset(ALL), expected_of(played.updates))
    totals = [0] * codec.length(agreement)
    for site in sites:
        words = codec.encode(played.updates[site], agreement, played.local(site).rng)
        totals = [total + int(word) for total, word in zip(totals, words, strict=True)]
    return list(codec.decode(np.array(totals, np.uint64), len(sites), agreement).vectors)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ALL), st.sampled_from(LEGS)), max_size=2, unique_by=lambda one: one[0]))
def test_masks_cancel_whoever_is_lost_in_whatever_leg(lost: list[tuple[SiteId, str]]) -> None:
    """Two of all leave three of any five, and the ten that a sum of fourteen needs."""
    played = exchange({leg: [site for site, at in lost if at == leg] for leg in LEGS})
    opened = collect(played)
    early = {site for site, leg in lost if leg in ("keys", "shares", "round")}
    assert opened.sites == tuple(site for site in ALL if site not in early)
    assert opened.total is not None
    for found, wanted in zip(opened.total.vectors, clear_sum(played, opened.sites), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_wide_numbers_add_up_exactly_and_a_lost_hospitals_do_not_count() -> None:
    form = WideForm(2, 0)
    numbers = {site: [place, 1 << 40] for place, site in enumerate(ALL)}
    played = replace(exchange({"round": [ALL[3]]}), numbers=numbers)
    opened = collect_numbers(played, form)
    assert opened.total is not None
    assert list(opened.total) == [sum(range(14)) - 3, 13 << 40]


def test_both_halves_take_as_many_bits_as_a_round_has_room_for() -> None:
    class Coarse(Sparse):
        def bits_in(self, hospitals: int) -> int:
            return 9 if hospitals == len(ALL) else 24

    played = replace(exchange(), aggregation=Coarse())
    opened = collect(played)
    assert opened.total is not None
    clear = sum(update.vectors[0].astype(np.float64) for update in played.updates.values())
    step = 2 * 9 / 511
    error = float(np.abs(opened.total.vectors[0] - clear).max())
    assert step / 100 < error < len(ALL) * step


def test_a_sum_of_parts_of_groups_is_not_opened() -> None:
    played = exchange({"round": [ALL[9]]})
    played.groups = (ALL[:7], ALL[7:])
    assert collect(played).total is None


def test_fewer_of_those_that_one_hospital_chose_open_nothing() -> None:
    first = exchange()
    collect(first)
    chosen = graph_of(first).chosen[VICTIM]
    played = exchange({"unmask": list(chosen[:3])})
    assert collect(played).total is None
    assert len(given_for(played, VICTIM)) == 2
    assert any(f"do not open the mask of {VICTIM}" in reason for _, _, reason in played.dropped)


def test_a_graph_of_the_coordinators_is_refused() -> None:
    """The classical attack on sparse graphs: neighbours of its own choice, so that hospitals fall into parts."""

    def strangers(site: SiteId, request: Payload) -> Payload:
        graph = graph_of(played)
        near = {*graph.chosen[site], *graph.choosing[site]}
        far = next(other for other in ALL if other not in near and other != site)
        return shown(graph, site, sorted({*near, far}))

    def hidden(site: SiteId, request: Payload) -> Payload:
        graph = graph_of(played)
        return shown(graph, site, sorted({*graph.chosen[site][1:], *graph.choosing[site]} - {graph.chosen[site][0]}))

    played = exchange(shares=strangers)
    collect(played)
    some = [reason for reason in refusals(played, "shares").values() if "did not choose, nor it this one" in reason]
    assert some and len(some) == len(refusals(played, "shares"))
    played = exchange(shares=hidden)
    assert collect(played).total is None
    assert set(refusals(played, "shares").values()) == {"of the hospitals that this one chose, some are not shown."}
    assert set(refusals(played, "shares")) == set(ALL)


def shown(graph: Graph, site: SiteId, others: list[SiteId]) -> Payload:
    parts = [graph.tree.root, graph.tree.path(graph.places[site])]
    for other in others:
        place = graph.places[other]
        parts += [place.to_bytes(PLACE_BYTES, "big"), graph.announced[other].to_bytes(), graph.tree.path(place)]
    return with_data(Payload(), b"".join(parts))


def test_a_choice_of_the_coordinators_in_a_hospitals_name_is_refused() -> None:
    def chosen_for(site: SiteId, request: Payload) -> Payload:
        graph = graph_of(played)
        forged = {
            other: one if other == site else replace(one, choice=bytes(32)) for other, one in graph.announced.items()
        }
        # The graph that follows from the forged choices, under a root of its own.
        return Graph(ALL, forged, GRAPH.chosen).shown_to(site)

    played = exchange(shares=chosen_for)
    assert collect(played).total is None
    assert set(refusals(played, "shares")) == set(ALL)
    assert all("is not signed by it" in reason for reason in refusals(played, "shares").values())


def test_two_graphs_shown_to_two_halves_open_nothing() -> None:
    """Of two roots each is signed for by those that found themselves under it, and neither by enough."""
    half = set(ALL[:7])

    def rooted(site: SiteId, request: Payload) -> Payload:
        graph = graph_of(played)
        if site in half:
            return request
        # Another root over the same neighbours: one hospital that is no neighbour is left out of the tree.
        out = next(one for one in ALL if one != site and one not in {*graph.chosen[site], *graph.choosing[site]})
        announced = {other: one for other, one in graph.announced.items() if other != out}
        return Graph(ALL, announced, GRAPH.chosen).shown_to(site)

    played = exchange(shares=rooted)
    assert collect(played).total is None
    assert not refusals(played, "shares")
    assert played.replies("survivors") and not played.replies("unmask")
    assert all("signed these survivors; 10 must" in reason for reason in refusals(played, "unmask").values())


def test_keys_of_an_earlier_try_of_the_round_are_refused() -> None:
    """Their secrets may have been opened then; the hospital they are of misses its new ones under such a root."""
    before = exchange()
    collect(before)
    old = Announced.from_bytes(data(before.replies("keys")[ALL[1]]))

    def replayed(site: SiteId, request: Payload) -> Payload:
        graph = graph_of(played)
        return Graph(ALL, {**graph.announced, ALL[1]: old}, GRAPH.chosen).shown_to(site)

    played = exchange(shares=replayed)
    collect(played)
    assert refusals(played, "shares") == {
        ALL[1]: "a hospital's keys are not among those that the round's hospitals announced."
    }
    mixed = exchange(
        shares=lambda site, request: with_data(request, data(request).replace(new(mixed), old.to_bytes()))
    )
    collect(mixed)
    assert set(refusals(mixed, "shares")) == set(graph_of(mixed).neighbours(ALL[1]))


def new(played: InMemoryExchange) -> bytes:
    return graph_of(played).announced[ALL[1]].to_bytes()


def test_a_hospital_is_cut_off_by_no_choice_of_the_lost() -> None:
    """Whoever names enough of those lost that the victim chose gets neither its signature nor its seed's shares."""

    def named(site: SiteId, request: Payload) -> Payload:
        lost = set(graph_of(played).chosen[VICTIM][:3])
        return replace(request, words=marked(ALL, set(ALL) - lost))

    def unmasked(site: SiteId, request: Payload) -> Payload:
        signed = played.replies("survivors")
        graph, alive = graph_of(played), set(ALL) - set(graph_of(played).chosen[VICTIM][:3])
        beside = [played.replies("round")[other].words[SIGNED] for other in graph.choosing[site] if other in alive]
        raw = b"".join(data(signed[other]) for other in sorted(signed))
        return with_data(Payload(words=marked(ALL, signed.keys())), raw + b"".join(map(decoded, beside)))

    played = exchange(survivors=named, unmask=unmasked)
    assert collect(played).total is None
    reasons = refusals(played, "survivors")
    assert reasons[VICTIM] == "2 of the 5 hospitals that this one chose are there; 3 must be."
    assert not given_for(played, VICTIM)


def decoded(word: object) -> bytes:
    assert isinstance(word, str)
    return b64decode(word)


@pytest.mark.parametrize("what", ["order", "who masks"])
def test_a_hospital_that_masked_by_another_order_is_not_opened(what: str) -> None:
    def ordered(site: SiteId, request: Payload) -> Payload:
        if site != VICTIM:
            return request
        if what == "order":
            return replace(request, numbers={**request.numbers, "learning_rate": 0.0})
        # Called lost to the victim alone, and one that did not choose it, so that no shares are missed.
        graph = graph_of(played)
        out = next(one for one in ALL if one not in {VICTIM, *graph.choosing[VICTIM]})
        return replace(request, words={**request.words, **marked(ALL, set(ALL) - {out})})

    played = exchange(round=ordered)
    assert collect(played).total is None
    assert not refusals(played, "round")
    assert not given_for(played, VICTIM)
    assert given_for(played, ALL[1])


def test_nobody_gives_both_shares_of_the_victim() -> None:
    """Other survivors, once the first were signed: every leg is answered once."""
    played = exchange({"round": [VICTIM]})
    assert collect(played).total is not None
    key = given_for(played, VICTIM)
    holders = list(graph_of(played).chosen[VICTIM])
    assert set(key) == set(holders)
    for leg in ("survivors", "unmask"):
        request = next(one.request for one in played.crossed if one.leg == leg and one.site == holders[0])
        assert not played.ask(leg, dict.fromkeys(holders, replace(request, words=marked(ALL, ALL))))


def test_survivors_told_otherwise_to_some_are_signed_by_too_few() -> None:
    told = {site: set(ALL) - ({ALL[13]} if place % 2 else set()) for place, site in enumerate(ALL)}

    def named(site: SiteId, request: Payload) -> Payload:
        return replace(request, words=marked(ALL, told[site]))

    played = exchange(survivors=named)
    assert collect(played).total is None
    assert refusals(played, "unmask") and not played.replies("unmask")


def test_a_hospital_asked_anew_chooses_the_same_in_the_same_round_alone() -> None:
    """So that no coordinator draws a graph until it likes it."""
    played, later = exchange(), exchange(number=2)
    collect(played)
    first = graph_of(played)
    collect(played)
    again = {one.site: Announced.from_bytes(data(one.reply)) for one in played.crossed[-70:] if one.leg == "keys"}
    assert len(again) == len(ALL)
    assert all(again[site].choice == first.announced[site].choice for site in ALL)
    assert all(again[site].keys.mask != first.announced[site].keys.mask for site in ALL)
    collect(later)
    assert all(graph_of(later).announced[site].choice != first.announced[site].choice for site in ALL)


@pytest.mark.parametrize("hostile", ["", "AA==", "!", "//8=", "/////w==", ["hospital-00"], None])
def test_marks_that_are_no_marks_are_refused(hostile: object) -> None:
    """Two bytes are due, of which the last two bits stand for nobody."""
    words = {} if hostile is None else {SITES: hostile}
    played = exchange(survivors=lambda site, request: replace(request, words=words))  # type: ignore[arg-type]
    assert collect(played).total is None
    assert set(refusals(played, "survivors").values()) == {"hospitals must be marked by one bit each, in base64."}


def test_a_tree_of_any_number_has_every_leaf_under_its_root() -> None:
    for hospitals in (3, 4, 5, 14):
        leaves = [bytes([place]) * ANNOUNCED_BYTES for place in range(hospitals)]
        tree = Tree.over(leaves)
        for place, leaf in enumerate(leaves):
            demand_leaf(tree.root, tree.path(place), place, leaf)
            with pytest.raises(WireError):
                demand_leaf(tree.root, tree.path(place), place ^ 1, leaf)


def test_several_groups_that_start_from_state_are_refused_with_words() -> None:
    updates = random_updates(14, LENGTH, np.random.default_rng(5), vectors=2)
    played = InMemoryExchange(Sparse(), updates, groups=(ALL[:7], ALL[7:]))
    agreement = Agreement.of(frozenset(ALL), expected_of(updates))
    with pytest.raises(WireError, match="neighbours = 'all'"):
        Sparse().answer("keys", with_agreement(Payload(), agreement), played.local(VICTIM))
    with pytest.raises(StudyError, match="neighbours = 'all'"):
        collect(played)
