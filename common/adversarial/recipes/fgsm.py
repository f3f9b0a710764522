"""Training on inputs that one signed step moved, from a random start: nearly as good as many steps, and cheaper.

Without the random start, and with steps of the whole size, a network learns to hide from the one step instead of
withstanding it (catastrophic overfitting): more steps then mislead it, which the alarm for masking finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import followed, not_learning
from common.adversarial.recipe import Recipe
from common.adversarial.recipes._start import drawn_start, started
from common.adversarial.room import Room
from common.data.cases import Batch
from common.learning.task import Task
from common.study.checks import between


@dataclass(frozen=True)
class Fgsm:
    """random_start: whether the step begins at a random place of the room, and not at the input itself. step_share:
    of the size; from a random start a little more than 1 reaches as far as one step of 1 from the input.
    """

    source: ClassVar[str] = "Wong et al. 2020, Fast is better than free: revisiting adversarial training (ICLR)"
    keeps_first: ClassVar[bool] = False

    random_start: bool = True
    step_share: float = 1.25

    def __post_init__(self) -> None:
        between("task.recipe", 0.01, 2, step_share=self.step_share)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The start."""
        return drawn_start(rng, shape, self.random_start)

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        """The task's loss where one step from the start ends (algorithm 3)."""
        start = started(batch.inputs, room, drawn)
        with not_learning(network):
            step = room.share(self.step_share, start) * loss_of(task, network, batch).gradient(start).sign()
        moved = room.within(start + step, batch.inputs.detach())
        return task.loss(network, batch.with_columns(inputs=followed(moved, batch.inputs)))


recipe: type[Recipe] = Fgsm
