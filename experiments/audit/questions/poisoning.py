"""What one hospital that sends poisoned updates does to the model, under each way of adding up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from common.data.cases import SiteId
from experiments.attack import Finding
from experiments.attacks.poisoning import BARE, DEFENDED, TAKEN_BACK
from experiments.audit.records import Reason, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Question, Severity
from server.reporting.wording import count

NOBODY = "nobody"
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
        """What each kind of poison costs the score, with and without the defence."""
        told = sum(len(trial.figures) for trial in trials)
        table = f"{count(told, 'figure')}, by kind of poison and way of adding up, are in the table of all attempts."
        return " ".join([*(line for trial in trials for line in _played(trial.figures)), table])


def _played(figures: Mapping[str, object]) -> Iterator[str]:
    """A sentence for each kind of poison."""
    honest = figures.get(f"{NOBODY}, {BARE}")
    for kind in [name.removesuffix(f", {BARE}") for name in figures if name.endswith(f", {BARE}")]:
        if kind == NOBODY:
            continue
        bare, defended, times = (figures.get(f"{kind}, {end}") for end in (BARE, DEFENDED, TAKEN_BACK))
        back = int(times) if isinstance(times, (int, float)) else 0
        taken = f", rounds being taken back {count(back, 'time')}" if back else ", no round being taken back"
        yield (
            f"{kind.capitalize()}: the score goes from {_said(honest)} to {_said(bare)} as the study adds up, and "
            f"with a defence to {_said(defended)}{taken}."
        )


def _said(score: object) -> str:
    return f"{score:.2f}" if isinstance(score, float) else "nothing (no model)"


question: type[Question] = HarmByOneHospital
