"""Sums made while replies come: the same to the bit in whatever order, and no reply is held that is in the sum."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.names import SiteId
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.aggregations._folding import Folding
from common.sums.aggregations.plain import Plain
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Expected, Payload
from common.sums.mean import LARGEST_UNITS, Mean, excessive
from common.sums.update import Update
from common.wire.decoding import update_to_payload
from experiments.engines._loopback_exchange import InMemoryExchange, collect, random_updates

SITES = tuple(f"h{number}" for number in range(5))
HUGE = float(np.finfo(np.float32).max) / 3


@dataclass
class Coming:
    """Replies in an order; None where nothing comes. Only weak references are kept."""

    updates: dict[SiteId, Update | None]
    order: tuple[SiteId, ...]
    dropped: list[SiteId] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)

    def as_they_come(self, leg: str, requests: Mapping[SiteId, Payload]) -> Iterator[tuple[SiteId, Payload | None]]:
        arrays: list[weakref.ref[Any]] = []
        for site in self.order:
            update = self.updates.pop(site)
            if update is None:
                yield site, None
                continue
            payload = update_to_payload(replace(update, vectors=(update.vectors[0].copy(),)))
            arrays.append(weakref.ref(payload.array))
            self.alive.append(sum(one() is not None for one in arrays))
            yield site, payload
            del payload

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        self.dropped.append(site)


def plain(
    updates: Mapping[SiteId, Update | None], order: tuple[SiteId, ...], keeps: bool
) -> tuple[Collected, Coming]:
    coming = Coming(dict(updates), order)
    expected = Expected(3, 1, dict.fromkeys(SITES, 10.0), keeps_each=keeps)
    asked = dict.fromkeys(SITES, Payload())
    return Plain().collect(coming, asked, frozenset(SITES), expected), coming  # type: ignore[arg-type]


def slowly(updates: Mapping[SiteId, Update | None]) -> tuple[list[SiteId], Update | None]:
    """Who is dropped and the sum, from all updates at once."""
    there = {site: one for site, one in sorted(updates.items()) if one is not None}
    bad = [site for site, one in there.items() if not np.isfinite(one.vectors[0]).all()]
    good = {site: one for site, one in there.items() if site not in bad}
    share = float(np.finfo(np.float32).max) / max(len(good), 1)
    large = {site for site, one in good.items() if np.abs(one.vectors[0]).max() > share}
    beyond = sorted(large | excessive({site: one.statistics for site, one in good.items()}))
    total = None
    for site, one in good.items():
        if site not in beyond:
            total = one if total is None else total + one
    return bad + beyond, total


VALUES = st.sampled_from([0.1, -3.7e7, 1e-9, 1 / 3, HUGE, -HUGE / 1.5, HUGE / 2.5, float("nan")])
UNITS = st.sampled_from([1, LARGEST_UNITS // 3, LARGEST_UNITS // 7])


@given(st.permutations(SITES), st.data(), st.booleans())
def test_updates_add_up_to_the_same_bits_in_whatever_order_they_come(
    order: list[SiteId], data: st.DataObject, keeps: bool
) -> None:
    updates: dict[SiteId, Update | None] = {}
    for site in SITES:
        values = np.array(data.draw(st.lists(VALUES, min_size=3, max_size=3)), np.float32)
        loss = Mean(data.draw(UNITS), data.draw(UNITS))
        lost = data.draw(st.integers(0, 4)) == 0
        updates[site] = None if lost else Update((values,), 2.0, {"loss": loss})
    collected, coming = plain(updates, tuple(order), keeps)
    dropped, total = slowly(updates)
    assert sorted(coming.dropped) == sorted(dropped)
    assert collected.sites == tuple(site for site in SITES if updates[site] is not None and site not in dropped)
    assert all(reply.array is None for reply in collected.replies.values())
    if total is None:
        assert collected.total is None
        return
    assert collected.total is not None
    assert collected.total.vectors[0].tobytes() == total.vectors[0].astype(np.float64).tobytes()
    assert (collected.total.weight, collected.total.statistics) == (total.weight, total.statistics)
    assert all(bool(update.vectors) is keeps for update in (collected.each or {}).values())


def test_an_update_in_the_sum_is_let_go_and_one_that_came_early_only_waits_for_its_turn() -> None:
    """Not even the first is the sum itself, until a second one comes."""
    for order, most in ((SITES, 1), (tuple(reversed(SITES)), 5), (("h1", "h0", "h2", "h3", "h4"), 2)):
        updates = {site: Update((np.ones(3, np.float32),), 1.0) for site in SITES}
        gc.disable()  # references alone decide
        try:
            _, coming = plain(updates, order, False)
        finally:
            gc.enable()
        assert max(coming.alive) == most


@dataclass
class Backwards(InMemoryExchange):
    """Hands replies over one by one, the last hospital's first."""

    def as_they_come(self, leg: str, requests: Mapping[SiteId, Payload]) -> Iterator[tuple[SiteId, Payload | None]]:
        replies = self.ask(leg, requests)
        for site in sorted(requests, reverse=True):
            yield site, replies.get(site)


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("name", ["secagg", "additive", "bfv", "ckks"])
def test_sums_that_hide_their_parts_are_the_same_made_backwards_with_a_group_that_is_not_whole(
    name: str, groups: bool
) -> None:
    made = AGGREGATIONS.build(Entry(name, {"mode": "economical"} if name == "ckks" else {}))
    updates = random_updates(6, 50, np.random.default_rng(0))
    halves = (tuple(sorted(updates)[:4]), tuple(sorted(updates)[4:]))
    lost = {} if name == "additive" else {"round": ["hospital-05"]}
    found = []
    for kind in (InMemoryExchange, Backwards):
        exchange = kind(made, updates, lost=lost, groups=halves if groups else (), fewest=3)
        found.append(collect(exchange, needed=3))
    first, second = found
    assert first.sites == second.sites
    assert len(first.sites) == (6 if not lost else 4 if groups else 5)
    assert first.total is not None and second.total is not None
    assert first.total.vectors[0].tobytes() == second.total.vectors[0].tobytes()


def test_a_part_that_could_not_be_added_spoils_the_sum_and_not_only_itself() -> None:
    def add(total: list[int] | None, part: list[int]) -> list[int]:
        if total is None:
            return part
        total += part[:1]
        return total if len(part) > 1 else 1 / 0  # type: ignore[return-value]

    sums = Folding(Cohort(("a", "b")), add)
    take = sums.taking(lambda site, _: [1, 2] if site == "a" else [3])
    take("a", Payload())
    with pytest.raises(ZeroDivisionError):
        take("b", Payload())
    with pytest.raises(Exception, match="could not be added up"):
        sums.total(["a"])
