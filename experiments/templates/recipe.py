"""A recipe of your own: what a step of training minimises so that small changes of an input do not mislead."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import not_learning
from common.adversarial.perturbations.fgsm import Fgsm
from common.adversarial.recipe import Recipe
from common.adversarial.room import Room
from common.data.cases import Batch
from common.learning.task import Task
from common.study.checks import between


@dataclass(frozen=True)
class Mine:
    """moved_share: how much moved inputs count, beside those that are as they were."""

    source: ClassVar[str] = "Goodfellow et al. 2015, section 6: both kinds of inputs count"
    keeps_first: ClassVar[bool] = False

    moved_share: float = 0.5

    def __post_init__(self) -> None:
        between("task.recipe", 0.0, 1.0, moved_share=self.moved_share)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(K, *shape) in -1 to 1: whatever chance decides for one case. Here it decides nothing, and K is 0."""
        return np.zeros((0, *shape), np.float32)

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        """(N,): inputs are moved while the network does not learn, and then learned from."""
        with not_learning(network):
            moved = Fgsm().move(loss_of(task, network, batch), room, ())
        plain, raised = task.loss(network, batch), task.loss(network, batch.with_columns(inputs=moved))
        return (1 - self.moved_share) * plain + self.moved_share * raised


recipe: type[Recipe] = Mine
