"""FedSGD, FedAvg, FedProx and FedAvgM against hand-worked numbers, slow loops and torch's optimisers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RoundError, StudyError
from common.learning.client_work import Work
from server.strategies.fedavg import FedAvg
from server.strategies.fedavgm import FedAvgM
from server.strategies.fedprox import FedProx
from server.strategies.fedsgd import FedSGD

numbers = st.floats(-100, 100, width=32)
sizes = st.integers(1, 1000)


def hospitals_of(length):
    return st.lists(st.tuples(sizes, st.lists(numbers, min_size=length, max_size=length)), min_size=1, max_size=6)


def one_vector(hospitals):
    return {f"h{k}": (float(size), [vector]) for k, (size, vector) in enumerate(hospitals)}


def slow_mean(hospitals, length):
    cases = sum(size for size, _ in hospitals)
    return [sum(size * vector[i] for size, vector in hospitals) / cases for i in range(length)]


def f32(*values):
    return np.array(values, dtype=np.float32)


def test_fedsgd_steps_against_the_mean_gradient(round_of):
    """(1 * 4 + 3 * 8) / 4 = 7; 10 - 0.5 * 7 = 6.5."""
    contributions = round_of({"a": (1.0, [[4.0]]), "b": (3.0, [[8.0]])})
    state, model = FedSGD(learning_rate=0.5).step({}, f32(10), contributions)
    assert state == {}
    assert model.tolist() == [6.5]


@given(gradients=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5))
def test_fedsgd_with_adam_is_torchs(round_of, gradients):
    strategy, model = FedSGD(learning_rate=0.1, optimiser="adam", beta_1=0.8, beta_2=0.9), f32(1, -2, 0)
    theirs = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.8, 0.9))
    state = strategy.init(model)
    for gradient in gradients:
        state, model = strategy.step(state, model, round_of({"a": (2.0, [gradient])}))
        theirs.grad = torch.tensor(gradient, dtype=torch.float64)
        adam.step()
    np.testing.assert_allclose(model, theirs.detach().numpy(), atol=1e-5)


def test_fedsgd_refuses_what_is_no_optimiser_and_a_mean_that_never_moves():
    with pytest.raises(StudyError, match="did you mean 'adam'"):
        FedSGD(optimiser="adamw")
    with pytest.raises(StudyError, match="beta_2"):
        FedSGD(optimiser="adam", beta_2=1.0)


def test_fedavg_goes_to_the_mean_model(round_of):
    """Local models 14 (1 case) and 18 (3 cases): their mean is 17."""
    contributions = round_of({"a": (1.0, [[4.0]]), "b": (3.0, [[8.0]])})
    _, model = FedAvg().step({}, f32(10), contributions)
    assert model.tolist() == [17.0]


def test_fedavg_goes_part_of_the_way_at_a_lower_server_rate(round_of):
    contributions = round_of({"a": (1.0, [[4.0]]), "b": (3.0, [[8.0]])})
    _, model = FedAvg(learning_rate=0.5).step({}, f32(10), contributions)
    assert model.tolist() == [13.5]


@given(hospitals=hospitals_of(3), start=st.lists(numbers, min_size=3, max_size=3), rate=st.floats(0.01, 10))
def test_fedsgd_and_fedavg_are_the_slow_loops(round_of, hospitals, start, rate):
    contributions = round_of(one_vector(hospitals))
    mean = slow_mean(hospitals, 3)
    _, down = FedSGD(learning_rate=rate).step({}, f32(*start), contributions)
    _, along = FedAvg(learning_rate=rate).step({}, f32(*start), contributions)
    np.testing.assert_allclose(down, [x - rate * g for x, g in zip(start, mean, strict=True)], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(along, [x + rate * d for x, d in zip(start, mean, strict=True)], rtol=1e-5, atol=1e-3)


def test_fedavg_of_one_full_batch_step_is_fedsgd_is_the_step_on_pooled_cases(round_of):
    """Logistic regression at three hospitals of different size; torch makes gradients and the pooled step."""
    generator = torch.Generator().manual_seed(0)
    cases = [
        (torch.randn(n, 4, generator=generator), torch.randint(0, 2, (n,), generator=generator)) for n in (3, 8, 5)
    ]
    start = torch.randn(4, generator=generator)
    rate = 0.25

    def gradient(inputs, targets):
        theta = start.clone().requires_grad_()
        torch.nn.functional.binary_cross_entropy_with_logits(inputs @ theta, targets.float()).backward()
        return theta.grad.numpy()

    gradients = {f"h{k}": (float(len(x)), [gradient(x, y)]) for k, (x, y) in enumerate(cases)}
    deltas = {site: (size, [-rate * vector]) for site, (size, [vector]) in gradients.items()}
    parameters = start.numpy()
    _, sgd = FedSGD(learning_rate=rate).step({}, parameters, round_of(gradients))
    _, avg = FedAvg().step({}, parameters, round_of(deltas))
    pooled = gradient(torch.cat([x for x, _ in cases]), torch.cat([y for _, y in cases]))
    np.testing.assert_allclose(sgd, avg, atol=2e-7)
    np.testing.assert_allclose(sgd, parameters - rate * pooled, atol=2e-7)


def test_fedprox_asks_for_the_term_and_steps_as_fedavg(round_of):
    strategy = FedProx(proximal_mu=0.25)
    contributions = round_of({"a": (1.0, [[4.0]]), "b": (3.0, [[8.0]])})
    assert strategy.work() == Work("delta", proximal_mu=0.25)
    assert np.array_equal(strategy.step({}, f32(10), contributions)[1], FedAvg().step({}, f32(10), contributions)[1])


def test_fedprox_refuses_a_term_that_pushes_away():
    with pytest.raises(StudyError, match=r"strategy\.proximal_mu must be zero or more; it is -1"):
        FedProx(proximal_mu=-1.0)


def test_momentum_gathers_speed(round_of):
    """Deltas 1, 1, 1 at beta 0.5: velocities 1, 1.5, 1.75; positions 1, 2.5, 4.25."""
    strategy = FedAvgM(momentum=0.5)
    state, model = strategy.init(f32(0)), f32(0)
    seen = []
    for _ in range(3):
        state, model = strategy.step(state, model, round_of({"a": (2.0, [[1.0]])}))
        seen.append((state["velocity"].tolist(), model.tolist()))
    assert seen == [([1.0], [1.0]), ([1.5], [2.5]), ([1.75], [4.25])]


@given(
    deltas=st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=6),
    momentum=st.floats(0, 0.95),
    rate=st.floats(0.01, 2),
)
def test_fedavgm_is_torchs_sgd_with_momentum_on_the_pseudo_gradient(round_of, deltas, momentum, rate):
    strategy = FedAvgM(learning_rate=rate, momentum=momentum)
    model = f32(1, -1)
    state = strategy.init(model)
    theta = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([theta], lr=rate, momentum=momentum)
    for delta in deltas:
        state, model = strategy.step(state, model, round_of({"a": (1.0, [delta])}))
        theta.grad = -torch.tensor(delta, dtype=torch.float64)
        optimiser.step()
    np.testing.assert_allclose(model, theta.detach().numpy(), rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_momentum_that_never_fades_is_refused(momentum):
    with pytest.raises(StudyError, match=r"strategy\.momentum must be at least 0 and below 1"):
        FedAvgM(momentum=momentum)


def test_a_diverged_model_is_refused_and_says_what_to_lower(round_of):
    with pytest.raises(RoundError, match=r"diverged: 1 of 2 .* Lower strategy.learning_rate"):
        FedAvg().step({}, f32(3e38, 0), round_of({"a": (1.0, [[3e38, 1.0]])}))


def test_what_is_not_a_number_never_becomes_a_model(round_of):
    with pytest.raises(RoundError, match="diverged: 1 of 1"):
        FedAvg().step({}, f32(0), round_of({"a": (1.0, [[float("nan")]])}))


def test_the_sum_is_divided_in_float64(round_of):
    """One case against 2**24: in float32 the small hospital would vanish."""
    contributions = round_of({"a": (1.0, [[2.0**24]]), "b": (2.0**24, [[1.0]])})
    _, model = FedAvg().step({}, f32(0), contributions)
    assert model.tolist() == [np.float32(2**25 / (2**24 + 1))]
