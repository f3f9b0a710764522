"""Every value of an input is moved a little, in the direction in which the final model errs more.

Goodfellow, Shlens and Szegedy 2015, Explaining and harnessing adversarial examples (ICLR), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.adversarial.perturbations import fgsm
from experiments.access import Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.evasion.ascent import evade
from experiments.observation import Observation


@dataclass(frozen=True)
class Fgsm:
    """It has no options."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = fgsm.Fgsm.source
    question: ClassVar[str] = "evasion"
    needs: ClassVar[tuple[Need, ...]] = ("tests",)
    share: ClassVar[float] = 0.2
    elsewhere: ClassVar[float] = 0.2
    words: ClassVar[str] = "moves every value of an input a little, once, to where the model errs more"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs moved along the sign of the loss' gradient, and kept within the range of the data."""
        return evade("fgsm", self, observed, budget_seconds, fgsm.Fgsm(), rng)


attack: type[Attack] = Fgsm
