"""Answers with noise: as near to the truth as they must be, and intervals that hold as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.analyses.bounded_mean import BoundedMean
from common.analyses.count import Count
from common.analyses.cross_table import CrossTable
from common.analyses.heavy_hitters import HeavyHitters
from common.analyses.histogram import Histogram
from common.analyses.private_quantile import PrivateQuantile
from common.analyses.proportion import Proportion
from common.analyses.quantile_tree import QuantileTree, consistent
from common.asking import Records
from common.asking.abilities import most_rounds_of
from common.asking.noise import SumNoise
from common.asking.pooled import NoisySums, ask_tables
from common.errors import AnalysisError, StudyError
from common.privacy.noise import SeededNoise
from common.seeding import generator

AGES = np.clip(np.round(np.random.default_rng(3).normal(53.5, 9.4, 920)), 28, 77)


def hospitals(values: np.ndarray, name: str = "age", count: int = 4) -> list[Records]:
    parts = np.array_split(values, count)
    return [
        Records({name: part}, np.array([f"{site}-{i}" for i in range(len(part))]), f"hospital-{site}")
        for site, part in enumerate(parts)
    ]


def answers(analysis: Any, values: np.ndarray, epsilon: float, times: int, name: str = "age") -> list[Any]:
    noise = SumNoise(epsilon, shares=4, rounds=most_rounds_of(analysis))
    sums = NoisySums(noise, SeededNoise(generator(5, "answers", epsilon)))
    return [sums.ask(analysis, hospitals(values, name)).answer for _ in range(times)]


def test_the_median_at_epsilon_a_twentieth_is_within_a_year_or_so() -> None:
    found = [one.numbers for one in answers(PrivateQuantile("age", 0, 120), AGES, 0.05, 30)]
    errors = np.abs([one["quantile"] - np.median(AGES) for one in found])
    assert errors.mean() < 1.5, "0.8 in the long run; a flat histogram is 3.6 off"
    assert np.mean([one["low"] <= np.median(AGES) <= one["high"] for one in found]) >= 0.95


def test_with_hardly_any_noise_every_quantile_is_exact_to_a_place() -> None:
    for share in (0.1, 0.5, 0.9):
        analysis = PrivateQuantile("age", 0, 120, share=share, rounds=20)
        quantile = ask_tables(analysis, hospitals(AGES)).answer.numbers["quantile"]
        assert np.mean(quantile + 0.5 > AGES) >= share >= np.mean(quantile - 0.5 >= AGES) - 0.02


def test_the_counts_of_a_tree_become_those_that_are_nearest_and_agree() -> None:
    """By least squares: two leaves below each of two nodes."""
    levels = [np.array([10.0, 4.0]), np.array([3.0, 4.0, 1.0, 1.0])]
    design = np.vstack([np.kron(np.eye(2), np.ones(2)), np.eye(4)])
    expected = np.linalg.lstsq(design, np.concatenate(levels), rcond=None)[0]
    np.testing.assert_allclose(consistent(levels, 2), expected)
    deeper = [np.arange(3.0), np.arange(9.0) ** 2, np.arange(27.0) % 5]
    design = np.vstack([np.kron(np.eye(3), np.ones(9)), np.kron(np.eye(9), np.ones(3)), np.eye(27)])
    expected = np.linalg.lstsq(design, np.concatenate(deeper), rcond=None)[0]
    np.testing.assert_allclose(consistent(deeper, 3), expected, atol=1e-9)


def test_the_intervals_of_a_tree_hold_their_quantiles() -> None:
    found = [one.numbers["quantiles"] for one in answers(QuantileTree("age", 0, 128), AGES, 0.3, 25)]
    for at, share in enumerate((0.05, 0.25, 0.5, 0.75, 0.95)):
        truth = np.quantile(AGES, share)
        assert np.mean([one[at]["low"] - 0.5 <= truth <= one[at]["high"] + 0.5 for one in found]) >= 0.95


@pytest.mark.parametrize(("n", "epsilon"), [(30, 0.3), (30, 3.0), (300, 0.5)])
def test_an_interval_of_a_noisy_mean_holds_the_mean_of_the_population(n: int, epsilon: float) -> None:
    rng = np.random.default_rng(n)
    noise = SumNoise(epsilon, shares=4)
    sums = NoisySums(noise, SeededNoise(generator(5, "means", n)))
    held, times = 0, 60
    for _ in range(times):
        try:
            answer = sums.ask(BoundedMean("age", 0, 120), hospitals(rng.gamma(20, 2.5, n))).answer.numbers
        except AnalysisError:
            held += 1
            continue
        held += answer["low"] <= 50 <= answer["high"]
    assert held / times >= 0.87


def test_the_mean_between_bounds_is_that_of_the_values() -> None:
    found = ask_tables(BoundedMean("age", 0, 120), hospitals(AGES)).answer.numbers
    assert found["n"] == 920 and found["mean"] == pytest.approx(AGES.mean(), abs=1e-9)
    assert found["variance"] == pytest.approx(AGES.var(ddof=1), rel=1e-9)
    half = 1.9626 * AGES.std(ddof=1) / np.sqrt(920)
    assert (found["low"], found["high"]) == pytest.approx((AGES.mean() - half, AGES.mean() + half), rel=1e-5)


def test_a_noisy_mean_is_nearer_than_a_noisy_sum_over_a_noisy_number() -> None:
    """Centred, each with half of epsilon: sqrt(2) times the noise of three sums that share it."""
    found = [one.numbers["mean"] for one in answers(BoundedMean("age", 0, 120), AGES, 0.1, 60)]
    apart = 120 / 2 * np.sqrt(2) * 2 / 0.1 / 920
    assert np.std(found) < apart


def test_heavy_hitters_are_found_without_a_list_and_rare_words_are_not() -> None:
    rng = np.random.default_rng(4)
    common = np.repeat(["I21", "I25.1", "E11", "I2", "J44.1"], [900, 700, 500, 400, 300])
    rare = np.array([f"{rng.choice(list('ABCXYZ'))}{rng.integers(10, 99)}.{rng.integers(9)}" for _ in range(400)])
    words = rng.permutation(np.concatenate([common, rare, np.repeat("", 50)])).astype(np.str_)
    exact = ask_tables(HeavyHitters("code", least=100), hospitals(words, "code")).answer.numbers["words"]
    assert {one["word"]: one["rows"] for one in exact} == {
        "I21": 900,
        "I25.1": 700,
        "E11": 500,
        "I2": 400,
        "J44.1": 300,
    }
    for noisy in answers(HeavyHitters("code", least=20), words, 1.0, 2, "code"):
        numbers = noisy.numbers
        assert {one["word"] for one in numbers["words"]} == {"I21", "I25.1", "E11", "I2", "J44.1"}
        assert all(
            abs(one["rows"] - np.sum(words == one["word"])) <= numbers["margin"] + 3 for one in numbers["words"]
        )


def test_a_question_that_takes_more_rounds_than_were_paid_for_ends() -> None:
    sums = NoisySums(SumNoise(1.0, rounds=2), SeededNoise(generator(5, "few")))
    with pytest.raises(AnalysisError, match="more than the 2 rounds"):
        sums.ask(PrivateQuantile("age", 0, 120), hospitals(AGES))


def test_bounds_are_needed_and_must_hold_something() -> None:
    with pytest.raises(StudyError, match="'bounded_mean' needs low and high"):
        BoundedMean("age")
    with pytest.raises(StudyError, match="low < high"):
        QuantileTree("age", 5, 5)


def test_counts_bins_cells_and_shares_cost_one_count_and_say_how_far_they_may_be_off() -> None:
    words = np.where(np.arange(300) % 3 == 0, "yes", "no").astype(np.str_)
    options: dict[str, Any] = {"levels": ("smokes=yes|no",)}
    for analysis, table in (
        (Count(), hospitals(words, "smokes")),
        (Histogram("age", low=20, high=100), hospitals(AGES)),
        (Proportion("smokes", **options), hospitals(words, "smokes")),
        (CrossTable("smokes", "smokes", **options), hospitals(words, "smokes")),
    ):
        exact = ask_tables(analysis, table).answer
        assert "noise_margin" not in exact.numbers and not any("Noise" in said for said in exact.words)
        noisy = NoisySums(SumNoise(0.5, shares=4), SeededNoise(generator(5, "cells"))).ask(analysis, table).answer
        assert noisy.numbers["noise_margin"] == pytest.approx(6.0), "that of one count at epsilon 0.5"
        assert any("within 6 of the truth" in said for said in noisy.words)
    shares = [
        one.numbers["levels"]["yes"] for one in answers(Proportion("smokes", **options), words, 0.2, 40, "smokes")
    ]
    assert np.mean([one["low"] <= 1 / 3 <= one["high"] for one in shares]) >= 0.95
    assert all(one["exact_low"] is None for one in shares)
