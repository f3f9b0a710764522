"""Rounds whose values were cut are asked for again with a wider range."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from common.sums.aggregations._agreement import RANGE_FACTORS
from common.sums.aggregations._fixed_point import CLIPPED
from common.sums.exchange import Collected
from common.sums.mean import Mean
from common.sums.update import Update
from server.server_half import own_state
from server.value_range import collect_in_range, factor_of, kept_factor


def collected(share: float | None) -> Collected:
    statistics = {} if share is None else {CLIPPED: Mean.of([share])}
    return Collected(Update((np.zeros(2),), 1.0, statistics), ("a",), None, {})


NOTHING = Collected(None, (), None, {})


def collecting(shares: Mapping[int, float | None]) -> tuple[Callable[[int], Collected], list[int]]:
    """By factor what share comes back; where a factor is absent the round fails."""
    asked: list[int] = []

    def collect(factor: int) -> Collected:
        asked.append(factor)
        return collected(shares[factor]) if factor in shares else NOTHING

    return collect, asked


@pytest.mark.parametrize(
    ("shares", "start", "asked", "factor", "clipped"),
    [
        ({1: 0.0}, 1, [1], 1, 0.0),
        ({1: 0.0199}, 1, [1], 1, 0.0199),
        ({1: 0.021, 4: 0.0}, 1, [1, 4], 4, 0.0),
        ({1: 0.9, 4: 0.5, 16: 0.01}, 1, [1, 4, 16], 16, 0.01),
        ({16: 0.5, 64: 0.0}, 16, [16, 64], 64, 0.0),
        (dict.fromkeys(RANGE_FACTORS, 1.0), 1, list(RANGE_FACTORS), 1024, 1.0),
        ({1024: 1.0}, 1024, [1024], 1024, 1.0),
        ({1: 0.5}, 1, [1, 4], 1, 0.5),
        ({1: 0.5, 4: 0.3}, 1, [1, 4, 16], 4, 0.3),
        ({1: None}, 1, [1], 1, None),
        ({}, 1, [1], 1, None),
    ],
)
def test_a_round_is_repeated_until_few_values_are_cut(
    shares: Mapping[int, float | None], start: int, asked: list[int], factor: int, clipped: float | None
) -> None:
    collect, done = collecting(shares)
    found = collect_in_range(collect, start, True, lambda: False)
    assert done == asked
    assert (found.factor, found.repeats) == (factor, len([one for one in asked if start < one <= factor]))
    assert found.clipped == (None if clipped is None else pytest.approx(clipped))
    assert (found.collected.total is None) == (not shares)


def test_a_share_of_values_without_noise_is_neither_used_nor_recorded() -> None:
    collect, asked = collecting({1: 1.0})
    found = collect_in_range(collect, 1, False, lambda: False)
    assert (asked, found.factor, found.clipped, found.repeats) == ([1], 1, None, 0)


@pytest.mark.parametrize("may_look", [True, False])
def test_a_round_is_repeated_where_a_hospital_refused_its_range(may_look: bool) -> None:
    collect, asked = collecting({16: 0.01})
    found = collect_in_range(collect, 1, may_look, lambda: asked[-1] < 16)
    assert (asked, found.factor, found.repeats) == ([1, 4, 16], 16, 2)


def test_a_round_that_no_range_holds_ends() -> None:
    collect, asked = collecting({})
    found = collect_in_range(collect, 1, True, lambda: True)
    assert asked == list(RANGE_FACTORS) and found.collected.total is None


def test_the_factor_is_kept_beside_the_strategys_own_state() -> None:
    assert kept_factor(1) == {}
    assert factor_of({}) == 1
    state = {"control": np.zeros(1), **kept_factor(64)}
    assert factor_of(state) == 64
    assert set(own_state(state)) == {"control"}
