"""Completeness: does a map that says so add up to what the answer gained?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.evidence import mean_of, not_measured, spelled, with_spread
from common.attribution.faithfulness.trial import Trial
from common.study.checks import between
from common.sums.mean import Mean, Statistics


class Complete(Protocol):
    """What a method offers whose maps add up to the gain of an answer from some beginning."""

    def gaps(self, network: nn.Module, inputs: Tensor, aim: Aim, maps: Tensor) -> Tensor:
        """(N,) how far each sum is off, as a share of the gain."""
        ...


@dataclass(frozen=True)
class Completeness:
    """most_off: of a case, as a share of what the answer gained. least: share of cases that must be within it."""

    name: ClassVar[str] = "completeness"
    question: ClassVar[str] = "Does the map add up to what the answer gained, where the method says it does?"
    source: ClassVar[str] = "Sundararajan, Taly and Yan 2017, Axiomatic attribution (ICML), section 3"

    most_off: float = 0.01
    least: float = 0.95

    def __post_init__(self) -> None:
        between("completeness", 0, 1, most_off=self.most_off, least=self.least)

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """The share of cases that add up; {} of a method that does not say so."""
        if not hasattr(trial.method, "gaps"):
            return {}
        gaps = cast(Complete, trial.method).gaps(trial.network, trial.inputs, trial.aim, trial.maps)
        return with_spread("completeness_within", (gaps <= self.most_off).double().cpu().numpy().astype(np.float64))

    def found(self, sums: Statistics) -> Finding:
        """Passed where nearly all cases add up."""
        absent = not_measured(sums, "completeness_within", "The method does not say that its maps add up.")
        if absent:
            return absent
        share = mean_of(sums, "completeness_within")
        says = f"within {self.most_off:.0%} of what the answer gained in {spelled(share)} of cases"
        return Finding("passed" if share >= self.least else "failed", f"The map's sum is {says}.")


check: type[Check] = Completeness
