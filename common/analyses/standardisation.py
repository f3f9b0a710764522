"""A treatment's effect by standardisation: a model of the outcome, averaged over everybody's covariates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from common.analyses._point_effect import PointEffect
from common.asking.analysis import Analysis
from common.causality.effects import Method, Plan
from common.causality.regressions import Family


@dataclass(frozen=True)
class Standardisation(PointEffect):
    """Right where the model of the outcome is right (g-computation). apart: its coefficients are the arms' own."""

    method: ClassVar[Method] = "standardisation"
    apart: bool = False

    def plan(self, family: Family, covariates: int, groups: int = 1) -> Plan:
        """With the model of the outcome as it is wanted."""
        return replace(super().plan(family, covariates, groups), apart=self.apart)


analysis: type[Analysis] = Standardisation
