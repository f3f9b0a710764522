"""The auditor does private training again with a hand in it, which no attacker has: to measure a promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.access import Access, Need, PrivateTraining
from experiments.adversary import Adversary, View
from experiments.audit.run import Run
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.private_steps import Repeatable, audited_mechanism

KNOWLEDGE = "every noisy step of a training done again, into which it may put gradients and cases of its own"
NO_PROMISE = "no differential privacy was promised, so there is no epsilon to measure against"
NOT_INSIDE = "privacy {name!r} is not kept inside single hospitals, and only what they do alone can be done again"


@dataclass(frozen=True)
class Auditor:
    """most_hospitals: whose training is done again, the first by name, for measuring takes time."""

    who: ClassVar[str] = "the auditor, who knows more than any attacker"
    condition: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 1.0
    gives: ClassVar[tuple[Need, ...]] = ("training",)

    most_hospitals: int = 5

    def views(self, run: Run) -> Iterator[View]:
        """One of all whose training is done again, and one of each other hospital, which says why not."""
        study, mechanism = run.study, audited_mechanism(run.study)
        if mechanism is None:
            reason = NO_PROMISE if study.privacy is None else NOT_INSIDE.format(name=study.privacy.name)
            yield View(run.observed, reason=reason)
            return
        sites = run.observed.sites
        training: dict[str, PrivateTraining] = {
            site: Repeatable(hospital_of(study, site), mechanism) for site in sites[: self.most_hospitals]
        }
        yield View(replace(run.observed, access=Access(training=training)), knowledge=KNOWLEDGE)
        for site in sites[self.most_hospitals :]:
            enough = f"it was measured at the first {self.most_hospitals} hospitals by name, for measuring takes time"
            yield View(run.observed, site, KNOWLEDGE, reason=enough)


adversary: type[Adversary] = Auditor
