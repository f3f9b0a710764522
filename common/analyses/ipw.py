"""A treatment's effect by inverse probability weighting, with stabilised weights (Hajek's means)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.analyses._point_effect import PointEffect
from common.asking.analysis import Analysis
from common.causality.effects import Method


@dataclass(frozen=True)
class Ipw(PointEffect):
    """Right where the model of who is treated is right."""

    method: ClassVar[Method] = "ipw"


analysis: type[Analysis] = Ipw
