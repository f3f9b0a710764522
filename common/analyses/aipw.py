"""A treatment's effect by augmented inverse probability weighting, doubly robust, with cross-fitting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from common.analyses._point_effect import PointEffect
from common.asking.analysis import Analysis
from common.causality.effects import Method, Plan
from common.causality.regressions import Family


@dataclass(frozen=True)
class Aipw(PointEffect):
    """Right where one of both models is right (Robins, Rotnitzky and Zhao 1994).

    folds: models for a person are fitted to the other folds (Chernozhukov et al. 2018); 1: to everybody. apart: the
    outcome's coefficients are the arms' own.
    """

    method: ClassVar[Method] = "aipw"
    folds: int = 1
    apart: bool = False

    @property
    def parts_of_rows(self) -> int:
        """Folds."""
        return self.folds

    def plan(self, family: Family, covariates: int, groups: int = 1) -> Plan:
        """With folds, and the model of the outcome as it is wanted."""
        return replace(super().plan(family, covariates, groups), folds=self.folds, apart=self.apart)


analysis: type[Analysis] = Aipw
