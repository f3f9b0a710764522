"""Every value is moved again and again, a little each time, and never out of the room: projected gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.adversarial.starts import chosen, shares
from common.errors import StudyError
from common.study.checks import between, positive, sized

MOST_STEPS, MOST_RESTARTS = 1000, 100


@dataclass(frozen=True)
class Pgd:
    """steps: of one ascent. step_share: of the size, each step; ten of a quarter can cross the room and come back.
    restarts: ascents, of which each case keeps the one that raised its objective most. random_start: whether an
    ascent begins at a random place of the room, and not at the input itself.
    """

    source: ClassVar[str] = "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks (ICLR)"
    sees: ClassVar[str] = "gradients"

    steps: int = 10
    step_share: float = 0.25
    restarts: int = 1
    random_start: bool = True

    def __post_init__(self) -> None:
        sized("perturbation 'pgd'", MOST_STEPS, steps=self.steps)
        sized("perturbation 'pgd'", MOST_RESTARTS, restarts=self.restarts)
        positive("perturbation 'pgd'", step_share=self.step_share)
        between("perturbation 'pgd'", 0, 2, step_share=self.step_share)
        if self.restarts > 1 and not self.random_start:
            raise StudyError(
                f"perturbation 'pgd'.restarts is {self.restarts}, and all ascents begin at the input itself "
                "(random_start = false): they would be the same; set restarts = 1."
            )

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """The end of the ascent; of several, for each case that of the highest value, the input itself included."""
        if self.restarts == 1:
            return self.ascended(objective, room, self._start(objective, room, draws))
        best, highest = objective.inputs, objective.values(objective.inputs)
        for _ in range(self.restarts):
            moved = self.ascended(objective, room, self._start(objective, room, draws))
            values = objective.values(moved)
            best, highest = chosen(values > highest, moved, best), values.maximum(highest)
        return best

    def ascended(self, objective: Objective, room: Room, start: Tensor) -> Tensor:
        """From (N, ...) inputs: signed steps, each put back into the room."""
        inputs, moved = objective.inputs, start
        step = room.share(self.step_share, inputs)
        for _ in range(self.steps):
            moved = room.within(moved + step * objective.gradient(moved).sign(), inputs)
        return moved

    def _start(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        inputs = objective.inputs
        if not self.random_start:
            return inputs
        return room.in_range(inputs + room.share(1.0, inputs) * shares(draws, inputs))


perturbation: type[Perturbation] = Pgd
