from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from common.registration.bayesian import Bayesian, expected_improvement
from common.registration.discrete import Discrete

COUNTS = st.lists(st.floats(-6, 6), min_size=1, max_size=4)


def valley(lowest: torch.Tensor, ripples: float = 0.0):
    def cost(point: torch.Tensor) -> torch.Tensor:
        away = point - lowest
        return away.square().sum() + ripples * (1 - torch.cos(4 * away)).sum()

    return cost


@given(COUNTS)
def test_discrete_search_finds_the_lowest_point_to_half_its_last_step(lowest: list[float]) -> None:
    wanted = torch.tensor(lowest, dtype=torch.float64)
    found = Discrete(smallest_step_mm=0.01).minimise(valley(wanted), torch.zeros_like(wanted))
    assert (found.parameters - wanted).abs().max() <= 0.01
    assert list(found.costs) == sorted(found.costs, reverse=True)


def test_discrete_search_crosses_ripples_and_steps_that_have_no_gradient() -> None:
    wanted = torch.tensor([3.0, -5.0], dtype=torch.float64)
    stairs = lambda point: torch.floor(20 * valley(wanted, ripples=0.5)(point)) / 20  # noqa: E731
    found = Discrete().minimise(stairs, torch.zeros(2, dtype=torch.float64))
    assert (found.parameters - wanted).abs().max() < 0.25


def test_bayesian_search_finds_a_valley_behind_ripples() -> None:
    wanted = torch.tensor([4.0, -3.0, 1.0], dtype=torch.float64)
    found = Bayesian().minimise(valley(wanted, ripples=1.0), torch.zeros(3, dtype=torch.float64))
    assert (found.parameters - wanted).abs().max() < 0.3
    assert len(found.costs) == 150


def test_bayesian_search_is_the_same_for_the_same_seed() -> None:
    cost, start = valley(torch.tensor([1.0], dtype=torch.float64)), torch.zeros(1, dtype=torch.float64)
    one, same = (Bayesian(evaluations=15, seed=3).minimise(cost, start) for _ in range(2))
    assert one.costs == same.costs


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.5, 0.3), (-1.0, 2.0), (2.0, 0.1)])
def test_expected_improvement_is_the_integral_it_stands_for(mean: float, deviation: float) -> None:
    integral, _ = quad(
        lambda f: -f * norm.pdf(f, mean, deviation), mean - 12 * deviation, min(0.0, mean + 12 * deviation)
    )
    found = expected_improvement(np.array([mean]), np.array([deviation]))[0]
    assert found == pytest.approx(max(integral, 0.0), abs=1e-7)
