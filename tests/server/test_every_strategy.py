"""What every strategy must hold: new entries inherit these tests by their file name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np
import pytest
from safetensors.numpy import load, save

from common.errors import RoundError, StudyError
from common.study.catalogue import STRATEGIES
from common.study.options import Entry

# Short dyadic fractions: their sums are exact, so that order could show only through a strategy's fault.
PARAMETERS = np.array([1.0, -2.0, 0.5, 0.0], dtype=np.float32)
MEANS = np.array(
    [
        [0.5, -0.25, 1.0, 0.125],
        [0.25, -0.5, 0.75, -0.125],
        [1.0, -0.125, 0.5, 0.25],
        [0.75, 0.5, -0.25, 0.5],
        [-0.5, -1.0, 0.25, 0.0],
        [0.125, -0.75, 1.25, -0.25],
        [0.375, -0.375, 0.875, 0.375],
    ]
)
SIZES = (8.0, 2.0, 4.0, 16.0, 1.0, 32.0, 64.0)


@pytest.fixture(params=STRATEGIES.names())
def strategy(request):
    return STRATEGIES.build(Entry(request.param))


def hospitals(strategy, means=MEANS, sizes=SIZES):
    """As many hospitals as sizes; a second vector (SCAFFOLD's) is half the first."""
    copies = range(1, strategy.work().vectors + 1)
    pairs = zip(sizes, means[: len(sizes)], strict=True)
    return {f"h{k}": (size, [mean / copy for copy in copies]) for k, (size, mean) in enumerate(pairs)}


def run(strategy, state, parameters, rounds):
    for contributions in rounds:
        state, parameters = strategy.step(state, parameters, contributions)
    return state, parameters


def same(left, right):
    (left_state, left_parameters), (right_state, right_parameters) = left, right
    assert left_state.keys() == right_state.keys()
    assert all(np.array_equal(left_state[name], right_state[name]) for name in left_state)
    assert np.array_equal(left_parameters, right_parameters)


def frozen(state: Mapping, parameters):
    for array in (*state.values(), parameters):
        array.setflags(write=False)


def test_a_strategy_is_a_frozen_dataclass_whose_options_all_have_defaults(strategy):
    assert dataclasses.is_dataclass(strategy)
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.learning_rate = 2.0


def test_a_strategy_says_what_it_does_in_one_line(strategy):
    name = type(strategy).__module__.rsplit(".", 1)[1]
    assert len(STRATEGIES.summary(name)) > 20


def test_what_is_sent_is_what_is_asked_for(strategy):
    assert strategy.work().sends == strategy.sends
    assert strategy.needs in ("each", "sum")


def test_one_vector_less_goes_out_beside_the_model_than_comes_back(strategy):
    vectors = strategy.broadcast(strategy.init(PARAMETERS))
    assert len(vectors) == strategy.work().vectors - 1
    assert all(vector.dtype == np.float32 and vector.shape == PARAMETERS.shape for vector in vectors)


def test_the_model_stays_float32_and_the_state_float64(strategy, round_of):
    state, model = strategy.step(strategy.init(PARAMETERS), PARAMETERS, round_of(hospitals(strategy)))
    assert (model.dtype, model.shape) == (np.float32, PARAMETERS.shape)
    assert all(array.dtype == np.float64 for array in state.values())
    assert all(array.dtype == np.float64 for array in strategy.init(PARAMETERS).values())


def test_a_first_step_goes_downhill_in_every_coordinate(strategy, round_of):
    """From rest, hospitals that agree move the model along their delta, or against their gradient."""
    agreed = np.tile([0.5, -0.25, 1.0, -2.0], (len(SIZES), 1))
    _, model = strategy.step(strategy.init(PARAMETERS), PARAMETERS, round_of(hospitals(strategy, agreed)))
    downhill = agreed[0] if strategy.sends == "delta" else -agreed[0]
    assert np.array_equal(np.sign(model - PARAMETERS), np.sign(downhill))


def test_hospitals_that_agree_are_one_hospital(strategy, round_of):
    """The plain formula on one set of cases, however many hospitals they are spread over."""
    agreed = np.tile(MEANS[0], (7, 1))
    total = sum(SIZES)
    sizes = [SIZES, (total - 96, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0)]
    if strategy.needs == "sum":
        sizes.append((total,))
    rounds = [round_of(hospitals(strategy, agreed, some), total) for some in sizes]
    (state, model), *others = [strategy.step(strategy.init(PARAMETERS), PARAMETERS, one) for one in rounds]
    for other_state, other_model in others:
        np.testing.assert_allclose(other_model, model, rtol=1e-6)
        assert all(np.allclose(other_state[name], state[name], rtol=1e-12, atol=0) for name in state)


def test_one_hospital_alone_trains_or_is_refused_with_the_number_that_is_needed(strategy, round_of):
    alone = round_of(hospitals(strategy, MEANS, (8.0,)))
    downhill = MEANS[0] if strategy.sends == "delta" else -MEANS[0]
    try:
        _, model = strategy.step(strategy.init(PARAMETERS), PARAMETERS, alone)
    except RoundError as error:
        refusal = str(error)
    else:
        assert np.array_equal(np.sign(model - PARAMETERS), np.sign(downhill))
        return
    assert strategy.needs == "each"
    assert re.search(r"\d", refusal)


def test_hospitals_that_found_nothing_to_change_change_nothing(strategy, round_of):
    nothing = round_of(hospitals(strategy, np.zeros_like(MEANS)))
    _, model = strategy.step(strategy.init(PARAMETERS), PARAMETERS, nothing)
    assert np.array_equal(model, PARAMETERS)


def test_the_order_of_hospitals_does_not_matter(strategy, round_of):
    sent = hospitals(strategy)
    forwards = round_of(sent)
    backwards = round_of(dict(reversed(sent.items())))
    state = strategy.init(PARAMETERS)
    same(run(strategy, state, PARAMETERS, [forwards] * 2), run(strategy, state, PARAMETERS, [backwards] * 2))


def test_the_state_survives_a_checkpoint_and_goes_on_bit_identically(strategy, round_of):
    """Values that are no short fractions, so that any rounding of the state on its way would show."""
    rounds = [round_of(hospitals(strategy, MEANS * factor)) for factor in (1.1, 0.7, -0.3, 0.13)]
    state, parameters = run(strategy, strategy.init(PARAMETERS), PARAMETERS, rounds[:2])
    reloaded = load(save({**state, "parameters": parameters}))
    same(
        run(strategy, state, parameters, rounds[2:]),
        run(strategy, {name: reloaded[name] for name in state}, reloaded["parameters"], rounds[2:]),
    )


def test_nothing_that_is_given_is_changed(strategy, round_of):
    state, parameters, contributions = strategy.init(PARAMETERS), PARAMETERS.copy(), round_of(hospitals(strategy))
    before = {name: array.copy() for name, array in state.items()}
    frozen(state, parameters)
    for update in (contributions.total, *contributions.each.values()):
        for vector in update.vectors:
            vector.setflags(write=False)
    first = strategy.step(state, parameters, contributions)
    same(first, strategy.step(state, parameters, contributions))
    same((before, PARAMETERS), (state, parameters))


@pytest.mark.parametrize("learning_rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_learning_rate_that_is_no_positive_number_is_refused(strategy, learning_rate):
    with pytest.raises(StudyError, match=r"strategy\.learning_rate must be above zero"):
        dataclasses.replace(strategy, learning_rate=learning_rate)
