"""Whole numbers of 64 and 256 bits through every aggregation: exact, and nothing told beside their total."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest

from common.errors import RefusedError, StudyError, WireError
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._digits import HiddenDigits, PlainDigits
from common.sums.aggregations.plain import Plain
from common.sums.update import Update
from common.sums.wide import CollectedWide, WideForm
from common.sums.wide_sums import demand_wide
from experiments.engines._loopback_exchange import InMemoryExchange, collect_numbers

EVERY = {
    "plain": Entry("plain"),
    "secagg": Entry("secagg"),
    "additive": Entry("additive"),
    "bfv": Entry("bfv"),
    "bfv, one key": Entry("bfv", {"keys": "shared"}),
    "ckks": Entry("ckks"),
    "ckks, tutorial": Entry("ckks", {"mode": "tutorial"}),
}
HIDING = tuple(name for name in EVERY if name != "plain")


def exchange_of(aggregation: Any, parts: dict[str, list[int]], **more: Any) -> InMemoryExchange:
    """Hospitals that hold these numbers."""
    return InMemoryExchange(aggregation, {site: Update((), 1.0) for site in parts}, numbers=parts, **more)


def summed(parts: dict[str, list[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*parts.values(), strict=True)))


def random_parts(hospitals: int, form: WideForm, seed: int) -> dict[str, list[int]]:
    """Numbers of any size that leave room for the sum, with both ends, 0 and -1 among them."""
    random, found = Random(seed), {}
    most = {bits: ((1 << bits - 1) - 1) // hospitals for bits in (64, 256)}
    for index in range(hospitals):
        ends = [most[64], -most[64], 0, -1, 1]
        numbers = [random.randint(-most[64], most[64]) >> random.randrange(64) for _ in range(form.counts)]
        reals = [random.randint(-most[256], most[256]) >> random.randrange(256) for _ in range(form.reals)]
        numbers[: len(ends)] = ends[: form.counts]
        reals[:4] = [most[256], -most[256], 1 << 128, -1][: form.reals]
        found[f"hospital-{index}"] = [*numbers, *reals]
    return found


@pytest.mark.parametrize("name", EVERY)
def test_every_aggregation_gives_the_exact_total(name: str) -> None:
    for form, hospitals in ((WideForm(9, 7), 5), (WideForm(0, 1), 3)):
        parts = random_parts(hospitals, form, hospitals)
        collected = collect_numbers(exchange_of(AGGREGATIONS.build(EVERY[name]), parts), form)
        assert collected.total == summed(parts), name
        assert collected.sites == tuple(sorted(parts))


def test_an_aggregation_that_says_nothing_of_wide_numbers_adds_them_up_as_whole_steps() -> None:
    @dataclass(frozen=True)
    class Foreign(Plain):
        """As somebody else would write it."""

        collect_wide: Any = None
        protect_wide: Any = None

    parts, form = random_parts(4, WideForm(3, 3), 0), WideForm(3, 3)
    exchange = exchange_of(Foreign(), parts)
    assert collect_numbers(exchange, form).total == summed(parts)


def test_one_that_promises_sums_and_says_nothing_of_wide_numbers_is_refused() -> None:
    class Foreign(Plain):
        reveals = "sum"
        collect_wide = None  # type: ignore[assignment]

    with pytest.raises(StudyError, match="does not say how it adds up wide whole numbers"):
        demand_wide(Foreign(), "own.py:Foreign")


@pytest.mark.parametrize("leg", ["shares", "round", "survivors"])
@pytest.mark.parametrize("name", ["secagg", "bfv"])
def test_a_hospital_that_is_lost_is_in_the_total_or_it_is_not(name: str, leg: str) -> None:
    parts, form = random_parts(6, WideForm(2, 2), 1), WideForm(2, 2)
    exchange = exchange_of(AGGREGATIONS.build(EVERY[name]), parts, lost={leg: ["hospital-2"]})
    collected = collect_numbers(exchange, form)
    assert len(collected.sites) >= 5
    assert collected.total == summed({site: parts[site] for site in collected.sites})


@pytest.mark.parametrize("name", HIDING)
def test_with_too_few_hospitals_nothing_is_opened(name: str) -> None:
    parts, form = random_parts(4, WideForm(1, 1), 1), WideForm(1, 1)
    lost = {"keys": ["hospital-0", "hospital-1"]}
    exchange = exchange_of(AGGREGATIONS.build(EVERY[name]), parts, lost=lost, fewest=3)
    assert collect_numbers(exchange, form, needed=3) == CollectedWide(None, ())


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63), ((1 << 63) - 1) // 3 + 1])
def test_a_number_that_could_wrap_round_in_the_sum_is_refused_and_never_cut(number: int) -> None:
    with pytest.raises(RefusedError, match="has no room in 64 bits") as caught:
        WideForm(1, 0).demand_room([number], 3)
    assert caught.value.reason == "numbers"
    WideForm(1, 0).demand_room([((1 << 63) - 1) // 3], 3)


@pytest.mark.parametrize(("counts", "reals"), [(0, 0), (-1, 3), (1 << 24, 0), (0, 1 << 22)])
def test_a_sum_of_nothing_or_of_too_much_is_refused(counts: int, reals: int) -> None:
    with pytest.raises(WireError, match="a sum is of 1 to"):
        WideForm(counts, reals)


def test_what_every_aggregation_sends_alone_says_nothing_of_the_number() -> None:
    """The same hospital sends two very different numbers: no byte of the masked ones is fixed by them."""
    form = WideForm(0, 64)
    for name in ("secagg", "additive"):
        seen = []
        for number in (0, (1 << 250) - 1):
            parts = {f"hospital-{index}": [number] * 64 for index in range(3)}
            exchange = exchange_of(AGGREGATIONS.build(EVERY[name]), parts)
            collect_numbers(exchange, form)
            leg = "round" if name == "secagg" else "sums"
            seen.append(np.concatenate([one.data for one in exchange.replies(leg).values() if one.data is not None]))
        for (
            octets
        ) in seen:  # 6,144 bytes, each of 256 values 24 times +- 4.9; their standard deviation is 73.9 +- 0.4
            assert abs(np.std(octets) - 73.9) < 3, name
            assert np.bincount(octets, minlength=256).max() < 60, name


class Carries:
    """An attack: which of two sets of parts of one total was added up, told from sums of single digits.

    (255, 1, 0) and (128, 128, 0) both make 256. The lowest digits of the first add up to 256, and so do those of the
    second; but (255, 1) carries through the place where (256, 0) carries nothing.
    """

    one = ([255], [1], [0])
    other = ([256], [0], [0])
    form = WideForm(1, 0)

    def says_one(self, sums: np.ndarray[Any, Any], middle: float) -> bool:
        return bool(sums[0] > middle)


def test_sums_of_bare_digits_give_the_parts_away() -> None:
    """The planted fault: what hidden digits are for."""
    attack, digits = Carries(), PlainDigits(Carries.form)
    for parts, is_one in ((attack.one, True), (attack.other, False)):
        sums = np.sum([digits.split(digits.form.pack(part)) for part in parts], axis=0)
        assert attack.says_one(sums, 128) == is_one


def test_sums_of_hidden_digits_tell_parts_of_one_total_apart_no_better_than_guessing() -> None:
    attack, digits, tries = Carries(), HiddenDigits(Carries.form, 3, 40), 400
    right = 0
    for parts, is_one in ((attack.one, True), (attack.other, False)):
        for _ in range(tries):
            sums = np.sum([digits.split(digits.form.pack(part)) for part in parts], axis=0, dtype=np.uint64)
            total = digits.form.unpack(digits.settled(sums, 3))
            assert total == (256,)
            middle = 256.0 * 3 * 2**39 + 3 * 2.0**40
            right += attack.says_one(sums, middle) == is_one
    assert abs(right - tries) < 5 * np.sqrt(tries / 2)  # five standard deviations of a coin


def test_hidden_digits_are_as_wide_as_is_said_and_add_up() -> None:
    random = Random(5)
    form = WideForm(3, 2)
    for hiding_bits in (24, 40):
        digits = HiddenDigits(form, 5, hiding_bits)
        parts = random_parts(5, form, random.randrange(1000))
        split = [digits.split(form.pack(numbers)) for numbers in parts.values()]
        assert max(int(one.max()) for one in split) < 1 << digits.digit_bits
        assert form.unpack(digits.settled(np.sum(split, axis=0, dtype=np.uint64), 5)) == summed(parts)


def test_masked_wide_numbers_carry_as_python_adds_and_take_their_masks_off_again() -> None:
    form = WideForm(2, 2)
    numbers = [-1, 7, -(1 << 200), 1 << 90]
    words, streams = form.pack(numbers), [bytes([index] * 28) for index in range(3)]
    adding = Adding(form)
    adding.apply(words, streams[:2], streams[2:])
    assert form.unpack(words) != tuple(numbers)
    adding.apply(words, streams[2:], streams[:2])
    assert form.unpack(words) == tuple(numbers)


def test_a_reply_of_another_length_costs_its_sender_the_round() -> None:
    parts, form = random_parts(4, WideForm(2, 1), 1), WideForm(2, 1)
    exchange = exchange_of(Plain(), parts)
    honest = exchange.ask

    def misled(leg: str, requests: Any) -> Any:
        replies = honest(leg, requests)
        data = replies["hospital-3"].data
        assert data is not None
        return {**replies, "hospital-3": type(replies["hospital-3"])(data=data[:-1])}

    exchange.ask = misled  # type: ignore[method-assign]
    assert collect_numbers(exchange, form).sites == ("hospital-0", "hospital-1", "hospital-2")
