"""What every aggregation must do: a true sum within its declared error, and nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from common.data.names import SiteId
from common.errors import StudyError
from common.sums.abilities import can, stated_error
from common.sums.aggregation import Aggregation
from common.sums.exchange import Collected, Payload
from common.sums.mean import Mean
from common.sums.update import Update
from common.sums.wide import WideForm
from experiments.engines._loopback_exchange import (
    InMemoryExchange,
    collect,
    collect_numbers,
    expected_of,
    random_updates,
)
from wardround.testing.laws import check_options

LENGTH = 500
FLOAT32 = 2.0**-23
"""Relative rounding of what updates come in."""
HOSTILE = (
    Payload(),
    Payload(data=np.frombuffer(b"nonsense" * 7, np.uint8)),
    Payload(array=np.full(20, np.inf, np.float32), numbers={"update/weight": -1.0, "weight": 1e308}),
    Payload(numbers={"sum/length": -1}, words={"keys": ["hospital-01"], "sites": "all"}),
)
Updates = Mapping[SiteId, Update]


class AggregationTests:
    """Inherit, and bind `aggregation` to one.

    largest: values u_k of the updates that are added up lie within +-largest, its range; hospitals: fewest and most.
    """

    aggregation: Aggregation
    largest: ClassVar[float] = 0.9
    hospitals: ClassVar[tuple[int, int]] = (3, 6)

    @pytest.fixture
    def made(self) -> Any:
        """The aggregation."""
        return self.aggregation

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """Both halves build it from the study, each for itself. Mend: @dataclass(frozen=True)."""
        check_options(made)

    @pytest.mark.parametrize("vectors", [1, 2], ids=["one vector", "two vectors"])
    def test_the_sum_is_the_true_one_within_the_declared_error(self, made: Any, vectors: int) -> None:
        """A strategy steps by it. Mend: where it rounds or is noisy, say by how much at most:
        largest_error(self, hospitals, expected) -> float."""
        for hospitals in self.hospitals:
            updates = self._updates(hospitals, LENGTH, hospitals, vectors)
            collected = collect(InMemoryExchange(made, updates))
            assert collected.sites == tuple(sorted(updates)), f"the sum is of {collected.sites}, not of all"
            check_sum(made, collected, updates)

    def test_the_declared_error_is_small_beside_what_is_added_up(self, made: Any) -> None:
        """A bound that allows anything says nothing. Mend: the least bound that is true."""
        updates = self._updates(4, 20, 0)
        expected = expected_of(updates)
        declared = stated_error(made, 4, expected)
        assert 0 <= declared < 4 * self.largest * expected.reach / 2, f"the declared error is {declared}"

    def test_statistics_add_up_exactly(self, made: Any) -> None:
        """Scores ride in them, and are whole numbers. Mend: add Mean to Mean; never average."""
        updates = {
            site: Update(update.vectors, update.weight, {"loss": Mean.of([0.25 * index, 1.0])})
            for index, (site, update) in enumerate(self._updates(4, 20, 0).items())
        }
        total = collect(InMemoryExchange(made, updates)).total
        assert total is not None and "loss" in total.statistics, "no statistics came back"
        wanted = sum((update.statistics["loss"] for update in updates.values()), Mean())
        assert total.statistics["loss"] == wanted, f"{total.statistics['loss'].value}, not {wanted.value}"

    def test_wide_whole_numbers_add_up_exactly(self, made: Any) -> None:
        """Questions to hospitals are such sums. Mend: `collect_wide` and `protect_wide`, whose total tells nothing
        beside itself; without them numbers ride as whole steps, where every update may be read."""
        if made.reveals == "sum" and not can(made, "collect_wide"):
            return  # no question is asked through it
        form, sites = WideForm(2, 2), tuple(self._updates(4, 1, 0))
        numbers = {site: [place, -1, -(1 << 200) * place, (1 << 250) - place] for place, site in enumerate(sites)}
        exchange = InMemoryExchange(made, {site: Update((), 1.0) for site in sites}, numbers=numbers)
        wanted = tuple(map(sum, zip(*numbers.values(), strict=True)))
        total = collect_numbers(exchange, form).total
        assert total == wanted, f"{total}, not {wanted}"

    def test_a_hospital_that_is_lost_is_not_in_the_sum_and_nothing_else_changes(self, made: Any) -> None:
        """Hospitals fail. Mend: `sites` names those whose updates are in the sum, and no other; no total where there
        are too few."""
        updates = self._updates(6, 20, 1)
        whole = InMemoryExchange(made, updates)
        collect(whole)
        legs = list(dict.fromkeys(one.leg for one in whole.crossed))
        for leg in dict.fromkeys(("round", legs[0], legs[-1])):
            exchange = InMemoryExchange(made, updates, lost={leg: ["hospital-02"]})
            collected = collect(exchange)
            if leg in (legs[0], "round"):
                assert "hospital-02" not in collected.sites, f"it was lost in leg {leg!r}, and is named in the sum"
            check_members(made, collected, updates)
            if made.reveals == "each":
                assert set(collected.sites) == set(updates) - {"hospital-02"}, "others are missing too"

    def test_an_update_of_another_length_or_that_is_not_finite_is_not_in_the_sum(self, made: Any) -> None:
        """A hospital may be broken. Mend: refuse such an update in `protect`, or drop it by name in `collect`."""
        updates = self._updates(5, 20, 1)
        exchange = InMemoryExchange(made, updates)
        wrong = {"hospital-01": np.full(20, np.nan, np.float32), "hospital-03": np.ones(7, np.float32)}
        exchange.updates = updates | {site: Update((vector,), 1.0) for site, vector in wrong.items()}
        requests = {site: Payload(words={"study": "{}"}) for site in updates}
        collected = made.collect(exchange, requests, frozenset(requests), expected_of(updates))
        assert not set(wrong) & set(collected.sites), f"the sum is of {collected.sites}"
        check_members(made, collected, updates)

    @pytest.mark.parametrize("reply", HOSTILE, ids=["nothing", "noise", "infinite", "impossible"])
    def test_a_hostile_reply_costs_its_sender_the_round_and_nobody_else(self, made: Any, reply: Payload) -> None:
        """A peer may send anything. Mend: check whatever comes, and `exchange.drop` the sender by name and reason."""
        updates = self._updates(5, 20, 2)
        exchange = _Misled(made, updates, reply=reply)
        collected = collect(exchange)
        assert "hospital-01" not in collected.sites, "what it sent was added up"
        check_members(made, collected, updates)
        if made.reveals == "each":
            assert collected.total is not None and len(collected.sites) == 4, "honest hospitals were lost with it"
        assert any(site == "hospital-01" for site, _, _ in exchange.dropped) or collected.total is None

    def test_one_that_reveals_sums_shows_no_single_update(self, made: Any) -> None:
        """It is its promise. Mend: mask or encrypt whatever follows from an update, or say reveals = "each"."""
        updates, others = self._updates(4, LENGTH, 2), self._updates(4, LENGTH, 3)
        first = InMemoryExchange(made, updates)
        second = InMemoryExchange(made, others | {"hospital-00": updates["hospital-00"]})
        collected = collect(first)
        collect(second)
        if made.reveals == "each":
            assert collected.each is not None and set(collected.each) == set(updates), "single updates are missing"
            return
        assert collected.each is None, "it says that it reveals sums, and returns single updates"
        for one, other in zip(first.crossed, second.crossed, strict=False):
            if one.reply is not None:
                assert one.reply.array is None and not one.reply.numbers, f"numbers in the clear in leg {one.leg!r}"
            if one.site == "hospital-00":
                _check_unreadable(one.leg, one.reply, other.reply)

    def test_one_that_reveals_sums_says_who_can_read_whom_and_refuses_a_sum_of_two(self, made: Any) -> None:
        """Of a sum of two each knows the other's part. Mend: `readers` in a sentence; `check` raises StudyError."""
        if made.reveals == "each":
            pytest.skip("it reveals single updates")
        assert len(getattr(made, "readers", "")) > 20, "`readers` does not say who can read whom"
        with pytest.raises(StudyError, match="3 hospitals"):
            made.check(2)

    def test_hospitals_open_no_sum_of_fewer_than_the_promised_noise_counts_on(self, made: Any) -> None:
        """A coordinator that asks for less and names fewer gets nothing. Mend: `local.cohort.refuse_opening(sites)`
        in the hospital's half, before anything is opened."""
        if made.reveals == "each":
            pytest.skip("it reveals single updates")
        updates = self._updates(4, 20, 2)
        assert collect(InMemoryExchange(made, updates, fewest=4)).total is not None, "four of four were refused"
        few = InMemoryExchange(made, updates, fewest=5)
        assert collect(few).total is None, "a sum of four was opened where a round needs five"
        assert any("this round needs 5" in reason for _, _, reason in few.refused), "no hospital said why"

    def _updates(self, hospitals: int, length: int, seed: int, vectors: int = 1) -> dict[SiteId, Update]:
        return random_updates(hospitals, length, np.random.default_rng(seed), self.largest, vectors)


def check_members(made: Any, collected: Collected, updates: Updates) -> None:
    """Where there is a sum, it is of its sites and nobody else: another's values would show beyond any rounding."""
    check_sum(made, collected, updates, 0.02 * expected_of(updates).reach)


def check_sum(made: Any, collected: Collected, updates: Updates, more: float = 0.0) -> None:
    """Where there is a sum, it is that of its sites' updates, within the declared error, float32's and `more`."""
    if collected.total is None:
        return
    added = [updates[site] for site in collected.sites]
    declared = stated_error(made, len(added), expected_of(updates))
    for index, vector in enumerate(collected.total.vectors):
        truth = sum(update.vectors[index].astype(np.float64) for update in added)
        bound = declared + more + FLOAT32 * sum(float(np.abs(update.vectors[index]).max()) for update in added)
        error = float(np.abs(vector - truth).max())
        assert error <= bound, (
            f"the sum of {len(added)} hospitals is off by {error:.3g}; declared is {declared:.3g}"
            f"{'' if declared else ' (no largest_error)'}, and {bound:.3g} with float32's rounding"
        )
    weight = sum(update.weight for update in added)
    assert collected.total.weight == weight, f"its weight is {collected.total.weight}, not {weight}"


@dataclass
class _Misled(InMemoryExchange):
    """hospital-01 answers every leg with the same reply."""

    reply: Payload = Payload()  # noqa: RUF009 - nobody changes it

    def _answer(self, leg: str, site: SiteId, request: Payload) -> Payload | None:
        return replace(self.reply) if site == "hospital-01" else super()._answer(leg, site, request)


def _check_unreadable(leg: str, one: Payload | None, other: Payload | None) -> None:
    """What hospital-00 sent twice, with the same update and among others whose updates differ."""
    if one is None or other is None or one.data is None or other.data is None or one.data.size < LENGTH:
        return
    # Masked or encrypted, hardly a byte is the same, and of a sum only its first ones; of an update in any other
    # form most are.
    size = min(one.data.size, other.data.size)
    same = float((one.data[:size] == other.data[:size]).mean())
    assert same < 0.5, f"{same:.0%} of the bytes that a hospital sends in leg {leg!r} follow from its update alone"
