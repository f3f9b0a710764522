"""Every law that perturbations and recipes inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import not_learning
from common.adversarial.objective import Objective
from common.adversarial.room import Room
from common.data.cases import Batch
from common.learning.task import Task
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import PerturbationTests, RecipeTests

SHAPES = ((1, 8, 8),)


@dataclass(frozen=True)
class Sound:
    """share: of the size."""

    source: ClassVar[str] = "one signed step"
    sees: ClassVar[str] = "gradients"

    share: float = 1.0

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        inputs = objective.inputs
        return room.within(inputs + room.share(self.share, inputs) * self.way(objective, draws), inputs)

    def way(self, objective: Objective, draws: Sequence[np.random.Generator]) -> Tensor:
        return objective.gradient(objective.inputs).sign()


class Nameless(Sound):
    source: ClassVar[str] = ""


class SeesAll(Sound):
    sees: ClassVar[str] = "everything"


class TooFar(Sound):
    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        return objective.inputs + 1.5 * room.share(1.0, objective.inputs) * self.way(objective, draws)


class OutOfRange(Sound):
    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        return objective.inputs + room.share(1.0, objective.inputs) * self.way(objective, draws)


class Downhill(Sound):
    def way(self, objective: Objective, draws: Sequence[np.random.Generator]) -> Tensor:
        return -super().way(objective, draws)


class OfTheBatch(Sound):
    def way(self, objective: Objective, draws: Sequence[np.random.Generator]) -> Tensor:
        return objective.gradient(objective.inputs).mean(0, keepdim=True).sign().expand_as(objective.inputs)


class GlobalDraw(Sound):
    def way(self, objective: Objective, draws: Sequence[np.random.Generator]) -> Tensor:
        return super().way(objective, draws) * torch.rand(1)


class SaysAnswers(Sound):
    sees: ClassVar[str] = "answers"


class InPlace(Sound):
    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        return objective.inputs.add_(room.share(0.1, objective.inputs))


class ByLength(Sound):
    def way(self, objective: Objective, draws: Sequence[np.random.Generator]) -> Tensor:
        found = objective.gradient(objective.inputs)
        return found / found.abs().flatten(1).amax(1).reshape(-1, *(1,) * (found.ndim - 1))


PERTURBATIONS: dict[str, tuple[Any, ...]] = {
    FROZEN: (thawed(Sound),),
    "it_says_where_it_is_from_and_what_it_sees": (Nameless, SeesAll),
    "inputs_stay_within_the_size_and_the_range": (TooFar, OutOfRange),
    "it_raises_what_is_to_be_raised": (Downhill,),
    "a_case_is_moved_alone_as_it_is_among_others": (OfTheBatch,),
    "it_follows_from_its_generators_alone": (GlobalDraw,),
    "what_sees_answers_alone_asks_for_no_gradient": (SaysAnswers,),
    "it_changes_no_input_and_survives_where_nothing_rises": (InPlace, ByLength),
}


@pytest.mark.parametrize(("law", "fault"), pairs(PERTURBATIONS))
def test_a_faulty_perturbation_is_caught(law: str, fault: type) -> None:
    broken(PerturbationTests, law, (fault(), SHAPES))


def test_a_perturbation_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(PerturbationTests) == PERTURBATIONS.keys()
    for law in set(PERTURBATIONS) - {"what_sees_answers_alone_asks_for_no_gradient"}:
        getattr(PerturbationTests(), f"test_{law}")((Sound(), SHAPES))


@dataclass(frozen=True)
class SoundRecipe:
    """weight: of moved inputs."""

    source: ClassVar[str] = "one signed step from a start"
    keeps_first: ClassVar[bool] = False

    weight: float = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return rng.uniform(-1, 1, (1, *shape)).astype(np.float32)

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        inputs = batch.inputs
        with not_learning(network):
            uphill = loss_of(task, network, batch).gradient(inputs).sign()
        moved = room.within(inputs + room.share(1.0, inputs) * (self.way(uphill) + 0.1 * drawn[:, 0]), inputs)
        return self.weight * task.loss(network, batch.with_columns(inputs=moved))

    def way(self, uphill: Tensor) -> Tensor:
        return uphill


class NamelessRecipe(SoundRecipe):
    source: ClassVar[str] = ""


class GlobalStart(SoundRecipe):
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.random.uniform(-1, 1, (1, *shape)).astype(np.float32)


class WideStart(SoundRecipe):
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return rng.normal(0, 3, (1, *shape)).astype(np.float32)


class Centred(SoundRecipe):
    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        found = super().losses(task, network, batch, room, drawn)
        return found + found.mean()


class ByCount(SoundRecipe):
    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        return len(batch) * super().losses(task, network, batch, room, drawn)


class DownhillRecipe(SoundRecipe):
    def way(self, uphill: Tensor) -> Tensor:
        return -uphill


class LeavesGradients(SoundRecipe):
    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        task.loss(network, batch).sum().backward()  # type: ignore[no-untyped-call]
        return super().losses(task, network, batch, room, drawn)


class Forgets(SoundRecipe):
    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        found = super().losses(task, network, batch, room, drawn)
        next(network.parameters()).requires_grad_(False)
        return found


RECIPES: dict[str, tuple[Any, ...]] = {
    FROZEN: (thawed(SoundRecipe),),
    "it_says_where_it_is_from_and_whether_it_asks_the_first_model": (NamelessRecipe,),
    "what_is_drawn_follows_from_its_generator_alone": (GlobalStart, WideStart),
    "a_case_has_the_same_loss_whoever_else_is_in_the_batch": (Centred,),
    "it_trains_on_inputs_that_were_moved_to_mislead": (DownhillRecipe,),
    "the_inner_steps_leave_nothing_behind": (LeavesGradients, Forgets),
    "gradients_of_single_cases_are_those_of_training_alone": (ByCount,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(RECIPES))
def test_a_faulty_recipe_is_caught(law: str, fault: type) -> None:
    broken(RecipeTests, law, (fault(), RecipeTests.task))


def test_a_recipe_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(RecipeTests) == RECIPES.keys()
    for law in RECIPES:
        getattr(RecipeTests(), f"test_{law}")((SoundRecipe(), RecipeTests.task))
