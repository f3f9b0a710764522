"""Every value of an input is moved a little, in the direction in which the final model errs more.

Goodfellow, Shlens and Szegedy 2015, Explaining and harnessing adversarial examples (ICLR), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from experiments.access import Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.evasion.ascent import Ascent, evade
from experiments.observation import Observation


@dataclass(frozen=True)
class Fgsm:
    """It has no options."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Goodfellow et al. 2015, Explaining and harnessing adversarial examples (ICLR)"
    question: ClassVar[str] = "robustness"
    needs: ClassVar[tuple[Need, ...]] = ("tests",)
    share: ClassVar[float] = 0.2
    elsewhere: ClassVar[float] = 0.2
    words: ClassVar[str] = "moves every value of an input a little, once, to where the model errs more"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs moved along the sign of the loss' gradient, and kept within the range of the data."""
        return evade("fgsm", self, observed, budget_seconds, signed_step)


def signed_step(ascent: Ascent, size: float) -> Tensor:
    """x + size sign(gradient), each in units of its channel's or column's range, put back into the range."""
    step = size * ascent.range.width
    return ascent.range.clamp(ascent.inputs + step * ascent.gradient(ascent.inputs).sign())


attack: type[Attack] = Fgsm
