"""What differences of sums tell apart, by hand and against every combination there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evidence.told_apart import combination, fewest_told_apart, nearest, told_apart

SITES = st.sampled_from("abcd")
OPENED = st.lists(st.sets(SITES, min_size=1), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("opened", "sets", "fewest"),
    [
        (["abcd"], [("a", "b", "c", "d")], 4),
        (["abcd", "abc"], [("d",), ("a", "b", "c")], 1),
        (["ab", "bc", "ac"], [("a",), ("b",), ("c",)], 1),
        # Here the difference a - c is told, and neither of the two.
        (["ab", "bc"], [("a", "b"), ("b", "c")], 2),
        (["abc", "abcdef", "def"], [("a", "b", "c"), ("d", "e", "f")], 3),
        ([], [], 0),
    ],
)
def test_what_sums_tell_apart_by_hand(opened: list[str], sets: list[tuple[str, ...]], fewest: int) -> None:
    assert list(told_apart(opened)) == sets
    assert fewest_told_apart(opened) == fewest


@given(OPENED)
def test_exact_elimination_agrees_with_least_squares_over_every_set(opened: list[set[str]]) -> None:
    sets = [sorted(one) for one in opened]
    isolated = [
        set(wanted)
        for flags in product([False, True], repeat=4)
        if (wanted := tuple(site for site, there in zip("abcd", flags, strict=True) if there))
        and combination(sets, wanted) is not None
    ]
    smallest = [one for one in isolated if not any(other < one for other in isolated)]
    assert {frozenset(one) for one in told_apart(sets)} == {frozenset(one) for one in smallest}
    assert fewest_told_apart(sets) <= min(map(len, smallest))


@given(OPENED)
def test_unions_of_whole_groups_tell_nothing_below_a_group_apart(opened: list[set[str]]) -> None:
    """Each letter stands for a group of three."""
    sets = [[f"{letter}{number}" for letter in one for number in range(3)] for one in opened]
    assert fewest_told_apart(sets) >= 3
    assert all(len(one) % 3 == 0 for one in told_apart(sets))


def test_a_combination_takes_the_sum_of_a_set_out_of_opened_sums() -> None:
    updates = {site: np.random.default_rng(number).normal(size=5) for number, site in enumerate("abcd")}
    opened = ["ab", "bc", "abcd"]
    sums = np.array([np.sum([updates[site] for site in one], axis=0) for one in opened])
    factors = combination(opened, ["c", "d"])
    assert factors is not None
    np.testing.assert_allclose(factors @ sums, updates["c"] + updates["d"])
    assert combination(opened, ["c"]) is None and combination(opened, ["z"]) is None


def test_the_nearest_to_one_hospital_of_a_single_group_is_its_share_of_the_sum() -> None:
    np.testing.assert_allclose(nearest(["abcd"], "b"), [0.25])


def test_of_a_hundred_hospitals_drawn_ten_at_a_time_each_is_told_apart() -> None:
    names = [f"{number:02d}" for number in range(100)]
    rng = np.random.default_rng(0)
    opened = [sorted(rng.choice(names, 10, replace=False)) for _ in range(120)]
    assert fewest_told_apart(opened) == 1
    assert fewest_told_apart(opened[:2]) in range(1, 11)
    assert {one for one in told_apart(opened) if len(one) == 1} == {(name,) for name in names}
