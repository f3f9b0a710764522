"""Every value of an input is moved again and again, never far from where it was, to where the final model errs most.

Madry, Makelov, Schmidt, Tsipras and Vladu 2018, Towards deep learning models resistant to adversarial attacks (ICLR):
ascent on the loss in L-infinity from random starts, of which each case keeps the one that raised its loss most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.study.checks import positive
from experiments.access import Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.evasion.ascent import Ascent, evade
from experiments.observation import Observation


@dataclass(frozen=True)
class Pgd:
    """steps: of one ascent. step_share: of the size, each step; ten of a quarter can cross the allowed range and come
    back. restarts: ascents, each from a random start of its own.
    """

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks (ICLR)"
    question: ClassVar[str] = "robustness"
    needs: ClassVar[tuple[Need, ...]] = ("tests",)
    words: ClassVar[str] = "moves every value of an input again and again, to where the model errs most"

    steps: int = 10
    step_share: float = 0.25
    restarts: int = 3

    def __post_init__(self) -> None:
        positive("attack", steps=self.steps, step_share=self.step_share, restarts=self.restarts)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs within each size and within the range of the data."""
        return evade("pgd", self, observed, budget_seconds, lambda ascent, size: self.highest(ascent, size, rng))

    def highest(self, ascent: Ascent, size: float, rng: np.random.Generator) -> Tensor:
        """Of all restarts, for each case the inputs of the highest loss; itself where none is higher."""
        best, highest = ascent.inputs, ascent.losses(ascent.inputs)
        for _ in range(self.restarts):
            shifts = rng.uniform(-size, size, tuple(best.shape)).astype(np.float32)
            moved = self.ascended(ascent, size, torch.from_numpy(shifts).to(best.device) * ascent.range.width)
            losses = ascent.losses(moved)
            higher = (losses > highest).reshape(-1, *(1 for _ in moved.shape[1:]))
            best, highest = torch.where(higher, moved, best), torch.maximum(losses, highest)
        return best

    def ascended(self, ascent: Ascent, size: float, shift: Tensor) -> Tensor:
        """From inputs shifted by (N, ...): signed steps, each put back into the size and into the range."""
        room, step = size * ascent.range.width, self.step_share * size * ascent.range.width
        moved = ascent.range.clamp(ascent.inputs + shift)
        for _ in range(self.steps):
            moved = moved + step * ascent.gradient(moved).sign()
            moved = ascent.range.clamp(ascent.inputs + (moved - ascent.inputs).clamp(-room, room))
        return moved


attack: type[Attack] = Pgd
