"""FedNova and q-FedAvg: the papers' equations by slow oracles, over both halves."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.normalised_updates import fair, normalised, reach
from common.errors import HospitalError, RoundError
from common.learning.client_work import CURVATURE, REACH, Training
from common.sums.mean import Mean
from common.sums.update import Update
from server.strategies.fedavg import FedAvg
from server.strategies.fednova import FedNova
from server.strategies.qfedavg import QFedAvg
from server.strategy import Contributions

MODEL = np.array([1.0, -2.0], np.float32)


def added(updates: list[Update]) -> Contributions:
    total = reduce(Update.__add__, updates)
    return Contributions(total, None, total.weight)


def of(change: np.ndarray, cases: float) -> Update:
    return Update(((change * cases).astype(np.float32),), cases)


def accumulated(steps: int, momentum: float, pull: float) -> np.ndarray:
    """a_k of the paper: how much of each step's gradient is in the change, by one unit gradient at a time."""
    found = []
    for impulse in range(steps):
        moved = velocity = 0.0
        for step in range(steps):
            velocity = momentum * velocity + (step == impulse) - pull * moved
            moved += velocity
        found.append(moved)
    return np.array(found)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.floats(0, 0.95), st.floats(0, 0.2))
def test_reach_is_the_sum_of_all_gradients_shares(steps: int, momentum: float, pull: float) -> None:
    assert reach(steps, momentum, pull) == pytest.approx(accumulated(steps, momentum, pull).sum(), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_reach_is_the_papers_closed_forms(steps: int) -> None:
    """Plain: tau. Momentum: (tau - rho (1 - rho^tau) / (1 - rho)) / (1 - rho). Proximal: (1 - (1 - a)^tau) / a."""
    rho, a = 0.9, 0.05
    assert reach(steps, 0.0, 0.0) == steps
    assert reach(steps, rho, 0.0) == pytest.approx((steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho))
    assert reach(steps, 0.0, a) == pytest.approx((1 - (1 - a) ** steps) / a)


def test_a_proximal_term_that_throws_the_model_about_is_refused() -> None:
    with pytest.raises(HospitalError, match=r"lower training\.learning_rate"):
        reach(2, 0.0, 3.0)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_fednova_is_the_papers_equation(data: st.DataObject) -> None:
    """x - tau_eff sum_k p_k eta G_k a_k / |a_k|: gradients drawn, a_k by impulses, all sums written out."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    momentum, rate, mu = data.draw(
        st.sampled_from([(0.0, 0.1, 0.0), (0.9, 0.1, 0.0), (0.0, 0.1, 0.5), (0.5, 0.2, 0.3)])
    )
    training = Training(learning_rate=rate, momentum=momentum)
    steps, cases = rng.integers(1, 12, 4), rng.integers(1, 50, 4).astype(float)
    shares, updates = cases / cases.sum(), []
    tau_eff, direction = 0.0, np.zeros(2)
    for tau, size, share in zip(steps, cases, shares, strict=True):
        gradients, a = rng.normal(size=(tau, 2)), accumulated(int(tau), momentum, rate * mu)
        change = -rate * (gradients * a[:, None]).sum(0)
        updates.append(normalised(of(change, size), int(tau), training, mu))
        tau_eff += share * a.sum()
        direction += share * rate * (gradients * a[:, None]).sum(0) / a.sum()
    _, model = FedNova(learning_rate=1.0, proximal_mu=mu).step({}, MODEL, added(updates))
    np.testing.assert_allclose(model, MODEL - tau_eff * direction, rtol=1e-5, atol=1e-5)


def test_with_equal_steps_fednova_is_fedavg() -> None:
    changes = [np.array([0.5, -1.0]), np.array([1.5, 2.0])]
    plain = [of(change, size) for change, size in zip(changes, (3.0, 5.0), strict=True)]
    training = Training(momentum=0.9)
    _, model = FedNova().step({}, MODEL, added([normalised(one, 6, training, 0.0) for one in plain]))
    np.testing.assert_allclose(model, FedAvg().step({}, MODEL, added(plain))[1], rtol=1e-6)


def descended(centre: float, start: float, steps: int, rate: float) -> float:
    """The change of so many steps on (x - centre)^2 / 2."""
    x = start
    for _ in range(steps):
        x -= rate * (x - centre)
    return x - start


def test_fednova_ends_where_all_data_would_and_fedavg_nearer_to_whoever_steps_more() -> None:
    """Hospitals at 0 (1 step) and at 1 (20 steps), of equal size: the mean is at 1/2."""
    rate, training = 0.001, Training(learning_rate=0.001)
    ends = {}
    for name, strategy in (("fednova", FedNova()), ("fedavg", FedAvg())):
        model = np.array([0.0], np.float32)
        for _ in range(1500):
            updates = []
            for centre, steps in ((0.0, 1), (1.0, 20)):
                one = of(np.array([descended(centre, float(model[0]), steps, rate)]), 7.0)
                updates.append(normalised(one, steps, training, 0.0) if name == "fednova" else one)
            _, model = strategy.step({}, model, added(updates))
        ends[name] = float(model[0])
    assert ends["fednova"] == pytest.approx(0.5, abs=0.01)
    assert ends["fedavg"] == pytest.approx(20 / 21, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 5), st.integers(0, 10**6))
def test_qfedavg_is_the_papers_algorithm_weighed_by_cases(q: float, seed: int) -> None:
    rng, rate = np.random.default_rng(seed), 0.3
    lipschitz, losses, cases = 1 / rate, rng.uniform(0.1, 3, 4), rng.integers(1, 50, 4).astype(float)
    changes = rng.normal(size=(4, 2))
    above, below = np.zeros(2), 0.0
    for change, loss, size in zip(changes, losses, cases, strict=True):
        gradient = -lipschitz * change
        above += size * loss**q * gradient
        below += size * (q * loss ** (q - 1) * gradient @ gradient + lipschitz * loss**q)
    updates = [fair(of(c, n), f, q, rate) for c, f, n in zip(changes, losses, cases, strict=True)]
    _, model = QFedAvg(q=q).step({}, MODEL, added(updates))
    np.testing.assert_allclose(model, MODEL - above / below, rtol=1e-4, atol=1e-4)


def test_at_q_0_qfedavg_is_fedavg() -> None:
    plain = [of(np.array([0.5, -1.0]), 3.0), of(np.array([1.5, 2.0]), 5.0)]
    weighed = [fair(one, loss, 0.0, 0.1) for one, loss in zip(plain, (0.2, 4.0), strict=True)]
    _, model = QFedAvg(q=0.0).step({}, MODEL, added(weighed))
    np.testing.assert_allclose(model, FedAvg().step({}, MODEL, added(plain))[1], rtol=1e-6)


def test_a_loss_of_nothing_has_all_its_powers_and_one_below_0_has_none() -> None:
    update = fair(of(np.array([0.5, -1.0]), 3.0), 0.0, 0.5, 0.1)
    assert np.isfinite(update.vectors[0]).all()
    assert np.isfinite(update.statistics[CURVATURE].value)
    with pytest.raises(HospitalError, match="can be below 0"):
        fair(of(np.array([0.5, -1.0]), 3.0), -0.1, 0.5, 0.1)


def test_what_no_sum_could_hold_is_refused_in_the_hospital() -> None:
    with pytest.raises(HospitalError, match="diverged"):
        fair(of(np.array([1e15, 0.0]), 1000.0), 1e9, 3.0, 0.1)


@pytest.mark.parametrize("value", [None, 0.0, -1.0])
def test_a_round_without_what_is_divided_by_is_refused(value: float | None) -> None:
    statistics = {} if value is None else {REACH: Mean.of([value])}
    update = Update((np.ones(2, np.float32),), 1.0, statistics)
    with pytest.raises(RoundError, match="reach is missing"):
        FedNova().step({}, MODEL, added([update]))


def test_many_cases_and_many_steps_fit_into_the_mean() -> None:
    update = normalised(of(np.array([1.0, 1.0]), 100_000.0), 10_000, Training(), 0.0)
    assert (update + update).statistics[REACH].value == 10_000
