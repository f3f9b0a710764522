"""Noise on sums: its law, what it is shared between, what it costs, and that its promise holds on real draws."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common.asking import Query, Records, counts, reals
from common.asking.exact_sums import FRACTION_BITS, added, checked, object_array
from common.asking.noise import SumNoise
from common.asking.noise_law import NoiseLaw
from common.errors import StudyError
from common.privacy.accounting import epsilon_of
from common.privacy.noise import SeededNoise, SystemNoise
from common.privacy.polya import polya_differences
from common.privacy.release import Release
from common.seeding import generator

ONE = Query({"n": counts()})


def seeded(*words: object) -> SeededNoise:
    return SeededNoise(generator(7, "noise of sums", *words))


def noises(noise: SumNoise, size: int, hospitals: int, *words: object) -> np.ndarray:
    """The noise of a sum over so many hospitals that count nothing, `size` times."""
    query = Query({"n": counts(size)})
    source = seeded(noise, *words)
    nothing = checked(query.parts, {"n": np.zeros(size, np.int64)})
    shares = [noise.add_share(query, nothing, source) for _ in range(hospitals)]
    return added(query.parts, shares).integers["n"].astype(np.int64)


def geometric_chances(decay: float, reach: int) -> np.ndarray:
    a = exp(-decay)
    return (1 - a) / (1 + a) * a ** np.abs(np.arange(-reach, reach + 1))


@pytest.mark.parametrize(("decay", "shares"), [(Fraction(1, 2), 4), (Fraction(3), 2), (Fraction(1, 40), 1)])
def test_shares_add_up_to_geometric_noise_exactly(decay: Fraction, shares: int) -> None:
    random_bytes = seeded(decay).generator.bytes
    draws = np.sum([polya_differences(40_000, decay, shares, random_bytes) for _ in range(shares)], axis=0)
    reach = int(5 / decay) + 1
    seen = np.bincount(np.clip(draws, -reach, reach) + reach, minlength=2 * reach + 1)
    expected = geometric_chances(float(decay), reach)
    expected[[0, -1]] += (1 - expected.sum()) / 2
    assert stats.chisquare(seen, expected * len(draws)).pvalue > 1e-3


def test_one_of_four_shares_hides_little_and_is_a_quarter_of_the_variance() -> None:
    draws = polya_differences(200_000, Fraction(1, 2), 4, seeded("one").generator.bytes)
    assert np.var(draws) == pytest.approx(2 * exp(-0.5) / (1 - exp(-0.5)) ** 2 / 4, rel=0.06)


@pytest.mark.parametrize("kind", ["geometric", "gaussian"])
def test_distributed_noise_is_that_of_one_trusted_curator(kind: str) -> None:
    noise = SumNoise(0.5, 1e-6 if kind == "gaussian" else 0.0, kind, shares=3)  # type: ignore[arg-type]
    central = replace(noise, shares=1)
    variance = np.var(noises(noise, 40_000, 3)) / np.var(noises(central, 40_000, 1))
    assert variance == pytest.approx(1.0, rel=0.06)
    more = np.var(noises(noise, 40_000, 4)) / np.var(noises(central, 40_000, 1))
    assert more == pytest.approx(4 / 3, rel=0.06)


def test_a_count_at_epsilon_one_has_noise_of_scale_one_and_two_parts_share_it() -> None:
    (noise,) = SumNoise(1.0).plan(ONE).values()
    assert noise is not None and float(noise.scale) == pytest.approx(1.0, rel=1e-8) and noise.scale >= 1
    both = Query({"n": counts(3), "sum": reals(most_by_one=8.0)})
    plan = SumNoise(1.0, rows_a_person=2).plan(both)
    assert plan["n"] is not None and float(plan["n"].scale) == pytest.approx(4.0)
    real = SumNoise(1.0).told(both, added(both.parts, []), 1).noise["sum"]
    assert real.step * real.scale == pytest.approx(16.0, rel=2e-3)
    apart = replace(both, either=("n", "sum"))
    assert SumNoise(1.0).told(apart, added(both.parts, []), 1).noise["sum"].scale == pytest.approx(real.scale / 2)
    assert SumNoise(1.0, rounds=5).plan(ONE)["n"].scale == pytest.approx(5.0)  # type: ignore[union-attr]


def test_a_part_that_nobody_changes_has_no_noise_and_one_without_a_bound_is_refused() -> None:
    assert SumNoise(1.0).plan(Query({"n": counts(most_by_one=0)})) == {"n": None}
    with pytest.raises(StudyError, match="'sum' has no bound"):
        SumNoise(1.0).plan(Query({"sum": reals()}))
    with pytest.raises(StudyError, match="no noise is left: 2 hospitals make it, and 2 may collude"):
        SumNoise(1.0).of_shares("sum", 2, 2)
    with pytest.raises(StudyError, match="delta"):
        SumNoise(1.0, 1e-6)
    with pytest.raises(StudyError, match="delta"):
        SumNoise(1.0, kind="gaussian")
    assert SumNoise(1.0).of_shares("sum", 5, 2).shares == 3 and SumNoise(1.0).of_shares("each", 5).shares == 1


def test_real_numbers_leave_as_whole_steps_whatever_their_last_bits_are() -> None:
    query = Query({"sum": reals(2, most_by_one=3.0)})
    noise = SumNoise(1.0)
    plan = noise.plan(query)["sum"]
    assert plan is not None
    for last in (0, 1, 12345):
        values = object_array([(5 << FRACTION_BITS) + last, -last], (2,))
        noisy = noise.add_share(query, {"sum": values}, seeded("steps"))["sum"]
        assert all(value % plan.step_units == 0 for value in noisy.tolist())


@settings(max_examples=25)
@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([2.0**-20, 1.0]), st.sampled_from(["counts", "reals"]))
def test_no_noise_makes_a_number_wrap_the_range_of_a_sum(value: int, epsilon: float, kind: str) -> None:
    query = Query({"n": counts() if kind == "counts" else reals(most_by_one=2.0**100)})
    limit = 1 << query.parts["n"].bits - 1
    value *= 1 if kind == "counts" else 1 << 192
    noisy = SumNoise(epsilon).add_share(query, {"n": object_array([value], ())}, seeded(value))["n"]
    assert abs(noisy.item()) * 200 < limit


@pytest.mark.parametrize(("kind", "scale"), [("geometric", 0.4), ("geometric", 7.0), ("gaussian", 9.0)])
@pytest.mark.parametrize("hospitals", [2, 3])
def test_a_margin_holds_as_often_as_it_says(kind: str, scale: float, hospitals: int) -> None:
    noise = SumNoise(1 / scale, 1e-6 if kind == "gaussian" else 0.0, kind, shares=2)  # type: ignore[arg-type]
    law = noise.told(ONE, added(ONE.parts, []), hospitals).noise["n"]
    draws = noises(noise, 30_000, hospitals, scale)
    within = np.mean(np.abs(draws) <= law.margin())
    assert within > 0.95 - 0.005
    assert np.mean(np.abs(draws) <= law.margin() - 1) < 0.95 + 0.005
    assert np.var(draws) == pytest.approx(law.variance, rel=0.06)


def test_the_law_of_geometric_noise_is_the_one_of_its_chances() -> None:
    law = NoiseLaw("geometric", 0.5, 3.0)
    numbers, chances = np.arange(-300, 301) * 0.5, geometric_chances(1 / 3, 300)
    second, fourth = chances @ numbers**2, chances @ numbers**4
    assert law.variance == pytest.approx(second)
    assert law.fourth_cumulant == pytest.approx(fourth - 3 * second**2)
    wide = NoiseLaw("geometric", 1.0, 1e6)
    assert wide.margin() == pytest.approx(1e6 * log(20), rel=2e-3)


def test_the_ledger_and_the_accountant_read_the_same_epsilon() -> None:
    from dp_accounting import pld

    for noise, delta in ((SumNoise(0.7), 1e-9), (SumNoise(0.7, 1e-6, "gaussian", rounds=3), 1e-6)):
        spent = epsilon_of(noise.releases(), delta).epsilon
        assert spent == pytest.approx(0.7, rel=3e-3) and spent <= 0.7 * (1 + 1e-9)
        accountant = pld.PLDAccountant(value_discretization_interval=1e-3).compose(noise.event())
        assert accountant.get_epsilon(delta) == pytest.approx(0.7, rel=0.02)


def test_many_geometric_releases_cost_less_than_their_sum_and_few_no_more() -> None:
    assert epsilon_of([Release(10.0, 1.0, 2, "geometric")], 1e-6).epsilon == pytest.approx(0.2)
    assert epsilon_of([Release(10.0, 1.0, 400, "geometric")], 1e-6).epsilon < 20
    mixed = epsilon_of([Release(2.0, 1.0, 1, "geometric"), Release(5.0, 1.0, 1)], 1e-6).epsilon
    assert mixed <= 0.5 + epsilon_of([Release(5.0, 1.0, 1)], 1e-6).epsilon + 1e-9


def measured_epsilon(noise: SumNoise, draws: int, kept: int) -> float:
    """A lower bound, with confidence 1 - 1e-6, from answers with and without one person; `kept` shares are added.

    The best events against geometric noise are half lines; the cut is chosen on one half of the draws.
    """
    out = noises(noise, draws, kept, "without")
    found = noises(noise, draws, kept, "with") + 1
    half = draws // 2

    def bound(cut: int, part: slice) -> float:
        hits, false = int(np.sum(found[part] >= cut)), int(np.sum(out[part] >= cut))
        low = stats.beta.ppf(5e-7, max(hits, 1), half - hits + 1)
        return float(log(low / stats.beta.ppf(1 - 5e-7, false + 1, half - false)))

    return bound(max(range(-3, 5), key=lambda cut: bound(cut, slice(half))), slice(half, None))


def test_the_promise_holds_on_real_draws_and_too_little_noise_is_found() -> None:
    claimed = SumNoise(1.0, shares=3)
    assert 0.8 < measured_epsilon(claimed, 100_000, 3) <= 1.0
    assert measured_epsilon(claimed, 100_000, 2) > 1.05, "one hospital's share is missing"
    assert measured_epsilon(SumNoise(1.3, shares=3), 100_000, 3) > 1.05, "noise of a smaller scale"


def test_only_a_persons_first_rows_are_used() -> None:
    records = Records({"age": np.arange(5.0)}, np.array(["a", "b", "a", "a", "b"]))
    used, left_out = SumNoise(1.0).rows_of(records)
    assert used.columns["age"].tolist() == [0.0, 1.0] and left_out == 3
    assert used.columns["age"].tolist() == records.one_a_person.columns["age"].tolist()
    used, left_out = SumNoise(1.0, rows_a_person=2).rows_of(records)
    assert used.columns["age"].tolist() == [0.0, 1.0, 2.0, 4.0] and left_out == 1


def test_the_systems_noise_differs_from_time_to_time_and_the_seeds_does_not() -> None:
    query = Query({"n": counts(20)})
    nothing = checked(query.parts, {"n": np.zeros(20, np.int64)})
    system = [SumNoise(0.1).add_share(query, nothing, SystemNoise())["n"].tolist() for _ in range(2)]
    again = [SumNoise(0.1).add_share(query, nothing, seeded("same"))["n"].tolist() for _ in range(2)]
    assert system[0] != system[1] and again[0] == again[1]
