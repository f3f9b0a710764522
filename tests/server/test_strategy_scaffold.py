"""SCAFFOLD against hand-worked numbers and the whole of its Algorithm 1 on quadratic losses."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.learning.client_work import Work
from server.strategies.fedavg import FedAvg
from server.strategies.scaffold import Scaffold


def f32(*values):
    return np.array(values, dtype=np.float32)


def test_scaffold_by_hand(round_of):
    """2 and 6 of 16 cases: dy = (2*1 + 6*5)/8 = 4 at eta_g 0.5; dc = (2*4 + 6*8)/8 = 7, of which half counts."""
    contributions = round_of({"a": (2.0, [[1.0], [4.0]]), "b": (6.0, [[5.0], [8.0]])}, 16.0)
    state, model = Scaffold(learning_rate=0.5).step({"control": np.array([1.0])}, f32(10), contributions)
    assert model.tolist() == [12.0]
    assert state["control"].tolist() == [4.5]


def test_equal_hospitals_count_as_in_the_paper(round_of):
    """|S|/N = 2/5 of the plain mean (3 + 7)/2 = 5."""
    contributions = round_of({"a": (4.0, [[0.0], [3.0]]), "b": (4.0, [[0.0], [7.0]])}, 20.0)
    state, _ = Scaffold().step(Scaffold().init(f32(0)), f32(0), contributions)
    np.testing.assert_allclose(state["control"], [2.0])


def test_the_control_goes_out_beside_the_model():
    strategy = Scaffold()
    (control,) = strategy.broadcast({"control": np.array([0.1, -0.2])})
    assert control.dtype == np.float32
    assert np.array_equal(control, f32(0.1, -0.2))
    assert strategy.work() == Work("delta", controlled=True)


def train_locally(x, centre, curvature, c, c_k, steps, rate):
    """K steps on curvature/2 (y - centre)^2 with SCAFFOLD's correction; (dy, dc) with option II."""
    y = x
    for _ in range(steps):
        y = y - rate * (curvature * (y - centre) - c_k + c)
    return y - x, (c_k - c + (x - y) / (steps * rate)) - c_k


def federate(sizes, centres, curvatures, replying, round_of, rounds=300, steps=5, rate=0.05):
    """Algorithm 1 in full; returns the model, the server's control and the hospitals'."""
    strategy = Scaffold()
    model, controls = f32(0), [0.0] * len(sizes)
    state = strategy.init(model)
    for number in range(rounds):
        c, sent = state["control"].item(), {}
        for k in replying(number):
            dy, dc = train_locally(model.item(), centres[k], curvatures[k], c, controls[k], steps, rate)
            controls[k] += dc
            sent[f"h{k}"] = (sizes[k], [[dy], [dc]])
        state, model = strategy.step(state, model, round_of(sent, sum(sizes)))
    return model.item(), state["control"].item(), controls


def optimum(sizes, centres, curvatures):
    weights = [n * a for n, a in zip(sizes, curvatures, strict=True)]
    return sum(w * b for w, b in zip(weights, centres, strict=True)) / sum(weights)


SIZES, CENTRES, CURVATURES = [2.0, 6.0, 8.0], [5.0, -1.0, 0.5], [4.0, 0.5, 1.0]


def test_scaffold_reaches_the_optimum_that_drift_keeps_fedavg_from(round_of):
    best = optimum(SIZES, CENTRES, CURVATURES)
    model, _, _ = federate(SIZES, CENTRES, CURVATURES, lambda _: range(3), round_of)
    plain = f32(0)
    for _ in range(300):
        local = zip(SIZES, CENTRES, CURVATURES, strict=True)
        sent = {
            f"h{k}": (n, [[train_locally(plain.item(), b, a, 0, 0, 5, 0.05)[0]]]) for k, (n, b, a) in enumerate(local)
        }
        _, plain = FedAvg().step({}, plain, round_of(sent))
    assert abs(model - best) < 1e-5
    assert abs(plain.item() - best) > 0.05


@given(sizes=st.lists(st.integers(1, 50), min_size=3, max_size=3), skipped=st.integers(0, 2))
def test_the_control_stays_the_mean_of_all_hospitals_controls(round_of, sizes, skipped):
    """The law behind n_S/N, also when a different hospital is missing every round."""
    sizes = [float(size) for size in sizes]

    def replying(number):
        return [k for k in range(3) if k != (number + skipped) % 3]

    _, control, controls = federate(sizes, CENTRES, CURVATURES, replying, round_of, rounds=7)
    mean = sum(n * c for n, c in zip(sizes, controls, strict=True)) / sum(sizes)
    assert abs(control - mean) < 1e-4
