from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import TooFewHospitalsError
from common.sums.cohorts import select

SITES = tuple(f"hospital-{k}" for k in range(10))
names = st.lists(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=20, unique=True)


def test_everybody_is_selected_at_fraction_one():
    assert select(SITES, 1.0, 0, 1) == tuple(sorted(SITES))


@pytest.mark.parametrize(("fraction", "selected"), [(0.0, 1), (0.01, 1), (0.1, 1), (0.3, 3), (0.64, 6), (0.66, 7)])
def test_the_number_selected_is_mcmahans(fraction, selected):
    assert len(select(SITES, fraction, 0, 1)) == selected


@given(sites=names, fraction=st.floats(0, 1), seed=st.integers(0, 99), data=st.data())
def test_the_order_of_hospitals_does_not_matter_to_who_is_selected(sites, fraction, seed, data):
    shuffled = data.draw(st.permutations(sites))
    chosen = select(sites, fraction, seed, 3)
    assert chosen == select(shuffled, fraction, seed, 3)
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(sites)


def test_the_same_seed_and_round_select_the_same_and_others_do_not():
    drawn = [select(SITES, 0.5, seed, number) for seed in range(3) for number in range(3)]
    assert drawn == [select(SITES, 0.5, seed, number) for seed in range(3) for number in range(3)]
    assert len(set(drawn)) == len(drawn)


def test_every_hospital_is_selected_about_as_often_as_any_other():
    """1000 rounds of 3 in 10: 300 each, standard deviation sqrt(1000 * .3 * .7) = 14.5, here within five."""
    counts = Counter(site for number in range(1000) for site in select(SITES, 0.3, 0, number))
    assert set(counts) == set(SITES)
    assert all(abs(count - 300) < 5 * 14.5 for count in counts.values())


def test_pairs_of_hospitals_are_selected_independently():
    """Both of 2 in 10 with probability 1/45: 2000 rounds give each pair 44.4 times, standard deviation 6.6."""
    pairs = Counter(select(SITES, 0.2, 0, number) for number in range(2000))
    assert len(pairs) == 45
    assert all(abs(count - 2000 / 45) < 5 * 6.6 for count in pairs.values())


def test_selecting_from_no_hospital_is_an_error():
    with pytest.raises(TooFewHospitalsError, match="no hospital"):
        select([], 1.0, 0, 1)
