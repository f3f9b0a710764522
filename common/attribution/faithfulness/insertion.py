"""Insertion: how fast an answer comes back as the places that a map names first are shown again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.curves import Blank, finding_of, measured_curves
from common.attribution.faithfulness.trial import Trial
from common.study.checks import between
from common.sums.mean import Mean, Statistics


@dataclass(frozen=True)
class Insertion:
    """blank: what is shown at first. steps: of the curve. draws: of the order by chance."""

    name: ClassVar[str] = "insertion"
    question: ClassVar[str] = "Does the answer come back sooner where the map's places come first than by chance?"
    source: ClassVar[str] = "Petsiuk, Das and Saenko 2018, RISE (BMVC), section 4.2"

    blank: Blank = "blur"
    steps: int = 20
    draws: int = 2

    def __post_init__(self) -> None:
        between("insertion", 1, 10_000, steps=self.steps, draws=self.draws)

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """Areas under curves: a large one is a fast return."""
        return measured_curves(trial, "insertion", self.blank, self.steps, self.draws)

    def found(self, sums: Statistics) -> Finding:
        """Passed where the area is above that of chance, beyond doubt."""
        return finding_of(sums, "insertion", "comes back", "come")


check: type[Check] = Insertion
