from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.sums.mean import LARGEST_UNITS, UNITS_PER_ONE, Mean, merge

values = st.lists(st.floats(-1000, 1000), max_size=30)


def test_a_mean_by_hand() -> None:
    mean = Mean.of([1.0, 4.0], [3.0, 1.0])
    assert (mean.value, mean.weight) == (1.75, 4.0)


@given(values, st.integers(1, 5), st.randoms(use_true_random=False))
def test_parts_merge_exactly_into_the_whole_in_any_order(numbers: list[float], count: int, random: object) -> None:
    whole = Mean.of(numbers)
    shuffled = numbers.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = [{"score": Mean.of(shuffled[start::count])} for start in range(count)]
    random.shuffle(parts)  # type: ignore[attr-defined]
    assert merge(parts)["score"] == whole


@given(values.filter(bool))
def test_the_mean_is_that_of_exact_fractions_to_a_unit(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers)) / len(numbers)
    assert abs(Fraction(Mean.of(numbers).value) - exact) <= Fraction(1, UNITS_PER_ONE) + abs(exact) / 2**50


def test_nothing_has_no_mean() -> None:
    assert math.isnan(Mean().value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Mean.of([1.0, bad])


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative weights"):
        Mean.of([1.0], [-1.0])


def test_an_overflow_is_said() -> None:
    with pytest.raises(OverflowError, match="use smaller weights"):
        Mean(LARGEST_UNITS, 1) + Mean(1, 1)
