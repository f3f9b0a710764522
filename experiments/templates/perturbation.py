"""A perturbation of your own: how inputs are moved, within a room, so that a model errs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.study.checks import between


@dataclass(frozen=True)
class Mine:
    """steps: each of the size over their number, so that the last may reach the edge of the room."""

    source: ClassVar[str] = "Kurakin et al. 2017, Adversarial examples in the physical world (ICLR workshop)"
    sees: ClassVar[str] = "gradients"

    steps: int = 5

    def __post_init__(self) -> None:
        between("perturbation", 1, 1000, steps=self.steps)

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """Up the gradient of each case. Whatever is random comes from the case's own generator in `draws`."""
        moved = inputs = objective.inputs
        for _ in range(self.steps):
            moved = room.within(moved + room.share(1 / self.steps, inputs) * objective.gradient(moved).sign(), inputs)
        return moved


perturbation: type[Perturbation] = Mine
