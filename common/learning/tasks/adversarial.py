"""Any other task, learned so that inputs which somebody changes a little on purpose do not mislead the model.

What the other task can do this one can as well: members that it declares are handed on by their names. What is
changed: its loss, which is the recipe's, and, where it is asked for, scores of moved inputs beside its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import not_learning
from common.adversarial.perturbation import Perturbation
from common.adversarial.recipe import FIRST, Recipe
from common.adversarial.room import Room
from common.data.cases import Batch, Shape, join
from common.errors import StudyError
from common.learning.abilities import NAMES, abilities, can, companion, optimised, settled_in, task_in_round, views
from common.learning.device import exact_copy
from common.learning.task import Task
from common.seeding import case_generators
from common.selfsupervision.held import generators_of
from common.study.catalogue import PERTURBATIONS, RECIPES, TASKS
from common.study.checks import non_negative, positive
from common.study.options import EXAMPLE, Entry
from common.study.own_weights import brings_weights
from common.sums.mean import Mean

DRAWN = "adversarial_start"
ROBUST = "robust_"
"""Before the name of a score of moved inputs."""
OWN = ("views", "companion", "follows_parameters", "begin", "soft_loss", "presented", "in_round", "settled_in")
"""Members that this task has by itself, each made of the other task's."""
OF_LOSS = ("label_evidence", "loss_of", "optimised")
"""Not handed on: they tell of the other task's loss, and this one has another."""
OF_ANSWERS = ("answered", "judged", "judged_each")
"""Not handed on where moved inputs are scored too: they are other inputs than those that were answered."""
LARGEST = 1e6
"""Of a change: by far larger ones, single precision holds no number, and no case is learned from."""
Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Adversarial:
    """task: any other, with its options. recipe: how it is trained, from `common/adversarial/recipes`. size: the
    largest change of any value of an input, in its own unit: of images in [0, 1] such as 0.0157 for 4 of 255 greys,
    of a table's scaled columns in standard deviations. low, high: that values of inputs have; a value that is out of
    them already is not moved further out. Not given: no limit, as of standard deviations. attack: what moves test
    inputs for scores beside those of the other task, named robust_..., from `common/adversarial/perturbations`, such
    as "fgsm" or { name = "pgd", steps = 10 }; not given: none. plain_rounds: first rounds, in which the other
    task is learned. grows_over: rounds after them in which the size grows evenly, before it is whole (Cai et al.
    2018, IJCAI, Curriculum adversarial training, whose first stage has no adversary; of the size Pang et al. 2021,
    ICLR, Bag of tricks for adversarial training, section 3.1): where hospitals have other mixtures of classes, a
    network that is misled before it has learned anything may not begin to learn. Both 0: whole from the first round.

    Scores: those of the other task.
    """

    task: Entry = field(metadata={EXAMPLE: 'task = "classification"'})
    size: float = field(metadata={EXAMPLE: "size = 0.0157"})
    recipe: Entry = field(default_factory=lambda: Entry("pgd"))
    low: float | None = None
    high: float | None = None
    attack: Entry | None = None
    plain_rounds: int = 0
    grows_over: int = 0

    def __post_init__(self) -> None:
        if self.task.name == "adversarial":
            raise StudyError("task.task is 'adversarial' itself: name what is to be learned, as 'classification'.")
        positive("task", size=self.size)
        non_negative("task", plain_rounds=self.plain_rounds, grows_over=self.grows_over)
        self._check_range()
        if groups := optimised(self.around):
            raise StudyError(
                f"task 'adversarial' makes one loss larger, and task {self.task.name!r} is learned by several in "
                f"turn ({', '.join(groups)}): choose another."
            )
        if brings_weights(self.task):
            raise StudyError("task 'adversarial' trains a network, and this one is a file with its own weights.")
        _ = self._recipe, self._attack

    def __getattr__(self, name: str) -> Any:
        """Optional members, and the headline: this task's own, or handed on of the other task."""
        if name in OWN:
            found = getattr(self, f"_{name}")
        elif name != "headline" and (name not in NAMES or name in self._kept_back):
            found = None
        else:
            found = getattr(self.around, name)
        if found is None:
            raise AttributeError(f"task 'adversarial' has no {name}")
        return found

    @cached_property
    def around(self) -> Task:
        """The other task."""
        return cast(Task, TASKS.build(self.task))

    def build_network(self, shape: Shape) -> nn.Module:
        """That of the other task; with a copy of itself within where the recipe asks the model as it was at first."""
        network = self.around.build_network(shape)
        return self._with_first(network) if self._recipe.keeps_first else network

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 as the recipe says, of starts that the batch or, without them, each case alone brings."""
        if isinstance(batch.columns["inputs"], tuple):  # cases of several shapes, held as they are
            return torch.cat([self.loss(network, alone) for alone in _singly(batch)])
        return self._losses(self.around, network, batch)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """The other task's scores, and those of inputs that the attack has moved."""
        scores = dict(self.around.score(network, batch))
        if self._attack is None:
            return scores
        moved = self.around.score(network, self._attacked(network, batch))
        return scores | {ROBUST + name: mean for name, mean in moved.items()}

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """As the other task, and with a start for each case, which is the same whether or not others are there."""
        draws = case_generators(rng, len(batch))
        shown = self._shown(batch, rng, draws)
        if DRAWN not in views(cast(Task, self)):
            return shown
        return shown.with_columns(**{DRAWN: self._starts(shown, draws)})

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """As the other task."""
        return self.around.predict(network, inputs)

    def room(self, inputs: Tensor) -> Room:
        """Where inputs may be moved."""
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        return Room.of(self.size, low, high).around(inputs.detach())

    def _check_range(self) -> None:
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        if not low < high or low == np.inf or high == -np.inf:
            raise StudyError(f"task.low must be a number below task.high; they are {self.low!r} and {self.high!r}.")
        if self.size > LARGEST:
            raise StudyError(
                f"task.size is the largest change of a value, at most {LARGEST:g}; it is {self.size!r}. Inputs are "
                "scaled to about 1: 0.0157 is 4 of 255 greys."
            )
        if self.size > high - low:
            raise StudyError(
                f"task.size is the largest change of a value, and {self.size!r} is more than all that values can "
                f"differ by, from {low!r} to {high!r}."
            )

    @cached_property
    def _recipe(self) -> Recipe:
        return cast(Recipe, RECIPES.build(self.recipe))

    @cached_property
    def _attack(self) -> Perturbation | None:
        return None if self.attack is None else cast(Perturbation, PERTURBATIONS.build(self.attack))

    def _with_first(self, network: nn.Module) -> nn.Module:
        if companion(self.around):
            raise StudyError(
                f"task.recipe {self.recipe.name!r} keeps the first model in the network, where task "
                f"{self.task.name!r} has a companion of its own: choose another recipe."
            )
        if type(network) is nn.Sequential:
            network = _InARow(OrderedDict(network.named_children()))
        network.add_module(FIRST, deepcopy(network).requires_grad_(False))
        return network

    @property
    def _kept_back(self) -> tuple[str, ...]:
        return (*OF_LOSS, *(OF_ANSWERS if self.attack is not None else ()))

    @cached_property
    def _views(self) -> tuple[str, ...] | None:
        """Those of the other task, and where steps begin, if chance decides it."""
        own = (DRAWN,) if self._recipe.draw(np.random.default_rng(0), (1,)).shape[0] else ()
        return (*views(self.around), *own) or None

    @property
    def _companion(self) -> tuple[str, ...] | None:
        """That of the other task, or the model as it was at first, if the recipe asks it."""
        return (FIRST,) if self._recipe.keeps_first else companion(self.around) or None

    @property
    def _follows_parameters(self) -> bool | None:
        """As of the other task; the model as it was at first follows nothing, and no case moves it."""
        return True if self._recipe.keeps_first else getattr(self.around, "follows_parameters", None)

    @property
    def _begin(self) -> Callable[[nn.Module], None] | None:
        """As of the other task, or the model as it is at first is kept."""
        return keep_first if self._recipe.keeps_first else getattr(self.around, "begin", None)

    @property
    def _soft_loss(self) -> Callable[..., Tensor] | None:
        """The recipe's, with the other task's loss of believed truth in the place of its loss."""
        return self._believed_loss if can(self.around, "soft_loss") else None

    @property
    def _in_round(self) -> Callable[[int], Task] | None:
        """As the other task is learned in a round, moved by so much as is reached in it."""
        grows = self.plain_rounds or self.grows_over
        return self._learned_in if grows or can(self.around, "in_round") else None

    @property
    def _settled_in(self) -> int | None:
        """Where the size is whole, and the other task as it is."""
        whole = self.plain_rounds + self.grows_over + 1
        return max(whole, settled_in(self.around)) if self._in_round else None

    @property
    def _presented(self) -> Callable[[Scores], Scores] | None:
        """As the other task presents its scores, and those of moved inputs likewise."""
        return self._shown_scores if can(self.around, "presented") else None

    def _learned_in(self, number: int) -> Task:
        around, share = task_in_round(self.around, number), self._share_of(number)
        if not share:
            return around
        learned = replace(self, size=self.size * share, plain_rounds=0, grows_over=0)
        vars(learned)["around"] = around
        return cast(Task, learned)

    def _share_of(self, number: int) -> float:
        """Of the size in round `number`, from 1."""
        return min(1.0, max(0, number - self.plain_rounds) / (self.grows_over + 1))

    def _losses(self, task: Task, network: nn.Module, batch: Batch) -> Tensor:
        inputs = batch.inputs
        if DRAWN in batch.columns:
            drawn = batch.tensor(DRAWN)
        else:
            drawn = self._starts(batch, generators_of(inputs, "start of a case as held")).to(inputs.device)
        return self._recipe.losses(task, network, batch, self.room(inputs), drawn)

    def _believed_loss(
        self, network: nn.Module, inputs: Tensor, truth: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """(N,): see Abilities.soft_loss."""
        believed = Batch.of(inputs, truth, ("",) * len(inputs))
        return self._losses(cast(Task, _Believed(self.around, class_weights)), network, believed)

    def _shown_scores(self, scores: Scores) -> Scores:
        moved = {name.removeprefix(ROBUST): one for name, one in scores.items() if name.startswith(ROBUST)}
        own = {name: one for name, one in scores.items() if not name.startswith(ROBUST)}
        present = abilities(self.around).presented
        return {**present(own), **{ROBUST + name: one for name, one in present(moved).items()}}

    def _shown(self, batch: Batch, rng: np.random.Generator, draws: list[np.random.Generator]) -> Batch:
        """Views that the other task draws case by case are drawn of each case's own generator."""
        if not views(self.around):
            return self.around.augment(batch, rng)
        return join([self.around.augment(batch.take([index]), own) for index, own in enumerate(draws)])

    def _starts(self, batch: Batch, draws: list[np.random.Generator]) -> Tensor:
        """(N, K, ...) of each case by its own generator."""
        shape = tuple(batch.inputs.shape[1:])
        if not draws:
            return torch.zeros(0, *self._recipe.draw(np.random.default_rng(0), shape).shape)
        return torch.from_numpy(np.stack([self._recipe.draw(rng, shape) for rng in draws]))

    def _attacked(self, network: nn.Module, batch: Batch) -> Batch:
        """In float64, so that what becomes of a case is the same whoever else is scored."""
        assert self._attack is not None
        if isinstance(batch.columns["inputs"], tuple) and len(batch) > 1:
            return join([self._attacked(network, alone) for alone in _singly(batch)])
        exact, inputs = exact_copy(network), batch.inputs
        doubled = batch.with_columns(inputs=inputs.double())
        with not_learning(exact):
            objective = loss_of(self.around, exact, doubled)
            room, draws = self.room(doubled.inputs), generators_of(inputs, "start of an attack")
            moved = self._attack.move(objective, room, draws)
        return batch.with_columns(inputs=moved.to(inputs))


class _InARow(nn.Sequential):
    """Layers, and beside them the first model, which is none of them."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Layer by layer."""
        for name, layer in self.named_children():
            inputs = inputs if name == FIRST else layer(inputs)
        return inputs


def _singly(batch: Batch) -> Iterator[Batch]:
    """Each case, with inputs of one shape."""
    for index in range(len(batch)):
        alone = batch.take([index])
        yield alone.with_columns(inputs=alone.inputs, targets=alone.targets)


def keep_first(network: nn.Module) -> None:
    """The model as it is at first, in its place in the network."""
    kept = dict(network.get_submodule(FIRST).named_parameters())
    for name, parameter in network.named_parameters():
        if name in kept:
            kept[name].copy_(parameter)


@dataclass(frozen=True)
class _Believed:
    """A task whose loss is of truth that is only believed, which stands where targets do."""

    of: Task
    class_weights: Tensor | None

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return abilities(self.of).soft_loss(network, batch.inputs, batch.targets, self.class_weights)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name) if name in NAMES else object.__getattribute__(self, name)


task: type[Task] = cast("type[Task]", Adversarial)
