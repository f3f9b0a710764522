"""The coordinator that keeps to the protocol and looks at whatever comes by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from experiments.access import Need
from experiments.adversary import Adversary, View
from experiments.audit.run import HANDED, Run

SINGLE = "the models sent out, each hospital's own update, every setting of the study"
SUM = "the models sent out, the sum of all hospitals' updates, every setting of the study"


@dataclass(frozen=True)
class Coordinator:
    """It has no options."""

    who: ClassVar[str] = "the coordinator"
    condition: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 1.0
    gives: ClassVar[tuple[Need, ...]] = HANDED

    def views(self, run: Run) -> Iterator[View]:
        """All that it saw of the run."""
        yield View(run.handed, knowledge=SINGLE if run.observed.singles else SUM)


adversary: type[Adversary] = Coordinator
