"""A finished run as the audit has it open: what was seen, what was promised, and the truth for those who score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.study.study import Study
from experiments.audit.records import Claim
from experiments.evidence.recomputed_updates import Orders
from experiments.observation import Observation


@dataclass(frozen=True)
class Run:
    """folder: of the run. observed: the coordinator's view. orders: messages that asked for training, as recorded.

    claim: what was promised. pictures: whether patients' images go into the report. seconds: of all attacks.
    """

    folder: Path
    observed: Observation
    orders: Orders
    claim: Claim
    pictures: bool = False
    seconds: float = 120.0

    @property
    def study(self) -> Study:
        """Every setting of the run."""
        return self.observed.study
