"""Training on inputs as they are, and on how far the answer moves when they are: a bargain that beta sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.inner_step import followed, not_learning
from common.adversarial.objective import Objective
from common.adversarial.perturbations.pgd import Pgd as Ascent
from common.adversarial.recipe import Recipe
from common.adversarial.recipes._start import drawn_start, started
from common.adversarial.room import Room
from common.data.cases import Batch
from common.errors import StudyError
from common.learning.abilities import abilities, can
from common.learning.task import Task
from common.study.checks import between, non_negative, sized

MOST_STEPS = 100


@dataclass(frozen=True)
class Trades:
    """beta: weight of how far the answers of moved inputs are from those of the inputs (1/lambda in the paper's
    equation 5). steps: of the ascent. step_share: of the size, each step.
    """

    source: ClassVar[str] = (
        "Zhang et al. 2019, Theoretically principled trade-off between robustness and accuracy (ICML), algorithm 1"
    )
    keeps_first: ClassVar[bool] = False

    beta: float = 6.0
    steps: int = 5
    step_share: float = 0.3

    def __post_init__(self) -> None:
        non_negative("task.recipe", beta=self.beta)
        sized("task.recipe", MOST_STEPS, steps=self.steps)
        between("task.recipe", 0.01, 2, step_share=self.step_share)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The start, anywhere in the room. The paper's is a thousandth beside the input, where answers hardly differ
        yet, and rounding, which is other alone than among others, chooses the way.
        """
        return drawn_start(rng, shape, wanted=True)

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        """The task's loss, and beta times KL(answer of the input, answer of the moved one).

        Raises StudyError where the task answers no logits of classes.
        """
        if not can(task, "logits"):
            raise StudyError(
                "task.recipe 'trades' compares logits of classes, which this task does not answer: choose 'pgd'."
            )
        inputs = batch.inputs.detach()
        with not_learning(network):
            before = abilities(task).logits(network, inputs).detach()
            objective = Objective(inputs, lambda moved: _apart(before, abilities(task).logits(network, moved)))
            start = started(inputs, room, drawn)
            moved = Ascent(steps=self.steps, step_share=self.step_share).ascended(objective, room, start)
        unmoved = abilities(task).logits(network, batch.inputs)
        apart = _apart(unmoved, abilities(task).logits(network, followed(moved, batch.inputs)))
        return task.loss(network, batch) + self.beta * apart


def _apart(first: Tensor, second: Tensor) -> Tensor:
    """(N,) Kullback-Leibler divergence in nats, the mean over pixels where each has an answer."""
    one, other = first.float().log_softmax(1), second.float().log_softmax(1)
    return (one.exp() * (one - other)).sum(1).reshape(len(first), -1).mean(1)


recipe: type[Recipe] = Trades
