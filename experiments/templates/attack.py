"""An attack of your own: what somebody could try on what a run gave away."""

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from experiments.attack import Attack, Finding, Sees
from experiments.observation import Observation


@dataclass(frozen=True)
class Mine:
    """rounds: the first so many are read."""

    sees: ClassVar[Sees] = "each"
    """What it needs: every single update; "sum", a sum of them; or "model", models alone."""
    source: ClassVar[str] = "the paper that it is from"

    rounds: int = 3

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """How long each hospital's last update is. Nothing is read but `observed`; all chance comes from `rng`."""
        read = [one for one in observed.singles if one.round <= self.rounds]
        if not read:
            return Finding("mine", observed.observer, False, "sees no single update")
        lengths = {f"length of {one.site}": float(np.linalg.norm(one.update.mean()[0])) for one in read}
        return Finding("mine", observed.observer, True, figures=lengths, settings=asdict(self))


attack: type[Attack] = Mine
