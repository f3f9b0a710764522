"""A hospital that sends what it likes, in small federations run for it; it plays where `--poisoning` asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.access import Access, Need
from experiments.adversary import Adversary, View
from experiments.audit.run import Run
from experiments.evidence.observing import narrowed
from experiments.evidence.poisoned_federation import PoisonedFederation


@dataclass(frozen=True)
class Poisoner:
    """It has no options."""

    who: ClassVar[str] = "a hospital that sends what it likes"
    condition: ClassVar[str] = "a hospital sends poisoned updates"
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 1.0
    gives: ClassVar[tuple[Need, ...]] = ("federation",)
    asked: ClassVar[bool] = True

    def views(self, run: Run) -> Iterator[View]:
        """The models that a hospital is sent, and federations to be poisoned."""
        seen = narrowed(run.observed, "hospital", run.observed.sites[-1])
        seen = replace(seen, access=Access(federation=PoisonedFederation(run.study)))
        yield View(seen, knowledge="one hospital, which may send what it likes")


adversary: type[Adversary] = Poisoner
