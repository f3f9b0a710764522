"""Every value is moved once, by all that is allowed, in the direction that raises the objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room


@dataclass(frozen=True)
class Fgsm:
    """It has no options."""

    source: ClassVar[str] = "Goodfellow et al. 2015, Explaining and harnessing adversarial examples (ICLR)"
    sees: ClassVar[str] = "gradients"

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """x + size sign(gradient), section 4, put back into the range; nothing is drawn."""
        inputs = objective.inputs
        return room.in_range(inputs + room.share(1.0, inputs) * objective.gradient(inputs).sign())


perturbation: type[Perturbation] = Fgsm
