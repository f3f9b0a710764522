"""A question of your own: how what an attack found is scored, which light that gives, and how it is said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from common.data.cases import SiteId
from experiments.attack import Finding
from experiments.audit.records import Reason, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Question


@dataclass(frozen=True)
class Mine:
    """most: of the figure `length`, from which on a hospital's update stands out."""

    title: ClassVar[str] = "Standing out"
    asks: ClassVar[str] = "Is a hospital's update so long that one can tell it from the others' by that alone?"
    heading: ClassVar[str] = "Like the others?"
    share: ClassVar[float] = 0.1
    """Of the audit's seconds."""
    place: ClassVar[int] = 60
    """On the page, the smallest first."""
    happened: ClassVar[str] = "its update stands out"

    most: float = 10.0

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """A trial for each attempt. The truth may be opened here, and nowhere else."""
        return [attempt.trial(self.asks, finding)]

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """A light, the rule that gave it with its figures, and what to change."""
        length = trial.figures.get("length", 0.0)
        if length > self.most:
            yield "red", f"Its update is {length:.2g} long, above {self.most:g}.", "Clip updates."
        else:
            yield "green", f"Its update is {length:.2g} long, not above {self.most:g}.", ""

    def answer(self, trials: Sequence[Trial]) -> str:
        """What all its trials came to, in a sentence."""
        return f"The longest update is {max(trial.figures.get('length', 0.0) for trial in trials):.2g} long."


question: type[Question] = Mine
