"""The role of a recipe: what a step of training minimises so that small changes do not mislead.

Entries live in `common/adversarial/recipes/`; the task `adversarial` puts one around any other task.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.room import Room
from common.data.cases import Batch
from common.learning.task import Task

FIRST = "first_model"
"""The part of a network that is what the model was when training began, where a recipe `keeps_first`."""


class Recipe(Protocol):
    """A frozen dataclass of options."""

    source: ClassVar[str]
    """The paper it is from."""
    keeps_first: ClassVar[bool]
    """Whether it asks the model as it was before the first step: a part of the network, FIRST, that nobody moves."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """What chance decides for one case of `shape`: (K, *shape) in -1 to 1, shares of the room's size.

        It travels as a column of the batch (`views`), so a case that trains alone starts where it would among others.
        K is 0 where nothing is drawn, and depends on the options alone.
        """
        ...

    def losses(self, task: Task, network: nn.Module, batch: Batch, room: Room, drawn: Tensor) -> Tensor:
        """(N,) differentiable by the network's parameters, each of its own case alone. drawn: (N, K, *shape).

        Inner steps leave no gradient on parameters, and hooks that make gradients of single cases (DP-SGD) do not
        see them (`common.adversarial.inner_step`).
        """
        ...
