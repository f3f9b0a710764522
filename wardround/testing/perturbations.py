"""What every perturbation must be: within its room, of each case alone, and better than none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.room import Room
from common.errors import StudyError
from common.seeding import case_generators
from wardround.testing.laws import check_options, no_global_draw

SHAPES: tuple[tuple[int, ...], ...] = ((6,), (1, 8, 8), (3, 6, 7), (1, 6, 5, 4))
COUNT, SIZE = 5, 0.1
ROUNDING = 1e-6
Tried = tuple[Any, tuple[tuple[int, ...], ...]]


class PerturbationTests:
    """Inherit, and bind `perturbation` to one; `shapes` of a case where it is not for all of SHAPES."""

    perturbation: Any
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = SHAPES

    @pytest.fixture
    def made(self) -> Tried:
        """The perturbation's options, and shapes of what it is tried on."""
        return self.perturbation, self.shapes

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_it_says_where_it_is_from_and_what_it_sees(self, made: Tried) -> None:
        """What sees answers alone is compared with what sees gradients: so hidden gradients are found. Mend: `source`
        names the paper, or the idea; `sees` is "gradients" or "answers"."""
        assert len(made[0].source) > 5, "`source` does not say where it is from"
        assert made[0].sees in ("gradients", "answers"), f"sees {made[0].sees!r} is neither gradients nor answers"

    def test_inputs_stay_within_the_size_and_the_range(self, made: Tried) -> None:
        """A score at a size is of changes of that size. Mend: end with `room.within(moved, objective.inputs)`."""
        for shape in made[1]:
            objective, room = sloped(shape), Room.of(SIZE, -0.5, 0.5)
            moved = made[0].move(objective, room, draws())
            assert moved.shape == objective.inputs.shape and moved.dtype == objective.inputs.dtype
            assert torch.isfinite(moved).all(), "an input is not finite"
            furthest = float((moved - objective.inputs).abs().max())
            assert furthest <= SIZE + ROUNDING, f"a value was moved by {furthest:.3g}, of {SIZE} at most"
            assert float(moved.abs().max()) <= 0.5 + ROUNDING, "a value left the range"

    def test_it_raises_what_is_to_be_raised(self, made: Tried) -> None:
        """An attack that finds nothing makes any model look robust. Mend: look at the sign; keep the best."""
        for shape in made[1]:
            objective = sloped(shape)
            moved = made[0].move(objective, Room.of(SIZE), draws())
            before, after = (float(objective.values(one).mean()) for one in (objective.inputs, moved))
            assert after > before, f"of {shape} the mean was {before:.4g} and is {after:.4g}"

    def test_a_case_is_moved_alone_as_it_is_among_others(self, made: Tried) -> None:
        """Hospitals' scores merge, and one patient's input must not tell of another. Mend: draw each case's from its
        own generator of `draws`; nothing over the batch."""
        for shape in made[1]:
            objective = sloped(shape, torch.float64)
            together, alone = made[0].move(objective, Room.of(SIZE), draws()), []
            for index, rng in enumerate(draws()):
                one = Objective(objective.inputs[index : index + 1], _Of(objective, index))
                alone.append(made[0].move(one, Room.of(SIZE), [rng]))
            torch.testing.assert_close(
                together, torch.cat(alone), msg=lambda text: f"a case depends on the others: {text}"
            )

    def test_it_follows_from_its_generators_alone(self, made: Tried) -> None:
        """What was measured must be possible to measure again. Mend: draw from `draws`, and keep nothing."""
        for shape in made[1]:
            with no_global_draw("move"):
                first, second = (made[0].move(sloped(shape), Room.of(SIZE), draws()) for _ in range(2))
            assert torch.equal(first, second), "two calls with the same generators differ"

    def test_what_sees_answers_alone_asks_for_no_gradient(self, made: Tried) -> None:
        """The alarm for hidden gradients counts on it. Mend: `objective.values`, or sees = "gradients"."""
        if made[0].sees == "gradients":
            pytest.skip("it sees gradients")
        for shape in made[1]:
            objective = sloped(shape)
            made[0].move(_NoGradient(objective.inputs, objective.raised), Room.of(SIZE), draws())

    def test_it_changes_no_input_and_survives_where_nothing_rises(self, made: Tried) -> None:
        """The same cases are moved by the next size. Mend: no operation in place; no division by a gradient."""
        for shape in made[1]:
            inputs = given(shape)
            before = inputs.clone()
            flat = Objective(inputs, lambda moved: (moved * 0).flatten(1).sum(1))
            assert torch.isfinite(made[0].move(flat, Room.of(SIZE), draws())).all(), "an input is not finite"
            assert torch.equal(inputs, before), "it changed the inputs that it was given"


@dataclass(frozen=True)
class _Of:
    """One case of several, by its own slope."""

    whole: Objective
    index: int

    def __call__(self, inputs: Tensor) -> Tensor:
        filled = self.whole.inputs.clone()
        filled = torch.cat([filled[: self.index], inputs, filled[self.index + 1 :]])
        return self.whole.raised(filled)[self.index : self.index + 1]


@dataclass(frozen=True)
class _NoGradient(Objective):
    def climbed(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        raise StudyError("it says that it sees answers alone, and asked for a gradient")


def given(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """(5, *shape) within -0.45 and 0.45."""
    return torch.rand(COUNT, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype) * 0.9 - 0.45


def sloped(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Objective:
    """A slope of each case's own, bent a little."""
    slopes = torch.randn(COUNT, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return Objective(given(shape, dtype), lambda moved: (slopes * moved + 0.3 * moved.sin()).flatten(1).sum(1))


def draws() -> Sequence[np.random.Generator]:
    """Of each case its own."""
    return case_generators(np.random.default_rng(7), COUNT)
