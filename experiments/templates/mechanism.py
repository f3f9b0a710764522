"""A privacy mechanism of your own: what hides whom, and both its halves. Here cases with a gradient are normalised.

Write the argument first: the sensitivity (by how much one unit moves a sum), the noise over it, how rounds compose,
and what is not covered. `wardround test` measures the noise against what one unit moves; it cannot check an argument.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.privacy.accounting import check_delta
from common.privacy.mechanism import AtHospital, Facts, Mechanism, Place
from common.privacy.noise import add_gaussian
from common.privacy.release import Release, Unit
from common.privacy.sampling import PoissonSteps
from common.sums.update import Update


@dataclass(frozen=True)
class Mine:
    """noise_multiplier: over the length 1 that every gradient is brought below. rate: chance to be in a sum.

    Gradients are divided by their own length (Bu et al. 2023, Automatic clipping), so that no clip norm is chosen.
    """

    place: ClassVar[Place] = "hospital"
    unit: ClassVar[Unit] = "patient"
    noise_multiplier: float = 1.0
    delta: float = 1e-3
    rate: float = 0.5

    def check(self, facts: Facts) -> None:
        """Raise StudyError where delta promises nothing."""
        check_delta(self.delta, facts.patients)

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        """One noisy sum over one Poisson sample of the patients."""
        return (Release(self.noise_multiplier, self.rate, 1),)

    def poisson(self, facts: Facts) -> PoissonSteps:
        """How patients are drawn."""
        return PoissonSteps(self.rate, 1)

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        """Hospital half: the sum of normalised gradients, with noise for one patient in every coordinate."""
        steps = at.steps(self.unit, self.rate, clip_norm=1.0)
        total = np.zeros(at.length)
        for gradient in steps.unit_gradients():
            total += gradient / (np.linalg.norm(gradient) + 0.01)
        noisy = add_gaussian(total, self.noise_multiplier, at.noise("noise"))
        return Update((noisy.astype(np.float32),), steps.expected_units), 1


mechanism: type[Mechanism] = Mine
