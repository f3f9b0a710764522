"""The auditor does private training again with a hand in it, which no attacker has: to measure a promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from common.data.cases import SiteId
from experiments.access import Access, Need, PrivateTraining
from experiments.adversary import Adversary, View
from experiments.audit.run import Run
from experiments.evidence.audited_training import promised_by, training_of, why_not
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.sent_noise import Recorded

KNOWLEDGE = (
    "every noisy step of a training done again, into which it may put gradients and cases of its own, and what was "
    "sent beside the same without noise"
)


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
        study, sites, reason = run.study, promised_by(run.study, run.observed.sites), why_not(run.study)
        if study.privacy is None:
            yield View(run.observed, reason=reason)
            return
        access = Access(training=self._training(run), recomputed=Recorded(run.observed, run.orders))
        yield View(replace(run.observed, access=access), knowledge=KNOWLEDGE)
        if reason:
            yield View(run.observed, reason=reason)
            return
        for site in sites[self.most_hospitals :]:
            enough = f"it was measured at the first {self.most_hospitals} hospitals by name, for measuring takes time"
            yield View(run.observed, site, KNOWLEDGE, reason=enough)

    def _training(self, run: Run) -> dict[SiteId, PrivateTraining]:
        """By hospital; none where it cannot be done again."""
        if why_not(run.study):
            return {}
        sites = promised_by(run.study, run.observed.sites)[: self.most_hospitals]
        return {site: training_of(hospital_of(run.study, site)) for site in sites}


adversary: type[Adversary] = Auditor
