"""Deletion: how fast an answer is lost as the places that a map names first are taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.curves import Blank, finding_of, measured_curves
from common.attribution.faithfulness.trial import Trial
from common.study.checks import between
from common.sums.mean import Mean, Statistics


@dataclass(frozen=True)
class Deletion:
    """blank: what stands where a place was taken away. steps: of the curve. draws: of the order by chance."""

    name: ClassVar[str] = "deletion"
    question: ClassVar[str] = "Is the answer lost sooner where the map's places go first than by chance?"
    source: ClassVar[str] = "Petsiuk, Das and Saenko 2018, RISE (BMVC), section 4.2; Samek et al. 2017 (TNNLS 28:11)"

    blank: Blank = "mean"
    steps: int = 20
    draws: int = 2

    def __post_init__(self) -> None:
        between("deletion", 1, 10_000, steps=self.steps, draws=self.draws)

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """Areas under curves: a small one is a fast loss."""
        return measured_curves(trial, "deletion", self.blank, self.steps, self.draws)

    def found(self, sums: Statistics) -> Finding:
        """Passed where the area is below that of chance, beyond doubt."""
        return finding_of(sums, "deletion", "is lost", "go")


check: type[Check] = Deletion
