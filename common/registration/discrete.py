"""Discrete search: every parameter in turn takes the best of a few labels, and the labels draw closer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from common.registration.optimisers import Cost, Found
from common.study.checks import positive


@dataclass(frozen=True)
class Discrete:
    """Iterated conditional modes (Besag 1986) over offsets of -labels to +labels steps of every parameter.

    step_mm: between labels at first; it is halved whenever no parameter moves, until it is below smallest_step_mm.
    A cost is taken without its gradient, so it may have steps and plateaus. sweeps: over all parameters, at most.
    """

    stochastic: ClassVar[bool] = False

    labels: int = 3
    step_mm: float = 4.0
    smallest_step_mm: float = 0.01
    sweeps: int = 60

    def __post_init__(self) -> None:
        positive("discrete", labels=self.labels, sweeps=self.sweeps)
        positive("discrete", step_mm=self.step_mm, smallest_step_mm=self.smallest_step_mm)

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """A point that no label of the last step improves on, unless the sweeps ran out."""
        here, step = start.clone(), self.step_mm
        with torch.no_grad():
            best, costs = float(cost(here)), []
            for _ in range(self.sweeps):
                moved, best = self._sweep(cost, here, best, step)
                costs.append(best)
                if not moved:
                    step /= 2
                if step < self.smallest_step_mm:
                    break
        return Found(here, tuple(costs))

    def _sweep(self, cost: Cost, here: Tensor, best: float, step: float) -> tuple[bool, float]:
        """Give every parameter of `here` its best label, in place; whether one moved, and the cost."""
        moved = False
        for index in range(len(here)):
            middle = float(here[index])
            chosen = middle
            for label in range(-self.labels, self.labels + 1):
                if label == 0:
                    continue
                here[index] = middle + label * step
                value = float(cost(here))
                if value < best:
                    best, chosen, moved = value, float(here[index]), True
            here[index] = chosen
        return moved, best
