"""What every strategy must hold."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from common.errors import RoundError, StudyError
from server.strategy import Contributions, Strategy
from wardround.testing.laws import check_options
from wardround.testing.makers import Hospital, contributions

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
Reached = tuple[Mapping[str, NDArray[np.float64]], NDArray[np.float32]]
"""A state, and the model beside it."""


class StrategyTests:
    """Inherit, and bind `strategy` to one."""

    strategy: Strategy

    @pytest.fixture
    def made(self) -> Any:
        """The strategy."""
        return self.strategy

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """Whatever it remembers is in its state, and nothing in itself. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_what_is_sent_is_what_is_asked_for(self, made: Any) -> None:
        """A study is refused by it before it starts. Mend: `work` asks for `sends`; `needs` is "each" or "sum"."""
        assert made.work().sends == made.sends, f"work asks for {made.work().sends!r}, sends says {made.sends!r}"
        assert made.needs in ("each", "sum"), f"needs is {made.needs!r}"

    def test_one_vector_less_goes_out_beside_the_model_than_comes_back(self, made: Any) -> None:
        """Hospitals pair what they send with what they got. Mend: `broadcast` returns float32 vectors of the model's
        length, one fewer than `work().vectors`."""
        vectors = made.broadcast(made.init(PARAMETERS))
        assert len(vectors) == made.work().vectors - 1, f"{len(vectors)} go out, {made.work().vectors} come back"
        assert all(vector.dtype == np.float32 and vector.shape == PARAMETERS.shape for vector in vectors)

    def test_the_model_stays_float32_and_the_state_float64(self, made: Any) -> None:
        """A run that is resumed goes on bit for bit. Mend: compute in float64, and end `step` with
        .astype(np.float32) for the model alone."""
        state, model = made.step(made.init(PARAMETERS), PARAMETERS, contributions(hospitals(made)))
        assert (model.dtype, model.shape) == (np.float32, PARAMETERS.shape), f"the model is {model.dtype}"
        for name, array in (*state.items(), *made.init(PARAMETERS).items()):
            assert array.dtype == np.float64, f"{name} of the state is {array.dtype}"

    def test_a_first_step_goes_downhill_in_every_coordinate(self, made: Any) -> None:
        """From rest, hospitals that agree move the model along their delta, or against their gradient. Mend: see the
        sign of the step, and what `sends` says."""
        agreed = np.tile([0.5, -0.25, 1.0, -2.0], (len(SIZES), 1))
        _, model = made.step(made.init(PARAMETERS), PARAMETERS, contributions(hospitals(made, agreed)))
        downhill = agreed[0] if made.sends == "delta" else -agreed[0]
        assert np.array_equal(np.sign(model - PARAMETERS), np.sign(downhill)), (
            f"hospitals agree on {agreed[0].tolist()} ({made.sends}), the model moved by {model - PARAMETERS}"
        )

    def test_hospitals_that_agree_are_one_hospital(self, made: Any) -> None:
        """The plain formula on one set of cases, however many hospitals they are spread over. Mend: weight by cases,
        with `contributions.total.mean()`, not by hospitals."""
        agreed = np.tile(MEANS[0], (9, 1))
        total = sum(SIZES)
        sizes: list[tuple[float, ...]] = [SIZES, (total - 112, *(16.0,) * 7)]
        if made.needs == "sum":
            sizes.append((total,))
        rounds = [contributions(hospitals(made, agreed, some), total) for some in sizes]
        (state, model), *others = [made.step(made.init(PARAMETERS), PARAMETERS, one) for one in rounds]
        for other_state, other_model in others:
            np.testing.assert_allclose(other_model, model, rtol=1e-6)
            assert all(np.allclose(other_state[name], state[name], rtol=1e-12, atol=0) for name in state)

    def test_one_hospital_alone_trains_or_is_refused_with_the_number_that_is_needed(self, made: Any) -> None:
        """A round may come to that. Mend: raise RoundError that says how many it takes, where `needs` is "each"."""
        alone = contributions(hospitals(made, MEANS, (8.0,)))
        downhill = MEANS[0] if made.sends == "delta" else -MEANS[0]
        try:
            _, model = made.step(made.init(PARAMETERS), PARAMETERS, alone)
        except RoundError as error:
            refusal = str(error)
        else:
            assert np.array_equal(np.sign(model - PARAMETERS), np.sign(downhill)), "it moved another way"
            return
        assert made.needs == "each", "a sum over one hospital was refused"
        assert re.search(r"\d", refusal), f"no number in {refusal!r}"

    def test_hospitals_that_found_nothing_to_change_change_nothing(self, made: Any) -> None:
        """A model that is at its best stays. Mend: no division by a norm that may be 0, and no decay in the step."""
        nothing = contributions(hospitals(made, np.zeros_like(MEANS)))
        _, model = made.step(made.init(PARAMETERS), PARAMETERS, nothing)
        assert np.array_equal(model, PARAMETERS), f"the model moved by {model - PARAMETERS}"

    def test_the_order_of_hospitals_does_not_matter(self, made: Any) -> None:
        """Who answers first must not decide. Mend: go through hospitals sorted, or through sums alone."""
        sent = hospitals(made)
        forwards, backwards = contributions(sent), contributions(dict(reversed(sent.items())))
        state = made.init(PARAMETERS)
        _check_same(run(made, state, [forwards] * 2), run(made, state, [backwards] * 2), "another order")

    def test_the_state_survives_a_checkpoint_and_goes_on_bit_identically(self, made: Any) -> None:
        """A run that is resumed ends like one that never stopped. Mend: keep all that is remembered in the state."""
        # Values that are no short fractions, so that any rounding of the state on its way would show.
        rounds = [contributions(hospitals(made, MEANS * factor)) for factor in (1.1, 0.7, -0.3, 0.13)]
        fresh = dataclasses.replace(made)
        state, parameters = run(made, made.init(PARAMETERS), rounds[:2])
        reloaded = load(save({**state, "parameters": parameters}))
        resumed = {name: reloaded[name] for name in state}
        _check_same(
            run(made, state, rounds[2:], parameters),
            run(fresh, resumed, rounds[2:], reloaded["parameters"]),
            "a resumed run",
        )

    def test_nothing_that_is_given_is_changed(self, made: Any) -> None:
        """A round can be played again. Mend: `step` works on copies, never in place."""
        state, parameters, given = made.init(PARAMETERS), PARAMETERS.copy(), contributions(hospitals(made))
        before = {name: array.copy() for name, array in state.items()}
        vectors = [vector for update in (given.total, *(given.each or {}).values()) for vector in update.vectors]
        for array in (*state.values(), parameters, *vectors):
            array.setflags(write=False)
        first = made.step(state, parameters, given)
        _check_same(first, made.step(state, parameters, given), "a second time")
        _check_same((before, PARAMETERS), (state, parameters), "what was given")

    @pytest.mark.parametrize("learning_rate", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_learning_rate_that_is_no_positive_number_is_refused(self, made: Any, learning_rate: float) -> None:
        """A study with it would run and learn nothing. Mend: common.study.checks.positive in __post_init__."""
        if not any(field.name == "learning_rate" for field in dataclasses.fields(made)):
            pytest.skip("it has no learning_rate")
        with pytest.raises(StudyError, match=r"learning_rate must be above zero"):
            dataclasses.replace(made, learning_rate=learning_rate)


def hospitals(made: Any, means: Any = MEANS, sizes: tuple[float, ...] = SIZES) -> dict[str, Hospital]:
    """As many hospitals as sizes; a second vector (SCAFFOLD's) is half the first."""
    copies = range(1, made.work().vectors + 1)
    pairs = zip(sizes, means[: len(sizes)], strict=True)
    return {f"h{k}": (size, [mean / copy for copy in copies]) for k, (size, mean) in enumerate(pairs)}


def run(made: Any, state: Any, rounds: Iterable[Contributions], parameters: Any = PARAMETERS) -> Reached:
    """The state and the model after all rounds."""
    for one in rounds:
        state, parameters = made.step(state, parameters, one)
    return state, parameters


def _check_same(left: Reached, right: Reached, what: str) -> None:
    (left_state, left_parameters), (right_state, right_parameters) = left, right
    assert left_state.keys() == right_state.keys(), f"{what}: other names in the state"
    for name, array in left_state.items():
        assert np.array_equal(array, right_state[name]), f"{what}: {name} of the state differs"
    assert np.array_equal(left_parameters, right_parameters), f"{what}: the model differs"
