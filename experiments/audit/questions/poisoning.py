"""What one hospital that sends poisoned updates does to the model, under each way of adding up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from common.data.cases import SiteId
from experiments.attack import Finding
from experiments.audit.records import Reason, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Question, Severity
from server.reporting.wording import count

ASKED = "What does one hospital that sends poisoned updates do to the model, under each way of adding up?"


@dataclass(frozen=True)
class HarmByOneHospital:
    """It has no options."""

    title: ClassVar[str] = "Poisoning the model"
    asks: ClassVar[str] = ASKED
    heading: ClassVar[str] = "Borne with a poisoner?"
    share: ClassVar[float] = 0.1
    place: ClassVar[int] = 70
    feared: ClassVar[str] = "The model is spoilt on purpose, and patients are treated by wrong answers."
    severity: ClassVar[Severity] = "maximum"

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """Scores, as measured."""
        return [attempt.trial(ASKED, finding)]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """None: scores are told, and no limit was agreed on."""
        return iter(())

    def answer(self, trials: Sequence[Trial]) -> str:
        """How many scores there are to read."""
        told = sum(len(trial.figures) for trial in trials)
        return f"{count(told, 'score')}, by kind of poison and way of adding up, are in the table of all attempts."


question: type[Question] = HarmByOneHospital
