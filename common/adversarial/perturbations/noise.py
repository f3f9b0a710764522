"""Chance alone, as a control: every value is moved by all that is allowed, up or down; the worst of some tries."""

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
from common.study.checks import sized

MOST_TRIES = 10_000


@dataclass(frozen=True)
class Noise:
    """tries: of which each case keeps the one of the highest value, the input itself included."""

    source: ClassVar[str] = "Fawzi et al. 2016, Robustness of classifiers: from adversarial to random noise (NeurIPS)"
    sees: ClassVar[str] = "answers"

    tries: int = 10

    def __post_init__(self) -> None:
        sized("perturbation 'noise'", MOST_TRIES, tries=self.tries)

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """The worst of the tries."""
        inputs = best = objective.inputs
        highest = objective.values(inputs)
        for _ in range(self.tries):
            moved = room.in_range(inputs + room.share(1.0, inputs) * shares(draws, inputs).sign())
            values = objective.values(moved)
            best, highest = chosen(values > highest, moved, best), values.maximum(highest)
        return best


perturbation: type[Perturbation] = Noise
