"""The course's: cases are moved once, against a plainly trained model, and added to the data for training on.

The moved cases are those of the first model, and nobody asks where the one that learns errs itself: the further it
moves away, the less it withstands. Kept as what others are compared with (docs/withstanding.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import followed, not_learning
from common.adversarial.perturbations.fgsm import Fgsm
from common.adversarial.recipe import FIRST, Recipe
from common.adversarial.room import Room
from common.data.cases import Batch
from common.learning.task import Task


@dataclass(frozen=True)
class Course:
    """It has no options. The model that cases are moved against is the one that training begins with: name a plainly
    trained one as the study's [start].
    """

    source: ClassVar[str] = "Goodfellow et al. 2015, section 6, as taught with one set of moved cases for all epochs"
    keeps_first: ClassVar[bool] = True

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Nothing."""
        return np.zeros((0, *shape), np.float32)

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        """The mean of the loss of each case and of its double, moved by one signed step against the first model."""
        first = network.get_submodule(FIRST)
        with not_learning(first):
            moved = Fgsm().move(loss_of(task, first, batch.with_columns(inputs=batch.inputs.detach())), room, ())
        double = batch.with_columns(inputs=followed(moved, batch.inputs))
        return (task.loss(network, batch) + task.loss(network, double)) / 2


recipe: type[Recipe] = Course
