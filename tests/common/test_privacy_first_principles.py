"""Every mechanism's promise, worked out again by an oracle that shares no code with `common.privacy`.

From the settings alone, by hand: how many noisy sums there are, over which sample, with how much noise. What the
product says must never be below the truth's lower bracket, and hardly above it.
"""

from __future__ import annotations

from math import ceil, exp, lgamma, log, sqrt

import numpy as np
import pytest

from common.learning.client_work import Sends, Training
from common.privacy.accounting import epsilon_of
from common.privacy.mechanism import Facts, Mechanism
from common.privacy.mechanisms.distributed import Distributed
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.mechanisms.hospital import HospitalLevel
from common.privacy.release import Release
from experiments.planning.privacy_plan import planned_site
from tests.common.hockey_stick import (
    NOTHING,
    Cells,
    bracket,
    discrete_gaussian,
    epsilon_of_one_normal,
    lattice_cells,
    normal_cells,
    one_normal,
    subsampled,
)

DELTA = 1e-5
TIGHT = 1e-3
"""How far above the truth, relatively, a promise may lie."""
DISCRETE = 1e-2
"""Where the coarsest lattice and numbers of limited size are paid for."""


def facts(
    sends: Sends = "delta", training: Training | None = None, rounds: int = 4, fewest: int = 1, reveals="each"
) -> Facts:
    chosen = Training(batch_size=8, steps=25) if training is None else training
    return Facts(100, 400, 4, rounds, sends, chosen, fewest, reveals)


def sampled_gaussian(deviation: float, rate: float, steps: int) -> tuple[float, float]:
    removing = normal_cells(subsampled(rate), NOTHING, deviation, steps)
    adding = normal_cells(NOTHING, [(-centre, chance) for centre, chance in subsampled(rate)], deviation, steps)
    return bracket([[(removing, steps)], [(adding, steps)]], DELTA)


def promised(mechanism: Mechanism, known: Facts) -> float:
    """As the plan says it, which is what the run's own page says at its end."""
    planned = planned_site(mechanism, known, "a").bound.epsilon
    assert epsilon_of(mechanism.round_releases(known) * known.rounds, mechanism.delta).epsilon == pytest.approx(
        planned, rel=1e-6
    )
    return planned


def just_above(claimed: float, true: tuple[float, float], tolerance: float = TIGHT) -> bool:
    low, high = true
    assert 0 <= high / low - 1 < TIGHT, "the oracle itself is too wide to judge"
    return low <= claimed <= low * (1 + tolerance)


@pytest.mark.parametrize(
    ("unit", "sends", "training", "rate", "steps"),
    [
        ("patient", "delta", Training(batch_size=8, steps=25), 8 / 100, 25),
        ("patient", "gradient", Training(batch_size=8), 8 / 100, 1),
        ("sample", "delta", Training(batch_size=8, epochs=2), 8 / 400, 2 * 50),
        ("sample", "gradient", Training(batch_size=8), 8 / 400, 1),
    ],
)
def test_dpsgd_promises_what_its_samples_and_its_noise_give(unit, sends, training, rate, steps) -> None:
    known = facts(sends, training)
    claimed = promised(Dpsgd(unit=unit, noise_multiplier=1.3, delta=DELTA), known)
    assert just_above(claimed, sampled_gaussian(1.3, rate, 4 * steps))


@pytest.mark.parametrize("sends", ["gradient", "delta"])
def test_dpsgd_with_all_units_in_every_step_is_one_gaussian(sends) -> None:
    known = facts(sends, Training(batch_size="full", epochs=3))
    steps = 4 * (1 if sends == "gradient" else 3)
    exact = epsilon_of_one_normal(sqrt(steps) / 2.0, DELTA)
    assert exact <= promised(Dpsgd(noise_multiplier=2.0, delta=DELTA), known) <= exact * (1 + 1e-5)


@pytest.mark.parametrize(("unit", "rate"), [("patient", 8 / 100), ("sample", 8 / 400)])
def test_the_noise_that_dpsgd_makes_for_an_epsilon_keeps_it(unit, rate) -> None:
    mechanism = Dpsgd(unit=unit, epsilon=2.0, delta=DELTA)
    true = sampled_gaussian(mechanism.noise(facts()), rate, 100)
    assert just_above(2.0, true)


def distributed(reveals: str, colluding: int, rate: float) -> tuple[Distributed, Facts]:
    """On the coarsest lattice there is, 64 steps to a clip norm, and of one parameter."""
    mechanism = Distributed(sampling_rate=rate, noise_multiplier=1.1, delta=DELTA, colluding=colluding, grid_bits=6)
    return mechanism, facts("gradient", rounds=10, fewest=4, reveals=reveals)


def lattice(noise: np.ndarray, shift: int, rate: float) -> tuple[Cells, Cells]:
    """Removing and adding a patient that moves the sum by `shift`, under whole noise."""
    without, moved = (np.concatenate(parts) for parts in ((noise, np.zeros(shift)), (np.zeros(shift), noise)))
    with_patient = rate * moved + (1 - rate) * without
    return lattice_cells(with_patient, without), lattice_cells(without, with_patient)


@pytest.mark.parametrize(
    ("reveals", "colluding", "rate"), [("sum", 0, 1.0), ("sum", 1, 0.1), ("each", 0, 0.1), ("each", 1, 1.0)]
)
def test_distributed_noise_promises_what_the_shares_that_are_left_give(reveals, colluding, rate) -> None:
    """The shares of honest hospitals, each a discrete Gaussian, added up number by number."""
    mechanism, known = distributed(reveals, colluding, rate)
    honest = 4 - colluding
    whole_deviation = 1.1 * (64 + 1)
    share = discrete_gaussian(whole_deviation / sqrt(honest), ceil(9 * whole_deviation / sqrt(honest)))
    seen = share
    for _ in range(honest - 1 if reveals == "sum" else 0):
        seen = np.convolve(seen, share)
    removing, adding = lattice(seen, 65, rate)
    true = bracket([[(removing, 10)], [(adding, 10)]], DELTA)
    assert just_above(promised(mechanism, known), true, DISCRETE)


def test_distributed_noise_that_is_made_for_an_epsilon_keeps_it() -> None:
    mechanism = Distributed(sampling_rate=0.1, epsilon=3.0, delta=DELTA, grid_bits=6)
    known = facts("gradient", rounds=10, fewest=4, reveals="sum")
    deviation = mechanism.noise(known) * 65
    cells = lattice(discrete_gaussian(deviation, ceil(9 * deviation)), 65, 0.1)
    assert just_above(3.0, bracket([[(each, 10)] for each in cells], DELTA), DISCRETE)


@pytest.mark.parametrize("adaptive", [False, True])
def test_hospital_noise_is_one_gaussian_with_the_count_in_it(adaptive) -> None:
    """What a hospital moves: the sum by one clip norm, and, where clip norms adapt, the count by a half."""
    mechanism = HospitalLevel(noise_multiplier=3.0, delta=DELTA, adaptive=adaptive, count_share=0.2)
    known = facts()
    distance = 1 / mechanism.sum_noise(known)
    if adaptive:
        distance = sqrt(distance**2 + (0.5 / mechanism.count_noise(known)) ** 2)
    exact = epsilon_of_one_normal(sqrt(4) * distance, DELTA)
    assert exact <= promised(mechanism, known) * (1 + 1e-9)
    assert promised(mechanism, known) <= exact * (1 + 1e-5)


def test_releases_of_several_kinds_are_composed_as_the_oracle_does() -> None:
    width = 5e-4
    sampled = [
        normal_cells(subsampled(0.1), NOTHING, 1.0, 30, width),
        normal_cells(NOTHING, [(-centre, chance) for centre, chance in subsampled(0.1)], 1.0, 30, width),
    ]
    whole = normal_cells(subsampled(1.0), NOTHING, 4.0, 5, width)
    true = bracket([[(one, 30), (whole, 5)] for one in sampled], DELTA)
    claimed = epsilon_of([Release(1.0, 0.1, 30), Release(4.0, 1.0, 5)], DELTA).epsilon
    assert just_above(claimed, true)


@pytest.mark.parametrize(
    ("noise", "steps", "published"), [(5, 50, 6.57297), (10, 1, 0.34067), (1, 1, 4.37718), (20, 100, 1.99309)]
)
def test_the_oracle_finds_the_published_gaussians_by_formula_and_by_its_cells(noise, steps, published) -> None:
    exact = epsilon_of_one_normal(sqrt(steps) / noise, DELTA)
    low, high = sampled_gaussian(noise, 1.0, steps)
    assert exact == pytest.approx(published, abs=5e-6)
    assert low <= exact <= high <= low * (1 + TIGHT)
    assert exact <= epsilon_of([Release(noise, 1.0, steps)], DELTA).epsilon <= exact * (1 + 1e-5)


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "published"),
    [(4, 0.01, 10_000, 1.26), (1.3, 256 / 60_000, 3515, 1.19), (1.1, 256 / 60_000, 14_062, 3.01)],
)
def test_published_renyi_figures_and_a_promise_between_the_truth_and_them(noise, rate, steps, published) -> None:
    """Mironov, Talwar and Zhang 2019: the binomial sum of whole orders, converted the classic way."""
    orders = range(2, 120)
    costs = [
        steps * log(_moment(order, noise, rate)) / (order - 1) + log(1 / DELTA) / (order - 1) for order in orders
    ]
    assert min(costs) == pytest.approx(published, abs=0.01)
    bound = epsilon_of([Release(noise, rate, steps)], DELTA)
    assert just_above(bound.epsilon, sampled_gaussian(noise, rate, steps))
    assert bound.epsilon < bound.epsilon_rdp < min(costs)


def _moment(order: int, noise: float, rate: float) -> float:
    """E over N(0, s^2) of the likelihood ratio's power; log-gammas for binomials of a hundred."""
    terms = (
        exp(
            lgamma(order + 1)
            - lgamma(k + 1)
            - lgamma(order - k + 1)
            + k * log(rate)
            + (order - k) * log(1 - rate)
            + k * (k - 1) / (2 * noise**2)
        )
        for k in range(order + 1)
        if k * (k - 1) / (2 * noise**2) < 700
    )
    return sum(terms)


def test_abadi_s_example_costs_what_a_tight_accountant_says() -> None:
    low, high = sampled_gaussian(4.0, 0.01, 10_000)
    assert low <= 0.947 <= high + 5e-4


@pytest.mark.parametrize(("noise", "rate", "steps"), [(4.0, 0.01, 2000), (1.0, 0.05, 40)])
def test_the_oracle_convicts_accounting_that_says_too_little(noise, rate, steps) -> None:
    """The central limit's figure (GDP), half the noise, half the steps, and a sample twice as rare."""
    true = sampled_gaussian(noise, rate, steps)
    limit = rate * sqrt(steps * (exp(1 / noise**2) - 1))
    assert one_normal(limit, true[0]) < DELTA
    for wrong in (Release(2 * noise, rate, steps), Release(noise, rate, steps // 2), Release(noise, rate / 2, steps)):
        assert not just_above(epsilon_of([wrong], DELTA).epsilon, true)
