"""One curious hospital: it reads the models that it is sent, and keeps to the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from experiments.access import Need
from experiments.adversary import Adversary, View
from experiments.audit.run import HANDED, Run
from experiments.evidence.observing import narrowed


@dataclass(frozen=True)
class CuriousHospital:
    """It has no options. All hospitals are sent the same models, so that one of them stands for each."""

    who: ClassVar[str] = "any hospital of the study"
    condition: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 1.0
    gives: ClassVar[tuple[Need, ...]] = HANDED

    def views(self, run: Run) -> Iterator[View]:
        """The models of all rounds."""
        seen = narrowed(run.handed, "hospital", run.observed.sites[0])
        yield View(seen, knowledge="the models of all rounds")


adversary: type[Adversary] = CuriousHospital
