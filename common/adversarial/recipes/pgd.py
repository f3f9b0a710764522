"""Training on inputs that several signed steps moved to where the model errs most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import followed, not_learning
from common.adversarial.perturbations.pgd import Pgd as Ascent
from common.adversarial.recipe import Recipe
from common.adversarial.recipes._start import drawn_start, started
from common.adversarial.room import Room
from common.data.cases import Batch
from common.learning.task import Task
from common.study.checks import between, sized

MOST_STEPS = 100


@dataclass(frozen=True)
class Pgd:
    """steps: of the ascent. step_share: of the size, each step. random_start: whether the ascent begins at a random
    place of the room, and not at the input itself.
    """

    source: ClassVar[str] = "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks (ICLR)"
    keeps_first: ClassVar[bool] = False

    steps: int = 5
    step_share: float = 0.3
    random_start: bool = True

    def __post_init__(self) -> None:
        sized("task.recipe", MOST_STEPS, steps=self.steps)
        between("task.recipe", 0.01, 2, step_share=self.step_share)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The start."""
        return drawn_start(rng, shape, self.random_start)

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        """The task's loss where the ascent ends (equation 2.1)."""
        ascent = Ascent(steps=self.steps, step_share=self.step_share)
        with not_learning(network):
            objective = loss_of(task, network, batch.with_columns(inputs=batch.inputs.detach()))
            moved = ascent.ascended(objective, room, started(batch.inputs, room, drawn))
        return task.loss(network, batch.with_columns(inputs=followed(moved, batch.inputs)))


recipe: type[Recipe] = Pgd
