"""Median, trimmed mean and Krum against hand-worked numbers, slow loops and planted liars."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RoundError, StudyError
from common.sums.update import Update
from server.strategies.krum import Krum
from server.strategies.median import Median
from server.strategies.trimmed_mean import TrimmedMean
from server.strategy import Contributions

START = np.zeros(1, dtype=np.float32)
whole = st.integers(-50, 50).map(float)


def matrices(least, most, width=3):
    return st.lists(st.lists(whole, min_size=width, max_size=width), min_size=least, max_size=most)


def step(strategy, deltas, round_of, sizes=None):
    """The change that single deltas (K, P) make; hospital k has k + 1 cases unless told."""
    sizes = sizes or [float(k + 1) for k in range(len(deltas))]
    sent = {f"h{k:02}": (size, [delta]) for k, (size, delta) in enumerate(zip(sizes, deltas, strict=True))}
    start = np.zeros(len(deltas[0]), dtype=np.float32)
    return strategy.step(strategy.init(start), start, round_of(sent))[1]


def test_the_median_by_hand_is_by_coordinate_and_unweighted(round_of):
    assert step(Median(), [[1, 9], [2, 7], [30, 8]], round_of, [1.0, 1.0, 100.0]).tolist() == [2, 8]


def test_the_median_of_four_is_between_the_middle_two(round_of):
    assert step(Median(), [[1], [2], [4], [100]], round_of).tolist() == [3]


def test_the_trimmed_mean_by_hand(round_of):
    """A quarter of five is one at either end: of 1, 2, 3, 7, 100 the mean of 2, 3 and 7."""
    assert step(TrimmedMean(beta=0.25), [[100], [2], [7], [1], [3]], round_of).tolist() == [4]


def test_krum_by_hand(round_of):
    """0, 1, 3, 4, 100 with f = 1: two neighbours each; scores 10, 5, 5, 10, ...: 1 and 3 tie, the first name wins."""
    deltas = [[0], [1], [3], [4], [100]]
    assert step(Krum(byzantine=1), deltas, round_of).tolist() == [1]
    assert step(Krum(byzantine=1), deltas[::-1], round_of).tolist() == [3]


def test_multi_krum_by_hand(round_of):
    """The best two of the same are 1 and 3, the best four all but the liar."""
    deltas = [[0], [1], [3], [4], [100]]
    assert step(Krum(byzantine=1, multi=2), deltas, round_of).tolist() == [2]
    assert step(Krum(byzantine=1, multi=4), deltas, round_of).tolist() == [2]


def slow_median(column):
    ordered = sorted(column)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@given(deltas=matrices(1, 9))
def test_the_median_is_the_slow_loop(round_of, deltas):
    expected = [slow_median(column) for column in zip(*deltas, strict=True)]
    np.testing.assert_allclose(step(Median(), deltas, round_of), expected, rtol=1e-5)


@given(deltas=matrices(5, 12), beta=st.sampled_from([0.2, 0.25, 0.34, 0.45]))
def test_the_trimmed_mean_is_the_slow_loop(round_of, deltas, beta):
    expected = []
    for column in zip(*deltas, strict=True):
        ordered = sorted(column)
        for _ in range(int(beta * len(deltas))):
            ordered = ordered[1:-1]
        expected.append(sum(ordered) / len(ordered))
    np.testing.assert_allclose(step(TrimmedMean(beta=beta), deltas, round_of), expected, rtol=1e-5, atol=1e-5)


def slow_krum(deltas, byzantine, multi):
    """Blanchard's score as the cheapest choice among all sets of n - f - 2 others."""
    scores = []
    for i, one in enumerate(deltas):
        far = [sum((a - b) ** 2 for a, b in zip(one, d, strict=True)) for j, d in enumerate(deltas) if j != i]
        scores.append((min(map(sum, combinations(far, len(deltas) - byzantine - 2))), i))
    best = [deltas[i] for _, i in sorted(scores)[:multi]]
    return [sum(column) / multi for column in zip(*best, strict=True)]


@given(deltas=matrices(5, 8), byzantine=st.integers(0, 1), multi=st.integers(1, 4))
def test_krum_is_the_slow_loop(round_of, deltas, byzantine, multi):
    # Equal weights of 1 keep the deltas whole, so that ties are ties on both sides.
    got = step(Krum(byzantine=byzantine, multi=multi), deltas, round_of, [1.0] * len(deltas))
    np.testing.assert_allclose(got, slow_krum(deltas, byzantine, multi), rtol=1e-6)


def lead_astray(strategy, lies, seed, round_of):
    honest = np.random.default_rng(seed).uniform(0.5, 1.5, size=(5, 3))
    change = step(strategy, [*honest.tolist(), *([lie] * 3 for lie in lies)], round_of, [1.0] * 7)
    assert np.all(change >= honest.min(axis=0) - 1e-6)
    assert np.all(change <= honest.max(axis=0) + 1e-6)


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean(beta=0.3)])
@given(lies=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=2), seed=st.integers(0, 1000))
def test_two_liars_of_seven_cannot_lead_a_coordinate_out_of_the_honest_range(round_of, strategy, lies, seed):
    lead_astray(strategy, lies, seed, round_of)


@pytest.mark.parametrize("strategy", [Krum(byzantine=2), Krum(byzantine=2, multi=5)])
@given(lies=st.lists(st.floats(100, 2.0**100, width=32), min_size=2, max_size=2), seed=st.integers(0, 1000))
def test_krum_never_takes_an_update_far_from_all_honest_ones(round_of, strategy, lies, seed):
    """Near ones it may: two liars who agree just outside the honest range are each other's neighbours."""
    lead_astray(strategy, [lies[0], -lies[1]], seed, round_of)
    lead_astray(strategy, [lies[0]] * 2, seed, round_of)


@pytest.mark.parametrize(("beta", "hospitals", "least"), [(0.25, 3, 4), (0.2, 4, 5), (0.01, 99, 100)])
def test_a_trim_of_nobody_is_refused_with_the_number_that_is_needed(round_of, beta, hospitals, least):
    deltas = [[float(k)] for k in range(hospitals)]
    with pytest.raises(RoundError, match=rf"trims none: at least {least} hospitals"):
        step(TrimmedMean(beta=beta), deltas, round_of)
    step(TrimmedMean(beta=beta), [*deltas, [0.0]], round_of)


def test_a_share_is_rounded_as_it_is_written(round_of):
    """0.29 of 100 is 29, though 28.999999999999996 in binary: left are 29..70, of mean 49.5, not 28..71."""
    deltas = [[float(k**2)] for k in range(100)]
    expected = sum(k**2 for k in range(29, 71)) / 42
    assert step(TrimmedMean(beta=0.29), deltas, round_of, [1.0] * 100).item() == pytest.approx(expected)


@pytest.mark.parametrize(("byzantine", "multi", "least"), [(0, 1, 3), (1, 1, 5), (2, 1, 7), (1, 5, 6), (0, 4, 4)])
def test_krum_refuses_too_few_updates_with_the_number_it_needs(round_of, byzantine, multi, least):
    strategy = Krum(byzantine=byzantine, multi=multi)
    enough = [[float(k)] for k in range(least)]
    step(strategy, enough, round_of)
    with pytest.raises(RoundError, match=rf"needs {least} updates; {least - 1} came"):
        step(strategy, enough[1:], round_of)


@pytest.mark.parametrize("beta", [0.0, -0.1, 0.5, float("nan")])
def test_a_share_that_trims_nobody_or_everybody_is_refused(beta):
    with pytest.raises(StudyError, match=r"strategy\.beta must lie above 0 and below 0\.5"):
        TrimmedMean(beta=beta)


@pytest.mark.parametrize("options", [{"byzantine": -1}, {"multi": 0}])
def test_krums_options_are_checked(options):
    with pytest.raises(StudyError, match=rf"strategy\.{next(iter(options))} must be"):
        Krum(**options)


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean(), Krum()])
def test_a_sum_alone_is_refused(strategy):
    only_sum = Contributions(Update((START,), 5.0), None, 5.0)
    with pytest.raises(RoundError, match="only their sum was revealed"):
        strategy.step({}, START, only_sum)
