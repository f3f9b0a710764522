"""Somebody who has the final model and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from experiments.access import Need
from experiments.adversary import Adversary, View
from experiments.audit.run import HANDED, Run
from experiments.evidence.observing import narrowed


@dataclass(frozen=True)
class Outsider:
    """It has no options."""

    who: ClassVar[str] = "anyone"
    condition: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 1.0
    gives: ClassVar[tuple[Need, ...]] = HANDED

    def views(self, run: Run) -> Iterator[View]:
        """The model that was published."""
        yield View(narrowed(run.handed, "outsider"), knowledge="the final model")


adversary: type[Adversary] = Outsider
