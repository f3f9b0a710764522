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
from experiments.evidence.sent_noise import Recorded

KNOWLEDGE = (
    "every noisy step of a training done again, into which it may put gradients and cases of its own, and what was sent "
    "beside the same without noise"
)
NO_PROMISE = "no differential privacy was promised, so there is no epsilon to measure against"
NOT_INSIDE = "privacy {name!r} is not kept inside single hospitals, and only what they do alone can be done again"


@dataclass(frozen=True)
class Auditor:
    """most_hospitals: whose training is done again, the first by name, for measuring takes time."""

    who: ClassVar[str] = "the auditor, who knows more than any attacker"
    condition: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 1.0
    gives: ClassVar[tuple[Need, ...]] = ("training", "recomputed")

    most_hospitals: int = 5

    def views(self, run: Run) -> Iterator[View]:
        """One of all whose training is done again, and one of each other hospital, which says why not."""
        study, sites, mechanism = run.study, run.observed.sites, audited_mechanism(run.study)
        if study.privacy is None:
            yield View(run.observed, reason=NO_PROMISE)
            return
        again, training = Recorded(run.observed, run.orders), self._training(run)
        seen = replace(run.observed, access=Access(training=training, recomputed=again))
        yield View(seen, knowledge=KNOWLEDGE)
        if mechanism is None:
            yield View(run.observed, reason=NOT_INSIDE.format(name=study.privacy.name))
            return
        for site in sites[self.most_hospitals :]:
            enough = f"it was measured at the first {self.most_hospitals} hospitals by name, for measuring takes time"
            yield View(run.observed, site, KNOWLEDGE, reason=enough)

    def _training(self, run: Run) -> dict[str, PrivateTraining]:
        mechanism = audited_mechanism(run.study)
        if mechanism is None:
            return {}
        sites = run.observed.sites[: self.most_hospitals]
        return {site: Repeatable(hospital_of(run.study, site), mechanism) for site in sites}


adversary: type[Adversary] = Auditor
