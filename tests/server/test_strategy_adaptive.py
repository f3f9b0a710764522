"""FedAdagrad, FedAdam and FedYogi against hand-worked numbers, a slow loop and torch's Adagrad."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StudyError
from server.strategies.fedadagrad import FedAdagrad
from server.strategies.fedadam import FedAdam
from server.strategies.fedyogi import FedYogi

deltas = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=8)


def follow(strategy, deltas, round_of, start=0.0):
    """Every round's (m, v, model) of a single hospital and a single parameter."""
    model = np.array([start], dtype=np.float32)
    state, seen = strategy.init(model), []
    for delta in deltas:
        state, model = strategy.step(state, model, round_of({"a": (4.0, [[delta]])}))
        seen.append((state["m"].item(), state["v"].item(), model.item()))
    return seen


def slow(rule, deltas, eta, beta_1, beta_2, tau):
    """Algorithm 2 of Reddi et al. 2021, one number at a time."""
    m, v, x = 0.0, tau * tau, 0.0
    seen = []
    for delta in deltas:
        m = beta_1 * m + (1 - beta_1) * delta
        square = delta * delta
        if rule == "adagrad":
            v = v + square
        elif rule == "adam":
            v = beta_2 * v + (1 - beta_2) * square
        else:
            sign = (v > square) - (v < square)
            v = v - (1 - beta_2) * square * sign
        x = x + eta * m / (math.sqrt(v) + tau)
        seen.append((m, v, x))
    return seen


def close(left, right):
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_the_second_moment_begins_at_tau_squared_and_the_first_at_rest():
    state = FedAdam(tau=0.5).init(np.zeros(2, dtype=np.float32))
    assert state["m"].tolist() == [0, 0]
    assert state["v"].tolist() == [0.25, 0.25]


def test_fedadagrad_by_hand(round_of):
    """tau 3, delta 4: v = 9 + 16 = 25, x = 0.5 * 4 / (5 + 3) = 0.25. Then 12: v = 169, x += 6 / 16 = 0.625."""
    assert follow(FedAdagrad(learning_rate=0.5, tau=3.0), [4.0, 12.0], round_of) == [(4, 25, 0.25), (12, 169, 0.625)]


def test_fedadam_by_hand(round_of):
    """tau 1, betas 1/2, delta sqrt(7): m = sqrt(7)/2, v = (1 + 7)/2 = 4, x = 3 m / (2 + 1) = m."""
    delta = float(np.float32(math.sqrt(7)))
    ((m, v, x),) = follow(FedAdam(learning_rate=3.0, beta_1=0.5, beta_2=0.5, tau=1.0), [delta], round_of)
    close((m, v, x), (delta / 2, 4.0, delta / 2))


def test_fedyogi_by_hand(round_of):
    """tau 2, beta_2 1/2: delta 10 raises v from 4 by 50; delta 2 lowers it by 2, where Adam halves it."""
    strategy = FedYogi(learning_rate=1.0, beta_1=0.0, beta_2=0.5, tau=2.0)
    (_, first, _), (_, second, _) = follow(strategy, [10.0, 2.0], round_of)
    assert (first, second) == (54, 52)


@given(deltas=deltas, beta_1=st.floats(0, 0.99), beta_2=st.floats(0, 0.999), tau=st.floats(1e-3, 1))
def test_the_three_are_the_slow_loop(round_of, deltas, beta_1, beta_2, tau):
    options = {"learning_rate": 0.125, "beta_1": beta_1, "tau": tau}
    close(
        follow(FedAdagrad(**options), deltas, round_of),
        slow("adagrad", deltas, 0.125, beta_1, beta_2, tau),
    )
    close(
        follow(FedAdam(beta_2=beta_2, **options), deltas, round_of),
        slow("adam", deltas, 0.125, beta_1, beta_2, tau),
    )
    close(
        follow(FedYogi(beta_2=beta_2, **options), deltas, round_of),
        slow("yogi", deltas, 0.125, beta_1, beta_2, tau),
    )


@given(deltas=deltas, tau=st.floats(1e-3, 1))
def test_fedadagrad_is_torchs_adagrad_begun_at_tau_squared(round_of, deltas, tau):
    theta = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adagrad([theta], lr=0.1, initial_accumulator_value=tau**2, eps=tau)
    expected = []
    for delta in deltas:
        theta.grad = torch.tensor([-delta], dtype=torch.float64)
        optimiser.step()
        expected.append(theta.item())
    close([x for _, _, x in follow(FedAdagrad(learning_rate=0.1, tau=tau), deltas, round_of)], expected)


@given(deltas=deltas, beta_2=st.floats(0, 0.999), tau=st.floats(1e-3, 1))
def test_yogis_second_moment_never_reaches_zero(round_of, deltas, beta_2, tau):
    assert all(v > 0 or beta_2 == 0 for _, v, _ in follow(FedYogi(beta_2=beta_2, tau=tau), deltas, round_of))


@pytest.mark.parametrize("strategy", [FedAdagrad, FedAdam, FedYogi])
def test_a_step_is_about_the_learning_rate_whatever_the_scale_of_the_delta(strategy, round_of):
    """What adaptive means: 0.001 and 1000 times the delta move the model alike, at a tau too small to matter."""
    small, large = (follow(strategy(tau=1e-9), [scale] * 3, round_of)[-1][2] for scale in (1e-3, 1e3))
    assert small == pytest.approx(large, rel=1e-4)


@pytest.mark.parametrize("strategy", [FedAdam, FedYogi])
@pytest.mark.parametrize("option", ["beta_1", "beta_2"])
def test_a_decay_of_one_is_refused(strategy, option):
    with pytest.raises(StudyError, match=rf"strategy\.{option} must be at least 0 and below 1; it is 1.0"):
        strategy(**{option: 1.0})


def test_a_tau_of_zero_is_refused():
    with pytest.raises(StudyError, match=r"strategy\.tau must be above zero"):
        FedAdagrad(tau=0.0)
